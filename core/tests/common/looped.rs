//! A connection of an event loop as an endpoint: over a socket, and over a host's own transport.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use linkspan::Error;
use linkspan::net::{Adopt, ConnectionId, Context, Decision, EventLoop, Handler};
use linkspan::protocol::handshake::Request;
use linkspan::protocol::{CloseCode, CloseInfo, MessageKind};
use linkspan::transport::{HostTransport, Socket, Transport};

use super::by_hand;
use super::play::{Cut, Endpoint, Prelude};
use super::random::Random;
use super::settings;
use super::wire::{Case, Command, Need, Told};

/// A loop with one connection, and the other end of its stream.
pub struct Looped<P> {
    event_loop: EventLoop,
    id: ConnectionId,
    told: Arc<Mutex<Vec<Told>>>,
    peer: P,
    /// Bytes of the peer's that the stream has not taken yet.
    pending: Vec<u8>,
    /// Since when nothing has come.
    quiet_since: Instant,
}

/// The other end of a loop's stream.
pub trait Peer {
    /// Bytes for our end: how many of them were taken.
    fn write(&mut self, bytes: &[u8]) -> usize;
    /// What has come; empty when nothing has.
    fn read(&mut self) -> Vec<u8>;
    fn end(&mut self);
    fn lose(&mut self);
    fn stall(&mut self, is_stalled: bool);
    /// Whether our end of the stream has ended.
    fn is_ended(&mut self) -> bool;
    /// Whether the loop must be told that something has changed.
    fn has_no_socket(&self) -> bool;
}

/// Real time has no place in a script.
pub fn can_over_sockets() -> Vec<Need> {
    by_hand::can().into_iter().filter(|need| !matches!(need, Need::Clock | Need::Loss | Need::Stall)).collect()
}

pub fn can_over_a_host() -> Vec<Need> {
    by_hand::can().into_iter().filter(|need| *need != Need::Clock).collect()
}

/// How long nothing may happen before what is expected counts as missing.
const PATIENCE: Duration = Duration::from_secs(5);

impl Looped<UnixStream> {
    pub fn over_a_socket(case: &Case, _: Cut, prelude: Prelude) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let socket = Socket::try_from(ours).unwrap();
        Looped::new(case, prelude, Transport::plain(socket), theirs)
    }
}

impl Looped<Memory> {
    pub fn over_a_host(case: &Case, cut: Cut, prelude: Prelude) -> Self {
        let memory = Memory::new(if let Cut::Random(seed) = cut { Some(Random::new(seed)) } else { None });
        Looped::new(case, prelude, Transport::host(memory.clone()), memory)
    }
}

impl<P: Peer> Looped<P> {
    fn new(case: &Case, prelude: Prelude, transport: Transport, peer: P) -> Self {
        let mut event_loop = EventLoop::new().unwrap();
        let told = Arc::default();
        let mut cx = event_loop.context();
        let handler = cx.add_handler(Box::new(Recorder { told: Arc::clone(&told), errors: 0 }));
        let engine = settings::engine(case, prelude, cx.now());
        let id = cx.adopt(transport, Adopt::Engine(Box::new(engine)), Vec::new(), handler).unwrap();
        Looped { event_loop, id, told, peer, pending: Vec::new(), quiet_since: Instant::now() }
    }

    /// Gives the loop as much of what is pending as the system takes.
    fn give(&mut self) {
        let n = self.peer.write(&self.pending);
        self.pending.drain(..n);
        self.tell_ready();
    }

    /// A host tells the loop itself.
    fn tell_ready(&mut self) {
        if self.peer.has_no_socket() {
            // One that has ended is beyond readiness.
            let _ = self.event_loop.context().ready(self.id);
        }
        self.quiet_since = Instant::now();
    }
}

impl<P: Peer> Endpoint for Looped<P> {
    fn receive(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        self.give();
    }

    fn end_of_input(&mut self) {
        self.peer.end();
        self.tell_ready();
    }

    fn lost(&mut self) {
        self.peer.lose();
        self.tell_ready();
    }

    fn wait(&mut self, _: u64) {
        panic!("a loop's clock cannot be turned");
    }

    fn stall(&mut self, is_stalled: bool) {
        self.peer.stall(is_stalled);
        self.tell_ready();
    }

