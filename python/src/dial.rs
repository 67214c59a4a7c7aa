//! [`Dial`]: a client on its way to a server.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use linkspan::Error;
use linkspan::blocking::{self, Interest, Reach};
use pyo3::prelude::*;

use crate::connect_options::Options;
use crate::deadline::LONG;
use crate::errors;
use crate::raw_stream::RawStream;
use crate::websocket::WebSocket;

/// A client on its way to an open WebSocket, or to a stream on which nothing was said yet.
#[pyclass(frozen, module = "linkspan._linkspan")]
pub(crate) struct Dial {
    way: Mutex<Way>,
    max_message_bytes: u64,
}

enum Way {
    ToWebSocket(Box<blocking::Dial>),
    ToStream(Box<Reach>),
}

enum Reached {
    WebSocket(blocking::WebSocket),
    Stream(blocking::RawStream),
}

impl Way {
    fn go_on(&mut self) -> Result<Option<Reached>, Error> {
        Ok(match self {
            Way::ToWebSocket(dial) => dial.go_on()?.map(Reached::WebSocket),
            Way::ToStream(reach) => reach.go_on()?.map(Reached::Stream),
        })
    }

    fn awaits(&self) -> (Vec<Interest<'_>>, Option<Duration>) {
        match self {
            Way::ToWebSocket(dial) => dial.awaits(),
            Way::ToStream(reach) => reach.awaits(),
        }
    }

    fn wait(&self) {
        match self {
            Way::ToWebSocket(dial) => dial.wait(Some(LONG)),
            Way::ToStream(reach) => reach.wait(Some(LONG)),
        }
    }
}

impl Dial {
    fn lock(&self) -> MutexGuard<'_, Way> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Dial {
    /// Nothing happens yet. Raises `ValueError` for what the options cannot be, `linkspan.TlsError` for
    /// certificates of no use.
    #[new]
    #[pyo3(signature = (url, options, raw = false))]
    fn new(url: &str, options: Options, raw: bool) -> PyResult<Dial> {
        let options = options.for_url(url).map_err(errors::client)?;
        let max_message_bytes = options.config.max_message_bytes;
        let way = match raw {
            true => Way::ToStream(Box::new(Reach::new(options).map_err(errors::client)?)),
            false => Way::ToWebSocket(Box::new(blocking::Dial::new(options).map_err(errors::client)?)),
        };
        Ok(Dial { way: Mutex::new(way), max_message_bytes })
    }

    /// Goes as far as it can without waiting: the [`WebSocket`] or [`RawStream`] when it is there, else `None`.
    fn go_on(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        // Certificates are checked on the way: that takes its time.
        let (reached, response) = py.detach(|| {
            let mut way = self.lock();
            let reached = way.go_on();
            let response = match (&reached, &*way) {
                (Err(_), Way::ToWebSocket(dial)) => dial.response(),
                _ => None,
            };
            (reached, response)
        });
        match reached.map_err(|error| errors::refused(error, response))? {
            None => Ok(None),
            Some(Reached::WebSocket(websocket)) => {
                Ok(Some(Py::new(py, WebSocket::new(websocket, self.max_message_bytes))?.into_any()))
            }
            Some(Reached::Stream(stream)) => {
                Ok(Some(Py::new(py, RawStream::new(stream, self.max_message_bytes))?.into_any()))
            }
        }
    }

    /// What to wait for before going on: `(fd, reading, writing)` of each, and how many seconds at the most.
    fn awaits(&self) -> (Vec<(RawFd, bool, bool)>, Option<f64>) {
        let way = self.lock();
        let (interests, left) = way.awaits();
        let interests = interests.iter().map(|interest| (interest.fd.as_raw_fd(), interest.reading, interest.writing));
        (interests.collect(), left.map(|left| left.as_secs_f64()))
    }

    /// Waits for that. Ctrl-C works.
    fn wait(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.lock().wait());
        py.check_signals()
    }
}
