//! Frames in, messages out. A frame that lies whole in the driver's buffer is unmasked there and handed
//! out as a slice; only what is spread over several reads or frames is assembled.

use super::super::config::{Delivery, PongPolicy};
use super::super::event::{Event, Input, Message, MessageKind, Payload};
use super::super::fault::Fault;
use super::super::frame::{Header, MAX_HEADER_BYTES, OpCode, RSV1};
use super::super::mask;
use super::super::time::{Kind, Time};
use super::super::utf8::{self, Utf8};
use super::{Engine, Phase, Role};

/// Text is unmasked and checked in blocks of this size, while they are in the cache.
const BLOCK: usize = 16 << 10;

/// A driver reads straight into an assembled message only while at least this much of its frame is missing.
const ROOM: u64 = 16 << 10;

/// The first buffer of an assembled message; later ones double.
const FIRST_ROOM: usize = 256 << 10;

/// What was received in part. Absent between messages.
#[derive(Debug, Default)]
pub(super) struct Receiving {
    /// The beginning of a header.
    partial: [u8; MAX_HEADER_BYTES],
    held: u8,
    /// The frame whose payload is coming.
    frame: Option<Frame>,
    /// The payload of a control frame, as far as it has come.
    control: Vec<u8>,
    /// The message whose fragments are coming.
    message: Option<Assembly>,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: OpCode,
    fin: bool,
    /// The key for the next byte.
    key: Option<[u8; 4]>,
    /// Payload bytes that have not come yet.
    missing: u64,
}

#[derive(Debug)]
struct Assembly {
    kind: MessageKind,
    is_compressed: bool,
    /// Its first `filled` bytes are the message so far; the rest is room to read into.
    buffer: Vec<u8>,
    filled: usize,
    /// Payload bytes so far, as the application sees them.
    bytes: u64,
    utf8: Utf8,
    fragments: u32,
    /// With `Delivery::Parts`: `MessageBegin` was told.
    is_begun: bool,
    /// Compressed: the inflater has had the last piece.
    is_inflated: bool,
}

impl Receiving {
    pub(super) fn held_bytes(&self) -> usize {
        self.control.capacity() + self.message.as_ref().map_or(0, |message| message.buffer.capacity())
    }

    fn is_idle(&self) -> bool {
        self.held == 0 && self.frame.is_none() && self.message.is_none()
    }
}

impl Frame {
    fn new(header: &Header) -> Frame {
        Frame { opcode: header.opcode, fin: header.fin, key: header.mask, missing: header.length }
    }

    /// The next piece of payload, unmasked.
    fn take<'b>(&mut self, input: &mut Input<'b>) -> &'b mut [u8] {
        let piece = input.take(usize::try_from(self.missing).unwrap_or(usize::MAX));
        self.unmask(piece);
        piece
    }

    fn unmask(&mut self, piece: &mut [u8]) {
        if let Some(key) = &mut self.key {
            mask::apply(*key, piece);
            *key = mask::rotate(*key, piece.len());
        }
        self.missing -= piece.len() as u64;
    }
}

impl Assembly {
    fn new(kind: MessageKind, is_compressed: bool, buffer: Vec<u8>) -> Assembly {
        Assembly {
            kind,
            is_compressed,
            buffer,
            filled: 0,
            bytes: 0,
            utf8: Utf8::new(),
            fragments: 0,
            is_begun: false,
            is_inflated: false,
        }
    }

    /// Counts and checks payload as the application will see it.
    fn check(&mut self, data: &[u8]) -> Result<(), Fault> {
        self.bytes += data.len() as u64;
        match self.kind {
            MessageKind::Binary => Ok(()),
            // RFC 6455 8.1: fail as soon as the text cannot be UTF-8 any more.
            MessageKind::Text => self.utf8.push(data).map_err(|at| Fault::InvalidUtf8 { at }),
        }
    }

    fn push(&mut self, piece: &[u8]) -> Result<(), Fault> {
        self.check(piece)?;
        let end = self.filled + piece.len();
        if let Some(room) = self.buffer.get_mut(self.filled..end) {
            room.copy_from_slice(piece);
        } else {
            self.buffer.truncate(self.filled);
            self.buffer.extend_from_slice(piece);
        }
        self.filled = end;
        Ok(())
    }

    fn finish(&self) -> Result<(), Fault> {
        match self.kind {
            MessageKind::Binary => Ok(()),
            MessageKind::Text => self.utf8.finish().map_err(|at| Fault::InvalidUtf8 { at }),
        }
    }
}

