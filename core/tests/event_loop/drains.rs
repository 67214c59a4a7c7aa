//! A server that is drained: whose connections end, when, and with what.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use linkspan::Error;
use linkspan::net::{ConnectionId, DrainOptions, Handler, ListenOptions, Listener, Server, ServerOptions};
use linkspan::protocol::handshake::Accept;
use linkspan::protocol::{CloseCode, Config, MessageKind};

use crate::common::running::{Log, PATIENCE, Peer, REQUEST, Running, Told, echo};
use crate::{deferring, id_of};

const LONG: Duration = Duration::from_secs(600);

fn serve_in(running: &Running, handler: impl Handler + 'static) -> (Server, SocketAddr) {
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    let address = listener.local_addr().socket_addr().unwrap();
    let handler = Box::new(handler);
    let start = move |cx: &mut linkspan::net::Context<'_>| {
        Server::start_in(cx, listener, ServerOptions::default(), handler).unwrap()
    };
    (running.ask(start), address)
}

/// Reads the close frame, answers it, and reads to the end.
fn close_with(mut peer: Peer<std::net::TcpStream>, code: u16) {
    assert_eq!(peer.read_close(), code);
    peer.send(0x88, &code.to_be_bytes());
    assert!(peer.frame().is_none());
}

/// Waits until the server has no connection any more, not even one that only lingers.
fn all_gone(server: &Server) {
    let until = Instant::now() + PATIENCE;
    while server.connections() > 0 {
        assert!(Instant::now() < until, "{} are left", server.connections());
        thread::yield_now();
    }
}

#[test]
fn a_server_in_a_loop_of_yours_drains_its_own_connections_and_the_loop_goes_on() {
    let running = Running::new();
    let (ours, theirs) = (Log::default(), Log::default());
    let (server, address) = serve_in(&running, Told::new(&ours));
    let (_other_server, other_address) = serve_in(&running, Told::new(&theirs).on_message(echo));
    let (_, mut adopted) = running.open(Config::default(), Told::new(&theirs).on_message(echo));
    let mut other = Peer::open(other_address);
    let peers: Vec<_> = (0..3).map(|_| Peer::open(address)).collect();
    ours.wait_for(3, "open");
    server.drain(&DrainOptions { code: CloseCode::ABNORMAL, ..DrainOptions::default() }).unwrap_err();
    let code = CloseCode::SERVICE_RESTART;
    server
        .drain(&DrainOptions { code, reason: "new version".into(), deadline: LONG, ..DrainOptions::default() })
        .unwrap();
    peers.into_iter().for_each(|peer| close_with(peer, 1012));
    assert_eq!(ours.wait_for(3, "close"), vec!["close 1012 clean"; 3]);
    std::net::TcpStream::connect(address).unwrap_err();
    other.text("still here");
    assert_eq!(other.read_text(), "still here");
    adopted.text("me too");
    assert_eq!(adopted.read_text(), "me too");
    Peer::open(other_address).close(1000);
    all_gone(&server);
    running.ask(|cx| assert!(!cx.connections().is_empty()));
}

#[test]
fn closes_are_spread_over_the_window_and_not_earlier() {
    let running = Running::new();
    let log = Log::default();
    let (server, address) = serve_in(&running, Told::new(&log));
    let peers: Vec<_> = (0..4).map(|_| Peer::open(address)).collect();
    log.wait_for(4, "open");
    let begin = Instant::now();
    let window = Duration::from_millis(400);
    server.drain(&DrainOptions { window, deadline: LONG, ..DrainOptions::default() }).unwrap();
    let readers = peers.into_iter().map(|mut peer| {
        thread::spawn(move || {
            assert_eq!(peer.read_close(), 1001);
            let at = begin.elapsed();
            peer.send(0x88, &1001u16.to_be_bytes());
            at
        })
    });
    let readers: Vec<_> = readers.collect();
    let mut at: Vec<Duration> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    at.sort_unstable();
    // The loop's clock counts whole milliseconds.
    for (n, at) in at.iter().enumerate() {
        assert!(*at + Duration::from_millis(2) >= window * n as u32 / 4, "{n}: {at:?}");
    }
    log.wait_for(4, "close 1001 clean");
}

#[test]
fn a_second_drain_replaces_the_first() {
    let running = Running::new();
    let log = Log::default();
    let (server, address) = serve_in(&running, Told::new(&log));
    let first = Peer::open(address);
    let second = Peer::open(address);
    server.drain(&DrainOptions { window: LONG, deadline: LONG, ..DrainOptions::default() }).unwrap();
    // One goes at once, the other after half of the window: unless somebody is in a hurry.
    close_with(first, 1001);
    server.drain(&DrainOptions { deadline: LONG, ..DrainOptions::default() }).unwrap();
    close_with(second, 1001);
}

#[test]
fn who_does_not_answer_is_aborted_at_the_deadline_after_the_window() {
    let running = Running::new();
    let log = Log::default();
    let (server, address) = serve_in(&running, Told::new(&log));
    let mut peers: Vec<_> = (0..2).map(|_| Peer::open(address)).collect();
    log.wait_for(2, "open");
    let begin = Instant::now();
    let (window, deadline) = (Duration::from_millis(60), Duration::from_millis(40));
    server.drain(&DrainOptions { window, deadline, ..DrainOptions::default() }).unwrap();
    for peer in &mut peers {
        assert_eq!(peer.read_close(), 1001);
        assert!(peer.frame().is_none());
    }
    assert!(begin.elapsed() + Duration::from_millis(2) >= window + deadline);
    assert_eq!(log.wait_for(2, "close"), vec!["close 1006 unclean"; 2]);
    running.ask(|cx| assert!(cx.connections().is_empty()));
}

