//! [`Ahead`]: what can be said of a frame while its bytes are still coming, for receivers that must not wait.

use linkspan::protocol::mask;
use linkspan::protocol::utf8;

/// RFC 6455 5.5: the longest payload of a control frame.
const MAX_CONTROL_BYTES: u64 = 125;

/// How far the text of the frame that is coming has been checked.
#[derive(Default)]
pub(crate) struct Ahead {
    text: utf8::Utf8,
    checked: usize,
}

/// The fields of a header that say how long the frame is; the rest is judged when it is received.
struct Extent {
    first: u8,
    key: Option<[u8; 4]>,
    size: usize,
    length: u64,
}

impl Ahead {
    /// Whether the frame at the front of `bytes` can be received without waiting for more: all of it is there,
    /// or enough to refuse it. `text` gives what a fragment of a text continues, `None` when texts are not to be
    /// looked into.
    pub(crate) fn is_ready(
        &mut self,
        bytes: &[u8],
        max_bytes: u64,
        text: Option<impl FnOnce() -> utf8::Utf8>,
        continues: bool,
    ) -> bool {
        let Some(Extent { first, key, size, length }) = extent(bytes) else { return false };
        let is_control = first & 8 != 0;
        let limit = if is_control { max_bytes.max(MAX_CONTROL_BYTES) } else { max_bytes };
        let held = &bytes[size..];
        if length >> 63 != 0 || length > limit || held.len() as u64 >= length {
            self.checked = 0;
            return true;
        }
        let Some(key) = key else { return true };
        // RFC 6455 8.1: a text fails at its first bad byte. What an extension has changed is no text yet.
        let opcode = if continues { 0 } else { 1 };
        let (Some(text), true) = (text, first & 0x7f == opcode) else { return false };
        if self.checked == 0 || self.checked > held.len() {
            self.checked = 0;
            self.text = text();
        }
        let mut piece = held[self.checked..].to_vec();
        mask::apply(mask::rotate(key, self.checked), &mut piece);
        self.checked = held.len();
        let is_bad = self.text.push(&piece).is_err();
        if is_bad {
            self.checked = 0;
        }
        is_bad
    }
}

fn extent(bytes: &[u8]) -> Option<Extent> {
    let [first, second, rest @ ..] = bytes else { return None };
    let (length, mut size) = match second & 0x7f {
        126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*rest.first_chunk()?), 10),
        short => (u64::from(short), 2),
    };
    let mut key = None;
    if second & 0x80 != 0 {
        key = Some(*bytes[size..].first_chunk()?);
        size += 4;
    }
    Some(Extent { first: *first, key, size, length })
}
