//! The blocking driver's calls that never wait: both ends of a connection on one thread.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use linkspan::Error;
use linkspan::blocking::{Dial, Outbound, RawStream, Received, WebSocket};
use linkspan::connector::{Answer, ConnectOptions, Resolve};
use linkspan::net::Listener;
use linkspan::protocol::handshake::{Accept, Agreed, Uri};
use linkspan::protocol::{CloseCode, CloseReply, Config, Engine, Fault, Keys, MessageKind, Misuse, Phase, Side, Time};
use linkspan::transport::{Socket, Transport};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

fn pair_with(config: Config) -> (WebSocket, WebSocket) {
    let config = Arc::new(config);
    let (a, b) = Socket::pair().unwrap();
    let engine = |keys| Engine::adopted(config.clone(), Agreed::default(), "/", keys, Time::ZERO);
    let client = WebSocket::new(Transport::plain(a), engine(Some(Keys::new([7; 32]))), Vec::new()).unwrap();
    (client, WebSocket::new(Transport::plain(b), engine(None), Vec::new()).unwrap())
}

/// A client whose peer writes bytes by hand.
fn client() -> (WebSocket, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    let engine = Engine::adopted(Arc::default(), Agreed::default(), "/", Some(Keys::new([7; 32])), Time::ZERO);
    (WebSocket::new(Transport::plain(Socket::try_from(near).unwrap()), engine, Vec::new()).unwrap(), far)
}

fn text(websocket: &WebSocket) -> Option<String> {
    match websocket.try_recv().unwrap()? {
        Received::Message(message) => Some(String::from_utf8(message.data.to_vec()).unwrap()),
        other => panic!("{other:?}"),
    }
}

fn is_closed(websocket: &WebSocket) -> bool {
    matches!(websocket.try_recv().unwrap(), Some(Received::Closed))
}

#[test]
fn both_ends_live_on_one_thread() {
    let (client, server) = pair_with(Config::default());
    assert_eq!(text(&client), None);
    assert!(client.try_send(Outbound::Message(MessageKind::Text, b"one")).unwrap());
    assert!(client.try_send(Outbound::Fragment(MessageKind::Text, b"t", false)).unwrap());
    assert!(client.try_send(Outbound::Ping(b"?")).unwrap());
    assert!(client.try_send(Outbound::Fragment(MessageKind::Text, b"wo", true)).unwrap());
    assert!(client.try_send(Outbound::Pong(b"!")).unwrap());
    assert_eq!(text(&server).unwrap(), "one");
    assert!(matches!(server.try_recv().unwrap(), Some(Received::Ping(payload)) if payload == b"?"));
    assert_eq!(text(&server).unwrap(), "two");
    assert!(matches!(server.try_recv().unwrap(), Some(Received::Pong(payload)) if payload == b"!"));
    assert_eq!(text(&server), None);
    assert!(matches!(client.try_recv().unwrap(), Some(Received::Pong(payload)) if payload == b"?"));

    client.start_close(Some(CloseCode::NORMAL), "done").unwrap();
    client.start_close(Some(CloseCode::GOING_AWAY), "again").unwrap();
    assert!(!is_closed(&client));
    assert!(is_closed(&server) && is_closed(&server));
    assert_eq!(server.close_info().unwrap().reason, "done");
    assert!(is_closed(&client) && client.close_info().unwrap().clean);
    // The end of the stream comes behind.
    assert!(is_closed(&client) && client.is_over());
    assert!(is_closed(&server) && server.is_over());
}

#[test]
fn a_caller_is_told_what_to_wait_for() {
    let (client, server) = pair_with(Config { ping_interval: 20_000, ..Config::default() });
    let (interest, left) = client.awaits();
    assert!(interest.reading && !interest.writing);
    assert!(left.unwrap() <= Duration::from_secs(20));
    // More than the socket takes.
    assert!(!client.try_send(Outbound::Message(MessageKind::Binary, &vec![1; 2_000_000])).unwrap());
    assert!(client.awaits().0.writing);
    let message = loop {
        if let Some(Received::Message(message)) = server.try_recv().unwrap() {
            break message;
        }
        client.flush(Some(Duration::ZERO)).unwrap();
    };
    assert_eq!(message.data.len(), 2_000_000);
    assert!(!client.awaits().0.writing);
    server.try_send(Outbound::Message(MessageKind::Text, b"x")).unwrap();
    client.wait(None);
    assert_eq!(text(&client).unwrap(), "x");
    client.wait(Some(Duration::from_millis(1)));
    assert_eq!(text(&client), None);
}

#[test]
fn a_fault_is_no_end_before_the_peer_was_told() {
    let (client, mut peer) = client();
    peer.write_all(&[0x83, 0]).unwrap();
    assert!(client.try_recv().unwrap().is_none());
    let mut told = [0; 6];
    peer.read_exact(&mut told).unwrap();
    assert_eq!(told[0], 0x88);
    assert!(client.try_recv().unwrap().is_none());
    drop(peer);
    assert!(is_closed(&client) && client.is_over());
    assert_eq!(client.close_info().unwrap().fault, Some(Fault::ReservedOpcode(3)));
}

