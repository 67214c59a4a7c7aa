//! Clients that come back: under the same name, after a loss, and not when the server meant it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/mod.rs"]
mod common;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::running::{Log, PATIENCE, Peer, Running, Told};
use linkspan::Error;
use linkspan::net::{Answer, ConnectOptions, ConnectionId, EventLoop, ReadyState, Reconnect, Resolve, SystemResolver};
use linkspan::protocol::handshake::{Uri, accept_key};
use linkspan::protocol::{CloseCode, Config, MessageKind, Misuse};

const HOUR: Duration = Duration::from_secs(3600);

/// Soon, and for ever.
fn soon() -> Reconnect {
    Reconnect { initial_delay: Duration::from_millis(2), max_delay: Duration::from_millis(5), ..Reconnect::default() }
}

/// After a delay that no test lives to see: a jitter of nothing is too rare to be met.
fn late() -> Reconnect {
    Reconnect { initial_delay: 1_000_000 * HOUR, max_delay: 1_000_000 * HOUR, ..Reconnect::default() }
}

fn options(url: &str, reconnect: Reconnect) -> ConnectOptions {
    ConnectOptions { reconnect, ..ConnectOptions::new(Uri::parse(url).unwrap()) }
}

/// A server by hand, and a client of it in a loop.
struct Meeting {
    running: Running,
    listener: TcpListener,
    log: Log,
    id: ConnectionId,
}

impl Meeting {
    fn new(reconnect: Reconnect) -> Meeting {
        Meeting::with(reconnect, |told| told)
    }

    fn with(reconnect: Reconnect, prepare: impl FnOnce(Told) -> Told) -> Meeting {
        Meeting::configured(Config::default(), reconnect, prepare)
    }

