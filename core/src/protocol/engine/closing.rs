//! How it ends: ours, theirs, by fault, by silence. Told once, when the last byte has left.

use super::super::close::{self, CloseCode, CloseInfo, Side};
use super::super::config::CloseReply;
use super::super::event::{Event, Input};
use super::super::fault::{Fault, Misuse};
use super::super::frame::OpCode;
use super::super::handshake::MAX_REFUSED_BYTES;
use super::super::time::{Kind, Time};
use super::{Engine, Phase, Role, Shutdown};

/// What is known of the end.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) info: CloseInfo,
    /// The opening handshake was completed.
    pub(super) was_open: bool,
    /// Our close frame is queued, or none will be.
    is_answered: bool,
    /// `Event::CloseRequested` is still to be told.
    untold_request: bool,
    /// Bytes that waited to leave when the close's deadline was last looked at.
    waited: usize,
    /// Bytes that have come since.
    discarded: usize,
}

/// A close frame has no more bytes than this: what waits beyond is messages.
const CLOSE_FRAME: usize = 2 + 4 + 125;
/// A peer that takes less than this within the close's deadline is too slow to be waited for.
const PROGRESS: usize = 4096;

impl CloseInfo {
    pub(super) fn abnormal(begun_by: Side, fault: Option<Fault>) -> CloseInfo {
        let reason = fault.as_ref().map(Fault::to_string).unwrap_or_default();
        CloseInfo { code: CloseCode::ABNORMAL, reason, clean: false, begun_by, fault, unsent_bytes: 0 }
    }
}

impl Engine {
    /// Begins the closing handshake, or answers the peer's where `CloseReply::Application` left that open.
    /// Everything accepted before leaves first. During the opening handshake: ends the connection at once.
    pub fn close(&mut self, now: Time, code: Option<CloseCode>, reason: &str) -> Result<(), Misuse> {
        let mut payload = [0; 125];
        let length = close::encode(code, reason, &mut payload)?;
        match self.phase {
            Phase::Opening => self.abort(now),
            Phase::Open => {
                self.write_control(OpCode::Close, &payload[..length]);
                self.conclude(now, Phase::CloseSent, CloseInfo::abnormal(Side::Local, None));
            }
            Phase::CloseReceived if self.awaits_reply() => {
                self.write_control(OpCode::Close, &payload[..length]);
                if let Some(closing) = &mut self.closing {
                    closing.is_answered = true;
                    closing.info.clean = !self.sent_raw;
                }
            }
            Phase::CloseSent | Phase::CloseReceived | Phase::Failing | Phase::Closed => return Err(Misuse::Closed),
        }
        Ok(())
    }

    /// Whether the peer's close frame waits for the application's.
    pub(crate) fn awaits_reply(&self) -> bool {
        self.closing.as_ref().is_some_and(|closing| !closing.is_answered)
    }

