//! [`Front`]: accepts connections, does TLS and finds the end of the head, so that no client can make
//! another wait. One thread that never touches Python.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use linkspan::Error;
use linkspan::net::{ConnectionId, Context, EventLoop, Handler, Heads, ListenOptions, Listener, Released, Remote};
use linkspan::protocol::Config;
use pyo3::prelude::*;

use crate::baton;
use crate::buffers;
use crate::channel::Channel;
use crate::errors;
use crate::gil;
use crate::native_thread;
use crate::tls::ServerTls;
use crate::waiter::{Then, Waiter};

/// Listening sockets, and the connections on them whose head is complete.
#[pyclass(frozen, module = "linkspan._linkspan")]
pub(crate) struct Front {
    arrivals: Arc<Arrivals>,
    remote: Remote,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Arrivals {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    released: VecDeque<Released>,
    /// Threads that wait for one; who came last is served first, so that the others may end.
    waiting: Vec<Arc<Waiter>>,
    is_closed: bool,
}

impl Arrivals {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next connection: none when the front is closed or the time is up.
    fn next(&self, timeout: Option<Duration>) -> Option<Released> {
        let until = timeout.map(|timeout| Instant::now() + timeout);
        let mut is_late = false;
        loop {
            let mut queue = self.lock();
            if let Some(released) = queue.released.pop_front() {
                return Some(released);
            }
            if queue.is_closed || is_late {
                return None;
            }
            is_late = Waiter::with_mine(|me| {
                me.begin(Then::Baton);
                queue.waiting.push(me.clone());
                drop(queue);
                let is_late = !baton::sleep(me, until);
                if is_late {
                    self.lock().waiting.retain(|waiter| waiter.id != me.id);
                }
                is_late
            })
            .unwrap_or(true);
        }
    }

    fn add(&self, released: Released) {
        let mut queue = self.lock();
        queue.released.push_back(released);
        while let Some(waiter) = queue.waiting.pop() {
            if baton::rouse(&waiter) {
                break;
            }
        }
    }

    fn close(&self) {
        let mut queue = self.lock();
        queue.is_closed = true;
        for waiter in queue.waiting.drain(..) {
            baton::rouse(&waiter);
        }
    }
}

/// Takes each connection out of the loop when its head is there.
struct Gate {
    arrivals: Arc<Arrivals>,
}

impl Handler for Gate {
    fn on_head(&mut self, cx: &mut Context<'_>, id: ConnectionId, _: &[u8]) {
        if let Some(released) = cx.release(id) {
            self.arrivals.add(released);
        }
    }
}

#[pymethods]
impl Front {
    /// Accepts on the listening sockets with these descriptors, of which it makes its own. A head that is
    /// longer than `max_head_bytes` or not complete within `head_seconds` ends the connection.
    #[new]
    #[pyo3(signature = (listeners, tls = None, max_head_bytes = 256 << 10, head_seconds = 30.0))]
    fn new(listeners: Vec<i32>, tls: Option<&ServerTls>, max_head_bytes: usize, head_seconds: f64) -> PyResult<Front> {
        baton::prepare();
        let mut event_loop = EventLoop::new().map_err(errors::linkspan)?;
        let arrivals = Arc::new(Arrivals::default());
        let config = Config { max_head_bytes, handshake_timeout: (head_seconds * 1000.0) as u64, ..Config::default() };
        let options = ListenOptions {
            config: Arc::new(config),
            tls: tls.map(|tls| tls.shared().clone()),
            heads: Heads::Raw,
            ..ListenOptions::default()
        };
        let mut context = event_loop.context();
        let gate = context.add_handler(Box::new(Gate { arrivals: arrivals.clone() }));
        for fd in listeners {
            let listener = Listener::from_fd(buffers::duplicate(fd).map_err(errors::io)?).map_err(errors::linkspan)?;
            context.listen(listener, options.clone(), gate).map_err(errors::linkspan)?;
        }
        let remote = event_loop.remote();
        let thread = spawn(event_loop, arrivals.clone()).map_err(errors::io)?;
        Ok(Front { arrivals, remote, thread: Mutex::new(Some(thread)) })
    }

    /// Waits for the next connection whose head is complete, at most `timeout` seconds. `None` when the time is
    /// up or the front is closed.
    #[pyo3(signature = (timeout = None))]
    fn accept(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Channel>> {
        let timeout = timeout.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 1e9)));
        loop {
            let Some(released) = gil::leave(py, || self.arrivals.next(timeout)) else { return Ok(None) };
            let mut unread = released.head;
            unread.extend_from_slice(&released.unread);
            if let Ok(channel) = Channel::new(released.transport, unread) {
                return Ok(Some(channel));
            }
        }
    }

    /// Whether `accept` will never give a connection again.
    fn is_closed(&self) -> bool {
        let queue = self.arrivals.lock();
        queue.is_closed && queue.released.is_empty()
    }

    /// Accepts no more; whoever waits in `accept` gets what is there already, then `None`.
    fn close(&self, py: Python<'_>) {
        gil::leave(py, || {
            // The loop may have ended already.
            let _ = self.remote.stop();
            let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(thread) = thread {
                let _ = thread.join();
            }
        });
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.remote.stop();
    }
}

fn spawn(mut event_loop: EventLoop, arrivals: Arc<Arrivals>) -> io::Result<JoinHandle<()>> {
    native_thread::spawn(Builder::new().name("linkspan-front".into()), move || {
        let ended: Result<(), Error> = event_loop.run();
        drop(event_loop);
        drop(ended);
        arrivals.close();
    })
}
