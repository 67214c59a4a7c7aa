//! [`RawStream`]: the bytes of a client's connection, for those who write their own.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use linkspan::blocking;
use linkspan::protocol::handshake::HeadFinder;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffers::Payload;
use crate::deadline::{Deadline, LONG};
use crate::errors;
use crate::frame::{self, Frame};

/// Bytes that are read at once.
const READ: usize = 64 << 10;
/// Longest head of an answer.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// A client's connection as a stream of bytes, over TCP or TLS. One thread reads, several may write.
#[pyclass(frozen, weakref, module = "linkspan._linkspan")]
pub(crate) struct RawStream {
    stream: blocking::RawStream,
    inbox: Mutex<Inbox>,
    max_message_bytes: u64,
}

#[derive(Default)]
struct Inbox {
    /// Read, and not taken yet.
    bytes: Vec<u8>,
    /// Nothing follows.
    is_ended: bool,
}

impl RawStream {
    pub(crate) fn new(stream: blocking::RawStream, max_message_bytes: u64) -> RawStream {
        RawStream { stream, inbox: Mutex::default(), max_message_bytes }
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what `take` finds, reading on and waiting until it finds something; it finds something always when
    /// the stream has ended. `None` when it would have to wait and must not.
    fn find<T>(
        &self,
        py: Python<'_>,
        wait: Option<Deadline>,
        mut take: impl FnMut(&mut Inbox) -> PyResult<Option<T>>,
    ) -> PyResult<Option<T>> {
        loop {
            if let Some(found) = take(&mut self.inbox())? {
                return Ok(Some(found));
            }
            let patience = match wait {
                None => Duration::ZERO,
                Some(deadline) => deadline.left().ok_or_else(|| errors::timed_out("nothing has come in time"))?,
            };
            let read = py.detach(|| {
                let mut buffer = vec![0; READ];
                let read = self.stream.read(&mut buffer, Some(patience))?;
                if let Some(read) = read {
                    let mut inbox = self.inbox();
                    inbox.bytes.extend_from_slice(&buffer[..read]);
                    inbox.is_ended |= read == 0;
                }
                Ok(read)
            });
            if read.map_err(|error| errors::broken(&error))?.is_none() {
                py.check_signals()?;
                if wait.is_none() {
                    return Ok(None);
                }
            }
        }
    }

    fn bytes<'py>(
        &self,
        py: Python<'py>,
        max_bytes: usize,
        wait: Option<Deadline>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.find(py, wait, |inbox| {
            if inbox.bytes.is_empty() && !inbox.is_ended && max_bytes > 0 {
                return Ok(None);
            }
            Ok(Some(inbox.cut(py, max_bytes)))
        })
    }

    fn frame<'py>(&self, py: Python<'py>, wait: Option<Deadline>) -> PyResult<Option<Option<Frame<'py>>>> {
        self.find(py, wait, |inbox| match frame::take(py, &mut inbox.bytes, self.max_message_bytes)? {
            Some(frame) => Ok(Some(Some(frame))),
            None if !inbox.is_ended => Ok(None),
            None if inbox.bytes.is_empty() => Ok(Some(None)),
            None => Err(errors::cut("frame", inbox.bytes.len())),
        })
    }

    fn head<'py>(&self, py: Python<'py>, wait: Option<Deadline>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.find(py, wait, |inbox| match HeadFinder::default().find(&inbox.bytes) {
            Some(length) => Ok(Some(inbox.cut(py, length))),
            None if inbox.bytes.len() > MAX_HEAD_BYTES => Err(errors::long_head(MAX_HEAD_BYTES)),
            None if inbox.is_ended => Err(errors::cut("head", inbox.bytes.len())),
            None => Ok(None),
        })
    }
}

impl Inbox {
    fn cut<'py>(&mut self, py: Python<'py>, max_bytes: usize) -> Bound<'py, PyBytes> {
        let length = max_bytes.min(self.bytes.len());
        let bytes = PyBytes::new(py, &self.bytes[..length]);
        self.bytes.drain(..length);
        bytes
    }
}

/// What every way to receive has in common: `wait` and `timeout`.
fn patience(wait: bool, timeout: Option<f64>) -> Option<Deadline> {
    wait.then(|| Deadline::after(timeout))
}

#[pymethods]
impl RawStream {
    /// Bytes as they come, at most `max_bytes`; `b''` at the end. Without `wait`: `None` when there are none yet.
    #[pyo3(signature = (max_bytes, timeout = None, wait = true))]
    fn receive<'py>(
        &self,
        py: Python<'py>,
        max_bytes: usize,
        timeout: Option<f64>,
        wait: bool,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.bytes(py, max_bytes, patience(wait, timeout))
    }

    /// The next frame, in a list of one; an empty list at the end. Without `wait`: `None` when it is not there yet.
    #[pyo3(signature = (timeout = None, wait = true))]
    fn receive_frame<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<f64>,
        wait: bool,
    ) -> PyResult<Option<Vec<Frame<'py>>>> {
        Ok(self.frame(py, patience(wait, timeout))?.map(|frame| frame.into_iter().collect()))
    }

    /// An HTTP head with its empty line. Without `wait`: `None` when it is not there yet.
    #[pyo3(signature = (timeout = None, wait = true))]
    fn receive_head<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<f64>,
        wait: bool,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.head(py, patience(wait, timeout))
    }

    /// Sends bytes. Without `wait`: whether all that waits has left; `flush` for the rest.
    #[pyo3(signature = (data, wait = true))]
    fn send(&self, py: Python<'_>, data: &Bound<'_, PyAny>, wait: bool) -> PyResult<bool> {
        let payload = Payload::of_bytes(data)?;
        let bytes = payload.as_bytes();
        let all_left = py.detach(|| self.stream.post(bytes)).map_err(|error| errors::broken(&error))?;
        if all_left || !wait { Ok(all_left) } else { self.flush(py, true) }
    }

    /// Sends what waits, and tells whether all of it has left.
    #[pyo3(signature = (wait = true))]
    fn flush(&self, py: Python<'_>, wait: bool) -> PyResult<bool> {
        let patience = if wait { LONG } else { Duration::ZERO };
        loop {
            let all_left = py.detach(|| self.stream.flush(Some(patience))).map_err(|error| errors::broken(&error))?;
            if all_left || !wait {
                return Ok(all_left);
            }
            py.check_signals()?;
        }
    }

    /// Ends the sending half, when everything has left; call `flush` before.
    fn end_sending(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.stream.finish()).map_err(|error| errors::broken(&error))
    }

    /// Ends both halves at once.
    fn abort(&self) {
        self.stream.abort();
    }

    /// The descriptor to wait on.
    fn fileno(&self) -> RawFd {
        self.stream.as_fd().as_raw_fd()
    }

    /// What a receiver waits for: `(reading, writing, None)`.
    fn awaits(&self) -> (bool, bool, Option<f64>) {
        let interest = self.stream.awaits();
        (interest.reading, interest.writing, None)
    }

    #[getter]
    fn peer(&self) -> String {
        self.stream.ask(|transport| transport.peer().to_string())
    }
}
