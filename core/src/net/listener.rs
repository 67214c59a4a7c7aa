//! [`Listener`]: where connections come from.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use socket2::{Domain, SockAddr, Type};

use super::systemd;
use crate::error::Error;
use crate::protocol::Config;
use crate::tls::ServerTls;
use crate::transport::{Peer, Socket};

/// A socket that listens: TCP, Unix, or one that somebody else opened. Non-blocking.
#[derive(Debug)]
pub struct Listener {
    socket: socket2::Socket,
    /// The socket file to take away at the end.
    _file: Option<SocketFile>,
}

impl Listener {
    /// Listens on the first of the addresses that can be had. A port in use is an error that names it;
    /// port 0 picks a free one, see [`Listener::local_addr`].
    pub fn tcp(addresses: impl ToSocketAddrs) -> Result<Listener, Error> {
        Listener::tcp_beside(addresses, false, &[])
    }

    /// As [`Listener::tcp`], but shares the port with every other socket of this user that asks for the
    /// same (SO_REUSEPORT); the kernel spreads new connections among them.
    pub fn tcp_reuse_port(addresses: impl ToSocketAddrs) -> Result<Listener, Error> {
        Listener::tcp_beside(addresses, true, &[])
    }

    /// As the two above, beside other listeners of the same server. `::` takes connections to IPv4 addresses too,
    /// unless one of those listens on `0.0.0.0` and the same port: then it takes those to IPv6 addresses only.
    pub fn tcp_beside(addresses: impl ToSocketAddrs, reuse_port: bool, others: &[Listener]) -> Result<Listener, Error> {
        let addresses =
            addresses.to_socket_addrs().map_err(|error| Error::io("find the address to listen on", error))?;
        let mut first_error = None;
        for address in addresses {
            let ipv4 = Peer::Tcp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())));
            match tcp(address, reuse_port, others.iter().any(|other| other.local_addr() == ipv4)) {
                Ok(socket) => return Ok(Listener { socket, _file: None }),
                Err(error) => {
                    first_error.get_or_insert_with(|| Error::io(format!("listen on {address}"), error));
                }
            }
        }
        Err(first_error.unwrap_or_else(|| {
            Error::io("listen", io::Error::new(io::ErrorKind::InvalidInput, "there is no address to listen on"))
        }))
    }

    /// Listens on a Unix socket at `path`. A socket file that nobody listens on any more is replaced;
    /// any other file is an error. The file goes when the listener is dropped.
    pub fn unix(path: impl AsRef<Path>) -> Result<Listener, Error> {
        let path = path.as_ref();
        let socket = unix(path).map_err(|error| Error::io(format!("listen on {}", path.display()), error))?;
        Ok(Listener { socket, _file: SocketFile::new(path) })
    }

    /// Takes over a listening socket: from systemd, a parent process, a test.
    pub fn from_fd(fd: OwnedFd) -> Result<Listener, Error> {
        let socket = socket2::Socket::from(fd);
        let adopt = || {
            if !socket.is_listener()? || socket.r#type()? != Type::STREAM {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it does not listen for streams"));
            }
            socket.set_nonblocking(true)
        };
        match adopt() {
            Ok(()) => Ok(Listener { socket, _file: None }),
            Err(error) => Err(Error::io("listen on the given socket", error)),
        }
    }

    /// Takes over the listening sockets that systemd has passed to this process under this name (its unit's
    /// `FileDescriptorName=`, else the socket unit's own name); without a name all of them, in their order.
    /// Each is given out once. The descriptors will not be inherited by programs that this process starts; the
    /// environment is left as it is, and says nothing to those because it names this process.
    ///
    /// Fails with a sentence when nothing was passed, or nothing under this name that was not taken before. Only
    /// when nobody else in this process takes them by the same environment.
    pub fn from_systemd(name: Option<&str>) -> Result<Vec<Listener>, Error> {
        let passed = systemd::take(name).map_err(|error| Error::io("listen on what systemd passes", error))?;
        passed.into_iter().map(Listener::from_fd).collect()
    }

    /// Where it listens.
    pub fn local_addr(&self) -> Peer {
        self.socket.local_addr().map_or(Peer::Unknown, Peer::from)
    }

    /// The next connection, or none until the listener is readable again. Connections that failed
    /// before they were accepted are passed over.
    ///
    /// An error means that the system is short of descriptors or memory: the connection waits where it
    /// is, and the listener stays readable, so pause accepting for a moment.
    pub fn accept(&self) -> io::Result<Option<Socket>> {
        loop {
            match self.socket.accept() {
                Ok((socket, _)) => return Socket::new(socket).map(Some),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// How heads of requests are handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Heads {
    /// Parsed and judged: `Handler::on_request`.
    #[default]
    Parsed,
    /// As bytes: `Handler::on_head`, and the application parses.
    Raw,
}

/// What becomes of the connections that a listener accepts.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Limits and wishes of each connection. Default [`Config::default`].
    pub config: Arc<Config>,
    /// Certificates, for wss. Default none: ws.
    pub tls: Option<Arc<ServerTls>>,
    /// Whether heads come parsed. Default parsed.
    pub heads: Heads,
    /// Most connections at once, through all listeners of the same handler and on all loops of a server;
    /// above it, new ones wait in the kernel's queue. Default 65,536: below the descriptors of a common server.
    pub max_connections: usize,
    /// Most of them from one address, of IPv6 from one network of 64 bits; above it, the stream of a new one
    /// ends at once, without an answer. Unix sockets are not counted. Default no limit: many people may sit
    /// behind one address.
    pub max_connections_per_address: Option<usize>,
    /// Whether every connection begins with a header of the PROXY protocol, version 1 or 2, by a proxy in front:
    /// before TLS, within the deadline of the opening handshake. Who it names is the connection's peer, and is
    /// what `max_connections_per_address` counts. A connection without it is ended
    /// ([`Handler::on_refused`](super::Handler::on_refused)). Default no: anybody could say to be anybody.
    pub proxy_protocol: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        ListenOptions {
            config: Arc::default(),
            tls: None,
            heads: Heads::Parsed,
            max_connections: 64 << 10,
            max_connections_per_address: None,
            proxy_protocol: false,
        }
    }
}

