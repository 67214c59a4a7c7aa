//! A listener at work in a loop: accepts, and places what it accepted on this loop or another.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mio::unix::SourceFd;
use mio::{Interest, Registry};

use super::connection::{Connection, Mode};
use super::context::HandlerId;
use super::guests::{Guests, Seat, Source};
use super::inner::{Inner, listener_token};
use super::listener::{Heads, ListenOptions, Listener};
use super::raw::Raw;
use super::remote::Remote;
use crate::error::Error;
use crate::log::{self, Level};
use crate::protocol::{Engine, Time};
use crate::transport::{Peer, Socket, Transport};

/// Connections that one listener accepts before others have their turn.
const BATCH: usize = 256;
/// How long nothing is accepted when the system or the listener has had enough, in milliseconds.
const REST: u64 = 100;

/// A listener, and where its connections go.
pub(super) struct Listening {
    listener: Listener,
    options: Arc<ListenOptions>,
    handler: HandlerId,
    guests: Arc<Guests>,
    /// Accepting goes on then, without new readiness.
    pub(super) resume_at: Option<Time>,
    /// There was no room when it last looked.
    is_resting: bool,
}

impl Listening {
    pub(super) fn register(&self, registry: &Registry, index: usize) -> Result<(), Error> {
        registry
            .register(&mut SourceFd(&self.listener.as_fd().as_raw_fd()), listener_token(index), Interest::READABLE)
            .map_err(|source| Error::io("watch the listener", source))
    }

    pub(super) fn deregister(&self, registry: &Registry) {
        let _ = registry.deregister(&mut SourceFd(&self.listener.as_fd().as_raw_fd()));
        log::tell(Level::Info, 0, format_args!("listening on {} no more", self.place()));
    }

    /// Where it listens, for the log.
    fn place(&self) -> Peer {
        self.listener.local_addr()
    }

    /// There is no room: told once, not each time that there still is none.
    fn log_rest(&mut self, level: Level, why: fmt::Arguments<'_>) {
        if !std::mem::replace(&mut self.is_resting, true) {
            log::tell(level, 0, format_args!("accepting on {} waits: {why}", self.place()));
        }
    }

    /// The loop with the fewest connections: `None` is this one.
    fn least_loaded(&self, here: &Inner) -> Option<&(Remote, HandlerId)> {
        let load = |remote: &Remote| remote.shared.connections.load(Ordering::Relaxed);
        let best = self.guests.spread.iter().min_by_key(|(remote, _)| load(remote))?;
        (load(&best.0) < here.len()).then_some(best)
    }
}

impl Inner {
    /// Accepts connections for a handler; all its listeners have the same guests. Gives the listener's place.
    pub(super) fn listen(
        &mut self,
        listener: Listener,
        options: Arc<ListenOptions>,
        handler: HandlerId,
    ) -> Result<usize, Error> {
        options.config.check()?;
        let guests = self.guests(handler).ok_or(Error::Gone)?;
        let listening = Listening { listener, options, handler, guests, resume_at: None, is_resting: false };
        let index = self.listeners.vacant_key();
        listening.register(&self.registry, index)?;
        log::tell(Level::Info, 0, format_args!("listening on {}", listening.place()));
        Ok(self.listeners.insert(listening))
    }

    /// Ends the listeners of a handler, or all.
    pub(super) fn unlisten_all(&mut self, of: Option<HandlerId>) {
        let registry = &self.registry;
        self.listeners.retain(|_, listening| {
            let is_ended = of.is_none_or(|handler| listening.handler == handler);
            if is_ended {
                listening.deregister(registry);
            }
            !is_ended
        });
    }

    /// The listeners of a handler accept again: what has waited meanwhile comes without new readiness.
    pub(super) fn accept_again(&mut self, handler: HandlerId) {
        let now = self.now;
        for (_, listening) in self.listeners.iter_mut().filter(|(_, listening)| listening.handler == handler) {
            listening.resume_at = Some(now);
        }
    }
}

