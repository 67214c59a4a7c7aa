//! Clients in a loop.

use std::net::TcpListener;
use std::sync::Arc;

use linkspan::connector::ConnectOptions;
use linkspan::net::{ConnectionId, Decision};
use linkspan::protocol::handshake::{Accept, Reject, Uri};
use linkspan::protocol::{CloseCode, Config, MessageKind};

use crate::common::running::{Log, Peer, Running, Told, echo};
use crate::listen;

fn connect(running: &Running, url: &str, config: Config, handler: Told) -> ConnectionId {
    let options = ConnectOptions { config: Arc::new(config), ..ConnectOptions::new(Uri::parse(url).unwrap()) };
    running.ask(move |cx| cx.connect_with(options, Box::new(handler)).unwrap())
}

#[test]
fn a_refused_connection_is_an_error_and_the_end() {
    let running = Running::new();
    let log = Log::default();
    // A port that nobody listens on any more.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    connect(&running, &format!("ws://{address}/"), Config::default(), Told::new(&log));
    assert_eq!(log.wait("close"), "close 1006 unclean");
    let lines = log.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with(&format!("error cannot connect to {address}: Connection refused")), "{lines:?}");
}

#[test]
fn a_name_that_does_not_resolve_is_an_error_and_the_end() {
    let running = Running::new();
    let log = Log::default();
    connect(&running, "ws://no-such-host.invalid/", Config::default(), Told::new(&log));
    assert_eq!(log.wait("close"), "close 1006 unclean");
    assert!(log.lines()[0].starts_with("error cannot resolve no-such-host.invalid"), "{:?}", log.lines());
}

#[test]
fn client_and_server_talk_inside_one_loop() {
    let running = Running::new();
    let (server, client) = (Log::default(), Log::default());
    let handler = Told::new(&server).on_message(echo).on_request(|_, _, request| {
        assert_eq!(request.target, "/chat?x=1");
        Decision::Accept(Accept::default())
    });
    let config = Config { subprotocols: vec!["chat".into()], ..Config::default() };
    let address = listen(&running, config.clone(), handler);
    let lines = client.clone();
    let handler = Told::new(&client)
        .on_open(move |cx, id| {
            let engine = cx.engine(id).unwrap();
            lines.add(format!("agreed {:?} {}", engine.subprotocol(), engine.url()));
            for n in 0..50 {
                cx.send(id, MessageKind::Text, "x".repeat(n * n * 10).as_bytes()).unwrap();
            }
        })
        .on_message({
            let mut next = 0;
            move |cx, id, _, data| {
                assert_eq!(data.len(), next * next * 10);
                next += 1;
                if next == 50 {
                    cx.close(id, Some(CloseCode::new(3333)), "fifty").unwrap();
                }
            }
        });
    connect(&running, &format!("ws://{address}/chat?x=1"), config, handler);
    assert_eq!(client.wait("close"), "close 3333 clean");
    assert_eq!(server.wait("close"), "close 3333 clean");
    assert_eq!(client.wait("agreed"), format!("agreed Some(\"chat\") ws://{address}/chat?x=1"));
    assert_eq!(client.count("text"), 50);
}

#[test]
fn what_is_sent_before_the_answer_is_refused_and_a_close_then_ends_it() {
    let running = Running::new();
    let log = Log::default();
    // It accepts, and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let id = connect(&running, &url, Config::default(), Told::new(&log));
    let (stream, _) = listener.accept().unwrap();
    let mut peer = Peer { stream };
    assert!(peer.read_head().starts_with("GET / HTTP/1.1\r\n"));
    running.ask(move |cx| cx.send(id, MessageKind::Text, b"early").map(drop)).unwrap_err();
    running.remote.close(id, Some(CloseCode::NORMAL), "").unwrap();
    assert_eq!(log.wait("close"), "close 1006 unclean");
    assert_eq!(peer.read_to_end(), b"");
}

#[test]
fn a_refusal_is_told_with_its_status_and_body() {
    let running = Running::new();
    let (server, client) = (Log::default(), Log::default());
    let handler = Told::new(&server).on_request(|_, _, _| Decision::Reject(Reject::text(404, "no such room")));
    let address = listen(&running, Config::default(), handler);
    let lines = client.clone();
    let handler = Told::new(&client).on_close(move |cx, id| {
        let response = cx.engine(id).unwrap().response().unwrap();
        lines.add(format!("body {} {}", response.status, String::from_utf8_lossy(&response.body)));
    });
    connect(&running, &format!("ws://{address}/"), Config::default(), handler);
    assert_eq!(client.wait("close"), "close 1006 unclean");
    assert_eq!(client.wait("body"), "body 404 no such room\n");
    assert!(client.wait("error").contains("answered 404"));
    assert_eq!(client.count("open"), 0);
}

#[test]
fn a_server_that_hangs_up_is_an_error_and_the_end() {
    let running = Running::new();
    let log = Log::default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    connect(&running, &url, Config::default(), Told::new(&log));
    let (stream, _) = listener.accept().unwrap();
    let mut peer = Peer { stream };
    peer.read_head();
    peer.write(b"HTTP/1.1 101 Switching");
    drop(peer);
    assert_eq!(log.wait("close"), "close 1006 unclean");
    assert_eq!(log.count("error"), 1);
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let running = Running::new();
    let log = Log::default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let config = Config { handshake_timeout: 50, ..Config::default() };
    connect(&running, &url, config, Told::new(&log));
    assert!(log.wait("error").contains("opening handshake took too long"));
    assert_eq!(log.wait("close"), "close 1006 unclean");
}
