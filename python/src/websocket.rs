//! [`WebSocket`]: a client's open WebSocket. Every call that may wait lets other threads run and Ctrl-C through, or
//! does not wait and says so.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use linkspan::Error;
use linkspan::blocking::{self, Outbound, Received};
use linkspan::protocol::handshake::Response;
use linkspan::protocol::{CloseCode, CloseInfo, Engine, MessageKind, Misuse, Phase, Side};
use linkspan::transport::Transport;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::buffers::Payload;
use crate::deadline::{Deadline, LONG};
use crate::errors;
use crate::raw_stream::RawStream;

/// A client's open WebSocket. One thread receives, several may send.
#[pyclass(frozen, weakref, module = "linkspan._linkspan")]
pub(crate) struct WebSocket {
    // `None` once it was detached.
    websocket: Mutex<Option<blocking::WebSocket>>,
    max_message_bytes: u64,
}

/// `(status, reason, headers, body)` of an HTTP answer.
pub(crate) type Answer<'py> = (u16, String, Vec<(String, String)>, Bound<'py, PyBytes>);

pub(crate) fn answer(py: Python<'_>, response: Response) -> Answer<'_> {
    let headers = response.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    (response.status, response.reason, headers, PyBytes::new(py, &response.body))
}

impl WebSocket {
    pub(crate) fn new(websocket: blocking::WebSocket, max_message_bytes: u64) -> WebSocket {
        WebSocket { websocket: Mutex::new(Some(websocket)), max_message_bytes }
    }

    fn open(&self) -> PyResult<blocking::WebSocket> {
        let websocket = self.websocket.lock().unwrap_or_else(PoisonError::into_inner);
        websocket.clone().ok_or_else(errors::detached)
    }

    fn ask<T>(&self, question: impl FnOnce(&Engine) -> T) -> PyResult<T> {
        Ok(self.open()?.ask(question))
    }

    /// The next message, as far as it has come.
    fn next<'py>(&self, py: Python<'py>, websocket: &blocking::WebSocket) -> PyResult<Option<Bound<'py, PyAny>>> {
        loop {
            match py.detach(|| websocket.try_recv()).map_err(errors::client)? {
                None => return Ok(None),
                Some(Received::Message(message)) => {
                    return Ok(Some(match message.kind {
                        MessageKind::Text => PyString::from_bytes(py, &message.data)?.into_any(),
                        MessageKind::Binary => PyBytes::new(py, &message.data).into_any(),
                    }));
                }
                Some(Received::Closed) => return Err(errors::closed(websocket.close_info())),
                // Answered already; parts and requests to close are not asked for.
                Some(Received::Ping(_) | Received::Pong(_) | Received::CloseRequested | Received::TimedOut) => {}
                Some(Received::MessageBegin(_) | Received::MessagePart(_) | Received::MessageEnd) => {}
            }
        }
    }

    fn put(&self, py: Python<'_>, outbound: Outbound<'_>, wait: bool) -> PyResult<bool> {
        let websocket = self.open()?;
        // Those who came earlier go first, so that what waits in memory is bounded however many send.
        if wait && websocket.ask(is_full) {
            self.flush(py, true)?;
        }
        let all_left = py.detach(|| websocket.try_send(outbound)).map_err(|error| unsent(&websocket, error))?;
        if all_left || !wait { Ok(all_left) } else { self.flush(py, true) }
    }
}

