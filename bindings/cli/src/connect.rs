//! `linkspan connect`: one connection, between the user and a server.

use std::env;
use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use linkspan::Error;
use linkspan::net::{ConnectOptions, ConnectionId, Context, EventLoop, Handler, Remote};
use linkspan::protocol::{CloseInfo, Config, DeflateConfig, MessageKind};
use linkspan::tls::{ClientTls, ClientTlsOptions, Identity, Pem, Roots};

use crate::args::Connect;
use crate::editor::{Editing, Editor};
use crate::event::Event;
use crate::input::{self, Cut, Lines};
use crate::output::{Chatter, Form, Output};
use crate::problem::Problem;
use crate::session::{Plan, Session};
use crate::signals;

/// What waits to be sent before the input is read no further, and when it is read again.
const HIGH_WATER: usize = 256 << 10;
const LOW_WATER: usize = 64 << 10;

/// From our close frame to the end, in milliseconds: what the system holds before it must reach the server, over a
/// slow line too. Ctrl-C ends the wait.
const CLOSE_TIMEOUT: u64 = 30_000;

/// How long the end waits for the reader to say whether there was more input.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// Runs until the connection is over.
pub(crate) fn run(arguments: Connect) -> Result<(), Problem> {
    let signals = signals::block();
    let options = options(&arguments)?;
    let (output, editor) = output(&arguments);
    let mut event_loop = EventLoop::new()?;
    let shared = Shared(Arc::new(Mutex::new(Session::new(plan(&arguments), output))));
    let id = event_loop.context().connect_with(options, Box::new(shared.clone()))?;
    let interrupt = shared.teller(event_loop.remote(), id, Session::signalled);
    signals::watch(signals, interrupt);

    let mut keyboard = Keyboard::Waiting(editor.map(Box::new));
    loop {
        let mut session = shared.lock();
        if session.is_over() {
            break;
        }
        if session.is_open {
            keyboard.start(&arguments, &shared, &event_loop.remote(), id)?;
        }
        session.tick(&mut event_loop.context(), id);
        let timeout = session.next_tick();
        drop(session);
        event_loop.run_once(timeout)?;
    }
    match keyboard {
        Keyboard::Waiting(_) => {}
        Keyboard::Editing(editing) => {
            if let Form::Screen(screen) = &mut shared.lock().output.form {
                editing.end(screen);
            }
        }
        Keyboard::Reading => {
            // What stands in the pipe will never be sent: the reader says whether that is the end or more.
            let deadline = Instant::now() + LAST_LOOK;
            while input::is_waiting() && !shared.lock().is_input_known() && Instant::now() < deadline {
                event_loop.run_once(Some(Duration::from_millis(10)))?;
            }
        }
    }
    shared.lock().judge()
}

/// Where the input comes from.
enum Keyboard {
    /// The connection is not open yet.
    Waiting(Option<Box<Editor>>),
    Editing(Editing),
    Reading,
}

impl Keyboard {
    fn start(
        &mut self,
        arguments: &Connect,
        shared: &Shared,
        remote: &Remote,
        id: ConnectionId,
    ) -> Result<(), Problem> {
        let Keyboard::Waiting(editor) = self else { return Ok(()) };
        let started = match editor.take() {
            Some(editor) => editor.start(shared.teller(remote.clone(), id, Session::typed)).map(Keyboard::Editing),
            None => {
                let cut = match arguments.binary {
                    true => Cut::Reads,
                    false => Cut::Lines(Lines::new(arguments.max_message)),
                };
                input::start(cut, shared.teller(remote.clone(), id, Session::input)).map(|()| Keyboard::Reading)
            }
        };
        *self = started.map_err(|error| Problem::failed(format!("a thread cannot be started: {error}")))?;
        Ok(())
    }
}

/// The session, for the loop's callbacks and for the other threads' tasks on the loop.
#[derive(Clone)]
struct Shared(Arc<Mutex<Session>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Session> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the session something, on the loop, from any thread.
    fn teller<T: Send + 'static>(
        &self,
        remote: Remote,
        id: ConnectionId,
        told: fn(&mut Session, &mut Context<'_>, ConnectionId, T),
    ) -> impl FnMut(T) + Send + 'static {
        let shared = self.clone();
        move |what| {
            let shared = shared.clone();
            // A loop that has ended has nobody to tell.
            let _ = remote.run(move |cx| told(&mut shared.lock(), cx, id, what));
        }
    }
}

impl Handler for Shared {
    fn on_open(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        self.lock().opened(cx, id);
    }

    fn on_message(&mut self, cx: &mut Context<'_>, id: ConnectionId, kind: MessageKind, data: &[u8]) {
        self.lock().message(cx, id, kind, data);
    }

    fn on_ping(&mut self, cx: &mut Context<'_>, id: ConnectionId, data: &[u8]) {
        self.lock().show(cx, id, &Event::Ping(data));
    }

