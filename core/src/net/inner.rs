//! [`Inner`]: what a loop owns beside its buffers, and what callbacks reach through [`Context`](super::Context).

use std::collections::HashMap;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use slab::Slab;

use super::clients::Clients;
use super::connection::{Connection, ConnectionId, Mode, NEVER, Tie};
use super::context::{Context, HandlerId, Sent};
use super::drain::Drain;
use super::guests::{Guests, Origin};
use super::handler::Handler;
use super::listening::Listening;
use super::metrics::Counters;
use super::remote::{Command, Remote, Shared};
use super::subscribers::Subscribers;
use super::timers::Timers;
use crate::clock;
use crate::error::Error;
use crate::protocol::{About, Misuse, Phase, SlowReader, Time};
use crate::transport::Transport;

/// A loop's connections, handlers, listeners and deadlines.
pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    /// The same as `shared` holds.
    pub(super) metrics: Arc<Counters>,
    pub(super) registry: Registry,
    /// Read once a turn.
    pub(super) now: Time,
    /// A slot is vacant, live, or (holding `None`) never used again.
    connections: Slab<Option<Connection>>,
    /// Places of handlers. The loop itself owns these: turns call them while they have the rest borrowed.
    handlers: Slab<Option<Box<Place>>>,
    /// Handlers to take in, and to let go, before the next turn.
    pub(super) arriving: Vec<(HandlerId, Box<dyn Handler>)>,
    pub(super) leaving: Vec<HandlerId>,
    pub(super) listeners: Slab<Listening>,
    pub(super) timers: Timers,
    pub(super) subscribers: Subscribers,
    /// Connections to look after without new readiness.
    pub(super) queued: Vec<ConnectionId>,
    /// The connection whose turn it is: its bytes are written at the end of it.
    pub(super) current: Option<ConnectionId>,
    pub(super) is_stopping: bool,
    /// What is queued now is looked after before the loop waits again.
    pub(super) is_turning: bool,
    /// Most often none.
    pub(super) drains: Vec<Drain>,
    /// Of those connections of which something is to be kept.
    origins: HashMap<ConnectionId, Origin>,
    /// Those that may start over.
    pub(super) clients: Clients,
    /// What is known of the connection that opened last.
    about: Option<Arc<About>>,
    /// The loop is being dropped: no new connections.
    pub(super) is_ending: bool,
}

/// A handler's place, once it has a listener.
#[derive(Default)]
struct Place {
    guests: Arc<Guests>,
    /// How many of them are in this loop.
    here: usize,
}

impl Inner {
    pub(super) fn new(shared: Arc<Shared>, registry: Registry) -> Inner {
        Inner {
            metrics: shared.metrics.clone(),
            shared,
            registry,
            now: Time::ZERO,
            connections: Slab::new(),
            handlers: Slab::new(),
            arriving: Vec::new(),
            leaving: Vec::new(),
            listeners: Slab::new(),
            timers: Timers::default(),
            subscribers: Subscribers::default(),
            queued: Vec::new(),
            current: None,
            is_stopping: false,
            is_turning: false,
            drains: Vec::new(),
            origins: HashMap::new(),
            clients: Clients::default(),
            about: None,
            is_ending: false,
        }
    }

    pub(super) fn remote(&self) -> Remote {
        Remote { shared: self.shared.clone() }
    }

    /// Reads the clock.
    pub(super) fn tick(&mut self) -> Time {
        self.now = clock::now();
        self.now
    }

