//! [`Subscribers`]: a loop's own share of the topics. Lists of connections, and what was published in this
//! turn: it goes to the subscribers when the turn ends, so that several messages leave in one write, or
//! earlier where somebody would notice that it waits.

use std::collections::HashMap;
use std::io::IoSlice;
use std::sync::Arc;

use slab::Slab;

use super::connection::{Connection, ConnectionId, Mode, Written, write};
use super::inner::Inner;
use super::topics::{ENTRY, Name, Publication};
use crate::error::Error;
use crate::protocol::{MessageKind, Misuse, Published, SlowReader};

/// Bytes that may wait for the end of the turn.
const MAX_BYTES: usize = 1 << 20;
/// Deliveries that may, when there is more than one topic.
const MAX_DELIVERIES: usize = 64 << 10;
/// Frames that are copied to leave in one piece.
const MAX_JOINED: usize = 64 << 10;

#[derive(Default)]
pub(super) struct Subscribers {
    names: HashMap<Name, usize>,
    topics: Slab<Topic>,
    members: HashMap<ConnectionId, Member>,
    /// What was published and not delivered yet. While there is something, no topic is made.
    log: Vec<Publication<usize>>,
    /// Bytes and deliveries that the log stands for.
    bytes: usize,
    deliveries: usize,
    /// Not all subscribers of one topic get all of it.
    is_mixed: bool,
    /// Frames that leave in one write.
    joined: Vec<u8>,
}

struct Topic {
    name: Name,
    subscribers: Vec<ConnectionId>,
}

/// What a subscriber has.
#[derive(Default)]
struct Member {
    /// Topics, and its places in their lists.
    topics: Vec<(usize, usize)>,
    /// Published while a message of its own was half sent.
    waiting: Vec<Arc<Published>>,
    waiting_bytes: usize,
}

impl Subscribers {
    /// Whether nothing waits for the end of the turn.
    #[inline]
    pub(super) fn is_clear(&self) -> bool {
        self.log.is_empty()
    }

    fn enter(&mut self, id: ConnectionId, name: Name) {
        let Subscribers { names, topics, members, .. } = self;
        let at = *names.entry(name.clone()).or_insert_with(|| topics.insert(Topic { name, subscribers: Vec::new() }));
        let held = &mut members.entry(id).or_default().topics;
        if held.iter().all(|(topic, _)| *topic != at) {
            held.push((at, topics[at].subscribers.len()));
            topics[at].subscribers.push(id);
        }
    }

    fn leave(&mut self, id: ConnectionId, topic: &[u8]) {
        let Some(at) = self.names.get(topic).copied() else { return };
        let Some(member) = self.members.get_mut(&id) else { return };
        if let Some(held) = member.topics.iter().position(|(topic, _)| *topic == at) {
            let (_, place) = member.topics.swap_remove(held);
            self.take_out(at, place);
        }
    }

    /// One message more for the end of the turn; true when that is enough.
    fn add(&mut self, publication: Publication<usize>) -> bool {
        self.bytes += publication.message.bytes() + ENTRY;
        self.deliveries += self.topics.get(publication.topic).map_or(0, |topic| topic.subscribers.len());
        let topic = self.log.first().map_or(publication.topic, |first| first.topic);
        self.is_mixed |= publication.except.is_some() || publication.topic != topic;
        self.log.push(publication);
        self.bytes > MAX_BYTES || (self.is_mixed && self.deliveries > MAX_DELIVERIES)
    }

    /// The connection has ended.
    fn leave_all(&mut self, id: ConnectionId) {
        for (topic, place) in self.members.remove(&id).unwrap_or_default().topics {
            self.take_out(topic, place);
        }
    }

    /// Takes the subscriber at this place out of the list; the last one takes its place.
    fn take_out(&mut self, at: usize, place: usize) {
        let subscribers = &mut self.topics[at].subscribers;
        subscribers.swap_remove(place);
        if let Some(moved) = subscribers.get(place) {
            let held = self.members.get_mut(moved).and_then(|member| member.topics.iter_mut().find(|(t, _)| *t == at));
            held.expect("who is in a list knows its place there").1 = place;
        } else if subscribers.is_empty() {
            let topic = self.topics.remove(at);
            self.names.remove(&topic.name);
        }
    }
}

impl Inner {
    /// A connection of this loop subscribes. False: it does already.
    pub(super) fn subscribe(&mut self, id: ConnectionId, topic: &[u8]) -> Result<bool, Error> {
        let connection = self.live(id)?;
        if matches!(connection.mode, Mode::Raw(_)) {
            return Err(Misuse::NotOpen.into());
        }
        let limit = connection.config().max_topics;
        let name = self.shared.topics.subscribe(&self.shared, id, topic, limit, true)?;
        if let Some(name) = &name {
            self.change_member(id, name, true);
        }
        Ok(name.is_some())
    }

