//! Metrics
//!
//! What a loop has counted since it was made, or all loops of a server. Counting costs an addition or two per
//! message, and is always on; asking costs the loop nothing. What is counted in bytes of payload is as the
//! application sees it, uncompressed; bytes of streams are those of a plain socket, below TLS's.

use std::ffi::c_char;

use linkspan::net::{Metrics, RoundTrips};
use linkspan::protocol::Fault;

use crate::bytes::linkspan_text;
use crate::event_loop::linkspan_loop;
use crate::guard::{self, Grows, guard, guard_value};
use crate::result::linkspan_status;
use crate::server::linkspan_server;

/// How many numbers linkspan_metrics.closes has; linkspan_close_name names those that are in use.
pub const LINKSPAN_METRICS_CLOSES: usize = 32;

/// How many numbers linkspan_metrics.faults has; linkspan_rule_name names those that are in use.
pub const LINKSPAN_METRICS_FAULTS: usize = 96;

/// How many numbers linkspan_metrics.round_trip_buckets has.
pub const LINKSPAN_METRICS_ROUND_TRIPS: usize = 12;

/// What was counted. Set size, and ask linkspan_loop_metrics or linkspan_server_metrics. Numbers that belong
/// together may have been read a moment apart.
#[repr(C)]
pub struct linkspan_metrics {
    /// sizeof(linkspan_metrics).
    pub size: usize,
    /// Connections that live, opening and closing ones among them.
    pub connections: u64,
    /// Connections that listeners have accepted.
    pub accepted: u64,
    /// Times that the system let a listener accept nothing: no descriptors, no memory.
    pub accept_failures: u64,
    /// Client connections that found a socket.
    pub connected: u64,
    /// Client connections that found none: no address, no answer, a proxy's refusal.
    pub connect_failures: u64,
    /// Connections that TLS has ended.
    pub tls_failures: u64,
    /// WebSockets that have opened, adopted ones among them.
    pub opened: u64,
    /// WebSockets that never opened: not connected, refused by either side, broken off, too slow.
    pub handshakes_failed: u64,
    /// Messages that were received whole.
    pub received_messages: u64,
    /// Payload of messages received, in bytes.
    pub received_bytes: u64,
    /// Messages that were accepted for sending.
    pub sent_messages: u64,
    /// Payload of messages accepted for sending, in bytes.
    pub sent_bytes: u64,
    /// Bytes read from streams: handshakes, framing and payload.
    pub read_bytes: u64,
    /// Bytes written to streams: handshakes, framing and payload.
    pub written_bytes: u64,
    /// Payload bytes that wait for connections to take them, as of each one's last turn.
    pub waiting_bytes: u64,
    /// Sends refused because too much waited already: LINKSPAN_FULL.
    pub refused_full: u64,
    /// Sends refused because the policy for slow readers is to drop.
    pub refused_dropped: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// Times that the loop was woken from outside a turn: once for all that it finds then.
    pub wakes: u64,
    /// Commands of other threads that were carried out: sends, closes, posted tasks.
    pub commands: u64,
    /// Commands of other threads that the loop has not taken yet.
    pub queued_commands: u64,
    /// Keepalive pings sent (linkspan_config.ping_interval).
    pub pings: u64,
    /// Keepalive pings that were answered: round trips.
    pub round_trips: u64,
    /// How long they took in all, in milliseconds.
    pub round_trip_total_ms: u64,
    /// The shortest, in milliseconds; 0 while there is none.
    pub round_trip_shortest_ms: u64,
    /// The longest, in milliseconds; 0 while there is none.
    pub round_trip_longest_ms: u64,
    /// How many round trips took at most 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000 and 5000 milliseconds, and
    /// more than the number before; the last is of those that took longer.
    pub round_trip_buckets: [u64; LINKSPAN_METRICS_ROUND_TRIPS],
    /// WebSockets that had opened and have closed, by the code that on_close tells: what linkspan_close_name
    /// says of the same index.
    pub closes: [u64; LINKSPAN_METRICS_CLOSES],
    /// Connections that ended because the peer broke a rule or a deadline, by rule: what linkspan_rule_name says
    /// of the same index.
    pub faults: [u64; LINKSPAN_METRICS_FAULTS],
    /// Connections closed at once because too many came from their address already
    /// (linkspan_server_options.max_connections_per_address).
    pub refused_address: u64,
}

// SAFETY: `repr(C)`, size first, numbers only.
unsafe impl Grows for linkspan_metrics {}

