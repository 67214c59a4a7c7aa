//! Ctrl-C and its kin: taken by one thread, so that nothing happens inside a handler.

use std::process;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};

/// From the first signal to an end that nothing may hold up: a terminal that takes no more output, for instance.
const PATIENCE: Duration = Duration::from_secs(10);

/// Blocks the signals that end a program, in this thread and in those that it will start. To be called before
/// the first is started.
pub(crate) fn block() -> SigSet {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signals.add(signal);
    }
    // It fails for a wrong argument only.
    let _ = signals.thread_block();
    signals
}

/// Calls `first` for the first signal, on a thread of its own. The second ends the process at once, and so does
/// patience that has ended.
pub(crate) fn watch(signals: SigSet, first: impl FnOnce(Signal) + Send + 'static) {
    thread::spawn(move || {
        let Ok(signal) = signals.wait() else { return };
        thread::spawn(move || {
            thread::sleep(PATIENCE);
            process::exit(128 + signal as i32);
        });
        first(signal);
        if let Ok(signal) = signals.wait() {
            process::exit(128 + signal as i32);
        }
    });
}
