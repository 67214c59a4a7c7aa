//! [`Listener`]: where connections come from. TCP, Unix, or a descriptor that somebody else opened.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use crate::error::Error;
use crate::protocol::Config;
use crate::transport::{Socket, Transport};

/// How heads are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Heads {
    /// Parsed, judged and answered here.
    #[default]
    Parsed,
    /// Handed over raw.
    Raw,
}

/// How a listener's connections are served.
#[derive(Clone, Debug, Default)]
pub struct ListenOptions {
    /// Limits and wishes.
    pub config: Arc<Config>,
    /// How heads are read.
    pub heads: Heads,
}

impl ListenOptions {
    pub(super) fn transport(&self, socket: Socket) -> Result<Transport, Error> {
        Ok(Transport::plain(socket))
    }
}

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: socket2::Socket,
}

impl Listener {
    /// Listens on the first address that can be bound.
    pub fn tcp(address: impl ToSocketAddrs) -> Result<Listener, Error> {
        let address = address.to_socket_addrs().ok().and_then(|mut a| a.next()).ok_or(Error::Gone)?;
        let listen = |address: SocketAddr| -> io::Result<socket2::Socket> {
            let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(1024)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let socket = listen(address).map_err(|source| Error::io(format!("listen on {address}"), source))?;
        Ok(Listener { socket })
    }
    /// Its own address.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()?.as_socket()
    }
    pub(super) fn accept(&mut self) -> io::Result<Option<Socket>> {
        match self.socket.accept() {
            Ok((socket, _)) => Socket::new(socket).map(Some),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
