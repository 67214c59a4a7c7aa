//! The panic fence, and everything that is unsafe about C in general: pointers to references, texts,
//! growing structs, handles. The other files call this one and C's functions, nothing else that is unsafe.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::{ptr, slice, str};

use linkspan::log::{self, Level};
use linkspan::protocol::handshake::characters;

use crate::bytes::linkspan_connection;
use crate::result::{
    Failure, LINKSPAN_INVALID_ARGUMENT, LINKSPAN_INVALID_UTF8, LINKSPAN_OK, LINKSPAN_PANIC, LINKSPAN_TRUNCATED,
    LINKSPAN_UNSUPPORTED, linkspan_status, remember,
};

/// What the body of a function comes to.
pub(crate) type Outcome = Result<linkspan_status, Failure>;

/// Runs the body of a function that answers a status. A panic ends here.
pub(crate) fn guard(body: impl FnOnce() -> Outcome) -> linkspan_status {
    fence(body).unwrap_or_else(remember)
}

/// The same for a function about one connection: a panic closes that connection, and no other.
#[inline]
pub(crate) fn guard_connection(connection: linkspan_connection, body: impl FnOnce() -> Outcome) -> linkspan_status {
    match fence(body) {
        Ok(status) => status,
        Err(failure) => connection_failed(connection, failure),
    }
}

/// The same for a function that answers a value: `fallback` when it fails.
pub(crate) fn guard_value<T>(fallback: T, body: impl FnOnce() -> Result<T, Failure>) -> T {
    fence(body).unwrap_or_else(|failure| {
        remember(failure);
        fallback
    })
}

#[cold]
fn connection_failed(connection: linkspan_connection, failure: Failure) -> linkspan_status {
    if failure.status == LINKSPAN_PANIC {
        let _ = fence(|| crate::remote::abort(connection));
    }
    remember(failure)
}

#[inline]
fn fence<T>(body: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // A panic may leave the one connection half changed; it is closed, and nothing else is looked at again.
    panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = match panic.downcast_ref::<&str>() {
            Some(text) => text,
            None => panic.downcast_ref::<String>().map_or("no text", String::as_str),
        };
        Err(Failure::new(LINKSPAN_PANIC, format!("a bug in linkspan: {text}")))
    })
}

/// Sends the text of panics to the log callback: nothing is ever written to standard error. The hook is
/// that of the standard library linked into this one; a Rust host has its own.
pub(crate) fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|info| {
            if cfg!(test) {
                eprintln!("{info}");
            }
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            // What was put together at run time may quote a peer's data.
            let text = info.payload().downcast_ref::<&str>().copied().unwrap_or("see linkspan_last_error");
            log::tell(Level::Error, 0, format_args!("a bug in linkspan at {place}: {text}"));
        }));
    });
}

/// A lock, and its owner's log messages wait as long: the log function may call what asks for the same lock.
pub(crate) struct Locked<'a, T> {
    /// Dropped first.
    value: MutexGuard<'a, T>,
    _hold: log::Hold,
}

/// Waits for the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> Locked<'_, T> {
    let hold = log::hold();
    Locked { value: mutex.lock().unwrap_or_else(PoisonError::into_inner), _hold: hold }
}

impl<T> Deref for Locked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// A pointer of the caller's that C hands back to it, from whichever thread the library's promises name.
#[derive(Clone, Copy)]
pub(crate) struct User(pub(crate) *mut c_void);

// SAFETY: the library never looks behind the pointer; what the caller's functions do with it on the
// threads that each comment names is the caller's contract.
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

/// What `pointer` points to.
///
/// # Safety
/// NULL, or valid for reading for as long as the caller keeps the reference.
pub(crate) unsafe fn reference<'a, T>(pointer: *const T) -> Result<&'a T, Failure> {
    // SAFETY: the caller's duty.
    unsafe { pointer.as_ref() }.ok_or_else(Failure::null)
}

/// Where to write a result, checked before anything is done for it.
pub(crate) struct Out<T>(ptr::NonNull<T>);

impl<T> Out<T> {
    /// # Safety
    /// NULL, or valid for writing until `write`.
    pub(crate) unsafe fn new(pointer: *mut T) -> Result<Out<T>, Failure> {
        ptr::NonNull::new(pointer).map(Out).ok_or_else(Failure::null)
    }

    pub(crate) fn write(self, value: T) {
        // SAFETY: `new`'s caller vouched for it.
        unsafe { self.0.write(value) }
    }
}

/// The payload at `data`.
///
/// # Safety
/// `data` is valid for reading `len` bytes, or NULL.
#[inline]
pub(crate) unsafe fn bytes<'a>(data: *const c_void, len: usize) -> Result<&'a [u8], Failure> {
    match len {
        0 => Ok(&[]),
        _ if data.is_null() || len > isize::MAX as usize => Err(Failure::null()),
        // SAFETY: the caller's duty; the length was checked.
        _ => Ok(unsafe { slice::from_raw_parts(data.cast(), len) }),
    }
}

