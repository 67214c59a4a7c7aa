//! [`Reach`]: from a URL to a stream, without waiting.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::Duration;

use super::polled::{Interest, wait_for};
use super::raw::RawStream;
use crate::clock;
use crate::connector::{ConnectOptions, Connecting, Found, Step};
use crate::error::Error;
use crate::protocol::{Engine, Keys};
use crate::transport::Transport;

/// A client on its way to a stream on which the opening handshake can begin: TCP, a proxy, TLS. It never waits:
/// call [`Reach::go_on`] whenever something of [`Reach::awaits`] has come.
pub struct Reach {
    connecting: Option<Connecting>,
    asked: Option<Asked>,
}

/// A question to the resolver.
struct Asked {
    answer: Receiver<Found>,
    /// Its other end is dropped when the answer is there, or when there will be none.
    bell: UnixStream,
}

impl Reach {
    /// Nothing happens before the first [`Reach::go_on`]. Fails when the options cannot be kept.
    pub fn new(options: ConnectOptions) -> Result<Reach, Error> {
        options.config.check()?;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|source| Error::io("draw random numbers", source.into()))?;
        let now = clock::now();
        let engine = Engine::client(options.config.clone(), &options.uri, &options.headers, Keys::new(seed), now)?;
        Ok(Reach { connecting: Some(Connecting::new(options, engine, now)?), asked: None })
    }

    /// Goes as far as it can: the stream, once it is there. The opening handshake is the caller's to write. An
    /// error is the end.
    pub fn go_on(&mut self) -> Result<Option<RawStream>, Error> {
        match self.reach()? {
            Some((transport, _, early)) => RawStream::new(transport, early).map(Some),
            None => Ok(None),
        }
    }

    /// The same, with the engine that is to speak on the stream.
    pub(super) fn reach(&mut self) -> Result<Option<(Transport, Engine, Vec<u8>)>, Error> {
        let Some(connecting) = &mut self.connecting else { return Err(Error::Gone) };
        loop {
            if let Some(asked) = &self.asked {
                match asked.answer.try_recv() {
                    Ok(found) => connecting.resolved(found),
                    Err(TryRecvError::Empty) => {}
                    // A resolver that drops the question does not answer it: that ends with the deadline.
                    Err(TryRecvError::Disconnected) => self.asked = None,
                }
            }
            match connecting.next_step(clock::now()) {
                Step::Resolve => self.asked = Some(ask(connecting)?),
                // The sockets are watched in the next wait, all of them.
                Step::Watch => {}
                Step::Wait => return Ok(None),
                Step::Connected(transport, early) => {
                    let engine = self.connecting.take().ok_or(Error::Gone)?.into_engine();
                    return Ok(Some((transport, engine, early)));
                }
                Step::Failed(error) => return Err(error),
            }
        }
    }

    /// What to wait for: any of these, or so long at the most.
    pub fn awaits(&self) -> (Vec<Interest<'_>>, Option<Duration>) {
        let Some(connecting) = &self.connecting else { return (Vec::new(), None) };
        let (reading, writing) = (connecting.awaits_input(), connecting.awaits_output());
        let bell = self.asked.iter().map(|asked| Interest { fd: asked.bell.as_fd(), reading: true, writing: false });
        let sockets = connecting.watched().map(|fd: BorrowedFd<'_>| Interest { fd, reading, writing });
        let left = connecting.next_timeout().map(|until| until.since(clock::now()));
        (bell.chain(sockets).collect(), left)
    }

    /// Waits for what [`Reach::awaits`] says, at most for `limit`; a signal ends the wait too.
    pub fn wait(&self, limit: Option<Duration>) {
        let (interests, left) = self.awaits();
        wait_for(&interests, limit.into_iter().chain(left).min());
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach").field("connecting", &self.connecting).finish_non_exhaustive()
    }
}

fn ask(connecting: &Connecting) -> Result<Asked, Error> {
    let (bell, rope) = UnixStream::pair().map_err(|source| Error::io("wait for the resolver", source))?;
    let (sender, answer) = mpsc::channel();
    connecting.resolve(Box::new(move |found| {
        // When nobody listens any more, the time was up.
        let _ = sender.send(found);
        drop(rope);
    }));
    Ok(Asked { answer, bell })
}
