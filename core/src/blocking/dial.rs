//! [`Dial`]: from a URL to an open WebSocket, without waiting; and the calls that wait for it.

use std::time::Duration;

use super::polled::{Interest, wait_for};
use super::raw::RawStream;
use super::reach::Reach;
use super::websocket::WebSocket;
use crate::clock;
use crate::connector::{ConnectOptions, follow};
use crate::error::Error;
use crate::protocol::Fault;
use crate::protocol::handshake::{Response, Uri};

/// A client on its way to an open WebSocket, redirects followed. It never waits: call [`Dial::go_on`] whenever
/// something of [`Dial::awaits`] has come.
#[derive(Debug)]
pub struct Dial {
    options: ConnectOptions,
    followed: u32,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Reaching(Box<Reach>),
    Opening(WebSocket),
    Over,
}

impl Dial {
    /// Nothing happens before the first [`Dial::go_on`]. Fails when the options cannot be kept.
    pub fn new(options: ConnectOptions) -> Result<Dial, Error> {
        let stage = Stage::Reaching(Box::new(Reach::new(options.clone())?));
        Ok(Dial { options, followed: 0, stage })
    }

    /// Goes as far as it can: the WebSocket, once it is open. An error is the end.
    pub fn go_on(&mut self) -> Result<Option<WebSocket>, Error> {
        loop {
            match &mut self.stage {
                Stage::Reaching(reach) => {
                    let Some((transport, mut engine, early)) = reach.reach()? else { return Ok(None) };
                    engine.connected(clock::now());
                    self.stage = Stage::Opening(WebSocket::new(transport, engine, early)?);
                }
                Stage::Opening(websocket) => match websocket.try_open() {
                    Ok(false) => return Ok(None),
                    Ok(true) => {
                        let websocket = websocket.clone();
                        self.stage = Stage::Over;
                        return Ok(Some(websocket));
                    }
                    Err(error) => self.redirect(error)?,
                },
                Stage::Over => return Err(Error::Gone),
            }
        }
    }

    /// Begins anew where the refusal points to, or fails with it.
    fn redirect(&mut self, error: Error) -> Result<(), Error> {
        let next = match (&error, self.response()) {
            (Error::Fault(Fault::Refused(_)), Some(response)) => follow(&self.options, self.followed, &response),
            _ => None,
        };
        self.options = next.ok_or(error)??;
        self.followed += 1;
        self.stage = Stage::Reaching(Box::new(Reach::new(self.options.clone())?));
        Ok(())
    }

    /// The server's answer when it is the error, as far as it came.
    pub fn response(&self) -> Option<Response> {
        match &self.stage {
            Stage::Opening(websocket) => websocket.ask(|engine| engine.response().cloned()),
            Stage::Reaching(_) | Stage::Over => None,
        }
    }

    /// What to wait for: any of these, or so long at the most.
    pub fn awaits(&self) -> (Vec<Interest<'_>>, Option<Duration>) {
        match &self.stage {
            Stage::Reaching(reach) => reach.awaits(),
            Stage::Opening(websocket) => {
                let (interest, timeout) = websocket.awaits();
                (vec![interest], timeout)
            }
            Stage::Over => (Vec::new(), None),
        }
    }

    /// Waits for what [`Dial::awaits`] says, at most for `limit`; a signal ends the wait too.
    pub fn wait(&self, limit: Option<Duration>) {
        let (interests, left) = self.awaits();
        wait_for(&interests, limit.into_iter().chain(left).min());
    }
}

impl WebSocket {
    /// Connects to a `ws://`, `wss://` or `ws+unix://` URL with the defaults, and waits until it is open.
    pub fn dial(url: &str) -> Result<WebSocket, Error> {
        WebSocket::dial_with(ConnectOptions::new(Uri::parse(url)?))
    }

    /// Connects, and waits until it is open: at most `connect_timeout` for the way to the server, proxy and
    /// TLS included, and `Config::handshake_timeout` for the opening handshake. A refusal is an error with
    /// the server's status. Redirects are followed as far as `max_redirects` allows, each in its own time;
    /// `reconnect` is for clients in a loop.
    pub fn dial_with(options: ConnectOptions) -> Result<WebSocket, Error> {
        let mut dial = Dial::new(options)?;
        loop {
            if let Some(websocket) = dial.go_on()? {
                return Ok(websocket);
            }
            dial.wait(None);
        }
    }
}

impl RawStream {
    /// Connects as [`WebSocket::dial_with`] does, up to where the opening handshake would begin: not a byte of it
    /// is sent.
    pub fn dial_with(options: ConnectOptions) -> Result<RawStream, Error> {
        let mut reach = Reach::new(options)?;
        loop {
            if let Some(stream) = reach.go_on()? {
                return Ok(stream);
            }
            reach.wait(None);
        }
    }
}