/// Accepts until nobody waits, the batch is full, or the system has had enough.
pub(super) fn accept(inner: &mut Inner, index: usize) {
    for _ in 0..BATCH {
        let Some(listening) = inner.listeners.get_mut(index) else { return };
        listening.resume_at = None;
        if !listening.guests.is_open() {
            // Those who wait stay in the system's queue until `accept_again`.
            return;
        }
        if listening.guests.live() >= listening.options.max_connections {
            listening.resume_at = Some(inner.now.after(REST));
            let limit = listening.options.max_connections;
            listening.log_rest(Level::Info, format_args!("{limit} connections are all that it may have"));
            return;
        }
        match listening.listener.accept() {
            Ok(Some(socket)) => {
                listening.is_resting = false;
                place(inner, index, socket);
            }
            Ok(None) => return,
            Err(error) => {
                inner.metrics.accept_failures.add(1);
                // No descriptors, no memory: those who wait stay in the system's queue for a while.
                listening.resume_at = Some(inner.now.after(REST));
                listening.log_rest(Level::Warning, format_args!("{error}"));
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
    let (options, mut handler) = (listening.options.clone(), listening.handler);
    let mut seat = listening.guests.enter();
    // Who comes through a proxy is counted when it has said who.
    if let Some(limit) = options.max_connections_per_address.filter(|_| !options.proxy_protocol)
        && let Some(source) = Source::of(&socket.peer())
    {
        if !listening.guests.count(source, limit) {
            inner.metrics.refused_address.add(1);
            let peer = socket.peer();
            log::tell(Level::Debug, 0, format_args!("{peer} was turned away: {limit} connections have its address"));
            return;
        }
        seat.origin.source = Some(source);
    }
    let Some((remote, there)) = listening.least_loaded(inner) else {
        return welcome(inner, &options, socket, handler, seat);
    };
    handler = *there;
    // Counted at once, so that a burst does not all go to the same loop.
    remote.shared.connections.fetch_add(1, Ordering::Relaxed);
    let there = remote.shared.clone();
    let placed = remote.run(move |cx| {
        cx.inner.shared.connections.fetch_sub(1, Ordering::Relaxed);
        welcome(cx.inner, &options, socket, handler, seat);
    });
    if placed.is_err() {
        there.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Makes an accepted socket a connection of this loop. One that cannot be is closed: its peer sees the end.
fn welcome(inner: &mut Inner, options: &Arc<ListenOptions>, socket: Socket, handler: HandlerId, seat: Seat) {
    if inner.is_draining() || seat.is_over() {
        return;
    }
    let (transport, mode) = if options.proxy_protocol {
        let raw = Raw::behind_proxy(options.clone(), inner.now);
        (Ok(Transport::plain(socket)), Mode::Raw(Box::new(raw)))
    } else {
        (secure(socket, options), speak(options, inner.now))
    };
    let transport = match transport {
        Ok(transport) => transport,
        Err(error) => return log_turned_away(&error),
    };
    match inner.insert(Connection::new(mode, Some(transport), Vec::new(), handler.0)) {
        Ok(id) => {
            inner.metrics.accepted.add(1);
            seat.settle(inner, id);
        }
        Err(error) => log_turned_away(&error),
    }
}

fn log_turned_away(error: &Error) {
    log::tell(Level::Warning, 0, format_args!("a connection was accepted and turned away: {error}"));
}

/// What carries the bytes of a listener's connection.
pub(super) fn secure(socket: Socket, options: &ListenOptions) -> Result<Transport, Error> {
    match &options.tls {
        None => Ok(Transport::plain(socket)),
        Some(tls) => Transport::tls_server(socket, tls),
    }
}

/// What speaks on a listener's connection, which came at this time.
pub(super) fn speak(options: &ListenOptions, since: Time) -> Mode {
    match options.heads {
        Heads::Parsed => Mode::WebSocket(Engine::server(options.config.clone(), since)),
        Heads::Raw => Mode::Raw(Box::new(Raw::with_head(options.config.clone(), since))),
    }
}
