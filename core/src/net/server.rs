//! [`Server`]: what is served on some addresses, by N loops of its own or by a loop of yours.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::context::{Context, HandlerId};
use super::drain::DrainOptions;
use super::event_loop::EventLoop;
use super::guests::Guests;
use super::handler::Handler;
use super::listener::{ListenOptions, Listener};
use super::metrics::Metrics;
use super::remote::Remote;
use crate::error::Error;
use crate::log::{self, Level};
use crate::protocol::{MessageKind, Published, check_close};
use crate::thread;
use crate::transport::Peer;

/// How a server runs.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Loops of its own, each on its own thread; at least one. Default 1.
    pub loops: usize,
    /// How its connections are served.
    pub listen: ListenOptions,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions { loops: 1, listen: ListenOptions::default() }
    }
}

/// Some listeners, and the connections that came through them. One loop accepts; each socket goes to the loop
/// that has the fewest. Threads of its own block all signals: those are the application's.
///
/// Dropping it is [`Server::stop`].
pub struct Server {
    addresses: Vec<Peer>,
    remotes: Vec<Remote>,
    guests: Arc<Guests>,
    /// Its loops are its own: they end with it.
    owns_loops: bool,
    threads: Mutex<Vec<JoinHandle<Result<(), Error>>>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({:?}, {} loops)", self.addresses, self.remotes.len())
    }
}

impl From<Listener> for Vec<Listener> {
    fn from(listener: Listener) -> Vec<Listener> {
        vec![listener]
    }
}

