//! What goes wrong, as Python exceptions: the only file that makes them.

use std::io::{self, ErrorKind};

use linkspan::Error;
use linkspan::protocol::handshake::Response;
use linkspan::protocol::{CloseInfo, Fault, Misuse};
use pyo3::exceptions::{PyEOFError, PyOSError, PyTimeoutError, PyValueError};
use pyo3::prelude::*;

/// The client's exceptions, as their Python file makes them.
mod client_classes {
    pyo3::import_exception!(linkspan._errors, Error);
    pyo3::import_exception!(linkspan._errors, ConnectError);
    pyo3::import_exception!(linkspan._errors, TlsError);
    pyo3::import_exception!(linkspan._errors, TimedOut);
    pyo3::import_exception!(linkspan._errors, HandshakeError);
    pyo3::import_exception!(linkspan._errors, ConnectionClosed);
}

pyo3::import_exception!(asyncio, CancelledError);

/// `ValueError`: a masking key of no bytes.
pub(crate) fn empty_key() -> PyErr {
    PyValueError::new_err("a masking key has at least one byte")
}

/// `ValueError`, a relative of `UnicodeDecodeError`, for a text that fails before it is whole.
pub(crate) fn not_utf8() -> PyErr {
    PyValueError::new_err("a text message is not UTF-8")
}

/// The system's refusal: `OSError` or the subclass for its number, `TimeoutError`; `EOFError` for a stream
/// that ends where it must not.
pub(crate) fn io(error: io::Error) -> PyErr {
    match (error.raw_os_error(), error.kind()) {
        // Given a number, OSError picks the subclass; the text that Rust appends to it is not Python's.
        (Some(number), _) => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default().to_owned();
            PyOSError::new_err((number, text))
        }
        (None, ErrorKind::TimedOut) => PyTimeoutError::new_err("timed out"),
        (None, ErrorKind::UnexpectedEof) => PyEOFError::new_err("the peer ended the connection inside of a frame"),
        (None, _) => PyOSError::new_err(error.to_string()),
    }
}

/// `asyncio.CancelledError`, with what the one who cancelled has said.
pub(crate) fn cancelled(message: Option<Py<PyAny>>) -> PyErr {
    match message {
        Some(message) => CancelledError::new_err((message,)),
        None => CancelledError::new_err(()),
    }
}

/// What a driver of the core says: `OSError`, with the number when the system said it.
pub(crate) fn linkspan(error: Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::Io { source, .. } => match source.raw_os_error() {
            Some(number) => PyOSError::new_err((number, text)),
            None => PyOSError::new_err(text),
        },
        _ => PyOSError::new_err(text),
    }
}

/// What the core says to a client: one of `linkspan`'s own exceptions, or `ValueError` for what cannot be.
pub(crate) fn client(error: Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::Misuse(Misuse::HeaderInvalid(name)) => PyValueError::new_err(format!(
            "the header {name:?} cannot be sent: it breaks the request, or the handshake sets it itself; \
             linkspan.connect_raw sends any"
        )),
        Error::Misuse(Misuse::ProtocolInvalid(name)) => {
            PyValueError::new_err(format!("{name:?} is no name of a subprotocol: letters, digits and !#$%&'*+-.^_`|~"))
        }
        Error::Misuse(_) => PyValueError::new_err(text),
        Error::Fault(Fault::HandshakeTimeout) => client_classes::TimedOut::new_err(text),
        Error::Fault(Fault::ProxyRefused { .. }) => client_classes::ConnectError::new_err((None::<i32>, text)),
        Error::Fault(_) => handshake(text, None),
        Error::Gone => handshake("the server ended the connection before it had answered".to_owned(), None),
        Error::Tls(_) if text.contains("is not trusted") => {
            client_classes::TlsError::new_err(format!("{text} (ca= names it)"))
        }
        Error::Tls(_) => client_classes::TlsError::new_err(text),
        Error::Resolve { why, .. } if why.starts_with("no answer within") => client_classes::TimedOut::new_err(text),
        Error::Resolve { .. } => client_classes::ConnectError::new_err((None::<i32>, text)),
        Error::Io { source, .. } if source.kind() == ErrorKind::TimedOut && source.raw_os_error().is_none() => {
            client_classes::TimedOut::new_err(text)
        }
        // A number and a sentence.
        Error::Io { source, .. } => client_classes::ConnectError::new_err((source.raw_os_error(), text)),
        _ => client_classes::Error::new_err(text),
    }
}

