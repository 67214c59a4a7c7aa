//! [`Connection`]: one live stream inside a loop, and [`ConnectionId`], its name everywhere else.

use std::fmt;
use std::io::{self, IoSlice};

use super::context::{ReadyState, Sent};
use super::raw::{Raw, Stage};
use crate::connector::Connecting;
use crate::protocol::{Config, Engine, MAX_SLICES, Outbox, Phase, Time};
use crate::transport::Transport;

#[cfg(not(loom))]
const SLOT_BITS: u32 = 20;
/// A model cannot follow so many.
#[cfg(loom)]
const SLOT_BITS: u32 = 2;
const GENERATION_BITS: u32 = 28;

/// No deadline is queued.
pub(super) const NEVER: Time = Time::from_millis(u64::MAX);

/// When more than this waits, it is written at once instead of gathered.
const GATHER: usize = 256 << 10;

/// Connections that one loop can hold.
pub(super) const MAX_SLOTS: usize = 1 << SLOT_BITS;
pub(super) const MAX_GENERATION: u32 = (1 << GENERATION_BITS) - 1;

/// The name of a connection: a value that may be copied, kept for ever and used from any thread. Once the
/// connection has ended it names nothing, never another connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(u64);

impl ConnectionId {
    pub(super) fn new(loop_id: u16, generation: u32, slot: usize) -> ConnectionId {
        let generation = u64::from(generation) << SLOT_BITS;
        ConnectionId(u64::from(loop_id) << (SLOT_BITS + GENERATION_BITS) | generation | slot as u64)
    }

    /// As a number, for other languages.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// From [`ConnectionId::as_u64`]. A number that never was one names nothing.
    pub const fn from_u64(id: u64) -> ConnectionId {
        ConnectionId(id)
    }

    /// The loop that it belongs to.
    pub const fn loop_id(self) -> u16 {
        (self.0 >> (SLOT_BITS + GENERATION_BITS)) as u16
    }

    pub(super) const fn generation(self) -> u32 {
        (self.0 >> SLOT_BITS) as u32 & MAX_GENERATION
    }

    pub(super) const fn slot(self) -> usize {
        self.0 as usize & (MAX_SLOTS - 1)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.loop_id(), self.slot(), self.generation())
    }
}

/// A connection that its loop has given back.
#[derive(Debug)]
pub struct Released {
    /// Socket and TLS state.
    pub transport: Transport,
    /// Bytes that were read and not used.
    pub unread: Vec<u8>,
    /// The WebSocket's state; none for a raw connection.
    pub engine: Option<Box<Engine>>,
    /// The raw head of a connection that was listened for with raw heads; else empty.
    pub head: Vec<u8>,
}

/// What speaks on the stream. Its tag is a byte of its own: it is looked at many times a turn.
#[derive(Debug)]
#[repr(u8)]
pub(super) enum Mode {
    WebSocket(Engine),
    /// Bytes, as they come; or a head that is handed over as it is.
    Raw(Box<Raw>),
    /// A client whose TCP connection is on its way.
    Connecting(Box<Connecting>),
}

/// One live stream: a transport, what speaks on it, and the loop's own notes.
#[derive(Debug)]
pub(super) struct Connection {
    /// Its name; given with its slot.
    pub(super) id: ConnectionId,
    pub(super) mode: Mode,
    pub(super) transport: Option<Transport>,
    /// Bytes read and not eaten: the application has paused, or a request waits for its answer.
    #[expect(clippy::box_collection, reason = "most have none, and pay one word for it")]
    pub(super) unread: Option<Box<Vec<u8>>>,
    pub(super) user: u64,
    /// What the table shows: waiting bytes…
    pub(super) shown_waiting: u64,
    /// The deadline that is queued in the loop's timers; the far future when none is.
    pub(super) armed: Time,
    pub(super) handler: u32,
    /// …and state.
    pub(super) shown_state: ReadyState,
    pub(super) tie: Tie,
    /// The socket may have more to read.
    pub(super) is_readable: bool,
    /// The socket took less than it was given.
    pub(super) is_blocked: bool,
    /// The peer has ended its half: read on to the end, whatever a short read says.
    pub(super) is_hung_up: bool,
    /// It stands in the loop's list of connections to look after without new readiness.
    pub(super) is_queued: bool,
    /// The handler knows of it, and will be told of its end.
    pub(super) is_announced: bool,
    /// `on_close` was called: to the application the id is dead.
    pub(super) is_told: bool,
    /// More than the high-water mark waits; `on_drained` is owed.
    pub(super) is_high: bool,
    /// Our half of the stream was ended.
    pub(super) is_shut: bool,
    /// The stream broke: the engine is to be told.
    pub(super) is_broken: bool,
    /// It subscribes to a topic, or did.
    pub(super) is_subscriber: bool,
}

/// What it is to its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tie {
    /// The handler serves it among others.
    Loose,
    /// It came in through a listener of the handler.
    Guest,
    /// The handler was given with it, and goes with it.
    Owner,
}

