//! What goes wrong, as Python exceptions: the only file that makes them.

use pyo3::PyErr;
use pyo3::exceptions::PyValueError;

/// `ValueError`: a masking key of no bytes.
pub(crate) fn empty_key() -> PyErr {
    PyValueError::new_err("a masking key has at least one byte")
}
