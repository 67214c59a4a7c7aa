//! Loops
//!
//! A loop serves any number of connections on one thread: the one that calls linkspan_loop_run. It may also
//! live inside another loop: wait until linkspan_loop_fd is readable or linkspan_loop_next_timeout has
//! passed, then call linkspan_loop_run_once(loop, 0), and free it when linkspan_loop_is_stopping. The examples
//! do so inside epoll, libuv, GLib and libevent. The loop's thread is the one that last ran it; before it ran,
//! any thread is.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;
use std::{ptr, slice};

use linkspan::Error;
use linkspan::log;
use linkspan::net::{Context, EventLoop, Metrics, Remote};
use linkspan::protocol::{CloseCode, MessageKind};

use crate::guard::{self, Out, Outcome, User, guard, guard_value};
use crate::remote;
use crate::result::{Failure, LINKSPAN_CLOSED, LINKSPAN_OK, LINKSPAN_WRONG_STATE, linkspan_status};

/// A loop. Owned: free it with linkspan_loop_free.
pub struct linkspan_loop {
    /// `None` once it was freed; what C's callbacks hold of it meanwhile answers LINKSPAN_CLOSED.
    event_loop: Mutex<Option<EventLoop>>,
    remote: Remote,
    /// The thread that runs it now, and the one that did last; 0 is none.
    runner: AtomicUsize,
    last_runner: AtomicUsize,
    is_freed: AtomicBool,
}

/// A function for linkspan_loop_post.
pub type linkspan_task = Option<unsafe extern "C" fn(user: *mut c_void)>;

/// Makes a loop.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_loop_new(event_loop: *mut *mut linkspan_loop) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointer is as the comment says.
        let out = unsafe { Out::new(event_loop) }?;
        guard::prepare();
        out.write(guard::handle(linkspan_loop::new()?));
        Ok(LINKSPAN_OK)
    })
}

/// Frees the loop. Connections that are still open end at once, and on_close is told of each; tasks that
/// were posted are run. Inside one of the loop's callbacks, or while another thread runs it, the loop stops
/// first and is freed when it has. NULL is fine.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_loop_free(event_loop: *mut linkspan_loop) {
    guard(|| {
        if !event_loop.is_null() {
            // SAFETY: the caller's own handle.
            unsafe { guard::shared(event_loop) }?.free();
        }
        Ok(LINKSPAN_OK)
    });
}

/// Serves connections until linkspan_loop_stop, or until a drain is over. LINKSPAN_WRONG_STATE when the
/// loop runs already, also from inside its own callbacks.
///
/// Thread: any, which becomes the loop's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_loop_run(event_loop: *mut linkspan_loop) -> linkspan_status {
    // SAFETY: the caller's own handle.
    guard(|| unsafe { guard::shared(event_loop) }?.run(EventLoop::run))
}

/// Waits until something happens, at most `timeout_ms` milliseconds (0: not at all; negative: without end),
/// handles what has happened, and returns. The rest as linkspan_loop_run.
///
/// Thread: any, which becomes the loop's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_loop_run_once(event_loop: *mut linkspan_loop, timeout_ms: i64) -> linkspan_status {
    let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
    // SAFETY: the caller's own handle.
    guard(|| unsafe { guard::shared(event_loop) }?.run(|event_loop| event_loop.run_once(timeout).map(drop)))
}

/// Makes linkspan_loop_run return after its present turn, or, when it does not run, the next one at once.
/// Connections stay as they are: it may be run again.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_loop_stop(event_loop: *mut linkspan_loop) -> linkspan_status {
    guard(|| {
        // SAFETY: the caller's own handle.
        let owner = unsafe { guard::shared(event_loop) }?;
        owner.soon(|cx| cx.stop())?;
        Ok(LINKSPAN_OK)
    })
}

