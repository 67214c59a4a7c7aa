//! Every order of the steps of what threads share without a common lock, tried by loom; the code is the loop's
//! own. `./dev test` runs them:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=0 \
//!     cargo test -p linkspan --no-default-features --lib --target-dir target/loom models::
//! ```

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::connection::ConnectionId;
use super::context::ReadyState;
use super::queue::Queue;
use super::table::Table;

/// A queue, the waker that makes a loop's poll return, and a table.
struct Loop {
    queue: Queue<u32>,
    is_readable: Mutex<bool>,
    waker: Condvar,
    table: Table,
}

impl Loop {
    fn new() -> Arc<Loop> {
        Arc::new(Loop {
            queue: Queue::new(),
            is_readable: Mutex::new(false),
            waker: Condvar::new(),
            table: Table::new(0),
        })
    }

    /// As Shared's `push`.
    fn push(&self, item: u32) -> bool {
        let is_pushed = self.queue.push(item);
        if is_pushed && self.queue.begin_wake() {
            *self.is_readable.lock().unwrap() = true;
            self.waker.notify_one();
        }
        is_pushed
    }

    /// Until the waker was written. When nobody will, it is a deadlock, which loom finds.
    fn poll(&self) {
        let mut is_readable = self.is_readable.lock().unwrap();
        while !std::mem::take(&mut *is_readable) {
            is_readable = self.waker.wait(is_readable).unwrap();
        }
    }

    /// A connection that has opened in the first slot.
    fn open(&self) -> ConnectionId {
        let entry = self.table.make(0).unwrap();
        let id = ConnectionId::new(1, entry.generation(), 0);
        entry.update(ReadyState::Open, 0);
        id
    }
}

/// Two senders of two each: loom needs a bound, and every lost wake is found with two switches.
#[test]
fn what_is_queued_wakes_the_loop_and_is_taken_once_and_in_order() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let shared = Loop::new();
        let senders: Vec<_> = [[1, 2], [11, 12]]
            .into_iter()
            .map(|items| {
                let shared = shared.clone();
                thread::spawn(move || items.into_iter().for_each(|item| assert!(shared.push(item))))
            })
            .collect();
        let mut taken = Vec::new();
        // A turn for another reason, which may come upon the flag before the waker is written.
        if shared.queue.is_woken() {
            taken.extend(shared.queue.take());
        }
        while taken.len() < 4 {
            shared.poll();
            if shared.queue.is_woken() {
                taken.extend(shared.queue.take());
            }
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        for items in [[1, 2], [11, 12]] {
            assert!(taken.iter().filter(|item| items.contains(item)).eq(&items));
        }
        assert!(shared.queue.lock().is_empty());
    });
}

#[test]
fn nothing_is_queued_behind_the_end() {
    loom::model(|| {
        let shared = Loop::new();
        let senders: Vec<_> = [1, 2]
            .map(|item| {
                let shared = shared.clone();
                thread::spawn(move || shared.push(item))
            })
            .into_iter()
            .collect();
        let mut left = shared.queue.take();
        left.extend(shared.queue.end());
        let accepted = senders.into_iter().map(|sender| sender.join().unwrap()).filter(|ok| *ok).count();
        assert_eq!(left.len(), accepted);
        assert!(shared.queue.lock().is_empty() && shared.queue.is_gone() && !shared.push(3));
    });
}

#[test]
fn a_drain_that_has_shown_closing_takes_all_that_was_accepted() {
    loom::model(|| {
        let shared = Loop::new();
        let id = shared.open();
        let sender = {
            let shared = shared.clone();
            thread::spawn(move || {
                let mut items = shared.queue.lock();
                let is_accepted = shared.table.ready_state(id) == ReadyState::Open;
                if is_accepted {
                    items.push_back(1);
                }
                is_accepted
            })
        };
        shared.table.find(id).unwrap().begin_closing();
        let taken = shared.queue.take().len();
        assert_eq!(sender.join().unwrap(), taken == 1);
    });
}

#[test]
fn a_name_is_never_taken_for_the_next_connection_in_its_slot() {
    loom::model(|| {
        let shared = Loop::new();
        let first = shared.open();
        let other = {
            let shared = shared.clone();
            thread::spawn(move || {
                let seen = [shared.table.ready_state(first), shared.table.ready_state(first)];
                (seen, shared.table.buffered(first))
            })
        };
        shared.table.find(first).unwrap().update(ReadyState::Open, 5);
        assert!(shared.table.retire(0, &shared.queue));
        let second = shared.open();
        shared.table.find(second).unwrap().update(ReadyState::Connecting, 7);
        let (seen, buffered) = other.join().unwrap();
        // Connecting and 7 are the second one's.
        assert!(seen.iter().all(|state| matches!(state, ReadyState::Open | ReadyState::Closed)), "{seen:?}");
        assert!(seen != [ReadyState::Closed, ReadyState::Open]);
        assert!(matches!(buffered, 0 | 5), "{buffered}");
        assert_eq!(shared.table.ready_state(first), ReadyState::Closed);
        assert_eq!(shared.table.ready_state(second), ReadyState::Connecting);
    });
}

#[test]
fn what_was_queued_for_a_connection_is_never_counted_on_the_next_one() {
    loom::model(|| {
        let shared = Loop::new();
        let first = shared.open();
        let sender = {
            let shared = shared.clone();
            // As Remote's `push_data`: asked and counted with the queue's lock held.
            thread::spawn(move || {
                let mut items = shared.queue.lock();
                if shared.table.ready_state(first) == ReadyState::Open {
                    shared.table.find(first).unwrap().add_queued(10);
                    items.push_back(10);
                }
            })
        };
        let settle = |items: std::collections::VecDeque<u32>| {
            for bytes in items {
                if let Some(entry) = shared.table.find(first) {
                    entry.sub_queued(bytes.into());
                    assert_eq!(entry.buffered(), 0);
                }
            }
        };
        settle(shared.queue.take());
        assert!(shared.table.retire(0, &shared.queue));
        let second = shared.open();
        sender.join().unwrap();
        settle(shared.queue.take());
        assert_eq!(shared.table.buffered(second), 0);
        assert_eq!(shared.table.find(second).unwrap().is_full(0), None);
    });
}