impl Engine {
    /// The next message, if it lies whole and in one frame in `input`, open and in its turn: the common case
    /// of [`next_event`](Engine::next_event) in fewer steps. `None` says nothing: ask `next_event`.
    #[inline(always)]
    pub fn next_message<'b>(&mut self, now: Time, input: &mut Input<'b>) -> Option<(MessageKind, &'b [u8])> {
        if self.phase != Phase::Open || self.untold_open || self.is_paused || self.receiving.is_some() {
            return None;
        }
        let is_masked = self.role() == Role::Server;
        let header = Header::parse_message(input.rest(), is_masked)?;
        let limit = self.config.max_message_bytes.min(self.config.max_frame_bytes);
        if header.length > limit || self.config.delivery != Delivery::Whole {
            return None;
        }
        let payload = input.take_whole(header.size, header.length)?;
        self.heard(now);
        if header.is_text {
            if let Err(fault) = unmask_text(header.key, payload) {
                input.discard();
                self.fail(now, fault);
                return None;
            }
        } else if is_masked {
            mask::apply(header.key, payload);
        }
        Some((if header.is_text { MessageKind::Text } else { MessageKind::Binary }, payload))
    }

    /// The next frame, or as much of it as there is.
    pub(super) fn next_frame<'b>(&mut self, now: Time, input: &mut Input<'b>) -> Option<Event<'b>> {
        if self.receiving.is_none() && input.is_empty() {
            return None;
        }
        match self.next_partial(now, input) {
            Ok(event) => {
                if self.receiving.as_ref().is_some_and(|receiving| receiving.is_idle()) {
                    self.receiving = None;
                    self.deadlines.clear(Kind::Message);
                }
                match event {
                    None if self.is_ending() => self.next_closing(now, input),
                    event => event,
                }
            }
            Err(fault) => self.fail_now(now, fault, input),
        }
    }

    /// The application has closed: it hears of no message any more, as in browsers.
    pub(super) fn next_frame_unheard<'b>(&mut self, now: Time, input: &mut Input<'b>) -> Option<Event<'b>> {
        loop {
            match self.next_frame(now, input)? {
                Event::Message(Message { data, .. }) | Event::MessagePart(data) => input.recycle(data),
                Event::MessageBegin(_) | Event::MessageEnd => {}
                event => return Some(event),
            }
        }
    }

    #[cold]
    fn fail_now<'b>(&mut self, now: Time, fault: Fault, input: &mut Input<'b>) -> Option<Event<'b>> {
        self.fail(now, fault);
        self.next_closing(now, input)
    }

    /// Goes on with what is half received, frame after frame, until there is something to tell.
    fn next_partial<'b>(&mut self, now: Time, input: &mut Input<'b>) -> Result<Option<Event<'b>>, Fault> {
        loop {
            if self.is_ending() {
                return Ok(None);
            }
            let receiving = self.receiving.get_or_insert_default();
            let Some(frame) = receiving.frame else {
                if input.is_empty() {
                    return Ok(None);
                }
                let Some(header) = receiving.next_header(input)? else { return Ok(None) };
                self.begin_frame(now, &header, input)?;
                continue;
            };
            if frame.missing > 0 && input.is_empty() && !self.begin_is_untold() {
                return Ok(None);
            }
            let event = if frame.opcode.is_control() { self.next_control(now, input) } else { self.next_data(input)? };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    fn begin_is_untold(&self) -> bool {
        self.config.delivery == Delivery::Parts
            && self.receiving.as_ref().and_then(|r| r.message.as_ref()).is_some_and(|message| !message.is_begun)
    }

    /// Judges a header by itself: bits, mask, control rules, limits (RFC 6455 5.2 to 5.5).
    #[inline]
    fn judge(&self, header: &Header) -> Result<(), Fault> {
        if header.reserved != 0 {
            let may_be_compressed = self.deflate.is_some()
                && header.reserved == RSV1
                && matches!(header.opcode, OpCode::Text | OpCode::Binary);
            if !may_be_compressed {
                return Err(Fault::ReservedBits(header.reserved));
            }
        }
        // RFC 6455 5.1: a client masks every frame, a server none.
        match (self.role(), header.mask) {
            (Role::Server, None) => return Err(Fault::Unmasked),
            (Role::Client, Some(_)) => return Err(Fault::Masked),
            _ => {}
        }
        if header.opcode.is_control() {
            if header.length > 125 {
                return Err(Fault::ControlTooLong(header.length));
            }
            return if header.fin { Ok(()) } else { Err(Fault::ControlFragmented) };
        }
        if header.length > self.config.max_frame_bytes {
            return Err(Fault::FrameTooBig { bytes: header.length, limit: self.config.max_frame_bytes });
        }
        // Compressed messages are measured when they are inflated, continuations with what they continue.
        let is_all = header.reserved == 0 && header.opcode != OpCode::Continuation;
        if is_all && header.length > self.config.max_message_bytes {
            return Err(Fault::MessageTooBig { limit: self.config.max_message_bytes });
        }
        Ok(())
    }

    /// Takes a header in: a control frame interrupts, a data frame begins a message or continues it.
    fn begin_frame(&mut self, now: Time, header: &Header, input: &mut Input<'_>) -> Result<(), Fault> {
        self.judge(header)?;
        let is_new = match header.opcode {
            OpCode::Text | OpCode::Binary => true,
            OpCode::Continuation => false,
            OpCode::Close | OpCode::Ping | OpCode::Pong => {
                let receiving = self.receiving.get_or_insert_default();
                receiving.control.clear();
                receiving.frame = Some(Frame::new(header));
                return Ok(());
            }
        };
        let receiving = self.receiving.get_or_insert_default();
        if is_new {
            // RFC 6455 5.4: fragments of one message must not be interleaved with those of another.
            if receiving.message.is_some() {
                return Err(Fault::ExpectedContinuation);
            }
            let kind = if header.opcode == OpCode::Text { MessageKind::Text } else { MessageKind::Binary };
            let mut buffer = input.buffer();
            if header.reserved != 0 {
                buffer.clear();
            }
            receiving.message = Some(Assembly::new(kind, header.reserved != 0, buffer));
            self.deadlines.set(Kind::Message, now, self.config.message_timeout);
        }
        let Some(message) = &mut receiving.message else { return Err(Fault::UnexpectedContinuation) };
        message.fragments += 1;
        if message.fragments > self.config.max_fragments {
            return Err(Fault::TooManyFragments(self.config.max_fragments));
        }
        if !message.is_compressed && message.bytes + header.length > self.config.max_message_bytes {
            return Err(Fault::MessageTooBig { limit: self.config.max_message_bytes });
        }
        receiving.frame = Some(Frame::new(header));
        Ok(())
    }

    /// A control frame's payload; acts when it is complete.
    fn next_control<'b>(&mut self, now: Time, input: &mut Input<'b>) -> Option<Event<'b>> {
        let receiving = self.receiving.as_mut()?;
        let frame = receiving.frame.as_mut()?;
        let piece = frame.take(input);
        let (opcode, missing) = (frame.opcode, frame.missing);
        let payload = if missing == 0 && receiving.control.is_empty() {
            Payload::Borrowed(piece)
        } else {
            receiving.control.extend_from_slice(piece);
            if missing > 0 {
                return None;
            }
            Payload::Owned(std::mem::take(&mut receiving.control))
        };
        receiving.frame = None;
        match opcode {
            OpCode::Close => self.close_received(now, &payload),
            OpCode::Pong => Some(Event::Pong(payload)),
            OpCode::Ping => {
                // RFC 6455 5.5.2: answered unless a close frame was received.
                if self.config.pong == PongPolicy::Automatic && matches!(self.phase, Phase::Open | Phase::CloseSent) {
                    self.answer_ping(&payload);
                }
                Some(Event::Ping(payload))
            }
            OpCode::Continuation | OpCode::Text | OpCode::Binary => None,
        }
    }

    /// The next piece of a data frame's payload: assembled, or told as a part.
    fn next_data<'b>(&mut self, input: &mut Input<'b>) -> Result<Option<Event<'b>>, Fault> {
        let limit = self.config.max_message_bytes;
        let in_parts = self.config.delivery == Delivery::Parts;
        let Some(receiving) = &mut self.receiving else { return Ok(None) };
        let (Some(frame), Some(message)) = (&mut receiving.frame, &mut receiving.message) else { return Ok(None) };
        if in_parts && !message.is_begun {
            message.is_begun = true;
            return Ok(Some(Event::MessageBegin(message.kind)));
        }
        let piece = frame.take(input);
        let is_complete = frame.missing == 0 && frame.fin;
        let mut part = None;
        if message.is_compressed && !message.is_inflated {
            message.is_inflated = is_complete;
            let Some(deflate) = &mut self.deflate else { return Err(Fault::ReservedBits(RSV1)) };
            let before = message.buffer.len();
            // What was told already is not in the buffer any more, but counts.
            let told = message.bytes - before as u64;
            deflate.inflate(piece, is_complete, limit.saturating_sub(told), &mut message.buffer).map_err(|fault| {
                if let Fault::MessageTooBig { .. } = fault { Fault::MessageTooBig { limit } } else { fault }
            })?;
            let mut buffer = std::mem::take(&mut message.buffer);
            let checked = message.check(&buffer[before..]);
            if in_parts && !buffer.is_empty() {
                part = Some(Payload::Owned(std::mem::take(&mut buffer)));
            }
            message.filled = buffer.len();
            message.buffer = buffer;
            checked?;
        } else if message.is_compressed {
            // The last part was told; only the end is left.
        } else if in_parts {
            message.check(piece)?;
            part = if piece.is_empty() { None } else { Some(Payload::Borrowed(piece)) };
        } else {
            message.push(piece)?;
        }
        if let Some(part) = part {
            // The frame ends with the next call, which has nothing left to take.
            return Ok(Some(Event::MessagePart(part)));
        }
        if frame.missing > 0 {
            return Ok(None);
        }
        receiving.frame = None;
        if !is_complete {
            return Ok(None);
        }
        message.finish()?;
        let kind = message.kind;
        let mut data = std::mem::take(&mut message.buffer);
        data.truncate(message.filled);
        receiving.message = None;
        Ok(Some(match in_parts {
            true => Event::MessageEnd,
            false => Event::Message(Message { kind, data: Payload::Owned(data) }),
        }))
    }

    /// Whether a frame has come whole and is not told to its end, because the application has paused in
    /// between.
    #[inline]
    pub(super) fn is_half_told(&self) -> bool {
        let frame = self.receiving.as_ref().and_then(|receiving| receiving.frame);
        frame.is_some_and(|frame| frame.missing == 0)
    }

    /// A large message that is half received: where the driver may read the next bytes of its frame to,
    /// sparing a copy. Say [`filled`](Engine::filled) afterwards, then call
    /// [`next_event`](Engine::next_event). `None` when there is no such message, or input waits elsewhere.
    #[inline]
    pub fn room(&mut self) -> Option<&mut [u8]> {
        if self.receiving.is_some() { self.make_room() } else { None }
    }

    fn make_room(&mut self) -> Option<&mut [u8]> {
        let receiving = self.receiving.as_deref_mut()?;
        let frame = receiving.frame.as_ref()?;
        let message = receiving.message.as_mut()?;
        let is_assembled = self.config.delivery == Delivery::Whole && !message.is_compressed;
        if !is_assembled || frame.opcode.is_control() || frame.missing < ROOM || self.is_paused || message.filled == 0 {
            return None;
        }
        // It grows as bytes arrive, never by the announced length.
        let wanted = message.filled + usize::try_from(frame.missing).unwrap_or(usize::MAX);
        let grown = wanted.min((message.filled * 2).max(FIRST_ROOM));
        if message.buffer.len() < grown {
            message.buffer.resize(grown, 0);
        }
        let end = message.buffer.len().min(wanted);
        Some(&mut message.buffer[message.filled..end])
    }

    /// The driver has read `n` bytes into [`room`](Engine::room).
    pub fn filled(&mut self, now: Time, n: usize) {
        self.heard(now);
        let Some(receiving) = &mut self.receiving else { return };
        let (Some(frame), Some(message)) = (&mut receiving.frame, &mut receiving.message) else { return };
        let end = message.filled + n;
        let mut buffer = std::mem::take(&mut message.buffer);
        let mut checked = Ok(());
        for block in buffer[message.filled..end].chunks_mut(BLOCK) {
            frame.unmask(block);
            checked = checked.and_then(|()| message.check(block));
        }
        message.buffer = buffer;
        message.filled = end;
        if let Err(fault) = checked {
            self.fail(now, fault);
        }
    }
}

