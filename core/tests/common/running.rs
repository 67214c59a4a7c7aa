//! A loop on a thread of its own, a log of what its handler is told, and a peer that speaks plain frames.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use linkspan::Error;
use linkspan::net::{Adopt, ConnectionId, Context, Decision, EventLoop, Handler, Remote};
use linkspan::protocol::handshake::{Accept, Agreed, Request};
use linkspan::protocol::{CloseInfo, Config, Engine, Keys, MessageKind};
use linkspan::transport::{Socket, Transport};

use super::wire::{KEY, frame};

/// How long anything may take before it counts as missing.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A loop on a thread of its own; it stops when this is dropped.
pub struct Running {
    pub remote: Remote,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl Running {
    pub fn new() -> Running {
        let (sender, receiver) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut event_loop = EventLoop::new()?;
            sender.send(event_loop.remote()).unwrap();
            event_loop.run()
        });
        Running { remote: receiver.recv().unwrap(), thread: Some(thread) }
    }

    /// Asks something on the loop's thread.
    pub fn ask<T: Send + 'static>(&self, question: impl FnOnce(&mut Context<'_>) -> T + Send + 'static) -> T {
        let (sender, receiver) = mpsc::channel();
        self.remote.run(move |cx| drop(sender.send(question(cx)))).unwrap();
        receiver.recv_timeout(PATIENCE).expect("the loop answers")
    }

    /// Adopts the server's end of a WebSocket that is open already.
    pub fn adopt(&self, socket: Socket, config: Config, handler: impl Handler + 'static) -> ConnectionId {
        self.ask(move |cx| {
            let engine = Engine::adopted(Arc::new(config), Agreed::default(), "/", None, cx.now());
            let how = Adopt::Engine(Box::new(engine));
            cx.adopt_with(Transport::plain(socket), how, Vec::new(), Box::new(handler)).unwrap()
        })
    }

    /// An open server's end, and its peer.
    pub fn open(&self, config: Config, handler: impl Handler + 'static) -> (ConnectionId, Peer<UnixStream>) {
        let (socket, peer) = pair();
        (self.adopt(socket, config, handler), peer)
    }

    /// Waits until the loop has ended of itself.
    pub fn join(mut self) -> Result<(), Error> {
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // It may have ended.
            let _ = self.remote.stop();
            let ended = thread.join();
            if !thread::panicking() {
                ended.expect("no handler panics").unwrap();
            }
        }
    }
}

/// A loop's socket, and a peer at the other end of it.
pub fn pair() -> (Socket, Peer<UnixStream>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_read_timeout(Some(PATIENCE)).unwrap();
    theirs.set_write_timeout(Some(PATIENCE)).unwrap();
    (Socket::try_from(ours).unwrap(), Peer { stream: theirs })
}

pub fn client_keys() -> Keys {
    Keys::new([9; 32])
}

