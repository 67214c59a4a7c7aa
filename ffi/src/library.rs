//! The library

use std::ffi::{c_char, c_void};

use linkspan::log::{self, Level, Record};

use crate::bytes::{linkspan_connection, linkspan_text};
use crate::guard::{User, guard};
use crate::result::{LINKSPAN_OK, linkspan_status};

/// The version of the binary interface that this header describes. Within one version nothing is
/// removed or changed; functions, constants, and fields at the end of structs are added.
pub const LINKSPAN_ABI_VERSION: u32 = 1;

/// What a build may have or lack; see linkspan_has.
pub type linkspan_feature = i32;

/// wss:// on both sides.
pub const LINKSPAN_FEATURE_TLS: linkspan_feature = 1;

/// permessage-deflate (RFC 7692).
pub const LINKSPAN_FEATURE_DEFLATE: linkspan_feature = 2;

/// How much a log message matters; see linkspan_set_log.
pub type linkspan_log_level = i32;

/// A bug in the library.
pub const LINKSPAN_LOG_ERROR: linkspan_log_level = 1;

/// A peer broke a rule, a handshake failed, nobody answered, a slow reader misses messages, accepting failed,
/// certificates could not be read again.
pub const LINKSPAN_LOG_WARNING: linkspan_log_level = 2;

/// Listening begins, pauses and ends; a drain; certificates were read again.
pub const LINKSPAN_LOG_INFO: linkspan_log_level = 3;

/// Connections open and close; the application refuses a request.
pub const LINKSPAN_LOG_DEBUG: linkspan_log_level = 4;

/// Where log messages go. `message` is one sentence on one line, without its end, and lives until the function
/// returns. Never in it are payload, of any frame, the reasons of close frames too; headers; user names and
/// passwords; the path and query of a URL. `connection.id` is 0 when the message is about no connection.
///
/// Called on any thread, also on several at once. Everything of this library may be called inside; what that
/// causes on the same thread is not logged.
pub type linkspan_log_function = Option<
    unsafe extern "C" fn(
        user: *mut c_void,
        level: linkspan_log_level,
        connection: linkspan_connection,
        message: linkspan_text,
    ),
>;

/// LINKSPAN_ABI_VERSION of the library that runs.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_abi_version() -> u32 {
    LINKSPAN_ABI_VERSION
}

/// The version of the library that runs, as in "0.1.0". Static.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Whether the library that runs was built with this feature. False for numbers that it does not know.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_has(feature: linkspan_feature) -> bool {
    let built_in =
        [(LINKSPAN_FEATURE_TLS, cfg!(feature = "tls")), (LINKSPAN_FEATURE_DEFLATE, cfg!(feature = "deflate"))];
    built_in.contains(&(feature, true))
}

/// Sends log messages up to `level` to `function`, for the whole process; NULL, or a level of 0, as in the
/// beginning, sends them nowhere. Nothing is told of single messages, at no level. The library never writes to standard output or standard error.
///
/// When this returns, the function given before may still be running on other threads.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_set_log(
    function: linkspan_log_function,
    user: *mut c_void,
    level: linkspan_log_level,
) -> linkspan_status {
    guard(|| {
        match (function, level_of(level)) {
            (Some(function), Some(level)) => {
                let log = Log { function, user: User(user) };
                log::listen(level, move |record| log.tell(record));
            }
            (None, _) | (_, None) => log::silence(),
        }
        Ok(LINKSPAN_OK)
    })
}

/// C's log function.
struct Log {
    function: unsafe extern "C" fn(*mut c_void, linkspan_log_level, linkspan_connection, linkspan_text),
    user: User,
}

impl Log {
    fn tell(&self, record: &Record<'_>) {
        let (level, connection) = (record.level as linkspan_log_level, linkspan_connection { id: record.connection });
        // SAFETY: linkspan_set_log was given this function for these arguments.
        unsafe { (self.function)(self.user.0, level, connection, record.message.into()) }
    }
}

/// None: nothing is to be heard.
fn level_of(level: linkspan_log_level) -> Option<Level> {
    Some(match level {
        ..LINKSPAN_LOG_ERROR => return None,
        LINKSPAN_LOG_ERROR => Level::Error,
        LINKSPAN_LOG_WARNING => Level::Warning,
        LINKSPAN_LOG_INFO => Level::Info,
        LINKSPAN_LOG_DEBUG.. => Level::Debug,
    })
}
