//! Connections that come through a proxy which speaks the PROXY protocol.

use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use linkspan::net::{Heads, ListenOptions};
use linkspan::protocol::Config;

use crate::common::running::{Log, PATIENCE, Peer, REQUEST, Running, Told, echo};
use crate::listen_with;

const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n";
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x08\xc6\x33\x64\x01\0\x50\x01\xbb";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

fn options() -> ListenOptions {
    ListenOptions { proxy_protocol: true, ..ListenOptions::default() }
}

/// Writes down who has come.
fn told(log: &Log) -> Told {
    let who = log.clone();
    Told::new(log).on_open(move |cx, id| who.add(format!("peer {}", cx.peer(id).unwrap()))).on_message(echo)
}

#[test]
fn the_peer_is_who_the_proxy_names() {
    let running = Running::new();
    let log = Log::default();
    let address = listen_with(&running, options(), told(&log));
    for (count, (header, peer)) in
        [(LINE, "192.0.2.7:56324"), (BINARY, "192.0.2.8:80"), (LOCAL, "127.0.0.1:")].into_iter().enumerate()
    {
        // Whole, with the request and a frame behind it.
        let mut whole = Peer::connect(address);
        whole.write(&[header, REQUEST.as_bytes(), b"\x81\x82\0\0\0\0hi"].concat());
        assert!(whole.read_head().starts_with("HTTP/1.1 101 "));
        assert_eq!(whole.read_text(), "hi");
        // Byte by byte: each is looked at before the next one comes.
        let mut slow = Peer::connect(address);
        for byte in header {
            slow.stream.write_all(&[*byte]).unwrap();
            running.ask(|_| ());
        }
        slow.write(REQUEST.as_bytes());
        assert!(slow.read_head().starts_with("HTTP/1.1 101 "));
        slow.text("there");
        assert_eq!(slow.read_text(), "there");
        let peers = log.wait_for(2 * (count + 1), "peer");
        assert!(peers[2 * count..].iter().all(|line| line.starts_with(&format!("peer {peer}"))), "{peers:?}");
    }
}

#[test]
fn a_connection_without_a_good_header_ends_without_an_answer_and_is_told() {
    let running = Running::new();
    let log = Log::default();
    let address = listen_with(&running, options(), told(&log));
    for (count, bytes) in
        [REQUEST.as_bytes(), b"PROXY TCP4 nobody 1.2.3.4 1 2\r\n", &[0; 20_000]].into_iter().enumerate()
    {
        let mut peer = Peer::connect(address);
        // It may be closed before everything has come.
        let _ = peer.stream.write_all(bytes);
        assert!(peer.stream_is_over());
        let refused = log.wait_for(count + 1, "refused");
        assert!(refused[count].starts_with("refused 127.0.0.1:"), "{refused:?}");
        assert!(refused[count].contains("no header of the PROXY protocol: "), "{refused:?}");
    }
    // One that ends in the middle of it; one that leaves without a word, which nobody is told.
    let mut half = Peer::connect(address);
    half.write(&LINE[..20]);
    half.stream.shutdown(Shutdown::Write).unwrap();
    assert!(half.stream_is_over());
    assert!(log.wait_for(4, "refused")[3].ends_with("the stream ends within it"));
    drop(Peer::connect(address));
    let mut good = Peer::connect(address);
    good.write(&[LINE, REQUEST.as_bytes()].concat());
    assert!(good.read_head().starts_with("HTTP/1.1 101 "));
    assert_eq!(log.count("refused"), 4);
    assert_eq!(log.count("error") + log.count("close"), 0);
    let metrics = running.remote.metrics();
    let counted = metrics.faults().find(|(rule, _)| *rule == "proxy-header-invalid").unwrap().1;
    assert_eq!((counted, metrics.handshakes_failed), (4, 4));
}

#[test]
fn the_header_has_the_handshakes_deadline() {
    let running = Running::new();
    let log = Log::default();
    let config = Arc::new(Config { handshake_timeout: 50, ..Config::default() });
    let address = listen_with(&running, ListenOptions { config, ..options() }, told(&log));
    let mut silent = Peer::connect(address);
    let mut half = Peer::connect(address);
    half.write(&LINE[..20]);
    // It counts from the beginning: a header does not begin it anew.
    let mut late = Peer::connect(address);
    late.write(LINE);
    assert!(silent.stream_is_over() && half.stream_is_over());
    assert_eq!(late.read_to_end(), b"");
    assert_eq!(log.count("request"), 0);
}

#[test]
fn raw_heads_come_behind_a_header_too() {
    let running = Running::new();
    let log = Log::default();
    let address = listen_with(&running, ListenOptions { heads: Heads::Raw, ..options() }, Told::new(&log));
    let mut peer = Peer::connect(address);
    peer.write(&[BINARY, REQUEST.as_bytes()].concat());
    assert_eq!(log.wait("head"), format!("head {}", REQUEST.len()));
}

#[test]
fn those_behind_a_proxy_are_counted_by_their_own_address() {
    let running = Running::new();
    let log = Log::default();
    let options = ListenOptions { max_connections_per_address: Some(1), ..options() };
    let address: SocketAddr = listen_with(&running, options, told(&log));
    let open = |header: &[u8]| {
        let mut peer = Peer::connect(address);
        peer.write(&[header, REQUEST.as_bytes()].concat());
        assert!(peer.read_head().starts_with("HTTP/1.1 101 "));
        peer
    };
    let refused = |header: &[u8]| {
        let mut peer = Peer::connect(address);
        peer.write(header);
        assert!(peer.stream_is_over());
    };
    let mut first = open(LINE);
    let _second = open(BINARY);
    refused(LINE);
    // The proxy itself is one more address.
    let _own = open(LOCAL);
    refused(LOCAL);
    assert_eq!(running.remote.metrics().refused_address, 2);
    first.close(1000);
    drop(first);
    let until = Instant::now() + PATIENCE;
    while running.remote.metrics().connections > 2 {
        assert!(Instant::now() < until, "the first does not go");
        std::thread::yield_now();
    }
    // A place that was given up can be taken again.
    open(LINE);
    assert_eq!(log.count("refused"), 0);
}
