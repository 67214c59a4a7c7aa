//! [`Channel`]: one connection of the server, raw bytes and plain messages, for Python threads that wait.

mod payload;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::mem;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{BorrowedFd, IntoRawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use linkspan::protocol::frame::{Header, MAX_HEADER_BYTES, OpCode};
use linkspan::protocol::mask;
use linkspan::transport::{Peer, Socket, Transport};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{IntoPyDict, PyBytes, PyString, PyTuple};

use crate::ahead::Ahead;
use crate::baton;
use crate::buffers::{self, Payload};
use crate::errors;
use crate::gil;
use crate::inbox::Inbox;
use crate::sources::{Side, Source};
use crate::tls::ServerTls;
use crate::traffic::Traffic;
use crate::utf8::Utf8;
use crate::waiter::Then;
use crate::wire::{Watched, Wire};

/// Longer writes let other threads run meanwhile.
const SHORT_WRITE_BYTES: usize = 64 << 10;

/// One connection: raw bytes, and the frames of plain messages. Several threads may use it at once.
///
/// It has the methods of a socket that servers and handlers use.
#[pyclass(frozen, weakref, module = "linkspan._linkspan")]
pub(crate) struct Channel {
    wire: Wire,
    /// Who has it reads, and keeps it while it waits for more.
    inbox: Mutex<Inbox>,
    /// Who has it writes, and keeps it until all has gone. What was posted, or the end of an offer, leaves before
    /// anything else.
    writing: Mutex<VecDeque<u8>>,
    received: Traffic,
    sent: Traffic,
    /// Taken behind `inbox`.
    ahead: Mutex<Ahead>,
    /// See [`Channel::is_cut`].
    is_cut: AtomicBool,
    peer: Peer,
}

/// What [`Channel::receive_frame`] gives.
type Frame<'py> = (u8, Bound<'py, PyBytes>, u8, u8, u8, u8);

impl Channel {
    /// `unread` are the bytes that were read from the transport already.
    pub(crate) fn new(transport: Transport, unread: Vec<u8>) -> io::Result<Channel> {
        let peer = transport.peer();
        Ok(Channel {
            wire: Wire::new(transport)?,
            inbox: Mutex::new(Inbox::new(unread)),
            writing: Mutex::default(),
            received: Traffic::default(),
            sent: Traffic::default(),
            ahead: Mutex::default(),
            is_cut: AtomicBool::new(false),
            peer,
        })
    }

    /// Reads more into the inbox; `false` at the end of the stream. `until` is the end of the call's time.
    fn fill(&self, py: Python<'_>, inbox: &mut Inbox, until: Option<Instant>) -> PyResult<bool> {
        let mut read = Ok(None);
        if self.wire.may_have_bytes() && gil::is_my_turn() {
            read = inbox.try_fill(&self.wire);
        }
        loop {
            match read {
                Ok(Some(read)) => return Ok(read > 0),
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => py.check_signals()?,
                Err(error) => return Err(errors::io(error)),
            }
            // Only who is next to have the GIL takes a buffer.
            read = gil::leave(py, || {
                self.wire.wait(Side::Reading, Then::Baton, until)?;
                inbox.try_fill(&self.wire)
            });
        }
    }

    fn write_all(&self, py: Python<'_>, slices: &mut [IoSlice<'_>]) -> PyResult<()> {
        let mut posted = self.writing.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        if !posted.is_empty() {
            let posted = mem::take(&mut *posted);
            let (front, back) = posted.as_slices();
            gil::leave_long(py, || self.wire.write_all(&mut [IoSlice::new(front), IoSlice::new(back)]))
                .map_err(errors::io)?;
        }
        let mut slices = slices;
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if total <= SHORT_WRITE_BYTES {
            let (written, has_left) = self.wire.try_write_all(slices).map_err(errors::io)?;
            if written == total && has_left {
                return Ok(());
            }
            IoSlice::advance_slices(&mut slices, written);
        }
        gil::leave_long(py, || self.wire.write_all(slices)).map_err(errors::io)
    }

    /// Sends what goes without waiting and keeps the rest, behind what is kept already. Whether something is.
    fn post_all(&self, py: Python<'_>, slices: &[IoSlice<'_>]) -> PyResult<bool> {
        let mut posted = self.writing.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        let mut gone = if posted.is_empty() { self.wire.try_write(slices).map_err(errors::io)? } else { 0 };
        for slice in slices {
            let skipped = gone.min(slice.len());
            posted.extend(&slice[skipped..]);
            gone -= skipped;
        }
        self.send_posted(&mut posted).map_err(errors::io)
    }

    fn send_posted(&self, posted: &mut VecDeque<u8>) -> io::Result<bool> {
        while !posted.is_empty() {
            let (front, back) = posted.as_slices();
            match self.wire.try_write(&[IoSlice::new(front), IoSlice::new(back)]) {
                Ok(0) => return Ok(true),
                Ok(written) => drop(posted.drain(..written)),
                Err(error) => {
                    posted.clear();
                    return Err(error);
                }
            }
        }
        Ok(!self.wire.try_flush()?)
    }
}

