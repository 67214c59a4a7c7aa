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

impl Utf8 {
    /// Takes the next piece; whether all is good so far.
    pub(crate) fn push(&self, piece: &[u8]) -> bool {
        self.check(|text| text.push(piece).is_ok())
    }

    /// What is checked so far, to go on elsewhere.
    pub(crate) fn so_far(&self) -> utf8::Utf8 {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }

    fn check(&self, mut look: impl FnMut(&mut utf8::Utf8) -> bool) -> bool {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good = text.as_mut().is_some_and(&mut look);
        if !is_good {
            *text = None;
        }
        is_good
    }
}

#[pymethods]
impl Utf8 {
    #[new]
    pub(crate) fn new() -> Utf8 {
        Utf8 { text: Mutex::new(Some(utf8::Utf8::new())) }
    }

    /// Begins another text.
    pub(crate) fn restart(&self) {
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = Some(utf8::Utf8::new());
    }

    /// Takes the next piece, and whether it is the last. `False` when the text is not UTF-8, from the first
    /// bad byte on.
    #[pyo3(signature = (data, end = false))]
    fn feed(&self, data: &Bound<'_, PyAny>, end: bool) -> PyResult<bool> {
        let data = Payload::of_bytes(data)?;
        Ok(self.push(data.as_bytes()) && (!end || self.check(|text| text.finish().is_ok())))
    }
}
