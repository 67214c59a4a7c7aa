//! The baton: of the threads that have something to do, one at a time runs Python.
//!
//! CPython lets every thread that wants the GIL wake up each 5 ms to ask for it: with thousands of handlers
//! that all have something to do, they do nothing else. So no handler sleeps in a call on its own socket.
//! Who runs out of data gives up the GIL and hands the baton to the thread that has been ready longest, which
//! alone is woken; when none is ready it waits for the events of all.
//!
//! ```text
//!             has no data, others are ready                      an event, or its time is up
//!   runs ──────────────────────────────────────► sleeps ───────────────────────────────────► ready
//!    ▲ └── has no data, nobody is ready ──► polls ──┘ ▲ an event, not its own                   │
//!    │                                        │                                                │
//!    └────────────────────────────────────────┴──── is given the baton ◄───────────────────────┘
//! ```
//!
//! A handler that keeps the baton without coming back (it sleeps, computes, asks a database) loses it to the
//! [watchdog](crate::watchdog) and goes on without; coming back it queues like everyone else.
//!
//! Nothing here knows Python; [`crate::gil`] does. The main thread, a build without a GIL and a forked child
//! have no part in it: there a wait is a `poll` of its own.
//!
//! **Locks.** There is one, of [`State`]; it guards that, the slots of [`crate::sources`] and each step of a
//! [`Waiter`] that others take. Every thread may take it, with the GIL or without, and with locks of its own
//! connection or front (a channel's `inbox` and `writing`, the front's queue): these come before it, never after.
//! Nobody waits while holding it, for events, for the GIL, or for another lock.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::mem;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::epoll::{EpollEvent, EpollTimeout};

use crate::sources::{MAX_EVENTS, Set, Side, Source, Sources};
use crate::waiter::{Then, Waiter, now};
use crate::watchdog::{self, Duty};

static BATON: OnceLock<Option<Baton>> = OnceLock::new();
static IS_OFF: AtomicBool = AtomicBool::new(false);
static IS_MEASURED: AtomicBool = AtomicBool::new(false);

/// A thread that blocks is taken for one that no longer does when a turn of it is shorter than this.
const SHORT_TURN: Duration = Duration::from_millis(1);

/// Who has it, who waits, and for what.
pub(crate) struct Baton {
    pub(crate) set: Set,
    state: Mutex<State>,
    /// The id of who has it, 0 for nobody: a hint for those without the lock.
    holder: AtomicU64,
}

/// While nobody has the baton nobody is ready; while nobody has it nor polls, the watchdog is about to.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) holder: Option<Arc<Waiter>>,
    /// How often the baton was given.
    pub(crate) turn: u64,
    pub(crate) ready: VecDeque<Arc<Waiter>>,
    /// The id of the thread that waits for the events of all.
    pub(crate) poller: Option<u64>,
    sources: Sources<Arc<Waiter>>,
    /// Room for those that the poller takes: not on its stack, of which each thread would keep what it has touched.
    events: Vec<EpollEvent>,
    /// Those who do not wait for ever, by the moment and their id.
    deadlines: BTreeMap<(Instant, u64), Arc<Waiter>>,
    pub(crate) duty: Duty,
    /// How many of the next are taken for threads that block.
    pub(crate) suspects: u32,
    /// How many in a row were found asleep with the baton.
    pub(crate) sleepers: u32,
}

pub(crate) type Guard<'a> = MutexGuard<'a, State>;

/// Runs `work` with the baton and this thread's waiter, if the thread has a part in it; the baton is made when
/// first asked for.
pub(crate) fn with<T>(work: impl FnOnce(&'static Baton, &Arc<Waiter>) -> T) -> Option<T> {
    if IS_OFF.load(Ordering::Relaxed) {
        return None;
    }
    Waiter::with_mine(|me| match BATON.get_or_init(Baton::start) {
        Some(baton) if !me.is_main => Some(work(baton, me)),
        _ => None,
    })?
}

/// Makes it, where it is not there yet, before anybody waits; with the GIL, as [`native_thread`](crate::native_thread)
/// asks of who starts a thread.
pub(crate) fn prepare() {
    with(|_, _| ());
}

/// From now on every thread waits by itself. For good, and for all threads.
pub(crate) fn turn_off() {
    IS_OFF.store(true, Ordering::Relaxed);
}

/// From now on threads note when they are ready.
pub(crate) fn measure(is_on: bool) {
    IS_MEASURED.store(is_on, Ordering::Relaxed);
}

fn existing() -> Option<&'static Baton> {
    if IS_OFF.load(Ordering::Relaxed) { None } else { BATON.get()?.as_ref() }
}

/// This thread will not come back.
pub(crate) fn leave(me: &Arc<Waiter>) {
    if let Some(baton) = existing().filter(|baton| baton.is_held_by(me)) {
        baton.pass_on(me);
    }
}

/// Takes a source out; before its descriptor is closed.
pub(crate) fn remove(source: &Source, fd: BorrowedFd<'_>) {
    // A forked child shares the set with its parent, who goes on to need it.
    if let Some(baton) = existing() {
        baton.set.remove(fd);
        baton.lock().sources.remove(source);
    }
}

