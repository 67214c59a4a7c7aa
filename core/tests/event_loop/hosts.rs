//! A host's own transports, and connections that move from one driver to another.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use linkspan::blocking::WebSocket;
use linkspan::net::{Adopt, EventLoop, Released};
use linkspan::protocol::handshake::Agreed;
use linkspan::protocol::{CloseCode, Config, Engine, MessageKind};
use linkspan::transport::{HostTransport, Transport};

use crate::common::running::{Log, Running, Told, echo};
use crate::common::wire::frame;

/// A host with bytes in its own buffers and a socket that stays silent.
struct Buffered {
    /// Handed out in pieces of this size.
    piece: usize,
    bytes: Vec<u8>,
    at: usize,
    /// `WouldBlock` so often before the end shows.
    hesitations: usize,
    written: Arc<Mutex<Vec<u8>>>,
    reads: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
    socket: UnixStream,
}

#[derive(Default)]
struct Watched {
    written: Arc<Mutex<Vec<u8>>>,
    reads: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
}

impl Buffered {
    fn new(bytes: Vec<u8>, piece: usize, hesitations: usize) -> (Buffered, Watched, UnixStream) {
        let (socket, far) = UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        let watched = Watched::default();
        let host = Buffered {
            piece,
            bytes,
            at: 0,
            hesitations,
            written: watched.written.clone(),
            reads: watched.reads.clone(),
            closed: watched.closed.clone(),
            socket,
        };
        (host, watched, far)
    }
}

