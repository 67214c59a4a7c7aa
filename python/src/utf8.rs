//! [`Utf8`]: the check of a text that comes in pieces.

use std::sync::{Mutex, PoisonError};

use linkspan::protocol::utf8;
use pyo3::prelude::*;

use crate::buffers::Payload;

/// Checks a text piece by piece.
#[pyclass(frozen, module = "linkspan._linkspan")]
pub(crate) struct Utf8 {
    // What is checked so far; `None` once a byte was bad.
    text: Mutex<Option<utf8::Utf8>>,
}

#[pymethods]
impl Utf8 {
    #[new]
    fn new() -> Utf8 {
        Utf8 { text: Mutex::new(Some(utf8::Utf8::new())) }
    }

    /// Takes the next piece, and whether it is the last. `False` when the text is not UTF-8, from the first
    /// bad byte on.
    #[pyo3(signature = (data, end = false))]
    fn feed(&self, data: &Bound<'_, PyAny>, end: bool) -> PyResult<bool> {
        let data = Payload::of_bytes(data)?;
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        let good = match text.as_mut() {
            Some(text) => text.push(data.as_bytes()).is_ok() && (!end || text.finish().is_ok()),
            None => false,
        };
        if !good {
            *text = None;
        }
        Ok(good)
    }
}
