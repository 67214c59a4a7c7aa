//! What every thread may ask of a loop's connections at once: a generation, a state and a count of bytes
//! per slot. The loop writes when one of them changes, other threads read.

use std::sync::atomic::AtomicU16;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::connection::{ConnectionId, MAX_GENERATION, MAX_SLOTS};
use super::context::ReadyState;
use super::queue::Queue;
use crate::protocol::{Config, SlowReader};
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// A model cannot follow so many.
const CHUNK: usize = if cfg!(loom) { 2 } else { 1024 };

/// One slot.
#[derive(Debug)]
pub(super) struct Entry {
    /// Generation and ready state: `generation << 2 | state`.
    life: AtomicU32,
    /// Commands that other threads have queued and the loop has not taken yet…
    commands: AtomicU32,
    /// …and the payload bytes in them.
    queued: AtomicU64,
    /// Payload bytes that wait in the connection's outbox, as of the loop's last look.
    waiting: AtomicU64,
    /// Most that may wait, queued and in the outbox, most topics, and what becomes of what is too much:
    /// `slow reader << 56 | topics << 40 | bytes`.
    limits: AtomicU64,
}

/// Of [`Entry::limits`], those that count bytes.
const BYTES: u64 = (1 << 40) - 1;

/// How often a count is tried that another thread changes meanwhile.
const LOOKS: usize = 4;

/// What a queued command costs beside its payload, in bytes.
const COMMAND: u64 = 64;

/// All slots of one loop; grows, never shrinks.
#[derive(Debug)]
pub(super) struct Table {
    chunks: Box<[OnceLock<Box<[Entry]>>]>,
    /// The first generation of every slot: above all that an earlier loop with this id has used.
    floor: u32,
    highest: AtomicU32,
}

impl Table {
    pub(super) fn new(floor: u32) -> Table {
        let chunks = (0..MAX_SLOTS / CHUNK).map(|_| OnceLock::new()).collect();
        Table { chunks, floor, highest: AtomicU32::new(floor) }
    }

    /// The slot's entry; made when it is first asked for by the loop.
    pub(super) fn make(&self, slot: usize) -> Option<&Entry> {
        let chunk = self.chunks.get(slot / CHUNK)?;
        let life = self.floor << 2 | ReadyState::Closed as u32;
        let entries = chunk.get_or_init(|| {
            let entry = || Entry {
                life: AtomicU32::new(life),
                commands: AtomicU32::new(0),
                queued: AtomicU64::new(0),
                waiting: AtomicU64::new(0),
                limits: AtomicU64::new(0),
            };
            (0..CHUNK).map(|_| entry()).collect()
        });
        entries.get(slot % CHUNK)
    }

    /// The entry that `id` names, if it is still this connection's. On other threads than the loop's it may
    /// become the next one's at any time, unless they hold the queue's lock.
    #[inline]
    pub(super) fn find(&self, id: ConnectionId) -> Option<&Entry> {
        self.at(id.slot()).filter(|entry| entry.generation() == id.generation())
    }

    #[inline]
    fn at(&self, slot: usize) -> Option<&Entry> {
        self.chunks.get(slot / CHUNK)?.get()?.get(slot % CHUNK)
    }

    /// Ends the slot's generation; false when it was the last one and the slot must not be used again. Under the
    /// lock of the queue: who has looked there and counts what it queues, counts it on this generation.
    pub(super) fn retire<T>(&self, slot: usize, queue: &Queue<T>) -> bool {
        let Some(entry) = self.make(slot) else { return false };
        let _queue = queue.lock();
        let next = entry.generation() + 1;
        if next > MAX_GENERATION {
            entry.set(entry.generation(), ReadyState::Closed);
            return false;
        }
        entry.set(next, ReadyState::Closed);
        // Who sees what is written from here on sees the new generation too.
        fence(Ordering::Release);
        entry.commands.store(0, Ordering::Relaxed);
        entry.queued.store(0, Ordering::Relaxed);
        entry.waiting.store(0, Ordering::Relaxed);
        self.highest.fetch_max(next, Ordering::Relaxed);
        true
    }