fn tcp(address: SocketAddr, reuse_port: bool, only_ipv6: bool) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Connections of an earlier run that linger in TIME_WAIT do not hold the port.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    if address.is_ipv6() && only_ipv6 {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    start(socket)
}

fn unix(path: &Path) -> io::Result<socket2::Socket> {
    let address = SockAddr::unix(path)?;
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path, &address) => {
            fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        answer => answer?,
    }
    start(socket)
}

fn start(socket: socket2::Socket) -> io::Result<socket2::Socket> {
    socket.set_nonblocking(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Whether `path` is a socket file that nobody listens on.
fn is_stale(path: &Path, address: &SockAddr) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    let refuses = |socket: socket2::Socket| {
        // A full queue must not make us wait; it is no refusal.
        socket.set_nonblocking(true)?;
        socket.connect(address)
    };
    is_socket
        && socket2::Socket::new(Domain::UNIX, Type::STREAM, None)
            .and_then(refuses)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// accept(2): these are errors of the one connection that was to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use nix::libc;
    error.raw_os_error().is_some_and(|number| {
        matches!(
            number,
            libc::EINTR
                | libc::ECONNABORTED
                | libc::EPERM
                | libc::EPROTO
                | libc::ENETDOWN
                | libc::ENOPROTOOPT
                | libc::EHOSTDOWN
                | libc::ENONET
                | libc::EHOSTUNREACH
                | libc::EOPNOTSUPP
                | libc::ENETUNREACH
        )
    })
}

/// Connections that the kernel keeps for us until we accept them; it has a limit of its own.
const BACKLOG: i32 = 4096;

/// A socket file that goes with its listener, if it is still the same file and the same process.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    id: (u64, u64),
    process: u32,
}

