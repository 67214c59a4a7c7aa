//! The blocking driver: several threads at once, deadlines, ends of every kind.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "tls")]
#[path = "../common/certificates.rs"]
mod certificates;

mod raw;
#[cfg(feature = "tls")]
mod tls;

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use linkspan::Error;
use linkspan::blocking::{Received, WebSocket};
use linkspan::connector::ConnectOptions;
use linkspan::net::Listener;
use linkspan::protocol::handshake::{Accept, Agreed, Reject, Uri};
use linkspan::protocol::{
    CloseCode, CloseReply, Config, Delivery, Engine, Event, Fault, Input, Keys, MAX_SLICES, MessageKind, Misuse, Phase,
    PongPolicy, Side, Time,
};
use linkspan::transport::{Socket, Transport};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

fn client_engine(config: &Arc<Config>) -> Engine {
    Engine::adopted(config.clone(), Agreed::default(), "/", Some(Keys::new([7; 32])), Time::ZERO)
}

fn server_engine(config: &Arc<Config>) -> Engine {
    Engine::adopted(config.clone(), Agreed::default(), "/", None, Time::ZERO)
}

/// Two open WebSockets: a client and a server.
fn pair_with(config: Config) -> (WebSocket, WebSocket) {
    let config = Arc::new(config);
    let (a, b) = Socket::pair().unwrap();
    let client = WebSocket::new(Transport::plain(a), client_engine(&config), Vec::new()).unwrap();
    let server = WebSocket::new(Transport::plain(b), server_engine(&config), Vec::new()).unwrap();
    (client, server)
}

fn pair() -> (WebSocket, WebSocket) {
    pair_with(Config::default())
}

/// A client that is moved by hand, so that it can be slow, silent or wrong.
struct ByHand {
    engine: Engine,
    stream: UnixStream,
    closed: bool,
    pongs: Vec<Vec<u8>>,
    messages: Vec<Vec<u8>>,
}

impl ByHand {
    /// With the server at its other end.
    fn new(config: Config) -> (ByHand, WebSocket) {
        let config = Arc::new(config);
        let (near, far) = UnixStream::pair().unwrap();
        let server = Transport::plain(Socket::try_from(far).unwrap());
        let server = WebSocket::new(server, server_engine(&config), Vec::new()).unwrap();
        let engine = client_engine(&config);
        (ByHand { engine, stream: near, closed: false, pongs: Vec::new(), messages: Vec::new() }, server)
    }

    fn write(&mut self) {
        while !self.engine.outbox().is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let filled = self.engine.outgoing(&mut slices);
            let n = self.stream.write_vectored(&slices[..filled]).unwrap();
            self.engine.sent(n);
        }
    }

    /// Reads once, waiting, and answers; false at the end of the stream.
    fn turn(&mut self) -> bool {
        let mut buffer = vec![0; 64 << 10];
        let n = self.stream.read(&mut buffer).unwrap();
        let mut input = Input::new(&mut buffer[..n]);
        loop {
            match self.engine.next_event(Time::ZERO, &mut input) {
                Some(Event::Message(message)) => self.messages.push(message.data.to_vec()),
                Some(Event::Pong(data)) => self.pongs.push(data.to_vec()),
                Some(Event::Closed(_)) => self.closed = true,
                Some(_) => {}
                None => break,
            }
        }
        self.write();
        n > 0
    }
}

fn text(websocket: &WebSocket) -> String {
    String::from_utf8(websocket.recv().unwrap().unwrap().data.to_vec()).unwrap()
}

fn address(listener: &Listener) -> SocketAddr {
    listener.local_addr().socket_addr().unwrap()
}

