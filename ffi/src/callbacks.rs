//! Callbacks
//!
//! One table for each server, client or adopted connection; entries may be NULL. All of them are called on
//! the thread that runs the loop, one at a time. Every function of this library may be called inside,
//! on this connection and every other: close, stop and free too. Pointers that a callback is given live
//! until it returns. C++ exceptions and longjmp must not leave a callback.

use std::ffi::c_void;
use std::sync::{Arc, Weak};

use linkspan::Error;
use linkspan::net::{ConnectionId, Context, Decision, Handler};
use linkspan::protocol::handshake::{Accept, Reject, Request};
use linkspan::protocol::{CloseInfo, MessageKind, Side};

use crate::bytes::{kind_number, linkspan_connection, linkspan_message_kind, linkspan_text};
use crate::guard::{self, Grows, User};
use crate::library::{LINKSPAN_LOG_DEBUG, LINKSPAN_LOG_WARNING, log, logs};
use crate::remote;
use crate::request::linkspan_request;
use crate::result::{Failure, linkspan_error, status};
use crate::server::linkspan_server;

/// How a connection ended. Inside on_close and on_error it is complete; see also linkspan_connection_close_info.
#[repr(C)]
pub struct linkspan_close_info {
    /// sizeof(linkspan_close_info); in a callback, how many bytes the library filled in.
    pub size: usize,
    /// The peer's reason, or the sentence that was sent with a fault's code.
    pub reason: linkspan_text,
    /// The name of the rule that the peer broke, when that is why, as in linkspan_error; else absent.
    pub rule: linkspan_text,
    /// Payload bytes that were accepted for sending and could not be sent any more.
    pub unsent_bytes: u64,
    /// The peer's code when its close frame was read; 1005 when that frame was empty; 1006 when none came.
    /// Where the peer broke a rule: the code that told it so.
    pub code: u16,
    /// Non-zero: both close frames were exchanged (RFC 6455 7.1.4).
    pub clean: u8,
    /// Non-zero: the peer began.
    pub begun_by_peer: u8,
}

// SAFETY: `repr(C)`, size first, numbers and pointers only.
unsafe impl Grows for linkspan_close_info {}

impl From<&CloseInfo> for linkspan_close_info {
    fn from(info: &CloseInfo) -> linkspan_close_info {
        linkspan_close_info {
            size: size_of::<linkspan_close_info>(),
            reason: info.reason.as_str().into(),
            rule: info.fault.as_ref().map(|fault| fault.rule()).into(),
            unsent_bytes: info.unsent_bytes,
            code: info.code.as_u16(),
            clean: info.clean.into(),
            begun_by_peer: (info.begun_by == Side::Remote).into(),
        }
    }
}

