//! [`Route`]: what stands between a connected socket and the stream to the server: TLS to a proxy, the way
//! through it, TLS to the server; TLS inside TLS where a secure proxy leads to a secure server.
//!
//! ```text
//!   Proxy's TLS ──► Tunnel ──► Server's TLS ──► the stream        each only where it is needed
//! ```

use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::error::Error;
use crate::protocol::Fault;
use crate::protocol::handshake::{Proxy, ProxyKind, Tunnel, Uri};
use crate::tls::ClientTls;
use crate::transport::{Socket, Transport};

/// Most that is read at once on the way: no peer has more to say before the opening handshake.
const BUFFER: usize = 32 << 10;

/// A stream on its way from a connected socket to the server.
#[derive(Debug)]
pub(super) struct Route {
    transport: Transport,
    leg: Leg,
    /// Plaintext that came with the end of a TLS handshake.
    early: Vec<u8>,
}

/// What is under way.
#[derive(Debug)]
pub(super) enum Leg {
    /// TLS with the proxy.
    ProxyTls,
    /// The proxy makes a way to the server.
    Tunnel(Box<dyn Tunnel>),
    /// TLS with the server.
    ServerTls,
    /// Nothing: it is the stream to the server.
    Done,
}

/// Who is at the two ends.
#[derive(Debug)]
pub(super) struct Ends<'a> {
    pub(super) server: &'a Uri,
    /// The server's address, where a proxy wants to be told that.
    pub(super) address: Option<&'a str>,
    pub(super) proxy: Option<&'a Proxy>,
    pub(super) server_tls: Option<&'a Arc<ClientTls>>,
    pub(super) proxy_tls: Option<&'a Arc<ClientTls>>,
}

impl Ends<'_> {
    /// `host:port` of the proxy, and nothing secret.
    pub(super) fn proxy_name(&self) -> String {
        self.proxy.map(|proxy| authority(&proxy.host, proxy.port)).unwrap_or_default()
    }

    fn tls_to_server(&self, transport: Transport) -> Result<Transport, Error> {
        match self.server_tls {
            Some(tls) => Transport::tls_client(transport, tls, &self.server.host),
            None => Transport::tls_client(transport, &*ClientTls::system()?, &self.server.host),
        }
    }

    fn tls_to_proxy(&self, transport: Transport, host: &str) -> Result<Transport, Error> {
        match self.proxy_tls {
            Some(tls) => Transport::tls_client(transport, tls, host),
            None => Transport::tls_client(transport, &*ClientTls::system()?, host),
        }
    }
}

impl Route {
    /// From a connected socket.
    pub(super) fn new(socket: Socket, ends: &Ends<'_>) -> Result<Route, Error> {
        let route = Route { transport: Transport::plain(socket), leg: Leg::Done, early: Vec::new() };
        match ends.proxy {
            Some(proxy) if proxy.kind == ProxyKind::Https => {
                let transport = ends.tls_to_proxy(route.transport, &proxy.host)?;
                Ok(Route { transport, leg: Leg::ProxyTls, ..route })
            }
            Some(proxy) => route.into_tunnel(proxy, ends),
            None => route.into_server_tls(ends),
        }
    }

    fn into_tunnel(self, proxy: &Proxy, ends: &Ends<'_>) -> Result<Route, Error> {
        let host = ends.address.unwrap_or(&ends.server.host);
        Ok(Route { leg: Leg::Tunnel(proxy.tunnel(host, ends.server.port)?), ..self })
    }

    fn into_server_tls(self, ends: &Ends<'_>) -> Result<Route, Error> {
        if !ends.server.is_secure {
            return Ok(Route { leg: Leg::Done, ..self });
        }
        Ok(Route { transport: ends.tls_to_server(self.transport)?, leg: Leg::ServerTls, ..self })
    }

    /// What is under way.
    pub(super) fn leg(&self) -> &Leg {
        &self.leg
    }