/// Waits for [`rouse`], which may have come since `me.begin`; `false` when the time was up first.
pub(crate) fn sleep(me: &Arc<Waiter>, until: Option<Instant>) -> bool {
    with(|baton, me| baton.sleep(baton.lock(), me, until)).unwrap_or_else(|| me.wait_alone(until))
}

/// What the thread waits for has come. `false` when it does not wait (any more).
pub(crate) fn rouse(waiter: &Arc<Waiter>) -> bool {
    let Some(baton) = existing().filter(|_| !waiter.is_main) else {
        let waits = waiter.end(false);
        if waits {
            waiter.go();
            waiter.wake();
        }
        return waits;
    };
    let mut state = baton.lock();
    let waits = state.end(waiter, false);
    let next = baton.grant(&mut state);
    if state.poller == Some(waiter.id) {
        baton.set.ring();
    }
    drop(state);
    wake(next, None);
    waits
}

impl Baton {
    fn start() -> Option<Baton> {
        // A system that has no descriptors left for this is left with a poll per thread.
        let set = Set::new().ok()?;
        watchdog::start().ok()?;
        Some(Baton { set, state: Mutex::default(), holder: AtomicU64::new(0) })
    }

    /// The baton as the watchdog finds it, which is started before it is there.
    pub(crate) fn wait_for_start() -> Option<&'static Baton> {
        BATON.wait().as_ref()
    }

    pub(crate) fn lock(&self) -> Guard<'_> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a source of a descriptor; with `is_mixed` each direction may have to wait for the other.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, is_mixed: bool) -> io::Result<Arc<Source>> {
        let source = self.lock().sources.insert(is_mixed);
        self.set.add(&source, fd).inspect_err(|_| self.lock().sources.remove(&source))?;
        Ok(source)
    }

    /// Whether it is this thread's turn.
    pub(crate) fn is_held_by(&self, me: &Waiter) -> bool {
        self.holder.load(Ordering::Relaxed) == me.id
    }

    /// Waits for news of one side of a source, and `then` for the turn too; `false` when the time was up
    /// first. The baton is handed on meanwhile. Without the GIL; the caller keeps the source in the set, and
    /// other threads away from this side of it.
    pub(crate) fn wait(
        &self,
        me: &Arc<Waiter>,
        source: &Source,
        side: Side,
        until: Option<Instant>,
        then: Then,
    ) -> bool {
        let mut state = self.lock();
        // News are noted under the lock: none slip in between this look and the wait.
        if source.has_news(side) {
            if then == Then::Baton {
                self.queue(state, me);
            }
            return true;
        }
        *state.sources.waiter(source, side) = Some(me.clone());
        me.begin(then);
        let is_ready = self.sleep(state, me, until);
        if !is_ready {
            *self.lock().sources.waiter(source, side) = None;
        }
        is_ready
    }

    /// Waits for the turn, if it is not this thread's. Without the GIL.
    pub(crate) fn take(&self, me: &Arc<Waiter>) {
        if !self.is_held_by(me) {
            self.queue(self.lock(), me);
        }
    }

    /// Before native work of some length: lets another thread run Python meanwhile, if one is ready.
    pub(crate) fn lend(&self, me: &Arc<Waiter>) {
        if self.is_held_by(me) {
            let mut state = self.lock();
            if !state.ready.is_empty() {
                let next = self.hand_on(&mut state, me);
                drop(state);
                wake(next, Some(me));
            }
        }
    }

    /// Gives the baton, if `me` has it, to whoever is next; the watchdog polls when nobody is. With the GIL or
    /// without.
    pub(crate) fn pass_on(&self, me: &Arc<Waiter>) {
        let mut state = self.lock();
        let next = self.release(&mut state, me);
        if state.holder.is_none() && state.poller.is_none() {
            watchdog::wake(&mut state);
        }
        drop(state);
        wake(next, Some(me));
    }

    fn queue(&self, mut state: Guard<'_>, me: &Arc<Waiter>) {
        if self.is_held_by(me) {
            return;
        }
        me.begin(Then::Baton);
        state.end(me, false);
        let next = self.grant(&mut state);
        drop(state);
        wake(next, Some(me));
        while !me.may_go() {
            me.sleep(None);
        }
    }

    /// Sleeps, or polls for all, until this thread may go; `false` when its time was up first.
    fn sleep<'a>(&'a self, mut state: Guard<'a>, me: &Arc<Waiter>, until: Option<Instant>) -> bool {
        if let Some(until) = until {
            state.deadlines.insert((until, me.id), me.clone());
            let is_first = state.deadlines.first_key_value().is_some_and(|(first, _)| *first == (until, me.id));
            if is_first && state.poller.is_some() {
                self.set.ring();
            }
        }
        let mut next = self.hand_on(&mut state, me);
        while !me.may_go() {
            if state.holder.is_none() && state.poller.is_none() {
                (state, next) = self.poll(state, me.id, None);
                continue;
            }
            drop(state);
            wake(next.take(), Some(me));
            me.sleep(None);
            if me.may_go() && until.is_none() {
                return true;
            }
            state = self.lock();
        }
        if let Some(until) = until {
            state.deadlines.remove(&(until, me.id));
        }
        drop(state);
        wake(next, Some(me));
        !me.is_late()
    }

    /// Waits for the events of all, at most `longest`; then gives the baton to the first that is ready.
    pub(crate) fn poll<'a>(
        &'a self,
        mut state: Guard<'a>,
        poller: u64,
        longest: Option<Duration>,
    ) -> (Guard<'a>, Option<Arc<Waiter>>) {
        let longest = state.longest_poll(longest);
        state.poller = Some(poller);
        let mut events = mem::take(&mut state.events);
        drop(state);
        events.resize(MAX_EVENTS, EpollEvent::empty());
        let come = self.set.wait(&mut events, longest);
        let mut state = self.lock();
        state.poller = None;
        state.note(come);
        state.events = events;
        let next = self.grant(&mut state);
        (state, next)
    }

    /// Hands the baton on if `me` has it, as one that comes back by itself.
    fn hand_on(&self, state: &mut Guard<'_>, me: &Arc<Waiter>) -> Option<Arc<Waiter>> {
        if me.blocks.load(Ordering::Relaxed) {
            let turn = now().saturating_sub(me.began.load(Ordering::Relaxed));
            me.blocks.store(u128::from(turn) >= SHORT_TURN.as_nanos(), Ordering::Relaxed);
        }
        if self.is_held_by(me) {
            (state.suspects, state.sleepers) = (0, 0);
        }
        self.release(state, me)
    }

    fn release(&self, state: &mut Guard<'_>, me: &Arc<Waiter>) -> Option<Arc<Waiter>> {
        if !self.is_held_by(me) {
            return None;
        }
        self.take_away(state);
        self.grant(state)
    }

    /// Nobody has the baton now.
    pub(crate) fn take_away(&self, state: &mut Guard<'_>) {
        state.holder = None;
        self.holder.store(0, Ordering::Relaxed);
    }

    /// Gives the baton to the first that is ready, if nobody has it: who must be woken, without the lock.
    pub(crate) fn grant(&self, state: &mut Guard<'_>) -> Option<Arc<Waiter>> {
        if state.holder.is_some() {
            return None;
        }
        let next = state.ready.pop_front()?;
        if state.suspects > 0 {
            state.suspects -= 1;
            next.blocks.store(true, Ordering::Relaxed);
        }
        next.has_gil.store(false, Ordering::Relaxed);
        self.holder.store(next.id, Ordering::Relaxed);
        state.holder = Some(next.clone());
        state.turn += 1;
        match state.duty {
            Duty::Sleeps => watchdog::wake(state),
            // It must look after who has the baton now, and another polls when that one comes back.
            Duty::Polls if state.poller.is_some() => self.set.ring(),
            Duty::Polls | Duty::Looks => {}
        }
        next.go();
        Some(next)
    }
}