/// What the application wants to be told. The first argument of every function is the `user` that was given
/// with the table.
///
/// on_error comes before the on_close that it causes; on_close comes exactly once and last. In both,
/// everything may still be asked of the connection; after on_close its name is dead.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct linkspan_callbacks {
    /// sizeof(linkspan_callbacks).
    pub size: usize,
    /// Server: a client asks. Answer with linkspan_request_accept, _reject or _defer; without this function,
    /// or without an answer in it, upgrades are accepted and plain HTTP gets 426.
    pub on_request: Option<
        unsafe extern "C" fn(user: *mut c_void, connection: linkspan_connection, request: *const linkspan_request),
    >,
    /// The opening handshake is over: messages may be sent.
    pub on_open: Option<unsafe extern "C" fn(user: *mut c_void, connection: linkspan_connection)>,
    /// A whole message; a text is UTF-8, without a NUL behind it.
    pub on_message: Option<
        unsafe extern "C" fn(
            user: *mut c_void,
            connection: linkspan_connection,
            kind: linkspan_message_kind,
            data: *const c_void,
            bytes: usize,
        ),
    >,
    /// With linkspan_config.parts: a message begins.
    pub on_message_begin:
        Option<unsafe extern "C" fn(user: *mut c_void, connection: linkspan_connection, kind: linkspan_message_kind)>,
    /// With linkspan_config.parts: some of its payload. The parts of a text may split a character.
    pub on_message_part: Option<
        unsafe extern "C" fn(user: *mut c_void, connection: linkspan_connection, data: *const c_void, bytes: usize),
    >,
    /// With linkspan_config.parts: the message is complete.
    pub on_message_end: Option<unsafe extern "C" fn(user: *mut c_void, connection: linkspan_connection)>,
    /// A ping; answered already unless linkspan_config.manual_pong.
    pub on_ping: Option<
        unsafe extern "C" fn(user: *mut c_void, connection: linkspan_connection, data: *const c_void, bytes: usize),
    >,
    /// A pong.
    pub on_pong: Option<
        unsafe extern "C" fn(user: *mut c_void, connection: linkspan_connection, data: *const c_void, bytes: usize),
    >,
    /// What waits to be sent has fallen from above the high-water mark to below the low one.
    pub on_drained: Option<unsafe extern "C" fn(user: *mut c_void, connection: linkspan_connection)>,
    /// With linkspan_config.manual_close: the peer closes and waits for linkspan_connection_close.
    pub on_close_requested: Option<unsafe extern "C" fn(user: *mut c_void, connection: linkspan_connection)>,
    /// Why the connection is about to end.
    pub on_error:
        Option<unsafe extern "C" fn(user: *mut c_void, connection: linkspan_connection, error: *const linkspan_error)>,
    /// It is over.
    pub on_close: Option<
        unsafe extern "C" fn(user: *mut c_void, connection: linkspan_connection, info: *const linkspan_close_info),
    >,
}

// SAFETY: `repr(C)`, size first, optional functions only.
unsafe impl Grows for linkspan_callbacks {}

/// A table with its user pointer, as the loop's handler.
pub(crate) struct Callbacks {
    table: linkspan_callbacks,
    user: User,
    /// Its loop is still to be made known to other threads.
    is_unknown: bool,
    /// A callback may call with the server as long as there are callbacks, whoever has freed it.
    _server: Option<Arc<linkspan_server>>,
}

impl Callbacks {
    /// # Safety
    /// `table` is NULL or as linkspan_callbacks says.
    pub(crate) unsafe fn new(table: *const linkspan_callbacks, user: *mut c_void) -> Result<Callbacks, Failure> {
        // SAFETY: the caller's duty.
        let table = unsafe { guard::growing_or_default(table) }?;
        Ok(Callbacks { table, user: User(user), is_unknown: false, _server: None })
    }

    /// The same for a server's connections in a loop that every thread knows.
    pub(crate) fn of(&self, server: Arc<linkspan_server>) -> Callbacks {
        Callbacks { table: self.table, user: self.user, is_unknown: false, _server: Some(server) }
    }

    /// The same for a server's own loop, which its first request makes known.
    pub(crate) fn of_own_loop(&self, server: Arc<linkspan_server>) -> Callbacks {
        Callbacks { is_unknown: true, ..self.of(server) }
    }
}

impl Handler for Callbacks {
    fn on_request(&mut self, cx: &mut Context<'_>, id: ConnectionId, request: &Request) -> Decision {
        if std::mem::take(&mut self.is_unknown) {
            remote::register(cx.remote(), Weak::new());
        }
        let default = || match request.is_upgrade() {
            true => Decision::Accept(Accept::default()),
            false => Decision::Reject(Reject::text(426, "this address speaks WebSocket only")),
        };
        let Some(function) = self.table.on_request else { return default() };
        // SAFETY: C may look at the request until its function returns; the function is for these arguments.
        let ask = || unsafe { function(self.user.0, id.into(), &linkspan_request::lent(request)) };
        remote::asking(cx, id, ask).unwrap_or_else(default)
    }

    fn on_open(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        if logs(LINKSPAN_LOG_DEBUG) {
            log(LINKSPAN_LOG_DEBUG, id.into(), "open");
        }
        if let Some(function) = self.table.on_open {
            // SAFETY: C's own function for these arguments.
            remote::within(cx, id.loop_id(), || unsafe { function(self.user.0, id.into()) });
        }
    }

