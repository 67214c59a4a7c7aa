//! Connections
//!
//! Every function here that sends or closes may be called on every thread. Inside the callbacks of the
//! connection's loop it acts at once, and what it sends leaves when the callback has returned. Elsewhere it
//! is queued, the loop wakes, and LINKSPAN_OK means queued: should the connection end first, the bytes that
//! could not be sent any more are counted in linkspan_close_info.unsent_bytes.

use std::ffi::{c_char, c_void};
use std::ptr;

use linkspan::protocol::{Chunk, CloseCode};

use crate::bytes::{
    Foreign, LINKSPAN_BINARY, LINKSPAN_TEXT, linkspan_connection, linkspan_free_function, linkspan_message_kind,
    linkspan_text, message_kind,
};
use crate::callbacks::linkspan_close_info;
use crate::guard::{self, guard_connection, guard_value};
use crate::remote;
use crate::result::{Failure, LINKSPAN_NOT_FOUND, LINKSPAN_OK, linkspan_status};

/// Where a connection stands, with the browser's numbers.
pub type linkspan_ready_state = i32;

/// The opening handshake is under way.
pub const LINKSPAN_STATE_CONNECTING: linkspan_ready_state = 0;

/// Messages flow.
pub const LINKSPAN_STATE_OPEN: linkspan_ready_state = 1;

/// The closing handshake is under way.
pub const LINKSPAN_STATE_CLOSING: linkspan_ready_state = 2;

/// It is over, or never was.
pub const LINKSPAN_STATE_CLOSED: linkspan_ready_state = 3;

/// Sends a text of `bytes` bytes, which must be UTF-8 (LINKSPAN_INVALID_UTF8). It is copied if it cannot be
/// written at once. LINKSPAN_BUFFERED: accepted, hold back until on_drained. LINKSPAN_FULL, LINKSPAN_DROPPED: not
/// accepted, as too much waits; see linkspan_config.slow_reader.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_send_text(
    connection: linkspan_connection,
    text: *const c_char,
    bytes: usize,
) -> linkspan_status {
    // SAFETY: the text is as the comment says.
    unsafe { send(connection, LINKSPAN_TEXT, text.cast(), bytes) }
}

/// Sends any bytes; the rest as linkspan_connection_send_text.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_send_binary(
    connection: linkspan_connection,
    data: *const c_void,
    bytes: usize,
) -> linkspan_status {
    // SAFETY: the data is as the comment says.
    unsafe { send(connection, LINKSPAN_BINARY, data, bytes) }
}

/// Sends a whole message of either kind: what on_message was given can be given back as it is.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_send(
    connection: linkspan_connection,
    kind: linkspan_message_kind,
    data: *const c_void,
    bytes: usize,
) -> linkspan_status {
    // SAFETY: the data is as the comment says.
    unsafe { send(connection, kind, data, bytes) }
}

/// Sends a fragment: a message piece by piece, its length unknown at first. Each fragment names the same
/// kind; `fin` is true with the last. Nothing else than pings, pongs and a close may be sent between the
/// fragments of a message (LINKSPAN_WRONG_STATE). For a text's UTF-8 the caller answers.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_send_fragment(
    connection: linkspan_connection,
    kind: linkspan_message_kind,
    data: *const c_void,
    bytes: usize,
    fin: bool,
) -> linkspan_status {
    guard_connection(connection, || {
        // SAFETY: the data is as the comment says.
        let (kind, data) = (message_kind(kind)?, unsafe { guard::bytes(data, bytes) }?);
        remote::verb(
            connection,
            data,
            |cx, id, data| cx.send_fragment(id, kind, data, fin),
            |remote, id, data| remote.send_fragment(id, kind, data.to_vec(), fin),
        )
    })
}

/// Sends a whole message without copying it, where no mask and no compression stand in the way. The memory is
/// the library's until it calls `free(user, data, bytes)`: exactly once, on any thread, and also when
/// this function fails. `free` may be NULL for memory that lives for ever.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_send_owned(
    connection: linkspan_connection,
    kind: linkspan_message_kind,
    data: *const c_void,
    bytes: usize,
    free: linkspan_free_function,
    user: *mut c_void,
) -> linkspan_status {
    // SAFETY: the memory is as the comment says. Made first, so that it is freed whatever happens.
    let data = unsafe { Foreign::new(data, bytes, free, user) };
    guard_connection(connection, || {
        data.check()?;
        let kind = message_kind(kind)?;
        remote::verb(
            connection,
            Chunk::Foreign(Box::new(data)),
            |cx, id, data| cx.send_chunk(id, kind, data),
            |remote, id, data| remote.send_chunk(id, kind, data),
        )
    })
}