    fn command(&mut self, command: &Command) -> Result<(), String> {
        let id = self.id;
        self.quiet_since = Instant::now();
        let mut cx = self.event_loop.context();
        let done = match command {
            Command::Accept { subprotocol, header, without_deflate } => {
                cx.accept(id, &settings::accept(subprotocol, header, *without_deflate))
            }
            Command::Reject { status, header, body } => cx.reject(id, &settings::reject(*status, header, body)),
            Command::Send { is_text, data } => cx.send(id, settings::kind(*is_text), data).map(drop),
            Command::Fragment { is_text, fin, data } => {
                cx.send_fragment(id, settings::kind(*is_text), data, *fin).map(drop)
            }
            Command::Ping(data) => cx.ping(id, data),
            Command::Pong(data) => cx.pong(id, data),
            Command::Close { code, reason } => cx.close(id, code.map(CloseCode::new), reason),
            Command::Abort => cx.abort(id),
            Command::Pause => cx.pause(id),
            Command::Resume => cx.resume(id),
        };
        done.map_err(|error| match error {
            Error::Misuse(misuse) => settings::name(&misuse),
            Error::Gone => "gone".to_owned(),
            other => other.to_string(),
        })
    }

    fn turn(&mut self, told: &mut Vec<Told>, output: &mut Vec<u8>, more_is_expected: bool) -> bool {
        if !self.pending.is_empty() {
            self.give();
        }
        let timeout = Duration::from_millis(if more_is_expected { 20 } else { 0 });
        self.event_loop.run_once(Some(timeout)).unwrap();
        let before = (told.len(), output.len());
        told.append(&mut self.told.lock().unwrap());
        output.extend(self.peer.read());
        if before != (told.len(), output.len()) {
            self.quiet_since = Instant::now();
        }
        self.quiet_since.elapsed() < PATIENCE
    }

    fn shutdown(&mut self) -> Option<&'static str> {
        Some(if self.peer.is_ended() { "ended" } else { "not" })
    }

    fn timer(&mut self) -> Option<u64> {
        panic!("a loop's clock cannot be turned");
    }

    fn ask(&mut self, what: &str) -> Option<String> {
        match what {
            "unread" => None,
            _ => by_hand::ask(self.event_loop.context().engine(self.id)?, what),
        }
    }
}

/// Writes down what it is told; requests are answered later.
struct Recorder {
    told: Arc<Mutex<Vec<Told>>>,
    errors: usize,
}

impl Recorder {
    fn tell(&self, told: Told) {
        self.told.lock().unwrap().push(told);
    }
}

impl Handler for Recorder {
    fn on_request(&mut self, _: &mut Context<'_>, _: ConnectionId, request: &Request) -> Decision {
        let is_upgrade = request.is_upgrade();
        self.tell(Told::Request { method: request.method.clone(), target: request.target.clone(), is_upgrade });
        Decision::Defer
    }

    fn on_open(&mut self, _: &mut Context<'_>, _: ConnectionId) {
        self.tell(Told::Open);
    }

    fn on_message(&mut self, _: &mut Context<'_>, _: ConnectionId, kind: MessageKind, data: &[u8]) {
        self.tell(Told::Message { is_text: kind == MessageKind::Text, data: data.to_vec() });
    }

    fn on_message_begin(&mut self, _: &mut Context<'_>, _: ConnectionId, kind: MessageKind) {
        self.tell(Told::Begin { is_text: kind == MessageKind::Text });
    }

    fn on_message_part(&mut self, _: &mut Context<'_>, _: ConnectionId, data: &[u8]) {
        self.tell(Told::Part(data.to_vec()));
    }

    fn on_message_end(&mut self, _: &mut Context<'_>, _: ConnectionId) {
        self.tell(Told::End);
    }

    fn on_ping(&mut self, _: &mut Context<'_>, _: ConnectionId, data: &[u8]) {
        self.tell(Told::Ping(data.to_vec()));
    }

    fn on_pong(&mut self, _: &mut Context<'_>, _: ConnectionId, data: &[u8]) {
        self.tell(Told::Pong(data.to_vec()));
    }

