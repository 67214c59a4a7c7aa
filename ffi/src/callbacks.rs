//! Callbacks
//!
//! One table for each server, client or adopted connection; entries may be NULL. All of them are called on
//! the thread that runs the loop, one at a time. Every function of this library may be called inside,
//! on this connection and every other: close, stop and free too. Pointers that a callback is given live
//! until it returns. C++ exceptions and longjmp must not leave a callback.

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_void};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use linkspan::Error;
use linkspan::net::{ConnectionId, Context, Decision, Handler, Question};
use linkspan::protocol::handshake::{Accept, Reject, Request};
use linkspan::protocol::{CloseInfo, MessageKind, Side};

use crate::bytes::{kind_number, linkspan_connection, linkspan_message_kind, linkspan_text};
use crate::changes::Entry;
use crate::guard::{self, Grows, User};
use crate::remote::{self, Joined};
use crate::request::linkspan_request;
use crate::resolution::{self, linkspan_resolution};
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

/// For linkspan_callbacks.on_request.
pub type linkspan_on_request =
    Option<unsafe extern "C" fn(user: *mut c_void, connection: linkspan_connection, request: *const linkspan_request)>;

/// What is told of a connection and nothing else.
pub type linkspan_on_event = Option<unsafe extern "C" fn(user: *mut c_void, connection: linkspan_connection)>;

/// A whole message, linkspan_callbacks.on_message.
pub type linkspan_on_message = Option<
    unsafe extern "C" fn(
        user: *mut c_void,
        connection: linkspan_connection,
        kind: linkspan_message_kind,
        data: *const c_void,
        bytes: usize,
    ),
>;

/// The kind of a message that begins, linkspan_callbacks.on_message_begin.
pub type linkspan_on_kind =
    Option<unsafe extern "C" fn(user: *mut c_void, connection: linkspan_connection, kind: linkspan_message_kind)>;

/// Bytes: of a part, a ping or a pong.
pub type linkspan_on_bytes =
    Option<unsafe extern "C" fn(user: *mut c_void, connection: linkspan_connection, data: *const c_void, bytes: usize)>;

/// For linkspan_callbacks.on_error.
pub type linkspan_on_error =
    Option<unsafe extern "C" fn(user: *mut c_void, connection: linkspan_connection, error: *const linkspan_error)>;

/// For linkspan_callbacks.on_close.
pub type linkspan_on_close =
    Option<unsafe extern "C" fn(user: *mut c_void, connection: linkspan_connection, info: *const linkspan_close_info)>;

/// For linkspan_callbacks.on_reconnect.
pub type linkspan_on_reconnect = Option<
    unsafe extern "C" fn(
        user: *mut c_void,
        connection: linkspan_connection,
        info: *const linkspan_close_info,
        delay_ms: u64,
    ),
>;

/// For linkspan_callbacks.on_resolve.
pub type linkspan_on_resolve = Option<
    unsafe extern "C" fn(
        user: *mut c_void,
        connection: linkspan_connection,
        host: *const c_char,
        port: u16,
        resolution: linkspan_resolution,
    ),
>;

/// What the application wants to be told. The first argument of every function is the `user` that was given
/// with the table. One connection's functions may be changed later: linkspan_connection_on_message and others.
///
/// on_error comes before the on_close or on_reconnect that it causes; on_close comes exactly once and last. In both,
/// everything may still be asked of the connection; after on_close its name is dead.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq)]
#[allow(unpredictable_function_pointer_comparisons, reason = "tables that are equal do the same")]
pub struct linkspan_callbacks {
    /// sizeof(linkspan_callbacks).
    pub size: usize,
    /// Server: a client asks. Answer with linkspan_request_accept, _reject or _defer; without this function,
    /// or without an answer in it, upgrades are accepted and plain HTTP gets 426.
    pub on_request: linkspan_on_request,
    /// The opening handshake is over: messages may be sent.
    pub on_open: linkspan_on_event,
    /// A whole message; a text is UTF-8, without a NUL behind it.
    pub on_message: linkspan_on_message,
    /// With linkspan_config.parts: a message begins.
    pub on_message_begin: linkspan_on_kind,
    /// With linkspan_config.parts: some of its payload. The parts of a text may split a character.
    pub on_message_part: linkspan_on_bytes,
    /// With linkspan_config.parts: the message is complete.
    pub on_message_end: linkspan_on_event,
    /// A ping; answered already unless linkspan_config.manual_pong.
    pub on_ping: linkspan_on_bytes,
    /// A pong.
    pub on_pong: linkspan_on_bytes,
    /// What waits to be sent has fallen from above the high-water mark to below the low one.
    pub on_drained: linkspan_on_event,
    /// With linkspan_config.manual_close: the peer closes and waits for linkspan_connection_close, for
    /// linkspan_config.close_timeout at most. Until then messages may be sent.
    pub on_close_requested: linkspan_on_event,
    /// Why the connection is about to end.
    pub on_error: linkspan_on_error,
    /// It is over.
    pub on_close: linkspan_on_close,
    /// No function of this table is called with `user` any more: free what it points to. Called exactly once,
    /// on any thread; also when the function that was given the table fails, unless the table itself was not
    /// valid. A client's or an adopted connection's follows on_close; a server's comes when it has been freed
    /// and its last callback has returned, or, with a loop of yours, when that loop has been freed too.
    pub free_user: Option<unsafe extern "C" fn(user: *mut c_void)>,
    /// Client, with linkspan_client_options.reconnect_delay: the connection was lost, or could not be made, and is
    /// tried again in `delay_ms` milliseconds under the same name. `info` is complete, and lives until the
    /// function returns; what could not be sent is counted in it, and is not sent again. The next connection is
    /// not paused, whatever this one was; a message in fragments that was cut is to be begun anew.
    pub on_reconnect: linkspan_on_reconnect,
    /// Client: the addresses of `host` are to be found, which ends with a NUL and lives until the function
    /// returns: the server's, or its proxy's. Answer here or later, on any thread, with linkspan_resolution_answer
    /// or linkspan_resolution_fail. Without this function the system's resolver is asked, on threads of the
    /// library's.
    pub on_resolve: linkspan_on_resolve,
}