/// Sends a ping of at most 125 bytes; `data` may be NULL with 0. The pong comes to on_pong.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_ping(
    connection: linkspan_connection,
    data: *const c_void,
    bytes: usize,
) -> linkspan_status {
    guard_connection(connection, || {
        // SAFETY: the data is as the comment says.
        let data = unsafe { guard::bytes(data, bytes) }?;
        remote::verb(connection, data, |cx, id, data| cx.ping(id, data), |remote, id, data| remote.ping(id, data))
    })
}

/// Sends a pong of at most 125 bytes, asked for or not; `data` may be NULL with 0.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_pong(
    connection: linkspan_connection,
    data: *const c_void,
    bytes: usize,
) -> linkspan_status {
    guard_connection(connection, || {
        // SAFETY: the data is as the comment says.
        let data = unsafe { guard::bytes(data, bytes) }?;
        remote::verb(connection, data, |cx, id, data| cx.pong(id, data), |remote, id, data| remote.pong(id, data))
    })
}

/// Begins the closing handshake: everything accepted before is sent first, no further message of this
/// connection is delivered, and on_close follows. `code` is 1000 to 1003, 1007 to 1014 or 3000 to 4999, or 0
/// for a close frame without a code; `reason` is UTF-8 of at most 123 bytes, or NULL with 0. During the
/// opening handshake the connection ends at once.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_close(
    connection: linkspan_connection,
    code: u16,
    reason: *const c_char,
    reason_bytes: usize,
) -> linkspan_status {
    guard_connection(connection, || {
        // SAFETY: the reason is as the comment says.
        let reason = unsafe { guard::text(reason, reason_bytes) }?;
        let code = close_code(code);
        remote::verb(connection, reason, |cx, id, why| cx.close(id, code, why), |to, id, why| to.close(id, code, why))
    })
}

/// Ends the connection at once, without a closing handshake; what waits is thrown away. on_close follows
/// with 1006.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_connection_abort(connection: linkspan_connection) -> linkspan_status {
    guard_connection(connection, || {
        remote::verb(connection, (), |cx, id, ()| cx.abort(id), |remote, id, ()| remote.abort(id))
    })
}

/// Reads no more until linkspan_connection_resume, so that a fast peer waits. Inside on_message it takes
/// effect before the next message. While it lasts, keepalive does not judge the peer by its silence.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_connection_pause(connection: linkspan_connection) -> linkspan_status {
    guard_connection(connection, || {
        remote::verb(connection, (), |cx, id, ()| cx.pause(id), |remote, id, ()| remote.pause(id))
    })
}

/// Reads again.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_connection_resume(connection: linkspan_connection) -> linkspan_status {
    guard_connection(connection, || {
        remote::verb(connection, (), |cx, id, ()| cx.resume(id), |remote, id, ()| remote.resume(id))
    })
}

/// LINKSPAN_STATE_CONNECTING, _OPEN, _CLOSING or _CLOSED. Of a name that is dead, or never was one: _CLOSED.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_connection_ready_state(connection: linkspan_connection) -> linkspan_ready_state {
    guard_value(LINKSPAN_STATE_CLOSED, || {
        remote::ask_anywhere(
            connection,
            |cx, id| cx.ready_state(id) as linkspan_ready_state,
            |remote, id| remote.ready_state(id) as linkspan_ready_state,
        )
    })
}

/// Payload bytes accepted for sending and not yet handed to the system; framing is not counted. 0 of a name
/// that is dead.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_connection_buffered_amount(connection: linkspan_connection) -> u64 {
    guard_value(0, || {
        remote::ask_anywhere(connection, |cx, id| cx.buffered_amount(id), |remote, id| remote.buffered_amount(id))
    })
}

