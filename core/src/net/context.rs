//! [`Context`]: everything that may be asked of a loop, from inside its callbacks or between its turns.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use super::clients;
use super::connection::{Connection, ConnectionId, Mode, Released, Tie, Written, write};
use super::drain::DrainOptions;
use super::handler::Handler;
use super::inner::Inner;
use super::listener::{ListenOptions, Listener};
use super::raw::Raw;
use super::remote::Remote;
use crate::connector::ConnectOptions;
use crate::error::Error;
use crate::log::{self, Level};
use crate::protocol::handshake::{Accept, Reject};
use crate::protocol::{Chunk, CloseCode, Config, DIRECT, Engine, MessageKind, Misuse, Time};
use crate::transport::{Peer, Transport};

/// What a send came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Accepted.
    Accepted,
    /// Accepted, and more than `Config::high_water_bytes` now waits: `on_drained` tells when to go on.
    Buffered,
    /// Not accepted: too much waits, and `Config::slow_reader` says to drop. It was counted.
    Dropped,
}

/// The browser's four states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ReadyState {
    /// The opening handshake is under way.
    Connecting = 0,
    /// Messages flow.
    Open = 1,
    /// The closing handshake is under way.
    Closing = 2,
    /// It is over, or never was.
    Closed = 3,
}

/// A handler that a loop owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandlerId(pub(super) u32);

/// A listener that a loop owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerId(pub(super) u32);

/// How a loop takes over a stream that somebody else opened.
#[derive(Debug)]
pub enum Adopt {
    /// As a WebSocket, from whatever state the engine is in.
    Engine(Box<Engine>),
    /// As bytes: [`Handler::on_bytes`] and [`Context::write`].
    Raw(Arc<Config>),
    /// As a server's end: a head that is handed over as it is ([`Handler::on_head`]), then bytes.
    Head(Arc<Config>),
}

/// A loop, from inside. All verbs on a connection answer [`Error::Gone`] when it has ended.
pub struct Context<'a> {
    pub(super) inner: &'a mut Inner,
    /// What the connection whose turn it is has read and not used yet.
    pub(super) rest: &'a [u8],
}

