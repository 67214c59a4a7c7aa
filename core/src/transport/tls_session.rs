//! [`TlsSession`]: one side of TLS as rustls has it, between plaintext and records, and nothing of where these come
//! from or go to.

use std::io;
use std::ops::Deref;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus};
use rustls::{CommonState, Error as TlsError};

use crate::error::Error;
use crate::tls::{ClientTls, ServerTls, Who, take_server_name};

/// Either side of TLS. It never reads nor writes: records come in as bytes and go out as bytes.
pub(super) enum TlsSession {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

impl TlsSession {
    pub(super) fn server(tls: &ServerTls) -> Result<TlsSession, Error> {
        let session = UnbufferedServerConnection::new(tls.config()).map_err(|error| Error::Tls(error.to_string()))?;
        Ok(TlsSession::Server(session))
    }

    pub(super) fn client(tls: &ClientTls, host: &str) -> Result<TlsSession, Error> {
        let session = UnbufferedClientConnection::new(tls.config(), tls.name_for(host)?)
            .map_err(|error| Error::Tls(error.to_string()))?;
        Ok(TlsSession::Client(session))
    }

    /// At the server: the name that a ClientHello asked for, if one was among the records just advanced through on
    /// this thread.
    pub(super) fn take_server_name(&self) -> Option<Box<str>> {
        match self {
            TlsSession::Client(_) => None,
            TlsSession::Server(_) => take_server_name(),
        }
    }

    /// What rustls knows of either side.
    pub(super) fn common(&self) -> &CommonState {
        match self {
            TlsSession::Client(client) => client,
            TlsSession::Server(server) => server,
        }
    }

    /// The peer.
    pub(super) fn who(&self) -> Who {
        match self {
            TlsSession::Client(_) => Who::Server,
            TlsSession::Server(_) => Who::Client,
        }
    }

    /// Goes through `incoming`, in place, until a record has given plaintext (told to `record`) or nothing is left to
    /// do; answers go to `outgoing`. Says how many bytes at the front are done with.
    pub(super) fn advance(
        &mut self,
        incoming: &mut [u8],
        outgoing: &mut Vec<u8>,
        record: &mut dyn FnMut(&[u8]),
    ) -> (usize, Step) {
        match self {
            TlsSession::Client(client) => advance(client, incoming, outgoing, record),
            TlsSession::Server(server) => advance(server, incoming, outgoing, record),
        }
    }

    /// Encrypts `plain` into the front of `encrypted`, which grows as needed, and says how far. What has to leave before
    /// it goes to `outgoing`.
    pub(super) fn encrypt(
        &mut self,
        incoming: &mut [u8],
        plain: &[u8],
        encrypted: &mut Vec<u8>,
        outgoing: &mut Vec<u8>,
    ) -> io::Result<usize> {
        match self {
            TlsSession::Client(client) => encrypt(client, incoming, plain, encrypted, outgoing),
            TlsSession::Server(server) => encrypt(server, incoming, plain, encrypted, outgoing),
        }
    }

    /// After a failure: queues what rustls wants the peer to be told of it. Nothing else may be asked of the session any
    /// more: it may hold places in a buffer that is gone.
    pub(super) fn alert(&mut self, outgoing: &mut Vec<u8>) {
        match self {
            TlsSession::Client(client) => alert(client, outgoing),
            TlsSession::Server(server) => alert(server, outgoing),
        }
    }

    /// Queues close_notify, where the handshake is over.
    pub(super) fn close(&mut self, incoming: &mut [u8], outgoing: &mut Vec<u8>) {
        match self {
            TlsSession::Client(client) => close(client, incoming, outgoing),
            TlsSession::Server(server) => close(server, incoming, outgoing),
        }
    }
}

/// What two kinds of connection have in common that rustls gives no common name.
trait Side: Deref<Target: Deref<Target = CommonState>> {
    type Data;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl Side for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, ClientConnectionData> {
        self.process_tls_records(incoming)
    }
}

impl Side for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, ServerConnectionData> {
        self.process_tls_records(incoming)
    }
}

