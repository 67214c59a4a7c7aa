//! Results
//!
//! Functions that can fail return a linkspan_status: 0 is success, a negative number an error, a positive
//! one a success with a note. Outputs are written only on success. linkspan_last_error says more about the
//! last error on the calling thread; why a connection failed is told to its on_error.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};

use linkspan::Error;
use linkspan::protocol::Misuse;

use crate::bytes::linkspan_text;

/// 0: done. Negative: an error, nothing has changed. Positive: done, and there is something to know.
pub type linkspan_status = i32;

/// Done.
pub const LINKSPAN_OK: linkspan_status = 0;

/// A note: accepted for sending, and more now waits than the high-water mark. Hold back until on_drained.
pub const LINKSPAN_BUFFERED: linkspan_status = 1;

/// A note: not accepted, by the policy for slow readers; counted.
pub const LINKSPAN_DROPPED: linkspan_status = 2;

/// A note: the text did not fit, and what fitted was written; the length is that of the whole.
pub const LINKSPAN_TRUNCATED: linkspan_status = 3;

/// NULL where something is needed, a number out of range, a struct without its size.
pub const LINKSPAN_INVALID_ARGUMENT: linkspan_status = -1;

/// The connection is closing or has ended, or the loop has gone.
pub const LINKSPAN_CLOSED: linkspan_status = -2;

/// More waits to be sent than the limit allows, or there are as many topics as it allows; nothing of this was
/// accepted.
pub const LINKSPAN_FULL: linkspan_status = -3;

/// Not on this thread; the function's comment says on which.
pub const LINKSPAN_WRONG_THREAD: linkspan_status = -4;

/// The opening handshake is not over yet.
pub const LINKSPAN_NOT_OPEN: linkspan_status = -5;

/// Not now: a loop that runs already, a request that waits for no answer, a fragment of another message.
pub const LINKSPAN_WRONG_STATE: linkspan_status = -6;

/// A bug in the library. The connection concerned was closed; everything else goes on.
pub const LINKSPAN_PANIC: linkspan_status = -7;

/// The system refused.
pub const LINKSPAN_IO: linkspan_status = -8;

/// Certificates, trust, or the TLS handshake.
pub const LINKSPAN_TLS: linkspan_status = -9;

/// The peer broke a rule, or a deadline.
pub const LINKSPAN_FAULT: linkspan_status = -10;

/// This build or this kind of object cannot do it; see linkspan_has.
pub const LINKSPAN_UNSUPPORTED: linkspan_status = -11;

/// A text is not UTF-8.
pub const LINKSPAN_INVALID_UTF8: linkspan_status = -12;

/// A host name does not resolve.
pub const LINKSPAN_UNRESOLVED: linkspan_status = -13;

/// There is no such thing: a header that was not sent, an index past the end.
pub const LINKSPAN_NOT_FOUND: linkspan_status = -14;

/// Any other failure; linkspan_last_error has the sentence.
pub const LINKSPAN_FAILED: linkspan_status = -15;

/// A few words for a status, without the detail of the case: "the connection has ended". Static, never NULL.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_status_text(status: linkspan_status) -> *const c_char {
    words(status).as_ptr()
}

/// The sentence for the last error that a function of this library returned on the calling thread, as in
/// "cannot listen on 127.0.0.1:80: Permission denied (os error 13)". Empty before the first error, never
/// NULL. Lives until the next error on the same thread: copy what you keep.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

thread_local! {
    static LAST: RefCell<Cow<'static, CStr>> = const { RefCell::new(Cow::Borrowed(c"")) };
}

fn words(status: linkspan_status) -> &'static CStr {
    match status {
        LINKSPAN_OK => c"done",
        LINKSPAN_BUFFERED => c"accepted, above the high-water mark",
        LINKSPAN_DROPPED => c"dropped: the peer reads too slowly",
        LINKSPAN_TRUNCATED => c"the text was cut to fit",
        LINKSPAN_INVALID_ARGUMENT => c"an argument is not valid",
        LINKSPAN_CLOSED => c"the connection has ended",
        LINKSPAN_FULL => c"too much waits to be sent",
        LINKSPAN_WRONG_THREAD => c"not on this thread",
        LINKSPAN_NOT_OPEN => c"the connection is not open yet",
        LINKSPAN_WRONG_STATE => c"not now",
        LINKSPAN_PANIC => c"a bug in linkspan",
        LINKSPAN_IO => c"the system refused",
        LINKSPAN_TLS => c"TLS failed",
        LINKSPAN_FAULT => c"the peer broke a rule",
        LINKSPAN_UNSUPPORTED => c"not supported",
        LINKSPAN_INVALID_UTF8 => c"the text is not UTF-8",
        LINKSPAN_UNRESOLVED => c"the host name does not resolve",
        LINKSPAN_NOT_FOUND => c"there is no such thing",
        LINKSPAN_FAILED => c"failed",
        _ => c"an unknown status",
    }
}

