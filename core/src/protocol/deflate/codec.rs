//! Messages compressed and inflated (RFC 7692 7.2), by flate2.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::super::config::DeflateConfig;
use super::super::fault::Fault;
use super::Parameters;

/// Both directions of one connection.
#[derive(Debug)]
pub struct Deflate {
    /// Absent until something is compressed, and again when its context is not to be used any more.
    compressor: Option<Compress>,
    /// Absent until something is inflated, and again when its context is not to be used any more.
    inflater: Option<Decompress>,
    /// Whether compressed bytes came that nothing has ended yet: neither the tail nor a final block.
    is_inside: bool,
    level: u8,
    min_bytes: usize,
    own_window_bits: u8,
    own_no_context_takeover: bool,
    peer_window_bits: u8,
    peer_no_context_takeover: bool,
}

/// What a sync flush ends with, and no message carries (RFC 7692 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// The smallest window that zlib compresses with, in bits.
const MIN_BITS: u8 = 9;

/// Efforts, 0 to 9.
const LEVELS: usize = 10;

/// Sets of parameters: each effort with each window.
pub const SETS: usize = LEVELS * (16 - MIN_BITS as usize);

/// Room that is made for output at least, in bytes.
const MIN_ROOM: usize = 64;

impl Deflate {
    /// Contexts for this end; allocated when first used.
    pub fn new(is_server: bool, parameters: &Parameters, config: &DeflateConfig) -> Deflate {
        let server = (parameters.server_max_window_bits, parameters.server_no_context_takeover);
        let client = (parameters.client_max_window_bits, parameters.client_no_context_takeover);
        let (own, peer) = if is_server { (server, client) } else { (client, server) };
        Deflate {
            compressor: None,
            inflater: None,
            is_inside: false,
            level: config.level,
            min_bytes: config.min_bytes,
            own_window_bits: own.0,
            own_no_context_takeover: own.1,
            peer_window_bits: peer.0,
            peer_no_context_takeover: peer.1,
        }
    }

    /// Whether a message of this length is worth compressing (and, with a window of 8 bits, possible).
    pub fn wants(&self, bytes: usize) -> bool {
        // RFC 7692 6: a sender may leave any message as it is. zlib has no window of 8 bits.
        bytes >= self.min_bytes && self.own_window_bits >= MIN_BITS
    }

    /// Appends the compressed form of the next piece of a message; after the last the tail is cut.
    ///
    /// Pieces before the last may append nothing: the compressor waits for more.
    pub fn compress(&mut self, data: &[u8], is_last: bool, out: &mut Vec<u8>) {
        let (level, bits) = (self.level, self.own_window_bits.max(MIN_BITS));
        let compressor = self
            .compressor
            .get_or_insert_with(|| Compress::new_with_window_bits(Compression::new(level.min(9).into()), false, bits));
        if !is_last {
            return run(compressor, data, FlushCompress::None, out);
        }
        // Of two flushes in a row zlib drops the second, unless it was called in between. An empty
        // message behind another one must yield its flush all the same (RFC 7692 7.2.3.6).
        if data.is_empty() {
            run(compressor, data, FlushCompress::None, out);
        }
        // RFC 7692 7.2.1: flush, then remove the tail.
        run(compressor, data, FlushCompress::Sync, out);
        debug_assert!(out.ends_with(&TAIL));
        out.truncate(out.len() - TAIL.len());
        if self.own_no_context_takeover {
            self.reset_compressor();
        }
    }

    /// Appends the compressed form of a whole message that refers to nothing before it, and that nothing after
    /// it may refer to. The connection's own context is not touched.
    pub fn compress_alone(&self, data: &[u8], out: &mut Vec<u8>) {
        Deflate { compressor: None, inflater: None, ..*self }.compress(data, true, out);
    }

