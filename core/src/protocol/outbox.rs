//! Bytes waiting to leave: a gather buffer for small frames, and chunks that are never copied.

use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;
use std::sync::Arc;

/// Bytes that leave as they are.
pub enum Chunk {
    /// Copied or built here.
    Owned(Vec<u8>),
    /// One buffer for many connections.
    Shared(Arc<[u8]>),
    /// Somebody else's; dropped exactly once, when sent or given up, on whatever thread that happens.
    Foreign(Box<dyn AsRef<[u8]> + Send>),
}

impl Chunk {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Chunk::Owned(bytes) => bytes,
            Chunk::Shared(bytes) => bytes,
            Chunk::Foreign(bytes) => (**bytes).as_ref(),
        }
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({} bytes)", self.bytes().len())
    }
}

/// Bytes waiting to leave, in order: `chunks` first, then `gather`.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Small frames are written here; what is added later stands behind all chunks.
    gather: Vec<u8>,
    /// Closed pieces before `gather`; absent while there are none.
    #[expect(clippy::box_collection, reason = "an idle connection has none, and pays one word for it")]
    chunks: Option<Box<VecDeque<Chunk>>>,
    /// Bytes of the first piece that have left already.
    sent: usize,
    /// All bytes that wait.
    bytes: usize,
}

/// Slices that one `writev` is given.
pub const MAX_SLICES: usize = 16;

/// From this size on shared bytes stay shared.
const MIN_SHARED: usize = 1 << 10;

impl Outbox {
    /// Nothing waits.
    pub const fn new() -> Outbox {
        Outbox { gather: Vec::new(), chunks: None, sent: 0, bytes: 0 }
    }

