//! [`Topics`]: who subscribes to what, as every thread sees it: for all loops of a server, or for one loop.
//!
//! ```text
//!   any thread ─ subscribe ─► Topics: names, counts, memberships ─┐
//!              ─ publish ───► one entry in the queue of each loop │ that has subscribers
//!   loop ─ its own Subscribers: lists, and what is published in this turn ◄┘
//! ```
//! Locks are held for a look-up, never while bytes move. What a loop has not taken from its queue yet is
//! bounded: [`MAX_QUEUED`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use super::connection::ConnectionId;
use super::remote::{Command, Shared};
use crate::error::Error;
use crate::protocol::{Misuse, Published};

/// The name of a topic: 1 to 255 bytes of any kind.
pub(super) type Name = Arc<[u8]>;

const MAX_NAME_BYTES: usize = 255;

/// Most bytes of published messages that wait in one loop's queue: as many as may wait for one connection.
const MAX_QUEUED: usize = 64 << 20;

/// What a message that waits costs beside its payload, in bytes.
pub(super) const ENTRY: usize = 64;

/// A message on its way to a topic's subscribers.
#[derive(Clone)]
pub(super) struct Publication<T> {
    pub(super) topic: T,
    /// Who published it, and does not want it back.
    pub(super) except: Option<ConnectionId>,
    pub(super) message: Arc<Published>,
}

/// The topics of all loops of a server, or of one loop.
#[derive(Default)]
pub(super) struct Topics {
    state: RwLock<State>,
    /// More than one loop is here.
    is_spread: AtomicBool,
}

#[derive(Default)]
struct State {
    loops: Vec<Weak<Shared>>,
    /// How many subscribers each loop has, in the order of `loops`; absent when no loop has any.
    counts: HashMap<Name, Vec<usize>>,
    /// What each connection subscribes to; absent when it is nothing.
    members: HashMap<ConnectionId, Vec<Name>>,
}

impl Topics {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more loop. Its place here is needed before it can be made.
    pub(super) fn add_loop(&self) -> usize {
        let mut state = self.write();
        state.loops.push(Weak::new());
        self.is_spread.store(state.loops.len() > 1, Ordering::Relaxed);
        state.loops.len() - 1
    }

    pub(super) fn set_loop(&self, shared: &Arc<Shared>) {
        if let Some(place) = self.write().loops.get_mut(shared.place) {
            *place = Arc::downgrade(shared);
        }
    }

    /// A loop is no more: it has no subscribers.
    pub(super) fn end_loop(&self, shared: &Shared) {
        let mut state = self.write();
        let State { loops, counts, members } = &mut *state;
        members.retain(|id, _| id.loop_id() != shared.name.id);
        counts.retain(|_, counts| {
            counts[shared.place] = 0;
            counts.iter().any(|count| *count > 0)
        });
        loops[shared.place] = Weak::new();
    }

    /// Enters a membership of a connection of this loop, which may have `limit`: its topic's name, nothing
    /// when it is a member already. The loop itself makes it so in its lists at once; for another thread it
    /// does when it comes to that in its queue.
    pub(super) fn subscribe(
        &self,
        shared: &Shared,
        id: ConnectionId,
        topic: &[u8],
        limit: usize,
        is_inside: bool,
    ) -> Result<Option<Name>, Error> {
        check(topic)?;
        let mut state = self.write();
        // Asked under the lock: whose connection ends now comes to `leave` after this.
        shared.name.table.find(id).ok_or(Error::Gone)?;
        let State { loops, counts, members } = &mut *state;
        let held = members.get(&id).map_or(&[][..], Vec::as_slice);
        if held.iter().any(|name| **name == *topic) {
            return Ok(None);
        }
        if held.len() >= limit {
            return Err(Misuse::TooManyTopics { limit }.into());
        }
        let name = counts.get_key_value(topic).map_or_else(|| topic.into(), |(name, _)| name.clone());
        shared.change_member(id, &name, true, is_inside)?;
        counts.entry(name.clone()).or_insert_with(|| vec![0; loops.len()])[shared.place] += 1;
        members.entry(id).or_default().push(name.clone());
        Ok(Some(name))
    }