/// The same for an opening handshake that failed, perhaps with an answer.
pub(crate) fn refused(error: Error, response: Option<Response>) -> PyErr {
    match (&error, response) {
        (Error::Fault(Fault::Refused(_)), Some(response)) => handshake(refusal(&response), Some(response)),
        _ => client(error),
    }
}

/// `403 Forbidden` and how the body begins, or where a redirect leads to.
fn refusal(response: &Response) -> String {
    let answered = format!("the server answered {} {}", response.status, response.reason);
    let answered = answered.trim_end();
    let place = response.headers.get("Location").filter(|_| matches!(response.status, 300..=399));
    if let Some(place) = place {
        return format!("{answered}: it redirects to {place}; max_redirects=10 would follow");
    }
    let body = String::from_utf8_lossy(&response.body);
    let line = body.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    match line.char_indices().nth(200) {
        _ if line.is_empty() => answered.to_owned(),
        None => format!("{answered}: {line}"),
        Some((end, _)) => format!("{answered}: {}…", &line[..end]),
    }
}

fn handshake(text: String, response: Option<Response>) -> PyErr {
    let status = response.as_ref().map(|response| response.status);
    let headers: Vec<(String, String)> = response
        .iter()
        .flat_map(|response| response.headers.iter())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let body = response.map(|response| response.body).unwrap_or_default();
    client_classes::HandshakeError::new_err((text, status, headers, std::borrow::Cow::<[u8]>::Owned(body)))
}

/// `linkspan.ConnectionClosed`: how it ended; without that, that this end has begun to close.
pub(crate) fn closed(info: Option<CloseInfo>) -> PyErr {
    let Some(info) = info else {
        return ended("this end has begun to close the connection; nothing more can be sent".to_owned());
    };
    let code = info.code.as_u16();
    let reason = if info.reason.is_empty() { String::new() } else { format!(" ({})", info.reason) };
    let text = match (&info.fault, code) {
        (Some(fault), _) => fault.to_string(),
        (None, 1005) => "the connection was closed without a code".to_owned(),
        (None, 1006) => "the connection broke: it ended without a closing handshake".to_owned(),
        (None, _) => format!("the connection was closed with {code}{reason}"),
    };
    client_classes::ConnectionClosed::new_err((text, code, info.reason, info.clean))
}

/// The same for a stream that can be used no more: 1006.
pub(crate) fn broken(error: &Error) -> PyErr {
    match error {
        Error::Misuse(Misuse::Closed) => ended("this end of the connection was closed".to_owned()),
        error => ended(error.to_string()),
    }
}

/// The same for a stream that ends inside of something.
pub(crate) fn cut(what: &str, bytes: usize) -> PyErr {
    ended(format!("the peer ended the connection inside of a {what}, after {bytes} bytes of it"))
}

fn ended(text: String) -> PyErr {
    client_classes::ConnectionClosed::new_err((text, 1006, "", false))
}

/// `linkspan.TimedOut`.
pub(crate) fn timed_out(text: &'static str) -> PyErr {
    client_classes::TimedOut::new_err(text)
}

/// `linkspan.Error`: bytes that are no frame, or one that is too long.
pub(crate) fn unreadable(fault: Fault) -> PyErr {
    client_classes::Error::new_err(format!("{fault}; receive() gives the bytes"))
}

/// `linkspan.Error`: a head without an end.
pub(crate) fn long_head(max_bytes: usize) -> PyErr {
    client_classes::Error::new_err(format!("no head ends within {max_bytes} bytes; receive() gives the bytes"))
}

/// `linkspan.Error`: the connection belongs to the raw stream now.
pub(crate) fn detached() -> PyErr {
    client_classes::Error::new_err("this WebSocket was detached: go on with what detach() has returned")
}

/// `linkspan.Error`: too early or too late to detach.
pub(crate) fn not_idle() -> PyErr {
    client_classes::Error::new_err(
        "only an open connection can be detached, between two messages and while no other thread uses it",
    )
}
