//! Masking (RFC 6455 5.3): XOR with a four-byte key, and where a client's keys come from.
//!
//! Payloads go block by block. Longer ones run the same loop as the compiler vectorises it for the widest
//! registers that this CPU has.

use std::sync::OnceLock;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};

/// Below this many bytes the dispatch to wide registers costs more than it gains.
const WIDE: usize = 512;

/// Bytes that are masked at a time.
const BLOCK: usize = 32;

/// XORs `data` with `key`, whose first byte is for `data[0]`. The same call masks and unmasks.
#[inline]
pub fn apply(key: [u8; 4], data: &mut [u8]) {
    if data.len() < WIDE { narrow(key, data) } else { wide(key, data) }
}

/// The key for what follows after `eaten` bytes of the payload.
#[inline]
pub fn rotate(key: [u8; 4], eaten: usize) -> [u8; 4] {
    let shift = (eaten % 4) as u32 * 8;
    u32::from_le_bytes(key).rotate_right(shift).to_le_bytes()
}

#[inline(always)]
fn narrow(key: [u8; 4], data: &mut [u8]) {
    let Some(last) = data.last_chunk() else { return short(key, data) };
    // The last block may overlap the one before it: it is made from what is there now, and put there last.
    let last = block(rotate(key, data.len() - BLOCK), *last);
    for each in data.as_chunks_mut().0 {
        *each = block(key, *each);
    }
    if let Some(place) = data.last_chunk_mut() {
        *place = last;
    }
}

/// Four at once, which the compiler turns into the widest registers it may use.
#[inline(always)]
fn block(key: [u8; 4], mut data: [u8; BLOCK]) -> [u8; BLOCK] {
    let key = u64::from(u32::from_ne_bytes(key)) * 0x1_0000_0001;
    for eight in data.as_chunks_mut::<8>().0 {
        *eight = (u64::from_ne_bytes(*eight) ^ key).to_ne_bytes();
    }
    data
}

/// Less than a block.
fn short(key: [u8; 4], data: &mut [u8]) {
    let (fours, tail) = data.as_chunks_mut::<4>();
    for four in fours {
        *four = (u32::from_ne_bytes(*four) ^ u32::from_ne_bytes(key)).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[inline(never)]
fn wide(key: [u8; 4], data: &mut [u8]) {
    static CPU: OnceLock<pulp::Arch> = OnceLock::new();
    CPU.get_or_init(pulp::Arch::new).dispatch(
        #[inline(always)]
        || narrow(key, data),
    );
}

/// A client's masking keys and nonces: unpredictable, fresh for each frame (RFC 6455 10.3).
#[derive(Debug)]
pub struct Keys(ChaCha12Rng);

impl Keys {
    /// Keys from a seed that the driver drew from the system's random numbers.
    pub fn new(seed: [u8; 32]) -> Keys {
        Keys(ChaCha12Rng::from_seed(seed))
    }

    /// The next frame's key.
    #[inline]
    pub fn next_key(&mut self) -> [u8; 4] {
        self.0.next_u32().to_le_bytes()
    }

    /// The sixteen random bytes of `Sec-WebSocket-Key`.
    pub fn nonce(&mut self) -> [u8; 16] {
        let mut nonce = [0; 16];
        self.0.fill_bytes(&mut nonce);
        nonce
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_as_the_rfc_says_at_every_length_and_alignment() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let source: Vec<u8> = (0..2000u32).map(|i| (i * 7 + i / 256) as u8).collect();
        for start in 0..40 {
            for length in (0..300).chain([511, 512, 513, 1023, 1900]) {
                let mut data = source[start..start + length].to_vec();
                apply(key, &mut data);
                let naive: Vec<u8> =
                    source[start..start + length].iter().enumerate().map(|(i, b)| b ^ key[i % 4]).collect();
                assert_eq!(data, naive, "length {length} at {start}");
            }
        }
    }

    #[test]
    fn a_rotated_key_goes_on_where_the_last_part_ended() {
        let key = [1, 2, 3, 4];
        for split in 0..9 {
            let mut whole = [0; 100];
            let mut parts = [0; 100];
            apply(key, &mut whole);
            apply(key, &mut parts[..split]);
            apply(rotate(key, split), &mut parts[split..]);
            assert_eq!(whole, parts);
        }
    }

    #[test]
    fn keys_differ_from_frame_to_frame() {
        let mut keys = Keys::new([7; 32]);
        let drawn: std::collections::HashSet<_> = (0..1000).map(|_| keys.next_key()).collect();
        assert!(drawn.len() > 990);
    }
}
