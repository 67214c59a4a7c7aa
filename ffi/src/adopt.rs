//! Hosts
//!
//! For programs that have the stream already: a web server that has read the request's head, a framework
//! with its own sockets. The library takes over an open socket (linkspan_loop_adopt_fd) or a transport of the
//! host's own (linkspan_loop_adopt), with the opening handshake still to come or done by the host with a
//! linkspan_handshake.

use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_void};
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use linkspan::Error;
use linkspan::net::{Adopt, ConnectionId};
use linkspan::protocol::handshake::{
    Agreed, Headers, Offer, Reject, Request, Response, judge_request, write_accept, write_reject,
};
use linkspan::protocol::{CloseCode, Config, Engine, MAX_REASON_BYTES, MAX_SLICES, Time};
use linkspan::transport::{HostTransport, Socket, Transport};

use crate::bytes::{self, linkspan_connection, linkspan_header, linkspan_slice, linkspan_text};
use crate::callbacks::{Callbacks, linkspan_callbacks};
use crate::config::{self, linkspan_config};
use crate::event_loop::linkspan_loop;
use crate::guard::{self, Grows, Out, Outcome, guard, guard_connection, guard_value};
use crate::remote;
use crate::request::{self, linkspan_accept_options, linkspan_request};
use crate::result::{
    Failure, LINKSPAN_INVALID_ARGUMENT, LINKSPAN_NOT_FOUND, LINKSPAN_OK, LINKSPAN_WRONG_STATE, linkspan_status,
};

/// An opening handshake whose head the host has read and whose answer the host writes. Owned: free it with
/// linkspan_handshake_free. Used by one thread at a time.
pub struct linkspan_handshake {
    config: Arc<Config>,
    request: linkspan_request,
    /// What was asked for; or, when the request broke a rule, what it is refused with.
    judged: Result<Offer, Response>,
    /// Set when the request is accepted.
    accepted: OnceLock<(Agreed, Response)>,
}

/// What the host's functions return when there is nothing now: no bytes to read, no room to write. They are
/// called again when linkspan_connection_ready has said so, or the descriptor is ready.
pub const LINKSPAN_TRANSPORT_AGAIN: i64 = -1;

/// What the host's functions return when the stream has failed.
pub const LINKSPAN_TRANSPORT_FAILED: i64 = -2;

/// A host's own stream. All functions are called on the loop's thread; none may wait. `read` and `write` are
/// called once without readiness when the stream is adopted, and afterwards until they return AGAIN, or `read` less
/// than it was asked for where short_read_drains says so.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct linkspan_transport {
    /// sizeof(linkspan_transport).
    pub size: usize,
    /// The first argument of every function.
    pub user: *mut c_void,
    /// Reads up to `bytes` bytes into `buffer`: how many; 0 at the end of the stream; LINKSPAN_TRANSPORT_AGAIN;
    /// LINKSPAN_TRANSPORT_FAILED. Not NULL.
    pub read: Option<unsafe extern "C" fn(user: *mut c_void, buffer: *mut c_void, bytes: usize) -> i64>,
    /// Takes bytes from the front of `count` slices, in order: how many; LINKSPAN_TRANSPORT_AGAIN;
    /// LINKSPAN_TRANSPORT_FAILED. Not NULL.
    pub write: Option<unsafe extern "C" fn(user: *mut c_void, slices: *const linkspan_slice, count: usize) -> i64>,
    /// Sends what the host holds back: 0 when nothing is left, LINKSPAN_TRANSPORT_AGAIN when it is to be called
    /// again once writable, LINKSPAN_TRANSPORT_FAILED. NULL when the host holds nothing back.
    pub flush: Option<unsafe extern "C" fn(user: *mut c_void) -> i64>,
    /// Nothing more will be written; reading goes on. NULL when the host cannot half-close.
    pub shutdown_write: Option<unsafe extern "C" fn(user: *mut c_void)>,
    /// The stream is the host's again: called exactly once and last. NULL when that is nothing to it.
    pub close: Option<unsafe extern "C" fn(user: *mut c_void)>,
    /// What linkspan_connection_peer says, ended by a NUL. NULL: "host". Copied.
    pub peer: *const c_char,
    /// Non-zero: `fd` tells of readiness. Zero: linkspan_connection_ready does.
    pub has_fd: c_int,
    /// A descriptor to wait on, which stays the host's.
    pub fd: c_int,
    /// Non-zero: the bytes are encrypted on their way.
    pub secure: c_int,
    /// Non-zero: a `read` of fewer bytes than it was asked for has taken all that there was, and readiness tells of
    /// more, as with a bare socket. It saves a read for each message. Zero when bytes may wait where the descriptor
    /// does not show them, as in TLS.
    pub short_read_drains: c_int,
}

