//! Servers
//!
//! A server listens on one address or several. Its connections are served by loops of its own, each on a
//! thread that the library makes (these block all signals), or by a loop of yours.

use std::ffi::{c_char, c_int, c_void};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use linkspan::Error;
use linkspan::net::{Context, DrainOptions, Handler, ListenOptions, Listener, Metrics, Server, ServerOptions};
use linkspan::protocol::{CloseCode, MessageKind};

use crate::adopt::check_close;
use crate::callbacks::{Callbacks, linkspan_callbacks};
use crate::config::{self, linkspan_config};
use crate::event_loop::linkspan_loop;
use crate::guard::{self, Grows, Locked, Out, Outcome, guard, guard_value};
use crate::remote;
use crate::result::{Failure, LINKSPAN_OK, LINKSPAN_WRONG_STATE, LINKSPAN_WRONG_THREAD, linkspan_status};
use crate::tls::{self, linkspan_tls};

/// A server. Owned: free it with linkspan_server_free.
pub struct linkspan_server(Mutex<State>);

struct State {
    options: ServerOptions,
    reuse_port: bool,
    drain_window: Duration,
    callbacks: Callbacks,
    /// Serves the connections, when it is not the server's own threads.
    home: Option<Arc<linkspan_loop>>,
    /// Of its listeners, in their order; 0 for Unix sockets.
    ports: Vec<u16>,
    stage: Stage,
}

enum Stage {
    /// Not started yet: its listeners.
    New(Vec<Listener>),
    Running(Arc<Running>),
    Ended,
}

/// A server at work.
struct Running {
    server: Server,
    owns_loops: bool,
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
    /// Most connections at once, on all its loops; above it, new ones wait in the system's queue. Default
    /// 65536.
    pub max_connections: u32,
    /// Most of them from one IP address, of IPv6 from one network of 64 bits. The stream of one more ends at
    /// once, without an answer. Unix sockets are not counted. Default no limit.
    pub max_connections_per_address: u32,
    /// Non-zero: the port may be shared with other sockets of the same user that ask for the same
    /// (SO_REUSEPORT); the system spreads new connections among them. Default: a taken port is an error.
    pub reuse_port: c_int,
    /// Over how many milliseconds linkspan_server_drain spreads its close frames, evenly, so that not all
    /// clients come back at once. Default 0: all at once.
    pub drain_window: u64,
    /// Non-zero: every connection begins with a header of the PROXY protocol, version 1 or 2, by a proxy in
    /// front; before TLS, within the config's handshake_timeout. linkspan_connection_peer then tells the address
    /// that it names, and max_connections_per_address counts that. A connection without a good header is ended
    /// without an answer, and logged. Default: none is read, because whoever reaches the port could claim any
    /// address.
    pub proxy_protocol: c_int,
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
/// This and the other functions that listen may be called several times before linkspan_server_start, for IPv4,
/// IPv6 and a Unix socket for instance; afterwards they return LINKSPAN_WRONG_STATE. "::" serves IPv4 addresses
/// too, unless "0.0.0.0" was added before with the same port.
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
        server.bind(|reuse_port, others| {
            let addresses = resolve(host.unwrap_or("127.0.0.1"), port)?;
            Ok(vec![Listener::tcp_beside(&addresses[..], reuse_port, others)?])
        })
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
        server.bind(|_, _| Ok(vec![Listener::unix(path)?]))
    })
}

/// Listens on a socket that somebody else has bound and made listen: a parent process, for instance. The
/// descriptor is the server's from now on; when this fails too. It becomes non-blocking,
/// for its other owners too.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_listen_fd(server: *mut linkspan_server, fd: c_int) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointer and the descriptor are as the comment says.
        let (server, fd) = unsafe { (guard::shared(server)?, guard::owned_fd(fd)?) };
        server.bind(|_, _| Ok(vec![Listener::from_fd(fd)?]))
    })
}