/// An error on its way to C: a status, and a sentence where the status alone does not say it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: linkspan_status,
    detail: Option<Cow<'static, str>>,
}

impl Failure {
    pub(crate) fn new(status: linkspan_status, detail: impl Into<Cow<'static, str>>) -> Failure {
        Failure { status, detail: Some(detail.into()) }
    }

    pub(crate) fn null() -> Failure {
        Failure::new(LINKSPAN_INVALID_ARGUMENT, "an argument is NULL that must not be")
    }

    pub(crate) fn wrong_thread() -> Failure {
        Failure::new(LINKSPAN_WRONG_THREAD, "only the loop's own thread may ask this")
    }

    /// The status alone, for what happens often.
    pub(crate) const fn bare(status: linkspan_status) -> Failure {
        Failure { status, detail: None }
    }
}

impl From<Error> for Failure {
    #[cold]
    fn from(error: Error) -> Failure {
        match error {
            Error::Gone => Failure::bare(LINKSPAN_CLOSED),
            Error::Misuse(misuse) => misuse.into(),
            error => Failure::new(status(&error), error.to_string()),
        }
    }
}

impl From<Misuse> for Failure {
    #[cold]
    fn from(misuse: Misuse) -> Failure {
        match misuse {
            Misuse::NotOpen => Failure::bare(LINKSPAN_NOT_OPEN),
            Misuse::Closed => Failure::bare(LINKSPAN_CLOSED),
            misuse => Failure::new(misuse_status(&misuse), misuse.to_string()),
        }
    }
}

/// The one place that maps the drivers' errors to numbers.
pub(crate) fn status(error: &Error) -> linkspan_status {
    match error {
        Error::Fault(_) => LINKSPAN_FAULT,
        Error::Misuse(misuse) => misuse_status(misuse),
        Error::Gone => LINKSPAN_CLOSED,
        Error::Io { .. } => LINKSPAN_IO,
        Error::Tls(_) => LINKSPAN_TLS,
        Error::Resolve { .. } => LINKSPAN_UNRESOLVED,
        _ => LINKSPAN_FAILED,
    }
}

fn misuse_status(misuse: &Misuse) -> linkspan_status {
    match misuse {
        Misuse::NotOpen => LINKSPAN_NOT_OPEN,
        Misuse::Closed => LINKSPAN_CLOSED,
        Misuse::OutboxFull { .. } | Misuse::TooManyTopics { .. } => LINKSPAN_FULL,
        Misuse::NoRequest | Misuse::FragmentMismatch => LINKSPAN_WRONG_STATE,
        Misuse::InvalidUtf8 { .. } => LINKSPAN_INVALID_UTF8,
        _ => LINKSPAN_INVALID_ARGUMENT,
    }
}

/// Keeps the sentence for linkspan_last_error and gives the status back.
#[cold]
pub(crate) fn remember(failure: Failure) -> linkspan_status {
    let text = match failure.detail {
        None => Cow::Borrowed(words(failure.status)),
        Some(detail) => Cow::Owned(CString::new(detail.replace('\0', "\u{fffd}")).unwrap_or_default()),
    };
    let _ = LAST.try_with(|last| *last.borrow_mut() = text);
    failure.status
}

/// Why a connection is about to end, as on_error is told. Texts live until the callback returns.
#[repr(C)]
pub struct linkspan_error {
    /// How many bytes of this struct the library filled in.
    pub size: usize,
    /// LINKSPAN_FAULT, LINKSPAN_IO, LINKSPAN_TLS, LINKSPAN_UNRESOLVED, ...
    pub status: linkspan_status,
    /// errno, where the system refused; else 0.
    pub os_error: i32,
    /// One sentence that a person can act on, with the number of the rule where one was broken.
    pub message: linkspan_text,
    /// LINKSPAN_FAULT: the rule's name, which never changes: "invalid-utf8", "unmasked", ...; else empty.
    pub rule: linkspan_text,
    /// LINKSPAN_FAULT: the close code that tells the peer; 1006 when it is not told. Else 0.
    pub close_code: u16,
    /// The HTTP status with which a request was refused (server) or with which the server refused (client);
    /// else 0.
    pub http_status: u16,
}