// SAFETY: `repr(C)`, size first, numbers, pointers and optional functions only.
unsafe impl Grows for linkspan_transport {}

/// How a stream is taken over. Zero is the default.
#[repr(C)]
pub struct linkspan_adopt_options {
    /// sizeof(linkspan_adopt_options).
    pub size: usize,
    /// A handshake that was accepted; its answer is written already, or was put before the first `unread`
    /// byte by the host. NULL: a client's request is still to come.
    pub handshake: *const linkspan_handshake,
    /// Limits and wishes, without a handshake. NULL: the defaults.
    pub config: *const linkspan_config,
    /// What you want to be told. NULL: nothing.
    pub callbacks: *const linkspan_callbacks,
    /// The first argument of every callback.
    pub user: *mut c_void,
    /// Bytes that were read from the stream already, after the head. NULL with 0: none.
    pub unread: *const c_void,
    /// How many.
    pub unread_bytes: usize,
}

// SAFETY: `repr(C)`, size first, numbers and pointers only.
unsafe impl Grows for linkspan_adopt_options {}

/// Judges a request that the host has parsed: method, target and header fields, all copied. Succeeds for
/// every request; linkspan_handshake_status says whether it can be accepted. A text that is not UTF-8 is taken as
/// Latin-1, byte by byte. `config` may be NULL.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_handshake_from_headers(
    config: *const linkspan_config,
    method: *const c_char,
    target: *const c_char,
    headers: *const linkspan_header,
    header_count: usize,
    handshake: *mut *mut linkspan_handshake,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (out, config, request) = unsafe {
            let headers = Headers::from_pairs(bytes::peer_headers(headers, header_count)?);
            let request = Request::from_parts(guard::peer_string(method)?, guard::peer_string(target)?, headers);
            (Out::new(handshake)?, config::read(config)?, request)
        };
        guard::prepare();
        out.write(guard::handle(Arc::new(linkspan_handshake::judge(shared(config), request)?)));
        Ok(LINKSPAN_OK)
    })
}

/// 101 when the request is good: accept it, or refuse it with an answer of your own. Else the HTTP status to
/// refuse it with: 400, 403 (origin), 405, 426 (version, or no upgrade at all). 0 for NULL.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_handshake_status(handshake: *const linkspan_handshake) -> u16 {
    // SAFETY: the caller's own handle.
    guard_value(0, || Ok(unsafe { guard::reference(handshake) }?.answer().map_or(101, |answer| answer.status)))
}

/// The request, to look at; NULL for NULL. Lives as long as the handshake.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_handshake_request(handshake: *const linkspan_handshake) -> *const linkspan_request {
    // SAFETY: the caller's own handle.
    guard_value(std::ptr::null(), || Ok(&raw const unsafe { guard::reference(handshake) }?.request))
}

/// Accepts, once: afterwards the answer's header fields are those of the 101, and the handshake can be
/// adopted. `options` may be NULL. LINKSPAN_WRONG_STATE when the status is not 101, or the second time.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_handshake_accept(
    handshake: *mut linkspan_handshake,
    options: *const linkspan_accept_options,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the caller's own handle; options as their comment says.
        let (handshake, accept) = unsafe { (guard::reference(handshake)?, request::accept(options)?) };
        let offer = handshake.judged.as_ref().map_err(|_| wrong_state("there is no good request to accept"))?;
        let mut head = Vec::new();
        let agreed = write_accept(offer, &accept, &handshake.config, &mut head)?;
        let accepted = handshake.accepted.set((agreed, parse(&head)?));
        accepted.map_err(|_| wrong_state("the request was accepted already"))?;
        Ok(LINKSPAN_OK)
    })
}