/// Listens on the sockets that systemd has opened for this process and passed under `name` (FileDescriptorName=
/// in the socket unit, else the unit's own name, "chat.socket"); NULL: on all that were passed. Each is given
/// out once, to whichever server asks first. LINKSPAN_IO with a sentence when systemd has passed nothing, or
/// nothing of this name. The descriptors are set to close in programs that this process starts. The environment
/// (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES) is left as it is; do not take the same sockets by sd_listen_fds too.
///
/// Thread: any; not while another thread changes the environment.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_listen_systemd(
    server: *mut linkspan_server,
    name: *const c_char,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (server, name) = unsafe { (guard::shared(server)?, guard::optional_string(name)?) };
        server.bind(|_, _| Listener::from_systemd(name))
    })
}

/// The first port that it listens on; 0 before it listens, and when it listens on Unix sockets only.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_port(server: *mut linkspan_server) -> u16 {
    guard_value(0, || {
        // SAFETY: the caller's own handle.
        let server = unsafe { guard::shared(server) }?;
        Ok(server.lock().ports.iter().copied().find(|port| *port != 0).unwrap_or_default())
    })
}

/// The port of the listener at this place, in the order in which they were added, the first being 0. 0 for a
/// Unix socket, and past the last.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_port_at(server: *mut linkspan_server, index: usize) -> u16 {
    guard_value(0, || {
        // SAFETY: the caller's own handle.
        let server = unsafe { guard::shared(server) }?;
        Ok(server.lock().ports.get(index).copied().unwrap_or_default())
    })
}

/// Starts serving: when this returns, connections are accepted. With a loop of yours, whenever it runs.
/// LINKSPAN_WRONG_STATE when it does not listen, or was started already.
///
/// Thread: any; with a loop of yours, that loop's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_start(server: *mut linkspan_server) -> linkspan_status {
    guard(|| {
        // SAFETY: the caller's own handle.
        let server = unsafe { guard::shared(server) }?;
        server.lock().start(&server)?;
        Ok(LINKSPAN_OK)
    })
}

/// Accepts nobody from now on, until linkspan_server_resume: new connections wait in the system's queue, and
/// those that are there go on. LINKSPAN_WRONG_STATE when it was not started.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_pause(server: *mut linkspan_server) -> linkspan_status {
    guard(|| {
        // SAFETY: the caller's own handle.
        unsafe { guard::shared(server) }?.running()?.server.pause();
        Ok(LINKSPAN_OK)
    })
}

/// Accepts again after linkspan_server_pause, first of all those who have waited. LINKSPAN_WRONG_STATE when it
/// was not started.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_server_resume(server: *mut linkspan_server) -> linkspan_status {
    guard(|| {
        // SAFETY: the caller's own handle.
        unsafe { guard::shared(server) }?.running()?.server.resume();
        Ok(LINKSPAN_OK)
    })
}

/// Ends it gently: accepts no more and closes each of its connections with `code` (1001, usually; 1012 says that
/// the server restarts) and `reason`, which may be NULL with 0. The close frames are spread over the options'
/// drain_window; connections that are still there `deadline_ms` milliseconds after the window are aborted.
/// Clients whose request waits for its answer get 503. What was accepted for sending until a connection's turn
/// has come is sent first.
///
/// Returns at once: linkspan_server_wait waits. The server's own loops end when all connections have gone. A
/// loop of yours goes on, and so do its other connections. A second call replaces the first one's code and times.
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
        let (code, reason) = (check_close(code, reason)?, reason.to_owned());
        server.lock().drain(code, reason, Duration::from_millis(deadline_ms))
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
        let running = server.running()?;
        if !running.owns_loops {
            return Err(wrong_state("the server has no threads of its own"));
        }
        running.server.join()?;
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
        server.lock().stop();
        Ok(LINKSPAN_OK)
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
        state.stop();
        let ended = std::mem::replace(&mut state.stage, Stage::Ended);
        // Without the lock: a callback that still runs may ask the server something.
        drop(state);
        drop(ended);
        Ok(LINKSPAN_OK)
    });
}

