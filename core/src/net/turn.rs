//! [`Turn`]: one connection's share of a loop's turn. Read, run the engine, tell the handler, write.

use std::io;

use super::clients;
use super::connection::{Connection, ConnectionId, Mode, NEVER, Read};
use super::context::{Context, ReadyState};
use super::handler::{Decision, Handler};
use super::inner::Inner;
use super::logging::{log_close, log_error, log_open, log_refused};
use super::raw::Stage;
use crate::error::Error;
use crate::protocol::handshake::{MAX_REFUSED_BYTES, Reject, write_reject};
use crate::protocol::{CloseCode, CloseInfo, Event, Input, Payload, Pool, Shutdown, Side};

/// Bytes that one connection may read before the others have their turn.
const BUDGET: usize = 2 << 20;

/// What happened on one connection, from readiness to the last write.
pub(super) struct Turn<'a> {
    pub(super) inner: &'a mut Inner,
    pub(super) handler: &'a mut dyn Handler,
    pub(super) pool: &'a mut Pool,
    pub(super) id: ConnectionId,
}

impl Turn<'_> {
    /// The whole turn, after its first read; true when the connection wants another one without new readiness.
    #[inline]
    pub(super) fn run(&mut self, mut read: Read, buffer: &mut [u8], gather: &mut Vec<u8>) -> bool {
        let mut spent = 0;
        loop {
            let n = match read {
                Read::Nothing => 0,
                Read::Frames(n) => {
                    self.pump_websocket(&mut buffer[..n]);
                    n
                }
                other => self.take(other, buffer),
            };
            spent += n;
            let Some(connection) = self.inner.find(self.id) else { return false };
            let is_hungry = connection.is_readable && spent >= BUDGET;
            if connection.is_readable && !is_hungry {
                read = connection.read(buffer);
                if !matches!(read, Read::Nothing) {
                    continue;
                }
            }
            let written = connection.flush();
            let is_idle = connection.is_idle();
            if is_idle {
                connection.reclaim(gather);
            }
            self.inner.metrics.read_bytes.add(spent as u64);
            self.inner.metrics.written_bytes.add(written as u64);
            return is_hungry | (!is_idle && self.conclude(gather));
        }
    }

    /// Takes in what a read has brought, where it is not frames; how many bytes.
    #[inline(never)]
    fn take(&mut self, read: Read, buffer: &mut [u8]) -> usize {
        match read {
            Read::Nothing => {}
            Read::Later => self.prelude(),
            Read::Frames(n) | Read::Bytes(n) => {
                self.pump(&mut buffer[..n]);
                return n;
            }
            Read::Room(n) => {
                let now = self.inner.now;
                if let Some(Connection { mode: Mode::WebSocket(engine), .. }) = self.connection() {
                    engine.filled(now, n);
                }
                self.pump(&mut []);
                return n;
            }
            Read::Ended => self.end_of_stream(),
            Read::Failed(error) => self.stream_failed(error),
        }
        0
    }

    /// A client's way to its socket; who has come through a proxy; what was kept from earlier reads; what a command has made to tell.
    #[cold]
    fn prelude(&mut self) {
        self.connect();
        self.read_proxy_header();
        let Some(connection) = self.connection() else { return };
        if connection.unread.is_some() && !connection.is_read_blocked() {
            let mut unread = connection.unread.take().unwrap_or_default();
            self.pump(&mut unread);
        } else {
            self.pump(&mut []);
        }
    }

    fn connection(&mut self) -> Option<&mut Connection> {
        self.inner.find(self.id)
    }

    fn end_of_stream(&mut self) {
        let now = self.inner.now;
        let Some(connection) = self.connection() else { return };
        let mut is_told_by_bytes = false;
        match &mut connection.mode {
            Mode::WebSocket(engine) => engine.end_of_input(now),
            Mode::Raw(raw) => {
                raw.is_ended = true;
                is_told_by_bytes = matches!(raw.stage, Stage::Bytes) && !raw.is_paused;
                connection.is_broken |= !matches!(raw.stage, Stage::Bytes);
            }
            Mode::Connecting(_) => {}
        }
        if is_told_by_bytes {
            self.handler.on_bytes(&mut Context { inner: self.inner, rest: &[] }, self.id, &[]);
        }
        self.pump(&mut []);
    }

    /// TLS and the opening handshake of a client say why; a stream that breaks later just ends (1006).
    fn stream_failed(&mut self, error: io::Error) {
        let is_tls = error.kind() == io::ErrorKind::InvalidData;
        self.inner.metrics.tls_failures.add(is_tls.into());
        let Some(connection) = self.connection() else { return };
        let is_opening = connection.ready_state() == ReadyState::Connecting;
        let is_announced = connection.is_announced;
        if connection.is_told {
            return;
        }
        let error = match error {
            error if is_tls => Error::Tls(error.to_string()),
            error if is_opening && is_announced => Error::io("read the server's answer", error),
            _ => return,
        };
        self.inner.clients.failed(self.id, &error);
        tell_error(self.handler, &mut Context { inner: self.inner, rest: &[] }, self.id, &error);
    }

    /// Runs the engine over `bytes` and tells the handler what comes of it.
    #[inline(never)]
    fn pump(&mut self, bytes: &mut [u8]) {
        match self.connection().map(|connection| &connection.mode) {
            Some(Mode::WebSocket(_)) => self.pump_websocket(bytes),
            Some(Mode::Raw(_)) => self.pump_raw(bytes),
            Some(Mode::Connecting(_)) | None => {}
        }
    }

    #[inline(never)]
    fn pump_websocket(&mut self, bytes: &mut [u8]) {
        let (id, now) = (self.id, self.inner.now);
        let mut input = Input::pooled(bytes, self.pool);
        while let Some(Connection { mode: Mode::WebSocket(engine), .. }) = self.inner.find(id) {
            if let Some((kind, data)) = engine.next_message(now, &mut input) {
                self.inner.metrics.received(data.len());
                self.handler.on_message(&mut Context { inner: self.inner, rest: input.rest() }, id, kind, data);
                if input.is_empty() {
                    return;
                }
                continue;
            }
            let Some(event) = engine.next_event(now, &mut input) else { break };
            let cx = &mut Context { inner: self.inner, rest: input.rest() };
            if let Some(payload) = tell(self.handler, cx, id, event) {
                input.recycle(payload);
            }
        }
        if let Some(connection) = self.inner.find(id)
            && !input.is_empty()
        {
            connection.unread = Some(Box::new(input.rest().to_vec()));
        }
    }

    fn pump_raw(&mut self, mut bytes: &mut [u8]) {
        let (id, now) = (self.id, self.inner.now);
        while let Some(connection) = self.inner.find(id) {
            let Connection { mode: Mode::Raw(raw), unread, is_announced, is_broken, .. } = connection else { break };
            if raw.is_paused {
                if !bytes.is_empty() {
                    *unread = Some(Box::new(bytes.to_vec()));
                }
                return;
            }
            if bytes.is_empty() {
                return;
            }
            match &mut raw.stage {
                Stage::Refused(discarded) => {
                    *discarded += bytes.len();
                    // One turn may bring more than that; the answer leaves at its end.
                    *is_broken |= *discarded > MAX_REFUSED_BYTES && raw.outbox.is_empty();
                    return;
                }
                Stage::Proxied { .. } => return,
                Stage::Bytes => {
                    self.handler.on_bytes(&mut Context { inner: self.inner, rest: &[] }, id, bytes);
                    return;
                }
                Stage::Head(_) => match raw.push_head(bytes) {
                    Ok((taken, is_complete)) => {
                        bytes = &mut bytes[taken..];
                        if is_complete {
                            *is_announced = true;
                            let head = std::mem::take(&mut raw.head);
                            let rest = &*bytes;
                            self.tell_head(head, rest);
                        }
                    }
                    Err(fault) => {
                        raw.stage = Stage::Refused(0);
                        let mut answer = Vec::new();
                        let _ = write_reject(&Reject::fault(&fault), false, &mut answer);
                        raw.outbox.append(|gather| gather.extend_from_slice(&answer));
                        raw.is_finished = true;
                        raw.deadline = Some(now.after(raw.config.close_timeout));
                        self.inner.metrics.handshake_failed(Some(&fault));
                        log_refused(&Context { inner: self.inner, rest: &[] }, id, &Error::Fault(fault));
                        return;
                    }
                },
            }
        }
        // It became a WebSocket: what follows the head is frames.
        if matches!(self.connection().map(|connection| &connection.mode), Some(Mode::WebSocket(_))) {
            self.pump(bytes);
        }
    }

    /// The head stays with the connection for whoever takes it, and is lent to the handler meanwhile.
    fn tell_head(&mut self, head: Vec<u8>, rest: &[u8]) {
        let shown = head.clone();
        if let Some(Connection { mode: Mode::Raw(raw), .. }) = self.connection() {
            raw.head = head;
        }
        self.handler.on_head(&mut Context { inner: self.inner, rest }, self.id, &shown);
    }

    /// The rarer end of a turn: somebody is to be told, or the stream to be ended.
    #[inline(never)]
    fn conclude(&mut self, gather: &mut Vec<u8>) -> bool {
        self.tell_rest();
        self.settle();
        let Some(connection) = self.connection() else { return false };
        connection.reclaim(gather);
        // `on_drained` may have resumed it, after its last read.
        connection.may_read()
    }

    fn tell_rest(&mut self) {
        let now = self.inner.now;
        loop {
            let Some(connection) = self.inner.find(self.id) else { return };
            let written = connection.flush();
            self.inner.metrics.written_bytes.add(written as u64);
            let Some(connection) = self.inner.find(self.id) else { return };
            let (is_broken, is_hung_up) = (connection.is_broken, connection.is_hung_up);
            match &mut connection.mode {
                Mode::WebSocket(engine) => {
                    if is_broken {
                        engine.lost(now);
                    } else if is_hung_up && engine.is_asked() {
                        // Nothing is read until the application has answered: the end shows only here.
                        engine.end_of_input(now);
                    }
                    if engine.is_ending() && !connection.is_told {
                        self.pump(&mut []);
                    }
                }
                Mode::Raw(_) => self.finish_raw(),
                Mode::Connecting(_) => {}
            }
            let has_told = self.tell_drained();
            let Some(connection) = self.inner.find(self.id) else { return };
            let is_stuck = connection.is_blocked || connection.is_broken;
            // What was done in `on_drained` may be the end, which is to be told.
            if !has_told && (is_stuck || connection.outgoing_bytes() == 0) {
                break;
            }
        }
        self.shut();
    }

    /// A raw connection is over when it broke, or when both halves have ended.
    fn finish_raw(&mut self) {
        let Some(connection) = self.inner.find(self.id) else { return };
        let Mode::Raw(raw) = &connection.mode else { return };
        let is_over = connection.is_broken || (raw.is_ended && raw.is_finished && raw.outbox.is_empty());
        if is_over && !connection.is_told {
            connection.is_broken = true;
            let mut info = CloseInfo {
                code: CloseCode::ABNORMAL,
                reason: String::new(),
                clean: false,
                begun_by: Side::Remote,
                fault: None,
                unsent_bytes: raw.outbox.len() as u64,
            };
            tell_close(self.handler, &mut Context { inner: self.inner, rest: &[] }, self.id, &mut info);
        }
    }

    /// Whether there was something to tell.
    fn tell_drained(&mut self) -> bool {
        let Some(connection) = self.inner.find(self.id) else { return false };
        if !connection.is_high || connection.outgoing_bytes() > connection.config().low_water_bytes {
            return false;
        }
        connection.is_high = false;
        if connection.is_told {
            return false;
        }
        self.handler.on_drained(&mut Context { inner: self.inner, rest: &[] }, self.id);
        true
    }

    /// Obeys the engine: ends our half, or the whole stream.
    fn shut(&mut self) {
        let Some(connection) = self.inner.find(self.id) else { return };
        let has_left = connection.outgoing_bytes() == 0 && !connection.is_blocked;
        let shutdown = match &connection.mode {
            Mode::WebSocket(engine) => engine.shutdown(),
            Mode::Raw(_) if connection.is_broken => Shutdown::Both,
            Mode::Raw(raw) if raw.is_finished && has_left => Shutdown::Write,
            Mode::Raw(_) | Mode::Connecting(_) => Shutdown::Not,
        };
        match shutdown {
            Shutdown::Not => {}
            Shutdown::Write => {
                // TLS may still hold the last bytes.
                let is_pending = connection.transport.as_ref().is_some_and(|transport| transport.has_pending_write());
                if !connection.is_shut && !is_pending {
                    connection.is_shut = true;
                    let ended = connection.transport.as_mut().map(|transport| transport.shutdown_write());
                    if matches!(ended, Some(Err(_))) {
                        self.inner.remove(self.id);
                    }
                }
            }
            Shutdown::Both => {
                self.inner.remove(self.id);
            }
        }
    }

    /// What other threads may ask is shown, and the deadline queued.
    fn settle(&mut self) {
        let (id, now) = (self.id, self.inner.now);
        let Some(connection) = self.inner.find(id) else { return };
        if let Mode::WebSocket(engine) = &mut connection.mode
            && connection.is_blocked
        {
            engine.stalled(now);
        }
        let (state, waiting) = (connection.ready_state(), connection.buffered_amount());
        let has_changed = state != connection.shown_state || waiting != connection.shown_waiting;
        let more_waiting = waiting.wrapping_sub(connection.shown_waiting);
        (connection.shown_state, connection.shown_waiting) = (state, waiting);
        let due = connection.next_timeout().filter(|at| *at < connection.armed);
        if let Some(at) = due {
            let earlier = std::mem::replace(&mut connection.armed, at);
            self.inner.timers.push(at, id);
            if earlier != NEVER {
                self.inner.abandon_deadline();
            }
        }
        self.inner.metrics.waiting_bytes.add(more_waiting);
        if has_changed && let Some(entry) = self.inner.shared.name.table.find(id) {
            entry.update(state, waiting);
        }
    }
}

