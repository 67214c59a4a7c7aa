//! `linkspan echo` and `linkspan serve-topics`, as servers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use common::{Scratch, Served, finish, linkspan, run};
use linkspan::net::{ConnectOptions, ConnectionId, Context, EventLoop, Handler, ReadyState};
use linkspan::protocol::handshake::Uri;
use linkspan::protocol::{CloseInfo, MessageKind};
use nix::sys::signal::Signal;

#[test]
fn echo_drains_with_1001_on_a_signal() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let echo = Served::new(&["echo"]);
        let mut child = linkspan(&["connect", "--json", "-x", "hi", "-w", "-1", &echo.url]).spawn().unwrap();
        let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        while !lines.next().unwrap().unwrap().contains("\"data\":\"hi\"") {}
        echo.signal(signal);
        let close: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!((&close["code"], &close["reason"]), (&1001.into(), &"the server goes down".into()));
        assert_eq!(finish(child).status, Some(0));
        assert_eq!(echo.finish().status, Some(0), "{signal}");
    }
}

#[test]
fn echo_serves_a_unix_socket() {
    let scratch = Scratch::new("unix");
    let path = scratch.0.join("a b:c?.sock");
    let echo = Served::new(&["echo", "--unix", path.to_str().unwrap()]);
    assert!(echo.url.starts_with("ws+unix:///") && echo.url.ends_with("a%20b%3Ac%3F.sock:/"), "{}", echo.url);
    let done = run(&["connect", "-1", &echo.url], b"over a file\n");
    assert_eq!((done.status, done.out.as_str()), (Some(0), "over a file\n"), "{}", done.err);
    echo.signal(Signal::SIGTERM);
    assert_eq!(echo.finish().status, Some(0));
    assert!(!path.exists());
}

#[test]
fn echo_tells_who_comes_and_goes_when_asked() {
    let mut echo = Served::new(&["echo", "-v"]);
    let mut log = echo.log().lines();
    run(&["connect", &format!("{}a%1b?b=c", echo.url), "--close", "4000:b\u{7}ye"], b"");
    let came = log.next().unwrap().unwrap();
    assert!(came.contains("127.0.0.1:") && came.ends_with("connected to /a%1b?b=c"), "{came}");
    let went = log.next().unwrap().unwrap();
    assert!(went.ends_with("closed by the client: 4000 b\\u{7}ye"), "{went}");
}

#[test]
fn echo_listens_on_this_machine_only() {
    let echo = Served::new(&["echo"]);
    assert!(echo.url.starts_with("ws://127.0.0.1:"), "{}", echo.url);
    let done = run(&["help", "echo"], b"");
    let help = done.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("[default: 127.0.0.1:9998]"), "{}", done.out);
    let taken = echo.url.trim_start_matches("ws://").trim_end_matches('/');
    let done = run(&["echo", "--listen", taken], b"");
    assert_eq!(done.status, Some(1));
    assert_eq!(done.err, format!("linkspan: cannot listen on {taken}: Address already in use (os error 98)\n"));
}

#[test]
fn echo_lets_pages_of_named_origins_in_only() {
    let echo = Served::new(&["echo", "--origin", "https://good.example"]);
    let good = run(&["connect", "-1", "-o", "https://good.example", &echo.url], b"hi\n");
    assert_eq!((good.status, good.out.as_str()), (Some(0), "hi\n"));
    let bad = run(&["connect", "-1", "-o", "https://bad.example", &echo.url], b"hi\n");
    assert_eq!(bad.status, Some(1));
    assert!(
        bad.err.starts_with("linkspan: the server answered 403 Forbidden: this origin is not allowed"),
        "{}",
        bad.err
    );
}

/// Sends a lot at once, and counts what comes back.
struct Eager {
    left: Arc<AtomicUsize>,
}

impl Handler for Eager {
    fn on_open(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        cx.pause(id).unwrap();
        for _ in 0..self.left.load(Relaxed) {
            cx.send(id, MessageKind::Binary, &[7; 1 << 20]).unwrap();
        }
    }

