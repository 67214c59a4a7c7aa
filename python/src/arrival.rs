//! [`Arrival`]: what the task awaits that receives from one connection.

use std::mem;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::IntoPyDict;

use crate::arrivals::Crowd;
use crate::channel::Channel;
use crate::errors;
use crate::sources::Side;
use crate::utf8::Utf8;
use crate::wire::Watched;

/// So often may a task receive without waiting before the others have their turn.
const TURN: u32 = 64;

/// The next frame of a connection. One task awaits it at a time; what it awaits is a future, as asyncio's tasks ask of
/// them, but the task goes on as soon as the loop has news, without another round of the loop.
///
/// All methods are for the loop's thread.
#[pyclass(frozen, module = "linkspan._linkspan")]
pub(crate) struct Arrival {
    asyncio: Py<PyAny>,
    channel: Py<Channel>,
    crowd: Arc<Crowd>,
    state: Mutex<State>,
}

struct State {
    /// Until the end; it keeps the descriptor open.
    watched: Option<Arc<Watched>>,
    frame: Frame,
    /// How the task that waits goes on.
    task: Option<Callback>,
    /// asyncio's word between the one that waits and its task.
    is_yielded: bool,
    /// Set from the cancellation until the task has heard of it: what was said.
    cancelled: Option<Option<Py<PyAny>>>,
    credit: u32,
}

/// The arguments of [`Arrival::frame`].
#[derive(Default)]
struct Frame {
    max_bytes: u64,
    utf8: Option<Py<Utf8>>,
    continues: bool,
}

/// A function with one argument, and the context to call it in.
struct Callback {
    function: Py<PyAny>,
    context: Option<Py<PyAny>>,
}

impl Arrival {
    pub(crate) fn new(asyncio: Py<PyAny>, channel: Py<Channel>, crowd: Arc<Crowd>, watched: Watched) -> Arrival {
        let state = State {
            watched: Some(Arc::new(watched)),
            frame: Frame::default(),
            task: None,
            is_yielded: false,
            cancelled: None,
            credit: TURN,
        };
        Arrival { asyncio, channel, crowd, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has come: the task goes on at once.
    pub(crate) fn go_on(slf: &Bound<'_, Arrival>) -> PyResult<()> {
        let Some(Callback { function, context }) = slf.get().lock().task.take() else { return Ok(()) };
        match context {
            Some(context) => context.bind(slf.py()).call_method1(intern!(slf.py(), "run"), (function, slf))?,
            None => function.bind(slf.py()).call1((slf,))?,
        };
        Ok(())
    }

    /// The task goes on in the next round of the loop.
    fn go_on_later(slf: &Bound<'_, Arrival>, task: Callback) -> PyResult<()> {
        let py = slf.py();
        let context = [(intern!(py, "context"), task.context)].into_py_dict(py)?;
        let call_soon = intern!(py, "call_soon");
        slf.get().asyncio.bind(py).call_method(call_soon, (task.function, slf), Some(&context))?;
        Ok(())
    }

    fn remove(&self) {
        let watched = self.lock().watched.take();
        if let Some(watched) = watched {
            self.crowd.remove(watched.source(), watched.fd());
        }
    }
}

#[pymethods]
impl Arrival {
    /// Awaited, it waits until the next frame can be received without waiting, or until `end`. The arguments are those
    /// of `receive_frame`, which comes next.
    fn frame<'py>(
        slf: Bound<'py, Arrival>,
        max_bytes: Option<u64>,
        utf8: Option<Py<Utf8>>,
        continues: bool,
    ) -> Bound<'py, Arrival> {
        let frame = Frame { max_bytes: max_bytes.unwrap_or(u64::MAX), utf8, continues };
        drop(mem::replace(&mut slf.get().lock().frame, frame));
        slf
    }

    fn __await__(slf: Bound<'_, Arrival>) -> Bound<'_, Arrival> {
        slf
    }

    /// A step of the task that awaits: itself to wait for, or the end.
    fn __next__<'py>(slf: &Bound<'py, Arrival>) -> PyResult<Option<Bound<'py, Arrival>>> {
        let (py, this) = (slf.py(), slf.get());
        let mut guard = this.lock();
        let state = &mut *guard;
        let Some(watched) = &state.watched else { return Ok(None) };
        let mut is_due = state.credit == 0;
        if !is_due {
            let Frame { max_bytes, utf8, continues } = &state.frame;
            let utf8 = utf8.as_ref().map(|utf8| utf8.get());
            let reads = watched.source().has_news(Side::Reading);
            if this.channel.get().can_receive(py, *max_bytes, utf8, *continues, reads)? {
                state.credit -= 1;
                return Ok(None);
            }
            is_due = watched.source().has_news(Side::Reading);
        }
        state.credit = TURN;
        state.is_yielded = true;
        let watched = watched.clone();
        drop(guard);
        this.crowd.wait(watched.source(), slf.clone().unbind(), is_due);
        Ok(Some(slf.clone()))
    }

    /// Ends every wait, that which is under way too. The connection may be closed then.
    fn end(slf: &Bound<'_, Arrival>) -> PyResult<()> {
        slf.get().remove();
        let task = slf.get().lock().task.take();
        task.map_or(Ok(()), |task| Arrival::go_on_later(slf, task))
    }

    /// The descriptor of the connection, which stays open until `end`; -1 from then on.
    fn fileno(&self) -> i32 {
        self.lock().watched.as_ref().map_or(-1, |watched| watched.fd().as_raw_fd())
    }

    // What asyncio asks of a future.

    #[getter(_asyncio_future_blocking)]
    fn is_yielded(&self) -> bool {
        self.lock().is_yielded
    }

    #[setter(_asyncio_future_blocking)]
    fn set_is_yielded(&self, is_yielded: bool) {
        self.lock().is_yielded = is_yielded;
    }

    fn get_loop(&self, py: Python<'_>) -> Py<PyAny> {
        self.asyncio.clone_ref(py)
    }

    #[pyo3(signature = (function, *, context = None))]
    fn add_done_callback(&self, function: Py<PyAny>, context: Option<Py<PyAny>>) {
        self.lock().task = Some(Callback { function, context });
    }

    #[pyo3(signature = (msg = None))]
    fn cancel(slf: &Bound<'_, Arrival>, msg: Option<Py<PyAny>>) -> PyResult<bool> {
        let this = slf.get();
        let mut state = this.lock();
        let Some(task) = state.task.take() else { return Ok(false) };
        state.cancelled = Some(msg);
        let watched = state.watched.clone();
        drop(state);
        if let Some(watched) = watched {
            this.crowd.forget(watched.source());
        }
        Arrival::go_on_later(slf, task)?;
        Ok(true)
    }

    fn result(&self) -> PyResult<()> {
        self.lock().cancelled.take().map_or(Ok(()), |message| Err(errors::cancelled(message)))
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.remove();
    }
}
