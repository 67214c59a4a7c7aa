//! [`RawStream`]: bytes, as they come.

use std::io;
use std::time::Duration;

use super::shared::{Shared, State, Waited};
use super::websocket::WebSocket;
use crate::clock;
use crate::error::Error;
use crate::protocol::{Engine, Misuse, Outbox, Time};
use crate::transport::Transport;

/// A stream of bytes that waits: for handlers that speak HTTP or frames themselves. One thread may read
/// while others write; what one call writes is never mixed with another's.
#[derive(Debug)]
pub struct RawStream {
    shared: Shared<Outbox>,
}

impl RawStream {
    /// Takes over a transport; `unread` are bytes that were read from it already. Fails when the
    /// transport has no descriptor to wait on, as a host's may.
    pub fn new(transport: Transport, unread: Vec<u8>) -> Result<RawStream, Error> {
        Ok(RawStream { shared: Shared::new(transport, Outbox::new(), unread)? })
    }

    pub(super) fn shared(&self) -> &Shared<Outbox> {
        &self.shared
    }

    /// Waits until there are bytes, and reads at least one and as many as there are and fit. 0 is the
    /// end of the stream. None when the time is up first, or a signal was handled while there was a
    /// limit: look after it and call again.
    pub fn read(&self, buffer: &mut [u8], timeout: Option<Duration>) -> Result<Option<usize>, Error> {
        let deadline = deadline(timeout);
        let mut state = self.shared.lock();
        loop {
            if let Some(n) = state.read(buffer)? {
                return Ok(Some(n));
            }
            if deadline.is_some_and(|deadline| clock::now() >= deadline) {
                return Ok(None);
            }
            let waited;
            let interest = state.interest();
            (state, waited) = self.shared.wait(state, interest, deadline);
            state.write();
            if waited == Waited::Interrupted && deadline.is_some() {
                return Ok(None);
            }
        }
    }

    /// Writes all of `bytes`, however long that takes.
    pub fn write_all(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut state = self.shared.lock();
        // Those who came earlier go first: what waits in memory is never more than one call's bytes each.
        if state.has_waiting() {
            (state, _) = self.shared.write_until(state, None, |state| !state.has_waiting())?;
        }
        state.queue(bytes)?;
        let mark = state.mark();
        self.shared.write_until(state, None, |state| state.has_left(mark)).map(drop)
    }

    /// Accepts all of `bytes` and writes what can be written without waiting; true when nothing is left.
    /// The rest leaves with [`RawStream::flush`] or any later call.
    pub fn post(&self, bytes: &[u8]) -> Result<bool, Error> {
        let mut state = self.shared.lock();
        state.queue(bytes)?;
        state.write();
        Ok(!state.has_waiting())
    }

    /// Waits until everything accepted has left: true. False when the time is up first, or a signal was
    /// handled while there was a limit.
    pub fn flush(&self, timeout: Option<Duration>) -> Result<bool, Error> {
        let state = self.shared.lock();
        Ok(self.shared.write_until(state, deadline(timeout), |state| !state.has_waiting())?.1)
    }

    /// Nothing more will be written: waits until all has left, and ends the stream in our direction.
    pub fn finish(&self) -> Result<(), Error> {
        let state = self.shared.lock();
        let (mut state, _) = self.shared.write_until(state, None, |state| !state.has_waiting())?;
        state.is_finished = true;
        state.transport.shutdown_write().map_err(|source| Error::io("end the stream", source))
    }

    /// Ends both directions now. Whoever reads sees the end, whoever writes fails.
    pub fn abort(&self) {
        self.shared.abort();
    }

    /// Asks something of the transport: the peer, the TLS certificate.
    pub fn ask<T>(&self, question: impl FnOnce(&Transport) -> T) -> T {
        question(&self.shared.lock().transport)
    }

    /// Goes on as a WebSocket whose opening handshake was done over this stream: `engine` is an
    /// [`Engine::adopted`]. What was read too far, and what was not written yet, goes with it.
    pub fn into_websocket(self, mut engine: Engine) -> Result<WebSocket, Error> {
        let State { transport, protocol, unread, .. } = self.shared.into_state();
        engine.precede(protocol);
        WebSocket::new(transport, engine, unread.into_bytes())
    }

    /// The transport and what was read too far; what waits to be written is lost, [`RawStream::flush`]
    /// first.
    pub fn into_parts(self) -> (Transport, Vec<u8>) {
        let State { transport, unread, .. } = self.shared.into_state();
        (transport, unread.into_bytes())
    }
}

impl State<Outbox> {
    fn queue(&mut self, bytes: &[u8]) -> Result<(), Misuse> {
        if self.broken.is_some() || self.is_finished {
            return Err(Misuse::Closed);
        }
        self.protocol.append(|gather| gather.extend_from_slice(bytes));
        Ok(())
    }

    /// Reads without waiting; none when there is nothing for now.
    fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Error> {
        if !self.unread.is_empty() {
            let bytes = self.unread.bytes();
            let n = bytes.len().min(buffer.len());
            buffer[..n].copy_from_slice(&bytes[..n]);
            self.unread.start += n;
            if self.unread.is_empty() {
                self.unread = Default::default();
            }
            return Ok(Some(n));
        }
        if self.is_ended || buffer.is_empty() {
            return Ok(Some(0));
        }
        match self.transport.read(buffer) {
            Ok(n) => {
                self.is_ended = n == 0;
                Ok(Some(n))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => {
                self.is_ended = true;
                match error.kind() {
                    io::ErrorKind::InvalidData => Err(Error::Tls(error.to_string())),
                    _ => Err(Error::io("receive", error)),
                }
            }
        }
    }
}

/// The moment after `timeout`.
pub(super) fn deadline(timeout: Option<Duration>) -> Option<Time> {
    timeout.map(|timeout| clock::now().after(timeout.as_millis().try_into().unwrap_or(u64::MAX)))
}
