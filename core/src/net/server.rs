//! [`Server`]: one address, N loops, each on a thread of its own.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread::JoinHandle;
use std::time::Duration;

use super::context::HandlerId;
use super::event_loop::EventLoop;
use super::handler::Handler;
use super::listener::{ListenOptions, Listener};
use super::listening::Listening;
use super::metrics::Metrics;
use super::remote::Remote;
use crate::error::Error;
use crate::protocol::{CloseCode, MessageKind, Published};
use crate::thread;
use crate::transport::Peer;

/// How a server runs.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Loops, each on its own thread; at least one. Default 1.
    pub loops: usize,
    /// How its connections are served.
    pub listen: ListenOptions,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions { loops: 1, listen: ListenOptions::default() }
    }
}

/// N loops that serve one listener. Its first loop accepts; each socket goes to the loop that has the
/// fewest. Its threads block all signals: those are the application's.
///
/// Dropping it stops it at once: connections end without a closing handshake.
pub struct Server {
    address: Peer,
    remotes: Vec<Remote>,
    threads: Mutex<Vec<JoinHandle<Result<(), Error>>>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({} loops)", self.remotes.len())
    }
}

impl Server {
    /// Starts serving; returns once connections are accepted. `make_handler` is called once for each loop,
    /// with its number.
    pub fn start(
        listener: Listener,
        options: ServerOptions,
        mut make_handler: impl FnMut(usize) -> Box<dyn Handler>,
    ) -> Result<Server, Error> {
        let address = listener.local_addr();
        let mut loops = Vec::new();
        let topics = Arc::default();
        let mut spread: Vec<(Remote, HandlerId)> = Vec::new();
        for index in 0..options.loops.max(1) {
            let mut event_loop = EventLoop::among(&topics)?;
            let handler = event_loop.context().add_handler(make_handler(index));
            spread.push((event_loop.remote(), handler));
            loops.push(event_loop);
        }
        let remotes: Vec<Remote> = spread.iter().map(|(remote, _)| remote.clone()).collect();
        let mut listening = Listening::new(listener, options.listen, spread[0].1);
        if loops.len() > 1 {
            listening.spread = spread;
        }
        loops[0].context().listen_for(listening)?;
        let server = Server { address, remotes, threads: Mutex::default() };
        for (index, mut event_loop) in loops.into_iter().enumerate() {
            let thread = thread::spawn(format!("linkspan-{index}"), move || event_loop.run());
            let thread = thread.map_err(|source| Error::io("start a loop's thread", source))?;
            server.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(server)
    }

    /// Where it listens.
    pub fn local_addr(&self) -> &Peer {
        &self.address
    }

    /// Its loops, for verbs on their connections and for [`Remote::run`].
    pub fn remotes(&self) -> &[Remote] {
        &self.remotes
    }

    /// What all its loops have counted, at once.
    pub fn metrics(&self) -> Metrics {
        let mut sum = Metrics::default();
        for remote in &self.remotes {
            sum.add(&remote.metrics());
        }
        sum
    }

    /// Sends a whole message to all subscribers of a topic in all loops; see [`Remote::publish`].
    pub fn publish(&self, topic: &[u8], kind: MessageKind, data: &[u8]) -> Result<(), Error> {
        // Of whichever loop: it may have ended before the others.
        self.remotes[0].shared.topics.publish(topic, None, None, || Ok(Arc::new(Published::new(kind, data)?)))
    }

    /// How many connections subscribe to a topic.
    pub fn subscriber_count(&self, topic: &[u8]) -> usize {
        self.remotes[0].subscriber_count(topic)
    }

    /// Accepts no more, closes every connection with `code`, and lets the loops end when all are gone; what
    /// is still there after `deadline` is aborted. Returns at once: [`Server::join`] waits.
    pub fn drain(&self, code: CloseCode, reason: &str, deadline: Duration) {
        for remote in &self.remotes {
            // A loop that has ended has nothing to drain.
            let _ = remote.drain(code, reason, deadline);
        }
    }

    /// Ends the loops at once.
    pub fn stop(&self) {
        for remote in &self.remotes {
            let _ = remote.stop();
        }
    }

    /// Waits until every loop has ended; the first error of one that failed. Not from a loop's own thread.
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
