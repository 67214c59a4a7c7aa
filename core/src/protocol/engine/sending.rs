//! What the application sends: messages whole or in fragments, pings, pongs.

use std::io::IoSlice;

use super::super::event::MessageKind;
use super::super::fault::Misuse;
use super::super::frame::{Header, MAX_HEADER_BYTES, OpCode, RSV1};
use super::super::mask;
use super::super::outbox::{Chunk, MAX_SLICES};
use super::super::published::Published;
use super::{Engine, Phase};

/// Payloads of this size and more are offered to the driver before they are copied.
pub(crate) const DIRECT: usize = 32 << 10;

/// When this much waits, pings are not answered one by one any more, only the last of them.
const PONG_BACKLOG: usize = 64 << 10;

impl Engine {
    /// Sends a whole message; a text is checked. Refused without effect when the connection is not open,
    /// a fragmented message is under way, or the outbox would pass `Config::max_outbox_bytes`.
    #[inline]
    pub fn send(&mut self, kind: MessageKind, data: &[u8]) -> Result<(), Misuse> {
        self.check_message(kind, data)?;
        self.write_message(kind, data);
        Ok(())
    }

    /// Sends a whole text, which needs no check.
    pub fn send_text(&mut self, text: &str) -> Result<(), Misuse> {
        self.check_sending(text.len())?;
        self.write_message(MessageKind::Text, text.as_bytes());
        Ok(())
    }

    /// Sends a whole message, a large one without copying it: `write` is given everything that waits with
    /// the payload behind it, and returns how many bytes it took, zero when the stream is full. Only what
    /// it did not take is copied.
    #[inline]
    pub fn send_through(
        &mut self,
        kind: MessageKind,
        data: &[u8],
        write: impl FnMut(&[IoSlice<'_>]) -> usize,
    ) -> Result<(), Misuse> {
        self.check_message(kind, data)?;
        if data.len() < DIRECT || !self.is_verbatim(data.len()) {
            self.write_message(kind, data);
        } else {
            self.write_direct(kind, data, write);
        }
        Ok(())
    }

    /// Sends a whole message without copying it, where no mask and no compression stand in the way.
    pub fn send_chunk(&mut self, kind: MessageKind, data: Chunk) -> Result<(), Misuse> {
        self.check_message(kind, data.bytes())?;
        self.write_chunk(kind, data);
        Ok(())
    }

    /// Sends a whole message that was checked, and accepted when there was room for it.
    pub(crate) fn send_accepted(&mut self, kind: MessageKind, data: Chunk) -> Result<(), Misuse> {
        self.check_whole()?;
        self.check_open()?;
        self.write_chunk(kind, data);
        Ok(())
    }

    /// Sends a message that was encoded for many, sharing its frame where no mask stands in the way.
    pub fn send_published(&mut self, message: &Published) -> Result<(), Misuse> {
        self.check_sending(message.bytes())?;
        self.payload_waiting += message.bytes() as u64;
        let (reserved, frame) = match &mut self.deflate {
            Some(deflate) if deflate.wants(message.bytes()) => {
                // The peer's inflater goes on from this frame, which our compressor has not seen.
                deflate.reset_compressor();
                (RSV1, message.compressed(deflate))
            }
            _ => (0, message.plain()),
        };
        if self.keys.is_none() {
            self.outbox.share(&frame.bytes);
        } else {
            let (opcode, payload) = (OpCode::from(message.kind()), frame.payload());
            let header = Header { fin: true, reserved, opcode, mask: None, length: payload.len() as u64 };
            self.write_masked(header, payload);
        }
        Ok(())
    }

    /// Whether so many bytes of frames that were encoded for many may be written to the stream as they are, past
    /// the outbox: nothing waits, and no mask, no compression and no half-sent message stands in the way.
    #[inline]
    pub fn takes_frames(&self, bytes: usize) -> bool {
        let is_clear = self.phase == Phase::Open && self.outbox.is_empty() && self.sending.is_none();
        is_clear && self.keys.is_none() && self.deflate.is_none() && bytes <= self.config.max_outbox_bytes
    }

    /// Sends a fragment: the first begins a message of this kind, `fin` ends it. The text of a message is
    /// UTF-8 as a whole; the caller answers for that.
    pub fn send_fragment(&mut self, kind: MessageKind, data: &[u8], fin: bool) -> Result<(), Misuse> {
        self.check_room(data.len())?;
        self.send_fragment_accepted(kind, data, fin)
    }

    /// Sends a fragment that was accepted when there was room for it.
    pub(crate) fn send_fragment_accepted(&mut self, kind: MessageKind, data: &[u8], fin: bool) -> Result<(), Misuse> {
        self.check_open()?;
        let opcode = match self.sending {
            None => OpCode::from(kind),
            Some(begun) if begun == kind => OpCode::Continuation,
            Some(_) => return Err(Misuse::FragmentMismatch),
        };
        // All of a message or nothing: that never changes while the connection is open.
        let is_compressed = self.deflate.as_ref().is_some_and(|deflate| deflate.wants(usize::MAX));
        self.write_data(opcode, data, fin, is_compressed);
        self.sending = if fin { None } else { Some(kind) };
        Ok(())
    }

    /// Sends a ping of at most 125 bytes.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Misuse> {
        self.send_control(OpCode::Ping, payload)
    }

    /// Sends a pong of at most 125 bytes, asked for or not.
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), Misuse> {
        self.send_control(OpCode::Pong, payload)
    }

