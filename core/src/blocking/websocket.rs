//! [`WebSocket`]: messages, on the caller's threads.

use std::io;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::polled::Outbound;
use super::raw::deadline;
use super::shared::{READ, SECURE_READ, Shared, State, Unread, Waited};
use crate::clock;
use crate::error::Error;
use crate::protocol::handshake::{Accept, Reject, Request};
use crate::protocol::{
    CloseCode, CloseInfo, Config, Delivery, Engine, Event, Fault, Input, Message, MessageKind, Misuse, Payload, Phase,
    Role, Shutdown, Time,
};
use crate::transport::{Peer, Transport};

/// One WebSocket for any number of threads: one receives, any may send. Clones are the same WebSocket; when
/// the last is dropped, the stream ends, without a closing handshake unless there was one.
///
/// Pings are answered, and deadlines kept, while some thread receives.
#[derive(Clone, Debug)]
pub struct WebSocket {
    pub(super) shared: Arc<Shared<Engine>>,
}

/// What a receiver is told.
#[derive(Debug)]
pub enum Received {
    /// A whole message.
    Message(Message<'static>),
    /// With `Delivery::Parts`: a message begins.
    MessageBegin(MessageKind),
    /// With `Delivery::Parts`: some of its payload. A text's parts may split a character.
    MessagePart(Vec<u8>),
    /// With `Delivery::Parts`: the message is complete.
    MessageEnd,
    /// A ping; answered already unless `PongPolicy::Manual`.
    Ping(Vec<u8>),
    /// A pong, asked for or not.
    Pong(Vec<u8>),
    /// With `CloseReply::Application`: the peer closes and waits for `close`.
    CloseRequested,
    /// It is over; [`WebSocket::close_info`] tells how. The same again to whoever asks later.
    Closed,
    /// The time is up, or a signal was handled: look after it and call again.
    TimedOut,
}

/// What the engine tells, and the driver does not pass on as it is.
pub(super) enum Step {
    Open,
    Request(Box<Request>),
    Received(Received),
}

impl WebSocket {
    /// Takes over a transport and its engine: from a loop (`Released`), or adopted after a handshake
    /// done elsewhere. `unread` are bytes that were read from it already. Fails when the transport has
    /// no descriptor to wait on, as a host's may.
    pub fn new(transport: Transport, mut engine: Engine, unread: Vec<u8>) -> Result<WebSocket, Error> {
        // Nobody here pauses: who does not want to read does not call.
        engine.resume();
        let shared = Shared::new(transport, engine, unread)?;
        // What the engine brings with it, the answer to the handshake perhaps, waits for nobody.
        shared.lock().write();
        Ok(WebSocket { shared: Arc::new(shared) })
    }

    /// Serves one client: waits for its request, and answers it as `decide` says. A refusal is sent,
    /// and then an error here. Plain HTTP is asked about too ([`Request::is_upgrade`]), and can only be
    /// refused, with any status.
    pub fn accept(
        transport: Transport,
        config: Arc<Config>,
        decide: impl FnOnce(&Request) -> Result<Accept, Reject>,
    ) -> Result<WebSocket, Error> {
        config.check()?;
        let websocket = WebSocket::new(transport, Engine::server(config, clock::now()), Vec::new())?;
        websocket.open(decide)?;
        Ok(websocket)
    }

    /// Waits for the next message. None when it is over, see [`WebSocket::close_info`]; a peer that
    /// broke a rule, or TLS that did, is an error once, and then it is over.
    pub fn recv(&self) -> Result<Option<Message<'static>>, Error> {
        self.recv_until(None)
    }

