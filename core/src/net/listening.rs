//! A listener at work in a loop: accepts, and places what it accepted on this loop or another.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mio::unix::SourceFd;
use mio::{Interest, Registry};

use super::connection::{Connection, Mode};
use super::context::HandlerId;
use super::inner::{Inner, listener_token};
use super::listener::{Heads, ListenOptions, Listener};
use super::raw::Raw;
use super::remote::Remote;
use crate::error::Error;
use crate::protocol::{Engine, Time};
use crate::transport::{Socket, Transport};

/// Connections that one listener accepts before others have their turn.
const BATCH: usize = 256;
/// How long nothing is accepted when the system or the listener has had enough, in milliseconds.
const REST: u64 = 100;

/// A listener, and where its connections go.
pub(super) struct Listening {
    listener: Listener,
    pub(super) options: Arc<ListenOptions>,
    handler: HandlerId,
    /// All loops of a server, this one among them, and their handlers; empty when there is only this one.
    pub(super) spread: Vec<(Remote, HandlerId)>,
    /// Accepting goes on then, without new readiness.
    pub(super) resume_at: Option<Time>,
}

impl Listening {
    pub(super) fn new(listener: Listener, options: ListenOptions, handler: HandlerId) -> Listening {
        Listening { listener, options: Arc::new(options), handler, spread: Vec::new(), resume_at: None }
    }

    pub(super) fn register(&self, registry: &Registry, index: usize) -> Result<(), Error> {
        registry
            .register(&mut SourceFd(&self.listener.as_fd().as_raw_fd()), listener_token(index), Interest::READABLE)
            .map_err(|source| Error::io("watch the listener", source))
    }

    pub(super) fn deregister(&self, registry: &Registry) {
        let _ = registry.deregister(&mut SourceFd(&self.listener.as_fd().as_raw_fd()));
    }

    /// Whether as many connections live, on all its loops, as it may have.
    fn is_full(&self, here: &Inner) -> bool {
        let elsewhere = |(remote, _): &(Remote, HandlerId)| remote.shared.connections.load(Ordering::Relaxed);
        let live = if self.spread.is_empty() { here.len() } else { self.spread.iter().map(elsewhere).sum() };
        live >= self.options.max_connections
    }

    /// The loop with the fewest connections: `None` is this one.
    fn least_loaded(&self, here: &Inner) -> Option<&(Remote, HandlerId)> {
        let load = |remote: &Remote| remote.shared.connections.load(Ordering::Relaxed);
        let best = self.spread.iter().min_by_key(|(remote, _)| load(remote))?;
        (load(&best.0) < here.len()).then_some(best)
    }
}

/// Accepts until nobody waits, the batch is full, or the system has had enough.
pub(super) fn accept(inner: &mut Inner, index: usize) {
    for _ in 0..BATCH {
        let is_full = inner.listeners.get(index).is_some_and(|listening| listening.is_full(inner));
        let Some(listening) = inner.listeners.get_mut(index) else { return };
        listening.resume_at = None;
        if is_full {
            listening.resume_at = Some(inner.now.after(REST));
            return;
        }
        match listening.listener.accept() {
            Ok(Some(socket)) => place(inner, index, socket),
            Ok(None) => return,
            Err(_) => {
                inner.metrics.accept_failures.add(1);
                // No descriptors, no memory: those who wait stay in the system's queue for a while.
                listening.resume_at = Some(inner.now.after(REST));
                return;
            }
        }
    }
    if let Some(listening) = inner.listeners.get_mut(index) {
        listening.resume_at = Some(inner.now);
    }
}

fn place(inner: &mut Inner, index: usize, socket: Socket) {
    let Some(listening) = inner.listeners.get(index) else { return };
    let options = listening.options.clone();
    if let Some((remote, handler)) = listening.least_loaded(inner) {
        let handler = *handler;
        // Counted at once, so that a burst does not all go to the same loop.
        remote.shared.connections.fetch_add(1, Ordering::Relaxed);
        let there = remote.shared.clone();
        let placed = remote.run(move |cx| {
            cx.inner.shared.connections.fetch_sub(1, Ordering::Relaxed);
            welcome(cx.inner, &options, socket, handler);
        });
        if placed.is_err() {
            there.connections.fetch_sub(1, Ordering::Relaxed);
        }
    } else {
        let handler = listening.handler;
        welcome(inner, &options, socket, handler);
    }
}

/// Makes an accepted socket a connection of this loop. One that cannot be is closed: its peer sees the end.
fn welcome(inner: &mut Inner, options: &ListenOptions, socket: Socket, handler: HandlerId) {
    if inner.drain.is_some() {
        return;
    }
    let transport = match &options.tls {
        None => Ok(Transport::plain(socket)),
        Some(tls) => Transport::tls_server(socket, tls),
    };
    let Ok(transport) = transport else { return };
    let welcomed = match options.heads {
        Heads::Parsed => {
            let engine = Engine::server(options.config.clone(), inner.now);
            inner.insert(Connection::new(Mode::WebSocket(engine), Some(transport), Vec::new(), handler.0))
        }
        Heads::Raw => {
            let raw = Raw::with_head(options.config.clone(), inner.now);
            inner.insert(Connection::new(Mode::Raw(Box::new(raw)), Some(transport), Vec::new(), handler.0))
        }
    };
    inner.metrics.accepted.add(welcomed.is_ok().into());
}
