//! [`TlsStream`]: TLS records over another [`Transport`]: a socket, or TLS to a proxy.
//!
//! Ciphertext is read straight into the caller's own buffer and plaintext laid in front of it, so that
//! an idle connection owns no buffer. What is written is encrypted in a buffer that the thread keeps;
//! only what the kernel did not take stays here.
//!
//! ```text
//!   caller's buffer  │◄─ HEADROOM ─►│ incomplete record │ read from the socket │
//!                    │ plaintext ►  │ ◄ consumed, record by record             │
//! ```

use std::cell::RefCell;
use std::fmt;
use std::io::{self, IoSlice};
use std::mem;

use super::Transport;
use super::tls_session::{RECORD, Step, TlsSession};
use crate::error::Error;
use crate::tls::{ClientTls, ServerTls, explain};

/// TLS over another transport, either side. The handshake goes on inside reads, writes and flushes.
pub struct TlsStream {
    /// A socket, as a rule.
    carrier: Transport,
    session: TlsSession,
    /// Ciphertext that is no whole record yet. Without allocation while there is none.
    incoming: Vec<u8>,
    /// Ciphertext that the kernel did not take, `sent` bytes of it gone. Without allocation while empty.
    outgoing: Vec<u8>,
    sent: usize,
    /// Plaintext that did not fit in the caller's buffer, `given` bytes of it handed out.
    plaintext: Vec<u8>,
    given: usize,
    /// What the client asked for, at the server.
    server_name: Option<Box<str>>,
    /// Why reading is over.
    end: End,
    /// Whether the socket gave less than there was room for.
    is_drained: bool,
    /// Whether close_notify is queued, and the socket's own end to follow once all is sent.
    is_closing: bool,
    /// Whether the socket's own end has been sent.
    is_shut: bool,
}

enum End {
    /// Reading goes on.
    Not,
    /// close_notify, or the end of the stream.
    Clean,
    /// A fault of the peer's (`InvalidData`), or a handshake cut off (`UnexpectedEof`).
    Failed(io::ErrorKind, String),
}

impl TlsStream {
    pub(super) fn server(carrier: Transport, tls: &ServerTls) -> Result<TlsStream, Error> {
        Ok(TlsStream::new(carrier, TlsSession::server(tls)?))
    }

    pub(super) fn client(carrier: Transport, tls: &ClientTls, host: &str) -> Result<TlsStream, Error> {
        Ok(TlsStream::new(carrier, TlsSession::client(tls, host)?))
    }

    fn new(carrier: Transport, session: TlsSession) -> TlsStream {
        TlsStream {
            carrier,
            session,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            sent: 0,
            plaintext: Vec::new(),
            given: 0,
            server_name: None,
            end: End::Not,
            is_drained: false,
            is_closing: false,
            is_shut: false,
        }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.holds_plaintext() {
            // More may have come to the socket since it was read.
            self.is_drained = false;
            return Ok(self.give(buffer));
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match &self.end {
                End::Not => {}
                End::Clean => return Ok(0),
                End::Failed(kind, why) => return Err(io::Error::new(*kind, why.clone())),
            }
            let enough = HEADROOM + self.incoming.len() + WIRE_RECORD;
            if buffer.len() >= enough {
                match self.read_records(buffer)? {
                    0 => continue,
                    read => return Ok(read),
                }
            }
            let mut larger = vec![0; enough];
            match self.read_records(&mut larger)? {
                0 => continue,
                read => larger.truncate(read),
            }
            self.plaintext = larger;
            return Ok(self.give(buffer));
        }
    }

    pub(super) fn short_read_drains(&self) -> bool {
        self.is_drained && matches!(self.end, End::Not) && !self.has_buffered_plaintext()
    }

