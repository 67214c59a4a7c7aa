//! Requests
//!
//! A client's request to become a WebSocket, and plain HTTP too, is shown to on_request (and by an engine
//! as an event). Answer it there or later, from any thread, by the connection's name; the opening
//! handshake's timeout goes on.

use std::ffi::{c_char, c_int, c_void};

use linkspan::protocol::handshake::{Accept, Reject, Request};

use crate::bytes::{self, linkspan_connection, linkspan_header, linkspan_text};
use crate::guard::{self, Grows, Out, guard, guard_connection, guard_value};
use crate::remote;
use crate::result::{Failure, LINKSPAN_NOT_FOUND, LINKSPAN_OK, linkspan_status};

/// A request to look at. It and its texts live until on_request returns; of an engine, until the next call
/// with that engine.
pub struct linkspan_request {
    request: Held,
}

enum Held {
    /// Somebody else's, who keeps it while C may look.
    Lent(*const Request),
    Own(Request),
}

impl linkspan_request {
    /// # Safety
    /// The request lives, unchanged, as long as C may look at what this returns.
    pub(crate) unsafe fn lent(request: &Request) -> linkspan_request {
        linkspan_request { request: Held::Lent(request) }
    }

    pub(crate) fn own(request: Request) -> linkspan_request {
        linkspan_request { request: Held::Own(request) }
    }

    pub(crate) fn get(&self) -> &Request {
        match &self.request {
            // SAFETY: `lent`'s caller vouched for it.
            Held::Lent(request) => unsafe { &**request },
            Held::Own(request) => request,
        }
    }
}

// SAFETY: a lent request never leaves the callback; an owned one is plain data.
unsafe impl Send for linkspan_request {}
// SAFETY: as above; nothing changes it.
unsafe impl Sync for linkspan_request {}

/// How a request is accepted. Zero is the default.
#[repr(C)]
pub struct linkspan_accept_options {
    /// sizeof(linkspan_accept_options).
    pub size: usize,
    /// The subprotocol, one of those that the client asked for. NULL: the first of the client's that
    /// linkspan_config names.
    pub protocol: *const c_char,
    /// Header fields to add to the answer. May be NULL with a count of 0.
    pub headers: *const linkspan_header,
    /// How many.
    pub header_count: usize,
    /// Non-zero: no compression on this connection, whatever was offered.
    pub without_deflate: c_int,
}

// SAFETY: `repr(C)`, size first, numbers and pointers only.
unsafe impl Grows for linkspan_accept_options {}

/// The method as it was written; "GET" for every good upgrade. Absent for NULL.
///
/// Thread: any, while the request lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_request_method(request: *const linkspan_request) -> linkspan_text {
    // SAFETY: the request is as the comment of its type says.
    unsafe { look(request, |request| Ok(request.method.as_str().into())) }
}

/// The target as it was written: path and query. Absent for NULL.
///
/// Thread: any, while the request lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_request_target(request: *const linkspan_request) -> linkspan_text {
    // SAFETY: the request is as the comment of its type says.
    unsafe { look(request, |request| Ok(request.target.as_str().into())) }
}

/// Whether the client asks for WebSocket; otherwise it is plain HTTP, and can only be rejected (with status
/// 200 and a page, for instance). False for NULL.
///
/// Thread: any, while the request lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_request_is_upgrade(request: *const linkspan_request) -> bool {
    guard_value(false, || {
        // SAFETY: the request is as the comment of its type says.
        Ok(unsafe { guard::reference(request) }?.get().is_upgrade())
    })
}

/// The first header field of this name, in whatever case ("Origin", "Cookie"). Absent when there is none,
/// or for NULL. `name` ends with a NUL.
///
/// Thread: any, while the request lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_request_header(
    request: *const linkspan_request,
    name: *const c_char,
) -> linkspan_text {
    // SAFETY: request and name are as the comments say.
    unsafe { look(request, |request| Ok(request.headers.get(guard::string(name)?).into())) }
}

