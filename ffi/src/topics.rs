//! Topics
//!
//! A connection that subscribes to a topic gets every message that is published there. A topic is a name, any
//! 1 to 255 bytes; it is there while somebody subscribes, and costs nothing otherwise. The connections of all
//! loops of a server share its topics; so do all connections of a loop of yours, its servers' and clients'.
//!
//! A published message is framed once, compressed once for each set of parameters that was agreed to, and shared.
//! It leaves when the publisher's callback has returned and the loop has been through what else is ready, together
//! with what else was published meanwhile. What one thread sends and publishes reaches each connection in that
//! order. For a subscriber that reads too slowly nobody waits: what would pass its max_outbox_bytes is left
//! out and counted (linkspan_connection_dropped), or ends it, as linkspan_config.slow_reader says.

use std::ffi::c_void;

use linkspan::protocol::MessageKind;

use crate::bytes::{linkspan_connection, linkspan_message_kind, message_kind};
use crate::event_loop::linkspan_loop;
use crate::guard::{self, guard, guard_connection, guard_value};
use crate::remote;
use crate::result::{Failure, linkspan_status};
use crate::server::linkspan_server;

/// Subscribes a connection, in on_request already: it gets what is published from now on, while it is open.
/// LINKSPAN_OK too when it does already; LINKSPAN_FULL above linkspan_config.max_topics. Its end ends its
/// subscriptions. `topic` is 1 to 255 bytes and copied.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_subscribe(
    connection: linkspan_connection,
    topic: *const c_void,
    topic_bytes: usize,
) -> linkspan_status {
    guard_connection(connection, || {
        // SAFETY: the name is as the comment says.
        let topic = unsafe { guard::bytes(topic, topic_bytes) }?;
        remote::verb(
            connection,
            topic,
            |cx, id, topic| cx.subscribe(id, topic),
            |remote, id, topic| remote.subscribe(id, topic),
        )
    })
}

/// Ends a subscription: nothing that this thread publishes afterwards comes to it. LINKSPAN_OK too when there is
/// none.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_unsubscribe(
    connection: linkspan_connection,
    topic: *const c_void,
    topic_bytes: usize,
) -> linkspan_status {
    guard_connection(connection, || {
        // SAFETY: the name is as the comment says.
        let topic = unsafe { guard::bytes(topic, topic_bytes) }?;
        remote::verb(
            connection,
            topic,
            |cx, id, topic| cx.unsubscribe(id, topic),
            |remote, id, topic| remote.unsubscribe(id, topic),
        )
    })
}

/// Sends a whole message to all subscribers of a topic but this connection, which need not be one: what it has
/// said, to all others. The rest as linkspan_loop_publish.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connection_publish(
    connection: linkspan_connection,
    topic: *const c_void,
    topic_bytes: usize,
    kind: linkspan_message_kind,
    data: *const c_void,
    bytes: usize,
) -> linkspan_status {
    guard_connection(connection, || {
        // SAFETY: the name and the data are as the comment says.
        let (topic, kind, data) = unsafe { message(topic, topic_bytes, kind, data, bytes) }?;
        remote::verb(
            connection,
            (topic, data),
            |cx, id, (topic, data)| cx.publish_from(id, topic, kind, data),
            |remote, id, (topic, data)| remote.publish_from(id, topic, kind, data),
        )
    })
}

/// Sends a whole message to all subscribers of a topic among the connections of this loop. LINKSPAN_OK: it goes
/// to those who subscribe now, nobody perhaps. LINKSPAN_FULL: 64 MiB of published messages wait for the loop
/// already; nobody gets it. A text must be UTF-8 (LINKSPAN_INVALID_UTF8).
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_loop_publish(
    event_loop: *mut linkspan_loop,
    topic: *const c_void,
    topic_bytes: usize,
    kind: linkspan_message_kind,
    data: *const c_void,
    bytes: usize,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (owner, (topic, kind, data)) =
            unsafe { (guard::shared(event_loop)?, message(topic, topic_bytes, kind, data, bytes)?) };
        owner.publish(topic, kind, data)
    })
}

/// The same for the connections of all loops of a server, or of the loop of yours that serves it.
/// LINKSPAN_WRONG_STATE before linkspan_server_start.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_publish(
    server: *mut linkspan_server,
    topic: *const c_void,
    topic_bytes: usize,
    kind: linkspan_message_kind,
    data: *const c_void,
    bytes: usize,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (server, (topic, kind, data)) =
            unsafe { (guard::shared(server)?, message(topic, topic_bytes, kind, data, bytes)?) };
        server.publish(topic, kind, data)
    })
}

/// How many connections of this loop subscribe to a topic. 0 for NULL.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_loop_subscriber_count(
    event_loop: *mut linkspan_loop,
    topic: *const c_void,
    topic_bytes: usize,
) -> usize {
    guard_value(0, || {
        // SAFETY: the pointers are as the comment says.
        let (owner, topic) = unsafe { (guard::shared(event_loop)?, guard::bytes(topic, topic_bytes)?) };
        Ok(owner.subscriber_count(topic))
    })
}

/// How many connections of all loops of a server, or of the loop of yours that serves it. 0 for NULL, and before
/// linkspan_server_start.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_subscriber_count(
    server: *mut linkspan_server,
    topic: *const c_void,
    topic_bytes: usize,
) -> usize {
    guard_value(0, || {
        // SAFETY: the pointers are as the comment says.
        let (server, topic) = unsafe { (guard::shared(server)?, guard::bytes(topic, topic_bytes)?) };
        Ok(server.subscriber_count(topic))
    })
}

/// How many messages were not sent to this connection because too much waited for it already: published ones, and
/// those for which a send returned LINKSPAN_DROPPED. 0 of a name that is dead.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_connection_dropped(connection: linkspan_connection) -> u64 {
    guard_value(0, || remote::ask_anywhere(connection, |cx, id| cx.dropped(id), |remote, id| remote.dropped(id)))
}

/// A topic and a message, as C gives them.
///
/// # Safety
/// Both are valid for reading as many bytes as are named, or NULL.
unsafe fn message<'a>(
    topic: *const c_void,
    topic_bytes: usize,
    kind: linkspan_message_kind,
    data: *const c_void,
    bytes: usize,
) -> Result<(&'a [u8], MessageKind, &'a [u8]), Failure> {
    // SAFETY: the caller's duty.
    unsafe { Ok((guard::bytes(topic, topic_bytes)?, message_kind(kind)?, guard::bytes(data, bytes)?)) }
}
