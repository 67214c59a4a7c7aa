//! [`EventLoop`]: poll, dispatch, deadlines, stop.

use std::fmt;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};

use super::connection::{ConnectionId, Mode, NEVER, Read};
use super::context::Context;
use super::handler::Handler;
use super::inner::{Inner, WAKER, listener_of};
use super::remote::{Remote, Shared};
use super::room::Run;
use super::table::LoopName;
use super::topics::Topics;
use super::turn::Turn;
use crate::error::Error;
use crate::protocol::{Pool, Time};

/// The one receive buffer of a loop.
const BUFFER: usize = 512 << 10;
/// A gather buffer that grew beyond this goes back to the system.
const MAX_GATHER: usize = 1 << 20;
/// Readiness that is taken from the system at once.
const EVENTS: usize = 1024;

/// Many connections on one thread: the one that calls [`run`](EventLoop::run) or
/// [`run_once`](EventLoop::run_once).
///
/// It may live inside another loop: wait until [`fd`](EventLoop::fd) is readable or
/// [`next_timeout`](EventLoop::next_timeout) has passed, then `run_once(Some(Duration::ZERO))`.
///
/// Dropping it ends every connection at once; their handlers are told by `on_close`.
pub struct EventLoop {
    poll: Poll,
    events: Events,
    pub(super) inner: Inner,
    handlers: Vec<Option<Box<dyn Handler>>>,
    buffer: Vec<u8>,
    gather: Vec<u8>,
    pool: Pool,
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventLoop({}, {} connections)", self.inner.shared.name.id, self.inner.len())
    }
}

impl EventLoop {
    /// A loop without connections. Fails when the system has no descriptors left.
    pub fn new() -> Result<EventLoop, Error> {
        EventLoop::among(&Arc::default())
    }

    /// A loop whose connections subscribe to the same topics as those of others.
    pub(super) fn among(topics: &Arc<Topics>) -> Result<EventLoop, Error> {
        let making = |source| Error::io("make an event loop", source);
        let poll = Poll::new().map_err(making)?;
        let registry = poll.registry().try_clone().map_err(making)?;
        let waker = Waker::new(&registry, WAKER).map_err(making)?;
        let name = LoopName::take().ok_or_else(|| making(std::io::ErrorKind::OutOfMemory.into()))?;
        let shared = Arc::new(Shared::new(name, waker, topics.clone()));
        topics.set_loop(&shared);
        Ok(EventLoop {
            poll,
            events: Events::with_capacity(EVENTS),
            inner: Inner::new(shared, registry),
            handlers: Vec::new(),
            buffer: vec![0; BUFFER],
            gather: Vec::new(),
            pool: Pool::new(),
        })
    }

    /// Turns until [`Context::stop`], or until a drain is over.
    pub fn run(&mut self) -> Result<(), Error> {
        let _run = Run::of(&self.inner.shared);
        while !std::mem::take(&mut self.inner.is_stopping) {
            self.turn(None)?;
        }
        Ok(())
    }

    /// One turn: waits for something to happen, at most `timeout` (`None` is for ever), and handles what
    /// has happened.
    pub fn run_once(&mut self, timeout: Option<Duration>) -> Result<(), Error> {
        let _run = Run::of(&self.inner.shared);
        self.turn(timeout)
    }

    /// Readable when the next turn has something to do, also when it was asked for by another thread or
    /// between two turns.
    pub fn fd(&self) -> RawFd {
        self.poll.as_raw_fd()
    }

    /// How long [`fd`](EventLoop::fd) may be waited on; `None` is for ever.
    pub fn next_timeout(&mut self) -> Option<Duration> {
        if !self.inner.queued.is_empty() || !self.inner.subscribers.is_clear() {
            return Some(Duration::ZERO);
        }
        let at = self.inner.next_deadline()?;
        Some(at.since(self.inner.tick()))
    }

    /// Whether `run` would return now: it was stopped, or a drain is over. A foreign loop asks after each turn.
    pub fn is_stopping(&self) -> bool {
        self.inner.is_stopping
    }