    /// As [`WebSocket::recv`], but fails with [`io::ErrorKind::TimedOut`] when no message has come in time;
    /// nothing is lost by that.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Option<Message<'static>>, Error> {
        self.recv_until(deadline(Some(timeout)))
    }

    fn recv_until(&self, deadline: Option<Time>) -> Result<Option<Message<'static>>, Error> {
        if self.ask(|engine| engine.config().delivery == Delivery::Parts) {
            return Err(Misuse::ConfigInvalid("messages in parts are received by recv_event").into());
        }
        loop {
            match self.recv_event_until(deadline)? {
                Received::Message(message) => return Ok(Some(message)),
                Received::Closed => return Ok(None),
                Received::TimedOut if deadline.is_some_and(|deadline| clock::now() < deadline) => {}
                Received::TimedOut => {
                    let late = io::Error::new(io::ErrorKind::TimedOut, "no message has come in time");
                    return Err(Error::io("receive", late));
                }
                Received::Ping(_) | Received::Pong(_) | Received::CloseRequested => {}
                Received::MessageBegin(_) | Received::MessagePart(_) | Received::MessageEnd => {}
            }
        }
    }

    /// Waits for whatever comes next, at most for `timeout`. Errors are those of [`WebSocket::recv`].
    pub fn recv_event(&self, timeout: Option<Duration>) -> Result<Received, Error> {
        self.recv_event_until(deadline(timeout))
    }

    fn recv_event_until(&self, deadline: Option<Time>) -> Result<Received, Error> {
        let mut state = self.shared.lock();
        loop {
            let now = clock::now();
            match state.advance(now) {
                Some(Step::Received(Received::Closed)) => return self.over(state),
                Some(Step::Received(received)) => return Ok(received),
                Some(Step::Open | Step::Request(_)) => continue,
                None => {}
            }
            if state.protocol.phase() == Phase::Closed {
                return Ok(Received::Closed);
            }
            if deadline.is_some_and(|deadline| now >= deadline) {
                return Ok(Received::TimedOut);
            }
            let waited;
            (state, waited) = self.wait_unlocked(state, deadline);
            if waited == Waited::Interrupted && deadline.is_some() {
                return Ok(Received::TimedOut);
            }
        }
    }

    /// Sends a whole message, and waits until the system has all of it; a peer that reads nothing is given
    /// up after `Config::write_timeout`. A text must be UTF-8.
    ///
    /// A peer that does not read makes this wait, and one that does not read because it waits for us to
    /// read does so forever: receive on another thread.
    pub fn send(&self, kind: MessageKind, data: &[u8]) -> Result<(), Error> {
        self.send_with(|state| state.put_message(kind, data))
    }

    /// Sends a fragment: the first begins a message of this kind, `fin` ends it. Until then every other
    /// message is refused, on whatever thread.
    pub fn send_fragment(&self, kind: MessageKind, data: &[u8], fin: bool) -> Result<(), Error> {
        self.send_with(|state| state.protocol.send_fragment(kind, data, fin))
    }

    /// Sends a ping of at most 125 bytes.
    pub fn ping(&self, payload: &[u8]) -> Result<(), Error> {
        self.send_with(|state| state.protocol.ping(payload))
    }

    /// Sends a pong of at most 125 bytes, asked for or not.
    pub fn pong(&self, payload: &[u8]) -> Result<(), Error> {
        self.send_with(|state| state.protocol.pong(payload))
    }

    /// Accepts a whole message and writes what can be written without waiting; true when nothing is
    /// left. The rest leaves with [`WebSocket::flush`] or any other call. Refused when too much waits
    /// already (`Config::max_outbox_bytes`).
    pub fn post(&self, kind: MessageKind, data: &[u8]) -> Result<bool, Error> {
        self.try_send(Outbound::Message(kind, data))
    }

    /// Waits until everything accepted has left: true. False when the time is up first, or a signal was
    /// handled while there was a limit.
    pub fn flush(&self, timeout: Option<Duration>) -> Result<bool, Error> {
        let state = self.shared.lock();
        Ok(self.shared.write_until(state, deadline(timeout), |state| !state.has_waiting())?.1)
    }

    /// Closes: everything accepted leaves first, then the close frame; waits for the peer's answer and
    /// for the end of the stream, at most `Config::close_timeout`, and tells how it went. Messages that
    /// still come are dropped. A receiver on another thread sees the end. Closing twice is no error.
    pub fn close(&self, code: Option<CloseCode>, reason: &str) -> Result<CloseInfo, Error> {
        let mut state = self.shared.lock();
        match state.protocol.close(clock::now(), code, reason) {
            // Whoever began it, it is waited for here.
            Ok(()) | Err(Misuse::Closed) => {}
            Err(misuse) => return Err(misuse.into()),
        }
        state = self.linger(state);
        state.protocol.close_info().cloned().ok_or(Error::Gone)
    }

    /// Ends the connection at once, without a closing handshake. A receiver on another thread sees the
    /// end, a sender fails.
    pub fn abort(&self) {
        let mut state = self.shared.lock();
        let now = clock::now();
        state.protocol.abort(now);
        while state.next(now).is_some() {}
        state.transport.abort();
    }

    /// How it ended, or is about to end.
    pub fn close_info(&self) -> Option<CloseInfo> {
        self.ask(|engine| engine.close_info().cloned())
    }

    /// The agreed subprotocol.
    pub fn subprotocol(&self) -> Option<String> {
        self.ask(|engine| engine.subprotocol().map(str::to_owned))
    }

    /// The other end.
    pub fn peer(&self) -> Peer {
        self.ask_transport(Transport::peer)
    }

    /// Asks something of the engine: extensions, phase, the server's answer.
    pub fn ask<T>(&self, question: impl FnOnce(&Engine) -> T) -> T {
        question(&self.shared.lock().protocol)
    }

    /// Asks something of the transport: the TLS certificate, for instance.
    pub fn ask_transport<T>(&self, question: impl FnOnce(&Transport) -> T) -> T {
        question(&self.shared.lock().transport)
    }

    /// Transport, engine and what was read too far, for another driver. The WebSocket itself when it has
    /// other clones.
    pub fn into_parts(self) -> Result<(Transport, Engine, Vec<u8>), WebSocket> {
        let shared = Arc::try_unwrap(self.shared).map_err(|shared| WebSocket { shared })?;
        let State { transport, protocol, unread, .. } = shared.into_state();
        Ok((transport, protocol, unread.into_bytes()))
    }

    /// Goes through the opening handshake.
    fn open(&self, decide: impl FnOnce(&Request) -> Result<Accept, Reject>) -> Result<(), Error> {
        let mut decide = Some(decide);
        let mut refused = None;
        let mut state = self.shared.lock();
        loop {
            let now = clock::now();
            match state.advance(now) {
                Some(Step::Open) => return Ok(()),
                Some(Step::Request(request)) => {
                    let Some(decide) = decide.take() else { return Err(Error::Gone) };
                    drop(state);
                    let decision = decide(&request);
                    state = self.shared.lock();
                    match decision {
                        Ok(accept) => state.protocol.accept(now, &accept)?,
                        Err(reject) => {
                            state.protocol.reject(now, &reject)?;
                            refused = Some(Fault::Refused(reject.status));
                        }
                    }
                }
                Some(Step::Received(Received::Closed)) => {
                    self.over(state)?;
                    return Err(refused.map_or(Error::Gone, Error::Fault));
                }
                Some(Step::Received(_)) => {}
                None => state = self.wait_unlocked(state, None).0,
            }
        }
    }

    /// Waits for the socket, the engine's deadline, or the caller's.
    fn wait_unlocked<'a>(
        &'a self,
        state: MutexGuard<'a, State<Engine>>,
        deadline: Option<Time>,
    ) -> (MutexGuard<'a, State<Engine>>, Waited) {
        let until = state.protocol.next_timeout().into_iter().chain(deadline).min();
        let interest = state.interest();
        self.shared.wait(state, interest, until)
    }

    fn send_with(&self, put: impl FnOnce(&mut State<Engine>) -> Result<(), Misuse>) -> Result<(), Error> {
        let mut state = self.shared.lock();
        let high_water = state.protocol.config().high_water_bytes;
        // Those who came earlier go first, so that what waits in memory is bounded however many send.
        if state.protocol.outbox().len() > high_water {
            let is_low = |state: &State<Engine>| state.protocol.outbox().len() <= high_water;
            (state, _) = self.shared.write_until(state, None, is_low)?;
        }
        state.check_open()?;
        put(&mut state)?;
        let mark = state.mark();
        self.shared.write_until(state, None, |state| state.has_left(mark)).map(drop)
    }

    /// It has just ended: a fault is told, once, after the peer was.
    fn over(&self, mut state: MutexGuard<'_, State<Engine>>) -> Result<Received, Error> {
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        match state.protocol.close_info().and_then(|info| info.fault.clone()) {
            None => Ok(Received::Closed),
            Some(fault) => {
                // Closing a stream that the peer still writes to would destroy the close frame on its way.
                drop(self.linger(state));
                Err(fault.into())
            }
        }
    }

    /// Waits for the end of the stream as the engine wants it.
    fn linger<'a>(&'a self, mut state: MutexGuard<'a, State<Engine>>) -> MutexGuard<'a, State<Engine>> {
        loop {
            while state.advance(clock::now()).is_some() {}
            if state.protocol.shutdown() == Shutdown::Both {
                return state;
            }
            state = self.wait_unlocked(state, None).0;
        }
    }
}

