//! The library

use std::ffi::{c_char, c_void};
use std::sync::RwLock;

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

/// A bug in the library, or something that it could not go on without.
pub const LINKSPAN_LOG_ERROR: linkspan_log_level = 1;

/// A peer broke a rule, or a connection failed.
pub const LINKSPAN_LOG_WARNING: linkspan_log_level = 2;

/// Servers start, drain and stop.
pub const LINKSPAN_LOG_INFO: linkspan_log_level = 3;

/// Connections open and close.
pub const LINKSPAN_LOG_DEBUG: linkspan_log_level = 4;

/// Where log messages go. `message` is one line without its end and lives until the function returns;
/// payload is never in it. `connection.id` is 0 when the message is about no connection. Called on any
/// thread, also on several at once.
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

/// Sends log messages up to `level` to `function`, for the whole process; NULL, as in the beginning,
/// sends them nowhere. The library never writes to standard output or standard error.
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
        let mut log = LOG.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        *log = function.map(|function| Log { function, user: User(user), level });
        Ok(LINKSPAN_OK)
    })
}

#[derive(Clone, Copy)]
struct Log {
    function: unsafe extern "C" fn(*mut c_void, linkspan_log_level, linkspan_connection, linkspan_text),
    user: User,
    level: linkspan_log_level,
}

static LOG: RwLock<Option<Log>> = RwLock::new(None);

/// Whether a message of this level would be heard.
pub(crate) fn logs(level: linkspan_log_level) -> bool {
    LOG.read().is_ok_and(|log| log.is_some_and(|log| level <= log.level))
}

/// Tells the log callback, when there is one that wants this level.
pub(crate) fn log(level: linkspan_log_level, connection: linkspan_connection, message: &str) {
    // Copied out: no lock is held while the caller's function runs.
    let heard = LOG.read().map_or(None, |log| *log);
    if let Some(log) = heard.filter(|log| level <= log.level) {
        // SAFETY: linkspan_set_log was given this function for these arguments.
        unsafe { (log.function)(log.user.0, level, connection, message.into()) }
    }
}
