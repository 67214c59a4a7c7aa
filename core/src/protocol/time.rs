//! Time as the engine sees it: milliseconds that the driver counts, and one deadline per kind.
//!
//! The engine never reads a clock.

use std::time::Duration;

/// A moment: milliseconds since a point that the driver picked and keeps for the engine's whole life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The point from which the driver counts.
    pub const ZERO: Time = Time(0);

    /// The moment `milliseconds` after the driver's point of origin.
    pub const fn from_millis(milliseconds: u64) -> Time {
        Time(milliseconds)
    }

    /// Milliseconds since the driver's point of origin.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This moment and `milliseconds` more; the far future is never passed.
    pub const fn after(self, milliseconds: u64) -> Time {
        Time(self.0.saturating_add(milliseconds))
    }

    /// This moment and `milliseconds` less; the point of origin is never passed.
    pub(crate) const fn before(self, milliseconds: u64) -> Time {
        Time(self.0.saturating_sub(milliseconds))
    }

    /// How long from `earlier` to this moment; zero when `earlier` is later.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The opening handshake must be over.
    Handshake,
    /// A message that has begun must be complete.
    Message,
    /// Nothing was heard for a while (send a ping), or the pong is due (give up).
    Keepalive,
    /// The peer must take some of what waits to leave.
    Write,
    /// The closing handshake, and then the end of the stream, must be over.
    Close,
}

const KINDS: usize = 5;
const UNSET: Time = Time(u64::MAX);

/// One slot per kind of deadline; setting a kind again moves it.
#[derive(Clone, Debug)]
pub(crate) struct Deadlines([Time; KINDS]);

impl Deadlines {
    pub(crate) const fn new() -> Deadlines {
        Deadlines([UNSET; KINDS])
    }

    /// Arms `kind` for `milliseconds` from `now`; zero milliseconds means never.
    pub(crate) fn set(&mut self, kind: Kind, now: Time, milliseconds: u64) {
        self.0[kind as usize] = if milliseconds == 0 { UNSET } else { now.after(milliseconds) };
    }

    pub(crate) fn clear(&mut self, kind: Kind) {
        self.0[kind as usize] = UNSET;
    }

    pub(crate) fn is_due(&self, kind: Kind, now: Time) -> bool {
        self.0[kind as usize] <= now
    }

    pub(crate) fn is_set(&self, kind: Kind) -> bool {
        self.0[kind as usize] != UNSET
    }

    pub(crate) fn at(&self, kind: Kind) -> Option<Time> {
        self.is_set(kind).then_some(self.0[kind as usize])
    }

    /// The earliest deadline of all.
    pub(crate) fn next(&self) -> Option<Time> {
        let earliest = self.0[0].min(self.0[1]).min(self.0[2]).min(self.0[3]).min(self.0[4]);
        (earliest != UNSET).then_some(earliest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_deadline_is_next() {
        let mut deadlines = Deadlines::new();
        assert_eq!(deadlines.next(), None);
        deadlines.set(Kind::Close, Time::ZERO, 500);
        deadlines.set(Kind::Keepalive, Time::ZERO, 200);
        deadlines.set(Kind::Message, Time::ZERO, 0);
        assert_eq!(deadlines.next(), Some(Time::from_millis(200)));
        assert!(deadlines.is_due(Kind::Keepalive, Time::from_millis(200)));
        assert!(!deadlines.is_due(Kind::Close, Time::from_millis(200)));
        deadlines.clear(Kind::Keepalive);
        assert_eq!(deadlines.next(), Some(Time::from_millis(500)));
    }
}