// The arrays are part of the ABI; what core counts must fit.
const _: () = assert!(Metrics::CLOSES.len() <= LINKSPAN_METRICS_CLOSES);
const _: () = assert!(Fault::RULES.len() <= LINKSPAN_METRICS_FAULTS);
const _: () = assert!(RoundTrips::BOUNDS_MS.len() + 1 == LINKSPAN_METRICS_ROUND_TRIPS);

/// What a loop has counted, at once. `metrics` is filled as far as its size goes.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_loop_metrics(
    event_loop: *mut linkspan_loop,
    metrics: *mut linkspan_metrics,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        unsafe { guard::write_growing(metrics, (&guard::shared(event_loop)?.metrics()).into()) }
    })
}

/// What all loops of a server have counted, summed; with a loop of yours, what that loop has. All zero before
/// linkspan_server_start.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_metrics(
    server: *mut linkspan_server,
    metrics: *mut linkspan_metrics,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        unsafe { guard::write_growing(metrics, (&guard::shared(server)?.metrics()).into()) }
    })
}

/// The same as text in OpenMetrics 1.0, for Prometheus and others: serve it as
/// "application/openmetrics-text; version=1.0.0; charset=utf-8". It ends with a line "# EOF": it is a whole
/// answer, and several cannot be strung together.
///
/// Copied into `buffer` and ended by a NUL, as far as `capacity` bytes go (LINKSPAN_TRUNCATED); `length`,
/// unless NULL, is told how long it is without the NUL. A `capacity` of 0, with a `buffer` that may be NULL,
/// only asks for the length; the text may be longer at the next call. About 16 KiB suffice.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_loop_openmetrics(
    event_loop: *mut linkspan_loop,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        unsafe { guard::copy_text(&guard::shared(event_loop)?.metrics().openmetrics(), buffer, capacity, length) }
    })
}

/// The numbers of linkspan_server_metrics as text; see linkspan_loop_openmetrics.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_openmetrics(
    server: *mut linkspan_server,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        unsafe { guard::copy_text(&guard::shared(server)?.metrics().openmetrics(), buffer, capacity, length) }
    })
}

/// What linkspan_metrics.closes[index] counts: "1000" and every other registered code, "3xxx", "4xxx", or
/// "other". Static; absent where nothing is counted, from the first such index on.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_close_name(index: usize) -> linkspan_text {
    guard_value(linkspan_text::NONE, || Ok(Metrics::CLOSES.get(index).copied().into()))
}

/// What linkspan_metrics.faults[index] counts: the name of a rule, as in linkspan_error.rule. Static; absent where
/// nothing is counted, from the first such index on.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_rule_name(index: usize) -> linkspan_text {
    guard_value(linkspan_text::NONE, || Ok(Fault::RULES.get(index).copied().into()))
}

impl From<&Metrics> for linkspan_metrics {
    fn from(metrics: &Metrics) -> linkspan_metrics {
        linkspan_metrics {
            size: size_of::<linkspan_metrics>(),
            connections: metrics.connections,
            accepted: metrics.accepted,
            accept_failures: metrics.accept_failures,
            connected: metrics.connected,
            connect_failures: metrics.connect_failures,
            tls_failures: metrics.tls_failures,
            opened: metrics.opened,
            handshakes_failed: metrics.handshakes_failed,
            received_messages: metrics.received_messages,
            received_bytes: metrics.received_bytes,
            sent_messages: metrics.sent_messages,
            sent_bytes: metrics.sent_bytes,
            read_bytes: metrics.read_bytes,
            written_bytes: metrics.written_bytes,
            waiting_bytes: metrics.waiting_bytes,
            refused_full: metrics.refused_full,
            refused_dropped: metrics.refused_dropped,
            turns: metrics.turns,
            wakes: metrics.wakes,
            commands: metrics.commands,
            queued_commands: metrics.queued_commands,
            pings: metrics.pings,
            round_trips: metrics.round_trips.count,
            round_trip_total_ms: metrics.round_trips.total_ms,
            round_trip_shortest_ms: metrics.round_trips.shortest_ms,
            round_trip_longest_ms: metrics.round_trips.longest_ms,
            round_trip_buckets: metrics.round_trips.buckets,
            closes: padded(metrics.closes()),
            faults: padded(metrics.faults()),
            refused_address: metrics.refused_address,
        }
    }
}

/// The counts, and zeros for what later versions may count.
fn padded<const N: usize>(counts: impl Iterator<Item = (&'static str, u64)>) -> [u64; N] {
    let mut numbers = [0; N];
    for (number, (_, count)) in numbers.iter_mut().zip(counts) {
        *number = count;
    }
    numbers
}