    /// The peer's close frame.
    pub(super) fn close_received(&mut self, now: Time, payload: &[u8]) -> Option<Event<'static>> {
        let (code, reason) = match close::decode(payload) {
            Ok(decoded) => decoded,
            Err(fault) => {
                self.fail(now, fault);
                return None;
            }
        };
        let is_answer = self.phase == Phase::CloseSent;
        let asks = !is_answer && self.config.close_reply == CloseReply::Application;
        let begun_by = if is_answer { Side::Local } else { Side::Remote };
        let info = CloseInfo { code, reason: reason.to_owned(), clean: !asks, begun_by, fault: None, unsent_bytes: 0 };
        self.conclude(now, Phase::CloseReceived, info);
        if asks {
            if let Some(closing) = &mut self.closing {
                closing.is_answered = false;
                closing.untold_request = true;
            }
        } else if !is_answer {
            // RFC 6455 5.5.1: answer with a close frame, typically echoing the code.
            self.write_control(OpCode::Close, &payload[..payload.len().min(2)]);
        }
        None
    }

    /// The peer broke a rule: tell it, once, and read no more (RFC 6455 7.1.7).
    #[cold]
    pub(super) fn fail(&mut self, now: Time, fault: Fault) {
        let mut info = CloseInfo::abnormal(Side::Local, None);
        info.code = fault.close_code();
        info.reason = fault.to_string();
        if self.phase == Phase::Open {
            let mut payload = [0; 125];
            // The sentence fits by its length, or is cut: it is ASCII.
            let reason = &info.reason[..info.reason.len().min(close::MAX_REASON_BYTES)];
            if let Ok(length) = close::encode(Some(info.code), reason, &mut payload) {
                self.write_control(OpCode::Close, &payload[..length]);
            }
        }
        info.fault = Some(fault);
        self.conclude(now, Phase::Failing, info);
    }

    /// The end is certain, or begun; `Closed` follows when everything has left.
    pub(super) fn conclude(&mut self, now: Time, phase: Phase, mut info: CloseInfo) {
        info.clean &= !self.sent_raw;
        info.unsent_bytes += self.closing.as_ref().map_or(0, |closing| closing.info.unsent_bytes);
        let was_open = self.was_open();
        let waited = self.outbox.len();
        self.closing =
            Some(Box::new(Closing { info, was_open, is_answered: true, untold_request: false, waited, discarded: 0 }));
        self.enter(phase, now);
    }

    /// The close's deadline has come: whether messages that were accepted before the close have left since the
    /// last one. Then the peer only reads slowly, and has as long again.
    pub(super) fn still_leaves(&mut self) -> bool {
        let waits = self.outbox.len();
        let is_closing = matches!(self.phase, Phase::CloseSent | Phase::CloseReceived);
        let Some(closing) = self.closing.as_mut().filter(|_| is_closing) else { return false };
        let waited = std::mem::replace(&mut closing.waited, waits);
        waited > CLOSE_FRAME && (waits == 0 || waited.saturating_sub(waits) >= PROGRESS)
    }

    /// A driver had accepted so many payload bytes, and the connection takes no more: they are counted in
    /// [`CloseInfo::unsent_bytes`].
    pub fn refused(&mut self, bytes: usize) {
        if let Some(closing) = &mut self.closing {
            closing.info.unsent_bytes += bytes as u64;
        }
    }

    /// The peer reads too slowly: the connection ends at once, and what waits is thrown away.
    pub fn end_slow_reader(&mut self, now: Time) {
        let limit = self.config.max_outbox_bytes;
        self.give_up(now, Side::Local, Some(Fault::SlowReader { limit }));
    }

    /// Nothing more can be done: what waits is thrown away, and counted.
    pub(super) fn give_up(&mut self, now: Time, begun_by: Side, fault: Option<Fault>) {
        if self.phase == Phase::Closed {
            // Told already, and only lingering.
            self.end_of_input = true;
            self.deadlines.clear(Kind::Close);
            return;
        }
        let unsent_bytes = self.buffered_amount();
        let lost_something = !self.outbox.is_empty();
        self.outbox.clear();
        self.payload_waiting = 0;
        self.deadlines.clear(Kind::Write);
        self.end_of_input = true;
        let mut info = match &self.closing {
            // What the peer's close frame said stands, but not every byte has left.
            Some(closing) if self.phase != Phase::CloseSent => {
                let clean = closing.info.clean && closing.is_answered && !lost_something;
                CloseInfo { clean, unsent_bytes: 0, ..closing.info.clone() }
            }
            Some(_) => CloseInfo::abnormal(Side::Local, fault),
            None => CloseInfo::abnormal(begun_by, fault),
        };
        info.unsent_bytes += unsent_bytes;
        self.conclude(now, Phase::Failing, info);
    }

    /// Discards what still comes; tells `Closed` once everything has left.
    pub(super) fn next_closing<'b>(&mut self, now: Time, input: &mut Input<'b>) -> Option<Event<'b>> {
        let discarded = input.discard();
        let closing = self.closing.as_mut()?;
        closing.discarded += discarded;
        self.end_of_input |= !closing.was_open && closing.discarded > MAX_REFUSED_BYTES;
        if self.phase == Phase::Closed {
            return None;
        }
        if std::mem::take(&mut closing.untold_request) {
            return Some(Event::CloseRequested);
        }
        if !closing.is_answered || !self.outbox.is_empty() {
            return None;
        }
        let info = closing.info.clone();
        self.enter(Phase::Closed, now);
        // The deflate contexts are the largest thing that a connection owns.
        self.deflate = None;
        Some(Event::Closed(Box::new(info)))
    }

    /// In phase `Closed`: how the stream ends.
    pub(super) fn shutdown_when_closed(&self) -> Shutdown {
        let clean = self.closing.as_ref().is_some_and(|closing| closing.info.clean);
        if self.end_of_input {
            Shutdown::Both
        } else if clean && self.role() == Role::Client {
            // RFC 6455 7.1.1: a client waits for the server to close TCP first.
            Shutdown::Not
        } else {
            Shutdown::Write
        }
    }
}
