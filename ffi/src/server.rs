//! Servers
//!
//! A server listens on one address. Its connections are served by loops of its own, each on a thread that
//! the library makes (these block all signals), or by a loop of yours.

use std::ffi::{c_char, c_int, c_void};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use linkspan::Error;
use linkspan::net::{Context, Handler, ListenOptions, Listener, ListenerId, Metrics, Server, ServerOptions};
use linkspan::protocol::CloseCode;

use crate::adopt::check_close;
use crate::bytes::linkspan_connection;
use crate::callbacks::{Callbacks, linkspan_callbacks};
use crate::config::{self, linkspan_config};
use crate::event_loop::linkspan_loop;
use crate::guard::{self, Grows, Out, Outcome, guard, guard_value};
use crate::library::{LINKSPAN_LOG_INFO, log};
use crate::remote;
use crate::result::{Failure, LINKSPAN_OK, LINKSPAN_WRONG_STATE, LINKSPAN_WRONG_THREAD, linkspan_status};
use crate::tls::{self, linkspan_tls};

/// A server. Owned: free it with linkspan_server_free.
pub struct linkspan_server(Mutex<State>);

struct State {
    options: ServerOptions,
    callbacks: Callbacks,
    /// Serves the connections, when it is not the server's own threads.
    home: Option<Arc<linkspan_loop>>,
    port: u16,
    stage: Stage,
}

enum Stage {
    New,
    Bound(Listener),
    OnThreads(Arc<Threads>),
    OnLoop(ListenerId),
    Ended,
}

/// A server's own loops, known to every thread as long as they live.
struct Threads(Server);

impl Drop for Threads {
    fn drop(&mut self) {
        for remote in self.0.remotes() {
            remote::unregister(remote.loop_id());
        }
    }
}

/// How a server serves. Zero is the default. Everything is copied, or shared with the server.
#[repr(C)]
pub struct linkspan_server_options {
    /// sizeof(linkspan_server_options).
    pub size: usize,
    /// Limits and wishes of its connections. NULL: the defaults.
    pub config: *const linkspan_config,
    /// A server's certificates, for wss://. NULL: ws://.
    pub tls: *const linkspan_tls,
    /// What you want to be told. NULL: nothing.
    pub callbacks: *const linkspan_callbacks,
    /// The first argument of every callback.
    pub user: *mut c_void,
    /// A loop of yours that serves the connections. NULL: loops of the server's own.
    pub event_loop: *const linkspan_loop,
    /// How many loops of its own, each on its own thread. Default 1. Callbacks of different connections may
    /// then run at the same time.
    pub loops: u32,
    /// Most connections at once; above it, new ones wait in the system's queue. Default 65536.
    pub max_connections: u32,
}

// SAFETY: `repr(C)`, size first, numbers and pointers only.
unsafe impl Grows for linkspan_server_options {}

/// Makes a server that does not listen yet. `options` may be NULL.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_new(
    options: *const linkspan_server_options,
    server: *mut *mut linkspan_server,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comments say.
        let (state, out) = unsafe { (State::new(options)?, Out::new(server)?) };
        guard::prepare();
        out.write(guard::handle(Arc::new(linkspan_server(Mutex::new(state)))));
        Ok(LINKSPAN_OK)
    })
}

/// Listens on `port` of `host`, a name or an address; NULL is the loopback address 127.0.0.1, "0.0.0.0" or
/// "::" all addresses of this machine. Port 0 picks a free one: see linkspan_server_port. Connections wait in
/// the system's queue until linkspan_server_start. LINKSPAN_IO with a sentence when the port is taken.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_listen(
    server: *mut linkspan_server,
    host: *const c_char,
    port: u16,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (server, host) = unsafe { (guard::shared(server)?, guard::optional_string(host)?) };
        server.bind(|| Listener::tcp(&resolve(host.unwrap_or("127.0.0.1"), port)?[..]))
    })
}

/// Listens on a Unix socket at `path`, which ends with a NUL and must not be NULL.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_listen_unix(
    server: *mut linkspan_server,
    path: *const c_char,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (server, path) = unsafe { (guard::shared(server)?, guard::string(path)?) };
        server.bind(|| Listener::unix(path))
    })
}

