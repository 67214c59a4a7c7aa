//! [`Peer`]: who is at the other end.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use socket2::SockAddr;

/// An end of a connection, or the address that a listener listens on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A Unix socket, with its path when it is bound to one; a client's seldom is.
    Unix(Option<PathBuf>),
    /// What the host says.
    Host(String),
    /// The connection has ended already, and the system no longer knows.
    Unknown,
}

impl Peer {
    /// Address and port, where there are any.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Peer::Tcp(address) => Some(*address),
            Peer::Unix(_) | Peer::Host(_) | Peer::Unknown => None,
        }
    }
}

impl From<SockAddr> for Peer {
    fn from(address: SockAddr) -> Peer {
        match address.as_socket() {
            Some(address) => Peer::Tcp(address),
            None => Peer::Unix(address.as_pathname().map(PathBuf::from)),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Tcp(address) => address.fmt(f),
            Peer::Unix(Some(path)) => path.display().fmt(f),
            Peer::Unix(None) => f.write_str("unix"),
            Peer::Host(name) => f.write_str(name),
            Peer::Unknown => f.write_str("unknown"),
        }
    }
}