    pub(super) fn len(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Gives a connection a slot and a name, and looks after it soon.
    pub(super) fn insert(&mut self, mut connection: Connection) -> Result<ConnectionId, Error> {
        if self.is_ending {
            return Err(Error::Gone);
        }
        let slot = self.connections.vacant_key();
        let full =
            || Error::Misuse(crate::protocol::Misuse::ConfigInvalid("a loop holds at most 1,048,576 connections"));
        let entry = self.shared.name.table.make(slot).ok_or_else(full)?;
        let id = ConnectionId::new(self.shared.name.id, entry.generation(), slot);
        self.register(id, connection.transport.as_ref())?;
        entry.update(connection.ready_state(), 0);
        entry.set_limits(connection.config());
        connection.id = id;
        connection.shown_state = connection.ready_state();
        self.connections.insert(Some(connection));
        self.shared.connections.fetch_add(1, Ordering::Relaxed);
        self.enqueue(id);
        Ok(id)
    }

    /// Watches the transport's socket, once for its whole life and both directions.
    pub(super) fn register(&self, id: ConnectionId, transport: Option<&Transport>) -> Result<(), Error> {
        let Some(fd) = transport.and_then(|transport| transport.fd()) else { return Ok(()) };
        self.registry
            .register(&mut SourceFd(&fd.as_raw_fd()), token(id), Interest::READABLE | Interest::WRITABLE)
            .map_err(|source| Error::io("watch the socket", source))
    }

    /// The connection that `id` names, whatever its state.
    #[inline]
    pub(super) fn find(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(id.slot())?.as_mut()?;
        (connection.id == id).then_some(connection)
    }

    /// The connection that `id` names, unless the application was told of its end.
    #[inline]
    pub(super) fn live(&mut self, id: ConnectionId) -> Result<&mut Connection, Error> {
        if !self.subscribers.is_clear() {
            self.catch_up(id);
        }
        match self.find(id) {
            Some(connection) if !connection.is_told => Ok(connection),
            _ => Err(Error::Gone),
        }
    }

    #[inline]
    pub(super) fn peek(&self, id: ConnectionId) -> Option<&Connection> {
        let connection = self.connections.get(id.slot())?.as_ref()?;
        (connection.id == id).then_some(connection)
    }

    /// Takes a connection out: its id is dead.
    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        self.find(id)?;
        self.end_member(id);
        self.clients.forget(id);
        let connection = self.connections.get_mut(id.slot())?.take()?;
        if let Some(fd) = connection.transport.as_ref().and_then(|transport| transport.fd()) {
            // A socket that is closed next leaves the poll by itself; one that is released must not be watched.
            let _ = self.registry.deregister(&mut SourceFd(&fd.as_raw_fd()));
        }
        if self.shared.name.table.retire(id.slot(), &self.shared.queue) {
            self.connections.remove(id.slot());
        }
        self.shared.drops().remove(&id);
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
        self.metrics.waiting_bytes.add(connection.shown_waiting.wrapping_neg());
        if connection.armed != NEVER {
            self.abandon_deadline();
        }
        match connection.tie {
            Tie::Loose => {}
            Tie::Guest => self.say_goodbye(&connection),
            Tie::Owner => self.leaving.push(HandlerId(connection.handler)),
        }
        Some(connection)
    }

    /// Gives a handler a place.
    pub(super) fn add_handler(&mut self, handler: Box<dyn Handler>) -> HandlerId {
        let id = HandlerId(self.handlers.insert(None) as u32);
        self.arriving.push((id, handler));
        id
    }

    /// The loop has let a handler go: its place is free.
    pub(super) fn vacate(&mut self, handler: HandlerId) {
        self.handlers.try_remove(handler.0 as usize);
    }

    /// A connection has opened.
    pub(super) fn opened(&mut self, id: ConnectionId) {
        self.clients.opened(id, self.now);
        let mut about = self.about.take();
        if let Some(Connection { mode: Mode::WebSocket(engine), .. }) = self.find(id) {
            engine.share_about(&mut about);
        }
        self.about = about;
    }

    /// Shows other threads what a connection has become, before its turn is over.
    pub(super) fn show(&mut self, id: ConnectionId) {
        let Some(connection) = self.find(id) else { return };
        // `shown_state` stays what it was: the turn's end sees the change, and queues the next deadline.
        let (state, waiting) = (connection.ready_state(), connection.buffered_amount());
        if let Some(entry) = self.shared.name.table.find(id) {
            entry.update(state, waiting);
        }
    }

    /// Looks after a connection in this turn or the next, without waiting for its socket.
    #[inline]
    pub(super) fn enqueue(&mut self, id: ConnectionId) {
        if self.current == Some(id) {
            return;
        }
        if let Some(connection) = self.find(id)
            && !std::mem::replace(&mut connection.is_queued, true)
        {
            self.queued.push(id);
            self.turn_soon();
        }
    }