impl Receiving {
    /// The next frame's header; takes exactly its bytes.
    fn next_header(&mut self, input: &mut Input<'_>) -> Result<Option<Header>, Fault> {
        if self.held == 0
            && let Some((header, size)) = Header::parse(input.rest())?
        {
            input.take(size);
            return Ok(Some(header));
        }
        let held = usize::from(self.held);
        let more = input.rest().len().min(MAX_HEADER_BYTES - held);
        self.partial[held..held + more].copy_from_slice(&input.rest()[..more]);
        match Header::parse(&self.partial[..held + more])? {
            Some((header, size)) => {
                input.take(size - held);
                self.held = 0;
                Ok(Some(header))
            }
            None => {
                input.take(more);
                self.held = (held + more) as u8;
                Ok(None)
            }
        }
    }
}

/// Unmasks a text and checks it, block by block. A key of zeros changes nothing.
#[inline(never)]
fn unmask_text(key: [u8; 4], payload: &mut [u8]) -> Result<(), Fault> {
    if payload.len() <= BLOCK {
        mask::apply(key, payload);
        return utf8::check(payload).map_err(|at| Fault::InvalidUtf8 { at });
    }
    let mut utf8 = Utf8::new();
    for block in payload.chunks_mut(BLOCK) {
        // BLOCK is a multiple of the key's length: every block begins with its first byte.
        mask::apply(key, block);
        utf8.push(block).map_err(|at| Fault::InvalidUtf8 { at })?;
    }
    utf8.finish().map_err(|at| Fault::InvalidUtf8 { at })
}
