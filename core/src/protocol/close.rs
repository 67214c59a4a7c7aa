//! How a connection ended: close codes, what of them may be sent, and the whole story in one value.

use std::fmt;

use super::fault::{Fault, Misuse};

/// A close code (RFC 6455 7.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The purpose is fulfilled.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// A server goes down, or a browser leaves the page.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// The peer broke a rule of the protocol.
    pub const PROTOCOL_ERROR: CloseCode = CloseCode(1002);
    /// A kind of data that cannot be accepted.
    pub const UNSUPPORTED_DATA: CloseCode = CloseCode(1003);
    /// Never on the wire: the close frame carried no code.
    pub const NO_STATUS: CloseCode = CloseCode(1005);
    /// Never on the wire: the connection ended without a close frame.
    pub const ABNORMAL: CloseCode = CloseCode(1006);
    /// A text that is not UTF-8, or compressed data that does not inflate.
    pub const INVALID_PAYLOAD: CloseCode = CloseCode(1007);
    /// A message against the receiver's policy.
    pub const POLICY_VIOLATION: CloseCode = CloseCode(1008);
    /// A message too big to be processed.
    pub const MESSAGE_TOO_BIG: CloseCode = CloseCode(1009);
    /// The client needs an extension that the server did not agree to.
    pub const MANDATORY_EXTENSION: CloseCode = CloseCode(1010);
    /// The server met an unexpected condition.
    pub const INTERNAL_ERROR: CloseCode = CloseCode(1011);
    /// The server restarts (IANA registry).
    pub const SERVICE_RESTART: CloseCode = CloseCode(1012);
    /// The server is overloaded (IANA registry).
    pub const TRY_AGAIN_LATER: CloseCode = CloseCode(1013);

    /// Any number, for comparing; whether it may be sent is [`CloseCode::may_be_sent`].
    pub const fn new(code: u16) -> CloseCode {
        CloseCode(code)
    }

    /// The number.
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// Whether a close frame may carry this code: those of the IANA registry that are not reserved,
    /// libraries' own (3000–3999) and applications' own (4000–4999).
    pub const fn may_be_sent(self) -> bool {
        // RFC 6455 7.4.1, 7.4.2: 1004, 1005, 1006 and 1015 are reserved and never in a frame.
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This end.
    Local,
    /// The peer.
    Remote,
}

/// How a connection ended. Told once, in [`Event::Closed`](super::Event::Closed), and kept by the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseInfo {
    /// The peer's code when its close frame was read; 1005 when that frame was empty; 1006 when none
    /// came. Where the peer broke a rule: the code that told it so.
    pub code: CloseCode,
    /// The peer's reason, or the sentence that was sent with a fault's code.
    pub reason: String,
    /// Whether both close frames were exchanged (RFC 6455 7.1.4). False once raw bytes were sent: who knows what
    /// the peer took them for?
    pub clean: bool,
    /// Who began.
    pub begun_by: Side,
    /// The rule that the peer broke, when that is why.
    pub fault: Option<Fault>,
    /// Payload bytes that were accepted for sending and could not be handed to the driver any more.
    pub unsent_bytes: u64,
}

/// The longest reason that fits beside the code in a close frame (RFC 6455 5.5).
pub const MAX_REASON_BYTES: usize = 123;

/// Whether a close frame may say this: nothing, a code, or a code and a reason.
pub fn check_close(code: Option<CloseCode>, reason: &str) -> Result<(), Misuse> {
    match code {
        None if reason.is_empty() => Ok(()),
        None => Err(Misuse::ReasonWithoutCode),
        Some(code) if !code.may_be_sent() => Err(Misuse::CloseCodeInvalid(code.as_u16())),
        Some(_) if reason.len() > MAX_REASON_BYTES => Err(Misuse::ReasonTooLong(reason.len())),
        Some(_) => Ok(()),
    }
}

/// Writes a close frame's payload: nothing without a code, else code and reason.
pub(crate) fn encode(code: Option<CloseCode>, reason: &str, payload: &mut [u8; 125]) -> Result<usize, Misuse> {
    check_close(code, reason)?;
    let Some(code) = code else { return Ok(0) };
    payload[..2].copy_from_slice(&code.as_u16().to_be_bytes());
    payload[2..2 + reason.len()].copy_from_slice(reason.as_bytes());
    Ok(2 + reason.len())
}

/// Reads a close frame's payload.
pub(crate) fn decode(payload: &[u8]) -> Result<(CloseCode, &str), Fault> {
    match payload {
        // RFC 6455 7.1.5: no code in the frame is 1005 to the application.
        [] => Ok((CloseCode::NO_STATUS, "")),
        [_] => Err(Fault::CloseTooShort),
        [high, low, reason @ ..] => {
            let code = CloseCode::new(u16::from_be_bytes([*high, *low]));
            if !code.may_be_sent() {
                return Err(Fault::CloseCodeInvalid(code.as_u16()));
            }
            // RFC 6455 5.5.1: the reason is UTF-8.
            let reason = std::str::from_utf8(reason).map_err(|_| Fault::CloseReasonNotUtf8)?;
            Ok((code, reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_codes_may_not_be_sent() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
            assert!(!CloseCode::new(code).may_be_sent(), "{code}");
        }
        for code in [1000, 1001, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999] {
            assert!(CloseCode::new(code).may_be_sent(), "{code}");
        }
    }

    #[test]
    fn a_close_payload_reads_as_it_was_written() {
        let mut payload = [0; 125];
        let length = encode(Some(CloseCode::NORMAL), "done", &mut payload).unwrap();
        assert_eq!(decode(&payload[..length]), Ok((CloseCode::NORMAL, "done")));
        assert_eq!(encode(None, "", &mut payload), Ok(0));
        assert_eq!(decode(&[]), Ok((CloseCode::NO_STATUS, "")));
        let longest = "r".repeat(MAX_REASON_BYTES);
        assert_eq!(encode(Some(CloseCode::NORMAL), &longest, &mut payload), Ok(125));
        assert!(encode(Some(CloseCode::NORMAL), &(longest + "r"), &mut payload).is_err());
    }
}
