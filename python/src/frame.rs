//! Frames of every kind, good and bad: written and read for those who test what others make of them.

use linkspan::protocol::Fault;
use linkspan::protocol::frame::{Header, MAX_HEADER_BYTES, OpCode};
use linkspan::protocol::mask;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffers::Payload;
use crate::errors;

/// A frame as it was read: `(opcode, payload, fin, rsv, mask)`.
pub(crate) type Frame<'py> = (u8, Bound<'py, PyBytes>, bool, u8, Option<[u8; 4]>);

/// What a header says that may have a reserved opcode.
pub(crate) struct Seen {
    pub(crate) opcode: u8,
    /// Its `opcode` means nothing.
    pub(crate) header: Header,
    /// Bytes of the header itself.
    pub(crate) size: usize,
}

/// Bytes of one frame, for `linkspan.frame`: it has checked the ranges.
#[pyfunction]
#[pyo3(signature = (opcode, payload, fin, rsv, mask, length))]
pub(crate) fn frame_bytes<'py>(
    py: Python<'py>,
    opcode: u8,
    payload: &Bound<'py, PyAny>,
    fin: bool,
    rsv: u8,
    mask: Option<[u8; 4]>,
    length: Option<u64>,
) -> PyResult<Bound<'py, PyBytes>> {
    let payload = Payload::of_message(payload)?;
    let payload = payload.as_bytes();
    let length = length.unwrap_or(payload.len() as u64);
    let header = Header { fin, reserved: rsv & 7, opcode: OpCode::Continuation, mask, length };
    let mut head = [0; MAX_HEADER_BYTES];
    let size = header.write(&mut head);
    // Reserved opcodes too: a continuation's bits are all zero.
    head[0] |= opcode & 0x0f;
    PyBytes::new_with(py, size + payload.len(), |bytes| {
        bytes[..size].copy_from_slice(&head[..size]);
        bytes[size..].copy_from_slice(payload);
        if let Some(key) = mask {
            mask::apply(key, &mut bytes[size..]);
        }
        Ok(())
    })
}

/// The header in front of `bytes`; `None` when it has not come whole. Fails for a length that no frame may have.
pub(crate) fn look(bytes: &[u8]) -> Result<Option<Seen>, Fault> {
    let mut head = [0; MAX_HEADER_BYTES];
    let held = bytes.len().min(MAX_HEADER_BYTES);
    head[..held].copy_from_slice(&bytes[..held]);
    let opcode = head[0] & 0x0f;
    // An opcode that is reserved is to be seen too.
    head[0] &= 0xf0;
    Ok(Header::parse(&head[..held])?.map(|(header, size)| Seen { opcode, header, size }))
}

/// Takes the next frame from the front of `inbox`; `None` when it has not come whole. Frames of more than
/// `max_bytes` are refused before they are kept.
pub(crate) fn take<'py>(py: Python<'py>, inbox: &mut Vec<u8>, max_bytes: u64) -> PyResult<Option<Frame<'py>>> {
    let Some(Seen { opcode, header, size }) = look(inbox).map_err(errors::unreadable)? else { return Ok(None) };
    let length = usize::try_from(header.length).ok().filter(|_| header.length <= max_bytes);
    let length =
        length.ok_or_else(|| errors::unreadable(Fault::FrameTooBig { bytes: header.length, limit: max_bytes }))?;
    if inbox.len() - size < length {
        return Ok(None);
    }
    let payload = PyBytes::new_with(py, length, |payload| {
        payload.copy_from_slice(&inbox[size..size + length]);
        if let Some(key) = header.mask {
            mask::apply(key, payload);
        }
        Ok(())
    })?;
    inbox.drain(..size + length);
    Ok(Some((opcode, payload, header.fin, header.reserved, header.mask)))
}
