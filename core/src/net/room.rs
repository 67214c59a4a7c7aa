//! [`Room`]: where threads that run no loop wait until a connection takes more, with `SlowReader::Block`. The
//! only place of this driver that waits for anything but readiness.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::connection::ConnectionId;
use super::remote::{Command, Shared};
use crate::protocol::Config;
use crate::sync::{Condvar, MutexGuard};

/// Who waits for one of a loop's connections.
#[derive(Default)]
pub(super) struct Room {
    waiting: AtomicUsize,
    /// Goes with the lock of the queue.
    changed: Condvar,
    /// The thread that ran the loop last: its number, or 0.
    runner: AtomicUsize,
}

/// One thread's waiting, bounded by the connection's write timeout.
pub(super) struct Patience<'a> {
    room: &'a Room,
    begun: Instant,
    /// In milliseconds, as soon as the loop has told.
    timeout: Arc<AtomicU64>,
}

thread_local! {
    /// How many runs of loops are on this thread's stack.
    static RUNS: Cell<u32> = const { Cell::new(0) };
}

/// A thread that runs a loop, while this is there.
pub(super) struct Run;

impl Run {
    pub(super) fn of(shared: &Shared) -> Run {
        RUNS.set(RUNS.get() + 1);
        shared.room.runner.store(this_thread(), Ordering::Relaxed);
        Run
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        RUNS.set(RUNS.get() - 1);
    }
}

impl Room {
    /// Whether this thread may wait: it runs no loop, and did not run this one last.
    pub(super) fn may_wait(&self) -> bool {
        RUNS.get() == 0 && self.runner.load(Ordering::Relaxed) != this_thread()
    }

    /// The loop has turned: who waits looks again.
    #[inline]
    pub(super) fn turned(&self, shared: &Shared) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.tell(shared);
        }
    }

    #[cold]
    pub(super) fn tell(&self, shared: &Shared) {
        drop(shared.queue.lock());
        self.changed.notify_all();
    }
}

impl<'a> Patience<'a> {
    /// Begins to wait, with the queue's lock held: the loop finds in it that somebody does.
    pub(super) fn new(room: &'a Room, queue: &mut VecDeque<Command>, id: ConnectionId) -> Patience<'a> {
        room.waiting.fetch_add(1, Ordering::Relaxed);
        let timeout = Arc::new(AtomicU64::new(Config::default().write_timeout));
        let told = timeout.clone();
        queue.push_back(Command::Run(Box::new(move |cx| {
            let config = cx.inner.peek(id).map(|connection| connection.config());
            told.store(config.map_or(0, |config| config.write_timeout), Ordering::Relaxed);
        })));
        Patience { room, begun: Instant::now(), timeout }
    }

    /// Whether it has been too long.
    pub(super) fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// Waits until something may have changed.
    pub(super) fn wait<'q>(&self, queue: MutexGuard<'q, VecDeque<Command>>) -> MutexGuard<'q, VecDeque<Command>> {
        self.room.changed.wait_timeout(queue, self.left()).unwrap_or_else(PoisonError::into_inner).0
    }

    fn left(&self) -> Duration {
        match self.timeout.load(Ordering::Relaxed) {
            0 => Duration::MAX,
            timeout => Duration::from_millis(timeout).saturating_sub(self.begun.elapsed()),
        }
    }
}

impl Drop for Patience<'_> {
    fn drop(&mut self) {
        self.room.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A number for the calling thread, never 0; another thread may have it when this one has ended.
fn this_thread() -> usize {
    RUNS.with(|here| ptr::from_ref(here).addr())
}
