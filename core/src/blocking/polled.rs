//! Calls that never wait, for a caller that does the waiting itself: on a loop of its own, or with signals to look
//! after.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, poll};

use super::raw::{RawStream, deadline};
use super::shared::{Outgoing, State, timeout};
use super::websocket::{Received, Step, WebSocket};
use crate::clock;
use crate::error::Error;
use crate::protocol::{CloseCode, Engine, MessageKind, Misuse, Phase, Shutdown};

/// A descriptor, and what of it is waited for. Errors and the end count as either.
#[derive(Clone, Copy, Debug)]
pub struct Interest<'a> {
    /// The descriptor.
    pub fd: BorrowedFd<'a>,
    /// That it can be read.
    pub reading: bool,
    /// That it can be written.
    pub writing: bool,
}

/// What can be sent.
#[derive(Clone, Copy, Debug)]
pub enum Outbound<'a> {
    /// A whole message; a text must be UTF-8.
    Message(MessageKind, &'a [u8]),
    /// A fragment, and whether it is the last: see [`WebSocket::send_fragment`].
    Fragment(MessageKind, &'a [u8], bool),
    /// A ping of at most 125 bytes.
    Ping(&'a [u8]),
    /// A pong of at most 125 bytes.
    Pong(&'a [u8]),
    /// Bytes as they are, past all checks: see [`Engine::send_raw`].
    Raw(&'a [u8]),
}

impl WebSocket {
    /// What has come next, if anything has. `Closed` comes when it is over, each time again;
    /// [`WebSocket::close_info`] tells how, a peer's fault too: then not before the peer was told. An error is
    /// TLS's, once.
    pub fn try_recv(&self) -> Result<Option<Received>, Error> {
        let mut state = self.shared.lock();
        loop {
            match state.advance(clock::now()) {
                Some(Step::Received(Received::Closed)) | None => break,
                Some(Step::Received(received)) => return Ok(Some(received)),
                Some(Step::Open | Step::Request(_)) => {}
            }
        }
        if state.protocol.phase() != Phase::Closed {
            return Ok(None);
        }
        // Closing a stream that the peer still writes to would destroy the close frame on its way.
        let was_told = state.protocol.shutdown() == Shutdown::Both;
        if state.protocol.close_info().is_some_and(|info| info.fault.is_some()) && !was_told {
            return Ok(None);
        }
        match state.error.take() {
            Some(error) => Err(error),
            None => Ok(Some(Received::Closed)),
        }
    }

    /// Accepts what is to be sent and writes what can be written without waiting; true when nothing is left. The
    /// rest leaves with [`WebSocket::flush`] or any other call. Refused when too much waits already
    /// (`Config::max_outbox_bytes`).
    pub fn try_send(&self, outbound: Outbound<'_>) -> Result<bool, Error> {
        let mut state = self.shared.lock();
        state.check_open()?;
        state.put(outbound)?;
        state.write();
        Ok(!state.has_waiting())
    }

    /// Begins to close, as [`WebSocket::close`] does, without waiting for the end: go on with
    /// [`WebSocket::try_recv`] until [`WebSocket::is_over`].
    pub fn start_close(&self, code: Option<CloseCode>, reason: &str) -> Result<(), Error> {
        let mut state = self.shared.lock();
        match state.protocol.close(clock::now(), code, reason) {
            // Whoever began it.
            Ok(()) | Err(Misuse::Closed) => {}
            Err(misuse) => return Err(misuse.into()),
        }
        state.write();
        Ok(())
    }

    /// Whether the stream has ended too.
    pub fn is_over(&self) -> bool {
        self.ask(|engine| engine.shutdown() == Shutdown::Both)
    }

    /// What a receiver has to wait for: this, or so long at the most. Another call in between may change it.
    pub fn awaits(&self) -> (Interest<'_>, Option<Duration>) {
        let state = self.shared.lock();
        (interest(&state, self.as_fd()), left(&state))
    }

    /// Waits for what [`WebSocket::awaits`] says, at most for `limit`; a signal ends the wait too.
    pub fn wait(&self, limit: Option<Duration>) {
        let (interest, left) = self.awaits();
        wait_for(&[interest], limit.into_iter().chain(left).min());
    }

    /// Goes on with the opening handshake of a client; true once it is done.
    pub(super) fn try_open(&self) -> Result<bool, Error> {
        let mut state = self.shared.lock();
        loop {
            match state.advance(clock::now()) {
                Some(Step::Open) => return Ok(true),
                // A client is asked nothing.
                Some(Step::Request(_)) => {}
                Some(Step::Received(Received::Closed)) => {
                    let fault = state.protocol.close_info().and_then(|info| info.fault.clone());
                    return Err(state.error.take().or(fault.map(Error::Fault)).unwrap_or(Error::Gone));
                }
                Some(Step::Received(_)) => {}
                None => return Ok(false),
            }
        }
    }
}

/// The descriptor to wait on; it is the WebSocket's, not to be read, written or closed.
impl AsFd for WebSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.waiting()
    }
}

impl RawStream {
    /// What a reader has to wait for.
    pub fn awaits(&self) -> Interest<'_> {
        interest(&self.shared().lock(), self.as_fd())
    }
}

/// The descriptor to wait on; it is the stream's, not to be read, written or closed.
impl AsFd for RawStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared().waiting()
    }
}

impl State<Engine> {
    fn put(&mut self, outbound: Outbound<'_>) -> Result<(), Misuse> {
        match outbound {
            Outbound::Message(kind, data) => self.put_message(kind, data),
            Outbound::Fragment(kind, data, fin) => self.protocol.send_fragment(kind, data, fin),
            Outbound::Ping(payload) => self.protocol.ping(payload),
            Outbound::Pong(payload) => self.protocol.pong(payload),
            Outbound::Raw(bytes) => self.protocol.send_raw(bytes),
        }
    }
}

fn interest<'a, P: Outgoing>(state: &State<P>, fd: BorrowedFd<'a>) -> Interest<'a> {
    let flags = state.interest();
    Interest { fd, reading: flags.contains(PollFlags::POLLIN), writing: flags.contains(PollFlags::POLLOUT) }
}

fn left(state: &State<Engine>) -> Option<Duration> {
    state.protocol.next_timeout().map(|until| until.since(clock::now()))
}

/// Waits for any of these, at most for `limit`, or until a signal.
pub(super) fn wait_for(interests: &[Interest<'_>], limit: Option<Duration>) {
    let watched = interests.iter().map(|interest| {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, interest.reading);
        flags.set(PollFlags::POLLOUT, interest.writing);
        PollFd::new(interest.fd, flags)
    });
    // Whatever it says, the next step looks for itself.
    let _ = poll(&mut watched.collect::<Vec<_>>(), timeout(deadline(limit)));
}
