//! The clock of every driver. One origin for the whole process: an engine keeps its deadlines when it
//! moves from a loop to another, or to a blocking thread.

use std::sync::OnceLock;
use std::time::Instant;

use crate::protocol::Time;

/// This moment.
pub(crate) fn now() -> Time {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let origin = *ORIGIN.get_or_init(Instant::now);
    Time::from_millis(origin.elapsed().as_millis().try_into().unwrap_or(u64::MAX))
}