#[test]
fn raw_bytes_leave_in_their_turn_and_no_end_is_clean_any_more() {
    let (client, mut peer) = client();
    client.try_send(Outbound::Fragment(MessageKind::Text, b"", false)).unwrap();
    client.try_send(Outbound::Raw(&[0x80, 0])).unwrap();
    client.try_send(Outbound::Raw(&[0x8f])).unwrap();
    let mut sent = [0; 9];
    peer.read_exact(&mut sent).unwrap();
    assert_eq!((&sent[..2], &sent[6..]), ([0x01, 0x80].as_slice(), [0x80, 0, 0x8f].as_slice()));
    // What the peer says is heard as ever.
    peer.write_all(b"\x81\x02ok\x88\x02\x03\xea").unwrap();
    assert_eq!(text(&client).unwrap(), "ok");
    assert!(is_closed(&client));
    let info = client.close_info().unwrap();
    assert_eq!((info.code.as_u16(), info.clean, info.begun_by), (1002, false, Side::Remote));
    assert!(matches!(client.try_send(Outbound::Raw(b"x")), Err(Error::Misuse(Misuse::Closed))));
}

#[test]
fn raw_bytes_may_follow_our_close_frame_and_not_fill_the_memory() {
    let config = Config { max_outbox_bytes: 1000, close_reply: CloseReply::Application, ..Config::default() };
    let (client, server) = pair_with(config);
    let full = client.try_send(Outbound::Raw(&[0; 1001])).unwrap_err();
    assert!(matches!(full, Error::Misuse(Misuse::OutboxFull { limit: 1000 })));
    client.start_close(None, "").unwrap();
    client.try_send(Outbound::Raw(&[0x89, 0x80, 0, 0, 0, 0])).unwrap();
    assert!(matches!(server.try_recv().unwrap(), Some(Received::CloseRequested)));
    // A close that we answer is no cleaner.
    server.try_send(Outbound::Raw(&[0x89, 0])).unwrap_err();
    server.start_close(None, "").unwrap();
    assert!(is_closed(&server) && server.close_info().unwrap().clean);
    assert!(is_closed(&client) && !client.close_info().unwrap().clean);
}

/// Answers when it is told to, or drops the question.
#[derive(Debug)]
struct Slow {
    answers: bool,
}

impl Resolve for Slow {
    fn resolve(&self, _: &str, port: u16, answer: Answer) {
        let answers = self.answers;
        thread::spawn(move || {
            if answers {
                answer(Ok(vec![([127, 0, 0, 1], port).into()]));
            }
        });
    }
}

fn options(listener: &Listener, resolver: Slow) -> ConnectOptions {
    let port = listener.local_addr().socket_addr().unwrap().port();
    let mut options = ConnectOptions::new(Uri::parse(&format!("ws://slow.example:{port}/")).unwrap());
    options.resolver = Some(Arc::new(resolver));
    options.resolve_timeout = Duration::from_millis(300);
    options.proxy = linkspan::connector::ProxyChoice::Direct;
    options
}

#[test]
fn a_dial_goes_on_whenever_something_has_come() {
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    let mut dial = Dial::new(options(&listener, Slow { answers: true })).unwrap();
    assert!(dial.go_on().unwrap().is_none());
    let (interests, left) = dial.awaits();
    assert!(interests.iter().any(|interest| interest.reading) && left.is_some());
    let server = thread::spawn(move || {
        poll(&mut [PollFd::new(listener.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
        let transport = Transport::plain(listener.accept().unwrap().unwrap());
        WebSocket::accept(transport, Arc::default(), |_| Ok(Accept::default())).unwrap()
    });
    let client = loop {
        if let Some(client) = dial.go_on().unwrap() {
            break client;
        }
        dial.wait(None);
    };
    assert_eq!(client.ask(Engine::phase), Phase::Open);
    assert!(matches!(dial.go_on(), Err(Error::Gone)));
    server.join().unwrap();
}

#[test]
fn a_resolver_that_drops_the_question_is_waited_for_until_the_deadline() {
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    let mut dial = Dial::new(options(&listener, Slow { answers: false })).unwrap();
    let mut waits = 0;
    let error = loop {
        match dial.go_on() {
            Ok(_) => dial.wait(None),
            Err(error) => break error.to_string(),
        }
        waits += 1;
    };
    assert_eq!(error, "cannot resolve slow.example: no answer within 0.3 s");
    assert!(waits < 10, "{waits} waits");
}

#[test]
fn a_raw_dial_sends_nothing_by_itself() {
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    let stream = RawStream::dial_with(options(&listener, Slow { answers: true })).unwrap();
    let socket = listener.accept().unwrap().unwrap();
    stream.write_all(b"hello").unwrap();
    let mut buffer = [0; 64];
    poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
    assert_eq!(socket.read(&mut buffer).unwrap(), 5);
    assert!(stream.awaits().reading && !stream.awaits().writing);
    assert_eq!(stream.read(&mut buffer, Some(Duration::ZERO)).unwrap(), None);
    assert_eq!(socket.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}