    /// And does not any more. False: it did not.
    pub(super) fn unsubscribe(&mut self, id: ConnectionId, topic: &[u8]) -> Result<bool, Error> {
        self.live(id)?;
        let name = self.shared.topics.unsubscribe(&self.shared, id, topic, true)?;
        if let Some(name) = &name {
            self.change_member(id, name, false);
        }
        Ok(name.is_some())
    }

    /// Makes a connection a member of a topic in this loop's lists, or not.
    pub(super) fn change_member(&mut self, id: ConnectionId, topic: &Name, is_member: bool) {
        // What was published before goes to those who were members then.
        self.deliver_published(false);
        match self.find(id) {
            // Another thread was late, or never saw what it is.
            Some(Connection { mode: Mode::Raw(_), .. } | Connection { is_told: true, .. }) | None => {
                self.shared.topics.leave(self.shared.place, id)
            }
            Some(connection) if is_member => {
                connection.is_subscriber = true;
                self.subscribers.enter(id, topic.clone());
            }
            Some(_) => self.subscribers.leave(id, topic),
        }
    }

    /// A connection has ended.
    pub(super) fn end_member(&mut self, id: ConnectionId) {
        let Some(connection) = self.find(id) else { return };
        if std::mem::take(&mut connection.is_subscriber) {
            self.leave_topics(id);
        }
    }

    #[cold]
    fn leave_topics(&mut self, id: ConnectionId) {
        self.shared.topics.leave(self.shared.place, id);
        self.subscribers.leave_all(id);
    }

    /// Publishes to the subscribers here and in the other loops.
    pub(super) fn publish(
        &mut self,
        topic: &[u8],
        kind: MessageKind,
        data: &[u8],
        except: Option<ConnectionId>,
    ) -> Result<(), Error> {
        let here = self.subscribers.names.get(topic).copied();
        let mut message = None;
        if self.shared.topics.is_spread() {
            let make = || Ok(message.insert(Arc::new(Published::new(kind, data)?)).clone());
            self.shared.topics.publish(topic, except, Some(self.shared.place), make)?;
        }
        if let Some(topic) = here {
            let message = match message {
                Some(message) => message,
                None => Arc::new(Published::new(kind, data)?),
            };
            self.note(Publication { topic, except, message });
        }
        Ok(())
    }

    /// Publishes here what another thread or loop has published.
    pub(super) fn take_publication(&mut self, publication: Publication<Name>) {
        publication.taken(&self.shared);
        let Publication { topic, except, message } = publication;
        if let Some(topic) = self.subscribers.names.get(&topic).copied() {
            self.note(Publication { topic, except, message });
        }
    }

    /// Writes down what is to be delivered.
    fn note(&mut self, publication: Publication<usize>) {
        if self.subscribers.add(publication) {
            self.deliver_published(true);
        } else {
            self.turn_soon();
        }
    }

    /// Somebody asks for something of this connection, which must find what was published before it.
    #[cold]
    pub(super) fn catch_up(&mut self, id: ConnectionId) {
        if self.find(id).is_some_and(|connection| connection.is_subscriber) {
            self.deliver_published(false);
        }
    }

    /// Hands out what was published in this turn. It is written at once, or it waits with what else each
    /// connection has to send.
    pub(super) fn deliver_published(&mut self, at_once: bool) {
        if self.subscribers.is_clear() {
            return;
        }
        let mut log = std::mem::take(&mut self.subscribers.log);
        let mut joined = std::mem::take(&mut self.subscribers.joined);
        (self.subscribers.bytes, self.subscribers.deliveries) = (0, 0);
        if !std::mem::take(&mut self.subscribers.is_mixed) {
            join(&mut joined, log.iter());
            // Nobody comes or goes meanwhile.
            let topic = log[0].topic;
            let subscribers =
                self.subscribers.topics.get_mut(topic).map(|topic| std::mem::take(&mut topic.subscribers));
            let subscribers = subscribers.unwrap_or_default();
            for id in &subscribers {
                self.hand_out(*id, log.iter(), &joined, at_once);
            }
            if let Some(topic) = self.subscribers.topics.get_mut(topic) {
                topic.subscribers = subscribers;
            }
        } else {
            let deliveries = self.subscribers.deliveries(&log);
            for mine in deliveries.chunk_by(|one, other| one.0 == other.0) {
                let messages = mine.iter().map(|(_, at)| &log[*at]);
                join(&mut joined, messages.clone());
                self.hand_out(mine[0].0, messages, &joined, at_once);
            }
        }
        joined.clear();
        self.subscribers.joined = joined;
        log.clear();
        self.subscribers.log = log;
    }

