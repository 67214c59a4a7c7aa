//! Python's buffers and descriptors: the only file that takes either on trust.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use linkspan::protocol::mask as xor;

use crate::errors;

/// Bytes of a Python object that no other thread can change: borrowed where that is so, else copied.
pub(crate) enum Payload<'a> {
    Borrowed(&'a [u8]),
    Copied(Vec<u8>),
}

impl<'a> Payload<'a> {
    /// Of any bytes-like object; `TypeError` for everything else, `str` too.
    pub(crate) fn of_bytes(object: &'a Bound<'_, PyAny>) -> PyResult<Payload<'a>> {
        match object.cast::<PyBytes>() {
            Ok(bytes) => Ok(Payload::Borrowed(bytes.as_bytes())),
            Err(_) => Ok(Payload::Copied(PyBuffer::<u8>::get(object)?.to_vec(object.py())?)),
        }
    }

    /// Of a `str` in UTF-8, or of a bytes-like object.
    pub(crate) fn of_message(object: &'a Bound<'_, PyAny>) -> PyResult<Payload<'a>> {
        match object.cast::<PyString>() {
            Ok(text) => Ok(Payload::Borrowed(text.to_str()?.as_bytes())),
            Err(_) => Payload::of_bytes(object),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Payload::Borrowed(bytes) => bytes,
            Payload::Copied(bytes) => bytes,
        }
    }
}

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
    let key = Payload::of_bytes(key)?;
    let key = key.as_bytes();
    if key.is_empty() {
        return Err(errors::empty_key());
    }
    let data = Payload::of_bytes(data)?;
    let data = data.as_bytes();
    PyBytes::new_with(py, data.len(), |masked| {
        masked.copy_from_slice(data);
        match <[u8; 4]>::try_from(key) {
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

/// A descriptor of our own for what `fd` names.
pub(crate) fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(nix::libc::EBADF));
    }
    // SAFETY: the caller's Python object owns the descriptor and is alive during this call; a number that
    // names nothing makes the system refuse to duplicate it.
    unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned()
}
