//! [`Wire`]: the bytes of one connection, for threads that wait. Knows sockets and TLS; never Python.

use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use linkspan::transport::{Socket, Transport};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};

use crate::baton::{self, Baton};
use crate::deadline::LONG;
use crate::sources::{Side, Source};
use crate::traffic::Count;
use crate::waiter::Then;

/// A connection that any thread may read, write and close; whoever waits on it when it is closed wakes up.
pub(crate) struct Wire {
    /// `None` once it is closed. Never locked for longer than it takes to look.
    stream: Mutex<Option<Arc<Stream>>>,
    /// Whether what was written may wait inside, as in TLS.
    may_hold_back: bool,
    /// How long a transfer may take, in milliseconds; -1 is for ever.
    patience: AtomicI32,
    /// Bytes that were read, and that were written, below framing and above TLS.
    read: Count,
    written: Count,
}

/// More unread bytes than this are not told apart.
const MAX_UNREAD_BYTES: usize = 16 << 10;

/// What is waited on outlives every lock, so a waiting reader keeps no writer out.
struct Stream {
    bytes: Bytes,
    /// Its place among those that threads wait on; `None` where the system refused it one.
    source: OnceLock<Option<Arc<Source>>>,
    /// Its place among those that a loop of events watches, if one does.
    watched: OnceLock<Arc<Source>>,
}

/// A connection that a loop of events watches; its descriptor is kept open.
pub(crate) struct Watched {
    stream: Arc<Stream>,
    source: Arc<Source>,
}

impl Watched {
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.fd()
    }

    /// Its place in the loop's set.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }
}

enum Bytes {
    Plain(Socket),
    Other { transport: Mutex<Transport>, fd: OwnedFd },
}

impl Wire {
    /// Over a transport of any kind that has a descriptor.
    pub(crate) fn new(transport: Transport) -> io::Result<Wire> {
        let bytes = match transport {
            Transport::Plain(socket) => Bytes::Plain(socket),
            other => {
                let fd = other.fd().ok_or(ErrorKind::Unsupported)?.try_clone_to_owned()?;
                Bytes::Other { transport: Mutex::new(other), fd }
            }
        };
        let may_hold_back = matches!(bytes, Bytes::Other { .. });
        let stream = Stream { bytes, source: OnceLock::new(), watched: OnceLock::new() };
        Ok(Wire {
            stream: Mutex::new(Some(Arc::new(stream))),
            may_hold_back,
            patience: AtomicI32::new(-1),
            read: Count::default(),
            written: Count::default(),
        })
    }

    /// Whether a read may bring something: not after one that took all, until news has come.
    pub(crate) fn may_have_bytes(&self) -> bool {
        self.stream().is_ok_and(|stream| stream.source().is_none_or(|source| source.has_news(Side::Reading)))
    }