    fn on_message(&mut self, cx: &mut Context<'_>, id: ConnectionId, _: MessageKind, data: &[u8]) {
        assert_eq!(data.len(), 1 << 20);
        if self.left.fetch_sub(1, Relaxed) == 1 {
            cx.close(id, None, "").unwrap();
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_>, _: ConnectionId, _: &CloseInfo) {
        cx.stop();
    }
}

#[test]
fn echo_reads_no_more_from_a_client_that_does_not_read() {
    let echo = Served::new(&["echo", "--max-message", "1048576"]);
    let left = Arc::new(AtomicUsize::new(48));
    let mut event_loop = EventLoop::new().unwrap();
    let options = ConnectOptions::new(Uri::parse(&echo.url).unwrap());
    let id = event_loop.context().connect_with(options, Box::new(Eager { left: left.clone() })).unwrap();
    // Until nothing moves for half a second: all the buffers, there and back, are full.
    let mut waiting = (0, ReadyState::Connecting);
    let now = |event_loop: &mut EventLoop| {
        let cx = event_loop.context();
        (cx.buffered_amount(id), cx.ready_state(id))
    };
    while waiting.1 != ReadyState::Open || now(&mut event_loop) != waiting {
        waiting = now(&mut event_loop);
        event_loop.run_once(Some(Duration::from_millis(500))).unwrap();
    }
    assert!(waiting.0 > 1 << 20, "{waiting:?}");
    event_loop.context().resume(id).unwrap();
    event_loop.run().unwrap();
    assert_eq!(left.load(Relaxed), 0, "not all came back");
}

/// A client of a topic, and the events that it tells.
struct Client {
    child: Child,
    stdin: ChildStdin,
    events: Lines<BufReader<ChildStdout>>,
}

impl Client {
    /// Has subscribed when this returns: it has seen what it sent itself, or a pong.
    fn new(url: &str) -> Client {
        let mut command = linkspan(&["connect", "--json", "--slash", "-w", "-1", url]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let events = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut client = Client { stdin: child.stdin.take().unwrap(), child, events };
        assert_eq!(client.next()["type"], "open");
        client.say("/ping");
        assert_eq!(client.next()["type"], "pong");
        client
    }

    fn say(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    fn next(&mut self) -> serde_json::Value {
        serde_json::from_str(&self.events.next().unwrap().unwrap()).unwrap()
    }

    fn close(mut self) {
        self.say("/close");
        assert_eq!(self.next()["type"], "close");
        assert_eq!(finish(self.child).status, Some(0));
    }
}

#[test]
fn topics_bring_a_message_to_all_others_at_the_path() {
    let served = Served::new(&["serve-topics"]);
    let at = |path: &str| Client::new(&format!("{}{path}", served.url));
    let (mut ann, mut bob, mut eve) = (at("news%2Fa"), at("news/a?x=1"), at("other"));
    ann.say("hello");
    assert_eq!(bob.next()["data"], "hello");
    bob.say("back");
    assert_eq!(ann.next()["data"], "back");
    // Eve got nothing of it, nor anybody what they said themselves.
    for client in [&mut ann, &mut bob, &mut eve] {
        client.say("/ping");
        assert_eq!(client.next()["type"], "pong");
    }
    for client in [ann, bob, eve] {
        client.close();
    }
    served.signal(Signal::SIGINT);
    assert_eq!(served.finish().status, Some(0));
}

#[test]
fn topics_send_back_when_told_to() {
    let served = Served::new(&["serve-topics", "--echo-own"]);
    let mut ann = Client::new(&format!("{}a", served.url));
    ann.say("hello");
    assert_eq!(ann.next()["data"], "hello");
    ann.close();
}

#[test]
fn topics_treat_slow_readers_as_told() {
    for (what, dropped_some) in [("drop", true), ("close", false)] {
        let arguments = ["serve-topics", "-v", "--metrics", "--max-message", "1048576", "--slow-reader", what];
        let mut served = Served::new(&arguments);
        let mut log = served.log().lines();
        let mut ann = Client::new(&format!("{}a", served.url));
        // One that asks, and then reads nothing.
        let address = served.url.trim_start_matches("ws://").trim_end_matches('/');
        let mut slow = TcpStream::connect(address).unwrap();
        let upgrade = "GET /a HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
        let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        write!(slow, "{upgrade}{key}").unwrap();
        for _ in 0..2 {
            assert!(log.next().unwrap().unwrap().ends_with("connected to /a"));
        }
        // Far more than the kernel's buffers and what may wait.
        let line = "x".repeat(1 << 20);
        for _ in 0..32 {
            ann.say(&line);
        }
        ann.say("/ping");
        assert_eq!(ann.next()["type"], "pong");
        if !dropped_some {
            let told = log.next().unwrap().unwrap();
            assert!(told.contains("the peer reads too slowly"), "{told}");
        }
        let metrics = get(&served.url, "/metrics");
        let has_none = metrics.contains("\nlinkspan_refused_dropped_total 0\n");
        assert_eq!(!has_none, dropped_some, "{metrics}");
        ann.close();
    }
}

#[test]
fn topics_need_a_name() {
    let served = Served::new(&["serve-topics"]);
    let done = run(&["connect", &served.url], b"");
    assert_eq!(
        done.err,
        "linkspan: the server answered 404 Not Found: the path names the topic: /TOPIC, 1 to 255 bytes\n"
    );
}

fn get(url: &str, target: &str) -> String {
    let address = url.trim_start_matches("ws://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn topics_tell_what_they_counted_when_told_to() {
    let served = Served::new(&["serve-topics", "--metrics"]);
    let ann = Client::new(&format!("{}a", served.url));
    let answer = get(&served.url, "/metrics");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.contains("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"),
        "{answer}"
    );
    assert!(answer.contains("\nlinkspan_opened_total 1\n") && answer.ends_with("# EOF\n"), "{answer}");
    ann.close();
    assert!(get(&served.url, "/").starts_with("HTTP/1.1 426 "));
    let without = Served::new(&["serve-topics"]);
    assert!(get(&without.url, "/metrics").starts_with("HTTP/1.1 426 "));
}