/// The same, to be changed in place.
///
/// # Safety
/// `data` is valid for reading and writing `len` bytes and nobody else's meanwhile, or NULL.
pub(crate) unsafe fn bytes_mut<'a>(data: *mut c_void, len: usize) -> Result<&'a mut [u8], Failure> {
    match len {
        0 => Ok(&mut []),
        _ if data.is_null() || len > isize::MAX as usize => Err(Failure::null()),
        // SAFETY: the caller's duty; the length was checked.
        _ => Ok(unsafe { slice::from_raw_parts_mut(data.cast(), len) }),
    }
}

/// `count` values in a row.
///
/// # Safety
/// `first` is valid for reading `count` values, or NULL.
pub(crate) unsafe fn values<'a, T>(first: *const T, count: usize) -> Result<&'a [T], Failure> {
    match count {
        0 => Ok(&[]),
        _ if first.is_null() || count > isize::MAX as usize / size_of::<T>().max(1) => Err(Failure::null()),
        // SAFETY: the caller's duty; the count was checked.
        _ => Ok(unsafe { slice::from_raw_parts(first, count) }),
    }
}

/// The same, to be written.
///
/// # Safety
/// `first` is valid for writing `count` values and they are initialised, or NULL.
pub(crate) unsafe fn values_mut<'a, T>(first: *mut T, count: usize) -> Result<&'a mut [MaybeUninit<T>], Failure> {
    match count {
        0 => Ok(&mut []),
        _ if first.is_null() || count > isize::MAX as usize / size_of::<T>().max(1) => Err(Failure::null()),
        // SAFETY: the caller's duty; `MaybeUninit` asks nothing of what is there.
        _ => Ok(unsafe { slice::from_raw_parts_mut(first.cast(), count) }),
    }
}

/// A text with a length.
///
/// # Safety
/// As for [`bytes`].
pub(crate) unsafe fn text<'a>(data: *const c_char, len: usize) -> Result<&'a str, Failure> {
    // SAFETY: the caller's duty.
    utf8(unsafe { bytes(data.cast(), len) }?)
}

/// A text that ends with a NUL.
///
/// # Safety
/// `text` is NULL or ends with a NUL, and does not change for `'a`.
pub(crate) unsafe fn string<'a>(text: *const c_char) -> Result<&'a str, Failure> {
    // SAFETY: the caller's duty.
    unsafe { optional_string(text) }?.ok_or_else(Failure::null)
}

/// The same, where NULL stands for none.
///
/// # Safety
/// As for [`string`].
pub(crate) unsafe fn optional_string<'a>(text: *const c_char) -> Result<Option<&'a str>, Failure> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's duty.
    utf8(unsafe { CStr::from_ptr(text) }.to_bytes()).map(Some)
}

/// What a peer has said, up to a NUL: it need not be UTF-8.
///
/// # Safety
/// As for [`string`].
pub(crate) unsafe fn peer_string(text: *const c_char) -> Result<String, Failure> {
    if text.is_null() {
        return Err(Failure::null());
    }
    // SAFETY: the caller's duty.
    Ok(characters(unsafe { CStr::from_ptr(text) }.to_bytes()).into_owned())
}

/// `count` texts that each end with a NUL.
///
/// # Safety
/// As for [`values`], and for [`string`] each.
pub(crate) unsafe fn strings<'a>(first: *const *const c_char, count: usize) -> Result<Vec<&'a str>, Failure> {
    // SAFETY: the caller's duty.
    unsafe { values(first, count)?.iter().map(|text| string(*text)).collect() }
}

fn utf8(bytes: &[u8]) -> Result<&str, Failure> {
    str::from_utf8(bytes).map_err(|bad| {
        Failure::new(LINKSPAN_INVALID_UTF8, format!("the text is not valid UTF-8 at byte {}", bad.valid_up_to()))
    })
}

/// Copies `text` and a NUL into the caller's buffer, as far as it fits; `length` is told how long it is.
///
/// # Safety
/// `buffer` is valid for writing `capacity` bytes, or NULL with 0; `length` for writing, or NULL.
pub(crate) unsafe fn copy_text(text: &str, buffer: *mut c_char, capacity: usize, length: *mut usize) -> Outcome {
    // SAFETY: the caller's duty.
    let room = unsafe { values_mut(buffer.cast::<u8>(), capacity) }?;
    // SAFETY: the caller's duty.
    if let Some(length) = unsafe { length.as_mut() } {
        *length = text.len();
    }
    let room_for_text = capacity.saturating_sub(1).min(text.len());
    let is_boundary = |end: &usize| text.is_char_boundary(*end);
    let copied = (0..=room_for_text).rev().find(is_boundary).unwrap_or_default();
    for (to, from) in room.iter_mut().zip(text.as_bytes()[..copied].iter().chain([&0])) {
        to.write(*from);
    }
    Ok(if copied < text.len() { LINKSPAN_TRUNCATED } else { LINKSPAN_OK })
}

