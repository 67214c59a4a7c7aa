//! The body of an HTTP answer, as far as it is wanted (RFC 9112 6 and 7).

use super::Response;

/// The body of a refusal: by length, in chunks, or to the end of the stream; never above a limit.
#[derive(Debug)]
pub struct Body {
    kept: Vec<u8>,
    limit: usize,
    next: Next,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// The body; this many bytes are left of it.
    Counted(u64),
    /// The body, which ends with the stream.
    ToEnd,
    /// A chunk's size; this much of it is read, in so many digits.
    ChunkSize { size: u64, digits: u8 },
    /// The rest of the line behind a chunk's size.
    ChunkExtension { size: u64 },
    /// A chunk; this many bytes are left of it.
    Chunk(u64),
    /// The line break behind a chunk.
    ChunkEnd,
    /// A trailer line, of which nothing was read but a carriage return.
    Trailer,
    /// The rest of a trailer line.
    TrailerRest,
    /// Nothing: complete, broken, or as much as is wanted.
    Done,
}

impl Body {
    /// The body that follows this head.
    pub fn new(response: &Response, limit: usize) -> Body {
        Body { kept: Vec::new(), limit, next: if limit == 0 { Next::Done } else { framing(response) } }
    }

    /// Eats what has come; true when the body is complete, or the limit reached.
    pub fn push(&mut self, mut bytes: &[u8]) -> bool {
        while let Some((&first, after)) = bytes.split_first() {
            bytes = match self.next {
                Next::Done => return true,
                Next::Counted(left) | Next::Chunk(left) => self.keep(bytes, left),
                Next::ToEnd => self.keep(bytes, u64::MAX),
                Next::ChunkSize { .. }
                | Next::ChunkExtension { .. }
                | Next::ChunkEnd
                | Next::Trailer
                | Next::TrailerRest => {
                    self.next = self.next.after_byte(first);
                    after
                }
            };
        }
        self.is_complete()
    }

    /// Whether nothing more is wanted. True from the start for an answer without a body.
    pub fn is_complete(&self) -> bool {
        matches!(self.next, Next::Done)
    }

    /// What was kept.
    pub fn finish(self) -> Vec<u8> {
        self.kept
    }

    /// Keeps up to `left` bytes of the body and returns what follows them.
    fn keep<'a>(&mut self, bytes: &'a [u8], left: u64) -> &'a [u8] {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let (body, rest) = bytes.split_at(here);
        // The announced length allocates nothing: what has come does, up to the limit.
        let wanted = here.min(self.limit - self.kept.len());
        self.kept.extend_from_slice(&body[..wanted]);
        let left = left - here as u64;
        self.next = match self.next {
            _ if self.kept.len() == self.limit => Next::Done,
            Next::Counted(_) if left == 0 => Next::Done,
            Next::Counted(_) => Next::Counted(left),
            Next::Chunk(_) if left == 0 => Next::ChunkEnd,
            Next::Chunk(_) => Next::Chunk(left),
            other => other,
        };
        rest
    }
}

/// RFC 9112 6.3: how the end of the body is known.
fn framing(response: &Response) -> Next {
    let headers = &response.headers;
    if matches!(response.status, 100..=199 | 204 | 304) {
        return Next::Done;
    }
    // Item 4: a transfer coding overrides a length; what does not end in chunks ends with the stream.
    if let Some(codings) = headers.get_all("transfer-encoding").last() {
        let is_chunked = codings.rsplit(',').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("chunked"));
        return if is_chunked { Next::ChunkSize { size: 0, digits: 0 } } else { Next::ToEnd };
    }
    let mut lengths = headers.get_all("content-length");
    let Some(length) = lengths.next() else { return Next::ToEnd };
    // Item 5: lengths that contradict each other, or are none, say nothing. The connection ends anyway.
    let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || lengths.any(|other| other != length) {
        return Next::ToEnd;
    }
    match length.parse() {
        Ok(0) => Next::Done,
        Ok(length) => Next::Counted(length),
        Err(_) => Next::ToEnd,
    }
}

