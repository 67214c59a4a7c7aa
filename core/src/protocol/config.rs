//! Every limit and timeout of one connection. Plain fields; the defaults are for a public server.

use super::fault::Misuse;

/// Who answers a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PongPolicy {
    /// The engine, at once.
    Automatic,
    /// The application, by `pong`.
    Manual,
}

/// Who answers the peer's close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReply {
    /// The engine, with the peer's own code.
    Automatic,
    /// The application, by `close`, within `close_timeout`.
    Application,
}

/// How messages are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Assembled, one event each.
    Whole,
    /// As they arrive: begin, parts, end. Never held in memory whole.
    Parts,
}

/// What becomes of a message for which there is no room, for the drivers that never wait: more than
/// [`Config::max_outbox_bytes`] would wait. A message that is longer than that by itself is refused always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SlowReader {
    /// It is refused, and the sender told. What was published is dropped and counted: nobody is there to be told.
    Refuse = 0,
    /// The connection is ended at once, with [`Fault::SlowReader`](super::Fault::SlowReader).
    Close = 1,
    /// It is dropped and counted, and the sender told. A fragment is refused: its message would have a hole.
    Drop = 2,
    /// On a thread that runs no loop the sender waits for room, at most `write_timeout`. In all else as `Refuse`.
    Block = 3,
}

/// permessage-deflate as this end wants it (RFC 7692 7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeflateConfig {
    /// The server forgets its context after each message: less memory, worse compression. Default no.
    pub server_no_context_takeover: bool,
    /// The client forgets its context after each message. Default no.
    pub client_no_context_takeover: bool,
    /// The server's window, 8 to 15 bits. Default 15.
    pub server_max_window_bits: u8,
    /// The client's window, 8 to 15 bits. Default 15.
    pub client_max_window_bits: u8,
    /// Effort, 1 (fast) to 9 (small). Default 6, zlib's own.
    pub level: u8,
    /// Messages below this many bytes are sent as they are. Default 32: smaller ones grow.
    pub min_bytes: usize,
}

impl Default for DeflateConfig {
    fn default() -> Self {
        DeflateConfig {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
            level: 6,
            min_bytes: 32,
        }
    }
}

/// Limits, timeouts and wishes of a connection. Times are milliseconds; zero turns a timeout off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Longest HTTP head, in bytes. Default 16 KiB: room for cookies, not for a flood.
    pub max_head_bytes: usize,
    /// Most header lines in a head. Default 100, as HTTP servers do.
    pub max_headers: usize,
    /// Longest body of a refused handshake that a client keeps, in bytes. Default 64 KiB.
    pub max_body_bytes: usize,
    /// Longest message, after inflating, in bytes. Default 16 MiB.
    pub max_message_bytes: u64,
    /// Longest single frame, in bytes. Default 16 MiB.
    pub max_frame_bytes: u64,
    /// Most fragments of one message. Default 131,072: 16 MiB in pieces of 128 bytes.
    pub max_fragments: u32,
    /// Most bytes waiting to leave. Default 64 MiB.
    pub max_outbox_bytes: usize,
    /// What becomes of a message above that. Default: it is refused.
    pub slow_reader: SlowReader,
    /// When more than this many bytes wait to leave, a send says so. Default 1 MiB.
    pub high_water_bytes: usize,
    /// When no more than this many are left after that, the application is told. Default 256 KiB.
    pub low_water_bytes: usize,
    /// Most topics that the connection may subscribe to, at most 65,535. Default 256: with names of 255 bytes
    /// 64 KiB of memory.
    pub max_topics: usize,
    /// Opening handshake, from the first byte. Default 10 s.
    pub handshake_timeout: u64,
    /// From a message's first byte to its last. Default 5 min: 16 MiB on a slow line.
    pub message_timeout: u64,
    /// From a stream that takes no more bytes to one that takes some. Default 60 s.
    pub write_timeout: u64,
    /// Silence before a ping is sent. Default 30 s: below the idle cut of common proxies.
    pub ping_interval: u64,
    /// From that ping to a sign of life. Default 20 s.
    pub pong_timeout: u64,
    /// From our close frame to the end of the stream; as long again while messages that were accepted before it
    /// leave. Default 5 s.
    pub close_timeout: u64,
    /// Server: subprotocols it speaks, best first; the first that the client offers is chosen unless
    /// the application chooses. Client: those it offers, best first. Default none.
    pub subprotocols: Vec<String>,
    /// Server: origins that may connect, as browsers write them; empty allows all. A request without
    /// `Origin` is not a browser's and is allowed, unless [`requires_origin`](Config::requires_origin). Default
    /// empty.
    pub origins: Vec<String>,
    /// Server: a request without `Origin` is refused too. Default no: programs that are no browsers send none.
    pub requires_origin: bool,
    /// permessage-deflate: offered (client) or agreed to (server) when present. Default absent.
    pub deflate: Option<DeflateConfig>,
    /// Who answers pings. Default the engine.
    pub pong: PongPolicy,
    /// Who answers a close frame. Default the engine.
    pub close_reply: CloseReply,
    /// Messages whole or in parts. Default whole.
    pub delivery: Delivery,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            max_head_bytes: 16 << 10,
            max_headers: 100,
            max_body_bytes: 64 << 10,
            max_message_bytes: 16 << 20,
            max_frame_bytes: 16 << 20,
            max_fragments: 128 << 10,
            max_outbox_bytes: 64 << 20,
            slow_reader: SlowReader::Refuse,
            high_water_bytes: 1 << 20,
            low_water_bytes: 256 << 10,
            max_topics: 256,
            handshake_timeout: 10_000,
            message_timeout: 300_000,
            write_timeout: 60_000,
            ping_interval: 30_000,
            pong_timeout: 20_000,
            close_timeout: 5_000,
            subprotocols: Vec::new(),
            origins: Vec::new(),
            requires_origin: false,
            deflate: None,
            pong: PongPolicy::Automatic,
            close_reply: CloseReply::Automatic,
            delivery: Delivery::Whole,
        }
    }
}

impl Config {
    /// Checks what types alone cannot: window bits, level, subprotocol names.
    pub fn check(&self) -> Result<(), Misuse> {
        if let Some(deflate) = &self.deflate {
            if cfg!(not(feature = "deflate")) {
                return Err(Misuse::ConfigInvalid("this build is without permessage-deflate"));
            }
            let bits = 8..=15;
            if !bits.contains(&deflate.server_max_window_bits) || !bits.contains(&deflate.client_max_window_bits) {
                return Err(Misuse::ConfigInvalid("window bits are 8 to 15"));
            }
            if !(1..=9).contains(&deflate.level) {
                return Err(Misuse::ConfigInvalid("the deflate level is 1 to 9"));
            }
        }
        if self.max_head_bytes == 0 || self.max_headers == 0 {
            return Err(Misuse::ConfigInvalid("a head needs at least one byte and one header"));
        }
        if self.max_topics > usize::from(u16::MAX) {
            return Err(Misuse::ConfigInvalid("a connection may have at most 65,535 topics"));
        }
        match self.subprotocols.iter().find(|name| !super::handshake::is_token(name)) {
            Some(name) => Err(Misuse::ProtocolInvalid(name.clone())),
            None => Ok(()),
        }
    }
}
