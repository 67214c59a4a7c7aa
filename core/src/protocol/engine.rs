//! [`Engine`]: one WebSocket from its first handshake byte to its last. It decides; frames, masks, texts
//! and HTTP are others' work.
//!
//! ```text
//!              bad head, refusal, deadline
//!  Opening ───────────────────────────────────────────────┐
//!     │ agreed                                            │
//!    Open ── close() ──► CloseSent ── their close ──┐     │
//!     │                                             ▼     ▼
//!     ├── their close ─────────────────► CloseReceived   Failing (close or HTTP answer queued)
//!     ├── their fault ───────────────────────────────────►│
//!     │                                   both, once all has left
//!     └── end of input, deadline, abort() in any phase ──► Closed
//! ```
//! Only [`Engine::enter`] changes the phase. `Closed` is entered once and told once.

mod closing;
mod opening;
mod receiving;
mod sending;

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use self::closing::Closing;
use self::opening::Opening;
use self::receiving::Receiving;
pub(crate) use self::sending::DIRECT;
use super::close::{CloseInfo, Side};
use super::config::Config;
use super::deflate::Deflate;
use super::event::{Event, Input, Message, MessageKind, Payload};
use super::fault::Fault;
use super::handshake::{Agreed, Response};
use super::mask::Keys;
use super::outbox::{MAX_SLICES, Outbox};
use super::time::{Deadlines, Kind, Time};

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The opening handshake is under way.
    Opening,
    /// Messages flow.
    Open,
    /// Our close frame is queued or sent; the peer's is awaited, and its messages are dropped.
    CloseSent,
    /// The peer's close frame was read; ours follows everything that waits, and then it is over.
    CloseReceived,
    /// The peer broke a rule, or the handshake was refused; the last bytes leave.
    Failing,
    /// It is over.
    Closed,
}

/// Which end this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads masked frames, writes plain ones.
    Server,
    /// Writes masked frames, reads plain ones.
    Client,
}

/// What the driver must do with the stream, asked after everything outgoing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Nothing: go on reading and writing.
    Not,
    /// End the sending half, go on reading to the end of the stream or the next timeout.
    Write,
    /// Close the stream now.
    Both,
}

/// What is known of an open connection beyond its bytes; absent where all is the default.
#[derive(Debug, Default)]
pub(crate) struct About {
    agreed: Agreed,
    url: Box<str>,
    /// Present exactly for clients that were answered.
    response: Option<Box<Response>>,
}

/// One WebSocket, either role: bytes, time and commands in; events and bytes out.
///
/// The law for every driver: one thing happens (bytes, the end of the stream, a timeout, a command) →
/// [`next_event`](Engine::next_event) until `None` → write [`outgoing`](Engine::outgoing) and say
/// [`sent`](Engine::sent), both again until nothing moves → obey [`shutdown`](Engine::shutdown) → wait
/// until [`next_timeout`](Engine::next_timeout) at the most.
#[derive(Debug)]
pub struct Engine {
    config: Arc<Config>,
    outbox: Outbox,
    deadlines: Deadlines,
    /// When the peer was last heard: stamped by every input, compared only when a deadline is due.
    heard: Time,
    /// Payload bytes that were queued since the outbox was last empty.
    payload_waiting: u64,
    /// Absent between messages: an idle connection owns no buffer.
    receiving: Option<Box<Receiving>>,
    /// Present exactly in phase `Opening`.
    opening: Option<Box<Opening>>,
    deflate: Option<Box<Deflate>>,
    /// Present exactly for clients.
    keys: Option<Box<Keys>>,
    about: Option<Arc<About>>,
    /// Present from the first sign of the end.
    closing: Option<Box<Closing>>,
    /// The last ping that could not be answered because too much waits.
    #[expect(clippy::box_collection, reason = "hardly any has one, and all would pay a second word for it")]
    owed_pong: Option<Box<Vec<u8>>>,
    /// The message that is being sent in fragments.
    sending: Option<MessageKind>,
    phase: Phase,
    /// `Event::Open` is still to be told.
    untold_open: bool,
    is_paused: bool,
    /// A ping of ours waits for a sign of life.
    is_probing: bool,
    /// The keepalive ping that no pong has answered yet, while the deadline still tells when it was sent.
    pinged: Pinged,
    end_of_input: bool,
    /// Bytes were sent of which only the application knows what they are.
    sent_raw: bool,
}

/// How a keepalive ping set the next deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pinged {
    Not,
    /// By the shorter of `Config::pong_timeout` and `Config::ping_interval`.
    Probing,
    /// By `Config::ping_interval`.
    Unwatched,
}