/// A struct that begins with its own size and grows at its end. All zero is its default.
///
/// # Safety
/// `repr(C)`, the first field is `size: usize`, and any bytes are a value: numbers, pointers, optional
/// functions, no `bool`.
pub(crate) unsafe trait Grows: Sized {}

/// What the caller filled in, and zero for fields that its header did not have yet. A field that this
/// library does not know must be zero.
///
/// # Safety
/// NULL, or aligned and valid for reading as many bytes as its first field says.
pub(crate) unsafe fn growing<T: Grows>(pointer: *const T) -> Result<T, Failure> {
    if pointer.is_null() {
        return Err(Failure::null());
    }
    // SAFETY: not NULL; `Grows` says that a size stands first.
    let size = unsafe { pointer.cast::<usize>().read() };
    if !(size_of::<usize>()..=MAX_STRUCT_BYTES).contains(&size) {
        return Err(Failure::new(LINKSPAN_INVALID_ARGUMENT, "the first field of a struct must be its size"));
    }
    // SAFETY: the caller's duty.
    let bytes = unsafe { slice::from_raw_parts(pointer.cast::<u8>(), size) };
    if bytes.iter().skip(size_of::<T>()).any(|byte| *byte != 0) {
        return Err(Failure::new(LINKSPAN_UNSUPPORTED, "a field was set that this version of linkspan does not know"));
    }
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: both are valid for the smaller of the two sizes, and `Grows` says that any bytes are a value.
    unsafe {
        ptr::copy_nonoverlapping(bytes.as_ptr(), value.as_mut_ptr().cast(), size.min(size_of::<T>()));
        Ok(value.assume_init())
    }
}

/// No struct of ours will ever be that long; a size above is a forgotten initialisation.
const MAX_STRUCT_BYTES: usize = 4096;

/// The same, where NULL stands for the default.
///
/// # Safety
/// As for [`growing`].
pub(crate) unsafe fn growing_or_default<T: Grows>(pointer: *const T) -> Result<T, Failure> {
    if pointer.is_null() {
        // SAFETY: `Grows` says that any bytes are a value.
        return Ok(unsafe { MaybeUninit::zeroed().assume_init() });
    }
    // SAFETY: the caller's duty.
    unsafe { growing(pointer) }
}

/// Writes `value` as far as the caller's struct goes, whose first field says its size.
///
/// # Safety
/// NULL, or aligned and valid for writing as many bytes as its first field says.
pub(crate) unsafe fn write_growing<T: Grows>(out: *mut T, value: T) -> Outcome {
    // SAFETY: the caller's duty.
    let size = unsafe { out.cast::<usize>().as_ref() }.copied().ok_or_else(Failure::null)?;
    if !(size_of::<usize>()..=MAX_STRUCT_BYTES).contains(&size) {
        return Err(Failure::new(LINKSPAN_INVALID_ARGUMENT, "the first field of a struct must be its size"));
    }
    // SAFETY: both are valid for the smaller of the two sizes; the size itself is written back as it was.
    unsafe {
        ptr::copy_nonoverlapping(ptr::from_ref(&value).cast::<u8>(), out.cast(), size.min(size_of::<T>()));
        out.cast::<usize>().write(size);
    }
    Ok(LINKSPAN_OK)
}

/// The owner that C gets; [`release`] takes it back.
pub(crate) fn handle<T>(owner: Arc<T>) -> *mut T {
    Arc::into_raw(owner).cast_mut()
}

/// One more owner of what a handle names, for the length of a call: freed inside it is freed after it.
///
/// # Safety
/// NULL, or from [`handle`] and not yet released.
pub(crate) unsafe fn shared<T>(handle: *const T) -> Result<Arc<T>, Failure> {
    if handle.is_null() {
        return Err(Failure::null());
    }
    // SAFETY: the caller's duty; the count stands for the `Arc` made here.
    unsafe {
        Arc::increment_strong_count(handle);
        Ok(Arc::from_raw(handle))
    }
}

/// Takes C's owner back; `None` for NULL.
///
/// # Safety
/// NULL, or from [`handle`] and not yet released.
pub(crate) unsafe fn release<T>(handle: *mut T) -> Option<Arc<T>> {
    // SAFETY: the caller's duty.
    (!handle.is_null()).then(|| unsafe { Arc::from_raw(handle) })
}