/// Client: the URL that was asked for. Server: the request's target. Copied into `buffer` and ended by a
/// NUL, as far as `capacity` bytes go (LINKSPAN_TRUNCATED); `length`, unless NULL, is told how long it is
/// without the NUL. A `capacity` of 0, with a `buffer` that may be NULL, only asks for the length.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_url(
    connection: linkspan_connection,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> linkspan_status {
    guard_connection(connection, || {
        remote::ask(connection, |cx, id| {
            let engine = cx.engine(id).ok_or(Failure::bare(crate::result::LINKSPAN_CLOSED))?;
            // SAFETY: the pointers are as the comment says.
            unsafe { guard::copy_text(engine.url(), buffer, capacity, length) }
        })
    })
}

/// The agreed subprotocol, empty when there is none; copied as by linkspan_connection_url.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_protocol(
    connection: linkspan_connection,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> linkspan_status {
    guard_connection(connection, || {
        remote::ask(connection, |cx, id| {
            let engine = cx.engine(id).ok_or(Failure::bare(crate::result::LINKSPAN_CLOSED))?;
            // SAFETY: the pointers are as the comment says.
            unsafe { guard::copy_text(engine.subprotocol().unwrap_or_default(), buffer, capacity, length) }
        })
    })
}

/// The agreed extensions as a header would name them ("permessage-deflate"), empty when there are none;
/// copied as by linkspan_connection_url.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_extensions(
    connection: linkspan_connection,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> linkspan_status {
    guard_connection(connection, || {
        remote::ask(connection, |cx, id| {
            let engine = cx.engine(id).ok_or(Failure::bare(crate::result::LINKSPAN_CLOSED))?;
            // SAFETY: the pointers are as the comment says.
            unsafe { guard::copy_text(&engine.extensions(), buffer, capacity, length) }
        })
    })
}

/// Where the peer is: "192.0.2.7:50312", "[2001:db8::1]:50312", a Unix socket's path or "unix", or what a
/// host's transport says; copied as by linkspan_connection_url. LINKSPAN_NOT_FOUND while a client still
/// connects. Inside on_request too.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_peer(
    connection: linkspan_connection,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> linkspan_status {
    guard_connection(connection, || {
        remote::ask(connection, |cx, id| {
            let peer = cx.peer(id).ok_or(Failure::bare(LINKSPAN_NOT_FOUND))?.to_string();
            // SAFETY: the pointers are as the comment says.
            unsafe { guard::copy_text(&peer, buffer, capacity, length) }
        })
    })
}

/// The peer's own TLS certificate, in DER form, where it showed one: a server's always, a client's where
/// linkspan_tls_server_client_ca asks for it. It was found to be trusted. `data` and `bytes` must not be NULL; what
/// they name lives until the callback returns. LINKSPAN_NOT_FOUND when there is none.
///
/// Thread: callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_peer_certificate(
    connection: linkspan_connection,
    data: *mut *const c_void,
    bytes: *mut usize,
) -> linkspan_status {
    guard_connection(connection, || {
        // SAFETY: the pointers are as the comment says.
        let (data, bytes) = unsafe { (guard::Out::new(data)?, guard::Out::new(bytes)?) };
        remote::ask(connection, |cx, id| {
            let certificate = cx.transport(id).and_then(|transport| transport.peer_certificate());
            let certificate = certificate.ok_or(Failure::bare(LINKSPAN_NOT_FOUND))?;
            data.write(certificate.as_ptr().cast());
            bytes.write(certificate.len());
            Ok(LINKSPAN_OK)
        })
    })
}

/// Client: the HTTP status of the server's answer to the opening handshake, 101 when it agreed; 0 before the
/// answer, and for servers.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_connection_response_status(connection: linkspan_connection) -> u16 {
    guard_value(0, || {
        remote::ask(connection, |cx, id| {
            let response = cx.engine(id).and_then(|engine| engine.response());
            Ok(response.map_or(0, |response| response.status))
        })
    })
}

/// Client: the first header field of this name in the server's answer; copied as by linkspan_connection_url.
/// LINKSPAN_NOT_FOUND when there is none.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_response_header(
    connection: linkspan_connection,
    name: *const c_char,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> linkspan_status {
    guard_connection(connection, || {
        // SAFETY: the name ends with a NUL.
        let name = unsafe { guard::string(name) }?;
        remote::ask(connection, |cx, id| {
            let response = cx.engine(id).and_then(|engine| engine.response());
            let value = response.and_then(|response| response.headers.get(name));
            // SAFETY: the pointers are as the comment says.
            unsafe { guard::copy_text(value.ok_or(Failure::bare(LINKSPAN_NOT_FOUND))?, buffer, capacity, length) }
        })
    })
}

