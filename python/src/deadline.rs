//! [`Deadline`]: how long a caller still wants to wait.

use std::time::{Duration, Instant};

/// As long as anybody waits at one go. A signal ends a wait, but not one that began just after it: it is looked after
/// in between.
pub(crate) const LONG: Duration = Duration::from_secs(1);

/// When a wait is over.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// So many seconds from now; never without a number, or with one that no clock can count.
    pub(crate) fn after(seconds: Option<f64>) -> Deadline {
        // Below zero, and what is no number, is now.
        let wait = seconds.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)));
        Deadline(match wait {
            None | Some(Err(_)) => None,
            Some(Ok(wait)) => Instant::now().checked_add(wait),
        })
    }

    /// The next wait; `None` when the time is up.
    pub(crate) fn left(self) -> Option<Duration> {
        let Deadline(Some(until)) = self else { return Some(LONG) };
        let left = until.saturating_duration_since(Instant::now());
        // The system counts milliseconds: the last of them is waited for whole.
        (!left.is_zero()).then(|| left.clamp(Duration::from_millis(1), LONG))
    }
}