fn accept(listener: &Listener) -> Socket {
    poll(&mut [PollFd::new(listener.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
    listener.accept().unwrap().unwrap()
}

#[test]
fn messages_go_both_ways_after_a_handshake_over_tcp() {
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/chat?a=b", address(&listener));
    let server = thread::spawn(move || {
        let transport = Transport::plain(accept(&listener));
        let config = Config { subprotocols: vec!["talk".into()], ..Config::default() };
        let websocket = WebSocket::accept(transport, Arc::new(config), |request| {
            assert_eq!(request.target, "/chat?a=b");
            Ok(Accept::default())
        });
        let websocket = websocket.unwrap();
        while let Some(message) = websocket.recv().unwrap() {
            websocket.send(message.kind, &message.data).unwrap();
        }
        websocket.close_info().unwrap()
    });
    let mut options = ConnectOptions::new(Uri::parse(&url).unwrap());
    options.config = Arc::new(Config { subprotocols: vec!["talk".into()], ..Config::default() });
    let client = WebSocket::dial_with(options).unwrap();
    assert_eq!(client.subprotocol().as_deref(), Some("talk"));
    client.send(MessageKind::Text, "héllo".as_bytes()).unwrap();
    assert_eq!(text(&client), "héllo");
    let large: Vec<u8> = (0..5_000_000_u32).map(|i| i as u8).collect();
    let sender = client.clone();
    let sending = {
        let large = large.clone();
        thread::spawn(move || sender.send(MessageKind::Binary, &large).unwrap())
    };
    let echoed = client.recv().unwrap().unwrap();
    sending.join().unwrap();
    assert_eq!(echoed.kind, MessageKind::Binary);
    assert!(*echoed.data == *large);
    let info = client.close(Some(CloseCode::NORMAL), "done").unwrap();
    assert!(info.clean);
    let info = server.join().unwrap();
    assert_eq!((info.code, info.reason.as_str(), info.clean), (CloseCode::NORMAL, "done", true));
    assert!(client.recv().unwrap().is_none());
}

#[test]
fn a_refusal_is_an_error_on_both_sides() {
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", address(&listener));
    let server = thread::spawn(move || {
        let transport = Transport::plain(accept(&listener));
        WebSocket::accept(transport, Arc::default(), |_| Err(Reject::text(403, "not you"))).unwrap_err()
    });
    let error = WebSocket::dial(&url).unwrap_err();
    assert!(matches!(error, Error::Fault(Fault::Refused(403))), "{error}");
    assert!(matches!(server.join().unwrap(), Error::Fault(Fault::Refused(403))));
}

#[test]
fn a_port_where_nobody_listens_is_named() {
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    let address = address(&listener);
    drop(listener);
    let error = WebSocket::dial(&format!("ws://{address}/")).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot connect to {address}: Connection refused")), "{error}");
}

#[test]
fn a_url_that_is_none_is_refused_at_once() {
    assert!(matches!(WebSocket::dial("gopher://x/"), Err(Error::Misuse(Misuse::UrlInvalid(_)))));
}

#[test]
fn a_server_that_answers_nothing_is_given_up() {
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    let mut options = ConnectOptions::new(Uri::parse(&format!("ws://{}/", address(&listener))).unwrap());
    options.config = Arc::new(Config { handshake_timeout: 30, ..Config::default() });
    let error = WebSocket::dial_with(options).unwrap_err();
    assert!(matches!(error, Error::Fault(Fault::HandshakeTimeout)), "{error}");
}

#[test]
fn a_server_that_hangs_up_during_the_handshake_is_an_error() {
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", address(&listener));
    let server = thread::spawn(move || drop(accept(&listener)));
    WebSocket::dial(&url).unwrap_err();
    server.join().unwrap();
}

#[test]
fn many_threads_send_and_every_message_arrives_whole() {
    let (client, server) = pair();
    let senders: Vec<_> = (0..4_u8)
        .map(|id| {
            let client = client.clone();
            thread::spawn(move || {
                for round in 0..50 {
                    // Some larger than what a socket takes at once.
                    let size = if round % 10 == 0 { 600_000 } else { 100 };
                    client.send(MessageKind::Binary, &vec![id; size]).unwrap();
                }
            })
        })
        .collect();
    let mut counts = [0; 4];
    for _ in 0..200 {
        let data = server.recv().unwrap().unwrap().data;
        assert!(data.iter().all(|byte| *byte == data[0]));
        assert!(data.len() == 100 || data.len() == 600_000);
        counts[usize::from(data[0])] += 1;
    }
    assert_eq!(counts, [50; 4]);
    senders.into_iter().for_each(|sender| sender.join().unwrap());
}

#[test]
fn both_ends_send_at_once_while_both_receive() {
    let (client, server) = pair();
    let work = |websocket: WebSocket, fill: u8| {
        let sender = websocket.clone();
        let sending = thread::spawn(move || {
            for _ in 0..6 {
                sender.send(MessageKind::Binary, &vec![fill; 1_000_000]).unwrap();
            }
        });
        thread::spawn(move || {
            for _ in 0..6 {
                assert_eq!(websocket.recv().unwrap().unwrap().data.len(), 1_000_000);
            }
            sending.join().unwrap();
        })
    };
    let (a, b) = (work(client, 1), work(server, 2));
    a.join().unwrap();
    b.join().unwrap();
}

#[test]
fn a_receiver_works_while_a_sender_waits_for_a_slow_reader() {
    let (mut peer, server) = ByHand::new(Config::default());
    let sender = server.clone();
    let (is_sending, sending) = mpsc::channel();
    let sending_thread = thread::spawn(move || {
        is_sending.send(()).unwrap();
        sender.send(MessageKind::Binary, &vec![1; 8_000_000]).unwrap();
    });
    sending.recv().unwrap();
    let receiver = server.clone();
    let (received, receiving) = mpsc::channel();
    let receiving_thread = thread::spawn(move || {
        while let Some(message) = receiver.recv().unwrap() {
            received.send(message.data.to_vec()).unwrap();
        }
    });
    // The peer reads nothing: the sender cannot have finished.
    peer.engine.ping(b"are you there").unwrap();
    peer.engine.send_text("a message meanwhile").unwrap();
    peer.write();
    assert_eq!(receiving.recv().unwrap(), b"a message meanwhile");
    assert!(!sending_thread.is_finished());
    while peer.messages.is_empty() || peer.pongs.is_empty() {
        assert!(peer.turn());
    }
    assert_eq!(peer.messages[0].len(), 8_000_000);
    assert_eq!(peer.pongs, [b"are you there"]);
    sending_thread.join().unwrap();
    peer.engine.close(Time::ZERO, None, "").unwrap();
    peer.write();
    receiving_thread.join().unwrap();
}

#[test]
fn a_close_on_another_thread_ends_a_receiver() {
    let (client, server) = pair();
    let receiver = client.clone();
    let receiving = thread::spawn(move || receiver.recv().unwrap().is_none());
    let serving = thread::spawn(move || {
        assert!(server.recv().unwrap().is_none());
        server.close_info().unwrap()
    });
    let info = client.close(Some(CloseCode::GOING_AWAY), "").unwrap();
    assert!(info.clean);
    assert_eq!(info.begun_by, Side::Local);
    assert!(receiving.join().unwrap());
    assert_eq!(serving.join().unwrap().code, CloseCode::GOING_AWAY);
}

#[test]
fn an_abort_on_another_thread_ends_a_receiver_and_a_sender() {
    let (_peer, server) = ByHand::new(Config::default());
    let receiver = server.clone();
    let receiving = thread::spawn(move || receiver.recv().unwrap().is_none());
    let sender = server.clone();
    let sending = thread::spawn(move || sender.send(MessageKind::Binary, &vec![1; 8_000_000]).unwrap_err());
    // Both may be waiting by now, or not have begun: neither may hang.
    server.abort();
    assert!(receiving.join().unwrap());
    sending.join().unwrap();
    assert_eq!(server.close_info().unwrap().code, CloseCode::ABNORMAL);
    assert!(matches!(server.send(MessageKind::Text, b"x"), Err(Error::Misuse(Misuse::Closed))));
}

#[test]
fn everything_accepted_leaves_before_the_close_frame() {
    let (client, server) = pair();
    let closing = thread::spawn(move || {
        for number in 0..100_u32 {
            client.post(MessageKind::Binary, &vec![number as u8; 50_000]).unwrap();
        }
        client.close(None, "").unwrap()
    });
    for number in 0..100 {
        assert_eq!(server.recv().unwrap().unwrap().data[0], number);
    }
    assert!(server.recv().unwrap().is_none());
    assert_eq!(server.close_info().unwrap().code, CloseCode::NO_STATUS);
    assert!(closing.join().unwrap().clean);
}

#[test]
fn a_peer_that_does_not_answer_a_close_is_given_up() {
    let (_peer, server) = ByHand::new(Config { close_timeout: 30, ..Config::default() });
    let info = server.close(Some(CloseCode::NORMAL), "bye").unwrap();
    assert!(!info.clean);
    assert_eq!((info.code, info.fault), (CloseCode::ABNORMAL, Some(Fault::CloseTimeout)));
    assert!(server.recv().unwrap().is_none());
    assert_eq!(server.close(None, "").unwrap().code, CloseCode::ABNORMAL);
}

#[test]
fn a_silent_peer_is_probed_and_given_up() {
    let (_peer, server) = ByHand::new(Config { ping_interval: 20, pong_timeout: 20, ..Config::default() });
    let error = server.recv().unwrap_err();
    assert!(matches!(error, Error::Fault(Fault::PongTimeout)), "{error}");
    assert!(server.recv().unwrap().is_none());
}

#[test]
fn a_peer_that_answers_probes_is_kept() {
    let (mut peer, server) = ByHand::new(Config { ping_interval: 10, pong_timeout: 500, ..Config::default() });
    let answering = thread::spawn(move || {
        // Two probes answered, then a message.
        for _ in 0..2 {
            peer.turn();
        }
        peer.engine.send_text("still here").unwrap();
        peer.write();
        peer
    });
    assert_eq!(text(&server), "still here");
    answering.join().unwrap();
}

#[test]
fn a_receiver_that_is_out_of_time_loses_nothing() {
    let (mut peer, server) = ByHand::new(Config::default());
    let late = server.recv_timeout(Duration::from_millis(10)).unwrap_err();
    assert!(matches!(&late, Error::Io { source, .. } if source.kind() == io::ErrorKind::TimedOut), "{late}");
    peer.engine.send_fragment(MessageKind::Text, b"half ", false).unwrap();
    peer.write();
    assert!(matches!(server.recv_event(Some(Duration::from_millis(10))).unwrap(), Received::TimedOut));
    peer.engine.send_fragment(MessageKind::Text, b"whole", true).unwrap();
    peer.write();
    assert_eq!(text(&server), "half whole");
}

#[test]
fn several_messages_in_one_read_come_one_by_one() {
    let (mut peer, server) = ByHand::new(Config::default());
    for number in 0..10 {
        peer.engine.send_text(&number.to_string()).unwrap();
    }
    peer.write();
    for number in 0..10 {
        assert_eq!(text(&server), number.to_string());
    }
}

#[test]
fn a_fault_is_told_once_after_the_peer_was() {
    let (mut peer, server) = ByHand::new(Config::default());
    // RFC 6455 5.1: not masked.
    peer.stream.write_all(&[0x81, 1, b'x']).unwrap();
    // The peer goes on: that must not destroy our close frame.
    peer.stream.write_all(&[0; 1000]).unwrap();
    let failing = thread::spawn(move || (server.recv().unwrap_err(), server));
    let mut answer = Vec::new();
    peer.stream.read_to_end(&mut answer).unwrap();
    assert_eq!(&answer[..1], [0x88]);
    assert_eq!(&answer[2..4], 1002_u16.to_be_bytes());
    drop(peer);
    let (error, server) = failing.join().unwrap();
    assert!(matches!(error, Error::Fault(Fault::Unmasked)), "{error}");
    assert!(server.recv().unwrap().is_none());
    assert_eq!(server.close_info().unwrap().code, CloseCode::PROTOCOL_ERROR);
}

#[test]
fn a_peer_that_vanishes_is_the_end_and_no_error() {
    let (peer, server) = ByHand::new(Config::default());
    drop(peer);
    assert!(server.recv().unwrap().is_none());
    let info = server.close_info().unwrap();
    assert_eq!((info.code, info.clean), (CloseCode::ABNORMAL, false));
}

#[test]
fn a_sender_learns_that_the_peer_has_gone() {
    let (peer, server) = ByHand::new(Config::default());
    drop(peer);
    let mut outcome = Ok(());
    for _ in 0..3 {
        outcome = server.send(MessageKind::Text, b"anyone there");
    }
    outcome.unwrap_err();
}

#[test]
fn a_close_frame_that_came_before_the_end_is_found_after_a_failed_send() {
    let (mut peer, server) = ByHand::new(Config::default());
    peer.engine.close(Time::ZERO, Some(CloseCode::SERVICE_RESTART), "back soon").unwrap();
    peer.write();
    drop(peer);
    server.send(MessageKind::Text, b"too late").unwrap_err();
    assert!(server.recv().unwrap().is_none());
    let info = server.close_info().unwrap();
    assert_eq!((info.code, info.reason.as_str()), (CloseCode::SERVICE_RESTART, "back soon"));
}

#[test]
fn the_application_may_answer_pings_and_closes_itself() {
    let config = Config { pong: PongPolicy::Manual, close_reply: CloseReply::Application, ..Config::default() };
    let (mut peer, server) = ByHand::new(config);
    peer.engine.ping(b"1").unwrap();
    peer.engine.close(Time::ZERO, Some(CloseCode::NORMAL), "").unwrap();
    peer.write();
    let Received::Ping(data) = server.recv_event(None).unwrap() else { panic!("no ping") };
    server.pong(&data).unwrap();
    assert!(matches!(server.recv_event(None).unwrap(), Received::CloseRequested));
    let answering = thread::spawn(move || {
        while peer.turn() {}
        assert_eq!(peer.pongs, [b"1"]);
        assert!(peer.closed);
        peer.engine.close_info().unwrap().code
    });
    server.close(Some(CloseCode::new(4000)), "").unwrap();
    assert_eq!(answering.join().unwrap(), CloseCode::new(4000));
}

#[test]
fn a_message_may_come_in_parts() {
    let (client, server) = pair_with(Config { delivery: Delivery::Parts, ..Config::default() });
    assert!(server.recv().is_err());
    let sending = thread::spawn(move || {
        client.send(MessageKind::Binary, &vec![3; 200_000]).unwrap();
        client
    });
    let mut bytes = 0;
    assert!(matches!(server.recv_event(None).unwrap(), Received::MessageBegin(MessageKind::Binary)));
    loop {
        match server.recv_event(None).unwrap() {
            Received::MessagePart(part) => bytes += part.len(),
            Received::MessageEnd => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bytes, 200_000);
    sending.join().unwrap();
}

#[test]
fn what_is_posted_leaves_with_a_flush() {
    let (mut peer, server) = ByHand::new(Config::default());
    assert!(!server.post(MessageKind::Binary, &vec![1; 2_000_000]).unwrap());
    assert!(!server.flush(Some(Duration::from_millis(5))).unwrap());
    let flushing = thread::spawn(move || server.flush(None).unwrap());
    while peer.messages.is_empty() {
        peer.turn();
    }
    assert!(flushing.join().unwrap());
}

#[test]
fn a_websocket_moves_to_another_driver_with_all_that_was_read() {
    let (mut peer, server) = ByHand::new(Config::default());
    peer.engine.send_text("one").unwrap();
    peer.engine.send_text("two").unwrap();
    peer.write();
    assert_eq!(text(&server), "one");
    let clone = server.clone();
    let server = server.into_parts().unwrap_err();
    drop(clone);
    let (transport, engine, unread) = server.into_parts().unwrap();
    assert_eq!(engine.phase(), Phase::Open);
    let again = WebSocket::new(transport, engine, unread).unwrap();
    assert_eq!(text(&again), "two");
}

#[test]
fn a_sender_gives_up_a_peer_that_reads_nothing() {
    let (_client, server) = pair_with(Config { write_timeout: 50, ..Config::default() });
    let sent = server.send(MessageKind::Binary, &vec![7; 8 << 20]);
    assert!(matches!(sent, Err(Error::Misuse(Misuse::Closed))), "{sent:?}");
    let info = server.close_info().unwrap();
    assert_eq!(info.fault, Some(Fault::WriteTimeout));
    assert!(info.unsent_bytes > 0);
}
