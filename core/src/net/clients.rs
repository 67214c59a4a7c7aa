//! [`Clients`]: what is kept of client connections that may start over, by a redirect or after a loss. Those that
//! may not, and all of servers, are not here and cost nothing.

use std::collections::HashMap;
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::unix::SourceFd;

use super::connection::{Connection, ConnectionId, Mode};
use super::inner::Inner;
use crate::connector::{ConnectOptions, Connecting, follow, is_error_final, is_final, retry_after};
use crate::error::Error;
use crate::protocol::{CloseInfo, Engine, Fault, Keys, Misuse, Time};

/// Clients that may start over.
#[derive(Debug, Default)]
pub(super) struct Clients(HashMap<ConnectionId, Client>);

/// One of them.
#[derive(Debug)]
struct Client {
    /// What was asked for: a reconnection begins there.
    options: ConnectOptions,
    /// Where redirects have led since, and how many.
    redirected: Option<ConnectOptions>,
    redirects: u32,
    /// Losses in a row.
    losses: u32,
    /// Since when it is open.
    open_since: Option<Time>,
    /// The cause of the end was told already, and the same would come of another try.
    is_final: Option<bool>,
    /// Payload bytes that another thread was told are accepted, after the connection was lost.
    unsent_bytes: u64,
    /// The application has ended it.
    is_given_up: bool,
}

impl Clients {
    /// A client has begun to connect.
    pub(super) fn begin(&mut self, id: ConnectionId, options: &ConnectOptions) {
        if options.max_redirects == 0 && !options.reconnect.is_wanted() {
            return;
        }
        let client = Client {
            options: options.clone(),
            redirected: None,
            redirects: 0,
            losses: 0,
            open_since: None,
            is_final: None,
            unsent_bytes: 0,
            is_given_up: false,
        };
        self.0.insert(id, client);
    }

    /// It is open: a redirect cannot come any more.
    pub(super) fn opened(&mut self, id: ConnectionId, now: Time) {
        let Some(client) = self.0.get_mut(&id) else { return };
        client.open_since = Some(now);
        if !client.options.reconnect.is_wanted() {
            self.forget(id);
        }
    }

    /// The application is told why it ends, in words that the engine does not know.
    pub(super) fn failed(&mut self, id: ConnectionId, error: &Error) {
        if let Some(client) = self.0.get_mut(&id) {
            client.is_final = Some(is_error_final(error));
        }
    }

    /// Something that was accepted from another thread came too late.
    pub(super) fn refused(&mut self, id: ConnectionId, bytes: usize) {
        if let Some(client) = self.0.get_mut(&id) {
            client.unsent_bytes += bytes as u64;
        }
    }

    /// The application has ended it: it never starts over; whether it might have.
    pub(super) fn give_up(&mut self, id: ConnectionId) -> bool {
        self.0.get_mut(&id).is_some_and(|client| !std::mem::replace(&mut client.is_given_up, true))
    }

    /// It is no more.
    pub(super) fn forget(&mut self, id: ConnectionId) {
        self.0.remove(&id);
    }
}

/// Whether the end is a redirect that is followed: then nobody is told. One that cannot be followed is the fault.
pub(super) fn follows_redirect(inner: &mut Inner, id: ConnectionId, info: &mut CloseInfo) -> bool {
    let (Some(client), true) = (inner.clients.0.get(&id), matches!(info.fault, Some(Fault::Refused(_)))) else {
        return false;
    };
    let Some(Connection { mode: Mode::WebSocket(engine), .. }) = inner.peek(id) else { return false };
    let (Some(response), false) = (engine.response(), client.is_given_up) else { return false };
    match follow(client.redirected.as_ref().unwrap_or(&client.options), client.redirects, response) {
        None => false,
        Some(Err(fault)) => {
            info.reason = fault.to_string();
            info.fault = Some(fault);
            false
        }
        Some(Ok(options)) => {
            let is_begun = start_over(inner, id, options.clone(), inner.now).is_ok();
            if let Some(client) = inner.clients.0.get_mut(&id) {
                client.redirected = Some(options);
                client.redirects += 1;
            }
            is_begun
        }
    }
}

/// Puts a lost connection on its way again where that is wanted and of use; after how long it begins.
pub(super) fn reconnect(inner: &mut Inner, id: ConnectionId, info: &mut CloseInfo) -> Option<Duration> {
    let now = inner.now;
    let response = match &inner.peek(id)?.mode {
        Mode::WebSocket(engine) => engine.response(),
        Mode::Raw(_) | Mode::Connecting(_) => None,
    };
    let wish = response.and_then(retry_after);
    let client = inner.clients.0.get_mut(&id)?;
    info.unsent_bytes += std::mem::take(&mut client.unsent_bytes);
    let reconnect = client.options.reconnect;
    let is_final = client.is_final.take().unwrap_or_else(|| is_final(info));
    if let Some(since) = client.open_since.take()
        && now.since(since) >= reconnect.reset_after
    {
        client.losses = 0;
    }
    let delay = match reconnect.is_wanted() && !is_final && !client.is_given_up {
        true => reconnect.delay(client.losses, getrandom::u64().ok()?, wish)?,
        false => return None,
    };
    client.losses = client.losses.saturating_add(1);
    client.redirected = None;
    client.redirects = 0;
    let options = client.options.clone();
    let at = now.after(delay.as_millis().try_into().unwrap_or(u64::MAX));
    start_over(inner, id, options, at).ok()?;
    Some(delay)
}

/// A connection that has ended begins again under the same name, not before `at`.
fn start_over(inner: &mut Inner, id: ConnectionId, options: ConnectOptions, at: Time) -> Result<(), Error> {
    let mode = begin(options, at)?;
    let connection = inner.find(id).ok_or(Error::Gone)?;
    if let Some(mut transport) = connection.start_over(mode) {
        // Whatever is left to say: the stream is given up.
        let _ = transport.shutdown_write();
        if let Some(fd) = transport.fd() {
            let _ = inner.registry.deregister(&mut SourceFd(&fd.as_raw_fd()));
        }
    }
    inner.show(id);
    Ok(())
}

/// A client on its way, from `at` on.
pub(super) fn begin(options: ConnectOptions, at: Time) -> Result<Mode, Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|source| Error::io("draw random numbers", source.into()))?;
    let engine = Engine::client(options.config.clone(), &options.uri, &options.headers, Keys::new(seed), at)?;
    Ok(Mode::Connecting(Box::new(Connecting::new(options, engine, at)?)))
}

impl Inner {
    /// The application ends a connection: it does not start over. What the verb itself answers stands, but for one
    /// that was only waiting for its end to be told.
    pub(super) fn ended_by_application(&mut self, id: ConnectionId, answer: Result<(), Misuse>) -> Result<(), Error> {
        match answer {
            Ok(()) => {
                self.clients.give_up(id);
                Ok(())
            }
            Err(Misuse::Closed) if self.clients.give_up(id) => Ok(()),
            Err(misuse) => Err(misuse.into()),
        }
    }
}