impl Next {
    /// Where one byte between the chunks leads (RFC 9112 7.1). A breach ends the body.
    fn after_byte(self, byte: u8) -> Next {
        match (self, byte) {
            (Next::ChunkSize { size, digits }, _) if byte.is_ascii_hexdigit() => {
                // Fifteen digits never overflow, and no refusal is longer.
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                if digits == 15 {
                    Next::Done
                } else {
                    Next::ChunkSize { size: size << 4 | u64::from(digit), digits: digits + 1 }
                }
            }
            (Next::ChunkSize { digits: 0, .. }, _) => Next::Done,
            (Next::ChunkSize { size: 0, .. } | Next::ChunkExtension { size: 0 }, b'\n') => Next::Trailer,
            (Next::ChunkSize { size, .. } | Next::ChunkExtension { size }, b'\n') => Next::Chunk(size),
            (Next::ChunkSize { size, .. }, b'\r' | b';' | b' ' | b'\t') => Next::ChunkExtension { size },
            (Next::ChunkSize { .. }, _) => Next::Done,
            (Next::ChunkExtension { size }, _) => Next::ChunkExtension { size },
            (Next::ChunkEnd, b'\r') => Next::ChunkEnd,
            (Next::ChunkEnd, b'\n') => Next::ChunkSize { size: 0, digits: 0 },
            (Next::ChunkEnd, _) => Next::Done,
            (Next::Trailer, b'\r') => Next::Trailer,
            (Next::Trailer, b'\n') => Next::Done,
            (Next::TrailerRest, b'\n') => Next::Trailer,
            (Next::Trailer | Next::TrailerRest, _) => Next::TrailerRest,
            (Next::Counted(_) | Next::ToEnd | Next::Chunk(_) | Next::Done, _) => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(head: &str, bytes: &[u8], step: usize, limit: usize) -> (Vec<u8>, bool) {
        let response = Response::parse(format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), 10).unwrap();
        let mut body = Body::new(&response, limit);
        let mut is_complete = body.is_complete();
        for piece in bytes.chunks(step) {
            is_complete = body.push(piece);
        }
        (body.finish(), is_complete)
    }

    #[test]
    fn a_body_ends_where_its_head_says_however_it_is_cut() {
        let chunked = "400 X\r\nTransfer-Encoding: gzip, Chunked";
        for (head, bytes, expected, is_complete) in [
            ("400 X\r\nContent-Length: 5", "helloXX", "hello", true),
            ("400 X\r\nContent-Length: 5", "hell", "hell", false),
            ("400 X\r\nContent-Length: 5\r\nContent-Length: 5", "helloXX", "hello", true),
            ("400 X\r\nContent-Length: 5\r\nContent-Length: 6", "helloXX", "helloXX", false),
            ("400 X\r\nContent-Length: 0", "", "", true),
            ("400 X\r\nContent-Length: -1", "hello", "hello", false),
            ("400 X\r\nContent-Length: 99999999999999999999999", "hello", "hello", false),
            ("400 X", "hello", "hello", false),
            ("400 X\r\nTransfer-Encoding: gzip", "hello", "hello", false),
            ("204 X", "", "", true),
            ("304 X\r\nContent-Length: 5", "", "", true),
            (chunked, "5\r\nhello\r\n0\r\n\r\nXX", "hello", true),
            (chunked, "3;a=b\r\nhel\r\n02 \r\nlo\r\n000\r\nTrailer: x\r\n\r\n", "hello", true),
            (chunked, "5\nhello\n0\n\n", "hello", true),
            (chunked, "A\r\n0123456789\r\n", "0123456789", false),
            (chunked, "5\r\nhelloX\r\n", "hello", true),
            (chunked, "\r\n", "", true),
            (chunked, "5x\r\nhello", "", true),
            (chunked, "fffffffffffffff\r\nhello", "hello", false),
            (chunked, "ffffffffffffffff\r\nhello", "", true),
        ] {
            for step in 1..=bytes.len().max(1) {
                let result = body(head, bytes.as_bytes(), step, 100);
                assert_eq!(result, (expected.as_bytes().to_vec(), is_complete), "{head:?} {bytes:?} by {step}");
            }
        }
    }

    #[test]
    fn a_body_is_never_kept_above_its_limit() {
        for head in ["400 X", "400 X\r\nContent-Length: 1000000000000"] {
            let (kept, is_complete) = body(head, &[b'x'; 1000], 7, 100);
            assert_eq!((kept.len(), is_complete), (100, true));
            assert!(kept.capacity() <= 200);
        }
        let (kept, is_complete) = body("400 X\r\nTransfer-Encoding: chunked", &b"5\r\nhello\r\n".repeat(100), 7, 99);
        assert_eq!((kept.len(), is_complete), (99, true));
        assert_eq!(body("400 X", b"x", 1, 0), (Vec::new(), true));
    }
}