    /// Reads what is there: 0 is the end, `None` nothing yet.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let stream = self.stream()?;
        for source in stream.sources() {
            source.forget_news(Side::Reading);
        }
        let (read, drains) = match &stream.bytes {
            Bytes::Plain(socket) => (socket.read(buffer), true),
            Bytes::Other { transport, .. } => {
                let mut transport = lock(transport);
                (transport.read(buffer), transport.short_read_drains())
            }
        };
        if read.as_ref().is_ok_and(|read| *read == 0 || *read == buffer.len() || !drains) {
            for source in stream.sources() {
                source.has_more(Side::Reading);
            }
        }
        let read = would_block(read)?;
        self.read.add(read.unwrap_or(0));
        Ok(read)
    }

    /// Reads at least one byte; 0 is the end. `until` is the end of a transfer of which this is a part.
    pub(crate) fn read(&self, buffer: &mut [u8], until: Option<Instant>) -> io::Result<usize> {
        loop {
            // Who sends a little again and again is never waited for.
            if until.is_some_and(|until| Instant::now() >= until) {
                return Err(ErrorKind::TimedOut.into());
            }
            if self.may_have_bytes()
                && let Some(read) = self.try_read(buffer)?
            {
                return Ok(read);
            }
            without_signals(|| self.wait(Side::Reading, Then::Work, until))?;
        }
    }

    /// Writes from the front of the slices what goes without waiting: how many bytes.
    pub(crate) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let stream = self.stream()?;
        let written = would_block(match &stream.bytes {
            Bytes::Plain(socket) => socket.write(slices),
            Bytes::Other { transport, .. } => lock(transport).write(slices),
        })?;
        let written = written.unwrap_or(0);
        self.written.add(written);
        Ok(written)
    }

    /// Writes all, if that goes without waiting: how many bytes went, and whether they have left the process.
    pub(crate) fn try_write_all(&self, slices: &[IoSlice<'_>]) -> io::Result<(usize, bool)> {
        let written = self.try_write(slices)?;
        Ok((written, !self.may_hold_back || self.try_flush()?))
    }

    /// Whether all that was written has left the process.
    pub(crate) fn try_flush(&self) -> io::Result<bool> {
        match &self.stream()?.bytes {
            Bytes::Plain(_) => Ok(true),
            Bytes::Other { transport, .. } => lock(transport).flush(),
        }
    }

    /// Writes all, however long it takes within the patience that was set.
    pub(crate) fn write_all(&self, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        let until = self.until();
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            self.forget_news_of_room();
            match self.try_write(slices)? {
                0 => without_signals(|| self.wait(Side::Writing, Then::Work, until))?,
                written => IoSlice::advance_slices(&mut slices, written),
            }
        }
        loop {
            self.forget_news_of_room();
            if self.try_flush()? {
                return Ok(());
            }
            without_signals(|| self.wait(Side::Writing, Then::Work, until))?;
        }
    }

    fn forget_news_of_room(&self) {
        if let Some(source) = self.stream().ok().as_ref().and_then(|stream| stream.source()) {
            source.forget_news(Side::Writing);
        }
    }

    /// The end of a transfer that begins now.
    pub(crate) fn until(&self) -> Option<Instant> {
        let patience = u64::try_from(self.patience()).ok()?;
        Some(Instant::now() + Duration::from_millis(patience))
    }

    /// Waits until reading or writing may go on, and `then`. `TimedOut` when that is not before `until`;
    /// `Interrupted` by a signal, in the main thread.
    pub(crate) fn wait(&self, side: Side, then: Then, until: Option<Instant>) -> io::Result<()> {
        let stream = self.stream()?;
        let waited = baton::with(|baton, me| {
            let source = stream.place(baton)?;
            Some(baton.wait(me, source, side, until, then))
        });
        let is_ready = match waited.flatten() {
            Some(is_ready) => is_ready,
            None => stream.poll(side, until)?,
        };
        // Somebody may have closed it.
        self.stream()?;
        if is_ready { Ok(()) } else { Err(ErrorKind::TimedOut.into()) }
    }

    /// How many bytes were read and written so far.
    pub(crate) fn passed(&self) -> (u64, u64) {
        (self.read.get(), self.written.get())
    }

    /// How many bytes have come and wait to be read, at most `MAX_UNREAD_BYTES`; encrypted ones with TLS.
    pub(crate) fn unread(&self) -> usize {
        let Ok(stream) = self.stream() else { return 0 };
        let mut scrap = [0; MAX_UNREAD_BYTES];
        recv(stream.fd().as_raw_fd(), &mut scrap, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT).unwrap_or(0)
    }

    /// How long a transfer may take, in milliseconds; -1 is for ever. From the next one on.
    pub(crate) fn set_patience(&self, millis: i32) {
        self.patience.store(millis, Ordering::Relaxed);
    }

    /// See [`Wire::set_patience`].
    pub(crate) fn patience(&self) -> i32 {
        self.patience.load(Ordering::Relaxed)
    }

    /// Ends one direction or both; what was written goes first.
    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let stream = self.stream()?;
        match (&stream.bytes, how) {
            (_, Shutdown::Read) => Ok(()),
            (Bytes::Plain(socket), Shutdown::Write) => socket.shutdown_write(),
            (Bytes::Other { transport, .. }, Shutdown::Write) => lock(transport).shutdown_write(),
            (_, Shutdown::Both) => {
                stream.abort();
                Ok(())
            }
        }
    }

    /// Gives the descriptor back to the system, when the last that waits on it has woken up.
    pub(crate) fn close(&self) {
        let stream = lock(&self.stream).take();
        let Some(stream) = stream else { return };
        // Unread bytes would make the system reset the connection, and the peer lose what was sent last. Not on the
        // stack, of which each handler's thread keeps what it has once touched.
        let mut scrap = vec![0; 4096];
        for _ in 0..64 {
            let read = match &stream.bytes {
                Bytes::Plain(socket) => socket.read(&mut scrap),
                Bytes::Other { transport, .. } => lock(transport).read(&mut scrap),
            };
            if !read.is_ok_and(|read| read > 0) {
                break;
            }
        }
        if Arc::strong_count(&stream) > 1 {
            stream.abort();
        }
    }

    /// The number of the descriptor; -1 when it is closed.
    pub(crate) fn fileno(&self) -> RawFd {
        self.stream().map_or(-1, |stream| stream.fd().as_raw_fd())
    }

    /// Has a loop of events watch it, which gives it a `place` in its set: of a descriptor, and whether each direction
    /// may have to wait for the other. When the connection is closed meanwhile, it becomes readable.
    pub(crate) fn watch(
        &self,
        place: impl FnOnce(BorrowedFd<'_>, bool) -> io::Result<Arc<Source>>,
    ) -> io::Result<Watched> {
        let stream = self.stream()?;
        if stream.watched.get().is_some() {
            // Two would not hear of what the other reads.
            return Err(ErrorKind::AlreadyExists.into());
        }
        let source = place(stream.fd(), self.may_hold_back)?;
        stream.watched.set(source.clone()).map_err(|_| ErrorKind::AlreadyExists)?;
        Ok(Watched { stream, source })
    }

    /// A second descriptor of the same socket.
    pub(crate) fn try_clone_fd(&self) -> io::Result<OwnedFd> {
        self.stream()?.fd().try_clone_to_owned()
    }

    fn stream(&self) -> io::Result<Arc<Stream>> {
        lock(&self.stream).clone().ok_or_else(|| io::Error::from_raw_os_error(nix::libc::EBADF))
    }
}

