//! Leaving the GIL and coming back to it, in turn with other threads.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyCFunction};

use crate::baton::{self, Baton};
use crate::waiter::{Waiter, now};

/// Threads that ask for the GIL at this moment.
static COMING: AtomicUsize = AtomicUsize::new(0);
/// Whether the interpreter ends, after which no thread but its own may ask for the GIL.
static IS_ENDING: AtomicBool = AtomicBool::new(false);
/// How long the end waits for those who ask already.
const PATIENCE: Duration = Duration::from_secs(1);

static WAITS: AtomicU64 = AtomicU64::new(0);
static WAITED_NANOS: AtomicU64 = AtomicU64::new(0);

/// Runs `work` without the GIL, and comes back to it in turn with other threads that do.
pub(crate) fn leave<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    let done = py.detach(|| {
        let done = work();
        come_back();
        done
    });
    COMING.fetch_sub(1, Ordering::Relaxed);
    baton::with(|baton, me| {
        me.has_gil.store(true, Ordering::Relaxed);
        let ready_at = me.ready_at.swap(0, Ordering::Relaxed);
        if ready_at != 0 {
            WAITS.fetch_add(1, Ordering::Relaxed);
            WAITED_NANOS.fetch_add(now().saturating_sub(ready_at), Ordering::Relaxed);
        }
        if me.blocks.load(Ordering::Relaxed) {
            me.began.store(now(), Ordering::Relaxed);
            baton.pass_on(me);
        }
    });
    done
}

/// The same for work of some length, during which others may run Python.
pub(crate) fn leave_long<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    leave(py, || {
        baton::with(Baton::lend);
        work()
    })
}

/// Whether it is this thread's turn to run Python, so that it may go on before others.
pub(crate) fn is_my_turn() -> bool {
    baton::with(|baton, me| baton.is_held_by(me)).unwrap_or(true)
}

fn come_back() {
    baton::with(Baton::take);
    COMING.fetch_add(1, Ordering::SeqCst);
    if IS_ENDING.load(Ordering::SeqCst) && !Waiter::with_mine(|me| me.is_main).unwrap_or(false) {
        COMING.fetch_sub(1, Ordering::SeqCst);
        // Older interpreters end a thread that asks too late by unwinding it, which native code does not
        // survive. The process ends without it.
        loop {
            thread::park();
        }
    }
}

/// How often a thread that was ready waited for the GIL, and how long all of them together, in seconds. Only
/// counted while `measure_gil_wait(True)`.
#[pyfunction]
pub(crate) fn gil_wait() -> (u64, f64) {
    (WAITS.load(Ordering::Relaxed), WAITED_NANOS.load(Ordering::Relaxed) as f64 / 1e9)
}

/// Whether `gil_wait` counts from now on; it does not to begin with.
#[pyfunction]
pub(crate) fn measure_gil_wait(on: bool) {
    baton::measure(on);
}

/// Has the interpreter tell of forks and of its end.
pub(crate) fn watch_interpreter(py: Python<'_>) -> PyResult<()> {
    let sys = py.import("sys")?;
    let has_gil = match sys.getattr_opt("_is_gil_enabled")? {
        Some(ask) => ask.call0()?.extract()?,
        None => true,
    };
    if !has_gil {
        baton::turn_off();
    }
    let forked = PyCFunction::new_closure(py, None, None, |_, _| baton::turn_off())?;
    py.import("os")?.call_method("register_at_fork", (), Some(&[("after_in_child", forked)].into_py_dict(py)?))?;
    let ending = PyCFunction::new_closure(py, None, None, |arguments, _| end(arguments.py()))?;
    py.import("atexit")?.call_method1("register", (ending,))?;
    Ok(())
}

fn end(py: Python<'_>) {
    IS_ENDING.store(true, Ordering::SeqCst);
    py.detach(|| {
        let until = Instant::now() + PATIENCE;
        while COMING.load(Ordering::SeqCst) > 0 && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
    });
}
