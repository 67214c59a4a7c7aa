//! Threads that never touch Python, started so that a fork cannot meet them halfway.

use std::io;
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};

use nix::sys::signal::SigSet;

/// Starts a thread, and returns when it runs. To be called with the GIL.
///
/// A thread that starts takes locks of the C library, for its thread-locals and its memory, and a fork copies them
/// as they are: the child would wait for them for ever. Python forks with the GIL, so not meanwhile.
pub(crate) fn spawn(builder: Builder, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let (runs, begun) = mpsc::channel();
    let thread = builder.spawn(move || {
        // Signals are Python's, in its main thread.
        let _ = SigSet::all().thread_block();
        let _ = runs.send(());
        drop(runs);
        work();
    })?;
    let _ = begun.recv();
    Ok(thread)
}
