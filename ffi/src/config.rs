//! Limits and wishes
//!
//! In every struct that begins with `size`, zero means the default: fill it with its init function, or with
//! a designated initialiser (`linkspan_config config = {.size = sizeof config, .deflate = 1};`), and set what
//! differs. LINKSPAN_NEVER turns a timeout off.

use std::ffi::{c_char, c_int};

use linkspan::protocol::{CloseReply, Config, DeflateConfig, Delivery, PongPolicy, SlowReader};

use crate::guard::{self, Grows};
use crate::result::{Failure, LINKSPAN_INVALID_ARGUMENT};

/// A timeout that never comes; a limit that is not there.
pub const LINKSPAN_NEVER: u64 = u64::MAX;

/// What becomes of a message when more than max_outbox_bytes would wait for a peer that reads too slowly. One that is
/// longer than that by itself is LINKSPAN_FULL always.
pub type linkspan_slow_reader = i32;

/// It is refused: LINKSPAN_FULL. A published one is dropped and counted (linkspan_connection_dropped).
pub const LINKSPAN_SLOW_REFUSE: linkspan_slow_reader = 0;

/// The connection ends at once: LINKSPAN_CLOSED, on_error with the rule "slow-reader", and on_close with 1006.
pub const LINKSPAN_SLOW_CLOSE: linkspan_slow_reader = 1;

/// It is dropped and counted: LINKSPAN_DROPPED. A fragment is refused, for its message would have a hole.
pub const LINKSPAN_SLOW_DROP: linkspan_slow_reader = 2;

/// The sending thread waits until there is room, at most write_timeout (then LINKSPAN_FULL), or until the
/// connection ends (LINKSPAN_CLOSED). A thread that runs a loop never waits: there, and for what is published, it is
/// as LINKSPAN_SLOW_REFUSE.
pub const LINKSPAN_SLOW_BLOCK: linkspan_slow_reader = 3;

/// Limits, timeouts and wishes of each connection of a server or client. Zero is the default.
#[repr(C)]
pub struct linkspan_config {
    /// sizeof(linkspan_config).
    pub size: usize,
    /// Longest HTTP head, in bytes. Default 16 KiB.
    pub max_head_bytes: u32,
    /// Most header lines in a head. Default 100.
    pub max_headers: u32,
    /// Longest message, after inflating, in bytes. Default 16 MiB. A longer one closes with 1009.
    pub max_message_bytes: u64,
    /// Longest single frame, in bytes. Default 16 MiB.
    pub max_frame_bytes: u64,
    /// Most bytes waiting to leave. Default 64 MiB. Above it a send returns LINKSPAN_FULL, or what slow_reader says.
    pub max_outbox_bytes: u64,
    /// More than this many bytes waiting: a send returns LINKSPAN_BUFFERED, and on_drained will follow.
    /// Default 1 MiB.
    pub high_water_bytes: u64,
    /// on_drained comes when no more than this many bytes wait again. Default 256 KiB.
    pub low_water_bytes: u64,
    /// Most fragments of one message. Default 131072.
    pub max_fragments: u32,
    /// Client: longest body of a refused handshake that is kept, in bytes. Default 64 KiB.
    pub max_body_bytes: u32,
    /// Opening handshake, in milliseconds. Default 10000.
    pub handshake_timeout: u64,
    /// From a message's first byte to its last, in milliseconds. Default 300000.
    pub message_timeout: u64,
    /// From a stream that takes no more bytes to one that takes some, in milliseconds. Default 60000.
    pub write_timeout: u64,
    /// Silence before a ping is sent, in milliseconds. Default 30000.
    pub ping_interval: u64,
    /// From that ping to a sign of life, in milliseconds. Default 20000.
    pub pong_timeout: u64,
    /// From our close frame to the end of the stream, in milliseconds; as long again while messages that were
    /// accepted before it leave. Default 5000.
    pub close_timeout: u64,
    /// Subprotocols, best first, separated by commas: those that a server speaks, or that a client offers.
    /// NULL: none.
    pub subprotocols: *const c_char,
    /// Server: origins whose pages may connect, as browsers write them, separated by commas
    /// ("https://example.com"). A request without Origin is not a page's, and is allowed unless require_origin.
    /// NULL: all.
    pub origins: *const c_char,
    /// Non-zero: permessage-deflate is offered (client) or agreed to (server).
    pub deflate: c_int,
    /// Effort of the compressor, 1 to 9. Default 6.
    pub deflate_level: c_int,
    /// Messages below this many bytes are sent as they are. Default 32; 1 compresses all.
    pub deflate_min_bytes: u64,
    /// The server's window, 8 to 15 bits. Default 15.
    pub server_max_window_bits: c_int,
    /// The client's window, 8 to 15 bits. Default 15.
    pub client_max_window_bits: c_int,
    /// Non-zero: the server compresses each message on its own: less memory, longer messages.
    pub server_no_context_takeover: c_int,
    /// Non-zero: so does the client.
    pub client_no_context_takeover: c_int,
    /// Non-zero: pings are not answered by the library, but by linkspan_connection_pong in on_ping.
    pub manual_pong: c_int,
    /// Non-zero: a peer's close frame is not answered by the library, but by linkspan_connection_close in
    /// on_close_requested.
    pub manual_close: c_int,
    /// Non-zero: messages come as on_message_begin, on_message_part and on_message_end, and are never in
    /// memory whole.
    pub parts: c_int,
    /// Most topics that a connection may subscribe to, at most 65535. Default 256.
    pub max_topics: u32,
    /// What becomes of messages for a peer that reads too slowly: LINKSPAN_SLOW_REFUSE, _CLOSE, _DROP or _BLOCK.
    pub slow_reader: linkspan_slow_reader,
    /// Server, non-zero: a request without Origin is refused too, with 400. Default: allowed, because programs
    /// that are no browsers send none.
    pub require_origin: c_int,
}

