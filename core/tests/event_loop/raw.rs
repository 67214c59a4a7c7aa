//! Heads and bytes that are the application's own.

use std::sync::Arc;

use linkspan::net::{Adopt, Heads, ListenOptions};
use linkspan::protocol::handshake::{Accept, Agreed, accept_key};
use linkspan::protocol::{Config, Engine};
use linkspan::transport::Transport;

use crate::common::running::{Log, Peer, REQUEST, Running, Told, echo, pair};
use crate::listen_with;

fn raw_heads(config: Config) -> ListenOptions {
    ListenOptions { config: Arc::new(config), heads: Heads::Raw, ..ListenOptions::default() }
}

#[test]
fn a_head_is_handed_over_and_what_is_written_for_it_leaves_before_the_frames() {
    let running = Running::new();
    let log = Log::default();
    let handler = Told::new(&log).on_message(echo).on_head(|cx, id, head| {
        assert_eq!(head, REQUEST.as_bytes());
        let key = accept_key("dGhlIHNhbXBsZSBub25jZQ==");
        let answer = format!(
            "HTTP/1.1 101 My Own\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {key}\r\n\r\n"
        );
        cx.write(id, answer.as_bytes()).unwrap();
        let engine = Engine::adopted(Arc::default(), Agreed::default(), "/", None, cx.now());
        cx.upgrade(id, engine).unwrap();
    });
    let address = listen_with(&running, raw_heads(Config::default()), handler);
    let mut peer = Peer::connect(address);
    // Byte by byte up to the last, then the end of the head with a frame behind it.
    let (start, end) = REQUEST.as_bytes().split_at(REQUEST.len() - 2);
    start.chunks(1).for_each(|byte| peer.write(byte));
    peer.write(&[end, b"\x81\x82\0\0\0\0hi"].concat());
    assert!(peer.read_head().starts_with("HTTP/1.1 101 My Own\r\n"));
    assert_eq!(peer.read_text(), "hi");
    peer.close(1000);
    assert_eq!(log.wait("close"), "close 1000 clean");
    assert_eq!(log.count("head"), 1);
}

#[test]
fn an_upgrade_may_come_later() {
    let running = Running::new();
    let log = Log::default();
    let lines = log.clone();
    let handler = Told::new(&log).on_message(echo).on_head(move |_, id, _| lines.add(format!("id {}", id.as_u64())));
    let address = listen_with(&running, raw_heads(Config::default()), handler);
    let mut peer = Peer::connect(address);
    peer.write(&[REQUEST.as_bytes(), b"\x81\x82\0\0\0\0hi"].concat());
    let id = super::id_of(&log.wait("id"));
    peer.text("more");
    running.ask(move |cx| {
        cx.write(id, b"HTTP/1.1 101 Later\r\n\r\n").unwrap();
        let engine = Engine::adopted(Arc::default(), Agreed::default(), "/", None, cx.now());
        cx.upgrade(id, engine).unwrap();
        cx.accept(id, &Accept::default()).unwrap_err();
    });
    assert!(peer.read_head().starts_with("HTTP/1.1 101 Later"));
    assert_eq!((peer.read_text(), peer.read_text()), ("hi".to_owned(), "more".to_owned()));
}

#[test]
fn a_head_may_be_followed_by_bytes_of_any_kind() {
    let running = Running::new();
    let log = Log::default();
    let handler = Told::new(&log).on_head(|cx, id, _| cx.resume(id).unwrap()).on_bytes(|cx, id, bytes| match bytes {
        b"" => cx.finish(id).unwrap(),
        bytes => drop(cx.write(id, &bytes.to_ascii_uppercase()).unwrap()),
    });
    let address = listen_with(&running, raw_heads(Config::default()), handler);
    let mut peer = Peer::connect(address);
    peer.write(b"PUT / HTTP/1.1\n\nbody");
    let mut answer = [0; 4];
    std::io::Read::read_exact(&mut peer.stream, &mut answer).unwrap();
    assert_eq!(&answer, b"BODY");
    peer.write(b"more");
    peer.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(peer.read_to_end(), b"MORE");
    log.wait("close");
    assert_eq!(log.lines()[0], "head 16");
}

#[test]
fn a_raw_head_has_its_limits() {
    let running = Running::new();
    let log = Log::default();
    let config = Config { max_head_bytes: 100, handshake_timeout: 100, ..Config::default() };
    let address = listen_with(&running, raw_heads(config), Told::new(&log));
    let mut long = Peer::connect(address);
    long.write(&[b'x'; 200]);
    assert!(String::from_utf8(long.read_to_end()).unwrap().starts_with("HTTP/1.1 431 "));
    let mut slow = Peer::connect(address);
    slow.write(b"GET / HT");
    slow.read_to_end();
    assert_eq!(log.count("head"), 0);
    // None of them was ever told of.
    assert_eq!(log.count("close"), 0);
}

#[test]
fn a_raw_head_is_released_with_what_follows_it() {
    let running = Running::new();
    let log = Log::default();
    let (sender, receiver) = std::sync::mpsc::channel();
    let handler = Told::new(&log).on_head(move |cx, id, _| sender.send(cx.release(id).unwrap()).unwrap());
    let address = listen_with(&running, raw_heads(Config::default()), handler);
    let mut peer = Peer::connect(address);
    peer.write(&[REQUEST.as_bytes(), b"behind"].concat());
    let released = receiver.recv().unwrap();
    assert_eq!(released.head, REQUEST.as_bytes());
    assert_eq!(released.unread, b"behind");
    assert!(released.engine.is_none());
    drop(released);
    assert_eq!(peer.read_to_end(), b"");
}

#[test]
fn a_raw_connection_moves_bytes_and_ends_in_halves() {
    let running = Running::new();
    let log = Log::default();
    let (socket, mut peer) = pair();
    let handler = Box::new(Told::new(&log));
    let id = running.ask(move |cx| {
        let how = Adopt::Raw(Arc::default());
        cx.adopt_with(Transport::plain(socket), how, b"read before".to_vec(), handler).unwrap()
    });
    assert_eq!(log.wait("bytes"), "bytes read before");
    running.remote.write(id, b"hello".to_vec()).unwrap();
    running.remote.finish(id).unwrap();
    assert_eq!(peer.read_to_end(), b"hello");
    assert!(running.ask(move |cx| cx.write(id, b"late").map(drop)).is_err());
    // The other half goes on.
    peer.write(b"still here");
    log.wait("bytes still here");
    drop(peer);
    log.wait("close");
    assert_eq!(log.lines().iter().filter(|line| *line == "bytes ").count(), 1, "the end is told by empty bytes, once");
}