/// Runs `task(user)` on the loop's thread, soon: exactly once, in the order they were posted, and when the
/// loop is freed before that, while it is freed. Inside the task everything may be called as inside a
/// callback. LINKSPAN_CLOSED when the loop is past that: the task has run all the same, on this thread, so that
/// what `user` points to is never left behind.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_loop_post(
    event_loop: *mut linkspan_loop,
    task: linkspan_task,
    user: *mut c_void,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the caller's own handle.
        let owner = unsafe { guard::shared(event_loop) }?;
        let mut task = Task { function: Some(task.ok_or_else(Failure::null)?), user: User(user) };
        let loop_id = owner.remote.loop_id();
        owner.remote.run(move |cx| remote::within(cx, loop_id, || task.run()))?;
        Ok(LINKSPAN_OK)
    })
}

/// A descriptor to wait on for reading in a foreign loop: readable when linkspan_loop_run_once has something
/// to do, also when it was asked for by another thread, or by this one between two turns. It stays the loop's:
/// do not read or close it. Wait for its level, as poll() does. -1 for NULL, and inside the loop's callbacks.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_loop_fd(event_loop: *mut linkspan_loop) -> c_int {
    guard_value(-1, || {
        // SAFETY: the caller's own handle.
        let owner = unsafe { guard::shared(event_loop) }?;
        owner.idle(|event_loop| event_loop.fd())
    })
}

/// How many milliseconds linkspan_loop_fd may be waited on before linkspan_loop_run_once wants to be called
/// all the same; -1 when without end, as poll() wants it. Ask again after each turn: in between it only grows
/// shorter as linkspan_loop_fd becomes readable. -1 for NULL, and inside the loop's callbacks.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_loop_next_timeout(event_loop: *mut linkspan_loop) -> i64 {
    guard_value(-1, || {
        // SAFETY: the caller's own handle.
        let owner = unsafe { guard::shared(event_loop) }?;
        let timeout = owner.idle(EventLoop::next_timeout)?;
        // Rounded up: waking a moment too early would only mean waking twice.
        let milliseconds = timeout.map(|timeout| timeout.as_nanos().div_ceil(1_000_000));
        Ok(milliseconds.map_or(-1, |milliseconds| i64::try_from(milliseconds).unwrap_or(i64::MAX)))
    })
}

/// Whether linkspan_loop_run would return now: linkspan_loop_stop was called, or a drain is over. Inside a
/// foreign loop, ask after each turn and free the loop then. Running it again makes it false. True for NULL,
/// and for a loop that was freed.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_loop_is_stopping(event_loop: *mut linkspan_loop) -> bool {
    guard_value(true, || {
        // SAFETY: the caller's own handle.
        let owner = unsafe { guard::shared(event_loop) }?;
        owner.now(|cx| cx.is_stopping())
    })
}

impl linkspan_loop {
    fn new() -> Result<Arc<linkspan_loop>, Failure> {
        let event_loop = EventLoop::new()?;
        let owner = Arc::new(linkspan_loop {
            remote: event_loop.remote(),
            event_loop: Mutex::new(Some(event_loop)),
            runner: AtomicUsize::new(0),
            last_runner: AtomicUsize::new(0),
            is_freed: AtomicBool::new(false),
        });
        remote::register(owner.remote.clone(), Arc::downgrade(&owner));
        Ok(owner)
    }

    fn run(&self, turn: impl FnOnce(&mut EventLoop) -> Result<(), Error>) -> Outcome {
        let me = this_thread();
        if self.runner.compare_exchange(0, me, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return Err(Failure::new(LINKSPAN_WRONG_STATE, "this loop runs already"));
        }
        let _running = Running(self);
        self.last_runner.store(me, Ordering::Relaxed);
        // Never waits long: others have the lock only between turns, for a question.
        let mut event_loop = self.event_loop.lock().unwrap_or_else(PoisonError::into_inner);
        turn(event_loop.as_mut().ok_or(Failure::bare(LINKSPAN_CLOSED))?)?;
        Ok(LINKSPAN_OK)
    }

    /// Frees it now, or leaves that to whoever runs it.
    fn free(&self) {
        if self.is_freed.swap(true, Ordering::SeqCst) {
            return;
        }
        let _ = self.remote.stop();
        self.end_if_idle();
    }

