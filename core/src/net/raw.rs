//! [`Raw`]: a connection whose bytes are the application's, after a head that is handed over as it is.

use std::sync::Arc;

use super::context::ReadyState;
use super::listener::ListenOptions;
use crate::protocol::handshake::HeadFinder;
use crate::protocol::{Config, Fault, Outbox, Time};

/// Bytes in, bytes out.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) outbox: Outbox,
    /// Limits of the head and of what waits to leave.
    pub(super) config: Arc<Config>,
    /// The head, as far as it has come; kept after it was told, for whoever takes the connection.
    pub(super) head: Vec<u8>,
    pub(super) stage: Stage,
    /// For the head; later for the end of the stream.
    pub(super) deadline: Option<Time>,
    /// Nothing more will be written: the stream ends after the outbox.
    pub(super) is_finished: bool,
    pub(super) is_paused: bool,
    /// The peer has ended its half, and the handler was told.
    pub(super) is_ended: bool,
}

/// What the next bytes are.
#[derive(Debug)]
pub(super) enum Stage {
    /// Of a head.
    Head(HeadFinder),
    /// The application's.
    Bytes,
    /// Of a proxy's header; then the connection is what its listener, and the time since it came, make of it.
    Proxied { options: Arc<ListenOptions>, since: Time },
    /// Nobody's: a head was refused, and its answer leaves. So many bytes have come since.
    Refused(usize),
}

impl Raw {
    /// The application's bytes from the start.
    pub(super) fn new(config: Arc<Config>) -> Raw {
        Raw {
            outbox: Outbox::new(),
            config,
            head: Vec::new(),
            stage: Stage::Bytes,
            deadline: None,
            is_finished: false,
            is_paused: false,
            is_ended: false,
        }
    }

    /// A head first, within the limits and the deadline of `config`.
    pub(super) fn with_head(config: Arc<Config>, now: Time) -> Raw {
        let deadline = match config.handshake_timeout {
            0 => None,
            timeout => Some(now.after(timeout)),
        };
        Raw { stage: Stage::Head(HeadFinder::default()), deadline, ..Raw::new(config) }
    }

    /// A proxy's header first, which is read elsewhere; within the deadline of the opening handshake.
    pub(super) fn behind_proxy(options: Arc<ListenOptions>, now: Time) -> Raw {
        let raw = Raw::with_head(options.config.clone(), now);
        Raw { stage: Stage::Proxied { options, since: now }, is_paused: true, ..raw }
    }

    /// Takes what belongs to the head from the front of `bytes`: how many, and whether it is complete now.
    pub(super) fn push_head(&mut self, bytes: &[u8]) -> Result<(usize, bool), Fault> {
        let Stage::Head(finder) = &mut self.stage else { return Ok((0, false)) };
        let limit = self.config.max_head_bytes;
        let before = self.head.len();
        let window = bytes.len().min(limit - before);
        self.head.extend_from_slice(&bytes[..window]);
        match finder.find(&self.head) {
            Some(length) => {
                self.head.truncate(length);
                self.stage = Stage::Bytes;
                self.deadline = None;
                // What follows is read when somebody has taken the connection.
                self.is_paused = true;
                Ok((length - before, true))
            }
            None if self.head.len() >= limit => Err(Fault::HeadTooLong(limit)),
            None => Ok((window, false)),
        }
    }

    pub(super) fn ready_state(&self) -> ReadyState {
        match self.stage {
            Stage::Head(_) | Stage::Proxied { .. } => ReadyState::Connecting,
            Stage::Bytes if self.is_finished => ReadyState::Closing,
            Stage::Bytes => ReadyState::Open,
            Stage::Refused(_) => ReadyState::Closing,
        }
    }
}
