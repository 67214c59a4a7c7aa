//! [`Server`]: several loops behind one listener, and a listener's cap.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use linkspan::net::{ListenOptions, Listener, Server, ServerOptions};
use linkspan::protocol::{CloseCode, Config};

use crate::common::running::{Log, Peer, Running, Told, echo};
use crate::listen_with;

fn serve(loops: usize, log: &Log) -> (Server, std::net::SocketAddr) {
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    let address = listener.local_addr().socket_addr().unwrap();
    let options = ServerOptions { loops, ..ServerOptions::default() };
    let make = |_| -> Box<dyn linkspan::net::Handler> { Box::new(Told::new(log).on_message(echo)) };
    (Server::start(listener, options, make).unwrap(), address)
}

#[test]
fn connections_are_spread_over_all_loops() {
    let log = Log::default();
    let (server, address) = serve(4, &log);
    let mut peers: Vec<_> = (0..40).map(|_| Peer::open(address)).collect();
    let mut loops = HashMap::new();
    for line in log.wait_for(40, "open") {
        // An id is shown as loop, slot, generation.
        let name = line.split([' ', '.']).nth(1).unwrap().to_owned();
        *loops.entry(name).or_insert(0) += 1;
    }
    assert_eq!(loops.len(), 4);
    assert!(loops.values().all(|count| *count == 10), "{loops:?}");
    for (n, peer) in peers.iter_mut().enumerate() {
        peer.text(&format!("{n}"));
        assert_eq!(peer.read_text(), format!("{n}"));
    }
    assert_eq!(server.remotes().len(), 4);
    server.drain(CloseCode::GOING_AWAY, "", Duration::from_secs(600));
    for peer in &mut peers {
        assert_eq!(peer.read_close(), 1001);
        peer.send(0x88, &1001u16.to_be_bytes());
    }
    drop(peers);
    server.join().unwrap();
    assert_eq!(log.count("close 1001 clean"), 40);
}

#[test]
fn a_server_that_is_dropped_ends_its_connections() {
    let log = Log::default();
    let (server, address) = serve(2, &log);
    let mut peer = Peer::open(address);
    log.wait("open");
    drop(server);
    assert!(peer.frame().is_none());
    std::net::TcpStream::connect(address).unwrap_err();
}

#[test]
fn no_more_connections_than_allowed_live_at_once() {
    let running = Running::new();
    let log = Log::default();
    let (most, live) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (peak, count, ended) = (most.clone(), live.clone(), live.clone());
    let handler = Told::new(&log)
        .on_open(move |_, _| {
            peak.fetch_max(count.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        })
        .on_close(move |_, _| {
            ended.fetch_sub(1, Ordering::SeqCst);
        });
    let options = ListenOptions { max_connections: 3, ..ListenOptions::default() };
    let address = listen_with(&running, options, handler);
    let mut first: Vec<_> = (0..3).map(|_| Peer::open(address)).collect();
    // The system takes them; they wait there.
    let mut waiting: Vec<_> = (0..5).map(|_| Peer::connect(address)).collect();
    waiting.iter_mut().for_each(|peer| peer.write(crate::common::running::REQUEST.as_bytes()));
    log.wait_for(3, "open");
    for mut peer in waiting {
        // One goes, one comes.
        first.remove(0).close(1000);
        assert!(peer.read_head().starts_with("HTTP/1.1 101 "));
        first.push(peer);
    }
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[test]
fn a_second_server_on_a_taken_port_fails() {
    let log = Log::default();
    let (_server, address) = serve(1, &log);
    let error = Listener::tcp(address).unwrap_err();
    assert!(error.to_string().contains("Address already in use"), "{error}");
}

#[test]
fn a_server_listens_on_a_unix_socket_and_on_a_given_descriptor() {
    let log = Log::default();
    let running = Running::new();
    let path = std::env::temp_dir().join(format!("linkspan-{}-server", std::process::id()));
    let given = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = given.local_addr().unwrap();
    let listeners = [Listener::unix(&path).unwrap(), Listener::from_fd(given.into()).unwrap()];
    let handler = Told::new(&log).on_message(echo);
    running.ask(move |cx| {
        let handler = cx.add_handler(Box::new(handler));
        for listener in listeners {
            let options = ListenOptions { config: Arc::new(Config::default()), ..ListenOptions::default() };
            cx.listen(listener, options, handler).unwrap();
        }
    });
    let mut unix = Peer { stream: std::os::unix::net::UnixStream::connect(&path).unwrap() };
    unix.write(crate::common::running::REQUEST.as_bytes());
    assert!(unix.read_head().starts_with("HTTP/1.1 101 "));
    unix.text("over a file");
    assert_eq!(unix.read_text(), "over a file");
    let mut tcp = Peer::open(address);
    tcp.text("over the wire");
    assert_eq!(tcp.read_text(), "over the wire");
    drop(running);
    assert!(!path.exists());
}
