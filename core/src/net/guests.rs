//! [`Guests`]: the connections that came in through the listeners of one handler, on every loop of a server.
//! How many they are, how many come from each address, and whether more may come.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::connection::ConnectionId;
use super::context::HandlerId;
use super::inner::Inner;
use super::remote::Remote;
use crate::transport::Peer;

/// Counted by all loops that they are spread over; nothing here is touched by their messages.
#[derive(Default)]
pub(super) struct Guests {
    /// All loops of a server and its handler in each; empty when there is only the listener's own.
    pub(super) spread: Vec<(Remote, HandlerId)>,
    live: AtomicUsize,
    /// Only of those that are limited by address: an entry lives as long as one of its connections.
    by_source: Mutex<HashMap<Source, usize>>,
    is_paused: AtomicBool,
    is_over: AtomicBool,
}

impl Guests {
    pub(super) fn new(spread: Vec<(Remote, HandlerId)>) -> Guests {
        Guests { spread, ..Guests::default() }
    }

    /// How many there are, those on their way to another loop included.
    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Whether one more may be accepted now.
    pub(super) fn is_open(&self) -> bool {
        !self.is_paused.load(Ordering::SeqCst) && !self.is_over()
    }

    pub(super) fn set_paused(&self, is_paused: bool) {
        self.is_paused.store(is_paused, Ordering::SeqCst);
    }

    /// No one comes any more, for good.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Gives one a place.
    pub(super) fn enter(self: &Arc<Guests>) -> Seat {
        self.live.fetch_add(1, Ordering::Relaxed);
        Seat { guests: Some(self.clone()), origin: Origin::default() }
    }

    /// Counts one from `source`, unless there are `limit` already.
    pub(super) fn count(&self, source: Source, limit: usize) -> bool {
        let mut by_source = self.by_source();
        let count = by_source.get(&source).copied().unwrap_or_default();
        if count < limit {
            by_source.insert(source, count + 1);
        }
        count < limit
    }

    /// One has gone.
    pub(super) fn leave(&self, origin: &Origin) {
        self.live.fetch_sub(1, Ordering::Relaxed);
        let Some(source) = origin.source else { return };
        if let Entry::Occupied(mut entry) = self.by_source().entry(source) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }

    fn by_source(&self) -> MutexGuard<'_, HashMap<Source, usize>> {
        self.by_source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is counted as one address: of IPv6 the first 64 bits, because that much is given to one subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    V4(u32),
    V6(u64),
}

impl Source {
    /// A Unix socket's peer, for one, has none.
    pub(super) fn of(peer: &Peer) -> Option<Source> {
        Some(match peer.socket_addr()?.ip().to_canonical() {
            IpAddr::V4(address) => Source::V4(address.to_bits()),
            IpAddr::V6(address) => Source::V6((address.to_bits() >> 64) as u64),
        })
    }
}

/// Where a guest comes from, as far as the loop must keep it: absent where nobody asks.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    /// Counted against the limit of its address.
    pub(super) source: Option<Source>,
    /// Another one than the socket's.
    pub(super) peer: Option<Peer>,
}

/// A guest's place on its way to its loop. Given back when this is dropped, or when the connection goes.
pub(super) struct Seat {
    guests: Option<Arc<Guests>>,
    pub(super) origin: Origin,
}

impl Seat {
    /// Whether no one comes any more.
    pub(super) fn is_over(&self) -> bool {
        self.guests.as_ref().is_some_and(|guests| guests.is_over())
    }

    /// It is the connection's now.
    pub(super) fn settle(mut self, inner: &mut Inner, id: ConnectionId) {
        self.guests = None;
        inner.welcome(id, std::mem::take(&mut self.origin));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(guests) = &self.guests {
            guests.leave(&self.origin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str) -> Option<Source> {
        Source::of(&Peer::Tcp(address.parse().unwrap()))
    }

    #[test]
    fn an_address_is_counted_whatever_its_port_and_an_ipv6_one_by_its_network() {
        assert_eq!(source("192.0.2.1:1"), source("192.0.2.1:2"));
        assert_ne!(source("192.0.2.1:1"), source("192.0.2.2:1"));
        assert_eq!(source("192.0.2.1:1"), source("[::ffff:192.0.2.1]:1"));
        assert_eq!(source("[2001:db8:0:1::1]:1"), source("[2001:db8:0:1:ffff::2]:1"));
        assert_ne!(source("[2001:db8:0:1::1]:1"), source("[2001:db8:0:2::1]:1"));
        assert_eq!(Source::of(&Peer::Unix(None)), None);
    }

    #[test]
    fn places_are_given_back_and_leave_nothing_behind() {
        let guests = Arc::new(Guests::default());
        let one = source("192.0.2.1:1").unwrap();
        for _ in 0..2 {
            let mut seats: Vec<Seat> = (0..3).map(|_| guests.enter()).collect();
            for seat in &mut seats[..2] {
                assert!(guests.count(one, 2));
                seat.origin.source = Some(one);
            }
            assert!(!guests.count(one, 2));
            assert!(guests.count(source("192.0.2.2:1").unwrap(), 2));
            guests.by_source().remove(&source("192.0.2.2:1").unwrap());
            assert_eq!(guests.live(), 3);
            drop(seats);
            assert_eq!(guests.live(), 0);
            assert!(guests.by_source().is_empty());
        }
    }
}