impl Stream {
    fn fd(&self) -> BorrowedFd<'_> {
        match &self.bytes {
            Bytes::Plain(socket) => socket.as_fd(),
            Bytes::Other { fd, .. } => fd.as_fd(),
        }
    }

    /// Where threads wait on it, if one has.
    fn source(&self) -> Option<&Source> {
        self.source.get()?.as_deref()
    }

    /// Everybody who has to be told what a read has left.
    fn sources(&self) -> impl Iterator<Item = &Source> {
        self.source().into_iter().chain(self.watched.get().map(|source| &**source))
    }

    /// Where threads wait on it; from the first wait on.
    fn place(&self, baton: &Baton) -> Option<&Source> {
        let is_mixed = matches!(self.bytes, Bytes::Other { .. });
        self.source.get_or_init(|| baton.add(self.fd(), is_mixed).ok()).as_deref()
    }

    /// Waits for this stream alone; `false` when the time is up. A wait for ever is `Interrupted` now and then,
    /// because a signal may come just before it begins.
    fn poll(&self, side: Side, until: Option<Instant>) -> io::Result<bool> {
        let mut flags = match side {
            Side::Reading => PollFlags::POLLIN,
            Side::Writing => PollFlags::POLLOUT,
        };
        if let Bytes::Other { transport, .. } = &self.bytes {
            let transport = lock(transport);
            // TLS may have to send before it can receive, and the other way round.
            if transport.has_pending_write() {
                flags |= PollFlags::POLLOUT;
            }
            if transport.is_handshaking() {
                flags |= PollFlags::POLLIN;
            }
        }
        let millis = until.map_or(LONG.as_millis(), |until| {
            // The last of them is waited for whole.
            until.saturating_duration_since(Instant::now()).as_nanos().div_ceil(1_000_000)
        });
        let patience = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
        let count = poll(&mut [PollFd::new(self.fd(), flags)], patience)?;
        if count == 0 && until.is_none() { Err(ErrorKind::Interrupted.into()) } else { Ok(count > 0) }
    }

    fn abort(&self) {
        match &self.bytes {
            Bytes::Plain(socket) => socket.shutdown_both(),
            Bytes::Other { transport, .. } => lock(transport).abort(),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(source) = self.source() {
            baton::remove(source, self.fd());
        }
    }
}

/// A signal does not end a transfer in its middle.
fn without_signals(wait: impl Fn() -> io::Result<()>) -> io::Result<()> {
    loop {
        match wait() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn would_block(answer: io::Result<usize>) -> io::Result<Option<usize>> {
    match answer {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