    fn on_pong(&mut self, cx: &mut Context<'_>, id: ConnectionId, data: &[u8]) {
        self.lock().show(cx, id, &Event::Pong(data));
    }

    fn on_drained(&mut self, _: &mut Context<'_>, _: ConnectionId) {
        self.lock().drained();
    }

    fn on_error(&mut self, cx: &mut Context<'_>, id: ConnectionId, error: &Error) {
        self.lock().failed(cx, id, error);
    }

    fn on_close(&mut self, cx: &mut Context<'_>, id: ConnectionId, info: &CloseInfo) {
        self.lock().closed(cx, id, info);
    }

    fn on_reconnect(&mut self, cx: &mut Context<'_>, id: ConnectionId, info: &CloseInfo, delay: Duration) {
        self.lock().lost(cx, id, info, delay);
    }
}

fn plan(arguments: &Connect) -> Plan {
    Plan {
        execute: arguments.execute.clone(),
        kind: if arguments.binary { MessageKind::Binary } else { MessageKind::Text },
        slash: arguments.slash,
        wait: arguments.wait,
        count: if arguments.one_message { Some(1) } else { arguments.count },
        close: arguments.close.clone(),
    }
}

/// What the user wants to see, and the editor where there is somebody to type.
fn output(arguments: &Connect) -> (Output, Option<Editor>) {
    let has_terminals = io::stdin().is_terminal() && io::stdout().is_terminal();
    let has_colours = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let editor = if has_terminals && !arguments.json { Editor::new(has_colours) } else { None };
    let (form, editor) = match editor {
        Some((editor, screen)) => (Form::Screen(screen), Some(editor)),
        None if arguments.json => (Form::Json, None),
        None if io::stdout().is_terminal() => (Form::Lines { is_safe: true }, None),
        None if arguments.binary => (Form::Bytes, None),
        None => (Form::Lines { is_safe: false }, None),
    };
    let chatter = match (arguments.quiet, arguments.verbose) {
        (true, _) => Chatter::Quiet,
        (false, true) => Chatter::Verbose,
        (false, false) => Chatter::Usual,
    };
    (Output { form, chatter, has_colours }, editor)
}

fn options(arguments: &Connect) -> Result<ConnectOptions, Problem> {
    if arguments.insecure {
        return Err(Problem::usage("certificates are always checked; to trust a server's own, name it with --ca FILE"));
    }
    let mut options = ConnectOptions::new(arguments.url.clone());
    if let Some(auth) = &arguments.auth {
        options.uri.userinfo = Some(auth.clone());
    }
    options.headers.clone_from(&arguments.headers);
    options.headers.extend(arguments.origin.iter().map(|origin| ("Origin".to_owned(), origin.clone())));
    options.proxy = arguments.proxy.clone().unwrap_or_default();
    // One time for all of it: no phase ends sooner.
    options.connect_timeout = arguments.timeout;
    options.resolve_timeout = arguments.timeout;
    options.tcp_timeout = arguments.timeout;
    options.proxy_timeout = arguments.timeout;
    options.tls_timeout = arguments.timeout;
    options.tls = tls(arguments)?;
    options.max_redirects = if arguments.location { 10 } else { arguments.max_redirects };
    options.reconnect.initial_delay = arguments.retry.unwrap_or_default();
    let milliseconds = |time: Duration| time.as_millis() as u64;
    options.config = Arc::new(Config {
        max_message_bytes: arguments.max_message,
        max_frame_bytes: arguments.max_message,
        // The longest message must fit behind what the marks let wait.
        max_outbox_bytes: Config::default().max_outbox_bytes.max(arguments.max_message as usize + (1 << 20)),
        high_water_bytes: HIGH_WATER,
        low_water_bytes: LOW_WATER,
        handshake_timeout: milliseconds(arguments.timeout),
        ping_interval: milliseconds(arguments.ping),
        close_timeout: CLOSE_TIMEOUT,
        subprotocols: arguments.protocols.clone(),
        deflate: arguments.compress.then(DeflateConfig::default),
        ..Config::default()
    });
    Ok(options)
}

fn tls(arguments: &Connect) -> Result<Option<Arc<ClientTls>>, Problem> {
    let identity = arguments.cert.as_ref().zip(arguments.key.as_ref()).map(|(chain, key)| Identity::files(chain, key));
    if arguments.ca.is_none() && identity.is_none() && arguments.server_name.is_none() {
        return Ok(None);
    }
    let roots = arguments.ca.as_ref().map_or(Roots::System, |file| Roots::Only(Pem::file(file)));
    let options =
        ClientTlsOptions { roots, identity, server_name: arguments.server_name.clone(), ..ClientTlsOptions::default() };
    Ok(Some(Arc::new(ClientTls::with_options(options)?)))
}