    fn configured(config: Config, reconnect: Reconnect, prepare: impl FnOnce(Told) -> Told) -> Meeting {
        let (running, log) = (Running::new(), Log::default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let options = ConnectOptions { config: config.into(), ..options(&url, reconnect) };
        let handler = prepare(Told::new(&log));
        let id = running.ask(move |cx| cx.connect_with(options, Box::new(handler)).unwrap());
        Meeting { running, listener, log, id }
    }

    /// The client comes; its request is read.
    fn meet(&self) -> (Peer<TcpStream>, String) {
        let (stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut peer = Peer { stream };
        let head = peer.read_head();
        let key = head.split_once("Sec-WebSocket-Key: ").unwrap().1.split_once("\r\n").unwrap().0.to_owned();
        (peer, key)
    }

    /// The same, and it is open.
    fn open(&self) -> Peer<TcpStream> {
        let (mut peer, key) = self.meet();
        let accept = accept_key(&key);
        peer.write(
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            )
            .as_bytes(),
        );
        peer
    }

    /// The client comes and is refused.
    fn refuse(&self, answer: &str) {
        let (mut peer, _) = self.meet();
        peer.write(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").as_bytes());
    }

    /// What the handler was told, without ids.
    fn lines(&self) -> Vec<String> {
        let id = format!(" {:?}", self.id);
        self.log.lines().into_iter().map(|line| line.replace(&id, "")).collect()
    }
}

#[test]
fn a_lost_connection_comes_back_under_its_name() {
    let meeting = Meeting::with(soon(), |told| {
        told.on_open(|cx, id| {
            cx.send(id, MessageKind::Text, b"here").unwrap();
        })
    });
    for close in [None, Some(1001_u16), Some(1011), Some(1012), Some(1013)] {
        let mut peer = meeting.open();
        peer.write(b"\x81\x02hi");
        assert_eq!(unmasked(&mut peer), b"here");
        if let Some(code) = close {
            peer.write(&[&[0x88, 2][..], &code.to_be_bytes()].concat());
        }
    }
    // This one is meant.
    let mut peer = meeting.open();
    peer.write(&[0x88, 2, 0x03, 0xe8]);
    assert_eq!(meeting.log.wait("close"), "close 1000 clean");
    let expected = ["1006", "1001", "1011", "1012", "1013"]
        .map(|code| ["open".to_owned(), "text hi".to_owned(), format!("lost {code} Connecting")]);
    let mut lines = meeting.lines();
    assert_eq!(lines.split_off(15), ["open", "close 1000 clean"]);
    assert_eq!(lines, expected.concat());
}

/// A client's frame of a few bytes.
fn unmasked(peer: &mut Peer<TcpStream>) -> Vec<u8> {
    use std::io::Read as _;
    let mut head = [0; 6];
    peer.stream.read_exact(&mut head).unwrap();
    let mut payload = vec![0; usize::from(head[1] & 0x7f)];
    peer.stream.read_exact(&mut payload).unwrap();
    payload.iter().zip(head[2..].iter().cycle()).map(|(byte, key)| byte ^ key).collect()
}

#[test]
fn a_server_that_has_no_time_is_asked_again_and_one_that_refuses_is_not() {
    let meeting = Meeting::new(soon());
    for answer in ["503 Later\r\nRetry-After: 0", "429 Slowly", "408 Timeout", "502 Bad"] {
        meeting.refuse(answer);
    }
    meeting.refuse("403 No");
    assert_eq!(meeting.log.wait("close"), "close 1006 unclean");
    assert_eq!((meeting.log.count("error"), meeting.log.count("lost"), meeting.log.count("open")), (5, 4, 0));
    let lines = meeting.lines();
    assert!(lines[0].contains("answered 503") && lines[1] == "lost 1006 Connecting", "{lines:?}");
    assert!(lines[8].contains("answered 403") && lines[9] == "close 1006 unclean", "{lines:?}");
}

#[test]
fn what_the_server_asks_for_is_waited() {
    let delays = Log::default();
    let lines = delays.clone();
    let meeting = Meeting::with(Reconnect { max_delay: Duration::from_secs(60), ..soon() }, move |told| {
        told.on_reconnect(move |cx, id, delay| {
            lines.add(format!("delay {}", delay.as_secs()));
            cx.close(id, None, "").unwrap();
        })
    });
    meeting.refuse("503 Later\r\nRetry-After: 3600");
    assert_eq!(delays.wait("delay"), "delay 60");
    meeting.log.wait("close");
}

#[test]
fn attempts_are_used_up() {
    let (running, log) = (Running::new(), Log::default());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let reconnect = Reconnect { max_attempts: 3, ..soon() };
    let (options, handler) = (options(&format!("ws://{closed}/"), reconnect), Told::new(&log));
    running.ask(move |cx| cx.connect_with(options, Box::new(handler)).unwrap());
    log.wait("close");
    assert_eq!((log.count("error cannot connect to"), log.count("lost"), log.count("close")), (4, 3, 1));
}

#[test]
fn a_connection_that_stayed_open_begins_the_row_anew() {
    let one = Reconnect { max_attempts: 1, ..soon() };
    let meeting = Meeting::new(Reconnect { reset_after: Duration::ZERO, ..one });
    for _ in 0..5 {
        drop(meeting.open());
    }
    meeting.open().write(&[0x88, 0]);
    meeting.log.wait("close 1005");
    assert_eq!(meeting.log.count("lost"), 5);

    let meeting = Meeting::new(Reconnect { reset_after: HOUR, ..one });
    drop(meeting.open());
    drop(meeting.open());
    meeting.log.wait("close 1006");
    assert_eq!(meeting.log.count("lost"), 1);
}

#[test]
fn nothing_is_sent_while_it_waits_and_a_close_ends_it_at_once() {
    let meeting = Meeting::new(late());
    drop(meeting.open());
    meeting.log.wait("lost");
    let (id, remote) = (meeting.id, &meeting.running.remote);
    assert_eq!(remote.ready_state(id), ReadyState::Connecting);
    let error = meeting.running.ask(move |cx| cx.send(id, MessageKind::Text, b"x").unwrap_err());
    assert!(matches!(error, Error::Misuse(Misuse::NotOpen)), "{error}");
    let error = remote.send(id, MessageKind::Text, *b"x").unwrap_err();
    assert!(matches!(error, Error::Misuse(Misuse::NotOpen)), "{error}");
    remote.close(id, Some(CloseCode::NORMAL), "").unwrap();
    meeting.log.wait("close 1006");
    assert_eq!(meeting.log.count("error"), 0);
    // After the turn that told it.
    meeting.running.ask(|_| ());
    assert_eq!(remote.ready_state(id), ReadyState::Closed);
}

#[test]
fn the_application_ends_it_from_every_callback() {
    // In on_reconnect.
    let meeting = Meeting::with(late(), |told| told.on_reconnect(|cx, id, _| cx.close(id, None, "").unwrap()));
    drop(meeting.open());
    meeting.log.wait("close 1006");
    assert_eq!((meeting.log.count("lost"), meeting.log.count("error")), (1, 0));
    // In on_error: not even tried.
    let meeting = Meeting::with(late(), |told| told.on_error(|cx, id| cx.close(id, None, "").unwrap()));
    meeting.refuse("503 Later");
    meeting.log.wait("close 1006");
    assert_eq!((meeting.log.count("lost"), meeting.log.count("error")), (0, 1));
    // In on_message: the server's answer is the end, whatever its code.
    let meeting = Meeting::with(late(), |told| told.on_message(|cx, id, _, _| cx.close(id, None, "").unwrap()));
    let mut peer = meeting.open();
    peer.write(b"\x81\x02hi");
    unmasked(&mut peer);
    peer.write(&[0x88, 2, 0x03, 0xe9]);
    meeting.log.wait("close 1001");
    assert_eq!(meeting.log.count("lost"), 0);
}

#[test]
fn what_could_not_be_sent_is_counted_at_each_loss() {
    const MUCH: usize = 20 << 20;
    let meeting = Meeting::with(soon(), |told| {
        told.on_open(|cx, id| {
            cx.send(id, MessageKind::Binary, &vec![0; MUCH]).unwrap();
        })
    });
    // Two that read nothing, and go.
    for _ in 0..2 {
        drop(meeting.open());
    }
    for line in meeting.log.wait_for(2, "lost") {
        let unsent: usize = line.rsplit("unsent ").next().unwrap().parse().unwrap();
        assert!(unsent > 0 && unsent <= MUCH, "{line}");
    }
}

#[test]
fn a_loop_that_goes_tells_those_that_wait() {
    for drains in [true, false] {
        let log = Log::default();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut event_loop = EventLoop::new().unwrap();
        let options = options(&format!("ws://{closed}/"), late());
        event_loop.context().connect_with(options, Box::new(Told::new(&log))).unwrap();
        while log.count("lost") == 0 {
            event_loop.run_once(Some(PATIENCE)).unwrap();
        }
        assert_eq!(log.count("close"), 0);
        if drains {
            event_loop.context().drain(CloseCode::GOING_AWAY, "", HOUR);
            event_loop.run().unwrap();
        } else {
            drop(event_loop);
        }
        assert_eq!((log.count("lost"), log.count("close")), (1, 1), "{:?}", log.lines());
    }
}

#[test]
fn what_another_thread_was_promised_in_the_moment_of_the_loss_is_counted() {
    let config = Config { ping_interval: 10, pong_timeout: 10, ..Config::default() };
    let meeting = Meeting::configured(config, late(), |told| {
        // As another thread would: through the queue, before anybody was told of the loss.
        told.on_error(|cx, id| {
            cx.remote().send(id, MessageKind::Text, *b"late").unwrap();
        })
    });
    let _silent = meeting.open();
    meeting.log.wait("error no pong came in time");
    meeting.log.wait("lost");
    meeting.running.remote.close(meeting.id, None, "").unwrap();
    assert_eq!(meeting.log.wait("close"), "close 1006 unclean unsent 4");
}

/// A name that is not there, that hangs, and then is there, over and over.
#[derive(Debug, Default)]
struct Flapping {
    asked: AtomicUsize,
}

impl Resolve for Flapping {
    fn resolve(&self, host: &str, port: u16, answer: Answer) {
        match self.asked.fetch_add(1, Ordering::Relaxed) % 3 {
            0 => answer(Err(Error::Resolve { host: host.to_owned(), why: "try again later".into() })),
            // Dropped: nobody ever answers.
            1 => drop(answer),
            _ => answer(Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])),
        }
    }
}

