//! [`Drain`]: connections that are closed gently, one after the other, and aborted at a deadline.

use std::time::Duration;

use super::connection::{ConnectionId, Mode};
use super::context::{Context, HandlerId};
use super::event_loop::EventLoop;
use super::inner::Inner;
use crate::log::{self, Level};
use crate::protocol::handshake::Reject;
use crate::protocol::{CloseCode, Phase, Time};

/// How connections are drained.
#[derive(Clone, Debug)]
pub struct DrainOptions {
    /// The close code; [`CloseCode::GOING_AWAY`] by default.
    pub code: CloseCode,
    /// The reason; at most 123 bytes. Default none.
    pub reason: String,
    /// Over how long the close frames are spread, evenly, so that not all clients come back at once. Default
    /// zero: all at once.
    pub window: Duration,
    /// From the end of the window to the abort of those that are still there. Default 10 s.
    pub deadline: Duration,
}

impl Default for DrainOptions {
    fn default() -> Self {
        DrainOptions {
            code: CloseCode::GOING_AWAY,
            reason: String::new(),
            window: Duration::ZERO,
            deadline: Duration::from_secs(10),
        }
    }
}

/// One under way.
#[derive(Debug)]
pub(super) struct Drain {
    /// Whose guests; without one it is the whole loop, which ends after it.
    of: Option<HandlerId>,
    code: CloseCode,
    reason: String,
    from: Time,
    window: u64,
    deadline: Time,
    /// Those that were there at its beginning; closed up to `closed`.
    ids: Vec<ConnectionId>,
    closed: usize,
}

impl Drain {
    /// When it has something to do next.
    pub(super) fn next(&self) -> Time {
        match self.ids.get(self.closed) {
            Some(_) => self.from.after(self.window * self.closed as u64 / self.ids.len() as u64).min(self.deadline),
            None => self.deadline,
        }
    }

    /// Those whose turn to be closed has come.
    fn take_due(&mut self, now: Time) -> Vec<ConnectionId> {
        let mut due = Vec::new();
        while let Some(id) = self.ids.get(self.closed).filter(|_| self.next() <= now) {
            due.push(*id);
            self.closed += 1;
        }
        due
    }
}

impl Inner {
    /// Begins to drain the guests of a handler, or the whole loop; one under way for the same is replaced.
    pub(super) fn begin_drain(&mut self, of: Option<HandlerId>, options: DrainOptions) {
        self.unlisten_all(of);
        let ids: Vec<ConnectionId> = match of {
            None => self.ids(),
            Some(handler) => self.guests_of(handler),
        };
        let window = options.window.as_millis() as u64;
        let (count, code) = (ids.len(), options.code);
        log::tell(Level::Info, 0, format_args!("draining: {count} connections are closed with {code}"));
        let deadline = self.now.after(window).after(options.deadline.as_millis() as u64);
        let DrainOptions { code, reason, .. } = options;
        self.drains.retain(|drain| drain.of != of);
        self.drains.push(Drain { of, code, reason, from: self.now, window, deadline, ids, closed: 0 });
        self.turn_soon();
    }

    /// Whether the whole loop goes down.
    pub(super) fn is_draining(&self) -> bool {
        self.drains.iter().any(|drain| drain.of.is_none())
    }

    /// Whether nobody is left of it: that is to be found out now.
    pub(super) fn is_drained(&self, drain: &Drain) -> bool {
        match drain.of {
            None => self.len() == 0,
            Some(handler) => self.count_guests(handler) == 0,
        }
    }

    /// Closes those whose turn has come.
    fn close_due(&mut self, index: usize) {
        let Some(drain) = self.drains.get_mut(index) else { return };
        let due = drain.take_due(self.now);
        if due.is_empty() {
            return;
        }
        let (code, reason) = (drain.code, drain.reason.clone());
        // What another thread was told is accepted is sent: first nothing more is accepted, then what was
        // leaves the queue, then they are closed.
        for id in &due {
            if let Some(entry) = self.shared.name.table.find(*id) {
                entry.begin_closing();
            }
        }
        for command in self.shared.queue.take() {
            self.obey(command);
        }
        self.deliver_published(false);
        for id in due {
            self.drain_one(id, code, &reason);
        }
    }

    fn drain_one(&mut self, id: ConnectionId, code: CloseCode, reason: &str) {
        let now = self.now;
        self.clients.give_up(id);
        let Some(connection) = self.find(id) else { return };
        match &mut connection.mode {
            Mode::WebSocket(engine) if engine.phase() == Phase::Opening => {
                // A request that waits for its answer gets one; what is not yet a request just ends.
                if engine.reject(now, &Reject::text(503, "the server goes down")).is_err() {
                    engine.abort(now);
                }
            }
            Mode::WebSocket(engine) => {
                // One that is closing already is left to it.
                let _ = engine.close(now, Some(code), reason);
            }
            Mode::Raw(raw) => raw.is_finished = true,
            Mode::Connecting(connecting) => connecting.abort(),
        }
        self.enqueue(id);
    }
}

impl EventLoop {
    /// A turn's share of every drain: who is still there at the deadline is aborted; after the whole loop's,
    /// the loop stops.
    pub(super) fn drain(&mut self) {
        let mut index = 0;
        while let Some(drain) = self.inner.drains.get(index) {
            let (of, is_late) = (drain.of, drain.deadline <= self.inner.now);
            if is_late {
                self.abort_rest(of);
            } else {
                self.inner.close_due(index);
            }
            let is_over = |drain: &Drain| drain.of == of && self.inner.is_drained(drain);
            match self.inner.drains.iter().position(is_over) {
                Some(over) => {
                    self.inner.drains.remove(over);
                    log::tell(Level::Info, 0, format_args!("drained"));
                    self.inner.is_stopping |= of.is_none();
                }
                None => index += 1,
            }
        }
    }

    fn abort_rest(&mut self, of: Option<HandlerId>) {
        let rest = match of {
            None => self.inner.ids(),
            Some(handler) => self.inner.guests_of(handler),
        };
        if !rest.is_empty() {
            let count = rest.len();
            log::tell(
                Level::Warning,
                0,
                format_args!("the drain's deadline has come: {count} connections are aborted"),
            );
        }
        for id in rest {
            let _ = Context { inner: &mut self.inner, rest: &[] }.abort(id);
            self.drive(id);
            // One that was told already only lingers.
            self.inner.remove(id);
        }
    }
}
