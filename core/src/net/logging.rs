//! What a loop tells the log of its connections; the rules of what may be said are [`log`]'s.

use std::fmt;
use std::time::Duration;

use super::connection::ConnectionId;
use super::context::Context;
use crate::error::Error;
use crate::log::{self, Level};
use crate::protocol::CloseInfo;
use crate::transport::Peer;

/// Why a connection ends.
#[cold]
pub(super) fn log_error(id: ConnectionId, error: &Error) {
    log::tell(Level::Warning, id.as_u64(), format_args!("{}", Named(error)));
}

/// Why a listener's connection ends that the application has not heard of.
#[cold]
pub(super) fn log_refused(cx: &Context<'_>, id: ConnectionId, error: &Error) {
    if log::is_heard(Level::Warning) {
        let peer = cx.peer(id).unwrap_or(Peer::Unknown);
        log::tell(Level::Warning, id.as_u64(), format_args!("refused a connection from {peer}: {}", Named(error)));
    }
}

/// A fault with its rule's name before it.
struct Named<'a>(&'a Error);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Error::Fault(fault) = self.0 {
            write!(f, "{}: ", fault.rule())?;
        }
        self.0.fmt(f)
    }
}

pub(super) fn log_open(cx: &Context<'_>, id: ConnectionId) {
    if log::is_heard(Level::Debug) {
        match cx.peer(id) {
            Some(peer) => log::tell(Level::Debug, id.as_u64(), format_args!("open with {peer}")),
            None => log::tell(Level::Debug, id.as_u64(), format_args!("open")),
        }
    }
}

/// The reason stays the peer's: it may be anything.
pub(super) fn log_close(id: ConnectionId, info: &CloseInfo, begins_again_in: Option<Duration>) {
    let how = if info.clean { "cleanly" } else { "not cleanly" };
    match info.unsent_bytes {
        0 => log::tell(Level::Debug, id.as_u64(), format_args!("closed with {}, {how}", info.code)),
        unsent => {
            log::tell(
                Level::Debug,
                id.as_u64(),
                format_args!("closed with {}, {how}, {unsent} bytes unsent", info.code),
            );
        }
    }
    if let Some(delay) = begins_again_in {
        log::tell(Level::Debug, id.as_u64(), format_args!("begins again in {} ms", delay.as_millis()));
    }
}

/// A slow reader misses messages: told of the first, and then ever less often.
pub(super) fn log_drops(id: ConnectionId, count: u64) {
    if count.is_power_of_two() {
        let messages = if count == 1 { "message was" } else { "messages were" };
        log::tell(Level::Warning, id.as_u64(), format_args!("it reads too slowly: {count} {messages} not sent to it"));
    }
}