impl Connection {
    pub(super) fn new(mode: Mode, transport: Option<Transport>, unread: Vec<u8>, handler: u32) -> Connection {
        Connection {
            id: ConnectionId(u64::MAX),
            mode,
            transport,
            unread: (!unread.is_empty()).then(|| Box::new(unread)),
            user: 0,
            shown_waiting: 0,
            shown_state: ReadyState::Connecting,
            armed: NEVER,
            handler,
            tie: Tie::Loose,
            is_readable: true,
            is_blocked: false,
            is_hung_up: false,
            is_queued: false,
            is_announced: false,
            is_told: false,
            is_high: false,
            is_shut: false,
            is_broken: false,
            is_subscriber: false,
        }
    }

    /// The stream is given up, and the connection begins again; the old stream.
    pub(super) fn start_over(&mut self, mode: Mode) -> Option<Transport> {
        self.mode = mode;
        self.unread = None;
        self.is_readable = true;
        self.is_blocked = false;
        self.is_hung_up = false;
        self.is_high = false;
        self.is_shut = false;
        self.is_broken = false;
        self.transport.take()
    }

    pub(super) fn ready_state(&self) -> ReadyState {
        match &self.mode {
            _ if self.is_told => ReadyState::Closed,
            Mode::Connecting(_) => ReadyState::Connecting,
            Mode::Raw(raw) => raw.ready_state(),
            Mode::WebSocket(engine) => match engine.phase() {
                Phase::Opening => ReadyState::Connecting,
                Phase::Open => ReadyState::Open,
                // Until the application answers, its messages still leave.
                Phase::CloseReceived if engine.awaits_reply() => ReadyState::Open,
                Phase::CloseSent | Phase::CloseReceived | Phase::Failing => ReadyState::Closing,
                Phase::Closed => ReadyState::Closed,
            },
        }
    }

    pub(super) fn buffered_amount(&self) -> u64 {
        match &self.mode {
            Mode::WebSocket(engine) => engine.buffered_amount(),
            Mode::Raw(raw) => raw.outbox.len() as u64,
            Mode::Connecting(_) => 0,
        }
    }

    /// Its limits and marks.
    #[inline]
    pub(super) fn config(&self) -> &Config {
        match &self.mode {
            Mode::WebSocket(engine) => engine.config(),
            Mode::Raw(raw) => &raw.config,
            Mode::Connecting(connecting) => connecting.engine().config(),
        }
    }