impl Server {
    /// Starts serving one listener or several; returns once connections are accepted. `make_handler` is called
    /// once for each loop, with its number.
    pub fn start(
        listeners: impl Into<Vec<Listener>>,
        options: ServerOptions,
        mut make_handler: impl FnMut(usize) -> Box<dyn Handler>,
    ) -> Result<Server, Error> {
        let mut loops = Vec::new();
        let topics = Arc::default();
        let mut spread: Vec<(Remote, HandlerId)> = Vec::new();
        for index in 0..options.loops.max(1) {
            let mut event_loop = EventLoop::among(&topics)?;
            let handler = event_loop.context().add_handler(make_handler(index));
            spread.push((event_loop.remote(), handler));
            loops.push(event_loop);
        }
        let guests = Arc::new(Guests::new(spread));
        for (event_loop, (_, handler)) in loops.iter_mut().zip(&guests.spread) {
            event_loop.inner.set_guests(*handler, guests.clone());
        }
        let server = Server::listen(&mut loops[0].context(), listeners.into(), options.listen, guests, true)?;
        for (index, mut event_loop) in loops.into_iter().enumerate() {
            let thread = thread::spawn(format!("linkspan-{index}"), move || event_loop.run());
            let thread = thread.map_err(|source| Error::io("start a loop's thread", source))?;
            server.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(server)
    }

    /// The same in a loop of yours, beside whatever it serves already: connections are accepted whenever it
    /// turns. `options.loops` is not looked at.
    pub fn start_in(
        cx: &mut Context<'_>,
        listeners: impl Into<Vec<Listener>>,
        options: ServerOptions,
        handler: Box<dyn Handler>,
    ) -> Result<Server, Error> {
        let handler = cx.add_handler(handler);
        let guests = Arc::new(Guests::new(vec![(cx.remote(), handler)]));
        cx.inner.set_guests(handler, guests.clone());
        Server::listen(cx, listeners.into(), options.listen, guests, false)
    }

    fn listen(
        cx: &mut Context<'_>,
        listeners: Vec<Listener>,
        options: ListenOptions,
        guests: Arc<Guests>,
        owns_loops: bool,
    ) -> Result<Server, Error> {
        let addresses = listeners.iter().map(Listener::local_addr).collect();
        let remotes = guests.spread.iter().map(|(remote, _)| remote.clone()).collect();
        let server = Server { addresses, remotes, guests, owns_loops, threads: Mutex::default() };
        let handler = server.guests.spread[0].1;
        let options = Arc::new(options);
        for listener in listeners {
            // On failure the server is dropped, and with it what listens already.
            cx.listen_with(listener, options.clone(), handler)?;
        }
        Ok(server)
    }

    /// Where it listens, in the order of its listeners.
    pub fn addresses(&self) -> &[Peer] {
        &self.addresses
    }

    /// Its loops, for verbs on their connections and for [`Remote::run`].
    pub fn remotes(&self) -> &[Remote] {
        &self.remotes
    }

    /// What all its loops have counted, at once: in a loop of yours, all that this loop has.
    pub fn metrics(&self) -> Metrics {
        let mut sum = Metrics::default();
        for remote in &self.remotes {
            sum.add(&remote.metrics());
        }
        sum
    }

    /// Sends a whole message to all subscribers of a topic in all its loops; see [`Remote::publish`].
    pub fn publish(&self, topic: &[u8], kind: MessageKind, data: &[u8]) -> Result<(), Error> {
        // Of whichever loop: it may have ended before the others.
        self.remotes[0].shared.topics.publish(topic, None, None, || Ok(Arc::new(Published::new(kind, data)?)))
    }

    /// How many connections subscribe to a topic.
    pub fn subscriber_count(&self, topic: &[u8]) -> usize {
        self.remotes[0].subscriber_count(topic)
    }

    /// Connections that live, on all its loops.
    pub fn connections(&self) -> usize {
        self.guests.live()
    }

    /// Accepts nobody from now on, until [`Server::resume`]: new connections wait in the kernel's queue, and
    /// those that are there go on. From any thread, inside handlers too.
    pub fn pause(&self) {
        self.guests.set_paused(true);
        log::tell(Level::Info, 0, format_args!("accepting pauses"));
    }

    /// Accepts again, first of all those who have waited.
    pub fn resume(&self) {
        self.guests.set_paused(false);
        log::tell(Level::Info, 0, format_args!("accepting goes on"));
        let Some((remote, handler)) = self.guests.spread.first().cloned() else { return };
        // A loop that has ended accepts nobody.
        let _ = remote.run(move |cx| cx.inner.accept_again(handler));
    }

    /// Accepts no more and closes every connection of its own, spread over `options.window`; what is still
    /// there `options.deadline` later is aborted. Requests that wait for their answer get 503. Its own loops
    /// end when all have gone; a loop of yours goes on. Returns at once: [`Server::join`] waits.
    ///
    /// What was accepted for sending until a connection's turn came is sent, unless the peer does not take it
    /// before the deadline. Fails, and does nothing, when code or reason may not be sent.
    pub fn drain(&self, options: &DrainOptions) -> Result<(), Error> {
        check_close(Some(options.code), &options.reason)?;
        self.guests.end();
        for (remote, handler) in &self.guests.spread {
            let of = (!self.owns_loops).then_some(*handler);
            let options = options.clone();
            // A loop that has ended has nothing to drain.
            let _ = remote.run(move |cx| cx.inner.begin_drain(of, options));
        }
        Ok(())
    }

    /// Accepts no more. Its own loops end at once, and their connections with 1006; in a loop of yours they
    /// go on.
    pub fn stop(&self) {
        self.guests.end();
        for (remote, handler) in &self.guests.spread {
            let handler = *handler;
            let _ = match self.owns_loops {
                true => remote.stop(),
                false => remote.run(move |cx| cx.inner.unlisten_all(Some(handler))),
            };
        }
    }

    /// Waits until every loop of its own has ended; the first error of one that failed. Not from a loop's own
    /// thread.
    pub fn join(&self) -> Result<(), Error> {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Err(Error::Gone)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        // A server that is dropped by one of its own handlers cannot wait for that thread.
        let mine = std::thread::current().id();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads.into_iter().filter(|thread| thread.thread().id() != mine) {
            let _ = thread.join();
        }
    }
}