/// Tells the handler; a message's payload, told, is given back.
#[inline(never)]
fn tell<'b>(
    handler: &mut dyn Handler,
    cx: &mut Context<'_>,
    id: ConnectionId,
    event: Event<'b>,
) -> Option<Payload<'b>> {
    match event {
        Event::Message(message) => {
            cx.inner.metrics.received(message.data.len());
            handler.on_message(cx, id, message.kind, &message.data);
            return Some(message.data);
        }
        Event::MessagePart(data) => {
            cx.inner.metrics.received_bytes.add(data.len() as u64);
            handler.on_message_part(cx, id, &data);
            return Some(data);
        }
        Event::MessageBegin(kind) => handler.on_message_begin(cx, id, kind),
        Event::MessageEnd => {
            cx.inner.metrics.received_messages.add(1);
            handler.on_message_end(cx, id);
        }
        Event::Ping(data) => handler.on_ping(cx, id, &data),
        Event::Pong(data) => {
            if data.is_empty() {
                count_round_trip(cx, id);
            }
            handler.on_pong(cx, id, &data);
        }
        Event::Open => {
            cx.inner.metrics.opened.add(1);
            show_open(cx, id);
            log_open(cx, id);
            handler.on_open(cx, id);
        }
        Event::CloseRequested => handler.on_close_requested(cx, id),
        Event::Request(request) => {
            if let Ok(connection) = cx.inner.live(id) {
                connection.is_announced = true;
            }
            let decision = handler.on_request(cx, id, &request);
            decide(cx, id, decision);
        }
        Event::Closed(mut info) => tell_close(handler, cx, id, &mut info),
    }
    None
}

