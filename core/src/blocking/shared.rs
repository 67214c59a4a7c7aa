//! [`Shared`]: the lock, what it guards, and waiting outside of it.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::clock;
use crate::error::Error;
use crate::protocol::{Engine, MAX_SLICES, Misuse, Outbox, Time};
use crate::transport::Transport;

/// A stream that several threads use. `P` is what gives its bytes a meaning.
#[derive(Debug)]
pub(super) struct Shared<P> {
    state: Mutex<State<P>>,
    /// The transport's descriptor once more: waited on while others work with the transport.
    waiting: OwnedFd,
}

/// What the lock guards.
#[derive(Debug)]
pub(super) struct State<P> {
    pub(super) transport: Transport,
    pub(super) protocol: P,
    /// Bytes that were read and not used yet.
    pub(super) unread: Unread,
    /// Bytes that the transport has accepted, ever.
    pub(super) accepted: u64,
    /// The stream has ended, or cannot be read any more.
    pub(super) is_ended: bool,
    /// The stream cannot be written any more: why, until somebody was told.
    pub(super) broken: Option<Broken>,
    /// The stream's end has been sent.
    pub(super) is_finished: bool,
    /// Why reading failed, until somebody was told; none where that is not worth telling.
    pub(super) error: Option<Error>,
}

/// Why writing is over.
#[derive(Debug)]
pub(super) enum Broken {
    Untold(io::Error),
    Told,
}

/// A buffer with a range of bytes in it. Without allocation while there are none and nobody reads.
#[derive(Debug, Default)]
pub(super) struct Unread {
    pub(super) buffer: Vec<u8>,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Unread {
    pub(super) fn new(bytes: Vec<u8>) -> Unread {
        Unread { start: 0, end: bytes.len(), buffer: bytes }
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.end]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.buffer[self.start..self.end].to_vec()
    }
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// The socket is ready.
    Ready,
    /// The time is up.
    Due,
    /// A signal was handled on this thread.
    Interrupted,
}

/// Bytes that wait to be written.
pub(super) trait Outgoing {
    fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize;
    fn waiting(&self) -> usize;
    fn sent(&mut self, n: usize);

    /// The stream takes no more for now.
    fn stalled(&mut self, _now: Time) {}

    /// When `handle_timeout` wants to be called.
    fn next_timeout(&self) -> Option<Time> {
        None
    }

    fn handle_timeout(&mut self, _now: Time) {}
}

impl Outgoing for Outbox {
    fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        self.slices(slices)
    }

    fn waiting(&self) -> usize {
        self.len()
    }

    fn sent(&mut self, n: usize) {
        self.sent(n);
    }
}

impl Outgoing for Engine {
    fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        self.outgoing(slices)
    }

    fn waiting(&self) -> usize {
        self.outbox().len()
    }

    fn sent(&mut self, n: usize) {
        self.sent(n);
    }

    fn stalled(&mut self, now: Time) {
        self.stalled(now);
    }

    fn next_timeout(&self) -> Option<Time> {
        self.next_timeout()
    }

    fn handle_timeout(&mut self, now: Time) {
        self.handle_timeout(now);
    }
}

impl<P: Outgoing> Shared<P> {
    /// Fails when the transport has no descriptor to wait on.
    pub(super) fn new(transport: Transport, protocol: P, unread: Vec<u8>) -> Result<Shared<P>, Error> {
        let fd = transport.fd().ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "it has no descriptor"));
        let waiting =
            fd.and_then(|fd| fd.try_clone_to_owned()).map_err(|source| Error::io("wait for this transport", source))?;
        let unread = Unread::new(unread);
        let state = State {
            transport,
            protocol,
            unread,
            accepted: 0,
            is_ended: false,
            broken: None,
            is_finished: false,
            error: None,
        };
        Ok(Shared { state: Mutex::new(state), waiting })
    }

    pub(super) fn waiting(&self) -> BorrowedFd<'_> {
        self.waiting.as_fd()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn into_state(self) -> State<P> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the lock up, waits for one of `flags` until the given moment, and takes the lock again.
    pub(super) fn wait<'a>(
        &'a self,
        state: MutexGuard<'a, State<P>>,
        flags: PollFlags,
        until: Option<Time>,
    ) -> (MutexGuard<'a, State<P>>, Waited) {
        drop(state);
        let waited = match poll(&mut [PollFd::new(self.waiting.as_fd(), flags)], timeout(until)) {
            Ok(0) => Waited::Due,
            // Whatever else poll complains of shows when the socket is used.
            Err(Errno::EINTR) => Waited::Interrupted,
            Ok(_) | Err(_) => Waited::Ready,
        };
        (self.lock(), waited)
    }

    /// Writes, and waits outside the lock, until `is_done`: true. False when the time is up first, or
    /// a signal was handled while there was a limit. Fails when nothing can be written any more.
    pub(super) fn write_until<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<P>>,
        deadline: Option<Time>,
        is_done: impl Fn(&State<P>) -> bool,
    ) -> Result<(MutexGuard<'a, State<P>>, bool), Error> {
        loop {
            state.go_on_handshaking();
            state.write();
            if is_done(&state) {
                return Ok((state, true));
            }
            let now = clock::now();
            state.protocol.handle_timeout(now);
            state.check_writable()?;
            if deadline.is_some_and(|deadline| now >= deadline) {
                return Ok((state, false));
            }
            let until = deadline.into_iter().chain(state.protocol.next_timeout()).min();
            let flags = if state.transport.is_handshaking() { state.interest() } else { PollFlags::POLLOUT };
            let waited;
            (state, waited) = self.wait(state, flags, until);
            if waited == Waited::Interrupted && deadline.is_some() {
                return Ok((state, false));
            }
        }
    }

    /// Ends both directions; whoever waits wakes up.
    pub(super) fn abort(&self) {
        self.lock().transport.abort();
    }
}