// SAFETY: `repr(C)`, size first, optional functions only.
unsafe impl Grows for linkspan_callbacks {}

/// A table with its user pointer, as the loop's handler. An adopted connection has one of its own: three words.
pub(crate) struct Callbacks {
    told: Arc<Told>,
    user: User,
    /// C's free_user is called when no callback can come any more.
    frees_user: bool,
}

/// What many connections of one loop may share.
struct Told {
    table: linkspan_callbacks,
    /// Its loop, from the first event on; a server's own loop is known to other threads as long as this lives.
    joined: OnceLock<Joined>,
    /// A callback may call with the server as long as there are callbacks, whoever has freed it; and with
    /// `user`, which the server's own table frees.
    _server: Option<Arc<linkspan_server>>,
}

impl Drop for Callbacks {
    fn drop(&mut self) {
        if let Some(free) = self.told.table.free_user.filter(|_| self.frees_user) {
            // SAFETY: C's own function for this argument; whoever had the table is gone.
            unsafe { free(self.user.0) }
        }
    }
}

impl Told {
    fn new(table: linkspan_callbacks, server: Option<Arc<linkspan_server>>) -> Arc<Told> {
        Arc::new(Told { table, joined: OnceLock::new(), _server: server })
    }
}

impl Callbacks {
    /// # Safety
    /// `table` is NULL or as linkspan_callbacks says.
    pub(crate) unsafe fn new(table: *const linkspan_callbacks, user: *mut c_void) -> Result<Callbacks, Failure> {
        // SAFETY: the caller's duty.
        let table = unsafe { guard::growing_or_default(table) }?;
        Ok(Callbacks { told: Told::new(table, None), user: User(user), frees_user: true })
    }

    /// The same, in a loop whose last connection that was adopted on this thread had the same table: they share it.
    pub(crate) fn shared(mut self, loop_id: u16) -> Callbacks {
        thread_local!(static LAST: RefCell<(u16, Weak<Told>)> = const { RefCell::new((0, Weak::new())) });
        LAST.with_borrow_mut(|last| match last.1.upgrade() {
            Some(told) if last.0 == loop_id && told.table == self.told.table => self.told = told,
            _ => *last = (loop_id, Arc::downgrade(&self.told)),
        });
        self
    }

    /// The same for a server's connections.
    pub(crate) fn of(&self, server: Arc<linkspan_server>) -> Callbacks {
        Callbacks { told: Told::new(self.told.table, Some(server)), user: self.user, frees_user: false }
    }

    /// Calls C's function for this event, if there is one.
    #[inline]
    fn tell<F>(
        &mut self,
        cx: &mut Context<'_>,
        id: ConnectionId,
        entry: Entry,
        function: impl Fn(&linkspan_callbacks) -> Option<F>,
        call: impl FnOnce(F, *mut c_void, linkspan_connection),
    ) {
        let joined = self.told.joined.get_or_init(|| Joined::new(cx));
        let (function, user) = match joined.changes.find(id, entry, &function) {
            Some(changed) => changed,
            None => (function(&self.told.table), self.user),
        };
        if let Some(function) = function {
            remote::within(cx, id.loop_id(), || call(function, user.0, id.into()));
        }
    }

    /// The same for bytes.
    fn tell_bytes(
        &mut self,
        cx: &mut Context<'_>,
        id: ConnectionId,
        entry: Entry,
        function: fn(&linkspan_callbacks) -> linkspan_on_bytes,
        data: &[u8],
    ) {
        // SAFETY: C's own function for these arguments.
        self.tell(cx, id, entry, function, |function, user, connection| unsafe {
            function(user, connection, data.as_ptr().cast(), data.len());
        });
    }