/// A pong that a keepalive ping waits for.
fn count_round_trip(cx: &mut Context<'_>, id: ConnectionId) {
    let now = cx.inner.now;
    if let Some(Connection { mode: Mode::WebSocket(engine), .. }) = cx.inner.find(id)
        && let Some(round_trip) = engine.take_round_trip(now)
    {
        cx.inner.metrics.answered(round_trip);
    }
}

/// Another thread that `on_open` tells of the connection may send at once.
fn show_open(cx: &mut Context<'_>, id: ConnectionId) {
    cx.inner.opened(id);
    cx.inner.show(id);
}

/// The handler's answer to a request.
fn decide(cx: &mut Context<'_>, id: ConnectionId, decision: Decision) {
    let answered = match decision {
        Decision::Defer => return,
        Decision::Accept(accept) => cx.accept(id, &accept),
        Decision::Reject(reject) => cx.reject(id, &reject),
    };
    if let Err(Error::Misuse(misuse)) = answered {
        // An answer that cannot be written: the client is told that much.
        let _ = cx.reject(id, &Reject::text(500, &misuse.to_string()));
    }
}

/// Why a connection ends: `on_error`, or `on_refused` when nobody knows of it yet.
fn tell_error(handler: &mut dyn Handler, cx: &mut Context<'_>, id: ConnectionId, error: &Error) {
    if cx.inner.find(id).is_some_and(|connection| connection.is_announced) {
        log_error(id, error);
        handler.on_error(cx, id, error);
    } else {
        log_refused(cx, id, error);
        handler.on_refused(cx, id, error);
    }
}

