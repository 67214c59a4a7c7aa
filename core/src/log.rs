//! Log messages: one listener for the whole process, nowhere to begin with. The library never writes to
//! standard output or standard error itself.
//!
//! A message is one sentence on one line. What is never in one: payload of any frame, the reasons of close
//! frames too, headers, user names and passwords, and the path and query of a URL, where tokens are found. What
//! is: addresses, host names, file names of certificates, codes, sizes, and the library's own sentences.
//!
//! | Level | What is told |
//! |---|---|
//! | [`Level::Error`] | a bug in the library |
//! | [`Level::Warning`] | a peer broke a rule, a handshake failed, nobody answered, a slow reader misses messages, accepting failed, certificates are out of date or could not be read again |
//! | [`Level::Info`] | listening begins, pauses and ends; a loop drains; certificates were read again |
//! | [`Level::Debug`] | connections open and close; the application refuses a request |
//!
//! Nothing is told of single messages. While nobody listens, each of those moments costs one load.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// A bug in the library.
    Error = 1,
    /// A peer broke a rule, or something failed that somebody may have to look at.
    Warning = 2,
    /// Listening begins and ends.
    Info = 3,
    /// Connections open and close.
    Debug = 4,
}

/// One message.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Record<'a> {
    /// How much it matters.
    pub level: Level,
    /// The connection that it is about, as [`ConnectionId::as_u64`](crate::net::ConnectionId::as_u64); 0 for
    /// none.
    pub connection: u64,
    /// One line, without its end.
    pub message: &'a str,
}

type Listener = Arc<dyn Fn(&Record<'_>) + Send + Sync>;

/// The level up to which somebody listens; 0 is nobody.
static HEARD: AtomicU8 = AtomicU8::new(0);
static LISTENER: RwLock<Option<Listener>> = RwLock::new(None);

/// Calls `listener` with every message up to `level` from now on, in place of the one before, which may still
/// be running on other threads.
///
/// It is called on whatever thread has something to tell, also on several at once, and may call everything
/// of this library; what it causes on its own thread meanwhile is not logged.
pub fn listen(level: Level, listener: impl Fn(&Record<'_>) + Send + Sync + 'static) {
    replace(Some(Arc::new(listener)), level as u8);
}

/// Nobody listens any more.
pub fn silence() {
    replace(None, 0);
}

fn replace(listener: Option<Listener>, level: u8) {
    let mut place = LISTENER.write().unwrap_or_else(PoisonError::into_inner);
    let before = std::mem::replace(&mut *place, listener);
    HEARD.store(level, Ordering::Relaxed);
    drop(place);
    // Without the lock: what it owns may call us when it goes.
    drop(before);
}

/// Whether a message of this level would be heard: to be asked before anything is done for one.
#[inline]
pub fn is_heard(level: Level) -> bool {
    level as u8 <= HEARD.load(Ordering::Relaxed)
}

/// Tells a message about a connection, or about none (0).
#[inline]
pub fn tell(level: Level, connection: u64, message: fmt::Arguments<'_>) {
    if is_heard(level) {
        tell_heard(level, connection, message);
    }
}

thread_local! {
    /// Messages that wait, while this thread holds something that the listener might need.
    static HELD: RefCell<Vec<(Level, u64, String)>> = const { RefCell::new(Vec::new()) };
    static HOLDS: Cell<usize> = const { Cell::new(0) };
    /// This thread is inside the listener.
    static IS_TELLING: Cell<bool> = const { Cell::new(false) };
}

#[cold]
fn tell_heard(level: Level, connection: u64, message: fmt::Arguments<'_>) {
    let mut message = message.to_string();
    if message.contains(char::is_control) {
        // A system, a proxy or a resolver may have said more than a line.
        message = message.replace(char::is_control, " ");
    }
    if HOLDS.get() > 0 {
        HELD.with_borrow_mut(|held| held.push((level, connection, message)));
    } else {
        deliver(&Record { level, connection, message: &message });
    }
}

fn deliver(record: &Record<'_>) {
    // Copied out: no lock is held while the listener runs.
    let listener = LISTENER.read().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(listener) = listener else { return };
    if IS_TELLING.replace(true) {
        return;
    }
    let _told = Told;
    listener(record);
}

/// Says that this thread is outside the listener again, however that has ended.
struct Told;

impl Drop for Told {
    fn drop(&mut self) {
        IS_TELLING.set(false);
    }
}

/// While it lives, this thread's messages wait: whoever holds a lock that the listener might ask for makes
/// one first, so that it goes last.
#[derive(Debug)]
pub struct Hold(());

/// See [`Hold`].
pub fn hold() -> Hold {
    HOLDS.set(HOLDS.get() + 1);
    Hold(())
}

impl Drop for Hold {
    fn drop(&mut self) {
        HOLDS.set(HOLDS.get() - 1);
        if HOLDS.get() == 0 {
            for (level, connection, message) in HELD.take() {
                if is_heard(level) {
                    deliver(&Record { level, connection, message: &message });
                }
            }
        }
    }
}
