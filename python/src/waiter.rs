//! [`Waiter`]: a thread that waits, and how it is told to go on. Each thread has one.

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use nix::libc::clockid_t;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{getpid, gettid};

use crate::baton;

/// A thread, as those see it who let it go on.
///
/// Its fields are changed under the baton's lock or by the thread itself; others read them as hints. What it waits
/// for:
///
/// ```text
///          begin: itself                  end: whoever brings it, or that it is late
///   RUNS ───────────────────► WAITS ────────────────────────────────────────────────► IS_READY
///    ▲                                                                                     │
///    └────────────────────── go: who gives it the baton, or at once if it wants none ──────┘
/// ```
pub(crate) struct Waiter {
    pub(crate) id: u64,
    thread: Thread,
    clock: ClockId,
    /// Python's signals are for this thread, so it waits where a signal wakes it.
    pub(crate) is_main: bool,
    state: AtomicU8,
    wants_baton: AtomicBool,
    is_late: AtomicBool,
    /// Whether it has had the GIL since it was given the baton.
    pub(crate) has_gil: AtomicBool,
    /// Whether its last turn was spent asleep: it gives the baton on as soon as it has the GIL.
    pub(crate) blocks: AtomicBool,
    /// When its last turn as one that blocks began, in nanoseconds; see [`now`].
    pub(crate) began: AtomicU64,
    /// When it could have gone on, while that is measured.
    pub(crate) ready_at: AtomicU64,
}

/// What a thread waits for besides its event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Its turn to run Python.
    Baton,
    /// Nothing: it has native work to do.
    Work,
}

const RUNS: u8 = 0;
const WAITS: u8 = 1;
const IS_READY: u8 = 2;

thread_local! {
    static MINE: OnceCell<Mine> = const { OnceCell::new() };
}

/// A thread that ends gives its baton on.
struct Mine(Arc<Waiter>);

impl Drop for Mine {
    fn drop(&mut self) {
        baton::leave(&self.0);
    }
}

impl Waiter {
    /// Runs `work` with the waiter of this thread; `None` when the thread is past its end.
    pub(crate) fn with_mine<T>(work: impl FnOnce(&Arc<Waiter>) -> T) -> Option<T> {
        MINE.try_with(|mine| work(&mine.get_or_init(|| Mine(Arc::new(Waiter::new()))).0)).ok()
    }

    fn new() -> Waiter {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let tid = gettid();
        Waiter {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            thread: thread::current(),
            // How Linux names the processor time of a thread: its number inverted, and "thread, scheduler".
            clock: ClockId::from_raw((!tid.as_raw() as clockid_t) << 3 | 6),
            is_main: tid == getpid(),
            state: AtomicU8::new(RUNS),
            wants_baton: AtomicBool::new(false),
            is_late: AtomicBool::new(false),
            has_gil: AtomicBool::new(true),
            blocks: AtomicBool::new(false),
            began: AtomicU64::new(0),
            ready_at: AtomicU64::new(0),
        }
    }

    /// From now on it may be told to go on.
    pub(crate) fn begin(&self, then: Then) {
        self.wants_baton.store(then == Then::Baton, Ordering::Relaxed);
        self.is_late.store(false, Ordering::Relaxed);
        self.state.store(WAITS, Ordering::Relaxed);
    }

    /// What it waits for has come, or with `is_late` its time is up. `false` when it does not wait.
    pub(crate) fn end(&self, is_late: bool) -> bool {
        if self.state.compare_exchange(WAITS, IS_READY, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return false;
        }
        self.is_late.store(is_late, Ordering::Relaxed);
        true
    }

    /// Whether it must have the baton to go on.
    pub(crate) fn wants_baton(&self) -> bool {
        self.wants_baton.load(Ordering::Relaxed)
    }

    /// Lets it go on; see [`Waiter::wake`].
    pub(crate) fn go(&self) {
        self.state.store(RUNS, Ordering::Release);
    }

    /// Whether it has been let go.
    pub(crate) fn may_go(&self) -> bool {
        self.state.load(Ordering::Acquire) == RUNS
    }

    /// Whether the last wait ended because its time was up.
    pub(crate) fn is_late(&self) -> bool {
        self.is_late.load(Ordering::Relaxed)
    }

    /// Wakes the thread, to look whether it may go.
    pub(crate) fn wake(&self) {
        self.thread.unpark();
    }

    /// Sleeps, until woken or without a reason.
    pub(crate) fn sleep(&self, longest: Option<Duration>) {
        match longest {
            None => thread::park(),
            Some(longest) => thread::park_timeout(longest),
        }
    }

    /// Waits without a baton to be told to go on; `false` when the time was up first.
    pub(crate) fn wait_alone(&self, until: Option<Instant>) -> bool {
        while !self.may_go() {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) && self.end(true) {
                self.go();
                return false;
            }
            self.sleep(left);
        }
        true
    }

    /// The processor time that the thread has used.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        clock_gettime(self.clock).ok().map(Duration::from)
    }
}

/// Nanoseconds since a moment in the past; never 0.
pub(crate) fn now() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    now.as_nanos() as u64 | 1
}
