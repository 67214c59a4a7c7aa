//! How connections end, and the loop with them.

use std::time::Duration;

use linkspan::protocol::{CloseCode, Config, MessageKind};
use socket2::SockRef;

use crate::common::running::{Log, Peer, REQUEST, Running, Told, echo};
use crate::listen;

#[test]
fn everything_accepted_before_a_close_arrives_before_it() {
    let running = Running::new();
    let log = Log::default();
    // More than the system takes at once, in every size, with the reader nowhere yet.
    let handler = Told::new(&log).on_open(|cx, id| {
        for n in 0..300 {
            cx.send(id, MessageKind::Binary, &vec![n as u8; n * 97]).unwrap();
        }
        cx.close(id, Some(CloseCode::NORMAL), "all said").unwrap();
        cx.send(id, MessageKind::Text, b"late").unwrap_err();
    });
    let (_, mut peer) = running.open(Config::default(), handler);
    log.wait("open");
    for n in 0..300 {
        assert_eq!(peer.frame().unwrap(), (0x82, vec![n as u8; n * 97]));
    }
    assert_eq!(peer.read_close(), 1000);
    peer.send(0x88, &1000u16.to_be_bytes());
    assert_eq!(log.wait("close"), "close 1000 clean");
    assert!(peer.frame().is_none());
}

#[test]
fn everything_accepted_before_the_peers_close_arrives_before_the_answer() {
    let running = Running::new();
    let log = Log::default();
    let (_, mut peer) = running.open(Config::default(), Told::new(&log).on_message(echo));
    let big = vec![7; 3 << 20];
    peer.send(0x82, &big);
    peer.send(0x88, &1001u16.to_be_bytes());
    assert_eq!(peer.frame().unwrap(), (0x82, big));
    assert_eq!(peer.read_close(), 1001);
    assert_eq!(log.wait("close"), "close 1001 clean");
    assert!(peer.frame().is_none());
}

#[test]
fn a_stream_that_just_ends_is_told_once() {
    let running = Running::new();
    let log = Log::default();
    let (_, mut peer) = running.open(Config::default(), Told::new(&log));
    peer.text("last");
    drop(peer);
    assert_eq!(log.wait("close"), "close 1006 unclean");
    running.ask(|cx| assert!(cx.connections().is_empty()));
    assert_eq!(log.lines()[1..], ["text last", "close 1006 unclean"]);
}

