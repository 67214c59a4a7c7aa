//! [`Socket`]: a connected stream socket, TCP or Unix, that never waits and never signals.
//!
//! It reads and writes by bare system calls: in a process with threads the C library's are points where a
//! thread may be cancelled, and pay for that each time.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};
use socket2::{Domain, Type};

use super::Peer;

/// A connected stream socket, TCP or Unix. Non-blocking; small writes leave at once (TCP_NODELAY);
/// a write to a peer that has gone is an error and never SIGPIPE.
#[derive(Debug)]
pub struct Socket(socket2::Socket);

impl Socket {
    /// Takes over a connected stream socket, or one whose connecting is under way.
    pub fn new(socket: socket2::Socket) -> io::Result<Socket> {
        socket.set_nonblocking(true)?;
        // A Unix socket has no such option and needs none.
        let _ = socket.set_tcp_nodelay(true);
        Ok(Socket(socket))
    }

    /// Takes over a connected stream socket that somebody else opened.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Socket> {
        Socket::new(fd.into())
    }

    /// Two sockets connected to each other.
    pub fn pair() -> io::Result<(Socket, Socket)> {
        let (a, b) = socket2::Socket::pair(Domain::UNIX, Type::STREAM, None)?;
        Ok((Socket::new(a)?, Socket::new(b)?))
    }

    /// Reads what is there: 0 is the end of the stream, `WouldBlock` nothing for now.
    #[inline]
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        retry(|| recv(&self.0, &mut *buffer, RecvFlags::empty()).map(|(n, _)| n))
    }

    /// The same, but what is read stays there to be read again.
    pub(crate) fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        retry(|| recv(&self.0, &mut *buffer, RecvFlags::PEEK).map(|(n, _)| n))
    }

    /// Writes from the front of the slices what the kernel takes, and says how many bytes.
    #[inline]
    pub fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        retry(|| match slices {
            [only] => send(&self.0, only, SendFlags::NOSIGNAL),
            several => sendmsg(&self.0, several, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL),
        })
    }

    /// Ends the stream in our direction.
    pub fn shutdown_write(&self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }

    /// Ends both directions; whoever waits for this socket wakes up. Fails silently when it has ended.
    pub fn shutdown_both(&self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }

    /// The other end.
    pub fn peer(&self) -> Peer {
        self.0.peer_addr().map_or(Peer::Unknown, Peer::from)
    }

    /// Our end.
    pub fn local(&self) -> Peer {
        self.0.local_addr().map_or(Peer::Unknown, Peer::from)
    }

    /// The error that waits on the socket, taken away; none means that connecting succeeded.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.take_error()
    }

    /// Connects; `EINPROGRESS` means that it goes on, and ends in writability.
    pub(crate) fn connect(&self, address: &socket2::SockAddr) -> io::Result<()> {
        self.0.connect(address)
    }

    /// Whether there is a peer.
    pub(crate) fn is_connected(&self) -> bool {
        self.0.peer_addr().is_ok()
    }

    /// Another handle of the same socket.
    pub fn try_clone(&self) -> io::Result<Socket> {
        Ok(Socket(self.0.try_clone()?))
    }
}

impl TryFrom<OwnedFd> for Socket {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<Socket> {
        Socket::new(socket2::Socket::from(fd))
    }
}

impl TryFrom<std::net::TcpStream> for Socket {
    type Error = io::Error;

    fn try_from(stream: std::net::TcpStream) -> io::Result<Socket> {
        Socket::new(socket2::Socket::from(stream))
    }
}

impl TryFrom<std::os::unix::net::UnixStream> for Socket {
    type Error = io::Error;

    fn try_from(stream: std::os::unix::net::UnixStream) -> io::Result<Socket> {
        Socket::new(socket2::Socket::from(stream))
    }
}

impl From<Socket> for OwnedFd {
    fn from(socket: Socket) -> OwnedFd {
        socket.0.into()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A signal that came in between is no answer.
#[inline]
fn retry(mut call: impl FnMut() -> Result<usize, Errno>) -> io::Result<usize> {
    loop {
        match call() {
            Ok(n) => return Ok(n),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