    /// A number below [`SETS`] for what makes messages compress alike: the window, and the effort.
    pub fn set(&self) -> usize {
        let bits = usize::from(self.own_window_bits.max(MIN_BITS) - MIN_BITS);
        bits * LEVELS + usize::from(self.level.min(9))
    }

    /// Appends what the next piece of a message inflates to; a fault when `out` would grow above `limit`
    /// bytes in all, or when the data does not inflate.
    ///
    /// Memory grows with what was inflated, never further than to the limit. After a fault the
    /// connection's context is spoiled: fail the connection.
    pub fn inflate(&mut self, data: &[u8], is_last: bool, limit: u64, out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut rest = data;
        while !rest.is_empty() {
            rest = self.inflate_stream(rest, limit, out)?;
        }
        if !is_last {
            return Ok(());
        }
        // RFC 7692 7.2.2: append the tail, unless a final block has ended the message already.
        if self.is_inside && !self.inflate_stream(&TAIL, limit, out)?.is_empty() {
            return Err(Fault::DeflateInvalid);
        }
        self.is_inside = false;
        if self.peer_no_context_takeover {
            self.inflater = None;
        }
        Ok(())
    }

    /// Forgets the compressor's context: what is sent next was not compressed after what came before.
    pub fn reset_compressor(&mut self) {
        // Freed, not cleared: a connection that is only published to needs none, and each publish comes here.
        self.compressor = None;
    }

    /// Inflates to the end of `data` or of the deflate stream; returns what follows the latter.
    fn inflate_stream<'a>(&mut self, data: &'a [u8], limit: u64, out: &mut Vec<u8>) -> Result<&'a [u8], Fault> {
        // A peer with zlib and 8 bits uses 9.
        let bits = self.peer_window_bits.max(MIN_BITS);
        let inflater = self.inflater.get_or_insert_with(|| Decompress::new_with_window_bits(false, bits));
        let mut rest = data;
        self.is_inside = true;
        loop {
            make_room(out, rest.len(), limit);
            let (eaten, made) = (inflater.total_in(), out.len());
            let result = inflater.decompress_vec(rest, out, FlushDecompress::Sync);
            // RFC 6455 10.4, and the bomb: nothing above the limit is kept.
            if out.len() as u64 > limit {
                out.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                return Err(Fault::MessageTooBig { limit });
            }
            let status = result.map_err(|_| Fault::DeflateInvalid)?;
            let eaten = (inflater.total_in() - eaten) as usize;
            rest = &rest[eaten..];
            if status == Status::StreamEnd {
                // RFC 7692 7.2.3.4: a final block may stand in a message. What follows is a new stream.
                self.inflater = None;
                self.is_inside = false;
                return Ok(rest);
            }
            // Room that is left means that nothing waits inside.
            let has_room = out.len() < out.capacity();
            if rest.is_empty() && has_room {
                return Ok(rest);
            }
            // Every turn eats or makes something, or is the last.
            if eaten == 0 && made == out.len() && has_room {
                return if rest.is_empty() { Ok(rest) } else { Err(Fault::DeflateInvalid) };
            }
        }
    }
}

/// Makes room for what `bytes` inflate to: by a guess first, then twice as much each time, but no more
/// than one byte above the limit, which shows that there is more.
fn make_room(out: &mut Vec<u8>, bytes: usize, limit: u64) {
    if out.len() < out.capacity() {
        return;
    }
    let wanted = out.len().max(bytes.saturating_mul(2)).max(MIN_ROOM);
    let allowed = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(out.len()).saturating_add(1);
    out.reserve_exact(wanted.min(allowed));
}

