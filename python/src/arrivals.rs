//! [`Arrivals`]: the connections that the handlers of one asyncio loop wait on, in an epoll set of their own.
//!
//! The loop watches one descriptor, that of the set, and is woken once for all connections on which something has come.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::epoll::{EpollEvent, EpollTimeout};
use pyo3::prelude::*;

use crate::arrival::Arrival;
use crate::channel::Channel;
use crate::errors;
use crate::sources::{MAX_EVENTS, Set, Side, Source, Sources};

/// The set. The loop calls `go_on` when the descriptor is readable; all methods are for the loop's thread.
#[pyclass(frozen, module = "linkspan._linkspan")]
pub(crate) struct Arrivals {
    asyncio: Py<PyAny>,
    crowd: Arc<Crowd>,
}

/// Those who wait.
pub(crate) struct Crowd {
    set: Set,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sources: Sources<Py<Arrival>>,
    /// Who has given others a turn and goes on without news.
    due: Vec<Py<Arrival>>,
}

impl Crowd {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, fd: BorrowedFd<'_>, is_mixed: bool) -> io::Result<Arc<Source>> {
        let source = self.lock().sources.insert(is_mixed);
        self.set.add(&source, fd).inspect_err(|_| self.lock().sources.remove(&source))?;
        Ok(source)
    }

    /// From now on nothing is told of it; before its descriptor is closed.
    pub(crate) fn remove(&self, source: &Source, fd: BorrowedFd<'_>) {
        self.set.remove(fd);
        self.lock().sources.remove(source);
    }

    /// `arrival` goes on when something has come, or with `is_due` when others have had their turn.
    pub(crate) fn wait(&self, source: &Source, arrival: Py<Arrival>, is_due: bool) {
        let mut state = self.lock();
        if is_due {
            state.due.push(arrival);
            if state.due.len() == 1 {
                self.set.ring();
            }
        } else {
            *state.sources.waiter(source, Side::Reading) = Some(arrival);
        }
    }

    /// It waits no more.
    pub(crate) fn forget(&self, source: &Source) {
        *self.lock().sources.waiter(source, Side::Reading) = None;
    }

    fn take_ready(&self) -> Vec<Py<Arrival>> {
        let mut events = [EpollEvent::empty(); MAX_EVENTS];
        let events = self.set.wait(&mut events, EpollTimeout::ZERO);
        let State { sources, due } = &mut *self.lock();
        let mut ready = mem::take(due);
        for event in events {
            sources.note(event, |arrival| ready.push(arrival));
        }
        ready
    }
}

#[pymethods]
impl Arrivals {
    /// For the loop `asyncio`.
    #[new]
    fn new(asyncio: Py<PyAny>) -> PyResult<Arrivals> {
        let set = Set::new().map_err(errors::io)?;
        Ok(Arrivals { asyncio, crowd: Arc::new(Crowd { set, state: Mutex::default() }) })
    }

    /// The descriptor of the set: readable when `go_on` has something to do.
    fn fileno(&self) -> i32 {
        self.crowd.set.fd().as_raw_fd()
    }

    /// Takes in a connection, of which no other set may know.
    fn add(&self, channel: &Bound<'_, Channel>) -> PyResult<Arrival> {
        let watched = channel.get().watch(|fd, is_mixed| self.crowd.add(fd, is_mixed)).map_err(errors::io)?;
        Ok(Arrival::new(self.asyncio.clone_ref(channel.py()), channel.clone().unbind(), self.crowd.clone(), watched))
    }

    /// Lets everybody go on for whom something has come. Raises what a task must not keep to itself.
    fn go_on(&self, py: Python<'_>) -> PyResult<()> {
        let mut ready = self.crowd.take_ready().into_iter();
        while let Some(arrival) = ready.next() {
            Arrival::go_on(arrival.bind(py)).inspect_err(|_| {
                self.crowd.lock().due.extend(ready.by_ref());
                self.crowd.set.ring();
            })?;
        }
        Ok(())
    }
}