    /// The verbs of this loop, between two turns.
    pub fn context(&mut self) -> Context<'_> {
        self.inner.tick();
        Context { inner: &mut self.inner, rest: &[] }
    }

    /// A handle for other threads.
    pub fn remote(&self) -> Remote {
        self.inner.remote()
    }

    fn turn(&mut self, timeout: Option<Duration>) -> Result<(), Error> {
        self.inner.is_turning = true;
        let turned = self.take_turn(timeout);
        self.inner.is_turning = false;
        turned
    }

    fn take_turn(&mut self, timeout: Option<Duration>) -> Result<(), Error> {
        // 1: wait for readiness, a wake or a deadline.
        let wait = match (timeout, self.next_timeout()) {
            (Some(timeout), Some(next)) => Some(timeout.min(next)),
            (timeout, next) => timeout.or(next),
        };
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        match self.poll.poll(&mut events, wait) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => events.clear(),
            Err(source) => return Err(Error::io("wait for events", source)),
        }
        self.inner.tick();
        self.inner.metrics.turns.add(1);
        // 2: what other threads have asked for.
        if self.inner.shared.queue.is_woken() {
            let commands = self.inner.shared.queue.take();
            self.inner.metrics.commands.add(commands.len() as u64);
            for command in commands {
                self.inner.obey(command);
            }
        }
        // 3: what the sockets have to say.
        for event in &events {
            match event.token() {
                WAKER => {}
                token if listener_of(token).is_some() => self.accept(token),
                Token(id) => {
                    let id = ConnectionId::from_u64(id as u64);
                    let Some(connection) = self.inner.find(id) else { continue };
                    connection.is_readable |= event.is_readable();
                    connection.is_hung_up |= event.is_read_closed() || event.is_error();
                    connection.is_blocked &= !event.is_writable();
                    self.drive(id);
                }
            }
        }
        self.events = events;
        // 4: deadlines.
        while let Some((at, id)) = self.inner.timers.pop_due(self.inner.now) {
            self.time_out(at, id);
        }
        self.resume_listeners();
        self.drain();
        // 5: what was published, and those that go on without new readiness.
        self.inner.deliver_published(true);
        for id in std::mem::take(&mut self.inner.queued) {
            self.drive(id);
        }
        self.inner.deliver_published(true);
        // 6: what the turn has left.
        self.change_handlers();
        self.inner.shared.room.turned(&self.inner.shared);
        if self.gather.capacity() > MAX_GATHER {
            self.gather = Vec::new();
        }
        Ok(())
    }

    /// One connection's share of the turn.
    pub(super) fn drive(&mut self, id: ConnectionId) {
        self.change_handlers();
        let Some(connection) = self.inner.find(id) else { return };
        connection.is_queued = false;
        connection.lend(&mut self.gather);
        let Some(Some(handler)) = self.handlers.get_mut(connection.handler as usize) else { return };
        let read = if connection.has_prelude() { Read::Later } else { connection.read(&mut self.buffer) };
        self.inner.current = Some(id);
        let mut turn = Turn { inner: &mut self.inner, handler: &mut **handler, pool: &mut self.pool, id };
        let is_hungry = turn.run(read, &mut self.buffer, &mut self.gather);
        self.inner.current = None;
        if is_hungry {
            self.inner.enqueue(id);
        }
    }

    /// Takes in the handlers that were added, and lets those go whose connection has gone.
    #[inline]
    fn change_handlers(&mut self) {
        if !self.inner.arriving.is_empty() || !self.inner.leaving.is_empty() {
            self.take_and_let_go();
        }
    }

    #[cold]
    fn take_and_let_go(&mut self) {
        for (id, handler) in self.inner.arriving.drain(..) {
            let place = id.0 as usize;
            self.handlers.resize_with(self.handlers.len().max(place + 1), || None);
            self.handlers[place] = Some(handler);
        }
        while let Some(id) = self.inner.leaving.pop() {
            drop(self.handlers.get_mut(id.0 as usize).and_then(Option::take));
            self.inner.vacate(id);
        }
    }

    fn time_out(&mut self, at: Time, id: ConnectionId) {
        let now = self.inner.now;
        let Some(connection) = self.inner.find(id).filter(|connection| connection.armed == at) else {
            return self.inner.timers.skip();
        };
        connection.armed = NEVER;
        match &mut connection.mode {
            Mode::WebSocket(engine) => {
                let before = engine.pinged_at();
                engine.handle_timeout(now);
                let pinged = engine.pinged_at();
                self.inner.metrics.pings.add((pinged.is_some() && pinged != before).into());
            }
            Mode::Raw(raw) => connection.is_broken |= raw.deadline.is_some_and(|deadline| deadline <= now),
            // Its next step looks at the time.
            Mode::Connecting(_) => {}
        }
        self.drive(id);
    }

    fn accept(&mut self, token: Token) {
        let Some(index) = listener_of(token) else { return };
        super::listening::accept(&mut self.inner, index);
    }

    fn resume_listeners(&mut self) {
        let now = self.inner.now;
        let due = |(index, listening): (usize, &super::listening::Listening)| {
            listening.resume_at.is_some_and(|at| at <= now).then_some(index)
        };
        if self.inner.listeners.iter().any(|(_, listening)| listening.resume_at.is_some()) {
            let indices: Vec<usize> = self.inner.listeners.iter().filter_map(due).collect();
            for index in indices {
                super::listening::accept(&mut self.inner, index);
            }
        }
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        self.inner.unlisten_all(None);
        // `on_close` comes for every connection, whatever ends it.
        self.inner.is_ending = true;
        for id in self.inner.ids() {
            let _ = Context { inner: &mut self.inner, rest: &[] }.abort(id);
            self.drive(id);
        }
        self.inner.shared.end();
        self.inner.shared.topics.end_loop(&self.inner.shared);
        // Sockets leave the poll before they close: it may be a clone's.
        for id in self.inner.ids() {
            self.inner.remove(id);
        }
    }
}
