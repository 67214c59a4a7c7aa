//! [`Transport`]: the bytes of one connection, plain, through TLS, or by a host's own means.
//!
//! Nothing here waits, and nothing here knows what the bytes mean. Both drivers stand on it.
//!
//! ```text
//!   driver ─► Transport ─┬─ Plain ─► Socket
//!                        ├─ Tls ───► records ─► another Transport: a Socket, or TLS to a proxy
//!                        └─ Host ──► the host's table {read, write, flush, close}
//! ```

mod host;
mod peer;
mod socket;
#[cfg(feature = "tls")]
mod tls_session;
#[cfg(feature = "tls")]
mod tls_stream;

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};

pub use self::host::{HostStream, HostTransport};
pub use self::peer::Peer;
pub use self::socket::Socket;
#[cfg(feature = "tls")]
pub use self::tls_stream::TlsStream;
use crate::error::Error;
use crate::tls::{ClientTls, ServerTls};

/// The bytes of one connection. Two words; none of its verbs ever waits.
#[derive(Debug)]
pub enum Transport {
    /// A socket, as it is.
    Plain(Socket),
    /// Through TLS.
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream>),
    /// The host's own: Apache's filters, a test's memory.
    Host(Box<HostStream>),
}

impl Transport {
    /// Bytes straight from and to `socket`.
    pub fn plain(socket: Socket) -> Transport {
        Transport::Plain(socket)
    }

    /// Bytes by the host's own means.
    pub fn host(host: impl HostTransport + 'static) -> Transport {
        Transport::Host(Box::new(HostStream::new(Box::new(host))))
    }

    /// TLS over `socket`, as the server. The handshake goes on inside reads, writes and flushes.
    pub fn tls_server(socket: Socket, tls: &ServerTls) -> Result<Transport, Error> {
        #[cfg(feature = "tls")]
        return Ok(Transport::Tls(Box::new(TlsStream::server(socket.into(), tls)?)));
        #[cfg(not(feature = "tls"))]
        return tls.never(socket);
    }

    /// TLS over a socket, or over another transport, as the client of `host`, a name or an address. The
    /// handshake goes on inside reads, writes and flushes. Fails when `host` can be in no certificate.
    pub fn tls_client(carrier: impl Into<Transport>, tls: &ClientTls, host: &str) -> Result<Transport, Error> {
        #[cfg(feature = "tls")]
        return Ok(Transport::Tls(Box::new(TlsStream::client(carrier.into(), tls, host)?)));
        #[cfg(not(feature = "tls"))]
        return tls.never((carrier.into(), host));
    }