// SAFETY: `repr(C)`, size first, numbers and pointers only.
unsafe impl Grows for linkspan_config {}

/// What C asks for, checked.
///
/// # Safety
/// `config` is NULL or as linkspan_config says, its texts ended by a NUL.
pub(crate) unsafe fn read(config: *const linkspan_config) -> Result<Config, Failure> {
    // SAFETY: the caller's duty.
    let wanted = unsafe { guard::growing_or_default(config) }?;
    let mut config = Config::default();
    set(&mut config.max_head_bytes, wanted.max_head_bytes as usize);
    set(&mut config.max_headers, wanted.max_headers as usize);
    set(&mut config.max_message_bytes, wanted.max_message_bytes);
    set(&mut config.max_frame_bytes, wanted.max_frame_bytes);
    set(&mut config.max_outbox_bytes, usize::try_from(wanted.max_outbox_bytes).unwrap_or(usize::MAX));
    set(&mut config.high_water_bytes, usize::try_from(wanted.high_water_bytes).unwrap_or(usize::MAX));
    set(&mut config.low_water_bytes, usize::try_from(wanted.low_water_bytes).unwrap_or(usize::MAX));
    set(&mut config.max_fragments, wanted.max_fragments);
    set(&mut config.max_body_bytes, wanted.max_body_bytes as usize);
    set_timeout(&mut config.handshake_timeout, wanted.handshake_timeout);
    set_timeout(&mut config.message_timeout, wanted.message_timeout);
    set_timeout(&mut config.write_timeout, wanted.write_timeout);
    set_timeout(&mut config.ping_interval, wanted.ping_interval);
    set_timeout(&mut config.pong_timeout, wanted.pong_timeout);
    set_timeout(&mut config.close_timeout, wanted.close_timeout);
    // SAFETY: the caller's duty.
    config.subprotocols = list(unsafe { guard::optional_string(wanted.subprotocols) }?);
    // SAFETY: the caller's duty.
    config.origins = list(unsafe { guard::optional_string(wanted.origins) }?);
    config.requires_origin = wanted.require_origin != 0;
    config.deflate = (wanted.deflate != 0).then(|| deflate(&wanted)).transpose()?;
    config.pong = if wanted.manual_pong != 0 { PongPolicy::Manual } else { PongPolicy::Automatic };
    config.close_reply = if wanted.manual_close != 0 { CloseReply::Application } else { CloseReply::Automatic };
    config.delivery = if wanted.parts != 0 { Delivery::Parts } else { Delivery::Whole };
    config.slow_reader = slow_reader(wanted.slow_reader)?;
    set(&mut config.max_topics, wanted.max_topics as usize);
    config.check()?;
    Ok(config)
}

fn deflate(wanted: &linkspan_config) -> Result<DeflateConfig, Failure> {
    let mut deflate = DeflateConfig {
        server_no_context_takeover: wanted.server_no_context_takeover != 0,
        client_no_context_takeover: wanted.client_no_context_takeover != 0,
        ..DeflateConfig::default()
    };
    set(&mut deflate.level, small(wanted.deflate_level)?);
    set(&mut deflate.server_max_window_bits, small(wanted.server_max_window_bits)?);
    set(&mut deflate.client_max_window_bits, small(wanted.client_max_window_bits)?);
    match wanted.deflate_min_bytes {
        0 => {}
        // All: the empty message too.
        1 => deflate.min_bytes = 0,
        bytes => deflate.min_bytes = usize::try_from(bytes).unwrap_or(usize::MAX),
    }
    Ok(deflate)
}

fn slow_reader(number: linkspan_slow_reader) -> Result<SlowReader, Failure> {
    match number {
        LINKSPAN_SLOW_REFUSE => Ok(SlowReader::Refuse),
        LINKSPAN_SLOW_CLOSE => Ok(SlowReader::Close),
        LINKSPAN_SLOW_DROP => Ok(SlowReader::Drop),
        LINKSPAN_SLOW_BLOCK => Ok(SlowReader::Block),
        _ => Err(Failure::new(LINKSPAN_INVALID_ARGUMENT, format!("{number} is no policy for slow readers"))),
    }
}

fn small(number: c_int) -> Result<u8, Failure> {
    u8::try_from(number)
        .map_err(|_| Failure::new(LINKSPAN_INVALID_ARGUMENT, format!("{number} is no deflate level or window")))
}

/// Zero leaves the default.
pub(crate) fn set<T: Default + PartialEq>(field: &mut T, wanted: T) {
    if wanted != T::default() {
        *field = wanted;
    }
}

/// Zero leaves the default; LINKSPAN_NEVER is core's zero.
pub(crate) fn set_timeout(field: &mut u64, wanted: u64) {
    match wanted {
        0 => {}
        LINKSPAN_NEVER => *field = 0,
        milliseconds => *field = milliseconds,
    }
}

fn list(text: Option<&str>) -> Vec<String> {
    let items = text.unwrap_or_default().split(',').map(str::trim);
    items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
}
