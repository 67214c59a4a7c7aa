//! What the engine tells: [`Event`], and the driver's bytes that it reads them from: [`Input`].

use std::fmt;
use std::mem;
use std::ops::Deref;

use super::close::CloseInfo;
use super::fault::Misuse;
use super::frame::OpCode;
use super::handshake::Request;
use super::utf8;

/// Text or binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// UTF-8, checked in both directions.
    Text,
    /// Any bytes.
    Binary,
}

impl MessageKind {
    /// Whether a message of this kind may carry these bytes.
    #[inline]
    pub fn check(self, data: &[u8]) -> Result<(), Misuse> {
        match self {
            MessageKind::Binary => Ok(()),
            // RFC 6455 5.6: a text frame's payload is UTF-8.
            MessageKind::Text => utf8::check(data).map_err(|at| Misuse::InvalidUtf8 { at: at as usize }),
        }
    }
}

impl From<MessageKind> for OpCode {
    #[inline]
    fn from(kind: MessageKind) -> OpCode {
        match kind {
            MessageKind::Text => OpCode::Text,
            MessageKind::Binary => OpCode::Binary,
        }
    }
}

/// One thing that happened. Payloads borrow the driver's buffer, not the engine: a handler may send
/// while it holds one.
#[derive(Debug)]
pub enum Event<'b> {
    /// Server: a request waits for `accept` or `reject`, now or later; nothing more is read until then.
    /// Plain HTTP too: [`Request::is_upgrade`] tells.
    Request(Box<Request>),
    /// The opening handshake is over.
    Open,
    /// A whole message.
    Message(Message<'b>),
    /// With `Delivery::Parts`: a message begins.
    MessageBegin(MessageKind),
    /// With `Delivery::Parts`: some of its payload, never empty. A text's parts may split a character.
    MessagePart(Payload<'b>),
    /// With `Delivery::Parts`: the message is complete.
    MessageEnd,
    /// A ping; answered already unless `PongPolicy::Manual`.
    Ping(Payload<'b>),
    /// A pong, asked for or not.
    Pong(Payload<'b>),
    /// With `CloseReply::Application`: the peer's close frame waits for `close`; ask
    /// [`Engine::close_info`](super::Engine::close_info) for code and reason.
    CloseRequested,
    /// It is over. Comes exactly once and last.
    Closed(Box<CloseInfo>),
}

/// A whole message.
#[derive(Debug)]
pub struct Message<'b> {
    /// Text or binary.
    pub kind: MessageKind,
    /// The payload; UTF-8 when the kind is text.
    pub data: Payload<'b>,
}

/// Payload bytes: a slice of the driver's buffer when they came whole, a buffer of their own when
/// they were assembled or inflated.
pub enum Payload<'b> {
    /// In the driver's buffer.
    Borrowed(&'b [u8]),
    /// Assembled; give it back with [`Input::recycle`] to spare the next allocation.
    Owned(Vec<u8>),
}

impl Deref for Payload<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Payload::Borrowed(bytes) => bytes,
            Payload::Owned(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Payload is never logged.
        write!(f, "Payload({} bytes)", self.len())
    }
}

/// A cursor over the driver's bytes. The engine eats from the front and unmasks in place.
#[derive(Debug)]
pub struct Input<'b> {
    rest: &'b mut [u8],
    pool: Option<&'b mut Pool>,
}

impl<'b> Input<'b> {
    /// All of `bytes`, as read from the peer.
    pub fn new(bytes: &'b mut [u8]) -> Input<'b> {
        Input { rest: bytes, pool: None }
    }

    /// The same, with spare buffers for messages that must be assembled.
    pub fn pooled(bytes: &'b mut [u8], pool: &'b mut Pool) -> Input<'b> {
        Input { rest: bytes, pool: Some(pool) }
    }

    /// What the engine has not eaten: empty, unless it waits for the application.
    #[inline]
    pub fn rest(&self) -> &[u8] {
        self.rest
    }

    /// Whether all is eaten.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes back an assembled payload's buffer for the next message.
    #[inline]
    pub fn recycle(&mut self, payload: Payload<'_>) {
        if let (Payload::Owned(buffer), Some(pool)) = (payload, self.pool.as_deref_mut()) {
            pool.give(buffer);
        }
    }

    /// The first `n` bytes, or all when there are fewer.
    #[inline]
    pub(crate) fn take(&mut self, n: usize) -> &'b mut [u8] {
        let n = n.min(self.rest.len());
        let (front, rest) = mem::take(&mut self.rest).split_at_mut(n);
        self.rest = rest;
        front
    }

    /// The `n` bytes behind the first `skip`, which are dropped; `None`, and nothing is taken, when they
    /// have not all come.
    #[inline]
    pub(crate) fn take_whole(&mut self, skip: usize, n: u64) -> Option<&'b mut [u8]> {
        let n = usize::try_from(n).ok()?;
        if n > self.rest.len().checked_sub(skip)? {
            return None;
        }
        let (_, behind) = mem::take(&mut self.rest).split_at_mut(skip);
        let (taken, rest) = behind.split_at_mut(n);
        self.rest = rest;
        Some(taken)
    }

    /// Drops what is left: how many bytes.
    pub(crate) fn discard(&mut self) -> usize {
        std::mem::take(&mut self.rest).len()
    }

    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.pool.as_deref_mut().map(Pool::take).unwrap_or_default()
    }
}

/// A few spare buffers, so that large messages do not fault fresh pages in each time.
#[derive(Debug, Default)]
pub struct Pool {
    spare: Vec<Vec<u8>>,
}

/// Most buffers that are kept.
const MAX_SPARE: usize = 4;
/// Largest buffer that is kept, in bytes; those above go back to the system.
const MAX_SPARE_BYTES: usize = 4 << 20;

impl Pool {
    /// An empty pool.
    pub fn new() -> Pool {
        Pool::default()
    }

    /// A buffer with the capacity, and the bytes, of an earlier use where there is one.
    pub fn take(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Keeps a buffer for the next [`Pool::take`], or frees it when there are enough.
    pub fn give(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() > 0 && buffer.capacity() <= MAX_SPARE_BYTES && self.spare.len() < MAX_SPARE {
            self.spare.push(buffer);
        }
    }
}