    /// Whether nothing is under way, the table shows that, and a deadline is queued: the common end of a turn.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        let Mode::WebSocket(engine) = &self.mode else { return false };
        let is_at_rest = !self.is_broken && !self.is_high && engine.is_idle();
        is_at_rest && self.shown_state == ReadyState::Open && self.shown_waiting == 0 && self.armed != NEVER
    }

    /// Lends the loop's gather buffer for a turn.
    #[inline]
    pub(super) fn lend(&mut self, gather: &mut Vec<u8>) {
        if let Mode::WebSocket(engine) = &mut self.mode {
            engine.lend(gather);
        }
    }

    /// Gives it back.
    #[inline]
    pub(super) fn reclaim(&mut self, gather: &mut Vec<u8>) {
        if let Mode::WebSocket(engine) = &mut self.mode {
            engine.reclaim(gather);
        }
    }

    /// Whether what comes in would stay unread.
    #[inline]
    pub(super) fn is_read_blocked(&self) -> bool {
        match &self.mode {
            _ if self.is_broken => true,
            Mode::WebSocket(engine) => engine.is_blocked(),
            Mode::Raw(raw) => raw.is_paused,
            Mode::Connecting(_) => true,
        }
    }

    /// Whether there is something to read, and nothing that keeps from it.
    pub(super) fn may_read(&self) -> bool {
        let is_there = self.unread.is_some() || self.is_readable && self.transport.is_some();
        is_there && !self.is_read_blocked()
    }

    /// Whether something is to be done before reading: to connect, to use what was kept, to tell what a
    /// command has made.
    #[inline]
    pub(super) fn has_prelude(&self) -> bool {
        match &self.mode {
            _ if self.unread.is_some() => true,
            Mode::WebSocket(engine) => engine.has_news(),
            Mode::Raw(raw) => matches!(raw.stage, Stage::Proxied { .. }),
            Mode::Connecting(_) => true,
        }
    }

    /// Everything that waits to leave, framing included.
    #[inline]
    pub(super) fn outgoing_bytes(&self) -> usize {
        match &self.mode {
            Mode::WebSocket(engine) => engine.outbox().len(),
            Mode::Raw(raw) => raw.outbox.len(),
            Mode::Connecting(_) => 0,
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Time> {
        match &self.mode {
            Mode::WebSocket(engine) => engine.next_timeout(),
            Mode::Raw(raw) => raw.deadline,
            Mode::Connecting(connecting) => connecting.next_timeout(),
        }
    }

    /// Something was queued: it leaves at the end of the turn, or at once when much waits; `written` is told
    /// how many bytes that wrote.
    #[inline]
    pub(super) fn after_send(&mut self, written: &mut usize) -> Sent {
        if self.outgoing_bytes() <= self.config().high_water_bytes.min(GATHER) {
            return Sent::Accepted;
        }
        self.after_much(written)
    }

    #[cold]
    fn after_much(&mut self, written: &mut usize) -> Sent {
        *written += self.flush();
        if self.outgoing_bytes() > self.config().high_water_bytes {
            self.is_high = true;
            return Sent::Buffered;
        }
        Sent::Accepted
    }

    /// One read of the stream: into `buffer`, or straight into a message that is half received.
    #[inline(always)]
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Read {
        if !self.is_readable || self.unread.is_some() || self.is_read_blocked() {
            return Read::Nothing;
        }
        let Some(transport) = &mut self.transport else { return Read::Nothing };
        if transport.is_handshaking() {
            // This read may end the handshake, and with it what kept writes waiting.
            self.is_blocked = false;
        }
        let (room, is_websocket) = match &mut self.mode {
            Mode::WebSocket(engine) => (engine.room(), true),
            Mode::Raw(_) | Mode::Connecting(_) => (None, false),
        };
        let is_direct = room.is_some();
        let target = room.unwrap_or(buffer);
        let size = target.len();
        let n = match transport.read(target) {
            Ok(n) if n > 0 => n,
            answer => return self.read_ended(answer),
        };
        self.is_readable = n == size || self.is_hung_up || !transport.short_read_drains();
        match is_websocket {
            true if is_direct => Read::Room(n),
            true => Read::Frames(n),
            false => Read::Bytes(n),
        }
    }

    #[cold]
    fn read_ended(&mut self, answer: io::Result<usize>) -> Read {
        self.is_readable = false;
        match answer {
            Ok(_) => Read::Ended,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.is_readable = true;
                Read::Bytes(0)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // A host's end of stream may show only on the next read, without new readiness.
                let is_silent = self.transport.as_ref().is_some_and(|transport| !transport.short_read_drains());
                self.is_readable = std::mem::take(&mut self.is_hung_up) && is_silent;
                Read::Nothing
            }
            Err(error) => {
                self.is_broken = true;
                Read::Failed(error)
            }
        }
    }

    /// Writes what waits, as far as the stream takes it: how many bytes.
    #[inline(always)]
    pub(super) fn flush(&mut self) -> usize {
        let mut flushed = 0;
        let Some(transport) = &mut self.transport else { return flushed };
        while !self.is_blocked && !self.is_broken {
            let outbox = match &self.mode {
                Mode::WebSocket(engine) => engine.outbox(),
                Mode::Raw(raw) => &raw.outbox,
                Mode::Connecting(_) => break,
            };
            let written = if outbox.is_empty() {
                break;
            } else if outbox.has_chunks() {
                write_chunks(transport, outbox)
            } else {
                write(transport, &[IoSlice::new(outbox.front())])
            };
            match written {
                Written::Bytes(n) => {
                    flushed += n;
                    match &mut self.mode {
                        Mode::WebSocket(engine) => engine.sent(n),
                        Mode::Raw(raw) => raw.outbox.sent(n),
                        Mode::Connecting(_) => {}
                    }
                }
                Written::Blocked => self.is_blocked = true,
                Written::Broken => self.is_broken = true,
            }
        }
        if !self.is_broken && transport.has_pending_write() {
            match transport.flush() {
                Ok(true) => {}
                Ok(false) => self.is_blocked = true,
                Err(error) => match failed(&error) {
                    Written::Bytes(_) => {}
                    Written::Blocked => self.is_blocked = true,
                    Written::Broken => self.is_broken = true,
                },
            }
        }
        flushed
    }
}

/// What a read came to.
pub(super) enum Read {
    /// Nothing is to be read now.
    Nothing,
    /// Something is to be done before reading.
    Later,
    /// So many bytes of a WebSocket, in the buffer.
    Frames(usize),
    /// So many bytes, in the message that is half received.
    Room(usize),
    /// So many bytes of another stream, in the buffer.
    Bytes(usize),
    /// The end of the stream.
    Ended,
    /// The stream broke.
    Failed(io::Error),
}

/// What a write came to.
pub(super) enum Written {
    Bytes(usize),
    Blocked,
    Broken,
}

#[inline(never)]
fn write_chunks(transport: &mut Transport, outbox: &Outbox) -> Written {
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let filled = outbox.slices(&mut slices);
    write(transport, &slices[..filled])
}

#[inline]
pub(super) fn write(transport: &mut Transport, slices: &[IoSlice<'_>]) -> Written {
    match transport.write(slices) {
        Ok(0) => Written::Blocked,
        Ok(n) => Written::Bytes(n),
        Err(error) => failed(&error),
    }
}

#[cold]
fn failed(error: &io::Error) -> Written {
    match error.kind() {
        // Nothing was written; the next try follows at once.
        io::ErrorKind::Interrupted => Written::Bytes(0),
        io::ErrorKind::WouldBlock => Written::Blocked,
        _ => Written::Broken,
    }
}