/// Listens on a socket that somebody else has bound and made listen, systemd for instance. The descriptor is
/// the server's from now on; when this fails too.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_listen_fd(server: *mut linkspan_server, fd: c_int) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointer and the descriptor are as the comment says.
        let (server, fd) = unsafe { (guard::shared(server)?, guard::owned_fd(fd)?) };
        server.bind(|| Listener::from_fd(fd))
    })
}

/// The port that it listens on; 0 before it listens, and for Unix sockets.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_port(server: *mut linkspan_server) -> u16 {
    // SAFETY: the caller's own handle.
    guard_value(0, || Ok(unsafe { guard::shared(server) }?.lock().port))
}

/// Starts serving: when this returns, connections are accepted. With a loop of yours, whenever it runs.
///
/// Thread: any; with a loop of yours, that loop's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_start(server: *mut linkspan_server) -> linkspan_status {
    guard(|| {
        // SAFETY: the caller's own handle.
        let server = unsafe { guard::shared(server) }?;
        server.lock().start(&server)?;
        tell("the server has started");
        Ok(LINKSPAN_OK)
    })
}

/// Ends it gently: accepts no more and closes every connection with `code` (1001, usually) and `reason`,
/// which may be NULL with 0. The loops end when all connections have gone; those that are still there after
/// `deadline_ms` milliseconds are aborted. Returns at once: linkspan_server_wait waits. With a loop of yours, all
/// connections of that loop are closed, and linkspan_loop_run returns.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_drain(
    server: *mut linkspan_server,
    code: u16,
    reason: *const c_char,
    reason_bytes: usize,
    deadline_ms: u64,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (server, reason) = unsafe { (guard::shared(server)?, guard::text(reason, reason_bytes)?) };
        tell("the server drains");
        server.lock().drain(check_close(code, reason)?, reason, Duration::from_millis(deadline_ms))
    })
}

/// Waits until the server's own loops have ended, after linkspan_server_drain or linkspan_server_stop.
/// LINKSPAN_WRONG_STATE with a loop of yours, or when it was not started.
///
/// Thread: any, but not inside a callback (LINKSPAN_WRONG_THREAD).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_wait(server: *mut linkspan_server) -> linkspan_status {
    guard(|| {
        // SAFETY: the caller's own handle.
        let server = unsafe { guard::shared(server) }?;
        if remote::is_inside_any() {
            return Err(Failure::new(LINKSPAN_WRONG_THREAD, "a callback must not wait for its own loop"));
        }
        server.threads()?.0.join()?;
        Ok(LINKSPAN_OK)
    })
}

/// Ends it now: its own loops stop, and their connections end with 1006. With a loop of yours it accepts no
/// more, and connections go on.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_stop(server: *mut linkspan_server) -> linkspan_status {
    guard(|| {
        // SAFETY: the caller's own handle.
        let server = unsafe { guard::shared(server) }?;
        tell("the server stops");
        server.lock().stop()
    })
}

/// Stops the server, waits for its threads and frees it: afterwards no callback runs any more. Inside one of
/// its callbacks it does not wait for that one's thread, which ends by itself. NULL is fine.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_free(server: *mut linkspan_server) {
    guard(|| {
        // SAFETY: the caller's own handle, given up here.
        let Some(server) = (unsafe { guard::release(server) }) else { return Ok(LINKSPAN_OK) };
        let mut state = server.lock();
        state.stop()?;
        let ended = std::mem::replace(&mut state.stage, Stage::Ended);
        // Without the lock: a callback that still runs may ask the server something.
        drop(state);
        drop(ended);
        Ok(LINKSPAN_OK)
    });
}

impl linkspan_server {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bind(&self, listen: impl FnOnce() -> Result<Listener, Error>) -> Outcome {
        let mut state = self.lock();
        let Stage::New = state.stage else { return Err(wrong_state("the server listens already")) };
        let listener = listen()?;
        state.port = listener.local_addr().socket_addr().map_or(0, |address| address.port());
        state.stage = Stage::Bound(listener);
        Ok(LINKSPAN_OK)
    }