/// For a loop of events, which never waits here.
impl Channel {
    /// See [`Wire::watch`].
    pub(crate) fn watch(
        &self,
        place: impl FnOnce(BorrowedFd<'_>, bool) -> io::Result<Arc<Source>>,
    ) -> io::Result<Watched> {
        self.wire.watch(place)
    }

    /// Whether the next frame can be received without waiting: all of it has come, or enough of it to refuse
    /// it, or the stream has ended. With `reads`, what has come is read first, unless there is a frame already. The
    /// other arguments are those of `receive_frame`, which comes next.
    pub(crate) fn can_receive(
        &self,
        py: Python<'_>,
        max_bytes: u64,
        utf8: Option<&Utf8>,
        continues: bool,
        mut reads: bool,
    ) -> PyResult<bool> {
        let mut inbox = self.inbox.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let text = utf8.map(|utf8| || if continues { utf8.so_far() } else { Default::default() });
        loop {
            if ahead.is_ready(inbox.bytes(), max_bytes, text, continues) {
                return Ok(true);
            }
            // A peer that sends without end gets one read, then others have their turn.
            if !mem::take(&mut reads) {
                return Ok(false);
            }
            match inbox.try_fill(&self.wire).map_err(errors::io)? {
                Some(0) => return Ok(true),
                // TLS itself may have something to say to what has come.
                Some(_) => drop(self.wire.try_flush().map_err(errors::io)?),
                None => return Ok(false),
            }
        }
    }
}

#[pymethods]
impl Channel {
    /// Takes over the socket `fd`, of which it makes a descriptor of its own; with `tls` as a TLS server.
    #[new]
    #[pyo3(signature = (fd, tls = None))]
    fn adopt(fd: i32, tls: Option<&ServerTls>) -> PyResult<Channel> {
        baton::prepare();
        let socket = Socket::try_from(buffers::duplicate(fd).map_err(errors::io)?).map_err(errors::io)?;
        let transport = match tls {
            Some(tls) => Transport::tls_server(socket, tls.shared()).map_err(errors::linkspan)?,
            None => Transport::plain(socket),
        };
        Channel::new(transport, Vec::new()).map_err(errors::io)
    }

