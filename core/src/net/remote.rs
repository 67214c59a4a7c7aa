//! [`Remote`]: the one handle that other threads may hold, a queue and a waker.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mio::Waker;

use super::connection::ConnectionId;
use super::context::{Context, ReadyState, Sent};
use super::logging::log_drops;
use super::metrics::{Counters, Metrics};
use super::queue::Queue;
use super::room::{Patience, Room};
use super::table::{Entry, LoopName};
use super::topics::{Name, Publication, Topics};
use crate::error::Error;
use crate::protocol::handshake::{Accept, Reject};
use crate::protocol::{Chunk, CloseCode, MessageKind, Misuse, Published, SlowReader, check_close};

/// What a thread asks of a loop.
pub(super) enum Command {
    Send {
        id: ConnectionId,
        kind: MessageKind,
        data: Chunk,
    },
    Fragment {
        id: ConnectionId,
        kind: MessageKind,
        data: Vec<u8>,
        fin: bool,
    },
    Write {
        id: ConnectionId,
        data: Vec<u8>,
    },
    Publish(Publication<Name>),
    /// A connection subscribes to a topic, or does not any more.
    Membership {
        id: ConnectionId,
        topic: Name,
        is_member: bool,
    },
    Run(Box<dyn FnOnce(&mut Context<'_>) + Send>),
}

/// What a loop and its remotes share.
pub(super) struct Shared {
    pub(super) name: LoopName,
    pub(super) queue: Queue<Command>,
    waker: Waker,
    /// Connections of this loop, for placing new ones.
    pub(super) connections: AtomicUsize,
    /// On its own: the loop writes here for every message, and must not share a line with the queue.
    pub(super) metrics: Arc<Counters>,
    pub(super) topics: Arc<Topics>,
    /// This loop's place among those of its topics.
    pub(super) place: usize,
    /// Bytes of published messages in the queue.
    pub(super) published: AtomicUsize,
    /// Changes of memberships in the queue.
    pub(super) changes: AtomicUsize,
    pub(super) room: Room,
    /// Messages that were not sent because too much waited, of the connections that have any.
    dropped: Mutex<HashMap<ConnectionId, u64>>,
}

impl Shared {
    pub(super) fn new(name: LoopName, waker: Waker, topics: Arc<Topics>) -> Shared {
        Shared {
            place: topics.add_loop(),
            topics,
            published: AtomicUsize::new(0),
            changes: AtomicUsize::new(0),
            room: Room::default(),
            dropped: Mutex::default(),
            name,
            queue: Queue::new(),
            waker,
            connections: AtomicUsize::new(0),
            metrics: Arc::default(),
        }
    }

    /// Makes the loop turn. One wake a batch.
    pub(super) fn wake(&self) -> io::Result<()> {
        if !self.queue.begin_wake() {
            return Ok(());
        }
        self.metrics.wakes.add(1);
        self.waker.wake()
    }

    /// Queues something, and makes the loop turn.
    pub(super) fn push(&self, command: Command) -> Result<(), Error> {
        if !self.queue.push(command) {
            return Err(Error::Gone);
        }
        self.wake().map_err(|source| Error::io("wake the loop", source))
    }

    /// The same for a connection, when it is allowed with the queue's lock held. Where `allow` says not now,
    /// this thread waits for another answer; when that was too long it is asked without patience.
    fn push_when(
        &self,
        id: ConnectionId,
        allow: impl Fn(bool) -> Result<bool, Error>,
        command: Command,
    ) -> Result<(), Error> {
        let waking = |source| Error::io("wake the loop", source);
        let mut patience: Option<Patience<'_>> = None;
        let mut queue = self.queue.lock();
        while !self.queue.is_gone() {
            if allow(patience.as_ref().is_none_or(|patience| !patience.is_over()))? {
                queue.push_back(command);
                drop(queue);
                return self.wake().map_err(waking);
            }
            let patience = match &patience {
                Some(patience) => patience,
                None => {
                    self.wake().map_err(waking)?;
                    patience.insert(Patience::new(&self.room, &mut queue, id))
                }
            };
            queue = patience.wait(queue);
        }
        Err(Error::Gone)
    }

    /// Queues a change of a membership; one that the loop has made itself only behind others, so that the
    /// last one stands. Under the lock of the topics, so that their order is that of the queue.
    pub(super) fn change_member(
        &self,
        id: ConnectionId,
        topic: &Name,
        is_member: bool,
        is_made: bool,
    ) -> Result<(), Error> {
        if is_made && self.changes.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        self.changes.fetch_add(1, Ordering::Relaxed);
        let pushed = self.push(Command::Membership { id, topic: topic.clone(), is_member });
        pushed.inspect_err(|_| _ = self.changes.fetch_sub(1, Ordering::Relaxed))
    }

    /// One message more was not sent to this connection.
    #[cold]
    pub(super) fn drop_one(&self, id: ConnectionId) {
        self.metrics.refused_dropped.add(1);
        let count = {
            let mut drops = self.drops();
            // Asked under the lock: who ends after this is taken out after this.
            if self.name.table.find(id).is_none() {
                return;
            }
            let count = drops.entry(id).or_insert(0);
            *count += 1;
            *count
        };
        log_drops(id, count);
    }

    /// How many were not.
    pub(super) fn dropped(&self, id: ConnectionId) -> u64 {
        self.drops().get(&id).copied().unwrap_or_default()
    }

    pub(super) fn drops(&self) -> MutexGuard<'_, HashMap<ConnectionId, u64>> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loop ends: nothing is queued any more, and what was is dropped.
    pub(super) fn end(&self) {
        let dropped = self.queue.end();
        self.room.tell(self);
        drop(dropped);
    }
}

/// A loop, from any thread. Copies are cheap; one that outlives its loop answers [`Error::Gone`].
///
/// What is asked for one connection from one thread happens in that order. `Ok` means queued: a connection
/// that ends first cannot send it any more. A message that was queued between the fragments of another one
/// can never be sent: it ends the connection at once (1006).
#[derive(Clone)]
pub struct Remote {
    pub(super) shared: Arc<Shared>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote(loop {})", self.shared.name.id)
    }
}

impl Remote {
    /// The loop's part of every [`ConnectionId`] of this loop.
    pub fn loop_id(&self) -> u16 {
        self.shared.name.id
    }