#[test]
fn names_that_fail_hang_and_flap_are_asked_again() {
    let (running, log) = (Running::new(), Log::default());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://flapping.example:{}/", listener.local_addr().unwrap().port());
    let options = ConnectOptions {
        resolver: Some(Arc::new(Flapping::default())),
        resolve_timeout: Duration::from_millis(20),
        ..options(&url, soon())
    };
    let handler = Told::new(&log);
    running.ask(move |cx| cx.connect_with(options, Box::new(handler)).unwrap());
    for _ in 0..2 {
        let (stream, _) = listener.accept().unwrap();
        Peer { stream }.read_head();
    }
    let errors = log.wait_for(6, "error");
    assert_eq!(errors[0], "error cannot resolve flapping.example: try again later");
    assert_eq!(errors[1], "error cannot resolve flapping.example: no answer within 0.02 s");
    assert!(errors[2].contains("the server ended the connection"), "{errors:?}");
    assert_eq!(errors[4], "error cannot resolve flapping.example: no answer within 0.02 s");
    log.wait_for(6, "lost");
    assert_eq!(log.count("close"), 0);
}

#[test]
fn the_systems_resolver_is_asked_again_too() {
    let (running, log) = (Running::new(), Log::default());
    let options = ConnectOptions {
        resolver: Some(Arc::new(SystemResolver::new())),
        ..options("ws://no-such-host.invalid/", Reconnect { max_attempts: 1, ..soon() })
    };
    let handler = Told::new(&log);
    running.ask(move |cx| cx.connect_with(options, Box::new(handler)).unwrap());
    log.wait("close");
    assert_eq!((log.count("error cannot resolve no-such-host.invalid"), log.count("lost")), (2, 1));
}