/// The header field at this place, the first being 0: loop until LINKSPAN_NOT_FOUND. `name` and `value`
/// must not be NULL.
///
/// Thread: any, while the request lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_request_header_at(
    request: *const linkspan_request,
    index: usize,
    name: *mut linkspan_text,
    value: *mut linkspan_text,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comments say.
        let (request, name_out, value_out) = unsafe { (guard::reference(request)?, Out::new(name)?, Out::new(value)?) };
        let (name, value) = request.get().headers.nth(index).ok_or(Failure::bare(LINKSPAN_NOT_FOUND))?;
        name_out.write(name.into());
        value_out.write(value.into());
        Ok(LINKSPAN_OK)
    })
}

/// The subprotocol at this place that the client offers, the best being 0. Absent past the last, or for NULL.
///
/// Thread: any, while the request lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_request_protocol_at(request: *const linkspan_request, index: usize) -> linkspan_text {
    // SAFETY: the request is as the comment of its type says.
    unsafe { look(request, |request| Ok(request.subprotocols().get(index).copied().into())) }
}

/// Accepts the request: on_open follows. `options` may be NULL. LINKSPAN_WRONG_STATE when no request of this
/// name waits.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_request_accept(
    connection: linkspan_connection,
    options: *const linkspan_accept_options,
) -> linkspan_status {
    guard_connection(connection, || {
        // SAFETY: the options are as the comment of their type says.
        remote::accept(connection, unsafe { accept(options) }?)
    })
}

/// Answers the request with an HTTP status, 200 to 599 but not 101, header fields and a body, and then
/// closes. `headers` and `body` may be NULL with a count of 0; they are copied. Content-Length is written by
/// the library. LINKSPAN_WRONG_STATE when no request of this name waits.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_request_reject(
    connection: linkspan_connection,
    status: u16,
    headers: *const linkspan_header,
    header_count: usize,
    body: *const c_void,
    body_bytes: usize,
) -> linkspan_status {
    guard_connection(connection, || {
        // SAFETY: the pointers are as the comment says.
        let reject = unsafe { reject(status, headers, header_count, body, body_bytes) }?;
        remote::reject(connection, reject)
    })
}

/// Says inside on_request that the answer comes later; without an answer or this, on_request's return
/// accepts the upgrade (and answers 426 to plain HTTP). When the client leaves before the answer, on_close
/// comes, and the answer returns LINKSPAN_CLOSED; one that asks for plain HTTP may have ended only its own half,
/// and gets its answer. LINKSPAN_WRONG_THREAD outside of on_request.
///
/// Thread: callback.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_request_defer(connection: linkspan_connection) -> linkspan_status {
    guard_connection(connection, || remote::defer(connection))
}

/// # Safety
/// NULL, or as linkspan_request says.
unsafe fn look(
    request: *const linkspan_request,
    ask: impl FnOnce(&Request) -> Result<linkspan_text, Failure>,
) -> linkspan_text {
    // SAFETY: the caller's duty.
    guard_value(linkspan_text::NONE, || ask(unsafe { guard::reference(request) }?.get()))
}

/// # Safety
/// NULL, or as linkspan_accept_options says.
pub(crate) unsafe fn accept(options: *const linkspan_accept_options) -> Result<Accept, Failure> {
    // SAFETY: the caller's duty.
    unsafe {
        let options = guard::growing_or_default(options)?;
        Ok(Accept {
            subprotocol: guard::optional_string(options.protocol)?.map(str::to_owned),
            headers: bytes::headers(options.headers, options.header_count)?,
            without_deflate: options.without_deflate != 0,
        })
    }
}

/// # Safety
/// As linkspan_request_reject says.
pub(crate) unsafe fn reject(
    status: u16,
    headers: *const linkspan_header,
    header_count: usize,
    body: *const c_void,
    body_bytes: usize,
) -> Result<Reject, Failure> {
    // SAFETY: the caller's duty.
    unsafe {
        let headers = bytes::headers(headers, header_count)?;
        Ok(Reject { status, headers, body: guard::bytes(body, body_bytes)?.to_vec() })
    }
}