#[test]
fn those_that_are_not_open_yet_end_too() {
    let running = Running::new();
    let log = Log::default();
    let (server, address) = serve_in(&running, deferring(&log));
    let mut silent = Peer::connect(address);
    let mut half = Peer::connect(address);
    half.write(b"GET / HTTP/1.1\r\nHost: a.exam");
    let mut asking = Peer::connect(address);
    asking.write(REQUEST.as_bytes());
    let id = id_of(&log.wait("deferred"));
    server.drain(&DrainOptions { deadline: LONG, ..DrainOptions::default() }).unwrap();
    let answer = String::from_utf8(asking.read_to_end()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Connection: close\r\n"), "{answer}");
    assert_eq!(silent.read_to_end(), b"");
    assert_eq!(half.read_to_end(), b"");
    log.wait("close 1006");
    assert!(matches!(running.remote.accept(id, Accept::default()), Err(Error::Gone)));
    drop((asking, silent, half));
    all_gone(&server);
}

#[test]
fn who_asks_while_the_window_is_open_is_served_until_its_turn() {
    let running = Running::new();
    let log = Log::default();
    let (server, address) = serve_in(&running, Told::new(&log).on_message(echo));
    let first = Peer::open(address);
    let mut late = Peer::connect(address);
    // Both are the loop's: an answer shows that it has accepted.
    let mut last = Peer::open(address);
    server.drain(&DrainOptions { window: LONG, deadline: LONG, ..DrainOptions::default() }).unwrap();
    close_with(first, 1001);
    late.write(REQUEST.as_bytes());
    assert!(late.read_head().starts_with("HTTP/1.1 101 "));
    last.text("and I");
    assert_eq!(last.read_text(), "and I");
    server.drain(&DrainOptions { deadline: LONG, ..DrainOptions::default() }).unwrap();
    close_with(late, 1001);
    close_with(last, 1001);
}

#[test]
fn nothing_that_was_accepted_for_sending_is_lost_in_a_drain() {
    const CONNECTIONS: usize = 8;
    const THREADS: usize = 4;
    let log = Log::default();
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    let address = listener.local_addr().socket_addr().unwrap();
    // A machine with much to do must not decide who is too slow.
    let config = Arc::new(Config { close_timeout: 60_000, ..Config::default() });
    let options = ServerOptions { loops: 2, listen: ListenOptions { config, ..ListenOptions::default() } };
    let names = Log::default();
    let make = |_| -> Box<dyn Handler> {
        let names = names.clone();
        Box::new(Told::new(&log).on_open(move |_, id| names.add(format!("open {}", id.as_u64()))))
    };
    let server = Arc::new(Server::start(listener, options, make).unwrap());
    let peers: Vec<_> = (0..CONNECTIONS).map(|_| Peer::open(address)).collect();
    let ids: Vec<ConnectionId> = names.wait_for(CONNECTIONS, "open").iter().map(|line| id_of(line)).collect();

    // Threads that send until they are told that it is over; what they are told is accepted is counted.
    let accepted = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..THREADS)
        .map(|_| {
            let (server, ids, accepted) = (server.clone(), ids.clone(), accepted.clone());
            thread::spawn(move || {
                for id in ids.iter().cycle() {
                    let remote = server.remotes().iter().find(|remote| remote.loop_id() == id.loop_id()).unwrap();
                    match remote.send(*id, MessageKind::Binary, vec![7; 100]) {
                        Ok(_) => drop(accepted.fetch_add(1, Ordering::SeqCst)),
                        Err(Error::Misuse(linkspan::protocol::Misuse::OutboxFull { .. })) => thread::yield_now(),
                        Err(_) if ids.iter().all(|id| is_over(&server, *id)) => return,
                        Err(_) => {}
                    }
                }
            })
        })
        .collect();
    let readers: Vec<_> = peers
        .into_iter()
        .map(|mut peer| {
            thread::spawn(move || {
                let mut messages = 0;
                loop {
                    match peer.frame().expect("a close comes first") {
                        (0x82, payload) => messages += usize::from(payload == [7; 100]),
                        (first, payload) => {
                            assert_eq!((first, payload), (0x88, 1001u16.to_be_bytes().to_vec()));
                            peer.send(0x88, &1001u16.to_be_bytes());
                            return messages;
                        }
                    }
                }
            })
        })
        .collect();
    while accepted.load(Ordering::SeqCst) < 5000 {
        thread::yield_now();
    }
    let window = Duration::from_millis(100);
    server.drain(&DrainOptions { window, deadline: LONG, ..DrainOptions::default() }).unwrap();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let received: usize = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
    assert_eq!(received, accepted.load(Ordering::SeqCst));
    server.join().unwrap();
    assert_eq!(log.wait_for(CONNECTIONS, "close"), vec!["close 1001 clean"; CONNECTIONS]);
}

fn is_over(server: &Server, id: ConnectionId) -> bool {
    use linkspan::net::ReadyState::{Closed, Closing};
    server.remotes().iter().all(|remote| matches!(remote.ready_state(id), Closing | Closed))
}

#[test]
fn a_drain_that_nobody_waits_for_ends_with_its_connections() {
    let running = Running::new();
    let log = Log::default();
    let (server, address) = serve_in(&running, Told::new(&log));
    let mut peer = Peer::open(address);
    log.wait("open");
    server.drain(&DrainOptions { deadline: LONG, ..DrainOptions::default() }).unwrap();
    // The server's end is nothing to a drain that has begun.
    drop(server);
    assert_eq!(peer.read_close(), 1001);
    peer.send(0x88, &1001u16.to_be_bytes());
    let mut rest = Vec::new();
    peer.stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"");
    log.wait("close 1001 clean");
}