    /// The same without anything to tell beside the event.
    fn tell_event(
        &mut self,
        cx: &mut Context<'_>,
        id: ConnectionId,
        entry: Entry,
        function: fn(&linkspan_callbacks) -> linkspan_on_event,
    ) {
        // SAFETY: C's own function for these arguments.
        self.tell(cx, id, entry, function, |function, user, connection| unsafe { function(user, connection) });
    }
}

impl Handler for Callbacks {
    fn on_request(&mut self, cx: &mut Context<'_>, id: ConnectionId, request: &Request) -> Decision {
        self.told.joined.get_or_init(|| Joined::new(cx));
        let default = || match request.is_upgrade() {
            true => Decision::Accept(Accept::default()),
            false => Decision::Reject(Reject::text(426, "this address speaks WebSocket only")),
        };
        let Some(function) = self.told.table.on_request else { return default() };
        // SAFETY: C may look at the request until its function returns; the function is for these arguments.
        let ask = || unsafe { function(self.user.0, id.into(), &linkspan_request::lent(request)) };
        remote::asking(cx, id, ask).unwrap_or_else(default)
    }

    fn on_open(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        self.tell_event(cx, id, Entry::Open, |table| table.on_open);
    }

    #[inline]
    fn on_message(&mut self, cx: &mut Context<'_>, id: ConnectionId, kind: MessageKind, data: &[u8]) {
        let (kind, start, bytes) = (kind_number(kind), data.as_ptr().cast(), data.len());
        // SAFETY: C's own function for these arguments.
        self.tell(
            cx,
            id,
            Entry::Message,
            |table| table.on_message,
            |function, user, connection| unsafe {
                function(user, connection, kind, start, bytes);
            },
        );
    }

    fn on_message_begin(&mut self, cx: &mut Context<'_>, id: ConnectionId, kind: MessageKind) {
        // SAFETY: C's own function for these arguments.
        self.tell(
            cx,
            id,
            Entry::MessageBegin,
            |table| table.on_message_begin,
            |function, user, connection| unsafe {
                function(user, connection, kind_number(kind));
            },
        );
    }

    fn on_message_part(&mut self, cx: &mut Context<'_>, id: ConnectionId, data: &[u8]) {
        self.tell_bytes(cx, id, Entry::MessagePart, |table| table.on_message_part, data);
    }

    fn on_message_end(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        self.tell_event(cx, id, Entry::MessageEnd, |table| table.on_message_end);
    }

    fn on_ping(&mut self, cx: &mut Context<'_>, id: ConnectionId, data: &[u8]) {
        self.tell_bytes(cx, id, Entry::Ping, |table| table.on_ping, data);
    }

    fn on_pong(&mut self, cx: &mut Context<'_>, id: ConnectionId, data: &[u8]) {
        self.tell_bytes(cx, id, Entry::Pong, |table| table.on_pong, data);
    }

    fn on_close_requested(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        self.tell_event(cx, id, Entry::CloseRequested, |table| table.on_close_requested);
    }

    fn on_drained(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        self.tell_event(cx, id, Entry::Drained, |table| table.on_drained);
    }

    fn on_error(&mut self, cx: &mut Context<'_>, id: ConnectionId, error: &Error) {
        let message = error.to_string();
        let told = told(error, &message);
        // SAFETY: C's own function for these arguments; the error lives until it returns.
        self.tell(
            cx,
            id,
            Entry::Error,
            |table| table.on_error,
            |function, user, connection| unsafe {
                function(user, connection, &told);
            },
        );
    }

    fn on_reconnect(&mut self, cx: &mut Context<'_>, id: ConnectionId, info: &CloseInfo, delay: Duration) {
        let (told, delay) = (linkspan_close_info::from(info), delay.as_millis().try_into().unwrap_or(u64::MAX));
        // SAFETY: C's own function for these arguments; the info lives until it returns.
        self.tell(
            cx,
            id,
            Entry::Reconnect,
            |table| table.on_reconnect,
            |function, user, connection| unsafe {
                function(user, connection, &told, delay);
            },
        );
    }

    fn on_resolve(&mut self, cx: &mut Context<'_>, id: ConnectionId, question: Question) -> Option<Question> {
        let (Some(function), Ok(host)) = (self.told.table.on_resolve, CString::new(question.host.as_str())) else {
            return Some(question);
        };
        let (port, resolution) = (question.port, resolution::begin(id, question));
        // SAFETY: C's own function for these arguments; the host lives until it returns.
        remote::within(cx, id.loop_id(), || unsafe {
            function(self.user.0, id.into(), host.as_ptr(), port, resolution);
        });
        None
    }

    fn on_close(&mut self, cx: &mut Context<'_>, id: ConnectionId, info: &CloseInfo) {
        let told = linkspan_close_info::from(info);
        // SAFETY: C's own function for these arguments; the info lives until it returns.
        self.tell(
            cx,
            id,
            Entry::Close,
            |table| table.on_close,
            |function, user, connection| unsafe {
                function(user, connection, &told);
            },
        );
        if let Some(joined) = self.told.joined.get() {
            joined.changes.forget(id);
        }
        resolution::forget(id);
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