    /// How many bytes wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Appends by writing into the gather buffer; whatever `write` adds to it is queued.
    #[inline]
    pub fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.gather.len();
        write(&mut self.gather);
        self.bytes += self.gather.len() - before;
    }

    /// Queues a chunk behind everything else, without copying it.
    pub fn push(&mut self, chunk: Chunk) {
        let length = chunk.bytes().len();
        if length == 0 {
            return;
        }
        let chunks = self.chunks.get_or_insert_default();
        if !self.gather.is_empty() {
            chunks.push_back(Chunk::Owned(std::mem::take(&mut self.gather)));
        }
        chunks.push_back(chunk);
        self.bytes += length;
    }

    /// Queues bytes that many outboxes share; few are copied, which costs less than a piece of their own.
    pub fn share(&mut self, bytes: &Arc<[u8]>) {
        if bytes.len() < MIN_SHARED {
            self.append(|gather| gather.extend_from_slice(bytes));
        } else {
            self.push(Chunk::Shared(bytes.clone()));
        }
    }

    /// Puts `earlier` before everything that waits here.
    pub fn precede(&mut self, mut earlier: Outbox) {
        let later = std::mem::take(self);
        let mut skip = later.sent;
        for chunk in later.chunks.into_iter().flat_map(|chunks| *chunks).chain([Chunk::Owned(later.gather)]) {
            match std::mem::take(&mut skip) {
                0 => earlier.push(chunk),
                sent => earlier.push(Chunk::Owned(chunk.bytes()[sent..].to_vec())),
            }
        }
        *self = earlier;
    }

    /// The bytes in order, as far as they fit in `slices`; returns how many slices were filled.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let mut skip = self.sent;
        let mut filled = 0;
        let pieces = self.chunks.iter().flat_map(|chunks| chunks.iter().map(Chunk::bytes));
        for piece in pieces.chain([self.gather.as_slice()]) {
            let piece = &piece[std::mem::take(&mut skip)..];
            if piece.is_empty() {
                continue;
            }
            if filled == MAX_SLICES {
                break;
            }
            slices[filled] = IoSlice::new(piece);
            filled += 1;
        }
        filled
    }

    /// The first piece alone: all that waits, unless chunks were queued.
    #[inline]
    pub fn front(&self) -> &[u8] {
        let piece = match self.chunks.as_deref().and_then(VecDeque::front) {
            Some(chunk) => chunk.bytes(),
            None => &self.gather,
        };
        &piece[self.sent..]
    }

    /// Whether [`Outbox::front`] is not all.
    #[inline]
    pub fn has_chunks(&self) -> bool {
        self.chunks.is_some()
    }

    /// The first `n` bytes have left.
    ///
    /// # Panics
    /// When `n` is more than what waits.
    #[inline]
    pub fn sent(&mut self, n: usize) {
        if n == self.bytes && self.chunks.is_none() {
            self.gather.clear();
            (self.sent, self.bytes) = (0, 0);
            return;
        }
        self.sent_some(n);
    }

    #[inline(never)]
    fn sent_some(&mut self, n: usize) {
        assert!(n <= self.bytes, "more bytes were said to be sent than waited");
        self.bytes -= n;
        self.sent += n;
        if let Some(chunks) = &mut self.chunks {
            while let Some(front) = chunks.front() {
                let length = front.bytes().len();
                if self.sent < length {
                    return;
                }
                self.sent -= length;
                chunks.pop_front();
            }
            self.chunks = None;
        }
        if self.sent == self.gather.len() {
            self.gather.clear();
            self.sent = 0;
        }
    }

    /// Throws away everything that waits.
    pub fn clear(&mut self) {
        *self = Outbox::new();
    }

    /// Lends a buffer to gather in, so that a turn of small sends allocates nothing. Ignored when
    /// something waits in a buffer already.
    #[inline]
    pub fn lend(&mut self, buffer: &mut Vec<u8>) {
        if self.gather.capacity() == 0 {
            std::mem::swap(&mut self.gather, buffer);
        }
    }

    /// Gives the lent buffer back; what still waits moves into one of its own size.
    #[inline]
    pub fn reclaim(&mut self, buffer: &mut Vec<u8>) {
        if buffer.capacity() == 0 {
            std::mem::swap(&mut self.gather, buffer);
            if !buffer.is_empty() {
                self.keep_rest(buffer);
            }
        }
    }

    #[cold]
    fn keep_rest(&mut self, buffer: &mut Vec<u8>) {
        self.gather = buffer.as_slice().to_vec();
        buffer.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(outbox: &Outbox) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let filled = outbox.slices(&mut slices);
        slices[..filled].iter().flat_map(|slice| slice.iter().copied()).collect()
    }

    #[test]
    fn bytes_leave_in_the_order_they_came_however_they_are_taken() {
        let expected = b"onetwothreefourfive";
        for step in 1..=expected.len() {
            let mut outbox = Outbox::new();
            outbox.append(|gather| gather.extend_from_slice(b"one"));
            outbox.push(Chunk::Shared(Arc::from(&b"two"[..])));
            outbox.push(Chunk::Foreign(Box::new("three")));
            outbox.append(|gather| gather.extend_from_slice(b"four"));
            outbox.append(|gather| gather.extend_from_slice(b"five"));
            let mut seen = Vec::new();
            while !outbox.is_empty() {
                let bytes = all(&outbox);
                assert_eq!(bytes.len(), outbox.len());
                assert!(bytes.starts_with(outbox.front()));
                let n = step.min(bytes.len());
                seen.extend_from_slice(&bytes[..n]);
                outbox.sent(n);
            }
            assert_eq!(seen, expected);
            assert!(!outbox.has_chunks());
        }
    }

    #[test]
    fn what_is_shared_is_copied_only_where_it_is_short() {
        let (short, long): (Arc<[u8]>, Arc<[u8]>) = (Arc::from(&[1; 100][..]), Arc::from(&[2; 1024][..]));
        let mut outbox = Outbox::new();
        outbox.share(&short);
        outbox.share(&long);
        outbox.share(&short);
        assert_eq!((Arc::strong_count(&short), Arc::strong_count(&long)), (1, 2));
        assert_eq!(all(&outbox), [&short[..], &long, &short].concat());
    }

    #[test]
    fn a_foreign_chunk_is_dropped_once_sent_or_given_up() {
        struct Counted(#[expect(dead_code, reason = "its count is what matters")] Arc<()>);
        impl AsRef<[u8]> for Counted {
            fn as_ref(&self) -> &[u8] {
                b"foreign"
            }
        }
        let count = Arc::new(());
        let mut outbox = Outbox::new();
        outbox.push(Chunk::Foreign(Box::new(Counted(count.clone()))));
        outbox.sent(6);
        assert_eq!(Arc::strong_count(&count), 2);
        outbox.sent(1);
        assert_eq!(Arc::strong_count(&count), 1);
        outbox.push(Chunk::Foreign(Box::new(Counted(count.clone()))));
        outbox.clear();
        assert_eq!(Arc::strong_count(&count), 1);
    }

    #[test]
    fn a_lent_buffer_comes_back_and_nothing_is_lost() {
        let mut spare = Vec::with_capacity(1000);
        let mut outbox = Outbox::new();
        outbox.lend(&mut spare);
        outbox.append(|gather| gather.extend_from_slice(b"waits"));
        outbox.reclaim(&mut spare);
        assert!(spare.capacity() >= 1000 && spare.is_empty());
        assert_eq!(outbox.front(), b"waits");
    }
}
