//! Callbacks of one connection
//!
//! A connection's callbacks are those of its server's or client's table. Each of the functions here changes one
//! of them for one connection, from its next event on: inside the callback that is being changed too. `user` is
//! the first argument of the new function; a function that is NULL is not called any more.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use linkspan::net::ConnectionId;

use crate::bytes::linkspan_connection;
use crate::callbacks::{
    linkspan_callbacks, linkspan_on_bytes, linkspan_on_close, linkspan_on_error, linkspan_on_event, linkspan_on_kind,
    linkspan_on_message, linkspan_on_reconnect,
};
use crate::guard::{User, guard_connection};
use crate::remote;
use crate::result::{Failure, LINKSPAN_CLOSED, LINKSPAN_OK, linkspan_status};

/// Changes on_open: a client that connects, or a request that was accepted: the opening handshake is over. To be set in on_request,
/// or right after linkspan_connect. LINKSPAN_CLOSED of a name that is dead.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_on_open(
    connection: linkspan_connection,
    function: linkspan_on_event,
    user: *mut c_void,
) -> linkspan_status {
    change(connection, Entry::Open, user, |table| table.on_open = function)
}

/// Changes on_message: whole messages. LINKSPAN_CLOSED of a name that is dead.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_on_message(
    connection: linkspan_connection,
    function: linkspan_on_message,
    user: *mut c_void,
) -> linkspan_status {
    change(connection, Entry::Message, user, |table| table.on_message = function)
}

/// Changes on_message_begin: with linkspan_config.parts: a message begins. LINKSPAN_CLOSED of a name that is dead.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_on_message_begin(
    connection: linkspan_connection,
    function: linkspan_on_kind,
    user: *mut c_void,
) -> linkspan_status {
    change(connection, Entry::MessageBegin, user, |table| table.on_message_begin = function)
}

/// Changes on_message_part: with linkspan_config.parts: some of its payload. LINKSPAN_CLOSED of a name that is dead.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_on_message_part(
    connection: linkspan_connection,
    function: linkspan_on_bytes,
    user: *mut c_void,
) -> linkspan_status {
    change(connection, Entry::MessagePart, user, |table| table.on_message_part = function)
}

/// Changes on_message_end: with linkspan_config.parts: the message is complete. LINKSPAN_CLOSED of a name that is dead.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_on_message_end(
    connection: linkspan_connection,
    function: linkspan_on_event,
    user: *mut c_void,
) -> linkspan_status {
    change(connection, Entry::MessageEnd, user, |table| table.on_message_end = function)
}

/// Changes on_ping: pings. LINKSPAN_CLOSED of a name that is dead.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_on_ping(
    connection: linkspan_connection,
    function: linkspan_on_bytes,
    user: *mut c_void,
) -> linkspan_status {
    change(connection, Entry::Ping, user, |table| table.on_ping = function)
}

/// Changes on_pong: pongs. LINKSPAN_CLOSED of a name that is dead.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_on_pong(
    connection: linkspan_connection,
    function: linkspan_on_bytes,
    user: *mut c_void,
) -> linkspan_status {
    change(connection, Entry::Pong, user, |table| table.on_pong = function)
}

/// Changes on_drained: what waits has fallen to the low-water mark. LINKSPAN_CLOSED of a name that is dead.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_on_drained(
    connection: linkspan_connection,
    function: linkspan_on_event,
    user: *mut c_void,
) -> linkspan_status {
    change(connection, Entry::Drained, user, |table| table.on_drained = function)
}

/// Changes on_close_requested: with linkspan_config.manual_close: the peer closes. LINKSPAN_CLOSED of a name that is dead.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_on_close_requested(
    connection: linkspan_connection,
    function: linkspan_on_event,
    user: *mut c_void,
) -> linkspan_status {
    change(connection, Entry::CloseRequested, user, |table| table.on_close_requested = function)
}

/// Changes on_error: why it is about to end. LINKSPAN_CLOSED of a name that is dead.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_on_error(
    connection: linkspan_connection,
    function: linkspan_on_error,
    user: *mut c_void,
) -> linkspan_status {
    change(connection, Entry::Error, user, |table| table.on_error = function)
}

/// Changes on_close: it is over. LINKSPAN_CLOSED of a name that is dead.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_on_close(
    connection: linkspan_connection,
    function: linkspan_on_close,
    user: *mut c_void,
) -> linkspan_status {
    change(connection, Entry::Close, user, |table| table.on_close = function)
}

/// Changes on_reconnect: it was lost and is tried again. LINKSPAN_CLOSED of a name that is dead.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_on_reconnect(
    connection: linkspan_connection,
    function: linkspan_on_reconnect,
    user: *mut c_void,
) -> linkspan_status {
    change(connection, Entry::Reconnect, user, |table| table.on_reconnect = function)
}

fn change(
    connection: linkspan_connection,
    entry: Entry,
    user: *mut c_void,
    set: impl FnOnce(&mut linkspan_callbacks),
) -> linkspan_status {
    guard_connection(connection, || {
        remote::ask(connection, |cx, id| {
            // Until on_close has returned.
            cx.user(id).ok_or(Failure::bare(LINKSPAN_CLOSED))?;
            remote::changes(id.loop_id())?.change(id, entry, User(user), set);
            Ok(LINKSPAN_OK)
        })
    })
}

/// A function of the table, by its place.
#[derive(Clone, Copy)]
pub(crate) enum Entry {
    Open,
    Message,
    MessageBegin,
    MessagePart,
    MessageEnd,
    Ping,
    Pong,
    Drained,
    CloseRequested,
    Error,
    Reconnect,
    Close,
}

/// How many there are.
const ENTRIES: usize = Entry::Close as usize + 1;

/// What was changed, by connection, in one loop. Only the loop's thread looks: the lock is never waited for.
#[derive(Default)]
pub(crate) struct Changes {
    /// How many there are, so that a loop without any does not lock.
    count: AtomicUsize,
    of: Mutex<HashMap<ConnectionId, Box<Changed>>>,
}

/// What was changed for one connection.
#[derive(Default)]
struct Changed {
    table: linkspan_callbacks,
    /// The first argument of each function that was changed.
    users: [Option<User>; ENTRIES],
}

impl Changes {
    /// The connection's own function and its first argument, where it was changed.
    #[inline]
    pub(crate) fn find<F>(
        &self,
        id: ConnectionId,
        entry: Entry,
        function: impl Fn(&linkspan_callbacks) -> Option<F>,
    ) -> Option<(Option<F>, User)> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let changed = self.lock();
        let changed = changed.get(&id)?;
        Some((function(&changed.table), changed.users[entry as usize]?))
    }

    /// The connection has ended.
    pub(crate) fn forget(&self, id: ConnectionId) {
        if self.count.load(Ordering::Relaxed) != 0 {
            let mut of = self.lock();
            of.remove(&id);
            self.count.store(of.len(), Ordering::Relaxed);
        }
    }

    fn change(&self, id: ConnectionId, entry: Entry, user: User, set: impl FnOnce(&mut linkspan_callbacks)) {
        let mut of = self.lock();
        let changed = of.entry(id).or_default();
        set(&mut changed.table);
        changed.users[entry as usize] = Some(user);
        self.count.store(of.len(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Box<Changed>>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
