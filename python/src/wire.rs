//! [`Wire`]: the bytes of one connection, for threads that wait. Knows sockets and TLS; never Python.

use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use linkspan::transport::{Socket, Transport};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};

use crate::traffic::Count;

/// A connection that any thread may read, write and close; whoever waits on it when it is closed wakes up.
pub(crate) struct Wire {
    stream: Mutex<Option<Arc<Stream>>>,
    /// Longest wait in milliseconds; -1 is for ever.
    patience: AtomicI32,
    /// Bytes that were read, and that were written, below framing and above TLS.
    read: Count,
    written: Count,
}

/// More unread bytes than this are not told apart.
const MAX_UNREAD_BYTES: usize = 16 << 10;

/// What is waited on outlives every lock, so a waiting reader keeps no writer out.
enum Stream {
    Plain(Socket),
    Other { transport: Mutex<Transport>, fd: OwnedFd },
}

/// The descriptor of a connection, kept open for somebody who waits on it elsewhere.
pub(crate) struct Watched(Arc<Stream>);

impl Watched {
    pub(crate) fn fileno(&self) -> RawFd {
        self.0.fd().as_raw_fd()
    }
}

/// What a wait is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    Readable,
    Writable,
}

impl Wire {
    /// Over a transport of any kind that has a descriptor.
    pub(crate) fn new(transport: Transport) -> io::Result<Wire> {
        let stream = match transport {
            Transport::Plain(socket) => Stream::Plain(socket),
            other => {
                let fd = other.fd().ok_or(ErrorKind::Unsupported)?.try_clone_to_owned()?;
                Stream::Other { transport: Mutex::new(other), fd }
            }
        };
        Ok(Wire {
            stream: Mutex::new(Some(Arc::new(stream))),
            patience: AtomicI32::new(-1),
            read: Count::default(),
            written: Count::default(),
        })
    }

    /// Reads what is there: 0 is the end, `None` nothing yet.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let stream = self.stream()?;
        let read = would_block(match &*stream {
            Stream::Plain(socket) => socket.read(buffer),
            Stream::Other { transport, .. } => lock(transport).read(buffer),
        })?;
        self.read.add(read.unwrap_or(0));
        Ok(read)
    }

    /// Reads at least one byte; 0 is the end.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(read) = self.try_read(buffer)? {
                return Ok(read);
            }
            self.wait(Wait::Readable)?;
        }
    }

    /// Writes from the front of the slices what goes without waiting: how many bytes.
    pub(crate) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let stream = self.stream()?;
        let written = would_block(match &*stream {
            Stream::Plain(socket) => socket.write(slices),
            Stream::Other { transport, .. } => lock(transport).write(slices),
        })?;
        let written = written.unwrap_or(0);
        self.written.add(written);
        Ok(written)
    }

    /// Whether all that was written has left the process.
    pub(crate) fn try_flush(&self) -> io::Result<bool> {
        match &*self.stream()? {
            Stream::Plain(_) => Ok(true),
            Stream::Other { transport, .. } => lock(transport).flush(),
        }
    }

    /// Writes all, however long it takes.
    pub(crate) fn write_all(&self, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            match self.try_write(slices)? {
                0 => self.wait_writable()?,
                written => IoSlice::advance_slices(&mut slices, written),
            }
        }
        while !self.try_flush()? {
            self.wait_writable()?;
        }
        Ok(())
    }

    /// A signal does not end a write in its middle.
    fn wait_writable(&self) -> io::Result<()> {
        loop {
            match self.wait(Wait::Writable) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                answer => return answer,
            }
        }
    }

    /// Waits until reading or writing may go on. `TimedOut` after the patience that was set; `Interrupted`
    /// by a signal.
    pub(crate) fn wait(&self, wait: Wait) -> io::Result<()> {
        let stream = self.stream()?;
        let mut flags = match wait {
            Wait::Readable => PollFlags::POLLIN,
            Wait::Writable => PollFlags::POLLOUT,
        };
        if let Stream::Other { transport, .. } = &*stream {
            let transport = lock(transport);
            // TLS may have to send before it can receive, and the other way round.
            if transport.has_pending_write() {
                flags |= PollFlags::POLLOUT;
            }
            if transport.is_handshaking() {
                flags |= PollFlags::POLLIN;
            }
        }
        let patience = self.patience.load(Ordering::Relaxed);
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::NONE);
        match poll(&mut [PollFd::new(stream.fd(), flags)], timeout)? {
            0 => Err(ErrorKind::TimedOut.into()),
            _ => {
                self.stream()?;
                Ok(())
            }
        }
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

    /// How long a wait may take, in milliseconds; -1 is for ever.
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
        match (&*stream, how) {
            (_, Shutdown::Read) => Ok(()),
            (Stream::Plain(socket), Shutdown::Write) => socket.shutdown_write(),
            (Stream::Other { transport, .. }, Shutdown::Write) => lock(transport).shutdown_write(),
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
        // Unread bytes would make the system reset the connection, and the peer lose what was sent last.
        let mut scrap = [0; 4096];
        for _ in 0..64 {
            let read = match &*stream {
                Stream::Plain(socket) => socket.read(&mut scrap),
                Stream::Other { transport, .. } => lock(transport).read(&mut scrap),
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

    /// Keeps the descriptor open; when the connection is closed meanwhile, it becomes readable.
    pub(crate) fn watch(&self) -> io::Result<Watched> {
        self.stream().map(Watched)
    }

    /// Whether a read may bring bytes though the socket stays silent.
    pub(crate) fn has_buffered(&self) -> bool {
        self.stream().is_ok_and(|stream| match &*stream {
            Stream::Plain(_) => false,
            Stream::Other { transport, .. } => lock(transport).has_buffered_plaintext(),
        })
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
        match self {
            Stream::Plain(socket) => socket.as_fd(),
            Stream::Other { fd, .. } => fd.as_fd(),
        }
    }

    fn abort(&self) {
        match self {
            Stream::Plain(socket) => socket.shutdown_both(),
            Stream::Other { transport, .. } => lock(transport).abort(),
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