    /// Ends a membership; its topic's name, nothing when there was none.
    pub(super) fn unsubscribe(
        &self,
        shared: &Shared,
        id: ConnectionId,
        topic: &[u8],
        is_inside: bool,
    ) -> Result<Option<Name>, Error> {
        let mut state = self.write();
        let Some(held) = state.members.get_mut(&id) else { return Ok(None) };
        let Some(at) = held.iter().position(|name| **name == *topic) else { return Ok(None) };
        shared.change_member(id, &held[at], false, is_inside)?;
        let name = held.swap_remove(at);
        if held.is_empty() {
            state.members.remove(&id);
        }
        state.count_down(shared.place, &name);
        Ok(Some(name))
    }

    /// The connection has ended.
    pub(super) fn leave(&self, place: usize, id: ConnectionId) {
        let mut state = self.write();
        for name in state.members.remove(&id).unwrap_or_default() {
            state.count_down(place, &name);
        }
    }

    /// How many connections subscribe to a topic.
    pub(super) fn count(&self, topic: &[u8]) -> usize {
        self.read().counts.get(topic).map_or(0, |counts| counts.iter().sum())
    }

    /// Whether a publication in one loop may concern another.
    #[inline]
    pub(super) fn is_spread(&self) -> bool {
        self.is_spread.load(Ordering::Relaxed)
    }

    /// Queues a message at each loop that has subscribers, other than the one at `but`. When one of them has
    /// too much to do already, at none.
    pub(super) fn publish(
        &self,
        topic: &[u8],
        except: Option<ConnectionId>,
        but: Option<usize>,
        message: impl FnOnce() -> Result<Arc<Published>, Misuse>,
    ) -> Result<(), Error> {
        let (name, loops) = {
            let state = self.read();
            let Some((name, counts)) = state.counts.get_key_value(topic) else { return Ok(()) };
            let has_some = counts.iter().enumerate().filter(|(place, count)| **count > 0 && Some(*place) != but);
            let loops: Vec<Arc<Shared>> = has_some.filter_map(|(place, _)| state.loops[place].upgrade()).collect();
            (name.clone(), loops)
        };
        if loops.is_empty() {
            return Ok(());
        }
        let message = message()?;
        let bytes = message.bytes() + ENTRY;
        let is_full = |shared: &Arc<Shared>| shared.published.load(Ordering::Relaxed) + bytes > MAX_QUEUED;
        if loops.iter().any(is_full) {
            return Err(Misuse::OutboxFull { limit: MAX_QUEUED }.into());
        }
        for shared in loops {
            shared.published.fetch_add(bytes, Ordering::Relaxed);
            let publication = Publication { topic: name.clone(), except, message: message.clone() };
            if let Err(error) = shared.push(Command::Publish(publication)) {
                shared.published.fetch_sub(bytes, Ordering::Relaxed);
                // A loop that has ended has no subscribers.
                if !matches!(error, Error::Gone) {
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl Publication<Name> {
    /// The loop has taken it from its queue.
    pub(super) fn taken(&self, shared: &Shared) {
        shared.published.fetch_sub(self.message.bytes() + ENTRY, Ordering::Relaxed);
    }
}

impl State {
    fn count_down(&mut self, place: usize, name: &Name) {
        if let Some(counts) = self.counts.get_mut(name) {
            counts[place] -= 1;
            if counts.iter().all(|count| *count == 0) {
                self.counts.remove(name);
            }
        }
    }
}

fn check(topic: &[u8]) -> Result<(), Misuse> {
    if (1..=MAX_NAME_BYTES).contains(&topic.len()) { Ok(()) } else { Err(Misuse::TopicInvalid(topic.len())) }
}