impl<P: Outgoing> State<P> {
    /// Writes what can be written now.
    pub(super) fn write(&mut self) {
        while self.broken.is_none() && self.protocol.waiting() > 0 {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let filled = self.protocol.slices(&mut slices);
            match self.transport.write(&slices[..filled]) {
                Ok(0) => break,
                Ok(n) => {
                    self.protocol.sent(n);
                    self.accepted += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => self.broken = Some(Broken::Untold(error)),
            }
        }
        if self.protocol.waiting() > 0 {
            self.protocol.stalled(clock::now());
        }
        if self.broken.is_none()
            && let Err(error) = self.transport.flush()
        {
            self.broken = Some(Broken::Untold(error));
        }
    }

    /// A writer must read while the handshake of TLS goes on; the bytes that may follow it are kept.
    fn go_on_handshaking(&mut self) {
        if !self.transport.is_handshaking() || self.is_ended || !self.unread.is_empty() {
            return;
        }
        let mut buffer = vec![0; SECURE_READ];
        match self.transport.read(&mut buffer) {
            Ok(n) => {
                self.is_ended = n == 0;
                buffer.truncate(n);
                self.unread = Unread::new(buffer);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                self.is_ended = true;
                self.broken = Some(Broken::Untold(error));
            }
        }
    }

    /// Whether bytes wait, here or in the transport.
    pub(super) fn has_waiting(&self) -> bool {
        self.protocol.waiting() > 0 || self.transport.has_pending_write()
    }

    /// The moment in `accepted` when all that waits now has left.
    pub(super) fn mark(&self) -> u64 {
        self.accepted + self.protocol.waiting() as u64
    }

    /// Whether everything up to `mark` has left.
    pub(super) fn has_left(&self, mark: u64) -> bool {
        self.accepted >= mark && !self.transport.has_pending_write()
    }

    /// What to wait for when reading.
    pub(super) fn interest(&self) -> PollFlags {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, !self.is_ended);
        // Until the handshake is over, only its own bytes can leave.
        let may_write =
            self.transport.has_pending_write() || (self.protocol.waiting() > 0 && !self.transport.is_handshaking());
        flags.set(PollFlags::POLLOUT, may_write && self.broken.is_none());
        flags
    }

    fn check_writable(&mut self) -> Result<(), Error> {
        match self.broken.replace(Broken::Told) {
            Some(Broken::Untold(source)) => Err(send_error(source)),
            Some(Broken::Told) => Err(Misuse::Closed.into()),
            None => {
                self.broken = None;
                // Thrown away, not sent: it is over.
                if self.has_waiting() { Ok(()) } else { Err(Misuse::Closed.into()) }
            }
        }
    }
}

fn send_error(source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::InvalidData => Error::Tls(source.to_string()),
        _ => Error::io("send", source),
    }
}

/// How long poll may wait.
pub(super) fn timeout(until: Option<Time>) -> PollTimeout {
    let Some(until) = until else { return PollTimeout::NONE };
    let left = until.since(clock::now()).as_millis();
    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
}

/// Bytes asked for in one read.
pub(super) const READ: usize = 32 << 10;
/// The same through TLS: room for a record and its plaintext side by side, twice.
pub(super) const SECURE_READ: usize = 64 << 10;
