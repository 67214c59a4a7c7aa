//! The watchdog: a native thread that takes the baton from who keeps it without coming back.
//!
//! It sleeps while nothing happens in the process, and looks every 2 ms while something does.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::baton::{self, Baton, Guard, State};
use crate::native_thread;
use crate::waiter::Waiter;

/// How long a thread may keep the baton while others may be ready, and half of what it does at most.
const TICK: Duration = Duration::from_millis(2);
/// After so many looks at a process in which nobody runs it looks no more.
const IDLE_TICKS: u32 = 3;
const STACK_BYTES: usize = 64 << 10;

static THREAD: OnceLock<Thread> = OnceLock::new();

/// What the watchdog does.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Duty {
    /// It waits to be woken: the next who is given the baton does so.
    #[default]
    Sleeps,
    Looks,
    /// It waits for the events of all.
    Polls,
}

/// Starts the thread; it waits for the baton to be there.
pub(crate) fn start() -> io::Result<()> {
    let builder = thread::Builder::new().name("linkspan-baton".into()).stack_size(STACK_BYTES);
    let thread = native_thread::spawn(builder, || {
        if let Some(baton) = Baton::wait_for_start() {
            watch(baton);
        }
    })?;
    let _ = THREAD.set(thread.thread().clone());
    Ok(())
}

/// Makes it look now.
pub(crate) fn wake(state: &mut State) {
    state.duty = Duty::Looks;
    if let Some(thread) = THREAD.get() {
        thread.unpark();
    }
}

/// Who had the baton at the last look, in which turn, and the processor time that the thread had used.
struct Seen {
    holder: Arc<Waiter>,
    turn: u64,
    used: Option<Duration>,
}

fn watch(baton: &'static Baton) {
    let (mut idle, mut last_turn) = (0, 0);
    let mut seen = None;
    let mut next_look = Instant::now();
    let mut state = baton.lock();
    loop {
        let now = Instant::now();
        if now >= next_look {
            next_look = now + TICK;
            let is_idle = state.holder.is_none() && state.poller.is_some() && state.turn == last_turn;
            (idle, last_turn) = (if is_idle { idle + 1 } else { 0 }, state.turn);
            seen = look(baton, &mut state, seen);
        }
        let mut next = baton.grant(&mut state);
        if state.holder.is_none() && state.poller.is_none() {
            state.duty = Duty::Polls;
            (state, next) = baton.poll(state, 0, None);
            state.duty = Duty::Looks;
            next_look = Instant::now() + TICK;
        }
        let longest = if idle < IDLE_TICKS { Some(next_look.saturating_duration_since(Instant::now())) } else { None };
        if longest.is_none() {
            state.duty = Duty::Sleeps;
            (idle, seen) = (0, None);
        }
        drop(state);
        baton::wake(next, None);
        match longest {
            Some(longest) => thread::park_timeout(longest),
            None => thread::park(),
        }
        state = baton.lock();
    }
}

/// Takes the baton from a thread that has had the GIL and the baton since the last look.
fn look(baton: &Baton, state: &mut Guard<'_>, seen: Option<Seen>) -> Option<Seen> {
    let holder = state.holder.clone()?;
    // One that waits for the GIL is not the one that keeps the others waiting.
    if !holder.has_gil.load(Ordering::Relaxed) {
        return None;
    }
    let used = holder.processor_time();
    let before = seen.filter(|seen| seen.turn == state.turn && seen.holder.id == holder.id);
    let Some(before) = before else { return Some(Seen { holder, turn: state.turn, used }) };
    let ran = used.zip(before.used).map(|(now, before)| now.saturating_sub(before));
    let sleeps = ran.is_some_and(|ran| ran < TICK / 4);
    // Who was asleep will be again: next time it keeps the baton no longer than it takes to get the GIL.
    // When several in a row were, those that are next may be of the same kind.
    holder.blocks.store(sleeps, Ordering::Relaxed);
    state.sleepers = if sleeps { state.sleepers + 1 } else { 0 };
    state.suspects = if sleeps { 1 << state.sleepers.min(10) } else { 0 };
    baton.take_away(state);
    None
}