impl State {
    /// What the thread waits for has come, or its time is up. `false` when it does not wait.
    fn end(&mut self, waiter: &Arc<Waiter>, is_late: bool) -> bool {
        end(&mut self.ready, waiter, is_late)
    }

    fn note(&mut self, events: &[EpollEvent]) {
        let State { sources, ready, deadlines, .. } = self;
        for event in events {
            sources.note(event, |waiter| {
                end(ready, &waiter, false);
            });
        }
        if deadlines.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some(first) = deadlines.first_entry().filter(|first| first.key().0 <= now) {
            end(ready, &first.remove(), true);
        }
    }

    fn longest_poll(&self, longest: Option<Duration>) -> EpollTimeout {
        let first = self.deadlines.first_key_value().map(|((first, _), _)| *first);
        let first = first.map(|first| first.saturating_duration_since(Instant::now()));
        let Some(longest) = longest.into_iter().chain(first).min() else { return EpollTimeout::NONE };
        // Rounded up, or it would wake before the moment and poll again.
        let millis = longest.as_micros().div_ceil(1000);
        EpollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX)).unwrap_or(EpollTimeout::MAX)
    }
}

fn end(ready: &mut VecDeque<Arc<Waiter>>, waiter: &Arc<Waiter>, is_late: bool) -> bool {
    if !waiter.end(is_late) {
        return false;
    }
    if IS_MEASURED.load(Ordering::Relaxed) {
        waiter.ready_at.store(now(), Ordering::Relaxed);
    }
    if waiter.wants_baton() {
        ready.push_back(waiter.clone());
    } else {
        waiter.go();
        waiter.wake();
    }
    true
}

/// Wakes who was given the baton, unless that is the caller.
pub(crate) fn wake(next: Option<Arc<Waiter>>, me: Option<&Waiter>) {
    if let Some(next) = next.filter(|next| me.is_none_or(|me| me.id != next.id)) {
        next.wake();
    }
}