/// What came of a step through the incoming bytes.
pub(super) enum Step {
    /// There may be more.
    Again,
    /// Nothing more until more bytes come.
    Wait,
    /// The peer has closed its direction.
    Closed,
    /// It is over.
    Failed(TlsError),
}

fn advance<S: Side>(
    side: &mut S,
    incoming: &mut [u8],
    outgoing: &mut Vec<u8>,
    record: &mut dyn FnMut(&[u8]),
) -> (usize, Step) {
    let mut done = 0;
    loop {
        let UnbufferedStatus { discard, state } = side.process(&mut incoming[done..]);
        done += discard;
        match state {
            Ok(ConnectionState::EncodeTlsData(data)) => queue(data, outgoing),
            Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(plain) = traffic.next_record() {
                    match plain {
                        Ok(plain) => {
                            done += plain.discard;
                            record(plain.payload);
                        }
                        Err(error) => return (done, Step::Failed(error)),
                    }
                }
                return (done, Step::Again);
            }
            Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => return (done, Step::Wait),
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => return (done, Step::Closed),
            // Early data is never offered, so never accepted.
            Ok(other) => return (done, Step::Failed(TlsError::General(format!("unexpected {other:?}")))),
            Err(error) => return (done, Step::Failed(error)),
        }
    }
}

fn encrypt<S: Side>(
    side: &mut S,
    incoming: &mut [u8],
    plain: &[u8],
    encrypted: &mut Vec<u8>,
    outgoing: &mut Vec<u8>,
) -> io::Result<usize> {
    let room = plain.len() + (plain.len() / RECORD + 1) * OVERHEAD;
    if encrypted.len() < room {
        encrypted.resize(room, 0);
    }
    loop {
        match side.process(incoming).state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                return fit(encrypted, |room| traffic.encrypt(plain, room)).map_err(io::Error::other);
            }
            Ok(ConnectionState::EncodeTlsData(data)) => queue(data, outgoing),
            Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
            Ok(_) => return Err(io::ErrorKind::BrokenPipe.into()),
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
}

fn alert<S: Side>(side: &mut S, outgoing: &mut Vec<u8>) {
    while side.wants_write() {
        match side.process(&mut []).state {
            Ok(ConnectionState::EncodeTlsData(data)) => queue(data, outgoing),
            _ => return,
        }
    }
}

fn close<S: Side>(side: &mut S, incoming: &mut [u8], outgoing: &mut Vec<u8>) {
    if let Ok(ConnectionState::WriteTraffic(mut traffic)) = side.process(incoming).state {
        let mut alert = vec![0; ALERT];
        // Without close_notify the end is as good: a WebSocket has its own.
        let n = fit(&mut alert, |room| traffic.queue_close_notify(room)).unwrap_or(0);
        outgoing.extend_from_slice(&alert[..n]);
    }
}

/// Appends a handshake message or an alert to `outgoing`.
fn queue<D>(mut data: EncodeTlsData<'_, D>, outgoing: &mut Vec<u8>) {
    // Asked for room, it says how much; given as much, it cannot fail.
    if let Err(EncodeError::InsufficientSize(needed)) = data.encode(&mut []) {
        let before = outgoing.len();
        outgoing.resize(before + needed.required_size, 0);
        let written = data.encode(&mut outgoing[before..]).unwrap_or(0);
        outgoing.truncate(before + written);
    }
}

/// Writes into `room`, made larger when that is asked for.
fn fit(
    room: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<usize, EncryptError> {
    match write(room) {
        Err(EncryptError::InsufficientSize(needed)) => {
            room.resize(needed.required_size, 0);
            write(room)
        }
        answer => answer,
    }
}

/// Most plaintext in a record (RFC 8446 5.1).
pub(super) const RECORD: usize = 16 << 10;
/// More than a record adds to its plaintext: header, nonce, kind and tag.
const OVERHEAD: usize = 48;
/// Room for a close_notify.
const ALERT: usize = 64;