/// Compresses all of `data` and, if asked to, flushes.
fn run(compressor: &mut Compress, mut data: &[u8], flush: FlushCompress, out: &mut Vec<u8>) {
    loop {
        out.reserve((data.len() / 4).max(MIN_ROOM));
        let eaten = compressor.total_in();
        compressor.compress_vec(data, out, flush).expect("a compressor that was made here takes any bytes");
        data = &data[(compressor.total_in() - eaten) as usize..];
        // Room that is left means that nothing waits inside.
        if data.is_empty() && out.len() < out.capacity() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 1 << 30;

    fn parameters(bits: u8, no_context_takeover: bool) -> Parameters {
        Parameters {
            server_no_context_takeover: no_context_takeover,
            client_no_context_takeover: no_context_takeover,
            server_max_window_bits: bits,
            client_max_window_bits: bits,
        }
    }

    fn pair(bits: u8, no_context_takeover: bool) -> (Deflate, Deflate) {
        let parameters = parameters(bits, no_context_takeover);
        let config = DeflateConfig::default();
        (Deflate::new(true, &parameters, &config), Deflate::new(false, &parameters, &config))
    }

    fn compressed(deflate: &mut Deflate, data: &[u8]) -> Vec<u8> {
        let mut out = b"before".to_vec();
        deflate.compress(data, true, &mut out);
        out.split_off(6)
    }

    fn inflated(deflate: &mut Deflate, data: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::new();
        deflate.inflate(data, true, LIMIT, &mut out).map(|()| out)
    }

    /// Bytes that compress about as well as text does, from a small linear congruential generator.
    fn words(bytes: usize) -> Vec<u8> {
        let mut state = 1u32;
        let mut text = Vec::new();
        while text.len() < bytes {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.extend_from_slice(format!("word{} ", state >> 22).as_bytes());
        }
        text.truncate(bytes);
        text
    }

    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 1u64;
        let step = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..bytes).map(step).collect()
    }

    #[test]
    fn the_rfcs_own_examples_are_read_and_written() {
        // RFC 7692 7.2.3.1 and 7.2.3.2: "Hello" twice, the second by reference to the first.
        let (mut server, mut client) = pair(15, false);
        let (first, second) = ([0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], [0xf2, 0x00, 0x11, 0x00, 0x00]);
        assert_eq!(compressed(&mut server, b"Hello"), first);
        assert_eq!(compressed(&mut server, b"Hello"), second);
        for data in [&first[..], &second[..]] {
            assert_eq!(inflated(&mut client, data).unwrap(), b"Hello");
        }
        // 7.2.3.3: a block without compression. 7.2.3.4: a final block. 7.2.3.5: two blocks. 7.2.3.6: empty.
        for (data, expected) in [
            (&[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00][..], &b"Hello"[..]),
            (&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00], b"Hello"),
            (&[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00], b"Hello"),
            (&[0x00], b""),
            (&[0x02, 0x00], b""),
            (&[0x01], b""),
        ] {
            for split in 0..=data.len() {
                let mut out = Vec::new();
                client.inflate(&data[..split], false, LIMIT, &mut out).unwrap();
                client.inflate(&data[split..], true, LIMIT, &mut out).unwrap();
                assert_eq!(out, expected, "{data:x?} at {split}");
            }
        }
    }

    #[test]
    fn messages_come_back_at_every_window_with_and_without_context() {
        for bits in 9..=15 {
            for no_context_takeover in [false, true] {
                let (mut server, mut client) = pair(bits, no_context_takeover);
                for size in [0, 1, 100, 0, 0, 5_000, 100_000, 3] {
                    for data in [words(size), noise(size), vec![7; size]] {
                        let sent = compressed(&mut server, &data);
                        assert!(sent.len() <= data.len() + data.len() / 100 + 16, "{} of {}", sent.len(), data.len());
                        assert!(inflated(&mut client, &sent).unwrap() == data, "server, {bits} bits, {size} bytes");
                        let sent = compressed(&mut client, &data);
                        assert!(inflated(&mut server, &sent).unwrap() == data, "client, {bits} bits, {size} bytes");
                    }
                }
                assert_eq!(server.compressor.is_none(), no_context_takeover);
                assert_eq!(server.inflater.is_none(), no_context_takeover);
            }
        }
    }

    #[test]
    fn a_message_may_be_cut_anywhere_on_either_side() {
        let data = words(300);
        let (mut server, mut client) = pair(15, false);
        for split in 0..=data.len() {
            let mut sent = Vec::new();
            server.compress(&data[..split], false, &mut sent);
            server.compress(&data[split..], true, &mut sent);
            assert_eq!(inflated(&mut client, &sent).unwrap(), data, "at {split}");
        }
        let sent = compressed(&mut pair(15, true).0, &data);
        for split in 0..=sent.len() {
            let (_, mut client) = pair(15, true);
            let mut out = Vec::new();
            client.inflate(&sent[..split], false, LIMIT, &mut out).unwrap();
            client.inflate(&sent[split..], true, LIMIT, &mut out).unwrap();
            assert_eq!(out, data, "at {split}");
        }
        let mut out = Vec::new();
        for byte in &sent {
            client.inflate(&[*byte], false, LIMIT, &mut out).unwrap();
        }
        client.inflate(&[], true, LIMIT, &mut out).unwrap();
        assert_eq!(out, data);
    }

    #[test]
    fn an_empty_message_is_one_zero_byte_wherever_it_stands() {
        // RFC 7692 7.2.3.6.
        for no_context_takeover in [false, true] {
            let (mut server, mut client) = pair(15, no_context_takeover);
            for data in [&b""[..], b"", b"Hello", b"", b"", b"Hello"] {
                let sent = compressed(&mut server, data);
                assert!(!data.is_empty() || sent == [0x00], "{sent:x?}");
                assert_eq!(inflated(&mut client, &sent).unwrap(), data);
            }
            // Not what the RFC writes, but nothing is lost by it.
            assert_eq!(inflated(&mut client, b"").unwrap(), b"");
            assert_eq!(inflated(&mut client, &compressed(&mut server, b"Hello")).unwrap(), b"Hello");
        }
    }

    #[test]
    fn a_decompression_bomb_stops_at_the_limit_with_bounded_memory() {
        // A megabyte of zeros, then 300 times the same piece, which refers to the zeros before it.
        let (mut server, _) = pair(15, false);
        let zeros = vec![0; 1 << 20];
        let mut bomb = [compressed(&mut server, &zeros), TAIL.to_vec()].concat();
        let again = [compressed(&mut server, &zeros), TAIL.to_vec()].concat();
        bomb.extend_from_slice(&again.repeat(300));
        assert!(bomb.len() < 400_000, "{}", bomb.len());
        for limit in [0, 1, 100, 65_536, 1_000_000] {
            for pieces in [1, 7, bomb.len()] {
                for is_server in [true, false] {
                    let mut deflate = Deflate::new(is_server, &parameters(15, false), &DeflateConfig::default());
                    let mut out = Vec::new();
                    let result =
                        bomb.chunks(pieces).try_for_each(|piece| deflate.inflate(piece, false, limit, &mut out));
                    assert_eq!(result, Err(Fault::MessageTooBig { limit }));
                    assert!(out.len() as u64 <= limit && out.capacity() as u64 <= limit + 64, "{}", out.capacity());
                }
            }
        }
    }

    #[test]
    fn a_message_of_exactly_the_limit_is_whole() {
        for size in [0usize, 1, 63, 64, 65, 4_096, 100_000] {
            for data in [words(size), vec![0; size]] {
                let sent = compressed(&mut pair(15, false).0, &data);
                let mut out = Vec::new();
                assert_eq!(pair(15, false).1.inflate(&sent, true, size as u64, &mut out), Ok(()), "{size}");
                assert!(out == data);
                if let Some(limit) = size.checked_sub(1).map(|limit| limit as u64) {
                    let result = pair(15, false).1.inflate(&sent, true, limit, &mut Vec::new());
                    assert_eq!(result, Err(Fault::MessageTooBig { limit }), "{size}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_inflate_is_a_fault() {
        for data in [
            // A reserved block type; a length that its complement denies; a distance beyond the start.
            &[0x06][..],
            &[0x00, 0x05, 0x00, 0x00, 0x00, 0x48],
            &[0xf2, 0x00, 0x11, 0x00, 0x00],
            // Behind a final block: a reserved block type, and what the tail cannot complete.
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x06],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x05, 0x00, 0x00],
            // A final block that ends inside the tail.
            &[0x03],
            &[0xff; 100],
        ] {
            for no_context_takeover in [false, true] {
                let result = inflated(&mut pair(15, no_context_takeover).1, data);
                assert_eq!(result, Err(Fault::DeflateInvalid), "{data:x?}");
            }
        }
    }

    #[test]
    fn random_bytes_inflate_or_fault_and_never_hang() {
        let noise = noise(20_000);
        for start in 0..1_000 {
            let (_, mut client) = pair(9 + (start % 7) as u8, start % 2 == 0);
            for piece in noise[start * 19..].chunks(1 + start % 50).take(6) {
                let mut out = Vec::new();
                if client.inflate(piece, start % 3 == 0, 10_000, &mut out).is_err() {
                    break;
                }
                assert!(out.len() <= 10_000);
            }
        }
    }

    #[test]
    fn a_final_block_may_stand_anywhere_in_a_message() {
        let finish = |data: &[u8]| {
            let mut out = Vec::with_capacity(1000);
            let mut compress = Compress::new(Compression::best(), false);
            assert_eq!(compress.compress_vec(data, &mut out, FlushCompress::Finish).unwrap(), Status::StreamEnd);
            out
        };
        let (mut server, mut client) = pair(15, false);
        let (one, two) = (finish(b"one "), finish(b"two "));
        let three = compressed(&mut server, b"three");
        for (data, expected) in [
            ([&one[..], &two, &three].concat(), &b"one two three"[..]),
            ([&one[..], &two, &[0x00]].concat(), b"one two "),
            // The zero byte that RFC 7692 7.2.3.4 wants is missing; the message is complete without it.
            ([&one[..], &two].concat(), b"one two "),
            ([&one[..], &[0x00]].concat(), b"one "),
        ] {
            for step in 1..=data.len() {
                let mut out = Vec::new();
                data.chunks(step).for_each(|piece| client.inflate(piece, false, LIMIT, &mut out).unwrap());
                client.inflate(&[], true, LIMIT, &mut out).unwrap();
                assert_eq!(out, expected, "by {step}");
            }
        }
    }

    #[test]
    fn after_a_reset_the_compressor_refers_to_nothing_before() {
        let (mut server, _) = pair(15, false);
        let first = compressed(&mut server, b"Hello");
        assert_ne!(compressed(&mut server, b"Hello"), first);
        server.reset_compressor();
        assert_eq!(compressed(&mut server, b"Hello"), first);
    }

    #[test]
    fn a_window_of_8_bits_is_received_but_never_sent() {
        let (server, mut client) = pair(8, false);
        assert!(!server.wants(1_000_000) && !client.wants(1_000_000));
        assert!(pair(9, false).0.wants(32) && !pair(9, false).0.wants(31));
        // A peer whose zlib took 9 bits for 8.
        let (mut peer, _) = pair(9, false);
        for data in [words(2_000), words(2_000)] {
            assert_eq!(inflated(&mut client, &compressed(&mut peer, &data)).unwrap(), data);
        }
    }

    #[test]
    fn contexts_are_absent_until_used() {
        let (mut server, mut client) = pair(15, false);
        assert!(server.compressor.is_none() && server.inflater.is_none());
        let sent = compressed(&mut server, b"Hello");
        inflated(&mut client, &sent).unwrap();
        assert!(server.inflater.is_none() && client.compressor.is_none());
    }
}
