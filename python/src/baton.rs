//! Waiting without the GIL, and coming back to it one at a time.
//!
//! CPython lets every thread that wants the GIL wake up each 5 ms to ask for it: with thousands of handlers
//! that all have something to do, they do nothing else. So a thread that has waited here passes a gate before
//! it asks, and goes through only when the one before has the GIL.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::Python;

/// A thread that was let in may never get the GIL (the interpreter ends) or get it late (somebody computes
/// with it); then the next one is let in all the same.
const PATIENCE: Duration = Duration::from_secs(1);

static GATE: Gate = Gate { is_taken: Mutex::new(false), is_free: Condvar::new() };

/// Runs `wait` without the GIL, then `then` without it too, but in turn with other threads that come back.
pub(crate) fn wait_then<W, T>(py: Python<'_>, wait: impl FnOnce() -> W + Send, then: impl FnOnce(W) -> T + Send) -> T
where
    T: Send,
{
    let done = py.detach(|| {
        let waited = wait();
        GATE.enter();
        then(waited)
    });
    GATE.leave();
    done
}

/// Runs `wait` without the GIL.
pub(crate) fn wait<T: Send>(py: Python<'_>, wait: impl FnOnce() -> T + Send) -> T {
    wait_then(py, wait, |done| done)
}

struct Gate {
    is_taken: Mutex<bool>,
    is_free: Condvar,
}

impl Gate {
    fn enter(&self) {
        let taken = self.lock();
        let (mut taken, _) =
            self.is_free.wait_timeout_while(taken, PATIENCE, |taken| *taken).unwrap_or_else(PoisonError::into_inner);
        *taken = true;
    }

    fn leave(&self) {
        *self.lock() = false;
        self.is_free.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
