//! [`Timers`]: whose deadline is next. An entry is never moved: a connection whose deadline went further
//! away is asked when the old one comes, and queued again. Entries that nobody waits for any more, of
//! connections that have gone or that have an earlier one, are swept away when they are the greater part.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::connection::ConnectionId;
use crate::protocol::Time;

/// Deadlines of connections, earliest first.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Time, ConnectionId)>>,
    /// How many of them are about nothing.
    stale: usize,
}

/// Fewer stale entries than this are not worth a sweep.
const FEW: usize = 64;

impl Timers {
    pub(super) fn push(&mut self, at: Time, id: ConnectionId) {
        self.heap.push(Reverse((at, id)));
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// A queued deadline that has come; its connection may have ended, or have another one, since.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<(Time, ConnectionId)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(due)| due)
    }

    /// One of the entries is about nothing from now on. True when it is time to [`sweep`](Timers::sweep).
    pub(super) fn abandon(&mut self) -> bool {
        self.stale += 1;
        self.stale > FEW && self.stale * 2 > self.heap.len()
    }

    /// An entry was popped that was about nothing.
    pub(super) fn skip(&mut self) {
        self.stale = self.stale.saturating_sub(1);
    }

    /// Keeps only the entries that somebody waits for.
    #[cold]
    pub(super) fn sweep(&mut self, is_awaited: impl Fn(Time, ConnectionId) -> bool) {
        self.heap.retain(|Reverse((at, id))| is_awaited(*at, *id));
        self.heap.shrink_to(self.heap.len() * 2);
        self.stale = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_waits_for_is_swept_away_before_it_is_the_greater_part() {
        let mut timers = Timers::default();
        let id = |slot| ConnectionId::new(1, 1, slot);
        for slot in 0..100 {
            timers.push(Time::from_millis(slot as u64), id(slot));
        }
        // A thousand come and go; a hundred stay.
        for slot in 1000..2000 {
            timers.push(Time::from_millis(500), id(slot));
            if timers.abandon() {
                timers.sweep(|_, id| id.slot() < 100);
            }
            assert!(timers.heap.len() <= 100 + FEW.max(100) + 2, "{}", timers.heap.len());
        }
        let mut due = Vec::new();
        while let Some((_, id)) = timers.pop_due(Time::from_millis(200)) {
            due.push(id.slot());
        }
        assert_eq!(due, (0..100).collect::<Vec<_>>());
    }
}