#[pymethods]
impl WebSocket {
    /// The next message, `str` or `bytes`, waiting for it at most `timeout` seconds.
    #[pyo3(signature = (timeout = None))]
    fn receive<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        let websocket = self.open()?;
        let deadline = Deadline::after(timeout);
        loop {
            if let Some(message) = self.next(py, &websocket)? {
                return Ok(message);
            }
            let left = deadline.left().ok_or_else(|| errors::timed_out("no message has come in time"))?;
            py.detach(|| websocket.wait(Some(left)));
            // Before the next message is taken, so that none is lost.
            py.check_signals()?;
        }
    }

    /// The next message if it is there, else `None`.
    fn try_receive<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.next(py, &self.open()?)
    }

    /// Sends a message. Without `wait`: whether all that waits has left; `flush` for the rest.
    #[pyo3(signature = (message, wait = true))]
    fn send(&self, py: Python<'_>, message: &Bound<'_, PyAny>, wait: bool) -> PyResult<bool> {
        let payload = Payload::of_message(message)?;
        self.put(py, Outbound::Message(kind(message), payload.as_bytes()), wait)
    }

    /// Sends a piece of a message; `end` with the last.
    #[pyo3(signature = (piece, end, wait = true))]
    fn send_fragment(&self, py: Python<'_>, piece: &Bound<'_, PyAny>, end: bool, wait: bool) -> PyResult<bool> {
        let payload = Payload::of_message(piece)?;
        self.put(py, Outbound::Fragment(kind(piece), payload.as_bytes(), end), wait)
    }

    /// Sends a ping.
    #[pyo3(signature = (payload, wait = true))]
    fn ping(&self, py: Python<'_>, payload: &Bound<'_, PyAny>, wait: bool) -> PyResult<bool> {
        self.put(py, Outbound::Ping(Payload::of_message(payload)?.as_bytes()), wait)
    }

    /// Sends a pong.
    #[pyo3(signature = (payload, wait = true))]
    fn pong(&self, py: Python<'_>, payload: &Bound<'_, PyAny>, wait: bool) -> PyResult<bool> {
        self.put(py, Outbound::Pong(Payload::of_message(payload)?.as_bytes()), wait)
    }

    /// Sends bytes as they are.
    #[pyo3(signature = (data, wait = true))]
    fn send_raw(&self, py: Python<'_>, data: &Bound<'_, PyAny>, wait: bool) -> PyResult<bool> {
        self.put(py, Outbound::Raw(Payload::of_bytes(data)?.as_bytes()), wait)
    }

    /// Whether so much waits that a sender should `flush` first.
    fn is_full(&self) -> PyResult<bool> {
        self.ask(is_full)
    }

    /// Sends what waits, and tells whether all of it has left.
    #[pyo3(signature = (wait = true))]
    fn flush(&self, py: Python<'_>, wait: bool) -> PyResult<bool> {
        let websocket = self.open()?;
        let patience = if wait { LONG } else { Duration::ZERO };
        loop {
            let all_left = py.detach(|| websocket.flush(Some(patience))).map_err(|error| unsent(&websocket, error))?;
            if all_left || !wait {
                return Ok(all_left);
            }
            py.check_signals()?;
        }
    }

    /// Begins to close. With `wait` until the stream has ended; whether it has.
    #[pyo3(signature = (code, reason, wait = true))]
    fn close(&self, py: Python<'_>, code: Option<u16>, reason: &str, wait: bool) -> PyResult<bool> {
        let websocket = self.open()?;
        py.detach(|| websocket.start_close(code.map(CloseCode::new), reason)).map_err(errors::client)?;
        while !self.end(py)? {
            if !wait {
                return Ok(false);
            }
            py.detach(|| websocket.wait(Some(LONG)));
            py.check_signals()?;
        }
        Ok(true)
    }

    /// Drops what has come after `close`, and tells whether the stream has ended.
    fn end(&self, py: Python<'_>) -> PyResult<bool> {
        let websocket = self.open()?;
        Ok(py.detach(|| {
            // How it ends is told by its code; that TLS ends badly too is no news then.
            while !matches!(websocket.try_recv(), Ok(None | Some(Received::Closed)) | Err(_)) {}
            websocket.is_over()
        }))
    }

    /// Ends the connection at once.
    fn abort(&self) -> PyResult<()> {
        self.open()?.abort();
        Ok(())
    }

    /// The descriptor to wait on.
    fn fileno(&self) -> PyResult<RawFd> {
        Ok(self.open()?.as_fd().as_raw_fd())
    }

    /// What a receiver waits for: `(reading, writing, seconds at the most)`.
    fn awaits(&self) -> PyResult<(bool, bool, Option<f64>)> {
        let websocket = self.open()?;
        let (interest, left) = websocket.awaits();
        Ok((interest.reading, interest.writing, left.map(|left| left.as_secs_f64())))
    }

    /// The stream below, for those who read and write frames themselves; this object is of no use afterwards.
    fn detach(&self, py: Python<'_>) -> PyResult<RawStream> {
        self.flush(py, true)?;
        let mut place = self.websocket.lock().unwrap_or_else(PoisonError::into_inner);
        let websocket = place.take().ok_or_else(errors::detached)?;
        if !websocket.ask(Engine::is_idle) {
            *place = Some(websocket);
            return Err(errors::not_idle());
        }
        match websocket.into_parts() {
            Ok((transport, _, unread)) => {
                let stream = blocking::RawStream::new(transport, unread).map_err(errors::client)?;
                Ok(RawStream::new(stream, self.max_message_bytes))
            }
            Err(websocket) => {
                *place = Some(websocket);
                Err(errors::not_idle())
            }
        }
    }

    /// Whether it was.
    fn is_detached(&self) -> bool {
        self.websocket.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    #[getter]
    fn url(&self) -> PyResult<String> {
        self.ask(|engine| engine.url().to_owned())
    }

    #[getter]
    fn subprotocol(&self) -> PyResult<Option<String>> {
        self.ask(|engine| engine.subprotocol().map(str::to_owned))
    }

    #[getter]
    fn extensions(&self) -> PyResult<String> {
        self.ask(Engine::extensions)
    }

    #[getter]
    fn response<'py>(&self, py: Python<'py>) -> PyResult<Answer<'py>> {
        // A client that is open was answered.
        let response = self.ask(|engine| engine.response().cloned())?.ok_or_else(errors::detached)?;
        Ok(answer(py, response))
    }

    #[getter]
    fn ready_state(&self) -> PyResult<u8> {
        self.ask(|engine| match engine.phase() {
            Phase::Opening => 0,
            Phase::Open => 1,
            Phase::CloseSent | Phase::CloseReceived | Phase::Failing => 2,
            Phase::Closed => 3,
        })
    }

    #[getter]
    fn buffered_amount(&self) -> PyResult<u64> {
        self.ask(Engine::buffered_amount)
    }

    /// `(code, reason, clean, whether this end began)` once the end is certain.
    #[getter]
    fn close_info(&self) -> PyResult<Option<(u16, String, bool, bool)>> {
        let told =
            |info: &CloseInfo| (info.code.as_u16(), info.reason.clone(), info.clean, info.begun_by == Side::Local);
        self.ask(|engine| engine.close_info().map(told))
    }

    #[getter]
    fn peer(&self) -> PyResult<String> {
        Ok(self.open()?.peer().to_string())
    }

    #[getter]
    fn peer_certificate<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let certificate = |transport: &Transport| transport.peer_certificate().map(<[u8]>::to_vec);
        Ok(self.open()?.ask_transport(certificate).map(|der| PyBytes::new(py, &der)))
    }
}

fn is_full(engine: &Engine) -> bool {
    engine.outbox().len() > engine.config().high_water_bytes
}

fn kind(message: &Bound<'_, PyAny>) -> MessageKind {
    if message.is_instance_of::<PyString>() { MessageKind::Text } else { MessageKind::Binary }
}

/// What did not leave because the connection is closing, or broken, is told as that.
fn unsent(websocket: &blocking::WebSocket, error: Error) -> PyErr {
    match error {
        Error::Misuse(Misuse::Closed | Misuse::NotOpen) => errors::closed(websocket.close_info()),
        Error::Io { .. } | Error::Gone => errors::broken(&error),
        error => errors::client(error),
    }
}
