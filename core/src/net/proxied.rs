//! A connection through a proxy that speaks the PROXY protocol: first its header is read, then the connection
//! is what its listener makes of it. The header is looked at where it lies, in the system's buffer: so nothing
//! behind it is taken, which may be TLS.

use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::connection::{Connection, Mode};
use super::context::{Context, HandlerId};
use super::guests::{Origin, Source};
use super::listener::ListenOptions;
use super::listening::{secure, speak};
use super::raw::Stage;
use super::turn::{Turn, tell_close};
use crate::protocol::handshake::{MAX_PROXY_HEADER_BYTES, ProxyHeader};
use crate::protocol::{CloseCode, CloseInfo, Fault, Side, Time};
use crate::transport::{Peer, Socket, Transport};

impl Turn<'_> {
    /// Goes on with a connection whose header is still to come; any other it leaves alone.
    pub(super) fn read_proxy_header(&mut self) {
        let Some(connection) = self.inner.find(self.id) else { return };
        let Connection { mode: Mode::Raw(raw), transport: Some(Transport::Plain(socket)), .. } = &connection else {
            return;
        };
        let Stage::Proxied { options, since } = &raw.stage else { return };
        if connection.is_broken || raw.is_finished {
            connection.is_broken = true;
            return;
        }
        if !connection.is_readable {
            return;
        }
        match header(socket, connection.is_hung_up) {
            Ok(Some(header)) => {
                let (options, since) = (options.clone(), *since);
                self.introduce(header, &options, since);
            }
            Ok(None) => connection.is_readable = false,
            Err(Refusal::Fault(fault)) => self.refuse(fault),
            Err(Refusal::Ended) => connection.is_broken = true,
        }
    }

    /// It is known who has come.
    fn introduce(&mut self, header: ProxyHeader, options: &Arc<ListenOptions>, since: Time) {
        let Some(connection) = self.inner.find(self.id) else { return };
        let handler = HandlerId(connection.handler);
        let peer = match header {
            ProxyHeader::Own => None,
            ProxyHeader::Ip(address, port) => Some(Peer::Tcp(SocketAddr::new(address, port))),
            ProxyHeader::Unix(path) if path.is_empty() => Some(Peer::Unix(None)),
            ProxyHeader::Unix(path) => Some(Peer::Unix(Some(OsStr::from_bytes(&path).into()))),
        };
        let Some(Transport::Plain(socket)) = connection.transport.take() else { return };
        let mut origin = Origin { source: None, peer };
        let counted = Source::of(origin.peer.as_ref().unwrap_or(&socket.peer()));
        let transport = secure(socket, options);
        let guests = self.inner.guests(handler);
        if let (Some(limit), Some(source), Some(guests)) = (options.max_connections_per_address, counted, guests) {
            if !guests.count(source, limit) {
                self.inner.metrics.refused_address.add(1);
                self.inner.remove(self.id);
                return;
            }
            origin.source = Some(source);
        }
        self.inner.set_origin(self.id, origin);
        let Some(connection) = self.inner.find(self.id) else { return };
        connection.is_broken = transport.is_err();
        connection.transport = transport.ok();
        connection.mode = speak(options, since);
    }

    /// It is not what it must be: nobody is answered, because nobody knows in what words.
    fn refuse(&mut self, fault: Fault) {
        let mut info = CloseInfo {
            code: CloseCode::ABNORMAL,
            reason: fault.to_string(),
            clean: false,
            begun_by: Side::Remote,
            fault: Some(fault),
            unsent_bytes: 0,
        };
        if let Some(connection) = self.inner.find(self.id) {
            connection.is_broken = true;
        }
        tell_close(self.handler, &mut Context { inner: self.inner, rest: &[] }, self.id, &mut info);
    }
}

enum Refusal {
    Fault(Fault),
    /// It has left without a word, as those do who only look whether somebody listens.
    Ended,
}

/// The header, taken off the stream when it is whole.
fn header(socket: &Socket, is_hung_up: bool) -> Result<Option<ProxyHeader>, Refusal> {
    let mut bytes = [0; MAX_PROXY_HEADER_BYTES];
    let n = match socket.peek(&mut bytes) {
        Ok(0) => return Err(Refusal::Ended),
        Ok(n) => n,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
        Err(_) => return Err(Refusal::Ended),
    };
    match ProxyHeader::parse(&bytes[..n]).map_err(Refusal::Fault)? {
        Some((header, length)) => match socket.read(&mut bytes[..length]) {
            Ok(taken) if taken == length => Ok(Some(header)),
            _ => Err(Refusal::Ended),
        },
        None if is_hung_up => Err(Refusal::Fault(Fault::ProxyHeaderInvalid("the stream ends within it"))),
        None => Ok(None),
    }
}