/// A descriptor that the caller gives away.
///
/// # Safety
/// Negative, or open and the library's from now on.
pub(crate) unsafe fn owned_fd(fd: c_int) -> Result<OwnedFd, Failure> {
    if fd < 0 {
        return Err(Failure::new(LINKSPAN_INVALID_ARGUMENT, format!("{fd} is no descriptor")));
    }
    // SAFETY: the caller's duty.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A descriptor that the caller keeps.
///
/// # Safety
/// Negative for none, or open for `'a`.
pub(crate) unsafe fn borrowed_fd<'a>(fd: c_int) -> Option<BorrowedFd<'a>> {
    // SAFETY: the caller's duty.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::linkspan_config;
    use crate::library::{LINKSPAN_LOG_ERROR, linkspan_set_log};
    use crate::result::linkspan_last_error;

    #[test]
    fn a_panic_is_a_status_with_a_text() {
        prepare();
        let status = guard(|| panic!("seven is not {}", 8));
        assert_eq!(status, LINKSPAN_PANIC);
        // SAFETY: the library's own text, ended by a NUL.
        let text = unsafe { string(linkspan_last_error()) };
        assert_eq!(text.ok(), Some("a bug in linkspan: seven is not 8"));
        assert_eq!(guard_value(7, || panic!()), 7);
        assert_eq!(guard_connection(linkspan_connection { id: 7 }, || panic!()), LINKSPAN_PANIC);
    }

    #[test]
    fn the_log_is_told_of_a_panic() {
        use std::sync::atomic::{AtomicU32, Ordering};
        static CALLS: AtomicU32 = AtomicU32::new(0);
        unsafe extern "C" fn count(
            _: *mut c_void,
            level: i32,
            _: linkspan_connection,
            text: crate::bytes::linkspan_text,
        ) {
            assert_eq!(level, LINKSPAN_LOG_ERROR);
            assert!(text.bytes > 0);
            CALLS.fetch_add(1, Ordering::Relaxed);
        }
        prepare();
        // SAFETY: the function takes what a log function takes.
        unsafe { linkspan_set_log(Some(count), ptr::null_mut(), LINKSPAN_LOG_ERROR) };
        guard(|| panic!("told"));
        // SAFETY: as above.
        unsafe { linkspan_set_log(None, ptr::null_mut(), 0) };
        assert!(CALLS.load(Ordering::Relaxed) >= 1);
    }

    #[test]
    fn a_struct_of_an_older_or_newer_header_is_read() {
        let size = size_of::<linkspan_config>();
        // SAFETY: `Grows` says that zero is a value.
        let mut config: linkspan_config = unsafe { MaybeUninit::zeroed().assume_init() };
        config.max_head_bytes = 9;
        config.max_fragments = 9;
        for (said, expected) in [(size, Some((9, 9))), (16, Some((9, 0))), (8, Some((0, 0))), (7, None), (0, None)] {
            config.size = said;
            // SAFETY: a whole struct; the sizes tried are at most its own.
            let read = unsafe { growing(&raw const config) };
            assert_eq!(read.ok().map(|read| (read.max_head_bytes, read.max_fragments)), expected, "size {said}");
        }
        let mut newer = vec![0u64; size / 8 + 1];
        newer[0] = size as u64 + 8;
        // SAFETY: as long as it says.
        assert!(unsafe { growing(newer.as_ptr().cast::<linkspan_config>()) }.is_ok());
        newer[size / 8] = 1;
        // SAFETY: as above.
        let failure = unsafe { growing(newer.as_ptr().cast::<linkspan_config>()) }.err();
        assert_eq!(failure.map(|failure| failure.status), Some(LINKSPAN_UNSUPPORTED));
    }

    #[test]
    fn a_text_is_cut_at_a_character_and_always_ends_with_nul() {
        let text = "naïve";
        for capacity in 0..8 {
            let mut buffer = [0x7f as c_char; 8];
            let mut length = 0;
            // SAFETY: the buffer is longer than any capacity tried.
            let status = unsafe { copy_text(text, buffer.as_mut_ptr(), capacity, &mut length) };
            assert_eq!(length, 6);
            assert_eq!(status.ok(), Some(if capacity > 6 { LINKSPAN_OK } else { LINKSPAN_TRUNCATED }));
            if capacity > 0 {
                // SAFETY: ended by a NUL, or the test fails by what follows in the buffer.
                let copied = unsafe { string(buffer.as_ptr()) }.ok();
                assert!(copied.is_some_and(|copied| text.starts_with(copied)), "capacity {capacity}");
            }
            assert_eq!(buffer[capacity..], [0x7f as c_char; 8][capacity..]);
        }
    }
}
