//! A client's way to its socket, as the loop goes it with [`Connecting`](super::Connecting).

use std::os::fd::AsRawFd;

use mio::Interest;
use mio::unix::SourceFd;

use super::connection::{Connection, ConnectionId, Mode};
use super::context::Context;
use super::inner::{Inner, token};
use super::logging::log_error;
use super::raw::Raw;
use super::turn::Turn;
use crate::connector::Step;
use crate::error::Error;
use crate::protocol::Misuse;
use crate::transport::Transport;

impl Turn<'_> {
    /// Goes as far as it can: to the connected socket, or to the end.
    pub(super) fn connect(&mut self) {
        let (id, now) = (self.id, self.inner.now);
        while let Some(Connection { mode: Mode::Connecting(connecting), .. }) = self.inner.find(id) {
            match connecting.next_step(now) {
                Step::Wait => return,
                Step::Resolve => self.resolve(),
                Step::Watch => {
                    if let Err(error) = watch(self.inner, id) {
                        return self.connect_failed(&error);
                    }
                }
                Step::Connected(transport, early) => return self.connected(transport, early),
                Step::Failed(error) => return self.connect_failed(&error),
            }
        }
    }

    /// The handler may answer; else the options' resolver does.
    fn resolve(&mut self) {
        let (id, remote) = (self.id, self.inner.remote());
        let bring = Box::new(move |found| {
            // A loop that has ended has no use for it.
            let _ = remote.run(move |cx| {
                if let Some(Connection { mode: Mode::Connecting(connecting), .. }) = cx.inner.find(id) {
                    connecting.resolved(found);
                    cx.inner.enqueue(id);
                }
            });
        });
        let Some(Connection { mode: Mode::Connecting(connecting), .. }) = self.inner.find(id) else { return };
        let question = connecting.question(bring);
        let kept = self.handler.on_resolve(&mut Context { inner: self.inner, rest: &[] }, id, question);
        if let (Some(question), Some(Connection { mode: Mode::Connecting(connecting), .. })) =
            (kept, self.inner.find(id))
        {
            connecting.ask(question);
        }
    }

    fn connected(&mut self, transport: Transport, early: Vec<u8>) {
        let now = self.inner.now;
        let Some(connection) = become_websocket(self.inner, self.id) else { return };
        connection.transport = Some(transport);
        connection.unread = (!early.is_empty()).then(|| Box::new(early));
        // Whatever its readiness has told before was used up on the way.
        connection.is_readable = true;
        connection.is_blocked = false;
        if let Mode::WebSocket(engine) = &mut connection.mode {
            engine.connected(now);
        }
        self.inner.metrics.connected.add(1);
    }

    /// No socket: `on_error`, and the engine tells the end.
    fn connect_failed(&mut self, error: &Error) {
        let now = self.inner.now;
        let Some(connection) = become_websocket(self.inner, self.id) else { return };
        if let Mode::WebSocket(engine) = &mut connection.mode {
            engine.lost(now);
        }
        self.inner.metrics.connect_failures.add(1);
        // The application's own `abort` is no error.
        if !matches!(error, Error::Misuse(Misuse::Closed)) {
            self.inner.clients.failed(self.id, error);
            log_error(self.id, error);
            self.handler.on_error(&mut Context { inner: self.inner, rest: &[] }, self.id, error);
        }
    }
}

/// The engine has waited long enough.
fn become_websocket(inner: &mut Inner, id: ConnectionId) -> Option<&mut Connection> {
    let connection = inner.find(id)?;
    let Mode::Connecting(connecting) = &connection.mode else { return None };
    let vacant = Mode::Raw(Box::new(Raw::new(connecting.engine().config().clone())));
    if let Mode::Connecting(connecting) = std::mem::replace(&mut connection.mode, vacant) {
        connection.mode = Mode::WebSocket(connecting.into_engine());
    }
    Some(connection)
}

/// Watches the attempt that was begun last; the connected one stays watched for the connection's life.
fn watch(inner: &mut Inner, id: ConnectionId) -> Result<(), Error> {
    let Some(Connection { mode: Mode::Connecting(connecting), .. }) = inner.peek(id) else { return Ok(()) };
    let Some(fd) = connecting.newest() else { return Ok(()) };
    inner
        .registry
        .register(&mut SourceFd(&fd.as_raw_fd()), token(id), Interest::READABLE | Interest::WRITABLE)
        .map_err(|source| Error::io("watch the socket", source))
}
