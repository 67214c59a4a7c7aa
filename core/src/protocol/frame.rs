//! A frame's header as bytes: parse and write, one honest frame at a time (RFC 6455 5.2). No state, no
//! judgement: roles, limits and agreed extensions are the engine's business.

use super::fault::Fault;

/// What a frame is (RFC 6455 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OpCode {
    /// The next fragment of the message begun before.
    Continuation = 0,
    /// A text message, or its first fragment.
    Text = 1,
    /// A binary message, or its first fragment.
    Binary = 2,
    /// The closing handshake.
    Close = 8,
    /// Are you there?
    Ping = 9,
    /// I am here.
    Pong = 10,
}

impl OpCode {
    /// The opcode of these four bits; `None` for those that are reserved.
    #[inline]
    pub const fn from_bits(bits: u8) -> Option<OpCode> {
        match bits {
            0 => Some(OpCode::Continuation),
            1 => Some(OpCode::Text),
            2 => Some(OpCode::Binary),
            8 => Some(OpCode::Close),
            9 => Some(OpCode::Ping),
            10 => Some(OpCode::Pong),
            _ => None,
        }
    }

    /// Close, ping and pong.
    #[inline]
    pub const fn is_control(self) -> bool {
        self as u8 & 8 != 0
    }
}

/// The longest header: two bytes, eight of length, four of mask.
pub const MAX_HEADER_BYTES: usize = 14;

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The last fragment of its message.
    pub fin: bool,
    /// RSV1 = 4, RSV2 = 2, RSV3 = 1.
    pub reserved: u8,
    /// What it is.
    pub opcode: OpCode,
    /// The masking key, as it stands on the wire.
    pub mask: Option<[u8; 4]>,
    /// Payload bytes that follow.
    pub length: u64,
}

/// The header of a frame that is a message by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageHeader {
    pub(crate) is_text: bool,
    /// Zero where the frame is not masked.
    pub(crate) key: [u8; 4],
    /// Payload bytes that follow.
    pub(crate) length: u64,
    /// Bytes of the header itself.
    pub(crate) size: usize,
}

/// RSV1, which permessage-deflate uses for "compressed" (RFC 7692 6).
pub const RSV1: u8 = 4;