/// `on_error` where there is a fault, then `on_close`, once; or a client's connection starts over.
pub(super) fn tell_close(handler: &mut dyn Handler, cx: &mut Context<'_>, id: ConnectionId, info: &mut CloseInfo) {
    if cx.inner.live(id).is_err() || clients::follows_redirect(cx.inner, id, info) {
        return;
    }
    let Ok(connection) = cx.inner.live(id) else { return };
    let is_announced = connection.is_announced;
    match &connection.mode {
        Mode::WebSocket(engine) => {
            let was_open = engine.was_open();
            cx.inner.metrics.ended(info, was_open);
        }
        // Before its head.
        Mode::Raw(_) if info.fault.is_some() => cx.inner.metrics.handshake_failed(info.fault.as_ref()),
        Mode::Raw(_) | Mode::Connecting(_) => {}
    }
    if let Some(fault) = &info.fault {
        let error = Error::Fault(fault.clone());
        tell_error(handler, cx, id, &error);
    }
    if is_announced {
        let delay = clients::reconnect(cx.inner, id, info);
        log_close(id, info, delay);
        if let Some(delay) = delay {
            return handler.on_reconnect(cx, id, info, delay);
        }
        // Another thread that it tells of the end must find it so.
        cx.inner.show(id);
        handler.on_close(cx, id, info);
    }
    if let Some(connection) = cx.inner.find(id) {
        connection.is_told = true;
    }
    cx.inner.end_member(id);
}