/// The header field of the answer at this place, the first being 0: loop until LINKSPAN_NOT_FOUND and write
/// them as they are; there is none before the request is accepted. `name` and `value` must not be NULL; the
/// texts live as long as the handshake.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_handshake_header_at(
    handshake: *const linkspan_handshake,
    index: usize,
    name: *mut linkspan_text,
    value: *mut linkspan_text,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (handshake, name_out, value_out) =
            unsafe { (guard::reference(handshake)?, Out::new(name)?, Out::new(value)?) };
        let field = handshake.answer().and_then(|answer| answer.headers.nth(index));
        let (name, value) = field.ok_or(Failure::bare(LINKSPAN_NOT_FOUND))?;
        name_out.write(name.into());
        value_out.write(value.into());
        Ok(LINKSPAN_OK)
    })
}

/// The body of a refusal: one line that says what is wrong. Absent for a good request, and for NULL.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_handshake_body(handshake: *const linkspan_handshake) -> linkspan_text {
    guard_value(linkspan_text::NONE, || {
        // SAFETY: the caller's own handle.
        let answer = unsafe { guard::reference(handshake) }?.answer();
        let body = answer.and_then(|answer| str::from_utf8(&answer.body).ok());
        Ok(body.filter(|body| !body.is_empty()).into())
    })
}

/// Frees the handshake; what was adopted with it goes on. NULL is fine.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_handshake_free(handshake: *mut linkspan_handshake) {
    guard(|| {
        // SAFETY: the caller's own handle, given up here.
        drop(unsafe { guard::release(handshake) });
        Ok(LINKSPAN_OK)
    });
}

/// Takes over a stream of the host's own. `transport` and `options` are copied; `options` may be NULL; so may
/// `connection`, which is told the name. On failure `close` has been called, unless the table itself was not
/// valid.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_loop_adopt(
    event_loop: *mut linkspan_loop,
    transport: *const linkspan_transport,
    options: *const linkspan_adopt_options,
    connection: *mut linkspan_connection,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comments say.
        unsafe {
            let (transport, adoption) = (Host::read(transport), Adoption::read(options));
            let (transport, adoption) = (Transport::host(transport?), adoption?);
            let owner = guard::shared(event_loop)?;
            adoption.finish(&owner, transport, connection)
        }
    })
}

/// Takes over a connected stream socket. It is the library's from now on, and closed by it; on failure too.
/// The rest as linkspan_loop_adopt.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_loop_adopt_fd(
    event_loop: *mut linkspan_loop,
    fd: c_int,
    options: *const linkspan_adopt_options,
    connection: *mut linkspan_connection,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers and the descriptor are as the comments say.
        unsafe {
            let (fd, adoption) = (guard::owned_fd(fd), Adoption::read(options)?);
            let socket = Socket::from_fd(fd?).map_err(|source| Error::io("take over the socket", source))?;
            let owner = guard::shared(event_loop)?;
            adoption.finish(&owner, Transport::plain(socket), connection)
        }
    })
}

/// The host's transport has become readable or writable: for transports without a descriptor.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_connection_ready(connection: linkspan_connection) -> linkspan_status {
    guard_connection(connection, || {
        remote::verb(connection, (), |cx, id, ()| cx.ready(id), |remote, id, ()| remote.ready(id))
    })
}

/// Ends the loop's work gently: every connection is closed with `code` (1001, usually) and `reason`, which may
/// be NULL with 0; what is still there after `deadline_ms` milliseconds is aborted; then linkspan_loop_run
/// returns.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_loop_shutdown(
    event_loop: *mut linkspan_loop,
    code: u16,
    reason: *const c_char,
    reason_bytes: usize,
    deadline_ms: u64,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (owner, reason) = unsafe { (guard::shared(event_loop)?, guard::text(reason, reason_bytes)?) };
        owner.drain(check_close(code, reason)?, reason, Duration::from_millis(deadline_ms))?;
        Ok(LINKSPAN_OK)
    })
}