    /// Bytes as they come: at least one, at most `length`; `b''` at the end.
    fn read<'py>(&self, py: Python<'py>, length: usize) -> PyResult<Bound<'py, PyBytes>> {
        if length == 0 {
            return Ok(PyBytes::new(py, b""));
        }
        let mut inbox = self.inbox.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        let until = self.wire.until();
        if inbox.bytes().is_empty() && !self.fill(py, &mut inbox, until)? {
            return Ok(PyBytes::new(py, b""));
        }
        Ok(taken(py, &mut inbox, length))
    }

    /// Bytes up to and with the next LF, at most `limit` of them when it is not negative; fewer at the end.
    #[pyo3(signature = (limit = -1))]
    fn readline<'py>(&self, py: Python<'py>, limit: isize) -> PyResult<Bound<'py, PyBytes>> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut inbox = self.inbox.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        let until = self.wire.until();
        let mut searched = 0;
        let length = loop {
            let bytes = inbox.bytes();
            if let Some(at) = bytes[searched..].iter().position(|byte| *byte == b'\n') {
                break (searched + at + 1).min(limit);
            }
            searched = bytes.len();
            if searched >= limit {
                break limit;
            }
            if !self.fill(py, &mut inbox, until)? {
                break searched;
            }
        };
        let line = PyBytes::new(py, &inbox.bytes()[..length]);
        inbox.consume(length);
        Ok(line)
    }

    /// What has been read and not used: the head of the request, to begin with.
    fn peek<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let mut inbox = self.inbox.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        PyBytes::new(py, inbox.bytes())
    }

    /// Sends all of `data`, a bytes-like object.
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let payload = Payload::of_bytes(data)?;
        self.write_all(py, &mut [IoSlice::new(payload.as_bytes())])
    }

    /// Sends `data` if that goes without waiting and nobody else is sending. Whether it went; the end of what
    /// went in part leaves before anything else.
    fn offer(&self, data: &Bound<'_, PyBytes>) -> bool {
        let Ok(mut posted) = self.writing.try_lock() else { return false };
        if !posted.is_empty() {
            // What fails will fail whoever writes next.
            let _ = self.send_posted(&mut posted);
            if !posted.is_empty() {
                return false;
            }
        }
        let data = data.as_bytes();
        let Ok(written @ 1..) = self.wire.try_write(&[IoSlice::new(data)]) else { return false };
        posted.extend(&data[written..]);
        self.wire.try_flush().is_ok()
    }

    /// What has passed so far: `(bytes read, bytes written, messages received, their bytes, messages sent, their
    /// bytes)`. Messages that Python code reads or writes are counted by `count_received` and `count_sent`.
    fn traffic(&self) -> (u64, u64, u64, u64, u64, u64) {
        let (read, written) = self.wire.passed();
        let [received, sent] = [&self.received, &self.sent].map(|way| (way.messages.get(), way.bytes.get()));
        (read, written, received.0, received.1, sent.0, sent.1)
    }

    /// How many bytes wait to be read; more than 16 KiB are not told apart.
    fn unread(&self) -> usize {
        self.wire.unread()
    }

    /// Python code has received a message of so many bytes.
    fn count_received(&self, bytes: usize) {
        self.received.add(bytes);
    }

    /// Python code has sent a message of so many bytes.
    fn count_sent(&self, bytes: usize) {
        self.sent.add(bytes);
    }

    /// The next message, `str` or `bytes`, when the next frame is a whole one: masked, without reserved bits, of at
    /// most `max_bytes` if that is a number. `None`, and the frame is left unread, when it is anything else or the
    /// stream ends before it.
    ///
    /// Raises `ValueError` for a text that is not UTF-8 (at its first bad byte, perhaps before its
    /// end), `EOFError` when the stream ends inside, and `OSError`.
    fn receive_message<'py>(&self, py: Python<'py>, max_bytes: Option<u64>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut inbox = self.inbox.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        let until = self.wire.until();
        let is_message = |first| matches!(first, 0x81 | 0x82);
        let most = max_bytes.unwrap_or(u64::MAX);
        let Some(next) = self.next_header(py, &mut inbox, is_message, most, until)? else { return Ok(None) };
        let (header, key, length) = next;
        let is_text = header.opcode == OpCode::Text;
        if inbox.bytes().len() < length {
            let utf8 = is_text.then(Utf8::new);
            let payload = self.payload(py, &mut inbox, (key, length), utf8.as_ref(), until)?;
            self.received.add(length);
            return message(py, &payload, is_text).map(Some);
        }
        let payload = &mut inbox.bytes()[..length];
        mask::apply(key, payload);
        let message = message(py, payload, is_text);
        inbox.consume(length);
        self.received.add(length);
        message.map(Some)
    }

    /// The next frame, `(opcode, payload, fin, rsv1, rsv2, rsv3)`, when it is masked, its opcode known, its
    /// length in the shortest form and at most `max_bytes`. `None`, and it is left unread, when not.
    ///
    /// With `utf8` the fragments of a text are checked as they arrive, of the one that is open already if it
    /// `continues` one: `ValueError` for the first bad byte. Raises `EOFError` when the stream ends inside, and
    /// `OSError`.
    fn receive_frame<'py>(
        &self,
        py: Python<'py>,
        max_bytes: u64,
        utf8: Option<&Utf8>,
        continues: bool,
    ) -> PyResult<Option<Frame<'py>>> {
        let mut inbox = self.inbox.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        let until = self.wire.until();
        let Some(next) = self.next_header(py, &mut inbox, |_| true, max_bytes, until)? else { return Ok(None) };
        let (header, key, length) = next;
        // A frame that breaks another rule breaks that one.
        let utf8 = utf8.filter(|_| match header.opcode {
            OpCode::Text => header.reserved == 0 && !continues,
            OpCode::Continuation => header.reserved == 0 && continues,
            OpCode::Binary | OpCode::Close | OpCode::Ping | OpCode::Pong => false,
        });
        if let (Some(utf8), false) = (utf8, continues) {
            utf8.restart();
        }
        let payload = self.payload(py, &mut inbox, (key, length), utf8, until)?;
        let bit = |mask: u8| u8::from(header.reserved & mask != 0);
        let payload = PyBytes::new(py, &payload);
        Ok(Some((header.opcode as u8, payload, u8::from(header.fin), bit(4), bit(2), bit(1))))
    }

    /// Whether a text was refused before all of its frame had come, so that what follows is no frame.
    fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }

    /// Sends one unmasked frame: `first` is its first byte, `message` a `str` (sent as UTF-8) or bytes-like.
    ///
    /// Raises `UnicodeEncodeError` for a `str` with half a surrogate pair, and `OSError`.
    fn send_frame(&self, py: Python<'_>, message: &Bound<'_, PyAny>, first: u8) -> PyResult<()> {
        let payload = Payload::of_message(message)?;
        let (head, size) = frame_head(first, payload.as_bytes());
        self.write_all(py, &mut [IoSlice::new(&head[..size]), IoSlice::new(payload.as_bytes())])?;
        self.sent.add(payload.as_bytes().len());
        Ok(())
    }

    // The same for a loop of events, which never waits here.

    /// As `read`, of what has come; `None` when that is nothing.
    fn read_now<'py>(&self, py: Python<'py>, length: usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let mut inbox = self.inbox.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        if length > 0 && inbox.bytes().is_empty() && inbox.try_fill(&self.wire).map_err(errors::io)?.is_none() {
            return Ok(None);
        }
        Ok(Some(taken(py, &mut inbox, length)))
    }

    /// Sends what of `data` goes without waiting; `flush` sends the rest. Whether there is one.
    fn post(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<bool> {
        let payload = Payload::of_bytes(data)?;
        self.post_all(py, &[IoSlice::new(payload.as_bytes())])
    }

    /// As `post`, with the arguments of `send_frame`.
    fn post_frame(&self, py: Python<'_>, message: &Bound<'_, PyAny>, first: u8) -> PyResult<bool> {
        let payload = Payload::of_message(message)?;
        let (head, size) = frame_head(first, payload.as_bytes());
        let has_rest = self.post_all(py, &[IoSlice::new(&head[..size]), IoSlice::new(payload.as_bytes())])?;
        self.sent.add(payload.as_bytes().len());
        Ok(has_rest)
    }

    /// Sends what goes now of what was posted. Whether something is left.
    fn flush(&self, py: Python<'_>) -> PyResult<bool> {
        let mut posted = self.writing.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        self.send_posted(&mut posted).map_err(errors::io)
    }

    // What else of a socket servers and handlers use.

    /// As `read`.
    #[pyo3(signature = (length, flags = 0))]
    fn recv<'py>(&self, py: Python<'py>, length: usize, flags: i32) -> PyResult<Bound<'py, PyAny>> {
        if flags == 0 {
            return self.read(py, length).map(Bound::into_any);
        }
        self.as_socket(py)?.call_method1(intern!(py, "recv"), (length, flags))
    }

    /// As `write`.
    fn sendall(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        self.write(py, data)
    }

    /// As `write`; how many bytes that was.
    fn send(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.write(py, data)?;
        data.len()
    }

    /// Ends a direction: 0 receiving, 1 sending, 2 both.
    fn shutdown(&self, how: i32) -> PyResult<()> {
        let how = match how {
            0 => Shutdown::Read,
            1 => Shutdown::Write,
            _ => Shutdown::Both,
        };
        self.wire.shutdown(how).map_err(errors::io)
    }

    /// Ends the connection; threads that wait on it wake up with an `OSError` or the end of the stream.
    fn close(&self, py: Python<'_>) {
        gil::leave(py, || self.wire.close());
    }

    /// The peer's address as `socket.getpeername` gives it; remembered after the end.
    fn getpeername<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        address(py, &self.peer)
    }

    /// How long a call may wait for the peer, in seconds, however much of what it waits for comes meanwhile; `None`
    /// is for ever.
    fn settimeout(&self, seconds: Option<f64>) {
        let millis = seconds.map_or(-1, |seconds| (seconds.max(0.0) * 1000.0).ceil().min(f64::from(i32::MAX)) as i32);
        self.wire.set_patience(millis);
    }

    /// What `settimeout` set.
    fn gettimeout(&self) -> Option<f64> {
        let millis = self.wire.patience();
        (millis >= 0).then(|| f64::from(millis) / 1000.0)
    }

    /// The number of the descriptor.
    fn fileno(&self) -> i32 {
        self.wire.fileno()
    }

    // The rest is a `socket.socket`'s, over the same connection. Each by itself: a `__getattr__` would cost every
    // look-up of any method, time and stack.

    #[pyo3(signature = (*arguments))]
    fn setsockopt<'py>(&self, arguments: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        self.as_socket(arguments.py())?.call_method1("setsockopt", arguments)
    }

    #[pyo3(signature = (*arguments))]
    fn getsockopt<'py>(&self, arguments: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        self.as_socket(arguments.py())?.call_method1("getsockopt", arguments)
    }

    fn getsockname<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.as_socket(py)?.call_method0("getsockname")
    }

    fn setblocking<'py>(&self, flag: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.as_socket(flag.py())?.call_method1("setblocking", (flag,))
    }

    #[getter]
    fn family<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.as_socket(py)?.getattr("family")
    }

    #[getter]
    fn r#type<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.as_socket(py)?.getattr("type")
    }

    #[getter]
    fn proto<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.as_socket(py)?.getattr("proto")
    }
}

