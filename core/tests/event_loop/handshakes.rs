//! Requests as the handler answers them, plain HTTP among them.

use std::sync::Arc;

use linkspan::Error;
use linkspan::net::{Decision, Heads, ListenOptions};
use linkspan::protocol::Config;
use linkspan::protocol::handshake::{Accept, Reject};

use crate::common::running::{Log, Peer, REQUEST, Running, Told, echo};
use crate::{deferring, id_of, listen, listen_with};

#[test]
fn plain_http_gets_an_answer_and_the_end() {
    let running = Running::new();
    let log = Log::default();
    let handler = Told::new(&log).on_request(|_, _, request| match request.is_upgrade() {
        true => Decision::Accept(Accept::default()),
        false => Decision::Reject(Reject {
            status: 200,
            headers: vec![("Content-Type".into(), "text/html".into())],
            body: b"<p>hello</p>".to_vec(),
        }),
    });
    let address = listen(&running, Config::default(), handler);
    let mut peer = Peer::connect(address);
    peer.write(b"GET /page HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let answer = String::from_utf8(peer.read_to_end()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n<p>hello</p>"), "{answer}");
    assert_eq!(log.wait("close"), "close 1006 unclean");
    assert_eq!(log.lines()[0], "request GET /page");
    assert_eq!(log.count("error"), 0);
}

#[test]
fn plain_http_gets_426_by_default() {
    struct Silent;
    impl linkspan::net::Handler for Silent {}
    let running = Running::new();
    let address = listen(&running, Config::default(), Silent);
    let mut peer = Peer::connect(address);
    peer.write(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let answer = String::from_utf8(peer.read_to_end()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 ") && answer.contains("Upgrade: websocket\r\n"), "{answer}");
    Peer::open(address).close(1000);
}

#[test]
fn a_bad_request_is_refused_before_the_handler_hears_of_it() {
    let running = Running::new();
    let log = Log::default();
    let address = listen(&running, Config::default(), Told::new(&log));
    let mut peer = Peer::connect(address);
    peer.write(REQUEST.replace("Version: 13", "Version: 7").as_bytes());
    let answer = String::from_utf8(peer.read_to_end()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 ") && answer.contains("Sec-WebSocket-Version: 13\r\n"), "{answer}");
    // Whoever comes next is served, and is the first that is heard of.
    Peer::open(address).close(1000);
    log.wait("close");
    assert_eq!(log.count("request"), 1);
    assert_eq!(log.count("error"), 0);
}

#[test]
fn an_answer_that_cannot_be_written_is_a_500() {
    let running = Running::new();
    let log = Log::default();
    let handler = Told::new(&log).on_request(|_, _, _| {
        let headers = vec![("X-Split".to_owned(), "a\r\nSet-Cookie: evil=1".to_owned())];
        Decision::Accept(Accept { headers, ..Accept::default() })
    });
    let address = listen(&running, Config::default(), handler);
    let mut peer = Peer::connect(address);
    peer.write(REQUEST.as_bytes());
    let answer = String::from_utf8(peer.read_to_end()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 500 ") && !answer.contains("evil"), "{answer}");
    log.wait("close 1006");
}

#[test]
fn frames_in_the_same_packet_as_the_request_are_heard() {
    let running = Running::new();
    let log = Log::default();
    let address = listen(&running, Config::default(), Told::new(&log).on_message(echo));
    let mut peer = Peer::connect(address);
    peer.write(&[REQUEST.as_bytes(), b"\x81\x82\0\0\0\0hi"].concat());
    assert!(peer.read_head().starts_with("HTTP/1.1 101 "));
    assert_eq!(peer.read_text(), "hi");
}

#[test]
fn a_deferred_request_notices_that_its_client_has_left() {
    let running = Running::new();
    let log = Log::default();
    let address = listen(&running, Config { handshake_timeout: 0, ..Config::default() }, deferring(&log));
    // In a packet of its own, and right behind the request.
    for is_later in [true, false] {
        let mut peer = Peer::connect(address);
        peer.write(REQUEST.as_bytes());
        if is_later {
            log.wait("deferred");
        }
        drop(peer);
    }
    assert_eq!(log.wait_for(2, "close"), vec!["close 1006 unclean"; 2]);
    for id in log.wait_for(2, "deferred").iter().map(|line| id_of(line)) {
        assert!(matches!(running.remote.accept(id, Accept::default()), Err(Error::Gone)));
    }
    // Plain HTTP may be asked for by somebody who ends the sending half, and waits.
    let mut half = Peer::connect(address);
    half.write(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    half.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let id = id_of(&log.wait_for(3, "deferred")[2]);
    running.ask(|_| ());
    running.remote.reject(id, Reject::text(200, "here")).unwrap();
    assert!(String::from_utf8(half.read_to_end()).unwrap().ends_with("here\n"));
}

#[test]
fn a_refused_peer_that_goes_on_sending_is_cut_off() {
    use std::io::Write as _;
    let running = Running::new();
    for heads in [Heads::Parsed, Heads::Raw] {
        // Far longer than the test waits.
        let config = Arc::new(Config { close_timeout: 600_000, ..Config::default() });
        let options = ListenOptions { config, heads, ..ListenOptions::default() };
        let address = listen_with(&running, options, Told::new(&Log::default()));
        let mut peer = Peer::connect(address);
        peer.write(b"GET / HTTP/1.1\r\nX: ");
        // What the kernel keeps on the way is a few of these.
        let sent = (0..64).take_while(|_| peer.stream.write_all(&[b'x'; 1 << 20]).is_ok()).count();
        assert!(sent < 32, "{heads:?}: {sent} MiB");
    }
}

#[test]
fn a_head_that_never_ends_gets_408() {
    let running = Running::new();
    let log = Log::default();
    let config = Config { handshake_timeout: 50, ..Config::default() };
    let address = listen(&running, config, Told::new(&log));
    let mut slow = Peer::connect(address);
    slow.write(b"GET / HTTP/1.1\r\nHost: a.exam");
    let answer = String::from_utf8(slow.read_to_end()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    // One that says nothing is just let go.
    let mut silent = Peer::connect(address);
    assert_eq!(silent.read_to_end(), b"");
    // Nobody was asked anything, and who looks after the server knows.
    assert_eq!(log.wait_for(2, "refused").len(), log.lines().len());
    assert!(log.wait("refused 127.0.0.1:").ends_with("the opening handshake took too long"));
}