impl Header {
    /// Reads a header from the front of `bytes`: the header and its length in bytes, or `None` when more
    /// are needed. Never looks past the header.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, Fault> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        let (length, mut size) = match second & 0x7f {
            126 => match rest {
                [a, b, ..] => (u64::from(u16::from_be_bytes([*a, *b])), 4),
                _ => return Ok(None),
            },
            127 => match rest {
                [a, b, c, d, e, f, g, h, ..] => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 10),
                _ => return Ok(None),
            },
            short => (u64::from(short), 2),
        };
        // RFC 6455 5.2: the most significant bit must be 0, and the minimal number of bytes is used.
        if length >> 63 != 0 {
            return Err(Fault::LengthTooLong);
        }
        if (size == 4 && length < 126) || (size == 10 && length <= 0xffff) {
            return Err(Fault::LengthNotMinimal(length));
        }
        let opcode = OpCode::from_bits(first & 0x0f).ok_or(Fault::ReservedOpcode(first & 0x0f))?;
        let mask = if second & 0x80 == 0 {
            None
        } else {
            let Some(&[a, b, c, d]) = bytes.get(size..size + 4) else { return Ok(None) };
            size += 4;
            Some([a, b, c, d])
        };
        let header = Header { fin: first & 0x80 != 0, reserved: (first >> 4) & 7, opcode, mask, length };
        Ok(Some((header, size)))
    }

    /// The same for a frame that is a message by itself, of the peer's role, in fewer steps. `None` for every
    /// other frame, for a wrong one, and for a header that has not come whole: [`Header::parse`] tells.
    #[inline(always)]
    pub(crate) fn parse_message(bytes: &[u8], is_masked: bool) -> Option<MessageHeader> {
        let [first, second, rest @ ..] = bytes else { return None };
        let is_text = match first {
            0x81 => true,
            0x82 => false,
            _ => return None,
        };
        if (*second >= 0x80) != is_masked {
            return None;
        }
        let (length, size) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
            127 => (u64::from_be_bytes(*rest.first_chunk()?), 10),
            short => (u64::from(short), 2),
        };
        let is_shortest = match size {
            2 => true,
            4 => length > 125,
            _ => length > 0xffff,
        };
        if !is_shortest {
            return None;
        }
        if !is_masked {
            return Some(MessageHeader { is_text, key: [0; 4], length, size });
        }
        let key = *bytes[size..].first_chunk()?;
        Some(MessageHeader { is_text, key, length, size: size + 4 })
    }

    /// Writes the header behind what `out` holds.
    #[inline]
    pub fn append(&self, out: &mut Vec<u8>) {
        let mut bytes = [0; MAX_HEADER_BYTES];
        let size = self.write(&mut bytes);
        match bytes {
            // The shortest, as two moves.
            [first, second, ..] if size == 2 => out.extend_from_slice(&[first, second]),
            _ => out.extend_from_slice(&bytes[..size]),
        }
    }

    /// Writes the header in its shortest form; returns how many bytes of `out` it took.
    #[inline]
    pub fn write(&self, out: &mut [u8; MAX_HEADER_BYTES]) -> usize {
        out[0] = u8::from(self.fin) << 7 | self.reserved << 4 | self.opcode as u8;
        let mut size = if self.length < 126 {
            out[1] = self.length as u8;
            2
        } else if self.length <= 0xffff {
            out[1] = 126;
            out[2..4].copy_from_slice(&(self.length as u16).to_be_bytes());
            4
        } else {
            out[1] = 127;
            out[2..10].copy_from_slice(&self.length.to_be_bytes());
            10
        };
        if let Some(key) = self.mask {
            out[1] |= 0x80;
            out[size..size + 4].copy_from_slice(&key);
            size += 4;
        }
        size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_reads_as_it_was_written_and_never_from_less() {
        for length in [0, 1, 125, 126, 127, 0xffff, 0x1_0000, u64::MAX >> 1] {
            for mask in [None, Some([1, 2, 3, 4])] {
                for opcode in [OpCode::Continuation, OpCode::Text, OpCode::Close, OpCode::Pong] {
                    let header = Header { fin: length % 2 == 0, reserved: (length % 8) as u8, opcode, mask, length };
                    let mut bytes = [0; MAX_HEADER_BYTES];
                    let size = header.write(&mut bytes);
                    assert_eq!(Header::parse(&bytes[..size]), Ok(Some((header, size))));
                    for short in 0..size {
                        assert_eq!(Header::parse(&bytes[..short]), Ok(None));
                    }
                }
            }
        }
    }

    #[test]
    fn the_short_way_sees_what_the_long_way_sees() {
        let lengths: [&[u8]; 9] = [
            &[0],
            &[125],
            &[126, 0, 125],
            &[126, 0, 126],
            &[126, 255, 255],
            &[127, 0, 0, 0, 0, 0, 0, 255, 255],
            &[127, 0, 0, 0, 0, 0, 1, 0, 0],
            &[127, 127, 0, 0, 0, 0, 0, 0, 0],
            &[127, 128, 0, 0, 0, 0, 0, 0, 0],
        ];
        for first in 0..=255 {
            for length in lengths {
                for is_masked in [false, true] {
                    let key: &[u8] = if is_masked { &[9, 8, 7, 6] } else { &[] };
                    let mut whole = [&[first], length, key].concat();
                    whole[1] |= u8::from(is_masked) << 7;
                    for end in 0..=whole.len() {
                        let expected = match Header::parse(&whole[..end]) {
                            Ok(Some((header, size))) if matches!(first, 0x81 | 0x82) => Some(MessageHeader {
                                is_text: header.opcode == OpCode::Text,
                                key: header.mask.unwrap_or_default(),
                                length: header.length,
                                size,
                            }),
                            _ => None,
                        };
                        let seen = Header::parse_message(&whole[..end], is_masked);
                        assert_eq!(seen.filter(|header| header.length >> 63 == 0), expected, "{:x?}", &whole[..end]);
                        assert_eq!(Header::parse_message(&whole[..end], !is_masked), None);
                    }
                }
            }
        }
    }

    #[test]
    fn lengths_that_break_a_rule_are_faults() {
        assert_eq!(Header::parse(&[0x82, 126, 0, 125]), Err(Fault::LengthNotMinimal(125)));
        assert_eq!(Header::parse(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), Err(Fault::LengthNotMinimal(65535)));
        assert_eq!(Header::parse(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]), Err(Fault::LengthTooLong));
        assert_eq!(Header::parse(&[0x83, 0]), Err(Fault::ReservedOpcode(3)));
        assert_eq!(Header::parse(&[0x8f, 0]), Err(Fault::ReservedOpcode(15)));
    }
}