    /// Sends bytes as they are, behind what waits and past every check but that of the room: for those who break
    /// rules on purpose. They may be frames, halves of them, or none. What the peer takes them for is not known
    /// here, so no end is [clean](super::super::close::CloseInfo::clean) any more; what the peer sends is judged
    /// as ever. Refused when the connection is not open, or its end is certain; after a close frame of ours it is
    /// not.
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Misuse> {
        match self.phase {
            Phase::Opening => return Err(Misuse::NotOpen),
            Phase::Open | Phase::CloseSent => {}
            Phase::CloseReceived | Phase::Failing | Phase::Closed => return Err(Misuse::Closed),
        }
        self.check_limit(bytes.len())?;
        self.sent_raw = true;
        self.payload_waiting += bytes.len() as u64;
        self.outbox.append(|gather| gather.extend_from_slice(bytes));
        Ok(())
    }

    fn send_control(&mut self, opcode: OpCode, payload: &[u8]) -> Result<(), Misuse> {
        if payload.len() > 125 {
            return Err(Misuse::ControlTooLong(payload.len()));
        }
        self.check_room(payload.len())?;
        self.write_control(opcode, payload);
        Ok(())
    }

    #[inline]
    fn check_message(&self, kind: MessageKind, data: &[u8]) -> Result<(), Misuse> {
        self.check_sending(data.len())?;
        kind.check(data)
    }

    #[inline]
    fn check_sending(&self, bytes: usize) -> Result<(), Misuse> {
        self.check_whole()?;
        self.check_room(bytes)
    }

    /// RFC 6455 5.4: fragments of two messages must not be interleaved.
    #[inline]
    fn check_whole(&self) -> Result<(), Misuse> {
        if self.sending.is_some() { Err(Misuse::FragmentMismatch) } else { Ok(()) }
    }

    #[inline]
    fn check_room(&self, bytes: usize) -> Result<(), Misuse> {
        self.check_open()?;
        self.check_limit(bytes)
    }

    #[inline]
    fn check_limit(&self, bytes: usize) -> Result<(), Misuse> {
        let limit = self.config.max_outbox_bytes;
        if self.outbox.len() + bytes > limit { Err(Misuse::OutboxFull { limit }) } else { Ok(()) }
    }

    #[inline]
    fn check_open(&self) -> Result<(), Misuse> {
        if self.phase == Phase::Open { Ok(()) } else { self.check_ending() }
    }

    /// Before and after `Open`: only a close frame of the peer that waits for ours leaves the door open.
    #[cold]
    fn check_ending(&self) -> Result<(), Misuse> {
        match self.phase {
            Phase::Opening => Err(Misuse::NotOpen),
            Phase::CloseReceived if self.awaits_reply() => Ok(()),
            Phase::Open => Ok(()),
            Phase::CloseSent | Phase::CloseReceived | Phase::Failing | Phase::Closed => Err(Misuse::Closed),
        }
    }

    /// Whether a payload leaves as it is: neither masked nor compressed.
    #[inline]
    fn is_verbatim(&self, bytes: usize) -> bool {
        self.keys.is_none() && !self.deflate.as_ref().is_some_and(|deflate| deflate.wants(bytes))
    }

    fn write_chunk(&mut self, kind: MessageKind, data: Chunk) {
        let bytes = data.bytes();
        if self.is_verbatim(bytes.len()) {
            self.write_header(OpCode::from(kind), true, 0, bytes.len());
            self.payload_waiting += bytes.len() as u64;
            self.outbox.push(data);
        } else {
            self.write_message(kind, bytes);
        }
    }

    #[inline(always)]
    fn write_message(&mut self, kind: MessageKind, data: &[u8]) {
        let is_compressed = self.deflate.as_ref().is_some_and(|deflate| deflate.wants(data.len()));
        self.write_data(OpCode::from(kind), data, true, is_compressed);
    }