impl linkspan_server {
    fn lock(&self) -> Locked<'_, State> {
        guard::lock(&self.0)
    }

    fn bind(&self, listen: impl FnOnce(bool, &[Listener]) -> Result<Vec<Listener>, Error>) -> Outcome {
        let mut state = self.lock();
        let reuse_port = state.reuse_port;
        let State { ports, stage: Stage::New(listeners), .. } = &mut *state else {
            return Err(wrong_state("the server was started already: listen before that"));
        };
        let more = listen(reuse_port, listeners)?;
        ports.extend(more.iter().map(|one| one.local_addr().socket_addr().map_or(0, |address| address.port())));
        listeners.extend(more);
        Ok(LINKSPAN_OK)
    }

    /// What its loops have counted, or the loop that serves it.
    pub(crate) fn metrics(&self) -> Metrics {
        let state = self.lock();
        match (&state.stage, &state.home) {
            (Stage::Running(running), _) => running.server.metrics(),
            (Stage::Ended, Some(home)) => home.metrics(),
            (Stage::New(_) | Stage::Ended, _) => Metrics::default(),
        }
    }

    /// Publishes to the connections of its loops.
    pub(crate) fn publish(&self, topic: &[u8], kind: MessageKind, data: &[u8]) -> Outcome {
        let server = &self.running()?.server;
        let at_once = |cx: &mut Context<'_>| cx.publish(topic, kind, data);
        remote::publish(server.remotes(), at_once, || server.publish(topic, kind, data))
    }

    pub(crate) fn subscriber_count(&self, topic: &[u8]) -> usize {
        self.running().map_or(0, |running| running.server.subscriber_count(topic))
    }

    fn running(&self) -> Result<Arc<Running>, Failure> {
        match &self.lock().stage {
            Stage::Running(running) => Ok(running.clone()),
            Stage::New(_) | Stage::Ended => Err(wrong_state("the server was not started, or has ended")),
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
            listen.proxy_protocol = options.proxy_protocol != 0;
            listen.max_connections_per_address =
                (options.max_connections_per_address != 0).then_some(options.max_connections_per_address as usize);
            let home = if options.event_loop.is_null() { None } else { Some(guard::shared(options.event_loop)?) };
            Ok(State {
                options: ServerOptions { listen, loops: options.loops.max(1) as usize },
                callbacks,
                reuse_port: options.reuse_port != 0,
                drain_window: Duration::from_millis(options.drain_window),
                home,
                ports: Vec::new(),
                stage: Stage::New(Vec::new()),
            })
        }
    }

    fn start(&mut self, owner: &Arc<linkspan_server>) -> Result<(), Failure> {
        if let Some(home) = &self.home {
            // On a wrong thread nothing may happen: the listeners stay.
            home.now(|_| ())?;
        }
        let listeners = match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::New(listeners) if !listeners.is_empty() => listeners,
            other => {
                self.stage = other;
                return Err(wrong_state("the server does not listen, or was started already"));
            }
        };
        let options = self.options.clone();
        let server = match &self.home {
            Some(home) => {
                let handler = Box::new(self.callbacks.of(owner.clone()));
                home.now(|cx: &mut Context<'_>| Server::start_in(cx, listeners, options, handler))??
            }
            None => {
                // The first event makes each loop known: a callback may hand a name to another thread at once.
                let make = |_| -> Box<dyn Handler> { Box::new(self.callbacks.of(owner.clone())) };
                Server::start(listeners, options, make)?
            }
        };
        self.stage = Stage::Running(Arc::new(Running { server, owns_loops: self.home.is_none() }));
        Ok(())
    }

    fn drain(&mut self, code: CloseCode, reason: String, deadline: Duration) -> Outcome {
        match &self.stage {
            Stage::Running(running) => {
                running.server.drain(&DrainOptions { code, reason, window: self.drain_window, deadline })?;
            }
            Stage::New(_) | Stage::Ended => self.stage = Stage::Ended,
        }
        Ok(LINKSPAN_OK)
    }

    fn stop(&mut self) {
        match &self.stage {
            // Its threads may still be waited for.
            Stage::Running(running) if running.owns_loops => running.server.stop(),
            Stage::New(_) | Stage::Running(_) | Stage::Ended => self.stage = Stage::Ended,
        }
    }
}

fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    let found = (host, port).to_socket_addrs().map(Iterator::collect);
    found.map_err(|why| Error::Resolve { host: host.to_owned(), why: why.to_string() })
}

fn wrong_state(why: &'static str) -> Failure {
    Failure::new(LINKSPAN_WRONG_STATE, why)
}
