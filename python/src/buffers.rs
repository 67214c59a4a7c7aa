//! Python's buffers: bytes in, bytes out.

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use linkspan::protocol::mask as xor;

use crate::errors;

/// `data` XORed with `key`, over and over, beginning at `position` in the key. New `bytes`; both may be any
/// bytes-like object. Raises `ValueError` for an empty key.
#[pyfunction]
#[pyo3(signature = (data, key, position = 0))]
pub(crate) fn mask<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    key: &Bound<'py, PyAny>,
    position: usize,
) -> PyResult<Bound<'py, PyBytes>> {
    let key = PyBuffer::<u8>::get(key)?.to_vec(py)?;
    if key.is_empty() {
        return Err(errors::empty_key());
    }
    let data = PyBuffer::<u8>::get(data)?;
    PyBytes::new_with(py, data.item_count(), |masked| {
        data.copy_to_slice(py, masked)?;
        match <[u8; 4]>::try_from(key.as_slice()) {
            Ok(key) => xor::apply(xor::rotate(key, position), masked),
            Err(_) => {
                let position = position % key.len();
                for (byte, key) in masked.iter_mut().zip(key.iter().cycle().skip(position)) {
                    *byte ^= key;
                }
            }
        }
        Ok(())
    })
}
