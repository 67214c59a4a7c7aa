//! [`Inbox`]: bytes that were read and not used yet. Holds no memory while it is empty.

use std::io;
use std::mem;
use std::sync::{Mutex, MutexGuard};

use crate::wire::Wire;

/// A buffer for what one read may bring.
const BUFFER_BYTES: usize = 64 << 10;
/// Spare buffers that are kept for the next reader.
const MAX_SPARE: usize = 16;

static SPARE: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());

/// Bytes in the order in which they came.
#[derive(Default)]
pub(crate) struct Inbox {
    // Empty, or as long as what came with the connection, or `BUFFER_BYTES`.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Inbox {
    /// What came before anybody took the connection.
    pub(crate) fn new(bytes: Vec<u8>) -> Inbox {
        Inbox { start: 0, end: bytes.len(), buffer: bytes.into_boxed_slice() }
    }

    /// All of it.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.end]
    }

    /// The first `n` bytes are used.
    pub(crate) fn consume(&mut self, n: usize) {
        self.start += n;
        if self.start == self.end {
            self.clear();
        }
    }

    /// Reads more, if it can be had without waiting: 0 is the end, `None` nothing yet.
    pub(crate) fn try_fill(&mut self, wire: &Wire) -> io::Result<Option<usize>> {
        self.make_room();
        let read = wire.try_read(&mut self.buffer[self.end..]);
        if let Ok(Some(read)) = read {
            self.end += read;
        }
        if self.start == self.end {
            self.clear();
        }
        read
    }

    fn make_room(&mut self) {
        if self.end < self.buffer.len() {
            return;
        }
        let held = self.end - self.start;
        if self.buffer.len() >= BUFFER_BYTES && held <= self.buffer.len() / 2 {
            self.buffer.copy_within(self.start..self.end, 0);
        } else {
            let mut larger = spare(BUFFER_BYTES.max(held * 2));
            larger[..held].copy_from_slice(&self.buffer[self.start..self.end]);
            give_back(mem::replace(&mut self.buffer, larger));
        }
        (self.start, self.end) = (0, held);
    }

    fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
        give_back(mem::take(&mut self.buffer));
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.clear();
    }
}

fn spare(length: usize) -> Box<[u8]> {
    let kept = if length == BUFFER_BYTES { spares().and_then(|mut spares| spares.pop()) } else { None };
    kept.unwrap_or_else(|| vec![0; length].into_boxed_slice())
}

fn give_back(buffer: Box<[u8]>) {
    if buffer.len() == BUFFER_BYTES
        && let Some(mut spares) = spares()
        && spares.len() < MAX_SPARE
    {
        spares.push(buffer);
    }
}

/// None while another thread looks: nobody waits for a spare buffer, a forked child least of all, in which that
/// thread is no more.
fn spares() -> Option<MutexGuard<'static, Vec<Box<[u8]>>>> {
    SPARE.try_lock().ok()
}
