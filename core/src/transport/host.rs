//! [`HostTransport`]: a host's own way to read and write, such as Apache's filter chain.

use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;

/// A host's own transport. No call may wait.
///
/// What the driver promises:
/// - every call, `close` included, comes from the one thread that drives the connection; in a loop,
///   the loop's;
/// - it reads once when it adopts the connection, without waiting for readiness: bytes may stand in
///   the host's buffers while the socket is silent;
/// - readiness is edge-triggered, so it reads until `WouldBlock`, or comes back by itself when its
///   budget ended before; it takes a short read for the last only where [`HostTransport::short_read_drains`];
/// - `close` comes exactly once and last.
///
/// What the host promises: the end of the stream may show late, on a read after the one that gave the
/// last bytes, but it shows on some read without further readiness; where short reads drain, on the next.
pub trait HostTransport: Send {
    /// Reads some bytes: 0 is the end of the stream, `WouldBlock` nothing for now.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Whether a read that does not fill its buffer has taken all that there is, so that the next readiness tells of
    /// more. It saves a read for each message; a host that keeps bytes of its own, as TLS does, cannot say so.
    fn short_read_drains(&self) -> bool {
        false
    }

    /// Takes bytes from the front of the slices, in order, and says how many; `WouldBlock` is none.
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Sends what the host holds back; true when nothing is left. Called again once writable.
    fn flush(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    /// Whether something waits for `flush`.
    fn has_pending_write(&self) -> bool {
        false
    }

    /// Nothing more will be written; reading goes on. A host that cannot half-close does nothing.
    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// The connection is the host's again, or is to be ended.
    fn close(&mut self);

    /// The socket to wait on. None when the host wakes the driver by other means.
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// The other end, as the host calls it.
    fn peer(&self) -> String {
        "host".into()
    }

    /// Whether the bytes are encrypted on their way.
    fn is_secure(&self) -> bool {
        false
    }
}

/// A [`HostTransport`] that is closed exactly once.
pub struct HostStream {
    host: Box<dyn HostTransport>,
    is_closed: bool,
}

impl HostStream {
    pub(super) fn new(host: Box<dyn HostTransport>) -> HostStream {
        HostStream { host, is_closed: false }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_closed { Ok(0) } else { self.host.read(buffer) }
    }

    #[inline]
    pub(super) fn short_read_drains(&self) -> bool {
        self.host.short_read_drains()
    }

    pub(super) fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.is_closed { Err(io::ErrorKind::BrokenPipe.into()) } else { self.host.write(slices) }
    }

    pub(super) fn flush(&mut self) -> io::Result<bool> {
        if self.is_closed { Ok(true) } else { self.host.flush() }
    }

    pub(super) fn has_pending_write(&self) -> bool {
        !self.is_closed && self.host.has_pending_write()
    }

    pub(super) fn shutdown_write(&mut self) -> io::Result<()> {
        if self.is_closed { Ok(()) } else { self.host.shutdown_write() }
    }

    pub(super) fn close(&mut self) {
        if !std::mem::replace(&mut self.is_closed, true) {
            self.host.close();
        }
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        if self.is_closed { None } else { self.host.fd() }
    }

    pub(super) fn peer(&self) -> String {
        self.host.peer()
    }

    pub(super) fn is_secure(&self) -> bool {
        self.host.is_secure()
    }
}

impl Drop for HostStream {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for HostStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostStream({})", self.peer())
    }
}
