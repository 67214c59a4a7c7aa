//! Dialling: from a URL to an open WebSocket.

use std::sync::mpsc::{self, RecvTimeoutError};

use nix::poll::{PollFd, PollFlags, poll};

use super::shared::timeout;
use super::websocket::WebSocket;
use crate::clock;
use crate::connector::{ConnectOptions, Connecting, Found, Step, follow};
use crate::error::Error;
use crate::protocol::handshake::{Reject, Uri};
use crate::protocol::{Engine, Fault, Keys};
use crate::transport::Transport;

impl WebSocket {
    /// Connects to a `ws://`, `wss://` or `ws+unix://` URL with the defaults, and waits until it is open.
    pub fn dial(url: &str) -> Result<WebSocket, Error> {
        WebSocket::dial_with(ConnectOptions::new(Uri::parse(url)?))
    }

    /// Connects, and waits until it is open: at most `connect_timeout` for the way to the server, proxy and
    /// TLS included, and `Config::handshake_timeout` for the opening handshake. A refusal is an error with
    /// the server's status. Redirects are followed as far as `max_redirects` allows, each in its own time;
    /// `reconnect` is for clients in a loop.
    pub fn dial_with(mut options: ConnectOptions) -> Result<WebSocket, Error> {
        options.config.check()?;
        let mut followed = 0;
        loop {
            let websocket = WebSocket::begin(options.clone())?;
            // A client is asked nothing.
            let Err(error) = websocket.open(|_| Err(Reject::text(500, ""))) else { return Ok(websocket) };
            let next = match &error {
                Error::Fault(Fault::Refused(_)) => {
                    websocket.ask(|engine| engine.response().and_then(|response| follow(&options, followed, response)))
                }
                _ => None,
            };
            options = next.ok_or(error)??;
            followed += 1;
        }
    }

    /// A WebSocket on a stream to the server; the opening handshake is still to be done.
    fn begin(options: ConnectOptions) -> Result<WebSocket, Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|source| Error::io("draw random numbers", source.into()))?;
        let now = clock::now();
        let engine = Engine::client(options.config.clone(), &options.uri, &options.headers, Keys::new(seed), now)?;
        let mut connecting = Connecting::new(options, engine, now)?;
        let (transport, early) = connect(&mut connecting)?;
        let mut engine = connecting.into_engine();
        engine.connected(clock::now());
        WebSocket::new(transport, engine, early)
    }
}

fn connect(connecting: &mut Connecting) -> Result<(Transport, Vec<u8>), Error> {
    loop {
        match connecting.next_step(clock::now()) {
            Step::Resolve => resolve(connecting),
            // The sockets are watched in the next turn, all of them.
            Step::Watch => {}
            Step::Wait => {
                let mut flags = PollFlags::empty();
                flags.set(PollFlags::POLLIN, connecting.awaits_input());
                flags.set(PollFlags::POLLOUT, connecting.awaits_output());
                let mut watched: Vec<PollFd<'_>> = connecting.watched().map(|fd| PollFd::new(fd, flags)).collect();
                // Whatever it says, the next step looks for itself.
                let _ = poll(&mut watched, timeout(connecting.next_timeout()));
            }
            Step::Connected(transport, early) => return Ok((transport, early)),
            Step::Failed(error) => return Err(error),
        }
    }
}

fn resolve(connecting: &mut Connecting) {
    let (sender, receiver) = mpsc::channel::<Found>();
    connecting.resolve(Box::new(move |found| {
        // When nobody listens any more, the time was up.
        let _ = sender.send(found);
    }));
    let answer = match connecting.next_timeout() {
        Some(until) => receiver.recv_timeout(until.since(clock::now())),
        None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
    };
    match answer {
        Ok(found) => connecting.resolved(found),
        // A resolver that drops the question does not answer it: the next step waits for the deadline.
        Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => {}
    }
}