impl Engine {
    fn new(config: Arc<Config>, now: Time, keys: Option<Keys>) -> Engine {
        Engine {
            config,
            outbox: Outbox::new(),
            deadlines: Deadlines::new(),
            heard: now,
            payload_waiting: 0,
            receiving: None,
            opening: None,
            deflate: None,
            keys: keys.map(Box::new),
            about: None,
            closing: None,
            owed_pong: None,
            sending: None,
            phase: Phase::Opening,
            untold_open: false,
            is_paused: false,
            is_probing: false,
            pinged: Pinged::Not,
            end_of_input: false,
            sent_raw: false,
        }
    }

    /// The next thing that happened, or `None` when nothing more follows from this input.
    ///
    /// Never fails: a peer's fault becomes a queued close frame and one [`Event::Closed`]. Eats all of
    /// `input`, unless the application has paused or a request waits for its answer: then the rest is the
    /// driver's to keep and to offer again. Call it once more after everything outgoing has been
    /// [`sent`](Engine::sent): `Closed` comes when the last byte has left.
    #[inline(never)]
    pub fn next_event<'b>(&mut self, now: Time, input: &mut Input<'b>) -> Option<Event<'b>> {
        if let Some((kind, data)) = self.next_message(now, input) {
            return Some(Event::Message(Message { kind, data: Payload::Borrowed(data) }));
        }
        if !input.is_empty() {
            self.heard(now);
        }
        if self.untold_open {
            self.untold_open = false;
            return Some(Event::Open);
        }
        match self.phase {
            Phase::Open if self.is_paused => None,
            Phase::Open => self.next_frame(now, input),
            Phase::CloseSent => self.next_frame_unheard(now, input),
            Phase::Opening => self.next_opening(now, input),
            Phase::CloseReceived | Phase::Failing | Phase::Closed => self.next_closing(now, input),
        }
    }

    /// Whether [`next_event`](Engine::next_event) has something to tell without any input.
    #[inline]
    pub fn has_news(&self) -> bool {
        self.untold_open || self.is_ending() || self.is_half_told()
    }

    /// Whether the end is certain: input is discarded, and `Closed` follows or was told.
    #[inline]
    pub fn is_ending(&self) -> bool {
        match self.phase {
            Phase::Opening | Phase::Open | Phase::CloseSent => false,
            Phase::CloseReceived | Phase::Failing | Phase::Closed => true,
        }
    }

    /// Whether nothing is under way: open, nothing half received, nothing waits to leave.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Open && self.receiving.is_none() && self.outbox.is_empty()
    }

    /// A sign of life; it answers any ping of ours.
    #[inline]
    fn heard(&mut self, now: Time) {
        self.heard = now;
        self.is_probing = false;
    }

    /// The peer sends no more. What waits is still written, then it is over: 1006 when no close frame came.
    pub fn end_of_input(&mut self, now: Time) {
        if self.end_of_input {
            return;
        }
        self.end_of_input = true;
        match self.phase {
            Phase::Opening => self.end_of_opening(now),
            Phase::Open => self.conclude(now, Phase::CloseReceived, CloseInfo::abnormal(Side::Remote, None)),
            Phase::CloseSent => self.conclude(now, Phase::CloseReceived, CloseInfo::abnormal(Side::Local, None)),
            Phase::CloseReceived | Phase::Failing | Phase::Closed => {}
        }
    }

    /// The stream broke: nothing can be read or written any more.
    pub fn lost(&mut self, now: Time) {
        self.end_of_input = true;
        self.give_up(now, Side::Remote, None);
    }

    /// Ends the connection at once, without a closing handshake: 1006, and what waits is thrown away.
    pub fn abort(&mut self, now: Time) {
        self.give_up(now, Side::Local, None);
    }

    /// A deadline of [`next_timeout`](Engine::next_timeout) has come. Too early a call does nothing.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.deadlines.is_due(Kind::Handshake, now) {
            self.deadlines.clear(Kind::Handshake);
            self.opening_timed_out(now);
        }
        if self.deadlines.is_due(Kind::Message, now) {
            self.deadlines.clear(Kind::Message);
            if self.is_paused {
                // Its rest may wait unread: that is not the peer's fault.
                self.deadlines.set(Kind::Message, now, self.config.message_timeout);
            } else {
                self.fail(now, Fault::MessageTimeout);
            }
        }
        if self.deadlines.is_due(Kind::Keepalive, now) {
            self.keepalive_due(now);
        }
        if self.deadlines.is_due(Kind::Write, now) {
            self.deadlines.clear(Kind::Write);
            self.give_up(now, Side::Local, Some(Fault::WriteTimeout));
        }
        if self.deadlines.is_due(Kind::Close, now) {
            self.deadlines.clear(Kind::Close);
            if self.still_leaves() {
                self.deadlines.set(Kind::Close, now, self.config.close_timeout);
            } else {
                self.end_of_input = true;
                self.give_up(now, Side::Local, Some(Fault::CloseTimeout));
            }
        }
    }

    /// When [`handle_timeout`](Engine::handle_timeout) wants to be called next.
    #[inline]
    pub fn next_timeout(&self) -> Option<Time> {
        self.deadlines.next()
    }

    /// The bytes that wait to leave, in order, as far as they fit; how many slices were filled.
    pub fn outgoing<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        self.outbox.slices(slices)
    }

    /// What waits to leave, for those who want more than slices: length, first piece.
    #[inline]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The first `n` bytes of what is outgoing have left.
    ///
    /// # Panics
    /// When `n` is more than what waits.
    #[inline]
    pub fn sent(&mut self, n: usize) {
        self.outbox.sent(n);
        self.deadlines.clear(Kind::Write);
        if self.outbox.is_empty() {
            self.payload_waiting = 0;
            if self.owed_pong.is_some() {
                self.pay_pong();
            }
        }
    }

    /// The stream takes no more bytes for now: the peer has until the write deadline to read some.
    pub fn stalled(&mut self, now: Time) {
        if !self.deadlines.is_set(Kind::Write) && !self.outbox.is_empty() {
            self.deadlines.set(Kind::Write, now, self.config.write_timeout);
        }
    }

    /// Lends a buffer to gather frames in for one turn; see [`Outbox::lend`].
    #[inline]
    pub fn lend(&mut self, buffer: &mut Vec<u8>) {
        self.outbox.lend(buffer);
    }

    /// Gives the lent buffer back; see [`Outbox::reclaim`].
    #[inline]
    pub fn reclaim(&mut self, buffer: &mut Vec<u8>) {
        self.outbox.reclaim(buffer);
    }

    /// Bytes that leave before everything else: an answer that the application has written itself.
    pub fn precede(&mut self, earlier: Outbox) {
        self.outbox.precede(earlier);
    }

    /// What the driver must do with the stream once everything outgoing was written.
    #[inline]
    pub fn shutdown(&self) -> Shutdown {
        if self.phase != Phase::Closed {
            return Shutdown::Not;
        }
        self.shutdown_when_closed()
    }

    /// Reads no more frames until [`resume`](Engine::resume) or [`close`](Engine::close). Sending goes on, and
    /// so do pings; what the peer may have answered unread is not held against it.
    pub fn pause(&mut self) {
        self.is_paused = true;
    }

    /// Reads frames again; the driver offers what it kept.
    pub fn resume(&mut self) {
        self.is_paused = false;
    }

    /// Whether input would stay unread now: paused, or a request waits for its answer.
    #[inline]
    pub fn is_blocked(&self) -> bool {
        if self.phase == Phase::Open { self.is_paused } else { self.is_blocked_elsewhere() }
    }

    #[cold]
    fn is_blocked_elsewhere(&self) -> bool {
        match self.phase {
            Phase::Open => self.is_paused,
            Phase::Opening => self.opening.as_ref().is_some_and(|opening| opening.awaits_answer()),
            Phase::CloseSent | Phase::CloseReceived | Phase::Failing | Phase::Closed => false,
        }
    }

    /// Where the connection stands.
    #[inline]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Which end this is.
    #[inline]
    pub fn role(&self) -> Role {
        if self.keys.is_some() { Role::Client } else { Role::Server }
    }

    /// The limits and wishes that this connection was made with.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Payload bytes accepted for sending that the driver has not taken yet; framing is not counted.
    pub fn buffered_amount(&self) -> u64 {
        self.payload_waiting.min(self.outbox.len() as u64)
    }

    /// Servers' connections that open after each other have often asked for the same: they share what is known of
    /// them, which is `last`.
    pub(crate) fn share_about(&mut self, last: &mut Option<Arc<About>>) {
        let Some(own) = self.about.as_mut().filter(|own| own.response.is_none()) else { return };
        match last {
            Some(last) if last.url == own.url && last.agreed == own.agreed => own.clone_from(last),
            _ => *last = Some(own.clone()),
        }
    }

    /// The agreed subprotocol.
    pub fn subprotocol(&self) -> Option<&str> {
        self.about.as_ref()?.agreed.subprotocol.as_deref()
    }

    /// The agreed extensions, as a header would name them; empty when there are none.
    pub fn extensions(&self) -> String {
        let deflate = self.about.as_ref().and_then(|about| about.agreed.deflate.as_ref());
        deflate.map(|parameters| parameters.to_string()).unwrap_or_default()
    }

    /// Whether it ever was open: the opening handshake was completed.
    pub fn was_open(&self) -> bool {
        match self.phase {
            Phase::Opening => false,
            Phase::Open | Phase::CloseSent | Phase::CloseReceived => true,
            Phase::Failing | Phase::Closed => self.closing.as_ref().is_some_and(|closing| closing.was_open),
        }
    }

    /// When the keepalive ping was sent that no pong has answered yet; nothing once its deadline has passed.
    pub fn pinged_at(&self) -> Option<Time> {
        let interval = match self.pinged {
            Pinged::Not => return None,
            Pinged::Probing => self.config.pong_timeout.min(self.config.ping_interval),
            Pinged::Unwatched => self.config.ping_interval,
        };
        self.deadlines.at(Kind::Keepalive).map(|at| at.before(interval))
    }

    /// How long the keepalive ping was on its way that this pong answers; asked once, when
    /// [`Event::Pong`] is told without a payload, as keepalive pings have none.
    pub fn take_round_trip(&mut self, now: Time) -> Option<Duration> {
        let sent = self.pinged_at()?;
        self.pinged = Pinged::Not;
        Some(now.since(sent))
    }

    /// Client: the URL that was asked for. Server: the request's target; "/" before there is one.
    pub fn url(&self) -> &str {
        self.about.as_ref().map_or("/", |about| &about.url)
    }

    /// Client: the server's answer to the opening handshake, with the body of a refusal.
    pub fn response(&self) -> Option<&Response> {
        self.about.as_ref()?.response.as_deref()
    }

    /// How it ended, or is about to end; nothing before the peer has closed too, or is given up.
    pub fn close_info(&self) -> Option<&CloseInfo> {
        self.closing.as_ref().filter(|_| self.is_ending()).map(|closing| &closing.info)
    }

    /// Bytes of memory that this connection holds beside the engine itself: what waits to leave, and the
    /// message that is being assembled.
    pub fn held_bytes(&self) -> usize {
        self.outbox.len() + self.receiving.as_ref().map_or(0, |receiving| receiving.held_bytes())
    }

    /// The one place where the phase changes.
    fn enter(&mut self, phase: Phase, now: Time) {
        self.phase = phase;
        match phase {
            Phase::Opening => self.deadlines.set(Kind::Handshake, now, self.config.handshake_timeout),
            Phase::Open => {
                self.opening = None;
                self.deadlines.clear(Kind::Handshake);
                self.deadlines.set(Kind::Keepalive, now, self.config.ping_interval);
            }
            Phase::CloseSent | Phase::CloseReceived | Phase::Failing | Phase::Closed => {
                if phase != Phase::CloseSent {
                    self.opening = None;
                    self.receiving = None;
                    self.deadlines.clear(Kind::Message);
                }
                self.deadlines.clear(Kind::Handshake);
                self.deadlines.clear(Kind::Keepalive);
                if !self.deadlines.is_set(Kind::Close) {
                    self.deadlines.set(Kind::Close, now, self.config.close_timeout);
                }
            }
        }
    }

    /// Silence for a whole interval: probe, or give up when the probe was not answered.
    fn keepalive_due(&mut self, now: Time) {
        let interval = if self.is_probing { self.config.pong_timeout } else { self.config.ping_interval };
        let silent = now.since(self.heard).as_millis() as u64;
        let is_first_look = self.is_probing && self.pinged == Pinged::Probing;
        let rest = self.config.pong_timeout.saturating_sub(self.config.ping_interval);
        self.pinged = Pinged::Not;
        if is_first_look && rest > 0 && !self.is_paused {
            // The pong has time yet. Had it come, the next ping would be due: that is what was looked for.
            self.deadlines.set(Kind::Keepalive, now, rest);
        } else if silent < interval {
            // Heard in between: the interval counts from then.
            self.is_probing = false;
            self.deadlines.set(Kind::Keepalive, self.heard, self.config.ping_interval);
        } else if self.is_probing && !self.is_paused {
            // While paused nobody listens: silence proves nothing.
            self.give_up(now, Side::Local, Some(Fault::PongTimeout));
        } else {
            // RFC 6455 5.5.2: a ping may serve as a keepalive.
            self.is_probing = self.config.pong_timeout != 0 && !self.is_paused;
            self.write_control(super::frame::OpCode::Ping, &[]);
            self.pinged = if self.is_probing { Pinged::Probing } else { Pinged::Unwatched };
            let next = if self.is_probing { self.config.pong_timeout } else { self.config.ping_interval };
            self.deadlines.set(Kind::Keepalive, now, next.min(self.config.ping_interval));
        }
    }
}
