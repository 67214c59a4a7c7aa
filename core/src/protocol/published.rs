//! [`Published`]: one message for many connections, framed once, and compressed once for each set of
//! parameters that its receivers have agreed to.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::deflate::{Deflate, SETS};
use super::event::MessageKind;
use super::fault::Misuse;
use super::frame::{Header, MAX_HEADER_BYTES, OpCode, RSV1};

/// A message as servers send it: the frame is shared by all who get it. A client's frame has a mask of its
/// own, so a client copies the payload.
pub struct Published {
    kind: MessageKind,
    plain: Frame,
    /// One for each set of parameters; absent until the first receiver that wants it compressed.
    compressed: OnceLock<Box<[OnceLock<Frame>]>>,
}

/// A frame without a mask.
pub(super) struct Frame {
    pub(super) bytes: Arc<[u8]>,
    /// Where the payload begins.
    at: usize,
}

impl Published {
    /// Frames a message; a text must be UTF-8.
    pub fn new(kind: MessageKind, data: &[u8]) -> Result<Published, Misuse> {
        kind.check(data)?;
        Ok(Published { kind, plain: Frame::new(kind, 0, data), compressed: OnceLock::new() })
    }

    /// Text or binary.
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Payload bytes, before any compression.
    pub fn bytes(&self) -> usize {
        self.plain.payload().len()
    }

    /// The whole frame as a server sends it when no compression was agreed to.
    pub fn frame(&self) -> &[u8] {
        &self.plain.bytes
    }

    pub(super) fn plain(&self) -> &Frame {
        &self.plain
    }

    /// The frame for receivers that agreed to what `deflate` has; made when it is first asked for. It refers
    /// to no message before it.
    pub(super) fn compressed(&self, deflate: &Deflate) -> &Frame {
        let frames = self.compressed.get_or_init(|| (0..SETS).map(|_| OnceLock::new()).collect());
        frames[deflate.set()].get_or_init(|| {
            let mut payload = Vec::new();
            deflate.compress_alone(self.plain.payload(), &mut payload);
            Frame::new(self.kind, RSV1, &payload)
        })
    }
}

impl Frame {
    fn new(kind: MessageKind, reserved: u8, payload: &[u8]) -> Frame {
        let opcode = OpCode::from(kind);
        let header = Header { fin: true, reserved, opcode, mask: None, length: payload.len() as u64 };
        let mut bytes = Vec::with_capacity(MAX_HEADER_BYTES + payload.len());
        header.append(&mut bytes);
        let at = bytes.len();
        bytes.extend_from_slice(payload);
        Frame { bytes: bytes.into(), at }
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.bytes[self.at..]
    }
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Published({:?}, {} bytes)", self.kind, self.bytes())
    }
}