/// Client: the header field of the server's answer at this place, the first being 0: loop until
/// LINKSPAN_NOT_FOUND. `name` and `value` must not be NULL; the texts live until the callback returns.
///
/// Thread: callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_response_header_at(
    connection: linkspan_connection,
    index: usize,
    name: *mut linkspan_text,
    value: *mut linkspan_text,
) -> linkspan_status {
    guard_connection(connection, || {
        // SAFETY: the pointers are as the comment says.
        let (name_out, value_out) = unsafe { (guard::Out::new(name)?, guard::Out::new(value)?) };
        remote::ask(connection, |cx, id| {
            let response = cx.engine(id).and_then(|engine| engine.response());
            let field = response.and_then(|response| response.headers.nth(index));
            let (name, value) = field.ok_or(Failure::bare(LINKSPAN_NOT_FOUND))?;
            name_out.write(name.into());
            value_out.write(value.into());
            Ok(LINKSPAN_OK)
        })
    })
}

/// Client: the body of a refused handshake, for on_error and on_close to look at; `data` and `bytes` must not
/// be NULL. It lives until the callback returns. LINKSPAN_NOT_FOUND when there is none.
///
/// Thread: callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_response_body(
    connection: linkspan_connection,
    data: *mut *const c_void,
    bytes: *mut usize,
) -> linkspan_status {
    guard_connection(connection, || {
        // SAFETY: the pointers are as the comment says.
        let (data, bytes) = unsafe { (guard::Out::new(data)?, guard::Out::new(bytes)?) };
        remote::ask(connection, |cx, id| {
            let response = cx.engine(id).and_then(|engine| engine.response());
            let body = response.map(|response| &response.body).filter(|body| !body.is_empty());
            let body = body.ok_or(Failure::bare(LINKSPAN_NOT_FOUND))?;
            data.write(body.as_ptr().cast());
            bytes.write(body.len());
            Ok(LINKSPAN_OK)
        })
    })
}

/// How it is about to end, or inside on_close has ended; set `info->size` first. The reason lives until the
/// callback returns. LINKSPAN_NOT_FOUND while nothing ends.
///
/// Thread: callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_close_info(
    connection: linkspan_connection,
    info: *mut linkspan_close_info,
) -> linkspan_status {
    guard_connection(connection, || {
        remote::ask(connection, |cx, id| {
            let told = cx.engine(id).and_then(|engine| engine.close_info());
            let told = told.ok_or(Failure::bare(LINKSPAN_NOT_FOUND))?;
            // SAFETY: the pointer is as the comment says.
            unsafe { guard::write_growing(info, told.into()) }
        })
    })
}

/// The application's own pointer for this connection; NULL until it is set, and for a name that is dead.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_connection_user(connection: linkspan_connection) -> *mut c_void {
    guard_value(ptr::null_mut(), || {
        remote::ask(connection, |cx, id| {
            let user = cx.user(id).unwrap_or_default();
            Ok(ptr::with_exposed_provenance_mut(user as usize))
        })
    })
}

/// Sets the application's own pointer, in on_request or on_open for instance. The library never looks behind
/// it; free what it points to in on_close.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_set_user(
    connection: linkspan_connection,
    user: *mut c_void,
) -> linkspan_status {
    guard_connection(connection, || {
        remote::ask(connection, |cx, id| {
            cx.set_user(id, user.expose_provenance() as u64)?;
            Ok(LINKSPAN_OK)
        })
    })
}

/// 0 is no code.
pub(crate) fn close_code(code: u16) -> Option<CloseCode> {
    (code != 0).then_some(CloseCode::new(code))
}

/// The way of most messages, which is why all of it stands in one function.
///
/// # Safety
/// `data` is valid for reading `bytes` bytes, or NULL.
unsafe fn send(
    connection: linkspan_connection,
    kind: linkspan_message_kind,
    data: *const c_void,
    bytes: usize,
) -> linkspan_status {
    guard_connection(connection, || {
        // SAFETY: the caller's duty.
        let (kind, data) = (message_kind(kind)?, unsafe { guard::bytes(data, bytes) }?);
        remote::verb(
            connection,
            data,
            |cx, id, data| cx.send(id, kind, data),
            |remote, id, data| remote.send(id, kind, data),
        )
    })
}