    /// One subscriber's share. `joined` are the frames of all messages, or nothing when they are long.
    #[inline]
    fn hand_out<'a>(
        &mut self,
        id: ConnectionId,
        messages: impl Iterator<Item = &'a Publication<usize>>,
        joined: &[u8],
        at_once: bool,
    ) {
        let Some(connection) = self.find(id) else { return };
        let Connection { mode: Mode::WebSocket(engine), transport: Some(transport), is_blocked, is_broken, .. } =
            connection
        else {
            return;
        };
        let mut written = 0;
        let is_free = at_once && !*is_blocked && !*is_broken && !joined.is_empty();
        if is_free && engine.takes_frames(joined.len()) {
            match write(transport, &[IoSlice::new(joined)]) {
                Written::Bytes(n) if n == joined.len() && !transport.has_pending_write() => {
                    self.metrics.written_bytes.add(n as u64);
                    return messages.for_each(|publication| self.metrics.sent(publication.message.bytes()));
                }
                Written::Bytes(n) => written = n,
                Written::Blocked => *is_blocked = true,
                Written::Broken => *is_broken = true,
            }
        }
        for publication in messages {
            self.queue_published(id, &publication.message);
        }
        self.queued_published(id, written);
    }

    /// Queues a message behind what waits already, if it may wait.
    #[cold]
    fn queue_published(&mut self, id: ConnectionId, message: &Arc<Published>) {
        let Some(Connection { mode: Mode::WebSocket(engine), .. }) = self.find(id) else { return };
        match engine.send_published(message) {
            Ok(()) => self.metrics.sent(message.bytes()),
            Err(Misuse::FragmentMismatch) => self.keep_published(id, message),
            Err(Misuse::OutboxFull { limit }) => self.drop_published(id, message.bytes() <= limit),
            // It has not begun, or it ends: it is not there to hear it.
            Err(_) => {}
        }
    }

    /// So many bytes of what was queued have left already; the rest leaves when it can.
    fn queued_published(&mut self, id: ConnectionId, mut written: usize) {
        let Some(connection) = self.find(id) else { return };
        if let Mode::WebSocket(engine) = &mut connection.mode
            && written > 0
        {
            engine.sent(written);
        }
        connection.after_send(&mut written);
        self.metrics.written_bytes.add(written as u64);
        self.enqueue(id);
    }

    /// A message of its own is half sent: others wait for its end (RFC 6455 5.4).
    fn keep_published(&mut self, id: ConnectionId, message: &Arc<Published>) {
        let Some(connection) = self.find(id) else { return };
        let room = connection.config().max_outbox_bytes.saturating_sub(connection.outgoing_bytes());
        let member = self.subscribers.members.entry(id).or_default();
        if member.waiting_bytes + message.bytes() > room {
            return self.drop_published(id, true);
        }
        member.waiting_bytes += message.bytes();
        member.waiting.push(message.clone());
    }

    /// The message of its own has ended: what was published meanwhile follows.
    #[cold]
    pub(super) fn send_kept(&mut self, id: ConnectionId) {
        let Some(member) = self.subscribers.members.get_mut(&id) else { return };
        member.waiting_bytes = 0;
        for message in std::mem::take(&mut member.waiting) {
            self.queue_published(id, &message);
        }
        self.queued_published(id, 0);
    }

    /// Too much waits for a subscriber. Nobody is there to be told: it is counted, or the connection ends.
    fn drop_published(&mut self, id: ConnectionId, may_close: bool) {
        match self.find(id).map(|connection| connection.config().slow_reader) {
            Some(SlowReader::Close) if may_close => self.end_slow_reader(id),
            _ => self.shared.drop_one(id),
        }
    }
}

impl Subscribers {
    /// Who gets what: by connection, in the order of the log.
    fn deliveries(&self, log: &[Publication<usize>]) -> Vec<(ConnectionId, usize)> {
        let mut deliveries = Vec::new();
        for (at, Publication { topic, except, .. }) in log.iter().enumerate() {
            let subscribers = self.topics.get(*topic).map_or(&[][..], |topic| &topic.subscribers);
            deliveries.extend(subscribers.iter().filter(|id| Some(**id) != *except).map(|id| (*id, at)));
        }
        deliveries.sort_unstable();
        deliveries
    }
}

/// Puts frames behind each other, unless they are long enough to be shared as they are.
fn join<'a>(joined: &mut Vec<u8>, messages: impl Iterator<Item = &'a Publication<usize>> + Clone) {
    joined.clear();
    if messages.clone().map(|publication| publication.message.frame().len()).sum::<usize>() <= MAX_JOINED {
        messages.for_each(|publication| joined.extend_from_slice(publication.message.frame()));
    }
}
