//! Who did what wrong: [`Fault`] is the peer's, [`Misuse`] the application's.

use std::error::Error;
use std::fmt;

use super::close::CloseCode;

/// The peer broke a rule, or a deadline.
///
/// It never leaves the engine as an error: it becomes a queued close frame (or HTTP answer) and one
/// [`CloseInfo`](super::CloseInfo). `Display` is one sentence with the rule's number.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// RSV bits (RSV1 = 4, RSV2 = 2, RSV3 = 1) without an extension that gives them a meaning.
    ReservedBits(u8),
    /// An opcode that the RFC keeps for later.
    ReservedOpcode(u8),
    /// A client's frame without a mask.
    Unmasked,
    /// A server's frame with a mask.
    Masked,
    /// A control frame with this many bytes, more than 125.
    ControlTooLong(u64),
    /// A control frame without FIN.
    ControlFragmented,
    /// A length with its highest bit set.
    LengthTooLong,
    /// A length written in more bytes than it needs.
    LengthNotMinimal(u64),
    /// A continuation without a message to continue.
    UnexpectedContinuation,
    /// A new message before the last fragment of the one before.
    ExpectedContinuation,
    /// A frame above the limit.
    FrameTooBig {
        /// Announced length in bytes.
        bytes: u64,
        /// The limit in force, `Config::max_frame_bytes`.
        limit: u64,
    },
    /// A message above the limit, compressed or not.
    MessageTooBig {
        /// The limit in force, `Config::max_message_bytes`.
        limit: u64,
    },
    /// A message in more fragments than the limit.
    TooManyFragments(u32),
    /// A text that is not UTF-8.
    InvalidUtf8 {
        /// Offset of the first bad byte in the message.
        at: u64,
    },
    /// A close frame of one byte.
    CloseTooShort,
    /// A close frame with a code that may not be sent.
    CloseCodeInvalid(u16),
    /// A close frame whose reason is not UTF-8.
    CloseReasonNotUtf8,
    /// Compressed data that does not inflate.
    DeflateInvalid,
    /// The head is longer than `Config::max_head_bytes`.
    HeadTooLong(usize),
    /// The head has more lines than `Config::max_headers`.
    TooManyHeaders(usize),
    /// What came is not an HTTP/1.1 head; the text says what is wrong.
    HeadMalformed(&'static str),
    /// The request method, in an upgrade, is not GET.
    MethodNotGet,
    /// The request's `Sec-WebSocket-Version` is not 13.
    VersionUnsupported,
    /// A header that the opening handshake needs is missing.
    HeaderMissing(&'static str),
    /// A header of the opening handshake says something that it must not.
    HeaderInvalid(&'static str),
    /// An upgrade request that announces a body.
    BodyOnUpgrade,
    /// The request's `Origin` is not in `Config::origins`.
    OriginNotAllowed,
    /// The server answered the opening handshake with this status instead of 101.
    Refused(u16),
    /// The server's 101 breaks a rule; the text says which.
    AnswerInvalid(&'static str),
    /// The proxy refused, or answered what no proxy may.
    ProxyRefused {
        /// The HTTP status of an HTTP proxy's answer; 0 where there is none.
        status: u16,
        /// What is wrong.
        why: String,
    },
    /// The server's redirect cannot be followed, or not any more; the text says why.
    RedirectRefused(String),
    /// The opening handshake took longer than `Config::handshake_timeout`.
    HandshakeTimeout,
    /// A message took longer than `Config::message_timeout`.
    MessageTimeout,
    /// The peer took nothing of what waits within `Config::write_timeout`.
    WriteTimeout,
    /// No pong within `Config::pong_timeout`.
    PongTimeout,
    /// The peer did not finish the closing handshake within `Config::close_timeout`.
    CloseTimeout,
    /// More than this would wait for the peer to read it, `Config::max_outbox_bytes`, and `Config::slow_reader` says
    /// to close then.
    SlowReader {
        /// The limit in force.
        limit: usize,
    },
    /// What must begin with a header of the PROXY protocol does not; the text says what is wrong.
    ProxyHeaderInvalid(&'static str),
}

impl Fault {
    /// The code of the close frame that tells the peer; [`CloseCode::ABNORMAL`] where none is sent.
    pub fn close_code(&self) -> CloseCode {
        match self {
            Fault::ReservedBits(_)
            | Fault::ReservedOpcode(_)
            | Fault::Unmasked
            | Fault::Masked
            | Fault::ControlTooLong(_)
            | Fault::ControlFragmented
            | Fault::LengthTooLong
            | Fault::LengthNotMinimal(_)
            | Fault::UnexpectedContinuation
            | Fault::ExpectedContinuation
            | Fault::CloseTooShort
            | Fault::CloseCodeInvalid(_) => CloseCode::PROTOCOL_ERROR,
            Fault::FrameTooBig { .. } | Fault::MessageTooBig { .. } => CloseCode::MESSAGE_TOO_BIG,
            Fault::TooManyFragments(_) | Fault::MessageTimeout => CloseCode::POLICY_VIOLATION,
            Fault::InvalidUtf8 { .. } | Fault::CloseReasonNotUtf8 | Fault::DeflateInvalid => CloseCode::INVALID_PAYLOAD,
            Fault::HeadTooLong(_)
            | Fault::TooManyHeaders(_)
            | Fault::HeadMalformed(_)
            | Fault::MethodNotGet
            | Fault::VersionUnsupported
            | Fault::HeaderMissing(_)
            | Fault::HeaderInvalid(_)
            | Fault::BodyOnUpgrade
            | Fault::OriginNotAllowed
            | Fault::Refused(_)
            | Fault::AnswerInvalid(_)
            | Fault::ProxyRefused { .. }
            | Fault::RedirectRefused(_)
            | Fault::HandshakeTimeout
            | Fault::WriteTimeout
            | Fault::PongTimeout
            | Fault::CloseTimeout
            | Fault::SlowReader { .. }
            | Fault::ProxyHeaderInvalid(_) => CloseCode::ABNORMAL,
        }
    }

    /// The HTTP status with which a server refuses a request for this fault, or with which the server has
    /// [refused](Fault::Refused) ours, or the proxy has; 0 where no HTTP answer tells of it.
    pub fn http_status(&self) -> u16 {
        match self {
            Fault::MethodNotGet => 405,
            Fault::VersionUnsupported => 426,
            Fault::HeadTooLong(_) | Fault::TooManyHeaders(_) => 431,
            Fault::OriginNotAllowed => 403,
            Fault::HandshakeTimeout => 408,
            Fault::BodyOnUpgrade => 413,
            Fault::HeadMalformed(_) | Fault::HeaderMissing(_) | Fault::HeaderInvalid(_) => 400,
            Fault::Refused(status) | Fault::ProxyRefused { status, .. } => *status,
            Fault::ReservedBits(_)
            | Fault::ReservedOpcode(_)
            | Fault::Unmasked
            | Fault::Masked
            | Fault::ControlTooLong(_)
            | Fault::ControlFragmented
            | Fault::LengthTooLong
            | Fault::LengthNotMinimal(_)
            | Fault::UnexpectedContinuation
            | Fault::ExpectedContinuation
            | Fault::FrameTooBig { .. }
            | Fault::MessageTooBig { .. }
            | Fault::TooManyFragments(_)
            | Fault::InvalidUtf8 { .. }
            | Fault::CloseTooShort
            | Fault::CloseCodeInvalid(_)
            | Fault::CloseReasonNotUtf8
            | Fault::DeflateInvalid
            | Fault::AnswerInvalid(_)
            | Fault::RedirectRefused(_)
            | Fault::MessageTimeout
            | Fault::PongTimeout
            | Fault::WriteTimeout
            | Fault::CloseTimeout
            | Fault::SlowReader { .. }
            | Fault::ProxyHeaderInvalid(_) => 0,
        }
    }
}

/// Gives every fault its name: a fault without one does not compile.
macro_rules! rules {
    ($($fault:ident: $name:literal,)*) => {
        impl Fault {
            /// The names of all rules, in an order that only grows at its end.
            pub const RULES: &[&'static str] = &[$($name,)*];

            /// A name that never changes, for counting and for logs.
            pub fn rule(&self) -> &'static str {
                match self {
                    $(Fault::$fault { .. } => $name,)*
                }
            }
        }
    };
}

rules! {
    ReservedBits: "reserved-bits",
    ReservedOpcode: "reserved-opcode",
    Unmasked: "unmasked",
    Masked: "masked",
    ControlTooLong: "control-too-long",
    ControlFragmented: "control-fragmented",
    LengthTooLong: "length-too-long",
    LengthNotMinimal: "length-not-minimal",
    UnexpectedContinuation: "unexpected-continuation",
    ExpectedContinuation: "expected-continuation",
    FrameTooBig: "frame-too-big",
    MessageTooBig: "message-too-big",
    TooManyFragments: "too-many-fragments",
    InvalidUtf8: "invalid-utf8",
    CloseTooShort: "close-too-short",
    CloseCodeInvalid: "close-code-invalid",
    CloseReasonNotUtf8: "close-reason-not-utf8",
    DeflateInvalid: "deflate-invalid",
    HeadTooLong: "head-too-long",
    TooManyHeaders: "too-many-headers",
    HeadMalformed: "head-malformed",
    MethodNotGet: "method-not-get",
    VersionUnsupported: "version-unsupported",
    HeaderMissing: "header-missing",
    HeaderInvalid: "header-invalid",
    BodyOnUpgrade: "body-on-upgrade",
    OriginNotAllowed: "origin-not-allowed",
    Refused: "refused",
    AnswerInvalid: "answer-invalid",
    ProxyRefused: "proxy-refused",
    HandshakeTimeout: "handshake-timeout",
    MessageTimeout: "message-timeout",
    WriteTimeout: "write-timeout",
    PongTimeout: "pong-timeout",
    CloseTimeout: "close-timeout",
    RedirectRefused: "redirect-refused",
    SlowReader: "slow-reader",
    ProxyHeaderInvalid: "proxy-header-invalid",
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::ReservedBits(bits) => {
                write!(f, "reserved bits {bits:03b} are set without an agreed extension (RFC 6455 5.2)")
            }
            Fault::ReservedOpcode(opcode) => write!(f, "opcode {opcode} is reserved (RFC 6455 5.2)"),
            Fault::Unmasked => write!(f, "a client's frame is not masked (RFC 6455 5.1)"),
            Fault::Masked => write!(f, "a server's frame is masked (RFC 6455 5.1)"),
            Fault::ControlTooLong(bytes) => {
                write!(f, "a control frame has {bytes} bytes, 125 are allowed (RFC 6455 5.5)")
            }
            Fault::ControlFragmented => write!(f, "a control frame is fragmented (RFC 6455 5.5)"),
            Fault::LengthTooLong => write!(f, "a length has its highest bit set (RFC 6455 5.2)"),
            Fault::LengthNotMinimal(bytes) => {
                write!(f, "length {bytes} is written in more bytes than it needs (RFC 6455 5.2)")
            }
            Fault::UnexpectedContinuation => {
                write!(f, "a continuation frame has no message to continue (RFC 6455 5.4)")
            }
            Fault::ExpectedContinuation => {
                write!(f, "a new message began before the last one was complete (RFC 6455 5.4)")
            }
            Fault::FrameTooBig { bytes, limit } => {
                write!(f, "a frame of {bytes} bytes is above the limit of {limit} (RFC 6455 10.4)")
            }
            Fault::MessageTooBig { limit } => {
                write!(f, "a message is above the limit of {limit} bytes (RFC 6455 10.4)")
            }
            Fault::TooManyFragments(limit) => {
                write!(f, "a message has more than {limit} fragments (RFC 6455 10.4)")
            }
            Fault::InvalidUtf8 { at } => write!(f, "text message is not valid UTF-8 at byte {at} (RFC 6455 8.1)"),
            Fault::CloseTooShort => write!(f, "a close frame has 1 byte, a code has 2 (RFC 6455 5.5.1)"),
            Fault::CloseCodeInvalid(code) => write!(f, "close code {code} may not be sent (RFC 6455 7.4)"),
            Fault::CloseReasonNotUtf8 => write!(f, "a close reason is not valid UTF-8 (RFC 6455 5.5.1)"),
            Fault::DeflateInvalid => write!(f, "a compressed message does not inflate (RFC 7692 7.2.2)"),
            Fault::HeadTooLong(limit) => write!(f, "the head is longer than {limit} bytes (RFC 6585 5)"),
            Fault::TooManyHeaders(limit) => write!(f, "the head has more than {limit} headers (RFC 6585 5)"),
            Fault::HeadMalformed(what) => write!(f, "{what} (RFC 9112 2)"),
            Fault::MethodNotGet => write!(f, "an upgrade must be a GET request (RFC 6455 4.2.1)"),
            Fault::VersionUnsupported => {
                write!(f, "the WebSocket version must be 13 (RFC 6455 4.4)")
            }
            Fault::HeaderMissing(name) => write!(f, "header {name} is missing (RFC 6455 4.2.1)"),
            Fault::HeaderInvalid(name) => write!(f, "header {name} is not valid (RFC 6455 4.2.1)"),
            Fault::BodyOnUpgrade => write!(f, "an upgrade request must have no body (RFC 9110 7.8)"),
            Fault::OriginNotAllowed => write!(f, "this origin is not allowed (RFC 6455 10.2)"),
            Fault::Refused(status) => {
                write!(f, "the server answered {status} to the opening handshake (RFC 6455 4.1)")
            }
            Fault::AnswerInvalid(what) => write!(f, "{what} (RFC 6455 4.1)"),
            Fault::ProxyRefused { why, .. } => write!(f, "the proxy refused: {why}"),
            Fault::RedirectRefused(why) => write!(f, "the redirect is not followed: {why}"),
            Fault::HandshakeTimeout => write!(f, "the opening handshake took too long"),
            Fault::MessageTimeout => write!(f, "a message took too long to arrive"),
            Fault::WriteTimeout => write!(f, "the peer did not read for too long"),
            Fault::PongTimeout => write!(f, "no pong came in time (RFC 6455 5.5.3)"),
            Fault::CloseTimeout => write!(f, "the closing handshake took too long (RFC 6455 7.1.1)"),
            Fault::SlowReader { limit } => {
                write!(f, "the peer reads too slowly: more than {limit} bytes would wait for it")
            }
            Fault::ProxyHeaderInvalid(why) => write!(f, "no header of the PROXY protocol: {why}"),
        }
    }
}

impl Error for Fault {}

/// The application asked for what cannot be. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// The connection is not open yet.
    NotOpen,
    /// The connection is closing or closed.
    Closed,
    /// No request waits for an answer.
    NoRequest,
    /// A control payload of this many bytes, more than 125.
    ControlTooLong(usize),
    /// A close code that may not be sent.
    CloseCodeInvalid(u16),
    /// A close reason of this many bytes, more than 123.
    ReasonTooLong(usize),
    /// A close reason needs a close code.
    ReasonWithoutCode,
    /// The text is not UTF-8 at this byte.
    InvalidUtf8 {
        /// Offset of the first bad byte.
        at: usize,
    },
    /// The queue of bytes to send is full: `Config::max_outbox_bytes`.
    OutboxFull {
        /// The limit in force.
        limit: usize,
    },
    /// A fragment of another kind than the message it continues, or a new message inside one.
    FragmentMismatch,
    /// A header name or value that would break the head: CR, LF, NUL, or no token.
    HeaderInvalid(String),
    /// An HTTP status outside 200–599, or 101 for a refusal.
    StatusInvalid(u16),
    /// A subprotocol that is not a token or that the client did not ask for.
    ProtocolInvalid(String),
    /// A URL that is not ws://, wss:// or ws+unix://, or has a fragment.
    UrlInvalid(String),
    /// A value of `Config` that cannot be kept; the text names it.
    ConfigInvalid(&'static str),
    /// The name of a topic has this many bytes, not 1 to 255.
    TopicInvalid(usize),
    /// The connection subscribes to as many topics as `Config::max_topics` allows.
    TooManyTopics {
        /// The limit in force.
        limit: usize,
    },
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misuse::NotOpen => write!(f, "the connection is not open yet"),
            Misuse::Closed => write!(f, "the connection is closing or closed"),
            Misuse::NoRequest => write!(f, "no request waits for an answer"),
            Misuse::ControlTooLong(bytes) => write!(f, "a control payload of {bytes} bytes is above 125"),
            Misuse::CloseCodeInvalid(code) => write!(f, "close code {code} may not be sent"),
            Misuse::ReasonTooLong(bytes) => write!(f, "a close reason of {bytes} bytes is above 123"),
            Misuse::ReasonWithoutCode => write!(f, "a close reason needs a close code"),
            Misuse::InvalidUtf8 { at } => write!(f, "the text is not valid UTF-8 at byte {at}"),
            Misuse::OutboxFull { limit } => write!(f, "more than {limit} bytes wait to be sent"),
            Misuse::FragmentMismatch => write!(f, "this fragment does not continue the message that was begun"),
            Misuse::HeaderInvalid(name) => write!(f, "header {name:?} would break the head"),
            Misuse::StatusInvalid(status) => write!(f, "HTTP status {status} cannot answer a request"),
            Misuse::ProtocolInvalid(name) => write!(f, "subprotocol {name:?} is not one that was asked for"),
            Misuse::UrlInvalid(why) => write!(f, "{why}"),
            Misuse::ConfigInvalid(what) => write!(f, "{what}"),
            Misuse::TopicInvalid(bytes) => write!(f, "the name of a topic has 1 to 255 bytes, not {bytes}"),
            Misuse::TooManyTopics { limit } => {
                write!(f, "the connection subscribes to {limit} topics already; unsubscribe, or raise max_topics")
            }
        }
    }
}

impl Error for Misuse {}