impl Channel {
    /// A Python socket with a descriptor of its own.
    fn as_socket<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let fd = self.wire.try_clone_fd().map_err(errors::io)?.into_raw_fd();
        let arguments = [("fileno", fd)].into_py_dict(py)?;
        py.import(intern!(py, "socket"))?.call_method(intern!(py, "socket"), (), Some(&arguments))
    }
}

/// The first bytes of those that were read, at most `length`.
fn taken<'py>(py: Python<'py>, inbox: &mut Inbox, length: usize) -> Bound<'py, PyBytes> {
    let length = length.min(inbox.bytes().len());
    let bytes = PyBytes::new(py, &inbox.bytes()[..length]);
    inbox.consume(length);
    bytes
}

/// The header of one unmasked frame and its size.
fn frame_head(first: u8, payload: &[u8]) -> ([u8; MAX_HEADER_BYTES], usize) {
    let mut head = [0; MAX_HEADER_BYTES];
    let header = Header { fin: true, reserved: 0, opcode: OpCode::Binary, mask: None, length: payload.len() as u64 };
    let size = header.write(&mut head);
    head[0] = first;
    (head, size)
}

fn message<'py>(py: Python<'py>, payload: &[u8], is_text: bool) -> PyResult<Bound<'py, PyAny>> {
    if is_text {
        PyString::from_bytes(py, payload).map(Bound::into_any)
    } else {
        Ok(PyBytes::new(py, payload).into_any())
    }
}

/// As Python's sockets write addresses.
pub(crate) fn address<'py>(py: Python<'py>, peer: &Peer) -> PyResult<Bound<'py, PyAny>> {
    Ok(match peer.socket_addr() {
        Some(SocketAddr::V4(v4)) => (v4.ip().to_string(), v4.port()).into_pyobject(py)?.into_any(),
        Some(SocketAddr::V6(v6)) => {
            (v6.ip().to_string(), v6.port(), v6.flowinfo(), v6.scope_id()).into_pyobject(py)?.into_any()
        }
        // It was gone before it could be asked; an address has two parts all the same.
        None if *peer == Peer::Unknown => ("", 0).into_pyobject(py)?.into_any(),
        None => PyString::new(py, &peer.to_string()).into_any(),
    })
}