    pub(super) fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if let End::Failed(kind, why) = &self.end {
            return Err(io::Error::new(*kind, why.clone()));
        }
        if self.is_closing {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if !self.flush()? || self.is_handshaking() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        let mut accepted = 0;
        while accepted < total && self.outgoing.is_empty() {
            match self.write_some(slices, accepted, total - accepted) {
                Ok(n) => accepted += n,
                // What was accepted is told first; the error comes again.
                Err(_) if accepted > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(accepted)
    }

    /// Encrypts some of the `left` bytes after `skip`, and hands them to the carrier.
    fn write_some(&mut self, slices: &[IoSlice<'_>], skip: usize, left: usize) -> io::Result<usize> {
        // Taken, not borrowed: the carrier may be TLS too, and needs one of its own.
        let mut scratch = SCRATCH.take();
        let written = self.write_through(slices, skip, left, &mut scratch);
        SCRATCH.set(scratch);
        written
    }

    fn write_through(
        &mut self,
        slices: &[IoSlice<'_>],
        skip: usize,
        left: usize,
        Scratch { gathered, encrypted }: &mut Scratch,
    ) -> io::Result<usize> {
        let plain = gather(slices, skip, left.min(MOST), gathered);
        let n = self.session.encrypt(&mut self.incoming, plain, encrypted, &mut self.outgoing)?;
        let sent = match self.outgoing.is_empty() {
            true => match self.carrier.write(&[IoSlice::new(&encrypted[..n])]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                answer => answer?,
            },
            false => 0,
        };
        self.outgoing.extend_from_slice(&encrypted[sent..n]);
        Ok(plain.len())
    }

    pub(super) fn flush(&mut self) -> io::Result<bool> {
        if self.outgoing.is_empty() && self.is_handshaking() && matches!(self.end, End::Not) {
            // The client speaks first.
            let (_, step) = self.session.advance(&mut self.incoming, &mut self.outgoing, &mut |_| ());
            if let Step::Failed(error) = step {
                return Err(io::Error::new(io::ErrorKind::InvalidData, explain(&error, self.session.who())));
            }
        }
        while self.sent < self.outgoing.len() {
            match self.carrier.write(&[IoSlice::new(&self.outgoing[self.sent..])]) {
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => {
                    self.forget_outgoing();
                    return Err(error);
                }
            }
        }
        self.forget_outgoing();
        if !self.carrier.flush()? {
            return Ok(false);
        }
        if self.is_closing && !mem::replace(&mut self.is_shut, true) {
            self.carrier.shutdown_write()?;
        }
        Ok(true)
    }

    pub(super) fn has_pending_write(&self) -> bool {
        !self.outgoing.is_empty() || self.carrier.has_pending_write()
    }

    pub(super) fn has_buffered_plaintext(&self) -> bool {
        self.holds_plaintext() || self.carrier.has_buffered_plaintext()
    }

    /// Whether plaintext is kept here.
    fn holds_plaintext(&self) -> bool {
        self.given < self.plaintext.len()
    }

    pub(super) fn shutdown_write(&mut self) -> io::Result<()> {
        if !mem::replace(&mut self.is_closing, true) && !matches!(self.end, End::Failed(..)) {
            self.session.close(&mut self.incoming, &mut self.outgoing);
        }
        self.flush().map(drop)
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.session.common().is_handshaking()
    }

    pub(super) fn carrier(&self) -> &Transport {
        &self.carrier
    }

    pub(super) fn carrier_mut(&mut self) -> &mut Transport {
        &mut self.carrier
    }

    pub(super) fn alpn(&self) -> Option<&[u8]> {
        self.session.common().alpn_protocol()
    }

    pub(super) fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    pub(super) fn peer_certificate(&self) -> Option<&[u8]> {
        self.session.common().peer_certificates()?.first().map(AsRef::as_ref)
    }

    /// Hands out plaintext that is kept here.
    fn give(&mut self, buffer: &mut [u8]) -> usize {
        let kept = &self.plaintext[self.given..];
        let n = kept.len().min(buffer.len());
        buffer[..n].copy_from_slice(&kept[..n]);
        self.given += n;
        if self.given == self.plaintext.len() {
            self.plaintext = Vec::new();
            self.given = 0;
        }
        n
    }

    /// Reads from the socket once, and says how much plaintext that gave: perhaps none. `buffer` has
    /// room for what is kept and one whole record.
    fn read_records(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let kept = HEADROOM + self.incoming.len();
        buffer[HEADROOM..kept].copy_from_slice(&self.incoming);
        let read = match self.carrier.read(&mut buffer[kept..]) {
            Ok(0) => {
                self.end_of_stream();
                return Ok(0);
            }
            Ok(read) => read,
            Err(error) => {
                if error.kind() == io::ErrorKind::WouldBlock && self.is_handshaking() {
                    self.flush()?;
                }
                return Err(error);
            }
        };
        self.is_drained = kept + read < buffer.len() && self.carrier.short_read_drains();
        let plain = self.decrypt(buffer, kept + read);
        if !self.outgoing.is_empty() {
            // What the peer said is worth more than what the socket says of our answer to it.
            let _ = self.flush();
        }
        Ok(plain)
    }

    /// The socket has ended. A missing close_notify matters to nobody: a WebSocket has its own close.
    fn end_of_stream(&mut self) {
        self.end = match self.is_handshaking() {
            true => End::Failed(
                io::ErrorKind::UnexpectedEof,
                format!("the {} left during the TLS handshake", self.session.who().name()),
            ),
            false => End::Clean,
        };
    }

    /// Decrypts the records between [`HEADROOM`] and `filled`, and lays the plaintext at the front.
    fn decrypt(&mut self, buffer: &mut [u8], filled: usize) -> usize {
        let was_handshaking = self.is_handshaking();
        let (mut start, mut plain) = (HEADROOM, 0);
        loop {
            let (free, rest) = buffer.split_at_mut(start);
            // A record is longer than its plaintext, and HEADROOM holds one: there is always room.
            let mut lay = |record: &[u8]| {
                free[plain..plain + record.len()].copy_from_slice(record);
                plain += record.len();
            };
            let (discard, step) = self.session.advance(&mut rest[..filled - start], &mut self.outgoing, &mut lay);
            start += discard;
            match step {
                Step::Again => {}
                Step::Wait => break,
                Step::Closed => {
                    self.end = End::Clean;
                    start = filled;
                    break;
                }
                Step::Failed(error) => {
                    self.end = End::Failed(io::ErrorKind::InvalidData, explain(&error, self.session.who()));
                    self.session.alert(&mut self.outgoing);
                    start = filled;
                    break;
                }
            }
        }
        if was_handshaking && let Some(name) = self.session.take_server_name() {
            self.server_name = Some(name);
        }
        self.keep(&buffer[start..filled]);
        plain
    }

    /// Keeps the beginning of a record for the next read.
    fn keep(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            self.incoming = Vec::new();
            return;
        }
        self.incoming.clear();
        self.incoming.extend_from_slice(rest);
        if rest.len() > MAX_INCOMPLETE {
            let why = format!("the {} sent a TLS message without end", self.session.who().name());
            self.end = End::Failed(io::ErrorKind::InvalidData, why);
        }
    }

    fn forget_outgoing(&mut self) {
        self.outgoing = Vec::new();
        self.sent = 0;
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsStream({:?})", self.carrier)
    }
}

/// The first `n` bytes after `skip`: in their own slice when they lie in one, else in `gathered`.
fn gather<'a>(slices: &'a [IoSlice<'_>], mut skip: usize, n: usize, gathered: &'a mut Vec<u8>) -> &'a [u8] {
    gathered.clear();
    for slice in slices {
        if skip >= slice.len() {
            skip -= slice.len();
            continue;
        }
        let bytes = &slice[mem::take(&mut skip)..];
        let bytes = &bytes[..bytes.len().min(n - gathered.len())];
        if bytes.len() == n {
            return bytes;
        }
        gathered.extend_from_slice(bytes);
        if gathered.len() == n {
            break;
        }
    }
    gathered
}

/// What writing needs for the length of one call; kept by the thread, for all its connections.
#[derive(Default)]
struct Scratch {
    /// Slices that go into one record.
    gathered: Vec<u8>,
    /// Records.
    encrypted: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The longest record on the wire (RFC 8446 5.2, RFC 5246 6.2.3), rounded up.
const WIRE_RECORD: usize = 20 << 10;
/// Room for the first record's plaintext before any ciphertext has been consumed.
const HEADROOM: usize = WIRE_RECORD;
/// The longest thing that may be incomplete: rustls takes handshake messages of 64 KiB.
const MAX_INCOMPLETE: usize = (64 << 10) + 2 * WIRE_RECORD;
/// Most plaintext encrypted at once; what the kernel does not take of it waits in the connection.
const MOST: usize = 4 * RECORD;