    /// Ends the loop, and with it C's ownership: once, when it was freed and nobody runs it.
    fn end_if_idle(&self) {
        let ended = this_thread();
        if !self.is_freed.load(Ordering::SeqCst)
            || self.runner.compare_exchange(0, ended, Ordering::SeqCst, Ordering::Relaxed).is_err()
        {
            return;
        }
        let event_loop = self.event_loop.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Without the lock, and with C's pointer still good: on_close is told of every connection.
        drop(event_loop);
        remote::unregister(self.remote.loop_id());
        // SAFETY: the pointer that linkspan_loop_new gave, given up by linkspan_loop_free; `runner` stays
        // taken, so nobody comes here again. The caller has an owner of its own.
        drop(unsafe { guard::release(ptr::from_ref(self).cast_mut()) });
    }

    /// The loop between two turns, for its own thread.
    fn idle<T>(&self, ask: impl FnOnce(&mut EventLoop) -> T) -> Result<T, Failure> {
        // The log function may turn the loop: only once nobody has it.
        let _hold = log::hold();
        let last = self.last_runner.load(Ordering::Relaxed);
        if last != 0 && last != this_thread() {
            return Err(Failure::wrong_thread());
        }
        let mut event_loop = match self.event_loop.try_lock() {
            Ok(event_loop) => event_loop,
            Err(TryLockError::Poisoned(event_loop)) => event_loop.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::new(LINKSPAN_WRONG_STATE, "not inside a callback of the loop"));
            }
        };
        Ok(ask(event_loop.as_mut().ok_or(Failure::bare(LINKSPAN_CLOSED))?))
    }

    /// Acts on the loop between two turns, on its own thread.
    pub(crate) fn between_turns<T>(&self, act: impl FnOnce(&mut Context<'_>) -> T) -> Result<T, Failure> {
        self.idle(|event_loop| act(&mut event_loop.context()))
    }

    /// Acts on the loop at once: inside its callbacks, or between two turns on its own thread.
    pub(crate) fn now<T>(&self, act: impl FnOnce(&mut Context<'_>) -> T) -> Result<T, Failure> {
        match remote::inside(self.remote.loop_id(), act) {
            Ok(done) => Ok(done),
            Err(act) => self.between_turns(act),
        }
    }

    /// What it has counted; when it has ended, what it had.
    pub(crate) fn metrics(&self) -> Metrics {
        self.remote.metrics()
    }

    /// Publishes to its connections.
    pub(crate) fn publish(&self, topic: &[u8], kind: MessageKind, data: &[u8]) -> Outcome {
        let remote = &self.remote;
        let at_once = |cx: &mut Context<'_>| cx.publish(topic, kind, data);
        remote::publish(slice::from_ref(remote), at_once, || remote.publish(topic, kind, data))
    }

    pub(crate) fn subscriber_count(&self, topic: &[u8]) -> usize {
        self.remote.subscriber_count(topic)
    }

    /// Acts on the loop: at once inside its callbacks, else as soon as it turns.
    pub(crate) fn soon(&self, act: impl FnOnce(&mut Context<'_>) + Send + 'static) -> Result<(), Failure> {
        match remote::inside(self.remote.loop_id(), act) {
            Ok(()) => Ok(()),
            Err(act) => Ok(self.remote.run(act)?),
        }
    }

    /// Closes every connection gently, and then ends `run`.
    pub(crate) fn drain(&self, code: CloseCode, reason: &str, deadline: Duration) -> Result<(), Failure> {
        let reason = reason.to_owned();
        self.soon(move |cx| cx.drain(code, &reason, deadline))
    }
}

/// Says that nobody runs the loop, however running it ends.
struct Running<'a>(&'a linkspan_loop);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.runner.store(0, Ordering::SeqCst);
        self.0.end_if_idle();
    }
}

/// A number for the calling thread, never 0; another thread may have it when this one has ended.
fn this_thread() -> usize {
    thread_local! {
        static HERE: Cell<u8> = const { Cell::new(0) };
    }
    HERE.with(|here| ptr::from_ref(here).addr())
}

/// C's function, run exactly once.
struct Task {
    function: Option<unsafe extern "C" fn(user: *mut c_void)>,
    user: User,
}

impl Task {
    fn run(&mut self) {
        if let Some(function) = self.function.take() {
            // SAFETY: C's own function for this argument.
            unsafe { function(self.user.0) }
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.run();
    }
}