    /// The state of the connection that `id` names.
    pub(super) fn ready_state(&self, id: ConnectionId) -> ReadyState {
        self.at(id.slot()).map_or(ReadyState::Closed, |entry| entry.state_of(id))
    }

    /// Payload bytes that wait for the connection that `id` names.
    pub(super) fn buffered(&self, id: ConnectionId) -> u64 {
        let bytes = self.find(id).map_or(0, Entry::buffered);
        fence(Ordering::Acquire);
        // Else they are the next connection's.
        if self.find(id).is_some() { bytes } else { 0 }
    }

    /// Another thread asks for the connection's end: nothing more is accepted. False: it was not open any more.
    pub(super) fn begin_end(&self, id: ConnectionId) -> bool {
        let life = |state| id.generation() << 2 | state as u32;
        let (open, closing) = (life(ReadyState::Open), life(ReadyState::Closing));
        let end = |entry: &Entry| entry.life.compare_exchange(open, closing, Ordering::AcqRel, Ordering::Relaxed);
        self.at(id.slot()).is_some_and(|entry| end(entry).is_ok())
    }
}

impl Entry {
    #[inline]
    pub(super) fn generation(&self) -> u32 {
        self.life.load(Ordering::Acquire) >> 2
    }

    /// Of the connection that `id` names, in one look: a second one could be at the next connection.
    fn state_of(&self, id: ConnectionId) -> ReadyState {
        let life = self.life.load(Ordering::Acquire);
        match life & 3 {
            _ if life >> 2 != id.generation() => ReadyState::Closed,
            0 => ReadyState::Connecting,
            1 => ReadyState::Open,
            2 => ReadyState::Closing,
            _ => ReadyState::Closed,
        }
    }

    fn set(&self, generation: u32, state: ReadyState) {
        self.life.store(generation << 2 | state as u32, Ordering::Release);
    }

    /// Other threads may send no more, as soon as they look with the queue's lock held.
    pub(super) fn begin_closing(&self) {
        let life = self.life.load(Ordering::Acquire);
        if life & 3 == ReadyState::Open as u32 {
            self.set(life >> 2, ReadyState::Closing);
        }
    }