    /// Goes on with what is under way as far as the stream allows: true when it is over.
    pub(super) fn go_on(&mut self, ends: &Ends<'_>) -> Result<bool, Error> {
        match &mut self.leg {
            Leg::Done => Ok(true),
            Leg::ProxyTls => {
                let proxy = format!("the proxy {}", ends.proxy_name());
                shake_hands(&mut self.transport, &mut self.early)
                    .map_err(|error| tls_failed(error, &proxy, &format!("with {proxy}: ")))
            }
            Leg::ServerTls => {
                let server = authority(&ends.server.host, ends.server.port);
                shake_hands(&mut self.transport, &mut self.early).map_err(|error| tls_failed(error, &server, ""))
            }
            Leg::Tunnel(tunnel) => {
                tunnel_through(&mut self.transport, &mut **tunnel, &mut self.early).map_err(|error| match error {
                    Trouble::Fault(fault) => fault.into(),
                    Trouble::Io(error) => Error::io(format!("speak with the proxy {}", ends.proxy_name()), error),
                })
            }
        }
    }

    /// What was under way is over: begins what follows.
    pub(super) fn next_leg(self, ends: &Ends<'_>) -> Result<Route, Error> {
        match (&self.leg, ends.proxy) {
            (Leg::ProxyTls, Some(proxy)) => {
                if self.early.is_empty() {
                    return self.into_tunnel(proxy, ends);
                }
                Err(too_much(self.early.len()).into())
            }
            (Leg::Tunnel(_), _) => self.into_server_tls(ends),
            (Leg::ProxyTls | Leg::ServerTls | Leg::Done, _) => Ok(Route { leg: Leg::Done, ..self }),
        }
    }

    /// The stream, and what was read from it already.
    pub(super) fn into_stream(self) -> (Transport, Vec<u8>) {
        (self.transport, self.early)
    }

    /// The socket to watch for what the peer says.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.transport.fd()
    }

    /// Whether something waits for the socket to take more.
    pub(super) fn awaits_output(&self) -> bool {
        let owed = match &self.leg {
            Leg::Tunnel(tunnel) => !tunnel.outgoing().is_empty(),
            Leg::ProxyTls | Leg::ServerTls | Leg::Done => false,
        };
        owed || self.transport.has_pending_write()
    }
}

/// Takes a TLS handshake further; true when it is over.
fn shake_hands(transport: &mut Transport, early: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = vec![0; BUFFER];
    loop {
        // The client speaks first, and last.
        transport.flush()?;
        if !transport.is_handshaking() {
            return Ok(true);
        }
        match transport.read(&mut buffer) {
            Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "it ended the connection")),
            Ok(n) => early.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(!transport.is_handshaking()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A TLS error says itself what is wrong; what the socket says needs to be told what for.
fn tls_failed(error: io::Error, whom: &str, prefix: &str) -> Error {
    match error.kind() {
        ErrorKind::InvalidData => Error::Tls(format!("{prefix}{error}")),
        _ => Error::io(format!("finish the TLS handshake with {whom}"), error),
    }
}

/// What stopped a tunnel.
enum Trouble {
    Fault(Fault),
    Io(io::Error),
}

/// Takes the talk with a proxy further; true when the way is open.
fn tunnel_through(transport: &mut Transport, tunnel: &mut dyn Tunnel, early: &mut Vec<u8>) -> Result<bool, Trouble> {
    let mut buffer = vec![0; BUFFER];
    let mut unread = std::mem::take(early);
    loop {
        while !tunnel.outgoing().is_empty() {
            match transport.write(&[IoSlice::new(tunnel.outgoing())]) {
                Ok(n) => tunnel.sent(n),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Trouble::Io(error)),
            }
        }
        transport.flush().map_err(Trouble::Io)?;
        if unread.is_empty() {
            match transport.read(&mut buffer) {
                Ok(0) => return Err(Trouble::Fault(refused("it ended the connection before the way was open"))),
                Ok(n) => unread.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Trouble::Io(error)),
            }
        }
        let progress = match tunnel.handle_input(&unread) {
            Ok(progress) => progress,
            Err(fault @ Fault::ProxyRefused { .. }) => return Err(Trouble::Fault(fault)),
            Err(other) => return Err(Trouble::Fault(refused(&format!("its answer cannot be read: {other}")))),
        };
        unread.drain(..progress.eaten);
        if progress.is_open {
            // The server cannot have spoken: it was asked nothing yet.
            return if unread.is_empty() { Ok(true) } else { Err(Trouble::Fault(too_much(unread.len()))) };
        }
    }
}

fn too_much(bytes: usize) -> Fault {
    refused(&format!("it sent more than its answer ({bytes} bytes)"))
}

fn refused(why: &str) -> Fault {
    Fault::ProxyRefused { status: 0, why: why.to_owned() }
}

/// `host:port`, with brackets around IPv6.
pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