impl HostTransport for Buffered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let n = self.piece.min(buffer.len()).min(self.bytes.len() - self.at);
        if n == 0 {
            if self.hesitations == 0 {
                return Ok(0);
            }
            self.hesitations -= 1;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        buffer[..n].copy_from_slice(&self.bytes[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut written = self.written.lock().unwrap();
        let before = written.len();
        slices.iter().for_each(|slice| written.extend_from_slice(slice));
        Ok(written.len() - before)
    }

    fn close(&mut self) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn peer(&self) -> String {
        "a test".into()
    }
}

fn adopt_host(running: &Running, host: Buffered, handler: Told) {
    running.ask(move |cx| {
        let engine = Engine::adopted(Arc::default(), Agreed::default(), "/", None, cx.now());
        let how = Adopt::Engine(Box::new(engine));
        let id = cx.adopt_with(Transport::host(host), how, Vec::new(), Box::new(handler)).unwrap();
        assert_eq!(cx.peer(id).unwrap().to_string(), "a test");
    });
}

#[test]
fn a_host_is_read_at_adoption_and_until_it_has_no_more_though_its_socket_is_silent() {
    let running = Running::new();
    let log = Log::default();
    // Above the budget of one turn, in pieces that end anywhere.
    let message = frame(0x82, Some([1, 2, 3, 4]), &vec![9; 100_000]);
    let mut bytes: Vec<u8> = message.repeat(50);
    bytes.extend(frame(0x88, Some([1, 2, 3, 4]), &1000u16.to_be_bytes()));
    let (host, watched, far) = Buffered::new(bytes, 7_777, usize::MAX);
    adopt_host(&running, host, Told::new(&log));
    assert_eq!(log.wait("close"), "close 1000 clean");
    assert_eq!(log.count("binary 100000"), 50);
    assert_eq!(*watched.written.lock().unwrap(), b"\x88\x02\x03\xe8");
    assert_eq!(watched.closed.load(Ordering::SeqCst), 0, "the end of its stream is still to come");
    drop((running, far));
    assert_eq!(watched.closed.load(Ordering::SeqCst), 1);
}

#[test]
fn an_end_that_shows_late_is_found_without_new_readiness() {
    let running = Running::new();
    let log = Log::default();
    let (host, watched, far) = Buffered::new(frame(0x81, Some([0; 4]), b"last"), 100, 1);
    // The far end hangs up: the one readiness that there is. The host shows it one read later.
    drop(far);
    adopt_host(&running, host, Told::new(&log));
    log.wait("text last");
    assert_eq!(log.wait("close"), "close 1006 unclean");
    running.ask(|cx| assert!(cx.connections().is_empty()));
    assert_eq!(watched.closed.load(Ordering::SeqCst), 1);
}

#[test]
fn one_busy_connection_does_not_keep_the_others_waiting() {
    let running = Running::new();
    let (busy, log) = (Log::default(), Log::default());
    // Endless: its host always has more.
    let (mut host, _watched, _far) = Buffered::new(frame(0x81, Some([0; 4]), b"more"), 10, usize::MAX);
    host.bytes = host.bytes.repeat(1_000_000);
    adopt_host(&running, host, Told::new(&busy));
    busy.wait("text");
    let (_, mut peer) = running.open(Config::default(), Told::new(&log).on_message(echo));
    peer.text("me too");
    assert_eq!(peer.read_text(), "me too");
    assert!(busy.count("text") < 1_000_000, "the busy one came to its end first");
}

#[test]
fn a_released_connection_goes_on_where_it_was_on_a_thread_and_back_in_a_loop() {
    let running = Running::new();
    let log = Log::default();
    let (sender, receiver) = mpsc::channel::<Released>();
    let handler = Told::new(&log).on_message(move |cx, id, _, data| {
        if data == b"release" {
            sender.send(cx.release(id).unwrap()).unwrap();
        }
    });
    let (id, mut peer) = running.open(Config::default(), handler);
    // In one packet: a message behind the one that releases, and half of another.
    let whole = frame(0x81, Some([1, 2, 3, 4]), b"by the thread");
    let half = frame(0x81, Some([5, 6, 7, 8]), b"half here and half there");
    peer.write(&[frame(0x81, Some([9; 4]), b"release"), whole, half[..9].to_vec()].concat());
    let released = receiver.recv().unwrap();
    assert!(running.remote.send(id, MessageKind::Text, "gone").is_err());
    let websocket = WebSocket::new(released.transport, *released.engine.unwrap(), released.unread).unwrap();
    let thread = thread::spawn(move || {
        assert_eq!(&*websocket.recv().unwrap().unwrap().data, b"by the thread");
        websocket.send(MessageKind::Text, b"and back").unwrap();
        assert_eq!(&*websocket.recv().unwrap().unwrap().data, b"half here and half there");
        websocket.into_parts().unwrap()
    });
    assert_eq!(peer.read_text(), "and back");
    peer.write(&half[9..]);
    let (transport, engine, unread) = thread.join().unwrap();
    // Another loop takes it.
    let other = Running::new();
    let back = Log::default();
    let handler = Box::new(Told::new(&back).on_message(echo));
    other.ask(move |cx| cx.adopt_with(transport, Adopt::Engine(Box::new(engine)), unread, handler).map(drop)).unwrap();
    peer.text("home again");
    assert_eq!(peer.read_text(), "home again");
    peer.close(1000);
    back.wait("close 1000 clean");
    // The first loop heard one message, and of no end.
    assert_eq!(log.lines()[1..], ["text release"]);
    assert_eq!(back.count("open"), 0);
}

#[test]
fn a_connection_that_is_released_between_two_turns_takes_what_it_had_not_read() {
    let running = Running::new();
    let log = Log::default();
    let (id, mut peer) = running.open(Config::default(), Told::new(&log));
    log.wait("open");
    running.remote.pause(id).unwrap();
    running.ask(|_| ());
    peer.text("unread");
    let released = running.ask(move |cx| cx.release(id)).unwrap();
    let mut engine = released.engine.unwrap();
    engine.resume();
    let websocket = WebSocket::new(released.transport, *engine, released.unread).unwrap();
    assert_eq!(&*websocket.recv().unwrap().unwrap().data, b"unread");
    peer.send(0x88, &1000u16.to_be_bytes());
    assert!(websocket.recv().unwrap().is_none());
    assert_eq!(websocket.close_info().unwrap().code, CloseCode::NORMAL);
    assert_eq!(log.count("close"), 0);
}

#[test]
fn a_loop_may_run_on_a_thread_that_the_host_made_and_inside_another_loop() {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    let mut event_loop = EventLoop::new().unwrap();
    let log = Log::default();
    let (socket, mut peer) = crate::common::running::pair();
    let mut cx = event_loop.context();
    let config = Arc::new(Config { ping_interval: 30, pong_timeout: 10_000, ..Config::default() });
    let engine = Engine::adopted(config, Agreed::default(), "/", None, cx.now());
    let handler = Box::new(Told::new(&log).on_message(echo));
    let how = Adopt::Engine(Box::new(engine));
    let id = cx.adopt_with(Transport::plain(socket), how, Vec::new(), handler).unwrap();
    // Something to do at once.
    assert_eq!(event_loop.next_timeout(), Some(Duration::ZERO));
    let remote = event_loop.remote();
    let far = thread::spawn(move || {
        peer.text("one");
        assert_eq!(peer.read_text(), "one");
        // The ping comes by the deadline, the message by another thread.
        assert_eq!(peer.frame().unwrap(), (0x89, vec![]));
        remote.send(id, MessageKind::Text, "two").unwrap();
        assert_eq!(peer.read_text(), "two");
        peer.close(1000);
    });
    while log.count("close") == 0 {
        let timeout = event_loop.next_timeout().map_or(10_000, |timeout| timeout.as_millis() as u16 + 1);
        // SAFETY: the loop lives, and with it its descriptor.
        let fd = unsafe { BorrowedFd::borrow_raw(event_loop.fd()) };
        let ready = poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::from(timeout)).unwrap();
        let is_due = event_loop.next_timeout().is_some_and(|timeout| timeout.is_zero());
        assert!(ready > 0 || is_due || timeout < 10_000, "nothing happens");
        event_loop.run_once(Some(Duration::ZERO)).unwrap();
    }
    far.join().unwrap();
    assert_eq!(log.wait("close"), "close 1000 clean");
}

#[test]
fn what_is_asked_between_two_turns_makes_the_descriptor_readable() {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    let mut event_loop = EventLoop::new().unwrap();
    event_loop.run_once(Some(Duration::ZERO)).unwrap();
    let ready = |event_loop: &EventLoop| {
        // SAFETY: the loop lives, and with it its descriptor.
        let fd = unsafe { BorrowedFd::borrow_raw(event_loop.fd()) };
        poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO).unwrap()
    };
    assert_eq!(ready(&event_loop), 0);
    event_loop.context().drain(CloseCode::GOING_AWAY, "", Duration::from_secs(600));
    assert_eq!(ready(&event_loop), 1);
    assert!(!event_loop.is_stopping());
    event_loop.run_once(Some(Duration::ZERO)).unwrap();
    assert!(event_loop.is_stopping());
    assert_eq!(ready(&event_loop), 0);
}
