//! Values
//!
//! What is passed by value. Payload is a pointer with a length. Text that the library gives is a
//! linkspan_text; text that it is given ends with a NUL, or has a length beside it. All text is UTF-8.

use std::ffi::{c_char, c_void};
use std::ptr;

use linkspan::net::ConnectionId;
use linkspan::protocol::MessageKind;

use crate::guard::{self, User};
use crate::result::{Failure, LINKSPAN_INVALID_ARGUMENT};

/// The name of a connection, or of a request that becomes one. A plain number: copy it, keep it for ever,
/// use it on any thread. After the connection has ended every call with it returns LINKSPAN_CLOSED, and a
/// later connection never has the same name. {0} is no connection.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct linkspan_connection {
    /// Loop, place and generation; compare it, print it, do not read it.
    pub id: u64,
}

/// A text of the library's: `bytes` bytes of UTF-8 at `data`, without a NUL behind them. Absent is
/// {NULL, 0}. Print it with printf("%.*s", (int)text.bytes, text.data).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct linkspan_text {
    /// The first byte; NULL when there is no text.
    pub data: *const c_char,
    /// How many.
    pub bytes: usize,
}

/// Bytes that wait to be written. The same two fields as POSIX's struct iovec, so that an array of these
/// may be cast for writev().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct linkspan_slice {
    /// The first byte.
    pub data: *const c_void,
    /// How many.
    pub bytes: usize,
}

/// One HTTP header field to send. Both end with a NUL; neither may hold a line break.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct linkspan_header {
    /// As in "Set-Cookie".
    pub name: *const c_char,
    /// What it says.
    pub value: *const c_char,
}

/// Text or binary, as RFC 6455 numbers them.
pub type linkspan_message_kind = i32;

/// UTF-8, checked in both directions.
pub const LINKSPAN_TEXT: linkspan_message_kind = 1;

/// Any bytes.
pub const LINKSPAN_BINARY: linkspan_message_kind = 2;

/// Gives memory back to its owner. Called exactly once, on any thread.
pub type linkspan_free_function = Option<unsafe extern "C" fn(user: *mut c_void, data: *const c_void, bytes: usize)>;

impl From<ConnectionId> for linkspan_connection {
    fn from(id: ConnectionId) -> linkspan_connection {
        linkspan_connection { id: id.as_u64() }
    }
}

impl From<linkspan_connection> for ConnectionId {
    fn from(connection: linkspan_connection) -> ConnectionId {
        ConnectionId::from_u64(connection.id)
    }
}

impl linkspan_text {
    /// No text.
    pub(crate) const NONE: linkspan_text = linkspan_text { data: ptr::null(), bytes: 0 };
}

impl From<&str> for linkspan_text {
    fn from(text: &str) -> linkspan_text {
        linkspan_text { data: text.as_ptr().cast(), bytes: text.len() }
    }
}

impl From<Option<&str>> for linkspan_text {
    fn from(text: Option<&str>) -> linkspan_text {
        text.map_or(linkspan_text::NONE, linkspan_text::from)
    }
}

/// The kind behind a number.
#[inline]
pub(crate) fn message_kind(kind: linkspan_message_kind) -> Result<MessageKind, Failure> {
    match kind {
        LINKSPAN_TEXT => Ok(MessageKind::Text),
        LINKSPAN_BINARY => Ok(MessageKind::Binary),
        _ => Err(no_kind(kind)),
    }
}

#[cold]
fn no_kind(kind: linkspan_message_kind) -> Failure {
    Failure::new(LINKSPAN_INVALID_ARGUMENT, format!("{kind} is neither LINKSPAN_TEXT nor LINKSPAN_BINARY"))
}

/// The number of a kind.
pub(crate) fn kind_number(kind: MessageKind) -> linkspan_message_kind {
    match kind {
        MessageKind::Text => LINKSPAN_TEXT,
        MessageKind::Binary => LINKSPAN_BINARY,
    }
}

/// Copies header fields out of C.
///
/// # Safety
/// `headers` is valid for reading `count` fields whose texts end with a NUL, or NULL.
pub(crate) unsafe fn headers(headers: *const linkspan_header, count: usize) -> Result<Vec<(String, String)>, Failure> {
    // SAFETY: the caller's duty.
    let fields = unsafe { guard::values(headers, count) }?;
    fields
        .iter()
        // SAFETY: the caller's duty.
        .map(|field| unsafe { Ok((guard::string(field.name)?.to_owned(), guard::string(field.value)?.to_owned())) })
        .collect()
}

/// The same, of a peer's: bytes that are not UTF-8 are Latin-1, as in a head that the library reads itself.
///
/// # Safety
/// As for [`headers`].
pub(crate) unsafe fn peer_headers(
    headers: *const linkspan_header,
    count: usize,
) -> Result<Vec<(String, String)>, Failure> {
    // SAFETY: the caller's duty.
    let fields = unsafe { guard::values(headers, count) }?;
    fields
        .iter()
        // SAFETY: the caller's duty.
        .map(|field| unsafe { Ok((guard::peer_string(field.name)?, guard::peer_string(field.value)?)) })
        .collect()
}

/// Memory of the caller's that travels with a message and goes back exactly once, on failure too.
pub(crate) struct Foreign {
    data: *const c_void,
    bytes: usize,
    free: linkspan_free_function,
    user: User,
}

// SAFETY: the caller promised that the memory does not change and that `free` may be called on any thread.
unsafe impl Send for Foreign {}

impl Foreign {
    /// # Safety
    /// `data` is valid for reading `bytes` bytes, and unchanged, until `free` was called, or NULL.
    pub(crate) unsafe fn new(
        data: *const c_void,
        bytes: usize,
        free: linkspan_free_function,
        user: *mut c_void,
    ) -> Foreign {
        Foreign { data, bytes, free, user: User(user) }
    }

    /// Whether there is something to read.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        // SAFETY: `new`'s caller vouched for it.
        unsafe { guard::bytes(self.data, self.bytes) }.map(drop)
    }
}

impl AsRef<[u8]> for Foreign {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `new`'s caller vouched for it.
        unsafe { guard::bytes(self.data, self.bytes) }.unwrap_or_default()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(free) = self.free {
            // SAFETY: the owner's own function, called this once.
            unsafe { free(self.user.0, self.data, self.bytes) }
        }
    }
}