/// What handlers were told, a line each; any thread may wait for a line.
#[derive(Clone, Default)]
pub struct Log(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Log {
    pub fn add(&self, line: impl Into<String>) {
        self.0.0.lock().unwrap().push(line.into());
        self.0.1.notify_all();
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.0.lock().unwrap().clone()
    }

    /// How many lines begin so.
    pub fn count(&self, begin: &str) -> usize {
        self.lines().iter().filter(|line| line.starts_with(begin)).count()
    }

    /// Waits for a line that begins so, and returns it.
    pub fn wait(&self, begin: &str) -> String {
        self.wait_for(1, begin).remove(0)
    }

    /// Waits for so many of them.
    pub fn wait_for(&self, count: usize, begin: &str) -> Vec<String> {
        let until = Instant::now() + PATIENCE;
        let mut lines = self.0.0.lock().unwrap();
        loop {
            let found: Vec<String> = lines.iter().filter(|line| line.starts_with(begin)).cloned().collect();
            if found.len() >= count {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {begin:?} comes: {lines:#?}");
            lines = self.0.1.wait_timeout(lines, left).unwrap().0;
        }
    }
}

type Hook<A> = Box<dyn FnMut(&mut Context<'_>, ConnectionId, A) + Send>;
type MessageHook = Box<dyn FnMut(&mut Context<'_>, ConnectionId, MessageKind, &[u8]) + Send>;
type BytesHook = Box<dyn FnMut(&mut Context<'_>, ConnectionId, &[u8]) + Send>;
type RequestHook = Box<dyn FnMut(&mut Context<'_>, ConnectionId, &Request) -> Decision + Send>;

/// A handler that writes everything down, and does what it is given besides.
#[derive(Default)]
pub struct Told {
    log: Log,
    request: Option<RequestHook>,
    open: Option<Hook<()>>,
    message: Option<MessageHook>,
    part: Option<BytesHook>,
    drained: Option<Hook<()>>,
    head: Option<BytesHook>,
    bytes: Option<BytesHook>,
    error: Option<Hook<()>>,
    reconnect: Option<Hook<Duration>>,
    close: Option<Hook<()>>,
}

impl Told {
    pub fn new(log: &Log) -> Told {
        Told { log: log.clone(), ..Told::default() }
    }

    pub fn on_request(
        mut self,
        hook: impl FnMut(&mut Context<'_>, ConnectionId, &Request) -> Decision + Send + 'static,
    ) -> Told {
        self.request = Some(Box::new(hook));
        self
    }

    pub fn on_open(mut self, mut hook: impl FnMut(&mut Context<'_>, ConnectionId) + Send + 'static) -> Told {
        self.open = Some(Box::new(move |cx, id, ()| hook(cx, id)));
        self
    }

    pub fn on_message(
        mut self,
        hook: impl FnMut(&mut Context<'_>, ConnectionId, MessageKind, &[u8]) + Send + 'static,
    ) -> Told {
        self.message = Some(Box::new(hook));
        self
    }

    pub fn on_part(mut self, hook: impl FnMut(&mut Context<'_>, ConnectionId, &[u8]) + Send + 'static) -> Told {
        self.part = Some(Box::new(hook));
        self
    }

    pub fn on_drained(mut self, mut hook: impl FnMut(&mut Context<'_>, ConnectionId) + Send + 'static) -> Told {
        self.drained = Some(Box::new(move |cx, id, ()| hook(cx, id)));
        self
    }

    pub fn on_head(mut self, hook: impl FnMut(&mut Context<'_>, ConnectionId, &[u8]) + Send + 'static) -> Told {
        self.head = Some(Box::new(hook));
        self
    }

    pub fn on_bytes(mut self, hook: impl FnMut(&mut Context<'_>, ConnectionId, &[u8]) + Send + 'static) -> Told {
        self.bytes = Some(Box::new(hook));
        self
    }

    pub fn on_error(mut self, mut hook: impl FnMut(&mut Context<'_>, ConnectionId) + Send + 'static) -> Told {
        self.error = Some(Box::new(move |cx, id, ()| hook(cx, id)));
        self
    }

    pub fn on_reconnect(mut self, hook: impl FnMut(&mut Context<'_>, ConnectionId, Duration) + Send + 'static) -> Told {
        self.reconnect = Some(Box::new(hook));
        self
    }

    pub fn on_close(mut self, mut hook: impl FnMut(&mut Context<'_>, ConnectionId) + Send + 'static) -> Told {
        self.close = Some(Box::new(move |cx, id, ()| hook(cx, id)));
        self
    }
}

/// Echoes.
pub fn echo(cx: &mut Context<'_>, id: ConnectionId, kind: MessageKind, data: &[u8]) {
    // One that closes meanwhile takes no more.
    let _ = cx.send(id, kind, data);
}

impl Handler for Told {
    fn on_request(&mut self, cx: &mut Context<'_>, id: ConnectionId, request: &Request) -> Decision {
        self.log.add(format!("request {} {}", request.method, request.target));
        match &mut self.request {
            Some(hook) => hook(cx, id, request),
            None => Decision::Accept(Accept::default()),
        }
    }

    fn on_open(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        self.log.add(format!("open {id:?}"));
        if let Some(hook) = &mut self.open {
            hook(cx, id, ());
        }
    }

    fn on_message(&mut self, cx: &mut Context<'_>, id: ConnectionId, kind: MessageKind, data: &[u8]) {
        self.log.add(match kind {
            MessageKind::Text => format!("text {}", str::from_utf8(data).unwrap()),
            MessageKind::Binary => format!("binary {}", data.len()),
        });
        if let Some(hook) = &mut self.message {
            hook(cx, id, kind, data);
        }
    }

    fn on_message_begin(&mut self, _: &mut Context<'_>, _: ConnectionId, _: MessageKind) {
        self.log.add("begin");
    }

    fn on_message_part(&mut self, cx: &mut Context<'_>, id: ConnectionId, data: &[u8]) {
        self.log.add(format!("part {}", data.len()));
        if let Some(hook) = &mut self.part {
            hook(cx, id, data);
        }
    }

    fn on_message_end(&mut self, _: &mut Context<'_>, _: ConnectionId) {
        self.log.add("end");
    }

    fn on_ping(&mut self, _: &mut Context<'_>, _: ConnectionId, data: &[u8]) {
        self.log.add(format!("ping {}", data.len()));
    }

    fn on_drained(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        self.log.add("drained");
        if let Some(hook) = &mut self.drained {
            hook(cx, id, ());
        }
    }

    fn on_error(&mut self, cx: &mut Context<'_>, id: ConnectionId, error: &Error) {
        self.log.add(format!("error {error}"));
        if let Some(hook) = &mut self.error {
            hook(cx, id, ());
        }
    }

    fn on_refused(&mut self, cx: &mut Context<'_>, id: ConnectionId, error: &Error) {
        self.log.add(format!("refused {}: {error}", cx.peer(id).unwrap()));
    }

    fn on_close(&mut self, cx: &mut Context<'_>, id: ConnectionId, info: &CloseInfo) {
        if let Some(hook) = &mut self.close {
            hook(cx, id, ());
        }
        let mut line = format!("close {} {}", info.code, if info.clean { "clean" } else { "unclean" });
        if info.unsent_bytes > 0 {
            write!(line, " unsent {}", info.unsent_bytes).unwrap();
        }
        self.log.add(line);
    }

    fn on_reconnect(&mut self, cx: &mut Context<'_>, id: ConnectionId, info: &CloseInfo, delay: Duration) {
        let mut line = format!("lost {id:?} {} {:?}", info.code, cx.ready_state(id));
        if info.unsent_bytes > 0 {
            write!(line, " unsent {}", info.unsent_bytes).unwrap();
        }
        self.log.add(line);
        if let Some(hook) = &mut self.reconnect {
            hook(cx, id, delay);
        }
    }

    fn on_head(&mut self, cx: &mut Context<'_>, id: ConnectionId, head: &[u8]) {
        self.log.add(format!("head {}", head.len()));
        if let Some(hook) = &mut self.head {
            hook(cx, id, head);
        }
    }

    fn on_bytes(&mut self, cx: &mut Context<'_>, id: ConnectionId, bytes: &[u8]) {
        self.log.add(format!("bytes {}", String::from_utf8_lossy(bytes)));
        if let Some(hook) = &mut self.bytes {
            hook(cx, id, bytes);
        }
    }
}

/// A client without manners of its own: it writes what it is told to, and reads frames.
pub struct Peer<S> {
    pub stream: S,
}

pub const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

impl Peer<TcpStream> {
    /// Connected; the handshake is still to be done.
    pub fn connect(address: std::net::SocketAddr) -> Peer<TcpStream> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Peer { stream }
    }

    /// Connected, and open.
    pub fn open(address: std::net::SocketAddr) -> Peer<TcpStream> {
        let mut peer = Peer::connect(address);
        peer.write(REQUEST.as_bytes());
        assert!(peer.read_head().starts_with("HTTP/1.1 101 "));
        peer
    }
}

impl<S: Read + Write> Peer<S> {
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Whether the stream ends now, without a byte: however it ends.
    pub fn stream_is_over(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(0) => true,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
            Ok(_) => false,
        }
    }

    /// A masked frame.
    pub fn send(&mut self, first: u8, payload: &[u8]) {
        self.write(&frame(first, Some(KEY), payload));
    }

    pub fn text(&mut self, text: &str) {
        self.send(0x81, text.as_bytes());
    }

    /// Head by head: byte by byte, so that nothing behind it is taken.
    pub fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        String::from_utf8(head).unwrap()
    }

    /// The next frame: its first byte and its payload; none at the end of the stream.
    pub fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut first = [0; 2];
        match self.stream.read_exact(&mut first) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return None,
            Err(error) => panic!("{error}"),
        }
        let length = match first[1] {
            126 => {
                let mut length = [0; 2];
                self.stream.read_exact(&mut length).unwrap();
                u64::from(u16::from_be_bytes(length))
            }
            127 => {
                let mut length = [0; 8];
                self.stream.read_exact(&mut length).unwrap();
                u64::from_be_bytes(length)
            }
            short => {
                assert!(short < 126, "a server's frame is not masked");
                short.into()
            }
        };
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).unwrap();
        Some((first[0], payload))
    }

    /// The next frame, which is a text.
    pub fn read_text(&mut self) -> String {
        let (first, payload) = self.frame().expect("a text comes");
        assert_eq!(first, 0x81);
        String::from_utf8(payload).unwrap()
    }

    /// The next frame, which is a close; its code.
    pub fn read_close(&mut self) -> u16 {
        let (first, payload) = self.frame().expect("a close frame comes");
        assert_eq!(first, 0x88, "{}", String::from_utf8_lossy(&payload));
        u16::from_be_bytes([payload[0], payload[1]])
    }

    /// Everything up to the end of the stream.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        self.stream.read_to_end(&mut all).unwrap();
        all
    }

    /// Closes as a client should, and reads to the end.
    pub fn close(&mut self, code: u16) {
        self.send(0x88, &code.to_be_bytes());
        while let Some((first, payload)) = self.frame() {
            if first == 0x88 {
                assert_eq!(payload, code.to_be_bytes());
            }
        }
    }
}
