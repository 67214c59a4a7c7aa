//! The header of a frame and its payload, as they arrive.

use std::io::{self, ErrorKind};
use std::sync::atomic::Ordering;
use std::time::Instant;

use linkspan::protocol::frame::Header;
use linkspan::protocol::mask;
use pyo3::prelude::*;

use super::Channel;
use crate::errors;
use crate::gil;
use crate::inbox::Inbox;
use crate::utf8::Utf8;

/// A large payload is read in pieces of this size, each unmasked while it is in the cache.
const PIECE_BYTES: usize = 128 << 10;

impl Channel {
    /// Takes the next frame's header, and gives it with its key and length. `None`, and it is left unread, when the
    /// frame is not masked, longer than `max_bytes`, its header wrong, its first byte not wanted, or when the stream
    /// ends before it.
    #[inline(always)] // A call would be one more on the stack of every thread that waits.
    pub(super) fn next_header(
        &self,
        py: Python<'_>,
        inbox: &mut Inbox,
        is_wanted: impl Fn(u8) -> bool,
        max_bytes: u64,
        until: Option<Instant>,
    ) -> PyResult<Option<(Header, [u8; 4], usize)>> {
        let (header, size) = loop {
            // A frame that is not wanted is not waited for.
            if inbox.bytes().first().is_some_and(|first| !is_wanted(*first)) {
                return Ok(None);
            }
            match Header::parse(inbox.bytes()) {
                Ok(Some(parsed)) => break parsed,
                Ok(None) => {}
                Err(_) => return Ok(None),
            }
            if !self.fill(py, inbox, until)? {
                return Ok(None);
            }
        };
        let (Some(key), Ok(length)) = (header.mask, usize::try_from(header.length)) else { return Ok(None) };
        if header.length > max_bytes {
            return Ok(None);
        }
        inbox.consume(size);
        Ok(Some((header, key, length)))
    }

    /// Takes a frame's payload, unmasked: from the inbox when all of it is there, else as it arrives. With
    /// `utf8` it is a piece of a text, checked as it arrives (RFC 6455 8.1).
    pub(super) fn payload(
        &self,
        py: Python<'_>,
        inbox: &mut Inbox,
        (key, length): ([u8; 4], usize),
        utf8: Option<&Utf8>,
        until: Option<Instant>,
    ) -> PyResult<Vec<u8>> {
        let taken = if inbox.bytes().len() < length {
            gil::leave_long(py, || self.await_payload(inbox, (key, length), utf8, until)).map_err(errors::io)?
        } else {
            let mut payload = inbox.bytes()[..length].to_vec();
            inbox.consume(length);
            mask::apply(key, &mut payload);
            utf8.is_none_or(|utf8| utf8.push(&payload)).then_some(payload)
        };
        taken.ok_or_else(errors::not_utf8)
    }

    /// A payload that is not all there yet; `None` when a text turned out not to be UTF-8.
    fn await_payload(
        &self,
        inbox: &mut Inbox,
        (key, length): ([u8; 4], usize),
        utf8: Option<&Utf8>,
        until: Option<Instant>,
    ) -> io::Result<Option<Vec<u8>>> {
        let held = inbox.bytes().len().min(length);
        let mut payload = Vec::with_capacity(length.min(PIECE_BYTES));
        payload.extend_from_slice(&inbox.bytes()[..held]);
        inbox.consume(held);
        let mut done = 0;
        loop {
            let piece = &mut payload[done..];
            mask::apply(mask::rotate(key, done), piece);
            if utf8.is_some_and(|utf8| !utf8.push(piece)) {
                self.is_cut.store(payload.len() < length, Ordering::Relaxed);
                return Ok(None);
            }
            done = payload.len();
            if done == length {
                return Ok(Some(payload));
            }
            // Memory follows the bytes that have come, never the length that was announced.
            payload.resize(length.min(done + PIECE_BYTES.max(done)), 0);
            let read = self.wire.read(&mut payload[done..], until)?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            payload.truncate(done + read);
        }
    }
}
