//! What goes wrong, as Python exceptions: the only file that makes them.

use std::io::{self, ErrorKind};

use linkspan::Error;
use pyo3::PyErr;
use pyo3::exceptions::{PyAttributeError, PyEOFError, PyOSError, PyTimeoutError, PyValueError};

/// `ValueError`: a masking key of no bytes.
pub(crate) fn empty_key() -> PyErr {
    PyValueError::new_err("a masking key has at least one byte")
}

/// `AttributeError`, in Python's own words.
pub(crate) fn no_attribute(class: &str, name: &str) -> PyErr {
    PyAttributeError::new_err(format!("'{class}' object has no attribute '{name}'"))
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