    fn on_close_requested(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        let info = cx.engine(id).and_then(|engine| engine.close_info()).unwrap();
        self.tell(Told::CloseRequested { code: info.code.as_u16(), reason: info.reason.clone() });
    }

    fn on_error(&mut self, _: &mut Context<'_>, _: ConnectionId, _: &Error) {
        self.errors += 1;
    }

    fn on_close(&mut self, cx: &mut Context<'_>, id: ConnectionId, info: &CloseInfo) {
        // A fault is told before the end, once; nothing else is.
        assert_eq!(self.errors, usize::from(info.fault.is_some()));
        // Every question still has its answer.
        assert_eq!(cx.engine(id).and_then(|engine| engine.close_info()), Some(info));
        self.tell(settings::closed(info));
    }
}

impl Peer for UnixStream {
    fn write(&mut self, bytes: &[u8]) -> usize {
        match Write::write(self, bytes) {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            // Our end has gone: nobody reads this.
            Err(_) => bytes.len(),
        }
    }

    fn read(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n @ 1..) = Read::read(self, &mut buffer) {
            all.extend_from_slice(&buffer[..n]);
        }
        all
    }

    fn end(&mut self) {
        let _ = self.shutdown(Shutdown::Write);
    }

    fn lose(&mut self) {
        panic!("a socket pair cannot break");
    }

    fn stall(&mut self, _: bool) {
        panic!("a socket pair takes what it takes");
    }

    fn is_ended(&mut self) -> bool {
        matches!(Read::read(self, &mut [0]), Ok(0))
    }

    fn has_no_socket(&self) -> bool {
        false
    }
}

/// A host's transport in memory, seen from both ends.
#[derive(Clone)]
pub struct Memory(Arc<Mutex<Pipes>>);

struct Pipes {
    to_us: Vec<u8>,
    from_us: Vec<u8>,
    has_ended: bool,
    is_lost: bool,
    is_stalled: bool,
    is_shut: bool,
    /// Times that the host was closed.
    closed: usize,
    random: Option<Random>,
}

impl Memory {
    pub fn new(random: Option<Random>) -> Memory {
        Memory(Arc::new(Mutex::new(Pipes {
            to_us: Vec::new(),
            from_us: Vec::new(),
            has_ended: false,
            is_lost: false,
            is_stalled: false,
            is_shut: false,
            closed: 0,
            random,
        })))
    }

    pub fn closed(&self) -> usize {
        self.0.lock().unwrap().closed
    }
}

impl Pipes {
    fn cut(&mut self, n: usize) -> usize {
        match &mut self.random {
            Some(random) if n > 1 => 1 + random.below(n),
            _ => n,
        }
    }
}

impl HostTransport for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut pipes = self.0.lock().unwrap();
        if pipes.is_lost {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let most = pipes.to_us.len().min(buffer.len());
        let n = pipes.cut(most);
        if n == 0 {
            return if pipes.has_ended { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        buffer[..n].copy_from_slice(&pipes.to_us[..n]);
        pipes.to_us.drain(..n);
        Ok(n)
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut pipes = self.0.lock().unwrap();
        if pipes.is_lost {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if pipes.is_stalled {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let n = pipes.cut(all.len());
        pipes.from_us.extend_from_slice(&all[..n]);
        Ok(n)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.lock().unwrap().is_shut = true;
        Ok(())
    }

    fn close(&mut self) {
        self.0.lock().unwrap().closed += 1;
    }
}

impl Peer for Memory {
    fn write(&mut self, bytes: &[u8]) -> usize {
        self.0.lock().unwrap().to_us.extend_from_slice(bytes);
        bytes.len()
    }

    fn read(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap().from_us)
    }

    fn end(&mut self) {
        self.0.lock().unwrap().has_ended = true;
    }

    fn lose(&mut self) {
        self.0.lock().unwrap().is_lost = true;
    }

    fn stall(&mut self, is_stalled: bool) {
        self.0.lock().unwrap().is_stalled = is_stalled;
    }

    fn is_ended(&mut self) -> bool {
        let pipes = self.0.lock().unwrap();
        assert!(pipes.closed <= 1, "a host is closed once");
        pipes.is_shut || pipes.closed > 0
    }

    fn has_no_socket(&self) -> bool {
        true
    }
}
