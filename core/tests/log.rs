//! The log's own rules. One test: there is one listener for the whole process. What loops tell it is tested
//! through C (ffi/tests/log.c).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use linkspan::log::{self, Level};

#[test]
fn one_listener_hears_lines_up_to_its_level_and_not_itself() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let told = || std::mem::take(&mut *lines.lock().unwrap());
    let listen = |level| {
        let lines = lines.clone();
        log::listen(level, move |record| {
            // No lock of the log's is held: a listener may even replace itself. What it causes is not told.
            log::tell(Level::Error, 0, format_args!("nested"));
            assert!(!record.message.contains("nested"));
            lines.lock().unwrap().push(format!("{:?} {} {}", record.level, record.connection, record.message));
        });
    };

    assert!(!log::is_heard(Level::Error));
    log::tell(Level::Error, 1, format_args!("to nobody"));

    listen(Level::Info);
    assert!(log::is_heard(Level::Info) && !log::is_heard(Level::Debug));
    log::tell(Level::Info, 7, format_args!("one\r\nline\t{}", 2));
    log::tell(Level::Debug, 7, format_args!("too much"));
    assert_eq!(told(), ["Info 7 one  line 2"]);

    // While something is held, messages wait, in order.
    let outer = log::hold();
    let inner = log::hold();
    log::tell(Level::Warning, 0, format_args!("first"));
    drop(inner);
    log::tell(Level::Info, 0, format_args!("second"));
    assert_eq!(told(), Vec::<String>::new());
    drop(outer);
    assert_eq!(told(), ["Warning 0 first", "Info 0 second"]);

    // What waits is told to whoever listens then.
    let hold = log::hold();
    log::tell(Level::Info, 0, format_args!("late"));
    listen(Level::Error);
    drop(hold);
    assert_eq!(told(), Vec::<String>::new());

    // A listener that panics is heard again.
    let panics = lines.clone();
    log::listen(Level::Debug, move |record| {
        panics.lock().unwrap().push(record.message.to_owned());
        assert_ne!(record.message, "panic");
    });
    for message in ["panic", "and again"] {
        let _ = std::panic::catch_unwind(|| log::tell(Level::Debug, 0, format_args!("{message}")));
        lines.clear_poison();
    }
    assert_eq!(told(), ["panic", "and again"]);

    log::silence();
    log::tell(Level::Error, 0, format_args!("to nobody"));
    assert_eq!(told(), Vec::<String>::new());
}