    #[inline]
    fn on_message(&mut self, cx: &mut Context<'_>, id: ConnectionId, kind: MessageKind, data: &[u8]) {
        if let Some(function) = self.table.on_message {
            let (kind, start, bytes) = (kind_number(kind), data.as_ptr().cast(), data.len());
            // SAFETY: C's own function for these arguments.
            remote::within(cx, id.loop_id(), || unsafe { function(self.user.0, id.into(), kind, start, bytes) });
        }
    }

    fn on_message_begin(&mut self, cx: &mut Context<'_>, id: ConnectionId, kind: MessageKind) {
        if let Some(function) = self.table.on_message_begin {
            // SAFETY: C's own function for these arguments.
            remote::within(cx, id.loop_id(), || unsafe { function(self.user.0, id.into(), kind_number(kind)) });
        }
    }

    fn on_message_part(&mut self, cx: &mut Context<'_>, id: ConnectionId, data: &[u8]) {
        if let Some(function) = self.table.on_message_part {
            // SAFETY: C's own function for these arguments.
            remote::within(cx, id.loop_id(), || unsafe {
                function(self.user.0, id.into(), data.as_ptr().cast(), data.len())
            });
        }
    }

    fn on_message_end(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        if let Some(function) = self.table.on_message_end {
            // SAFETY: C's own function for these arguments.
            remote::within(cx, id.loop_id(), || unsafe { function(self.user.0, id.into()) });
        }
    }

    fn on_ping(&mut self, cx: &mut Context<'_>, id: ConnectionId, data: &[u8]) {
        if let Some(function) = self.table.on_ping {
            // SAFETY: C's own function for these arguments.
            remote::within(cx, id.loop_id(), || unsafe {
                function(self.user.0, id.into(), data.as_ptr().cast(), data.len())
            });
        }
    }

    fn on_pong(&mut self, cx: &mut Context<'_>, id: ConnectionId, data: &[u8]) {
        if let Some(function) = self.table.on_pong {
            // SAFETY: C's own function for these arguments.
            remote::within(cx, id.loop_id(), || unsafe {
                function(self.user.0, id.into(), data.as_ptr().cast(), data.len())
            });
        }
    }

    fn on_close_requested(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        if let Some(function) = self.table.on_close_requested {
            // SAFETY: C's own function for these arguments.
            remote::within(cx, id.loop_id(), || unsafe { function(self.user.0, id.into()) });
        }
    }

    fn on_drained(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        if let Some(function) = self.table.on_drained {
            // SAFETY: C's own function for these arguments.
            remote::within(cx, id.loop_id(), || unsafe { function(self.user.0, id.into()) });
        }
    }

    fn on_error(&mut self, cx: &mut Context<'_>, id: ConnectionId, error: &Error) {
        let message = error.to_string();
        log(LINKSPAN_LOG_WARNING, id.into(), &message);
        if let Some(function) = self.table.on_error {
            let told = told(error, &message);
            // SAFETY: C's own function for these arguments; the error lives until it returns.
            remote::within(cx, id.loop_id(), || unsafe { function(self.user.0, id.into(), &told) });
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_>, id: ConnectionId, info: &CloseInfo) {
        if logs(LINKSPAN_LOG_DEBUG) {
            log(LINKSPAN_LOG_DEBUG, id.into(), &format!("closed with {}", info.code));
        }
        if let Some(function) = self.table.on_close {
            let told = linkspan_close_info::from(info);
            // SAFETY: C's own function for these arguments; the info lives until it returns.
            remote::within(cx, id.loop_id(), || unsafe { function(self.user.0, id.into(), &told) });
        }
    }
}

fn told(error: &Error, message: &str) -> linkspan_error {
    let fault = match error {
        Error::Fault(fault) => Some(fault),
        _ => None,
    };
    let os_error = match error {
        Error::Io { source, .. } => source.raw_os_error(),
        _ => None,
    };
    linkspan_error {
        size: size_of::<linkspan_error>(),
        status: status(error),
        os_error: os_error.unwrap_or_default(),
        message: message.into(),
        rule: fault.map_or("", |fault| fault.rule()).into(),
        close_code: fault.map_or(0, |fault| fault.close_code().as_u16()),
        http_status: fault.map_or(0, |fault| fault.http_status()),
    }
}