impl SocketFile {
    fn new(path: &Path) -> Option<SocketFile> {
        let path = std::path::absolute(path).ok()?;
        let id = file_id(&path)?;
        Some(SocketFile { path, id, process: std::process::id() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A forked child drops its copy while the parent still listens; and a later server may have
        // put its own file there.
        if self.process == std::process::id() && file_id(&self.path) == Some(self.id) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn file_id(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::os::unix::net::{UnixListener, UnixStream};

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn accept(listener: &Listener) -> Socket {
        poll(&mut [PollFd::new(listener.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
        listener.accept().unwrap().unwrap()
    }

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("linkspan-{}-{name}", std::process::id()))
    }

    #[test]
    fn a_taken_port_is_an_error_that_names_it() {
        let first = Listener::tcp("127.0.0.1:0").unwrap();
        let address = first.local_addr().socket_addr().unwrap();
        let error = Listener::tcp(address).unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("cannot listen on {address}: Address already in use")),
            "{error}"
        );
        drop(first);
        Listener::tcp(address).unwrap();
    }

    #[test]
    fn a_port_is_shared_only_when_asked_for() {
        let first = Listener::tcp_reuse_port("127.0.0.1:0").unwrap();
        let address = first.local_addr().socket_addr().unwrap();
        Listener::tcp(address).unwrap_err();
        Listener::tcp_reuse_port(address).unwrap();
    }

    #[test]
    fn all_addresses_of_both_families_go_together_on_one_port() {
        let four = Listener::tcp("0.0.0.0:0").unwrap();
        let port = four.local_addr().socket_addr().unwrap().port();
        // Somebody else's port is taken, also where only one family is.
        Listener::tcp(("::", port)).unwrap_err();
        let six = Listener::tcp_beside(("::", port), false, std::slice::from_ref(&four)).unwrap();
        let _first = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let _second = TcpStream::connect(("::1", port)).unwrap();
        accept(&four);
        accept(&six);
        // Alone, it serves both.
        let both = Listener::tcp("[::]:0").unwrap();
        let _third = TcpStream::connect(("127.0.0.1", both.local_addr().socket_addr().unwrap().port())).unwrap();
        accept(&both);
    }

    #[test]
    fn connections_come_one_by_one_and_then_none() {
        let listener = Listener::tcp("127.0.0.1:0").unwrap();
        assert!(listener.accept().unwrap().is_none());
        let client = TcpStream::connect(listener.local_addr().socket_addr().unwrap()).unwrap();
        let socket = accept(&listener);
        assert_eq!(socket.peer(), Peer::Tcp(client.local_addr().unwrap()));
        assert_eq!(socket.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(listener.accept().unwrap().is_none());
    }

    #[test]
    fn a_socket_file_goes_with_its_listener() {
        let path = scratch("goes");
        let listener = Listener::unix(&path).unwrap();
        assert_eq!(listener.local_addr(), Peer::Unix(Some(path.clone())));
        let _client = UnixStream::connect(&path).unwrap();
        accept(&listener);
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_file_is_replaced_and_a_live_one_is_not() {
        let path = scratch("stale");
        drop(UnixListener::bind(&path).unwrap());
        let live = Listener::unix(&path).unwrap();
        let error = Listener::unix(&path).unwrap_err();
        assert!(error.to_string().contains("Address already in use"), "{error}");
        drop(live);
        fs::write(&path, "no socket").unwrap();
        Listener::unix(&path).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"no socket");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_file_that_another_server_has_put_there_stays() {
        let path = scratch("another");
        let first = Listener::unix(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let second = Listener::unix(&path).unwrap();
        drop(first);
        UnixStream::connect(&path).unwrap();
        drop(second);
    }

    #[test]
    fn a_socket_that_does_not_listen_is_refused() {
        let listener = Listener::tcp("127.0.0.1:0").unwrap();
        let address = listener.local_addr().socket_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let error = Listener::from_fd(client.into()).unwrap_err();
        assert_eq!(error.to_string(), "cannot listen on the given socket: it does not listen for streams");
        let again = Listener::from_fd(listener.socket.into()).unwrap();
        accept(&again);
    }
}
