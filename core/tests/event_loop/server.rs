//! [`Server`]: several loops behind several listeners, and how many they let in.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use linkspan::net::{DrainOptions, ListenOptions, Listener, Server, ServerOptions};
use linkspan::protocol::Config;

use crate::common::running::{Log, Peer, REQUEST, Running, Told, echo};
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
    server.drain(&DrainOptions { deadline: Duration::from_secs(600), ..DrainOptions::default() }).unwrap();
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
    waiting.iter_mut().for_each(|peer| peer.write(REQUEST.as_bytes()));
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
    unix.write(REQUEST.as_bytes());
    assert!(unix.read_head().starts_with("HTTP/1.1 101 "));
    unix.text("over a file");
    assert_eq!(unix.read_text(), "over a file");
    let mut tcp = Peer::open(address);
    tcp.text("over the wire");
    assert_eq!(tcp.read_text(), "over the wire");
    drop(running);
    assert!(!path.exists());
}

#[test]
fn a_server_listens_on_several_addresses_at_once() {
    let log = Log::default();
    let path = std::env::temp_dir().join(format!("linkspan-{}-several", std::process::id()));
    let listeners =
        vec![Listener::tcp("127.0.0.1:0").unwrap(), Listener::tcp("[::1]:0").unwrap(), Listener::unix(&path).unwrap()];
    let options = ServerOptions { loops: 2, ..ServerOptions::default() };
    let server = Server::start(listeners, options, |_| Box::new(Told::new(&log).on_message(echo))).unwrap();
    assert_eq!(server.addresses().len(), 3);
    let tcp: Vec<_> = server.addresses().iter().filter_map(|address| address.socket_addr()).collect();
    let mut four = Peer::open(tcp[0]);
    let mut six = Peer::open(tcp[1]);
    let mut unix = Peer { stream: std::os::unix::net::UnixStream::connect(&path).unwrap() };
    unix.write(REQUEST.as_bytes());
    assert!(unix.read_head().starts_with("HTTP/1.1 101 "));
    four.text("four");
    six.text("six");
    unix.text("unix");
    assert_eq!([four.read_text(), six.read_text(), unix.read_text()], ["four", "six", "unix"]);
    assert_eq!(server.connections(), 3);
}

#[test]
fn only_a_servers_own_connections_are_counted_and_through_all_its_listeners() {
    let running = Running::new();
    let log = Log::default();
    // Others in the same loop, on both sides of it.
    let others: Vec<_> = (0..5).map(|_| running.open(Config::default(), Told::new(&log))).collect();
    let listeners = vec![Listener::tcp("127.0.0.1:0").unwrap(), Listener::tcp("127.0.0.1:0").unwrap()];
    let handler = Box::new(Told::new(&log).on_message(echo));
    let listen = ListenOptions { max_connections: 2, ..ListenOptions::default() };
    let options = ServerOptions { listen, ..ServerOptions::default() };
    let server = running.ask(|cx| Server::start_in(cx, listeners, options, handler)).unwrap();
    let addresses: Vec<_> = server.addresses().iter().filter_map(|address| address.socket_addr()).collect();
    let mut first = Peer::open(addresses[0]);
    let second = Peer::open(addresses[1]);
    let mut third = Peer::connect(addresses[1]);
    third.write(REQUEST.as_bytes());
    first.text("who is there");
    assert_eq!(first.read_text(), "who is there");
    // The loop has turned since: it would have accepted the third.
    assert_eq!(server.connections(), 2);
    drop(second);
    assert!(third.read_head().starts_with("HTTP/1.1 101 "));
    drop(others);
}

#[test]
fn no_more_connections_than_allowed_come_from_one_address() {
    let running = Running::new();
    let log = Log::default();
    let path = std::env::temp_dir().join(format!("linkspan-{}-address", std::process::id()));
    let listeners = vec![Listener::tcp("0.0.0.0:0").unwrap(), Listener::unix(&path).unwrap()];
    let listen = ListenOptions { max_connections_per_address: Some(2), ..ListenOptions::default() };
    let options = ServerOptions { listen, ..ServerOptions::default() };
    let handler = Box::new(Told::new(&log).on_message(echo));
    let server = running.ask(|cx| Server::start_in(cx, listeners, options, handler)).unwrap();
    let port = server.addresses()[0].socket_addr().unwrap().port();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    for round in 1..3 {
        let mut kept: Vec<_> = (0..2).map(|_| Peer::open(address)).collect();
        // The stream of one more ends, without a byte.
        let mut refused = Peer::connect(address);
        assert_eq!(refused.read_to_end(), b"");
        assert_eq!(running.remote.metrics().refused_address, round);
        // Others come as before: another address of this machine, a Unix socket.
        let other = std::net::SocketAddr::from(([127, 0, 0, 2], port));
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
        socket.connect(&other.into()).unwrap();
        let mut elsewhere = Peer { stream: std::net::TcpStream::from(socket) };
        elsewhere.write(REQUEST.as_bytes());
        assert!(elsewhere.read_head().starts_with("HTTP/1.1 101 "));
        let mut unix: Vec<_> =
            (0..3).map(|_| Peer { stream: std::os::unix::net::UnixStream::connect(&path).unwrap() }).collect();
        for peer in &mut unix {
            peer.write(REQUEST.as_bytes());
            assert!(peer.read_head().starts_with("HTTP/1.1 101 "));
        }
        // Those that go give their places back.
        kept.iter_mut().for_each(|peer| peer.close(1000));
        let all = 6 * round as usize;
        drop((kept, elsewhere, unix));
        log.wait_for(all, "close");
        running.ask(|cx| assert!(cx.connections().is_empty()));
    }
}

#[test]
fn a_paused_server_lets_nobody_in_and_those_who_waited_in_when_it_resumes() {
    let log = Log::default();
    let (server, address) = serve(2, &log);
    let mut inside = Peer::open(address);
    server.pause();
    let mut waiting: Vec<_> = (0..3).map(|_| Peer::connect(address)).collect();
    waiting.iter_mut().for_each(|peer| peer.write(REQUEST.as_bytes()));
    for n in 0..3 {
        inside.text(&format!("{n}"));
        assert_eq!(inside.read_text(), format!("{n}"));
    }
    assert_eq!(server.connections(), 1);
    server.resume();
    for peer in &mut waiting {
        assert!(peer.read_head().starts_with("HTTP/1.1 101 "));
    }
    assert_eq!(server.connections(), 4);
}