    /// Between two turns a foreign loop may have asked for its timeout already: the descriptor tells it too.
    #[inline]
    pub(super) fn turn_soon(&self) {
        if !self.is_turning {
            // Without the wake the turn comes all the same: `next_timeout` is zero now.
            let _ = self.shared.wake();
        }
    }

    pub(super) fn ids(&self) -> Vec<ConnectionId> {
        self.connections.iter().filter_map(|(_, connection)| Some(connection.as_ref()?.id)).collect()
    }

    /// A queued deadline is about nothing from now on: its connection has gone, or has an earlier one. What a
    /// burst of short connections leaves behind must not stay until it would have been due.
    pub(super) fn abandon_deadline(&mut self) {
        if self.timers.abandon() {
            let connections = &self.connections;
            let connection = |id: ConnectionId| connections.get(id.slot())?.as_ref().filter(|one| one.id == id);
            self.timers.sweep(|at, id| connection(id).is_some_and(|connection| connection.armed == at));
        }
    }

    /// When the loop must turn at the latest.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let listeners = self.listeners.iter().filter_map(|(_, listening)| listening.resume_at);
        let drains = self.drains.iter().map(|drain| if self.is_drained(drain) { Time::ZERO } else { drain.next() });
        self.timers.next().into_iter().chain(listeners).chain(drains).min()
    }

    /// The guests of a handler, wherever they are: those of a server, or of this loop alone.
    pub(super) fn guests(&mut self, handler: HandlerId) -> Option<Arc<Guests>> {
        let place = self.handlers.get_mut(handler.0 as usize)?;
        Some(place.get_or_insert_default().guests.clone())
    }

    /// Says whose guests a handler's are, before it has any.
    pub(super) fn set_guests(&mut self, handler: HandlerId, guests: Arc<Guests>) {
        if let Some(place) = self.handlers.get_mut(handler.0 as usize) {
            place.get_or_insert_default().guests = guests;
        }
    }

    /// The guests of a handler in this loop.
    pub(super) fn guests_of(&self, handler: HandlerId) -> Vec<ConnectionId> {
        let is_its = |connection: &Connection| connection.tie == Tie::Guest && connection.handler == handler.0;
        let all = self.connections.iter().filter_map(|(_, connection)| connection.as_ref());
        all.filter(|connection| is_its(connection)).map(|connection| connection.id).collect()
    }

    /// How many guests of a handler are in this loop.
    pub(super) fn count_guests(&self, handler: HandlerId) -> usize {
        self.handlers.get(handler.0 as usize).and_then(Option::as_ref).map_or(0, |place| place.here)
    }

    /// A connection is a guest from now on.
    pub(super) fn welcome(&mut self, id: ConnectionId, origin: Origin) {
        let Some(connection) = self.find(id) else { return };
        connection.tie = Tie::Guest;
        let handler = connection.handler;
        if let Some(place) = self.handlers.get_mut(handler as usize) {
            place.get_or_insert_default().here += 1;
        }
        self.set_origin(id, origin);
    }

    fn say_goodbye(&mut self, connection: &Connection) {
        let origin = self.origins.remove(&connection.id).unwrap_or_default();
        let Some(Some(place)) = self.handlers.get_mut(connection.handler as usize) else { return };
        place.here -= 1;
        place.guests.leave(&origin);
    }

    /// Where a guest comes from, when that was kept.
    pub(super) fn origin(&self, id: ConnectionId) -> Option<&Origin> {
        self.origins.get(&id)
    }

    pub(super) fn set_origin(&mut self, id: ConnectionId, origin: Origin) {
        if origin.source.is_some() || origin.peer.is_some() {
            self.origins.insert(id, origin);
        }
    }

    /// A connection did not take so many bytes. When that is because too much waits, its policy says what
    /// becomes of them; only a whole message may be dropped.
    #[cold]
    pub(super) fn refused(
        &mut self,
        id: ConnectionId,
        why: Misuse,
        bytes: usize,
        is_whole: bool,
    ) -> Result<Sent, Error> {
        let Misuse::OutboxFull { limit } = why else { return Err(why.into()) };
        let policy = self.peek(id).map_or(SlowReader::Refuse, |connection| connection.config().slow_reader);
        match policy {
            SlowReader::Drop if is_whole && bytes <= limit => {
                self.shared.drop_one(id);
                Ok(Sent::Dropped)
            }
            SlowReader::Close if bytes <= limit => {
                self.end_slow_reader(id);
                Err(Misuse::Closed.into())
            }
            SlowReader::Refuse | SlowReader::Close | SlowReader::Drop | SlowReader::Block => {
                self.metrics.refused_full.add(1);
                Err(why.into())
            }
        }
    }

    /// Too much waits for a connection whose policy is to close then.
    pub(super) fn end_slow_reader(&mut self, id: ConnectionId) {
        let now = self.now;
        let Ok(connection) = self.live(id) else { return };
        match &mut connection.mode {
            Mode::WebSocket(engine) => engine.end_slow_reader(now),
            Mode::Raw(_) | Mode::Connecting(_) => connection.is_broken = true,
        }
        self.enqueue(id);
    }

    /// What another thread has asked for.
    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::Send { id, kind, data } => {
                self.deliver(id, data.bytes().len(), |cx| cx.send_accepted(id, kind, data));
            }
            Command::Fragment { id, kind, data, fin } => {
                self.deliver(id, data.len(), |cx| cx.send_fragment_accepted(id, kind, &data, fin));
            }
            Command::Write { id, data } => self.deliver(id, data.len(), |cx| cx.write_accepted(id, &data)),
            Command::Publish(publication) => self.take_publication(publication),
            Command::Membership { id, topic, is_member } => {
                self.shared.changes.fetch_sub(1, Ordering::Relaxed);
                self.change_member(id, &topic, is_member);
            }
            Command::Run(task) => task(&mut Context { inner: self, rest: &[] }),
        }
    }

    /// Sends what another thread has queued. A connection that takes no more counts it as unsent; one that
    /// has ended has told so.
    fn deliver(&mut self, id: ConnectionId, bytes: usize, send: impl FnOnce(&mut Context<'_>) -> Result<Sent, Error>) {
        let sent = send(&mut Context { inner: self, rest: &[] });
        let now = self.now;
        if sent.is_ok() {
            self.pass_queued(id, bytes as u64);
            return;
        }
        if let Some(entry) = self.shared.name.table.find(id) {
            entry.sub_queued(bytes as u64);
        }
        match self.find(id).map(|connection| &mut connection.mode) {
            Some(Mode::WebSocket(engine)) => {
                if engine.phase() == Phase::Open {
                    // It was accepted, and stands inside another message: that cannot pass in silence.
                    engine.abort(now);
                }
                engine.refused(bytes);
                self.enqueue(id);
            }
            // It was lost meanwhile, and starts over.
            Some(Mode::Connecting(_)) => self.clients.refused(id, bytes),
            Some(Mode::Raw(_)) | None => {}
        }
    }

    /// What was queued waits in the outbox now, until the connection's turn ends and shows what is left of it.
    fn pass_queued(&mut self, id: ConnectionId, bytes: u64) {
        let Some(connection) = self.find(id) else { return };
        connection.shown_waiting += bytes;
        self.metrics.waiting_bytes.add(bytes);
        if let Some(entry) = self.shared.name.table.find(id) {
            entry.pass_queued(bytes);
        }
    }
}

/// A connection's name is its token.
pub(super) fn token(id: ConnectionId) -> Token {
    Token(id.as_u64() as usize)
}

/// The token of the waker: no loop has this name.
pub(super) const WAKER: Token = Token(usize::MAX);

/// The token of a listener.
pub(super) fn listener_token(index: usize) -> Token {
    Token(usize::MAX - 1 - index)
}

/// The listener that a token names.
pub(super) fn listener_of(token: Token) -> Option<usize> {
    let index = usize::MAX - 1 - token.0.min(usize::MAX - 1);
    (index < u32::MAX as usize).then_some(index)
}
