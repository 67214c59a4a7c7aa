//! [`Traffic`]: how much has passed on one connection. Counted all the time, because that costs one addition.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that any thread adds to.
#[derive(Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Messages of one direction, and their payload in bytes as the application sees it.
#[derive(Default)]
pub(crate) struct Traffic {
    pub(crate) messages: Count,
    pub(crate) bytes: Count,
}

impl Traffic {
    /// A message has passed.
    pub(crate) fn add(&self, bytes: usize) {
        self.messages.add(1);
        self.bytes.add(bytes);
    }
}