    /// Reads into `buffer` and says how many bytes came. 0 is the end of the stream, for TLS also
    /// when the peer left without saying so: a WebSocket has its own close. `WouldBlock` means that
    /// all is read for now. During a TLS handshake this takes the handshake further.
    ///
    /// Any other error is the end. A TLS error has the kind `InvalidData` (`UnexpectedEof` where the peer
    /// left during the handshake) and a sentence as its text; the peer has been told where that was possible.
    #[inline]
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(socket) => socket.read(buffer),
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.read(buffer),
            Transport::Host(host) => host.read(buffer),
        }
    }

    /// Whether a [`Transport::read`] that does not fill its buffer has drained the transport, so that
    /// the next readiness will tell of more. Where not, only `WouldBlock` says so.
    #[inline]
    pub fn short_read_drains(&self) -> bool {
        match self {
            Transport::Plain(_) => true,
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.short_read_drains(),
            Transport::Host(host) => host.short_read_drains(),
        }
    }

    /// Writes the slices in order and says how many bytes were accepted: these are the transport's
    /// from now on, though some may still wait in it ([`Transport::has_pending_write`]).
    /// `WouldBlock` means none: wait until writable, or for a handshake to end. A peer that has gone
    /// is an error, never a signal.
    #[inline]
    pub fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Transport::Plain(socket) => socket.write(slices),
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.write(slices),
            Transport::Host(host) => host.write(slices),
        }
    }

    /// Sends what waits inside; true when nothing is left. When false, call it again once writable.
    pub fn flush(&mut self) -> io::Result<bool> {
        match self {
            Transport::Plain(_) => Ok(true),
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.flush(),
            Transport::Host(host) => host.flush(),
        }
    }

    /// Whether accepted bytes still wait inside for [`Transport::flush`].
    #[inline]
    pub fn has_pending_write(&self) -> bool {
        match self {
            Transport::Plain(_) => false,
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.has_pending_write(),
            Transport::Host(host) => host.has_pending_write(),
        }
    }

    /// Whether the next [`Transport::read`] may give bytes though the socket stays silent: look before
    /// waiting for readiness.
    #[inline]
    pub fn has_buffered_plaintext(&self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.has_buffered_plaintext(),
            Transport::Plain(_) | Transport::Host(_) => false,
        }
    }

    /// Nothing more will be written: sends TLS's close_notify where there is TLS, then the end of the
    /// stream. Bytes that wait inside go first as far as the socket takes them; ask
    /// [`Transport::flush`] before. Reading goes on.
    pub fn shutdown_write(&mut self) -> io::Result<()> {
        match self {
            Transport::Plain(socket) => socket.shutdown_write(),
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.shutdown_write(),
            Transport::Host(host) => host.shutdown_write(),
        }
    }

    /// Ends both directions now. Whoever waits for the socket, in whatever thread, wakes up.
    pub fn abort(&mut self) {
        match self {
            Transport::Plain(socket) => socket.shutdown_both(),
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.carrier_mut().abort(),
            Transport::Host(host) => host.close(),
        }
    }

    /// Whether a TLS handshake is still under way; plain transports have none.
    #[inline]
    pub fn is_handshaking(&self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.is_handshaking(),
            Transport::Plain(_) | Transport::Host(_) => false,
        }
    }

    /// Whether the bytes are encrypted on their way, as far as this end knows.
    pub fn is_secure(&self) -> bool {
        match self {
            Transport::Plain(_) => false,
            #[cfg(feature = "tls")]
            Transport::Tls(_) => true,
            Transport::Host(host) => host.is_secure(),
        }
    }

    /// What to wait on for readiness; none when the host tells of readiness itself.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Transport::Plain(socket) => Some(socket.as_fd()),
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.carrier().fd(),
            Transport::Host(host) => host.fd(),
        }
    }

    /// The other end. Asked of the system each time: keep it if you need it after the end.
    pub fn peer(&self) -> Peer {
        match self {
            Transport::Plain(socket) => socket.peer(),
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.carrier().peer(),
            Transport::Host(host) => Peer::Host(host.peer()),
        }
    }

    /// The protocol that TLS agreed to (ALPN): `http/1.1`, or none.
    pub fn alpn(&self) -> Option<&[u8]> {
        match self {
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.alpn(),
            Transport::Plain(_) | Transport::Host(_) => None,
        }
    }

    /// The server name that the TLS client asked for (SNI), in lower case.
    pub fn server_name(&self) -> Option<&str> {
        match self {
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.server_name(),
            Transport::Plain(_) | Transport::Host(_) => None,
        }
    }

    /// The peer's own TLS certificate, DER, where it showed one.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        match self {
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.peer_certificate(),
            Transport::Plain(_) | Transport::Host(_) => None,
        }
    }
}

impl From<Socket> for Transport {
    fn from(socket: Socket) -> Transport {
        Transport::Plain(socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transport_is_two_words() {
        assert!(size_of::<Transport>() <= 16, "{}", size_of::<Transport>());
    }

    #[test]
    fn slices_leave_in_order_and_the_end_is_seen() {
        let (a, b) = Socket::pair().unwrap();
        let (mut a, mut b) = (Transport::plain(a), Transport::plain(b));
        let mut buffer = [0; 16];
        assert_eq!(b.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(a.write(&[IoSlice::new(b"one"), IoSlice::new(b""), IoSlice::new(b"two")]).unwrap(), 6);
        assert_eq!(b.read(&mut buffer).unwrap(), 6);
        assert_eq!(&buffer[..6], b"onetwo");
        a.shutdown_write().unwrap();
        assert_eq!(b.read(&mut buffer).unwrap(), 0);
        assert_eq!(b.write(&[IoSlice::new(b"still open")]).unwrap(), 10);
        assert_eq!(a.read(&mut buffer).unwrap(), 10);
    }

    #[test]
    fn a_peer_that_has_gone_is_an_error_and_no_signal() {
        let (a, b) = Socket::pair().unwrap();
        drop(b);
        let mut a = Transport::plain(a);
        let error = a.write(&[IoSlice::new(b"anyone there")]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_host_is_closed_once() {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicUsize, Ordering};

        #[derive(Default)]
        struct Counting(Arc<AtomicUsize>);
        impl HostTransport for Counting {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::WouldBlock.into())
            }
            fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
                Ok(slices.iter().map(|slice| slice.len()).sum())
            }
            fn close(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }

        let closed = Arc::new(AtomicUsize::new(0));
        drop(Transport::host(Counting(closed.clone())));
        assert_eq!(closed.load(Ordering::Relaxed), 1);
        let mut aborted = Transport::host(Counting(closed.clone()));
        aborted.abort();
        assert_eq!(aborted.read(&mut [0]).unwrap(), 0);
        assert!(aborted.write(&[IoSlice::new(b"x")]).is_err());
        drop(aborted);
        assert_eq!(closed.load(Ordering::Relaxed), 2);
    }
}