impl Context<'_> {
    /// Makes the loop own a handler, for its whole life.
    pub fn add_handler(&mut self, handler: Box<dyn Handler>) -> HandlerId {
        self.inner.add_handler(handler)
    }

    /// Accepts connections for `handler`. Several listeners of one handler share its limits.
    pub fn listen(
        &mut self,
        listener: Listener,
        options: ListenOptions,
        handler: HandlerId,
    ) -> Result<ListenerId, Error> {
        self.listen_with(listener, Arc::new(options), handler)
    }

    pub(super) fn listen_with(
        &mut self,
        listener: Listener,
        options: Arc<ListenOptions>,
        handler: HandlerId,
    ) -> Result<ListenerId, Error> {
        let index = self.inner.listen(listener, options, handler)?;
        Ok(ListenerId(index as u32))
    }

    /// Accepts no more there; its connections live on.
    pub fn unlisten(&mut self, listener: ListenerId) {
        if let Some(listening) = self.inner.listeners.try_remove(listener.0 as usize) {
            listening.deregister(&self.inner.registry);
        }
    }

    /// Opens a client connection: `on_open`, or `on_error` and `on_close`, follow. With
    /// [`ConnectOptions::reconnect`] a loss is told by `on_reconnect` as long as it is tried again.
    pub fn connect(&mut self, options: ConnectOptions, handler: HandlerId) -> Result<ConnectionId, Error> {
        options.config.check()?;
        let mode = clients::begin(options.clone(), self.inner.now)?;
        let mut connection = Connection::new(mode, None, Vec::new(), handler.0);
        connection.is_announced = true;
        let id = self.inner.insert(connection)?;
        self.inner.clients.begin(id, &options);
        Ok(id)
    }

    /// The same with a handler of its own, which goes when the connection has gone.
    pub fn connect_with(&mut self, options: ConnectOptions, handler: Box<dyn Handler>) -> Result<ConnectionId, Error> {
        let handler = self.add_handler(handler);
        let connected = self.connect(options, handler);
        self.give_handler(connected, handler)
    }

    /// Takes over a stream; `unread` are bytes that were read from it already.
    pub fn adopt(
        &mut self,
        transport: Transport,
        how: Adopt,
        unread: Vec<u8>,
        handler: HandlerId,
    ) -> Result<ConnectionId, Error> {
        let is_head = matches!(how, Adopt::Head(_));
        let mode = match how {
            Adopt::Engine(engine) => Mode::WebSocket(*engine),
            Adopt::Raw(config) => Mode::Raw(Box::new(Raw::new(config))),
            Adopt::Head(config) => Mode::Raw(Box::new(Raw::with_head(config, self.inner.now))),
        };
        let mut connection = Connection::new(mode, Some(transport), unread, handler.0);
        connection.is_announced = !is_head;
        self.inner.insert(connection)
    }

    /// The same with a handler of its own, which goes when the connection has gone.
    pub fn adopt_with(
        &mut self,
        transport: Transport,
        how: Adopt,
        unread: Vec<u8>,
        handler: Box<dyn Handler>,
    ) -> Result<ConnectionId, Error> {
        let handler = self.add_handler(handler);
        let adopted = self.adopt(transport, how, unread, handler);
        self.give_handler(adopted, handler)
    }

    fn give_handler(&mut self, made: Result<ConnectionId, Error>, to: HandlerId) -> Result<ConnectionId, Error> {
        match made.as_ref().ok().and_then(|id| self.inner.find(*id)) {
            Some(connection) => connection.tie = Tie::Owner,
            None => self.inner.leaving.push(to),
        }
        made
    }

    /// Turns a raw connection into a WebSocket, after a head that the application has parsed itself.
    pub fn upgrade(&mut self, id: ConnectionId, mut engine: Engine) -> Result<(), Error> {
        let connection = self.inner.live(id)?;
        let Mode::Raw(raw) = &mut connection.mode else { return Err(Misuse::NoRequest.into()) };
        // What was written raw, an answer of the application's own, leaves first.
        engine.precede(std::mem::take(&mut raw.outbox));
        connection.mode = Mode::WebSocket(engine);
        self.inner.enqueue(id);
        Ok(())
    }

    /// Gives a connection back: its id is dead, and no `on_close` comes.
    pub fn release(&mut self, id: ConnectionId) -> Option<Released> {
        self.inner.live(id).ok()?;
        if !matches!(self.inner.peek(id)?.mode, Mode::WebSocket(_) | Mode::Raw(_)) {
            return None;
        }
        let connection = self.inner.remove(id)?;
        let mut unread = connection.unread.map(|unread| *unread).unwrap_or_default();
        if self.inner.current == Some(id) {
            unread.extend_from_slice(self.rest);
        }
        let (engine, head) = match connection.mode {
            Mode::WebSocket(engine) => (Some(Box::new(engine)), Vec::new()),
            Mode::Raw(raw) => (None, raw.head),
            Mode::Connecting(_) => return None,
        };
        Some(Released { transport: connection.transport?, unread, engine, head })
    }

    /// Sends a whole message; a text must be UTF-8.
    #[inline]
    pub fn send(&mut self, id: ConnectionId, kind: MessageKind, data: &[u8]) -> Result<Sent, Error> {
        let connection = self.inner.live(id)?;
        let mut written = 0;
        let accepted = if data.len() < DIRECT {
            websocket(&mut connection.mode)?.send(kind, data)
        } else {
            send_direct(connection, kind, data, &mut written)
        };
        if let Err(misuse) = accepted {
            return self.inner.refused(id, misuse, data.len(), true);
        }
        let sent = connection.after_send(&mut written);
        self.inner.metrics.sent(data.len());
        self.inner.metrics.written_bytes.add(written as u64);
        self.inner.enqueue(id);
        Ok(sent)
    }

    /// Sends a fragment of a message: the first names the kind, `fin` marks the last.
    pub fn send_fragment(
        &mut self,
        id: ConnectionId,
        kind: MessageKind,
        data: &[u8],
        fin: bool,
    ) -> Result<Sent, Error> {
        let sent = self.engine_mut(id)?.send_fragment(kind, data, fin);
        self.after_piece(id, sent, data.len(), fin, false)
    }

    /// Sends a whole message without copying it, where no mask and no compression stand in the way.
    pub fn send_chunk(&mut self, id: ConnectionId, kind: MessageKind, data: Chunk) -> Result<Sent, Error> {
        let bytes = data.bytes().len();
        let sent = self.engine_mut(id)?.send_chunk(kind, data);
        self.after_piece(id, sent, bytes, true, true)
    }

    /// What another thread was told is accepted: however much waits now.
    pub(super) fn send_accepted(&mut self, id: ConnectionId, kind: MessageKind, data: Chunk) -> Result<Sent, Error> {
        let bytes = data.bytes().len();
        let sent = self.engine_mut(id)?.send_accepted(kind, data);
        self.after_piece(id, sent, bytes, true, true)
    }

    /// What another thread was told is accepted: however much waits now.
    pub(super) fn send_fragment_accepted(
        &mut self,
        id: ConnectionId,
        kind: MessageKind,
        data: &[u8],
        fin: bool,
    ) -> Result<Sent, Error> {
        let sent = self.engine_mut(id)?.send_fragment_accepted(kind, data, fin);
        self.after_piece(id, sent, data.len(), fin, false)
    }

    /// Sends a ping of at most 125 bytes.
    pub fn ping(&mut self, id: ConnectionId, payload: &[u8]) -> Result<(), Error> {
        self.engine_mut(id)?.ping(payload)?;
        self.inner.enqueue(id);
        Ok(())
    }

    /// Sends a pong of at most 125 bytes.
    pub fn pong(&mut self, id: ConnectionId, payload: &[u8]) -> Result<(), Error> {
        self.engine_mut(id)?.pong(payload)?;
        self.inner.enqueue(id);
        Ok(())
    }

    /// Begins the closing handshake, or answers the peer's; everything accepted before leaves first. No
    /// further message of this connection is delivered.
    pub fn close(&mut self, id: ConnectionId, code: Option<CloseCode>, reason: &str) -> Result<(), Error> {
        let now = self.inner.now;
        let answer = match &mut self.inner.live(id)?.mode {
            Mode::WebSocket(engine) => engine.close(now, code, reason),
            Mode::Raw(raw) => {
                raw.is_finished = true;
                Ok(())
            }
            Mode::Connecting(connecting) => {
                connecting.abort();
                Ok(())
            }
        };
        self.inner.ended_by_application(id, answer)?;
        self.inner.enqueue(id);
        Ok(())
    }

    /// Ends the connection at once, without a closing handshake: `on_close` with 1006.
    pub fn abort(&mut self, id: ConnectionId) -> Result<(), Error> {
        let now = self.inner.now;
        let connection = self.inner.live(id)?;
        match &mut connection.mode {
            Mode::WebSocket(engine) => engine.abort(now),
            Mode::Raw(_) => connection.is_broken = true,
            Mode::Connecting(connecting) => connecting.abort(),
        }
        self.inner.clients.give_up(id);
        self.inner.enqueue(id);
        Ok(())
    }

    /// Writes bytes on a raw connection.
    pub fn write(&mut self, id: ConnectionId, bytes: &[u8]) -> Result<Sent, Error> {
        let Mode::Raw(raw) = &mut self.inner.live(id)?.mode else { return Err(Misuse::NotOpen.into()) };
        let limit = raw.config.max_outbox_bytes;
        if raw.outbox.len() + bytes.len() > limit {
            return self.inner.refused(id, Misuse::OutboxFull { limit }, bytes.len(), false);
        }
        self.write_accepted(id, bytes)
    }

    /// What another thread was told is accepted: however much waits now.
    pub(super) fn write_accepted(&mut self, id: ConnectionId, bytes: &[u8]) -> Result<Sent, Error> {
        let Mode::Raw(raw) = &mut self.inner.live(id)?.mode else { return Err(Misuse::NotOpen.into()) };
        if raw.is_finished {
            return Err(Misuse::Closed.into());
        }
        raw.outbox.append(|gather| gather.extend_from_slice(bytes));
        Ok(self.after_send(id))
    }

    /// On a raw connection: no more will be written; the stream ends after what waits.
    pub fn finish(&mut self, id: ConnectionId) -> Result<(), Error> {
        let Mode::Raw(raw) = &mut self.inner.live(id)?.mode else { return Err(Misuse::NotOpen.into()) };
        raw.is_finished = true;
        self.inner.enqueue(id);
        Ok(())
    }

    /// Accepts a request that was deferred.
    pub fn accept(&mut self, id: ConnectionId, accept: &Accept) -> Result<(), Error> {
        let now = self.inner.now;
        self.engine_mut(id)?.accept(now, accept)?;
        self.inner.enqueue(id);
        Ok(())
    }

    /// Answers a request that was deferred with an HTTP response, plain HTTP too.
    pub fn reject(&mut self, id: ConnectionId, reject: &Reject) -> Result<(), Error> {
        let now = self.inner.now;
        self.engine_mut(id)?.reject(now, reject)?;
        self.inner.enqueue(id);
        let status = reject.status;
        log::tell(Level::Debug, id.as_u64(), format_args!("the application answered the request with {status}"));
        Ok(())
    }

    /// Reads and delivers no more until [`Context::resume`] or [`Context::close`]; what has come is kept.
    pub fn pause(&mut self, id: ConnectionId) -> Result<(), Error> {
        match &mut self.inner.live(id)?.mode {
            Mode::WebSocket(engine) => engine.pause(),
            Mode::Raw(raw) => raw.is_paused = true,
            Mode::Connecting(connecting) => connecting.engine_mut().pause(),
        }
        Ok(())
    }

    /// Reads again.
    pub fn resume(&mut self, id: ConnectionId) -> Result<(), Error> {
        match &mut self.inner.live(id)?.mode {
            Mode::WebSocket(engine) => engine.resume(),
            Mode::Raw(raw) => raw.is_paused = false,
            Mode::Connecting(connecting) => connecting.engine_mut().resume(),
        }
        self.inner.enqueue(id);
        Ok(())
    }

    /// The host's transport has become readable or writable: for transports without a socket to watch.
    pub fn ready(&mut self, id: ConnectionId) -> Result<(), Error> {
        // Also one that was told of its end: the end of its stream is still to be read.
        let connection = self.inner.find(id).ok_or(Error::Gone)?;
        connection.is_readable = true;
        connection.is_blocked = false;
        self.inner.enqueue(id);
        Ok(())
    }

    /// Subscribes a connection to a topic, whose name is 1 to 255 bytes of any kind: it gets what is published
    /// there from now on, while it is open. False: it did already. Refused above `Config::max_topics`. Its end
    /// ends its subscriptions.
    pub fn subscribe(&mut self, id: ConnectionId, topic: &[u8]) -> Result<bool, Error> {
        self.inner.subscribe(id, topic)
    }

    /// Ends a subscription. False: there was none.
    pub fn unsubscribe(&mut self, id: ConnectionId, topic: &[u8]) -> Result<bool, Error> {
        self.inner.unsubscribe(id, topic)
    }

    /// Sends a whole message to all subscribers of a topic, in this loop and in all others of its server; a
    /// text must be UTF-8. It leaves when this turn ends, together with what else was published in it; what one
    /// thread sends and publishes reaches each connection in that order. A subscriber that reads too slowly
    /// goes without it: see [`Context::dropped`]. Refused, and sent to nobody, when 64 MiB wait in
    /// another loop's queue already.
    pub fn publish(&mut self, topic: &[u8], kind: MessageKind, data: &[u8]) -> Result<(), Error> {
        self.inner.publish(topic, kind, data, None)
    }

    /// The same to all other subscribers than this connection.
    pub fn publish_from(
        &mut self,
        id: ConnectionId,
        topic: &[u8],
        kind: MessageKind,
        data: &[u8],
    ) -> Result<(), Error> {
        self.known(id).ok_or(Error::Gone)?;
        self.inner.publish(topic, kind, data, Some(id))
    }

    /// How many connections subscribe to a topic, in this loop and in all others of its server.
    pub fn subscriber_count(&self, topic: &[u8]) -> usize {
        self.inner.shared.topics.count(topic)
    }

    /// Messages that were not sent to this connection because too much waited already.
    pub fn dropped(&self, id: ConnectionId) -> u64 {
        self.known(id).map_or(0, |_| self.inner.shared.dropped(id))
    }

    /// The state of a WebSocket, for questions: subprotocol, extensions, url, close_info…
    pub fn engine(&self, id: ConnectionId) -> Option<&Engine> {
        match &self.known(id)?.mode {
            Mode::WebSocket(engine) => Some(engine),
            Mode::Connecting(connecting) => Some(connecting.engine()),
            Mode::Raw(_) => None,
        }
    }

    /// The browser's state.
    pub fn ready_state(&self, id: ConnectionId) -> ReadyState {
        self.known(id).map_or(ReadyState::Closed, Connection::ready_state)
    }

    /// Payload bytes accepted and not yet handed to the system.
    pub fn buffered_amount(&self, id: ConnectionId) -> u64 {
        self.known(id).map_or(0, Connection::buffered_amount)
    }

    /// Where the peer is; nothing while a client is still connecting.
    pub fn peer(&self, id: ConnectionId) -> Option<Peer> {
        let connection = self.known(id)?;
        match self.inner.origin(id).and_then(|origin| origin.peer.as_ref()) {
            Some(peer) => Some(peer.clone()),
            None => Some(connection.transport.as_ref()?.peer()),
        }
    }

    /// The bytes' transport, for questions: TLS, ALPN, the peer's certificate.
    pub fn transport(&self, id: ConnectionId) -> Option<&Transport> {
        self.known(id)?.transport.as_ref()
    }

    /// The application's own word for this connection; zero at first.
    pub fn user(&self, id: ConnectionId) -> Option<u64> {
        Some(self.known(id)?.user)
    }

    /// Sets the application's own word.
    pub fn set_user(&mut self, id: ConnectionId, user: u64) -> Result<(), Error> {
        self.inner.live(id)?.user = user;
        Ok(())
    }

    /// Ids of all connections of this loop that the application knows of and that have not ended.
    pub fn connections(&self) -> Vec<ConnectionId> {
        let known = |id: &ConnectionId| self.inner.peek(*id).is_some_and(|c| c.is_announced && !c.is_told);
        self.inner.ids().into_iter().filter(known).collect()
    }

    /// Closes every connection, accepts no more, and ends `run` when all are gone. What is still there
    /// after `deadline` is aborted.
    pub fn drain(&mut self, code: CloseCode, reason: &str, deadline: Duration) {
        let options = DrainOptions { code, reason: reason.to_owned(), deadline, ..DrainOptions::default() };
        self.inner.begin_drain(None, options);
    }

    /// Ends `run` after this turn.
    pub fn stop(&mut self) {
        self.inner.is_stopping = true;
    }

    /// Whether `run` would return now: it was stopped, or a drain is over.
    pub fn is_stopping(&self) -> bool {
        self.inner.is_stopping
    }

    /// The time of this turn, as engines of this loop count it.
    pub fn now(&self) -> Time {
        self.inner.now
    }

    /// A handle for other threads.
    pub fn remote(&self) -> Remote {
        self.inner.remote()
    }

    /// The connection, until the application was told of its end.
    fn known(&self, id: ConnectionId) -> Option<&Connection> {
        self.inner.peek(id).filter(|connection| !connection.is_told)
    }

    fn engine_mut(&mut self, id: ConnectionId) -> Result<&mut Engine, Error> {
        Ok(websocket(&mut self.inner.live(id)?.mode)?)
    }

    /// A fragment, or a whole message, was accepted or refused.
    fn after_piece(
        &mut self,
        id: ConnectionId,
        accepted: Result<(), Misuse>,
        bytes: usize,
        is_last: bool,
        is_whole: bool,
    ) -> Result<Sent, Error> {
        if let Err(misuse) = accepted {
            return self.inner.refused(id, misuse, bytes, is_whole);
        }
        self.inner.metrics.sent_messages.add(is_last.into());
        self.inner.metrics.sent_bytes.add(bytes as u64);
        if is_last && self.inner.find(id).is_some_and(|connection| connection.is_subscriber) {
            self.inner.send_kept(id);
        }
        Ok(self.after_send(id))
    }

    /// What was sent leaves at the end of the connection's turn, or at once when much waits.
    #[inline]
    fn after_send(&mut self, id: ConnectionId) -> Sent {
        let Some(connection) = self.inner.find(id) else { return Sent::Accepted };
        let mut written = 0;
        let sent = connection.after_send(&mut written);
        self.inner.metrics.written_bytes.add(written as u64);
        self.inner.enqueue(id);
        sent
    }
}

/// Sends a large message, as far as the stream takes it without copying it.
#[inline(never)]
fn send_direct(connection: &mut Connection, kind: MessageKind, data: &[u8], written: &mut usize) -> Result<(), Misuse> {
    let Connection { mode, transport, is_blocked, is_broken, .. } = connection;
    let write = |slices: &[IoSlice<'_>]| {
        let Some(transport) = transport else { return 0 };
        if *is_blocked || *is_broken {
            return 0;
        }
        match write(transport, slices) {
            Written::Bytes(n) => {
                *written += n;
                return n;
            }
            Written::Blocked => *is_blocked = true,
            Written::Broken => *is_broken = true,
        }
        0
    };
    websocket(mode)?.send_through(kind, data, write)
}

#[inline]
fn websocket(mode: &mut Mode) -> Result<&mut Engine, Misuse> {
    match mode {
        Mode::WebSocket(engine) => Ok(engine),
        Mode::Raw(_) | Mode::Connecting(_) => Err(Misuse::NotOpen),
    }
}