#[test]
fn a_connection_ended_by_a_reset_is_told_once() {
    let running = Running::new();
    let log = Log::default();
    let address = listen(&running, Config::default(), Told::new(&log));
    let peer = Peer::open(address);
    log.wait("open");
    SockRef::from(&peer.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    assert_eq!(log.wait("close"), "close 1006 unclean");
    // It goes on for others.
    Peer::open(address).close(1000);
    log.wait("close 1000 clean");
    assert_eq!(log.count("close"), 2);
}

#[test]
fn a_write_to_a_peer_that_has_gone_is_no_signal_and_the_end() {
    let running = Running::new();
    let log = Log::default();
    let (id, peer) = running.open(Config::default(), Told::new(&log));
    log.wait("open");
    drop(peer);
    // Whichever comes first, the write or the end of the stream.
    while running.remote.send(id, MessageKind::Text, "anyone?").is_ok() {}
    log.wait("close 1006 unclean");
}

#[test]
fn a_fault_is_told_before_the_end_it_causes() {
    let running = Running::new();
    let log = Log::default();
    let (_, mut peer) = running.open(Config::default(), Told::new(&log));
    peer.write(b"\x83\x80\0\0\0\0");
    assert_eq!(peer.read_close(), 1002);
    log.wait("close");
    let expected = ["error opcode 3 is reserved (RFC 6455 5.2)", "close 1002 unclean"];
    assert_eq!(log.lines()[1..], expected);
    // Our half has ended; what the peer still says is nobody's.
    assert!(peer.frame().is_none());
    peer.text("late");
}

#[test]
fn a_peer_that_never_answers_a_close_is_given_up() {
    let running = Running::new();
    let log = Log::default();
    let config = Config { close_timeout: 50, ..Config::default() };
    let (id, mut peer) = running.open(config, Told::new(&log));
    log.wait("open");
    running.remote.close(id, Some(CloseCode::NORMAL), "").unwrap();
    assert_eq!(log.wait("close"), "close 1006 unclean");
    assert!(log.wait("error").contains("closing handshake"));
    assert_eq!(peer.read_close(), 1000);
    assert!(peer.frame().is_none());
}

#[test]
fn a_peer_that_answers_no_ping_is_given_up_and_one_that_does_is_not() {
    let running = Running::new();
    let log = Log::default();
    let config = Config { ping_interval: 40, pong_timeout: 40, ..Config::default() };
    let (_, mut dead) = running.open(config.clone(), Told::new(&log));
    assert_eq!(dead.frame().unwrap(), (0x89, vec![]));
    assert_eq!(log.wait("close"), "close 1006 unclean");
    assert!(log.wait("error").contains("no pong"));
    assert!(dead.frame().is_none());

    let log = Log::default();
    // A pong that comes at once, within the millisecond of its ping, counts as well.
    let config = Config { pong_timeout: 1000, ..config };
    let (_, mut alive) = running.open(config, Told::new(&log));
    for _ in 0..5 {
        assert_eq!(alive.frame().unwrap(), (0x89, vec![]));
        alive.send(0x8a, b"");
    }
    assert_eq!(log.count("close"), 0);
}

#[test]
fn pings_keep_their_interval_beside_longer_deadlines() {
    let running = Running::new();
    let log = Log::default();
    // Those of the handshake and of the pong are hours away.
    let config =
        Config { ping_interval: 20, pong_timeout: 7_200_000, handshake_timeout: 7_200_000, ..Config::default() };
    let address = listen(&running, config, Told::new(&log));
    let mut peer = Peer::connect(address);
    // Accepted, and a turn later: only the handshake's deadline is known by then.
    while running.remote.metrics().connections == 0 {
        std::thread::yield_now();
    }
    running.ask(|_| ());
    peer.write(REQUEST.as_bytes());
    assert!(peer.read_head().starts_with("HTTP/1.1 101 "));
    for _ in 0..3 {
        assert_eq!(peer.frame().unwrap(), (0x89, vec![]));
        peer.send(0x8a, b"");
    }
}

#[test]
fn a_drain_says_1001_to_all_and_ends_the_loop() {
    let running = Running::new();
    let log = Log::default();
    let address = listen(&running, Config::default(), Told::new(&log));
    let mut peers: Vec<_> = (0..5).map(|_| Peer::open(address)).collect();
    log.wait_for(5, "open");
    // One is only half way in.
    let mut half = Peer::connect(address);
    half.write(b"GET / HTTP/1.1\r\n");
    running.remote.drain(CloseCode::GOING_AWAY, "back soon", Duration::from_secs(600)).unwrap();
    for peer in &mut peers {
        assert_eq!(peer.frame().unwrap(), (0x88, b"\x03\xe9back soon".to_vec()));
        peer.send(0x88, &1001u16.to_be_bytes());
        assert!(peer.frame().is_none());
    }
    drop((peers, half));
    running.join().unwrap();
    assert_eq!(log.wait_for(5, "close"), vec!["close 1001 clean"; 5]);
    std::net::TcpStream::connect(address).unwrap_err();
}

#[test]
fn a_drain_aborts_who_is_left_at_its_deadline() {
    let running = Running::new();
    let log = Log::default();
    let (_, mut stubborn) = running.open(Config::default(), Told::new(&log));
    log.wait("open");
    running.remote.drain(CloseCode::GOING_AWAY, "", Duration::from_millis(50)).unwrap();
    running.join().unwrap();
    assert_eq!(stubborn.read_close(), 1001);
    assert!(stubborn.frame().is_none());
    assert_eq!(log.lines()[1..], ["close 1006 unclean"]);
}

#[test]
fn a_drain_reaches_those_that_have_paused() {
    let running = Running::new();
    let log = Log::default();
    let (id, mut peer) = running.open(Config::default(), Told::new(&log));
    log.wait("open");
    running.remote.pause(id).unwrap();
    running.remote.drain(CloseCode::GOING_AWAY, "", Duration::from_secs(600)).unwrap();
    assert_eq!(peer.read_close(), 1001);
    peer.send(0x88, &1001u16.to_be_bytes());
    drop(peer);
    running.join().unwrap();
    log.wait("close 1001 clean");
}
