//! [`Timers`]: whose deadline is next. An entry is never moved: a connection whose deadline went further
//! away is asked when the old one comes, and queued again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::connection::ConnectionId;
use crate::protocol::Time;

/// Deadlines of connections, earliest first.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Time, ConnectionId)>>,
}

impl Timers {
    pub(super) fn push(&mut self, at: Time, id: ConnectionId) {
        self.heap.push(Reverse((at, id)));
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// A connection whose queued deadline has come; it may have ended, or moved its deadline, since.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<ConnectionId> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, id))| id)
    }
}