    /// What its loops have counted, or the loop that serves it.
    pub(crate) fn metrics(&self) -> Metrics {
        let state = self.lock();
        match (&state.stage, &state.home) {
            (Stage::OnThreads(server), _) => server.0.metrics(),
            (Stage::OnLoop(_) | Stage::Ended, Some(home)) => home.metrics(),
            (Stage::New | Stage::Bound(_) | Stage::OnLoop(_) | Stage::Ended, _) => Metrics::default(),
        }
    }

    fn threads(&self) -> Result<Arc<Threads>, Failure> {
        match &self.lock().stage {
            Stage::OnThreads(server) => Ok(server.clone()),
            Stage::New | Stage::Bound(_) | Stage::OnLoop(_) | Stage::Ended => {
                Err(wrong_state("the server has no threads of its own"))
            }
        }
    }
}

impl State {
    /// # Safety
    /// NULL, or as linkspan_server_options says.
    unsafe fn new(options: *const linkspan_server_options) -> Result<State, Failure> {
        // SAFETY: the caller's duty.
        unsafe {
            let options = guard::growing_or_default(options)?;
            let callbacks = Callbacks::new(options.callbacks, options.user)?;
            let mut listen = ListenOptions {
                config: Arc::new(config::read(options.config)?),
                tls: tls::server(options.tls)?,
                ..ListenOptions::default()
            };
            config::set(&mut listen.max_connections, options.max_connections as usize);
            let home = if options.event_loop.is_null() { None } else { Some(guard::shared(options.event_loop)?) };
            Ok(State {
                options: ServerOptions { listen, loops: options.loops.max(1) as usize },
                callbacks,
                home,
                port: 0,
                stage: Stage::New,
            })
        }
    }

    fn start(&mut self, owner: &Arc<linkspan_server>) -> Result<(), Failure> {
        let listener = match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Bound(listener) => listener,
            other => {
                self.stage = other;
                return Err(wrong_state("the server does not listen, or was started already"));
            }
        };
        self.stage = match &self.home {
            Some(home) => {
                let (options, handler) = (self.options.listen.clone(), Box::new(self.callbacks.of(owner.clone())));
                let listen = |cx: &mut Context<'_>| {
                    let handler = cx.add_handler(handler);
                    cx.listen(listener, options, handler)
                };
                Stage::OnLoop(home.now(listen)??)
            }
            None => {
                // The first event makes each loop known: a callback may hand a name to another thread at once.
                let make = |_| -> Box<dyn Handler> { Box::new(self.callbacks.of(owner.clone())) };
                let server = Server::start(listener, self.options.clone(), make)?;
                Stage::OnThreads(Arc::new(Threads(server)))
            }
        };
        Ok(())
    }

    fn drain(&mut self, code: CloseCode, reason: &str, deadline: Duration) -> Outcome {
        match (&self.stage, &self.home) {
            (Stage::OnThreads(server), _) => server.0.drain(code, reason, deadline),
            (Stage::OnLoop(_), Some(home)) => home.drain(code, reason, deadline)?,
            (Stage::New | Stage::Bound(_) | Stage::Ended | Stage::OnLoop(_), _) => self.stage = Stage::Ended,
        }
        Ok(LINKSPAN_OK)
    }

    fn stop(&mut self) -> Outcome {
        match (&self.stage, &self.home) {
            (Stage::OnThreads(server), _) => server.0.stop(),
            (Stage::OnLoop(listener), Some(home)) => {
                let listener = *listener;
                home.soon(move |cx| cx.unlisten(listener))?;
                self.stage = Stage::Ended;
            }
            (Stage::New | Stage::Bound(_) | Stage::Ended | Stage::OnLoop(_), _) => self.stage = Stage::Ended,
        }
        Ok(LINKSPAN_OK)
    }
}

fn tell(what: &str) {
    log(LINKSPAN_LOG_INFO, linkspan_connection { id: 0 }, what);
}

fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    let found = (host, port).to_socket_addrs().map(Iterator::collect);
    found.map_err(|why| Error::Resolve { host: host.to_owned(), why: why.to_string() })
}

fn wrong_state(why: &'static str) -> Failure {
    Failure::new(LINKSPAN_WRONG_STATE, why)
}