impl linkspan_handshake {
    fn judge(config: Arc<Config>, request: Request) -> Result<linkspan_handshake, Failure> {
        let judged = match request.is_upgrade() {
            true => judge_request(&request, &config).map_err(|fault| Reject::fault(&fault)),
            false => Err(Reject::text(426, "this address speaks WebSocket only")),
        };
        let judged = match judged {
            Ok(offer) => Ok(offer),
            Err(reject) => Err(refusal(reject)?),
        };
        Ok(linkspan_handshake { config, request: linkspan_request::own(request), judged, accepted: OnceLock::new() })
    }

    /// What the host answers; nothing while the request is good and not accepted yet.
    fn answer(&self) -> Option<&Response> {
        self.accepted.get().map(|(_, answer)| answer).or(self.judged.as_ref().err())
    }

    fn agreed(&self) -> Result<Agreed, Failure> {
        let accepted = self.accepted.get().map(|(agreed, _)| agreed.clone());
        accepted.ok_or_else(|| wrong_state("the handshake has not been accepted"))
    }

    /// A server's engine behind the 101 that the host writes.
    pub(crate) fn engine(&self, now: Time) -> Result<Engine, Failure> {
        Ok(Engine::adopted(self.config.clone(), self.agreed()?, &self.request.get().target, None, now))
    }
}

/// The config of the handshake before, on this thread, when it is the same: a host's many streams share it.
fn shared(config: Config) -> Arc<Config> {
    thread_local!(static LAST: RefCell<Weak<Config>> = const { RefCell::new(Weak::new()) });
    LAST.with_borrow_mut(|last| {
        let before = last.upgrade().filter(|before| **before == config);
        before.unwrap_or_else(|| {
            let config = Arc::new(config);
            *last = Arc::downgrade(&config);
            config
        })
    })
}

fn refusal(reject: Reject) -> Result<Response, Failure> {
    let mut head = Vec::new();
    let Reject { status, headers, body } = reject;
    // The head alone: the host writes it its own way, with a length of its own.
    write_reject(&Reject { status, headers, body: Vec::new() }, true, &mut head)?;
    Ok(Response { body, ..parse(&head)? })
}

fn parse(head: &[u8]) -> Result<Response, Failure> {
    Response::parse(head, usize::MAX).map_err(|fault| Error::from(fault).into())
}

/// What C asks for when it hands a stream over.
struct Adoption {
    how: How,
    callbacks: Callbacks,
    unread: Vec<u8>,
}

enum How {
    Agreed(Arc<Config>, Agreed, String),
    Server(Arc<Config>),
}

impl Adoption {
    /// # Safety
    /// NULL, or as linkspan_adopt_options says.
    unsafe fn read(options: *const linkspan_adopt_options) -> Result<Adoption, Failure> {
        // SAFETY: the caller's duty.
        unsafe {
            let options = guard::growing_or_default(options)?;
            let callbacks = Callbacks::new(options.callbacks, options.user)?;
            let how = if options.handshake.is_null() {
                How::Server(Arc::new(config::read(options.config)?))
            } else {
                let handshake = guard::reference(options.handshake)?;
                let target = handshake.request.get().target.clone();
                How::Agreed(handshake.config.clone(), handshake.agreed()?, target)
            };
            let unread = guard::bytes(options.unread, options.unread_bytes)?.to_vec();
            Ok(Adoption { how, callbacks, unread })
        }
    }

    /// # Safety
    /// `connection` is NULL or valid for writing.
    unsafe fn finish(
        self,
        owner: &linkspan_loop,
        transport: Transport,
        connection: *mut linkspan_connection,
    ) -> Outcome {
        let Adoption { how, callbacks, unread } = self;
        let id = owner.now(|cx| -> Result<ConnectionId, Failure> {
            let engine = match how {
                How::Server(config) => Engine::server(config, cx.now()),
                How::Agreed(config, agreed, url) => Engine::adopted(config, agreed, &url, None, cx.now()),
            };
            let callbacks = Box::new(callbacks.shared(cx.remote().loop_id()));
            Ok(cx.adopt_with(transport, Adopt::Engine(Box::new(engine)), unread, callbacks)?)
        })??;
        // SAFETY: the caller's duty.
        if let Ok(out) = unsafe { Out::new(connection) } {
            out.write(id.into());
        }
        Ok(LINKSPAN_OK)
    }
}