    /// Runs `task` on the loop's thread, between two connections' turns.
    pub fn run(&self, task: impl FnOnce(&mut Context<'_>) + Send + 'static) -> Result<(), Error> {
        self.shared.push(Command::Run(Box::new(task)))
    }

    /// Sends a whole message; a text must be UTF-8.
    pub fn send(&self, id: ConnectionId, kind: MessageKind, data: impl Into<Vec<u8>>) -> Result<Sent, Error> {
        self.send_chunk(id, kind, Chunk::Owned(data.into()))
    }

    /// Sends a whole message without copying it where that is possible.
    pub fn send_chunk(&self, id: ConnectionId, kind: MessageKind, data: Chunk) -> Result<Sent, Error> {
        kind.check(data.bytes())?;
        let bytes = data.bytes().len();
        self.push_data(id, bytes, true, Command::Send { id, kind, data })
    }

    /// Sends a fragment of a message: the first names the kind, `fin` marks the last.
    pub fn send_fragment(&self, id: ConnectionId, kind: MessageKind, data: Vec<u8>, fin: bool) -> Result<Sent, Error> {
        self.push_data(id, data.len(), false, Command::Fragment { id, kind, data, fin })
    }

    /// Writes bytes on a raw connection.
    pub fn write(&self, id: ConnectionId, data: Vec<u8>) -> Result<Sent, Error> {
        self.push_data(id, data.len(), false, Command::Write { id, data })
    }

    /// Sends a ping of at most 125 bytes.
    pub fn ping(&self, id: ConnectionId, payload: &[u8]) -> Result<(), Error> {
        let payload = control(payload)?;
        self.on(id, move |cx| cx.ping(id, &payload))
    }

    /// Sends a pong of at most 125 bytes.
    pub fn pong(&self, id: ConnectionId, payload: &[u8]) -> Result<(), Error> {
        let payload = control(payload)?;
        self.on(id, move |cx| cx.pong(id, &payload))
    }

    /// Begins the closing handshake; everything queued before leaves first.
    pub fn close(&self, id: ConnectionId, code: Option<CloseCode>, reason: &str) -> Result<(), Error> {
        check_close(code, reason)?;
        let reason = reason.to_owned();
        self.on(id, move |cx| cx.close(id, code, &reason))
    }

    /// Ends the connection at once.
    pub fn abort(&self, id: ConnectionId) -> Result<(), Error> {
        self.on(id, move |cx| cx.abort(id))
    }

    /// Accepts a request that was deferred.
    pub fn accept(&self, id: ConnectionId, accept: Accept) -> Result<(), Error> {
        self.on(id, move |cx| cx.accept(id, &accept))
    }

    /// Refuses a request that was deferred.
    pub fn reject(&self, id: ConnectionId, reject: Reject) -> Result<(), Error> {
        self.on(id, move |cx| cx.reject(id, &reject))
    }

    /// Reads no more until [`Remote::resume`].
    pub fn pause(&self, id: ConnectionId) -> Result<(), Error> {
        self.on(id, move |cx| cx.pause(id))
    }

    /// Reads again.
    pub fn resume(&self, id: ConnectionId) -> Result<(), Error> {
        self.on(id, move |cx| cx.resume(id))
    }

    /// The host's transport has become readable or writable; see [`Context::ready`].
    pub fn ready(&self, id: ConnectionId) -> Result<(), Error> {
        self.on(id, move |cx| cx.ready(id))
    }

    /// On a raw connection: the stream ends after what waits.
    pub fn finish(&self, id: ConnectionId) -> Result<(), Error> {
        self.on(id, move |cx| cx.finish(id))
    }

    /// Subscribes a connection to a topic, whose name is 1 to 255 bytes of any kind: it gets what is published
    /// there from now on. False: it did already. Refused above `Config::max_topics`.
    pub fn subscribe(&self, id: ConnectionId, topic: &[u8]) -> Result<bool, Error> {
        let limit = self.entry(id)?.max_topics();
        Ok(self.shared.topics.subscribe(&self.shared, id, topic, limit, false)?.is_some())
    }

    /// Ends a subscription. False: there was none.
    pub fn unsubscribe(&self, id: ConnectionId, topic: &[u8]) -> Result<bool, Error> {
        self.entry(id)?;
        Ok(self.shared.topics.unsubscribe(&self.shared, id, topic, false)?.is_some())
    }

    /// Sends a whole message to all subscribers of a topic, in this loop and in all others of its server; a
    /// text must be UTF-8. A subscriber that reads too slowly goes without it: see
    /// [`Remote::dropped`]. Refused, and sent to nobody, when 64 MiB wait in a loop's queue already.
    pub fn publish(&self, topic: &[u8], kind: MessageKind, data: &[u8]) -> Result<(), Error> {
        self.publish_but(topic, kind, data, None)
    }

    /// The same to all other subscribers than this connection.
    pub fn publish_from(&self, id: ConnectionId, topic: &[u8], kind: MessageKind, data: &[u8]) -> Result<(), Error> {
        self.entry(id)?;
        self.publish_but(topic, kind, data, Some(id))
    }

    fn publish_but(
        &self,
        topic: &[u8],
        kind: MessageKind,
        data: &[u8],
        except: Option<ConnectionId>,
    ) -> Result<(), Error> {
        if self.shared.queue.is_gone() {
            return Err(Error::Gone);
        }
        self.shared.topics.publish(topic, except, None, || Ok(Arc::new(Published::new(kind, data)?)))
    }

    /// How many connections subscribe to a topic, in this loop and in all others of its server.
    pub fn subscriber_count(&self, topic: &[u8]) -> usize {
        self.shared.topics.count(topic)
    }

    /// Messages that were not sent to this connection because too much waited already.
    pub fn dropped(&self, id: ConnectionId) -> u64 {
        self.entry(id).map_or(0, |_| self.shared.dropped(id))
    }

    /// The browser's state, at once.
    pub fn ready_state(&self, id: ConnectionId) -> ReadyState {
        if self.is_mine(id) { self.shared.name.table.ready_state(id) } else { ReadyState::Closed }
    }

    /// Payload bytes accepted and not yet handed to the system, at once; what this loop has in hand right
    /// now is as of its last turn.
    pub fn buffered_amount(&self, id: ConnectionId) -> u64 {
        if self.is_mine(id) { self.shared.name.table.buffered(id) } else { 0 }
    }

    /// What the loop has counted, at once.
    pub fn metrics(&self) -> Metrics {
        Metrics {
            connections: self.shared.connections.load(Ordering::Relaxed) as u64,
            queued_commands: self.shared.queue.lock().len() as u64,
            ..self.shared.metrics.read()
        }
    }

    /// Closes every connection, accepts no more, and ends `run` when all are gone or at the deadline.
    pub fn drain(&self, code: CloseCode, reason: &str, deadline: Duration) -> Result<(), Error> {
        check_close(Some(code), reason)?;
        let reason = reason.to_owned();
        self.run(move |cx| cx.drain(code, &reason, deadline))
    }

    /// Ends `run`.
    pub fn stop(&self) -> Result<(), Error> {
        self.run(|cx| cx.stop())
    }

    fn is_mine(&self, id: ConnectionId) -> bool {
        id.loop_id() == self.shared.name.id && !self.shared.queue.is_gone()
    }

    /// What every thread may know of a connection that has not ended.
    fn entry(&self, id: ConnectionId) -> Result<&Entry, Error> {
        let entry = self.is_mine(id).then(|| self.shared.name.table.find(id)).flatten();
        // A slot that was never given away has a name too.
        entry.filter(|_| self.ready_state(id) != ReadyState::Closed).ok_or(Error::Gone)
    }

    fn on(
        &self,
        id: ConnectionId,
        verb: impl FnOnce(&mut Context<'_>) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        if self.ready_state(id) == ReadyState::Closed {
            return Err(Error::Gone);
        }
        // It may have ended by then, which its own `on_close` tells.
        self.run(move |cx| drop(verb(cx)))
    }

    fn push_data(&self, id: ConnectionId, bytes: usize, is_whole: bool, command: Command) -> Result<Sent, Error> {
        let entry = self.entry(id)?;
        let may_wait = entry.slow_reader() == SlowReader::Block && self.shared.room.may_wait();
        // Asked with the queue's lock held: a drain that has shown Closing and then taken the queue has it all.
        let allow = |is_patient: bool| {
            match self.shared.name.table.ready_state(id) {
                ReadyState::Closing => return Err(Misuse::Closed.into()),
                ReadyState::Closed => return Err(Error::Gone),
                ReadyState::Connecting => return Err(Misuse::NotOpen.into()),
                ReadyState::Open => {}
            }
            match entry.is_full(bytes as u64) {
                Some(limit) if may_wait && is_patient && bytes <= limit => return Ok(false),
                Some(limit) => return Err(Misuse::OutboxFull { limit }.into()),
                None => entry.add_queued(bytes as u64),
            }
            Ok(true)
        };
        match self.shared.push_when(id, allow, command) {
            Ok(()) => Ok(Sent::Accepted),
            Err(Error::Misuse(Misuse::OutboxFull { limit })) => self.full(id, entry, limit, bytes, is_whole),
            Err(error) => Err(error),
        }
    }

    /// What becomes of what is too much.
    #[cold]
    fn full(&self, id: ConnectionId, entry: &Entry, limit: usize, bytes: usize, is_whole: bool) -> Result<Sent, Error> {
        match entry.slow_reader() {
            SlowReader::Drop if is_whole && bytes <= limit => {
                self.shared.drop_one(id);
                Ok(Sent::Dropped)
            }
            SlowReader::Close if bytes <= limit => {
                if self.shared.name.table.begin_end(id) {
                    self.run(move |cx| cx.inner.end_slow_reader(id))?;
                }
                Err(Misuse::Closed.into())
            }
            SlowReader::Refuse | SlowReader::Close | SlowReader::Drop | SlowReader::Block => {
                self.shared.metrics.refused_full.add(1);
                Err(Misuse::OutboxFull { limit }.into())
            }
        }
    }
}

fn control(payload: &[u8]) -> Result<Vec<u8>, Misuse> {
    if payload.len() > 125 { Err(Misuse::ControlTooLong(payload.len())) } else { Ok(payload.to_vec()) }
}
