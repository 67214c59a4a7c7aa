//! [`Handler`]: what the application is told.

use std::time::Duration;

use super::connection::ConnectionId;
use super::context::Context;
use crate::connector::Question;
use crate::error::Error;
use crate::protocol::handshake::{Accept, Reject, Request};
use crate::protocol::{CloseInfo, MessageKind};

/// The application's answer to a request.
#[derive(Debug)]
pub enum Decision {
    /// Become a WebSocket.
    Accept(Accept),
    /// An HTTP answer, then the end. Plain HTTP is answered so too.
    Reject(Reject),
    /// Later, from any thread, by [`Context`] or [`Remote`](super::Remote); the handshake's deadline goes on.
    /// When the client leaves meanwhile `on_close` comes, and the answer is too late.
    Defer,
}

/// What happens to the connections of one listener or client. Called on the loop's thread, one call at a
/// time. Everything of [`Context`] may be used inside, on this connection and every other.
///
/// `on_error` comes before the `on_close` that it causes; `on_close` comes exactly once and last.
pub trait Handler: Send {
    /// A request's head is complete. The default accepts every upgrade and answers 426 to plain HTTP.
    fn on_request(&mut self, cx: &mut Context<'_>, id: ConnectionId, request: &Request) -> Decision {
        let _ = (cx, id);
        match request.is_upgrade() {
            true => Decision::Accept(Accept::default()),
            false => Decision::Reject(Reject::text(426, "this address speaks WebSocket only")),
        }
    }

    /// The opening handshake is over.
    fn on_open(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        let _ = (cx, id);
    }

    /// A whole message. `data` lives until the call returns; a text is UTF-8.
    fn on_message(&mut self, cx: &mut Context<'_>, id: ConnectionId, kind: MessageKind, data: &[u8]) {
        let _ = (cx, id, kind, data);
    }

    /// With `Delivery::Parts`: a message begins.
    fn on_message_begin(&mut self, cx: &mut Context<'_>, id: ConnectionId, kind: MessageKind) {
        let _ = (cx, id, kind);
    }

    /// With `Delivery::Parts`: some of its payload. A text's parts may split a character.
    fn on_message_part(&mut self, cx: &mut Context<'_>, id: ConnectionId, data: &[u8]) {
        let _ = (cx, id, data);
    }

    /// With `Delivery::Parts`: the message is complete.
    fn on_message_end(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        let _ = (cx, id);
    }

    /// A ping, answered already unless `PongPolicy::Manual`.
    fn on_ping(&mut self, cx: &mut Context<'_>, id: ConnectionId, data: &[u8]) {
        let _ = (cx, id, data);
    }

    /// A pong.
    fn on_pong(&mut self, cx: &mut Context<'_>, id: ConnectionId, data: &[u8]) {
        let _ = (cx, id, data);
    }

    /// With `CloseReply::Application`: the peer closes and waits for `close`.
    fn on_close_requested(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        let _ = (cx, id);
    }

    /// What waits to be sent has fallen from above the high-water mark to below the low one.
    fn on_drained(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        let _ = (cx, id);
    }

    /// Why the connection is about to end, or to be tried again: the peer's fault, the system, TLS, a name that does not resolve.
    fn on_error(&mut self, cx: &mut Context<'_>, id: ConnectionId, error: &Error) {
        let _ = (cx, id, error);
    }

    /// A listener's connection has ended before its request could be shown, because its peer broke a rule or a
    /// deadline: no proxy's header, no good TLS, no good request. `peer` can be asked; nothing else is told of
    /// this connection.
    fn on_refused(&mut self, cx: &mut Context<'_>, id: ConnectionId, error: &Error) {
        let _ = (cx, id, error);
    }

    /// It is over. Every question still has its answer inside this call; afterwards the id is dead.
    fn on_close(&mut self, cx: &mut Context<'_>, id: ConnectionId, info: &CloseInfo) {
        let _ = (cx, id, info);
    }

    /// A client's host, or its proxy's, is to be found. Answer the question, here or later on any thread, or give it
    /// back: then the options' resolver answers, or the system's. An answer after its deadline, or after the
    /// connection's end, is not heard.
    fn on_resolve(&mut self, cx: &mut Context<'_>, id: ConnectionId, question: Question) -> Option<Question> {
        let _ = (cx, id);
        Some(question)
    }

    /// A client that [reconnects](crate::connector::Reconnect) has lost its connection, or could not connect; after
    /// `delay` it is tried again under the same id, which is `Connecting` now, and `on_open` comes again. `on_error`
    /// has told the cause before, where there is one. What was accepted and could not be sent is counted in `info`;
    /// nothing of it is sent again. `close` and `abort` end it, here too.
    fn on_reconnect(&mut self, cx: &mut Context<'_>, id: ConnectionId, info: &CloseInfo, delay: Duration) {
        let _ = (cx, id, info, delay);
    }

    /// With raw heads: a head is complete, its empty line included. Nothing more is read until the
    /// connection is released, upgraded, resumed (raw bytes follow) or aborted.
    fn on_head(&mut self, cx: &mut Context<'_>, id: ConnectionId, head: &[u8]) {
        let _ = (cx, id, head);
    }

    /// On a raw connection: bytes, as they came. Empty once, at the end of the stream.
    fn on_bytes(&mut self, cx: &mut Context<'_>, id: ConnectionId, bytes: &[u8]) {
        let _ = (cx, id, bytes);
    }
}