/// The host's table, as the loop's transport.
struct Host {
    table: linkspan_transport,
    peer: String,
    /// `flush` has said that something is left.
    is_pending: bool,
}

// SAFETY: the host promises that its functions may be called on the loop's thread; `peer` in the table is
// not read after `read`.
unsafe impl Send for Host {}

impl Host {
    /// # Safety
    /// NULL, or as linkspan_transport says.
    unsafe fn read(transport: *const linkspan_transport) -> Result<Host, Failure> {
        // SAFETY: the caller's duty.
        let table = unsafe { guard::growing(transport) }?;
        if table.read.is_none() || table.write.is_none() {
            return Err(Failure::new(LINKSPAN_INVALID_ARGUMENT, "a transport needs read and write"));
        }
        // SAFETY: the caller's duty.
        let peer = unsafe { guard::optional_string(table.peer) }?.unwrap_or("host").to_owned();
        Ok(Host { table, peer, is_pending: false })
    }
}

impl HostTransport for Host {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.table.read.ok_or(io::ErrorKind::Unsupported)?;
        // SAFETY: the host's own function, with a buffer that is valid for the call.
        count(unsafe { read(self.table.user, buffer.as_mut_ptr().cast(), buffer.len()) }, buffer.len())
    }

    fn short_read_drains(&self) -> bool {
        self.table.short_read_drains != 0
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let write = self.table.write.ok_or(io::ErrorKind::Unsupported)?;
        let mut copied = [linkspan_slice { data: std::ptr::null(), bytes: 0 }; MAX_SLICES];
        let given = slices.len().min(MAX_SLICES);
        for (to, from) in copied.iter_mut().zip(slices) {
            *to = linkspan_slice { data: from.as_ptr().cast(), bytes: from.len() };
        }
        let most = copied[..given].iter().map(|slice| slice.bytes).sum();
        // SAFETY: the host's own function, with slices that are valid for the call.
        let taken = count(unsafe { write(self.table.user, copied.as_ptr(), given) }, most)?;
        self.is_pending = self.table.flush.is_some();
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<bool> {
        let Some(flush) = self.table.flush else { return Ok(true) };
        // SAFETY: the host's own function.
        match unsafe { flush(self.table.user) } {
            0 => self.is_pending = false,
            LINKSPAN_TRANSPORT_AGAIN => {}
            _ => return Err(io::ErrorKind::BrokenPipe.into()),
        }
        Ok(!self.is_pending)
    }

    fn has_pending_write(&self) -> bool {
        self.is_pending
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        if let Some(shutdown) = self.table.shutdown_write {
            // SAFETY: the host's own function.
            unsafe { shutdown(self.table.user) }
        }
        Ok(())
    }

    fn close(&mut self) {
        if let Some(close) = self.table.close {
            // SAFETY: the host's own function; HostStream calls it once.
            unsafe { close(self.table.user) }
        }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        // SAFETY: the host keeps it open until `close`.
        (self.table.has_fd != 0).then(|| unsafe { guard::borrowed_fd(self.table.fd) }).flatten()
    }

    fn peer(&self) -> String {
        self.peer.clone()
    }

    fn is_secure(&self) -> bool {
        self.table.secure != 0
    }
}

/// A host's answer; one that cannot be is a failure of the stream.
fn count(answer: i64, most: usize) -> io::Result<usize> {
    match usize::try_from(answer) {
        Ok(bytes) if bytes <= most => Ok(bytes),
        _ if answer == LINKSPAN_TRANSPORT_AGAIN => Err(io::ErrorKind::WouldBlock.into()),
        _ => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

/// A close code and reason that may be sent.
pub(crate) fn check_close(code: u16, reason: &str) -> Result<CloseCode, Failure> {
    let code = CloseCode::new(code);
    if code.may_be_sent() && reason.len() <= MAX_REASON_BYTES {
        return Ok(code);
    }
    Err(Failure::new(LINKSPAN_INVALID_ARGUMENT, "this close code or reason may not be sent"))
}

fn wrong_state(why: &'static str) -> Failure {
    Failure::new(LINKSPAN_WRONG_STATE, why)
}
