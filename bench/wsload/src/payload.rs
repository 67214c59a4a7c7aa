//! The ring of ready-made client frames, and what their echoes must contain.

use flate2::{Compress, Compression, FlushCompress};

pub(crate) struct Rng(pub u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545F4914F6CDD1D)
    }
    pub(crate) fn fill(&mut self, b: &mut [u8]) {
        for c in b.chunks_mut(8) {
            let r = self.next().to_le_bytes();
            c.copy_from_slice(&r[..c.len()]);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Kind {
    /// random bytes, binary opcode
    Binary,
    /// ASCII letters and digits, text opcode
    Ascii,
    /// mixed one- to four-byte UTF-8, text opcode
    Utf8,
    /// records that look like a JSON feed (compresses well), text opcode
    Json,
}

fn make(kind: Kind, size: usize, rng: &mut Rng) -> Vec<u8> {
    match kind {
        Kind::Binary => {
            let mut v = vec![0; size];
            rng.fill(&mut v);
            v
        }
        Kind::Ascii => {
            const A: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .";
            let mut v = vec![0; size];
            rng.fill(&mut v);
            v.iter_mut().for_each(|b| *b = A[*b as usize & 63]);
            v
        }
        Kind::Utf8 => {
            let mut s = String::new();
            while s.len() < size {
                let r = rng.next();
                let c = match r & 7 {
                    0..=3 => (b'a' + (r >> 8) as u8 % 26) as char,
                    4 | 5 => {
                        char::from_u32(0x400 + (r >> 8) as u32 % 0xff).expect("below the surrogates, or above them")
                    }
                    6 => {
                        char::from_u32(0x4e00 + (r >> 8) as u32 % 0x4fff).expect("below the surrogates, or above them")
                    }
                    _ => char::from_u32(0x1f600 + (r >> 8) as u32 % 0x40).expect("below the surrogates, or above them"),
                };
                if s.len() + c.len_utf8() <= size {
                    s.push(c);
                } else {
                    s.push('x');
                }
            }
            s.truncate(size);
            s.into_bytes()
        }
        Kind::Json => {
            const W: [&str; 16] = [
                "alpha",
                "bravo",
                "pending",
                "filled",
                "cancelled",
                "market",
                "limit",
                "buy",
                "sell",
                "north",
                "south",
                "replica",
                "leader",
                "status",
                "update",
                "snapshot",
            ];
            let mut s = String::from("[");
            while s.len() < size {
                let (a, b, c) = (rng.next(), rng.next(), rng.next());
                s.push_str(&format!(
                    "{{\"id\":{},\"type\":\"{}\",\"state\":\"{}\",\"price\":{}.{:02},\"qty\":{},\"user\":{{\"name\":\"{}{}\",\"active\":{}}},\"ts\":17{:011}}},",
                    a % 1_000_000, W[(a >> 20) as usize & 15], W[(a >> 24) as usize & 15], b % 10_000, (b >> 16) % 100,
                    (b >> 24) % 500, W[(b >> 40) as usize & 15], c % 1000, c & 1024 == 0, c >> 27
                ));
            }
            s.truncate(size);
            s.into_bytes()
        }
    }
}

pub(crate) struct Ring {
    /// all frames, one after the other
    pub(crate) wire: Vec<u8>,
    /// length of each frame on the wire
    pub(crate) frame: Vec<usize>,
    /// expected echoes
    pub(crate) plain: Vec<Vec<u8>>,
}

pub(crate) fn header_len(size: usize) -> usize {
    if size < 126 {
        2
    } else if size < 65536 {
        4
    } else {
        10
    }
}

fn push_header(out: &mut Vec<u8>, b0: u8, len: usize, mask: Option<[u8; 4]>) {
    let m = if mask.is_some() { 0x80 } else { 0 };
    out.push(b0);
    if len < 126 {
        out.push(m | len as u8);
    } else if len < 65536 {
        out.push(m | 126);
        out.extend_from_slice(&(len as u16).to_be_bytes());
    } else {
        out.push(m | 127);
        out.extend_from_slice(&(len as u64).to_be_bytes());
    }
    if let Some(k) = mask {
        out.extend_from_slice(&k);
    }
}

pub(crate) fn masked_frame(out: &mut Vec<u8>, b0: u8, payload: &[u8], rng: &mut Rng) {
    let mask = ((rng.next() >> 13) as u32 | 1).to_le_bytes();
    push_header(out, b0, payload.len(), Some(mask));
    let at = out.len();
    out.extend_from_slice(payload);
    for (i, b) in out[at..].iter_mut().enumerate() {
        *b ^= mask[i & 3];
    }
}

/// One message compressed on its own, without the closing `00 00 ff ff`.
pub(crate) fn deflate(data: &[u8], level: u32) -> Vec<u8> {
    let mut c = Compress::new(Compression::new(level), false);
    let mut out = Vec::with_capacity(data.len() + 128);
    loop {
        let done = c.total_in() as usize;
        out.reserve(256);
        c.compress_vec(&data[done..], &mut out, FlushCompress::Sync).expect("deflate");
        if c.total_in() as usize == data.len() && out.len() < out.capacity() {
            break;
        }
    }
    assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
    out.truncate(out.len() - 4);
    out
}

impl Ring {
    pub(crate) fn build(kind: Kind, size: usize, compressed: bool, raw: bool, seed: u64) -> Ring {
        let mut rng = Rng(seed | 1);
        let count = ((2 << 20) / size.max(1)).clamp(4, 64);
        let op = if kind == Kind::Binary { 2 } else { 1 };
        let mut r = Ring { wire: Vec::new(), frame: Vec::new(), plain: Vec::new() };
        for _ in 0..count {
            let at = r.wire.len();
            if raw {
                // as many bytes as the client's frame of that payload would have
                let p = make(Kind::Binary, size + header_len(size) + 4, &mut rng);
                r.wire.extend_from_slice(&p);
                r.plain.push(p);
            } else {
                let p = make(kind, size, &mut rng);
                if compressed {
                    masked_frame(&mut r.wire, 0xC0 | op, &deflate(&p, 6), &mut rng);
                } else {
                    masked_frame(&mut r.wire, 0x80 | op, &p, &mut rng);
                }
                r.plain.push(p);
            }
            r.frame.push(r.wire.len() - at);
        }
        r
    }
}
