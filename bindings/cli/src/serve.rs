//! What `linkspan echo` and `linkspan serve-topics` share: a server until Ctrl-C, and what it tells.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use linkspan::Error;
use linkspan::net::{ConnectionId, Context, DrainOptions, Handler, ListenOptions, Listener, Server, ServerOptions};
use linkspan::protocol::{CloseInfo, Config, DeflateConfig, SlowReader};
use linkspan::tls::{Pem, ServerTls};
use linkspan::transport::Peer;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::args::Listen;
use crate::output;
use crate::problem::Problem;
use crate::signals;
use crate::text;

/// How long connections have to end once we go.
const DRAIN: Duration = Duration::from_secs(5);

/// Serves until a signal, then lets everybody go.
pub(crate) fn run(arguments: &Listen, slow_reader: SlowReader, handler: impl Handler + 'static) -> Result<(), Problem> {
    let signals = signals::block();
    let listener = match &arguments.unix {
        Some(path) => Listener::unix(path)?,
        None => Listener::tcp(arguments.listen)?,
    };
    let tls = match (&arguments.tls_cert, &arguments.tls_key) {
        (Some(chain), Some(key)) => Some(Arc::new(ServerTls::new(Pem::file(chain), Pem::file(key))?)),
        _ => None,
    };
    let url = url(&listener.local_addr(), tls.is_some());
    let defaults = Config::default();
    let config = Config {
        max_message_bytes: arguments.max_message,
        max_frame_bytes: arguments.max_message,
        origins: arguments.origins.clone(),
        deflate: arguments.compress.then(DeflateConfig::default),
        slow_reader,
        // One message of the longest, behind what the high-water mark lets wait.
        max_outbox_bytes: arguments.max_message as usize + 2 * defaults.high_water_bytes,
        ..defaults
    };
    let listen = ListenOptions {
        config: Arc::new(config),
        tls,
        max_connections: arguments.max_connections as usize,
        ..ListenOptions::default()
    };
    let mut handler = Some(Box::new(handler));
    let make_handler = |_| -> Box<dyn Handler> { handler.take().expect("there is one loop") };
    let server = Arc::new(Server::start(listener, ServerOptions { loops: 1, listen }, make_handler)?);
    let drain = DrainOptions { reason: "the server goes down".into(), deadline: DRAIN, ..DrainOptions::default() };
    let drained = server.clone();
    // It fails for a code or a reason that may not be sent only.
    signals::watch(signals, move |_| drop(drained.drain(&drain)));
    // Where nobody reads, somebody knows the address.
    let _ = writeln!(io::stdout(), "listening on {url}").and_then(|()| io::stdout().flush());
    Ok(server.join()?)
}

/// The address as a URL that `linkspan connect` takes.
fn url(address: &Peer, is_secure: bool) -> String {
    let scheme = if is_secure { "wss" } else { "ws" };
    match address {
        // What would end the path in a URL, or begin something else in it.
        Peer::Unix(Some(path)) => {
            const SET: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b':').add(b'?').add(b'#');
            format!("{scheme}+unix://{}:/", utf8_percent_encode(&path.to_string_lossy(), SET))
        }
        address => format!("{scheme}://{address}/"),
    }
}

/// With `--verbose`: who comes and goes, on the standard error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    pub(crate) is_verbose: bool,
}

impl Log {
    pub(crate) fn came(self, cx: &Context<'_>, id: ConnectionId) {
        let target = cx.engine(id).map(|engine| engine.url()).unwrap_or_default();
        self.line(cx, id, &format!("connected to {}", text::line(target, 200)));
    }

    pub(crate) fn failed(self, cx: &Context<'_>, id: ConnectionId, error: &Error) {
        self.line(cx, id, &text::line(&error.to_string(), 500));
    }

    pub(crate) fn went(self, cx: &Context<'_>, id: ConnectionId, info: &CloseInfo) {
        self.line(cx, id, &output::closed(info, "the client"));
    }

    fn line(self, cx: &Context<'_>, id: ConnectionId, what: &str) {
        if self.is_verbose {
            let peer = cx.peer(id).unwrap_or(Peer::Unknown);
            // Where nobody reads, nothing is to be said.
            let _ = writeln!(io::stderr(), "{id:?} {peer} {what}");
        }
    }
}