    #[inline(always)]
    fn write_data(&mut self, opcode: OpCode, data: &[u8], fin: bool, is_compressed: bool) {
        self.payload_waiting += data.len() as u64;
        if is_compressed {
            self.write_compressed(opcode, data, fin);
        } else {
            self.write_frame(opcode, fin, data);
        }
    }

    #[inline(never)]
    fn write_compressed(&mut self, opcode: OpCode, data: &[u8], fin: bool) {
        let Some(deflate) = &mut self.deflate else { return };
        let mask = self.keys.as_mut().map(|keys| keys.next_key());
        // RFC 7692 6.1: RSV1 on the first frame of a compressed message only.
        let reserved = if opcode == OpCode::Continuation { 0 } else { RSV1 };
        self.outbox.append(|gather| {
            let start = gather.len();
            let mut header = Header { fin, reserved, opcode, mask, length: data.len() as u64 };
            let mut bytes = [0; MAX_HEADER_BYTES];
            let guess = header.write(&mut bytes);
            gather.extend_from_slice(&bytes[..guess]);
            deflate.compress(data, fin, gather);
            let length = gather.len() - start - guess;
            header.length = length as u64;
            let size = header.write(&mut bytes);
            if size != guess {
                gather.resize(start + size.max(guess) + length, 0);
                gather.copy_within(start + guess..start + guess + length, start + size);
                gather.truncate(start + size + length);
            }
            gather[start..start + size].copy_from_slice(&bytes[..size]);
            if let Some(key) = mask {
                mask::apply(key, &mut gather[start + size..]);
            }
        });
    }

    #[inline(always)]
    fn write_frame(&mut self, opcode: OpCode, fin: bool, payload: &[u8]) {
        let header = Header { fin, reserved: 0, opcode, mask: None, length: payload.len() as u64 };
        if self.keys.is_some() {
            return self.write_masked(header, payload);
        }
        self.outbox.append(
            #[inline(always)]
            |gather| {
                header.append(gather);
                gather.extend_from_slice(payload);
            },
        );
    }

    #[inline(never)]
    fn write_masked(&mut self, mut header: Header, payload: &[u8]) {
        let Some(keys) = &mut self.keys else { return };
        // RFC 6455 5.3: a client's every frame has a fresh key.
        let key = keys.next_key();
        header.mask = Some(key);
        self.outbox.append(|gather| {
            header.append(gather);
            let start = gather.len();
            gather.extend_from_slice(payload);
            mask::apply(key, &mut gather[start..]);
        });
    }

    fn write_header(&mut self, opcode: OpCode, fin: bool, reserved: u8, length: usize) {
        let header = Header { fin, reserved, opcode, mask: None, length: length as u64 };
        self.outbox.append(|gather| header.append(gather));
    }

    #[inline(never)]
    fn write_direct(&mut self, kind: MessageKind, data: &[u8], mut write: impl FnMut(&[IoSlice<'_>]) -> usize) {
        self.write_header(OpCode::from(kind), true, 0, data.len());
        self.payload_waiting += data.len() as u64;
        let mut rest = data;
        while !rest.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let mut filled = self.outbox.slices(&mut slices);
            if filled == MAX_SLICES {
                break;
            }
            slices[filled] = IoSlice::new(rest);
            filled += 1;
            let taken = write(&slices[..filled]);
            if taken == 0 {
                break;
            }
            let before = self.outbox.len();
            self.outbox.sent(taken.min(before));
            rest = &rest[taken.saturating_sub(before)..];
        }
        self.outbox.push(Chunk::Owned(rest.to_vec()));
        if self.outbox.is_empty() {
            self.payload_waiting = 0;
        }
    }

    /// Queues a control frame, whatever the phase; the caller has judged that.
    pub(super) fn write_control(&mut self, opcode: OpCode, payload: &[u8]) {
        self.write_frame(opcode, true, payload);
    }

    /// The peer reads again: the pong that is owed leaves.
    #[cold]
    pub(super) fn pay_pong(&mut self) {
        if let Some(payload) = self.owed_pong.take()
            && matches!(self.phase, Phase::Open | Phase::CloseSent)
        {
            self.answer_ping(&payload);
        }
    }

    /// Answers a ping, or owes the answer when the peer does not read.
    pub(super) fn answer_ping(&mut self, payload: &[u8]) {
        // RFC 6455 5.5.3: a pong carries the ping's payload; of several pings the last may be enough.
        if self.outbox.len() < PONG_BACKLOG {
            self.write_control(OpCode::Pong, payload);
        } else {
            self.owed_pong = Some(Box::new(payload.to_vec()));
        }
    }
}