impl State<Engine> {
    /// The next thing that happened, without waiting: from what was read already, from the socket, or
    /// from the clock. Answers are written.
    pub(super) fn advance(&mut self, now: Time) -> Option<Step> {
        loop {
            if let Some(step) = self.next(now) {
                self.settle(now);
                return Some(step);
            }
            if !self.read(now) {
                break;
            }
        }
        // Only now: what stood unread in the socket is a sign of life.
        self.protocol.handle_timeout(now);
        self.settle(now);
        let step = self.next(now);
        if step.is_some() {
            self.settle(now);
        }
        step
    }

    /// The next event of what was read.
    fn next(&mut self, now: Time) -> Option<Step> {
        let mut input = Input::new(self.unread.bytes());
        let step = self.protocol.next_event(now, &mut input).map(owned);
        let left = input.rest().len();
        self.unread.start = self.unread.end - left;
        step
    }

    /// Reads once; false when there is nothing to read for now.
    fn read(&mut self, now: Time) -> bool {
        if self.is_ended || !self.unread.is_empty() {
            return false;
        }
        let result = match self.protocol.room() {
            Some(room) => {
                let result = self.transport.read(room);
                if let Ok(n @ 1..) = result {
                    self.protocol.filled(now, n);
                }
                result
            }
            None => {
                let size = if self.transport.is_secure() { SECURE_READ } else { READ };
                self.unread.buffer.resize(size, 0);
                let result = self.transport.read(&mut self.unread.buffer);
                self.unread.start = 0;
                self.unread.end = *result.as_ref().unwrap_or(&0);
                result
            }
        };
        match result {
            Ok(0) => {
                self.is_ended = true;
                self.protocol.end_of_input(now);
                // What could not be written never will be.
                if self.broken.is_some() {
                    self.protocol.lost(now);
                }
                true
            }
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // Nobody knows for how long: an idle connection owns no buffer.
                self.unread = Unread::default();
                false
            }
            Err(error) => {
                self.is_ended = true;
                self.error = self.worth_telling(error);
                self.protocol.lost(now);
                true
            }
        }
    }

    /// Writes, and does with the stream what the engine wants.
    fn settle(&mut self, now: Time) {
        self.write();
        if self.broken.is_some() && self.is_ended {
            // Nothing more can be written, and nothing is left to read: it is over.
            self.protocol.lost(now);
        }
        let shutdown = self.protocol.shutdown();
        if shutdown != Shutdown::Not && !std::mem::replace(&mut self.is_finished, true) {
            // The peer may have gone already; that is what we want.
            let _ = self.transport.shutdown_write();
        }
        if shutdown == Shutdown::Both {
            self.transport.abort();
            self.is_ended = true;
        }
    }

    pub(super) fn put_message(&mut self, kind: MessageKind, data: &[u8]) -> Result<(), Misuse> {
        let State { protocol, transport, accepted, broken, .. } = self;
        protocol.send_through(kind, data, |slices| {
            // A failure shows again in the next write, where it is kept.
            let n = if broken.is_some() { 0 } else { transport.write(slices).unwrap_or(0) };
            *accepted += n as u64;
            n
        })
    }

    pub(super) fn check_open(&self) -> Result<(), Misuse> {
        if self.broken.is_some() { Err(Misuse::Closed) } else { Ok(()) }
    }

    /// Why the stream broke, where a person should know: TLS always, the system during the handshake.
    fn worth_telling(&self, error: io::Error) -> Option<Error> {
        match (error.kind(), self.protocol.phase(), self.protocol.role()) {
            (io::ErrorKind::InvalidData, _, _) => Some(Error::Tls(error.to_string())),
            (_, Phase::Opening, Role::Client) => Some(Error::io("read the server's answer", error)),
            (_, Phase::Opening, Role::Server) => Some(Error::io("read the client's request", error)),
            _ => None,
        }
    }
}

/// An event with its payload in a buffer of its own.
fn owned(event: Event<'_>) -> Step {
    Step::Received(match event {
        Event::Open => return Step::Open,
        Event::Request(request) => return Step::Request(request),
        Event::Message(Message { kind, data }) => {
            Received::Message(Message { kind, data: Payload::Owned(bytes(data)) })
        }
        Event::MessageBegin(kind) => Received::MessageBegin(kind),
        Event::MessagePart(data) => Received::MessagePart(bytes(data)),
        Event::MessageEnd => Received::MessageEnd,
        Event::Ping(data) => Received::Ping(bytes(data)),
        Event::Pong(data) => Received::Pong(bytes(data)),
        Event::CloseRequested => Received::CloseRequested,
        Event::Closed(_) => Received::Closed,
    })
}

fn bytes(payload: Payload<'_>) -> Vec<u8> {
    match payload {
        Payload::Borrowed(bytes) => bytes.to_vec(),
        Payload::Owned(bytes) => bytes,
    }
}
