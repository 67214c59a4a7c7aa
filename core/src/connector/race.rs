//! [`Race`]: several addresses, one connected socket (RFC 8305).

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use nix::libc::EINPROGRESS;
use socket2::{Domain, SockAddr, Type};

use crate::error::Error;
use crate::protocol::Time;
use crate::transport::Socket;

/// RFC 8305 8: Connection Attempt Delay, in milliseconds.
pub(super) const ATTEMPT_DELAY: u64 = 250;

/// Addresses that are tried one beside the other: the next one at once after a failure, or when the last has
/// not answered for [`ATTEMPT_DELAY`].
#[derive(Debug)]
pub(super) struct Race {
    /// What the addresses are of, for the sentence: nothing, or `the proxy `.
    whose: &'static str,
    /// Those not tried yet, in order.
    addresses: VecDeque<SockAddr>,
    /// Sockets on their way, oldest first.
    attempts: Vec<Attempt>,
    /// When the next address is tried beside those on their way.
    next_attempt: Time,
    /// What failed first: the best address is tried first, so its failure tells most.
    error: Option<Error>,
}

#[derive(Debug)]
struct Attempt {
    socket: Socket,
    address: SockAddr,
}

/// What a race has come to.
#[derive(Debug)]
pub(super) enum Lap {
    /// Another socket is on its way: the last of [`Race::watched`].
    Began,
    /// Nothing new.
    Wait,
    /// The first; the others are gone.
    Won(Socket),
    /// None is left.
    Lost(Error),
}

impl Race {
    /// Between one address and none other.
    pub(super) fn to(address: SockAddr, now: Time) -> Race {
        let addresses = VecDeque::from([address]);
        Race { whose: "", addresses, attempts: Vec::new(), next_attempt: now, error: None }
    }

    /// Between all of these, best first, the families in turn.
    pub(super) fn between(addresses: &[SocketAddr], is_proxy: bool, now: Time) -> Race {
        Race {
            whose: if is_proxy { "the proxy " } else { "" },
            addresses: interleaved(addresses).map(SockAddr::from).collect(),
            attempts: Vec::new(),
            next_attempt: now,
            error: None,
        }
    }

    /// RFC 8305 5: the next address is tried beside the last when that does not answer soon.
    pub(super) fn go_on(&mut self, now: Time) -> Lap {
        let mut index = 0;
        while index < self.attempts.len() {
            match outcome(&self.attempts[index].socket) {
                None => index += 1,
                Some(Ok(())) => return Lap::Won(self.attempts.swap_remove(index).socket),
                Some(Err(error)) => {
                    let attempt = self.attempts.remove(index);
                    self.failed(&attempt.address, error);
                    self.next_attempt = now;
                }
            }
        }
        while self.attempts.is_empty() || now >= self.next_attempt {
            let Some(address) = self.addresses.pop_front() else { break };
            match begin(&address) {
                Ok(socket) => {
                    self.attempts.push(Attempt { socket, address });
                    self.next_attempt = now.after(ATTEMPT_DELAY);
                    return Lap::Began;
                }
                Err(error) => self.failed(&address, error),
            }
        }
        if self.attempts.is_empty() {
            return Lap::Lost(self.error.take().unwrap_or(Error::Gone));
        }
        Lap::Wait
    }

    /// When [`Race::go_on`] begins another attempt by itself.
    pub(super) fn next_timeout(&self) -> Option<Time> {
        (!self.addresses.is_empty()).then_some(self.next_attempt)
    }

    /// The sockets on their way, oldest first.
    pub(super) fn watched(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.attempts.iter().map(|attempt| attempt.socket.as_fd())
    }

    fn failed(&mut self, address: &SockAddr, error: io::Error) {
        let whose = self.whose;
        self.error.get_or_insert_with(|| Error::io(format!("connect to {whose}{}", name(address)), error));
    }
}

/// Begins to connect; a Unix socket is connected at once, a TCP socket on its way.
fn begin(address: &SockAddr) -> io::Result<Socket> {
    let socket = Socket::new(socket2::Socket::new(Domain::from(i32::from(address.family())), Type::STREAM, None)?)?;
    match socket.connect(address) {
        Err(error) if error.raw_os_error() == Some(EINPROGRESS) => Ok(socket),
        answer => answer.map(|()| socket),
    }
}

/// What came of connecting; none while it goes on.
fn outcome(socket: &Socket) -> Option<io::Result<()>> {
    match socket.take_error() {
        Ok(Some(error)) | Err(error) => Some(Err(error)),
        // Without an error it has succeeded, or goes on: only then is there no peer.
        Ok(None) => socket.is_connected().then_some(Ok(())),
    }
}

/// RFC 8305 4: the families in turn, beginning with that of the best address.
fn interleaved(addresses: &[SocketAddr]) -> impl Iterator<Item = SocketAddr> {
    let first_is_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().partition(|address| address.is_ipv6() == first_is_ipv6);
    let longer = first.len().max(second.len());
    (0..longer).flat_map(move |index| [first.get(index).copied(), second.get(index).copied()]).flatten()
}

fn name(address: &SockAddr) -> String {
    match (address.as_socket(), address.as_pathname()) {
        (Some(address), _) => address.to_string(),
        (None, Some(path)) => path.display().to_string(),
        (None, None) => "a socket without name".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_beginning_with_the_best() {
        let addresses: Vec<SocketAddr> =
            ["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1", "127.0.0.2:1"].map(|text| text.parse().unwrap()).to_vec();
        let order: Vec<String> = interleaved(&addresses).map(|address| address.ip().to_string()).collect();
        assert_eq!(order, ["::1", "127.0.0.1", "::2", "127.0.0.2", "::3"]);
    }
}