    /// What has changed in the connection's turn.
    pub(super) fn update(&self, state: ReadyState, waiting: u64) {
        self.set(self.generation(), state);
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    /// Payload bytes that wait, in the queue and in the outbox. What passes from one to the other meanwhile is
    /// never left out, and counted twice only when it does not cease to pass.
    pub(super) fn buffered(&self) -> u64 {
        let mut queued = self.queued.load(Ordering::Acquire);
        for _ in 0..LOOKS {
            let waiting = self.waiting.load(Ordering::Acquire);
            let again = self.queued.load(Ordering::Acquire);
            if queued == again {
                return queued.saturating_add(waiting);
            }
            queued = again;
        }
        queued.saturating_add(self.waiting.load(Ordering::Relaxed))
    }

    /// Says how much it may have.
    pub(super) fn set_limits(&self, config: &Config) {
        let (bytes, topics) = (config.max_outbox_bytes as u64, config.max_topics as u64);
        let slow_reader = config.slow_reader as u64;
        self.limits.store(slow_reader << 56 | topics << 40 | bytes.min(BYTES), Ordering::Relaxed);
    }

    /// Most topics.
    pub(super) fn max_topics(&self) -> usize {
        (self.limits.load(Ordering::Relaxed) >> 40) as u16 as usize
    }

    /// What becomes of what is too much.
    pub(super) fn slow_reader(&self) -> SlowReader {
        match self.limits.load(Ordering::Relaxed) >> 56 {
            1 => SlowReader::Close,
            2 => SlowReader::Drop,
            3 => SlowReader::Block,
            _ => SlowReader::Refuse,
        }
    }

    /// Whether so many bytes more would be too much; the limit, if so.
    pub(super) fn is_full(&self, bytes: u64) -> Option<usize> {
        let limit = self.limits.load(Ordering::Relaxed) & BYTES;
        let commands = u64::from(self.commands.load(Ordering::Relaxed)) * COMMAND;
        (self.buffered().saturating_add(commands).saturating_add(bytes) > limit).then_some(limit as usize)
    }

    pub(super) fn add_queued(&self, bytes: u64) {
        self.commands.fetch_add(1, Ordering::Relaxed);
        self.queued.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A queued command was carried out: its bytes wait in the connection's outbox now.
    pub(super) fn pass_queued(&self, bytes: u64) {
        // First here, then no longer there: a bound that both share holds all the time.
        self.waiting.store(self.waiting.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
        self.sub_queued(bytes);
    }

    pub(super) fn sub_queued(&self, bytes: u64) {
        // A slot that was given up meanwhile was set to zero.
        let _ = self.commands.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(n.saturating_sub(1)));
        let _ = self.queued.fetch_update(Ordering::Release, Ordering::Relaxed, |q| Some(q.saturating_sub(bytes)));
    }
}

/// The name of a loop in this process, given back when dropped. A name that is used again starts above
/// every generation that was used under it, so that no old connection id comes alive.
#[derive(Debug)]
pub(super) struct LoopName {
    pub(super) id: u16,
    pub(super) table: Table,
}

/// From 1, so that no connection's id is 0 and other languages can say "none".
static NEXT: AtomicU16 = AtomicU16::new(1);
static FREE: Mutex<Vec<(u16, u32)>> = Mutex::new(Vec::new());

/// The last name: above it are the tokens of listeners and of the waker.
const MAX_LOOPS: u16 = 0xfffe;

impl LoopName {
    /// A free name; `None` when 65,534 loops live, or too many have.
    pub(super) fn take() -> Option<LoopName> {
        // Used ones first: what is kept for each name stays as small as the loops that live at once are few.
        let used = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (id, floor) = match used {
            Some(used) => used,
            None => {
                let next = |n| (n < MAX_LOOPS).then_some(n + 1);
                (NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()?, 0)
            }
        };
        Some(LoopName { id, table: Table::new(floor) })
    }
}

impl Drop for LoopName {
    fn drop(&mut self) {
        let floor = self.table.highest.load(Ordering::Relaxed) + 1;
        if floor < MAX_GENERATION {
            FREE.lock().unwrap_or_else(PoisonError::into_inner).push((self.id, floor));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_finds_its_entry_until_its_generation_is_retired() {
        let name = LoopName::take().unwrap();
        let entry = name.table.make(5000).unwrap();
        let id = ConnectionId::new(name.id, entry.generation(), 5000);
        entry.update(ReadyState::Open, 7);
        assert_eq!(name.table.ready_state(id), ReadyState::Open);
        assert_eq!(name.table.find(id).unwrap().buffered(), 7);
        assert!(name.table.retire(5000, &Queue::<()>::new()));
        assert!(name.table.find(id).is_none());
        assert_eq!(name.table.ready_state(id), ReadyState::Closed);
        assert!(name.table.make(MAX_SLOTS).is_none());
    }

    #[test]
    fn names_that_were_given_back_are_taken_again_above_their_generations() {
        let mut last = std::collections::HashMap::new();
        for _ in 0..1000 {
            let name = LoopName::take().unwrap();
            let generation = name.table.make(0).unwrap().generation();
            let before = last.insert(name.id, generation);
            assert!(before.is_none_or(|before| before < generation));
        }
        // Other tests take some meanwhile.
        assert!(last.len() < 200, "{}", last.len());
    }

    #[test]
    fn a_slot_whose_generations_are_used_up_is_not_used_again() {
        let table = Table::new(MAX_GENERATION);
        let entry = table.make(0).unwrap();
        assert_eq!(entry.generation(), MAX_GENERATION);
        assert!(!table.retire(0, &Queue::<()>::new()));
        assert_eq!(table.ready_state(ConnectionId::new(1, MAX_GENERATION, 0)), ReadyState::Closed);
    }
}
