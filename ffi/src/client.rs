//! Clients

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use linkspan::net::ConnectOptions;
use linkspan::protocol::handshake::Uri;

use crate::bytes::{self, linkspan_connection, linkspan_header};
use crate::callbacks::{Callbacks, linkspan_callbacks};
use crate::config::{self, LINKSPAN_NEVER, linkspan_config};
use crate::event_loop::linkspan_loop;
use crate::guard::{self, Grows, Out, guard};
use crate::result::{Failure, LINKSPAN_OK, linkspan_status};
use crate::tls::{self, linkspan_tls};

/// How a client connects. Zero is the default, but for `url`. Everything is copied, or shared.
#[repr(C)]
pub struct linkspan_client_options {
    /// sizeof(linkspan_client_options).
    pub size: usize,
    /// Where: ws://host/path or wss://host/path, ended by a NUL. Not NULL.
    pub url: *const c_char,
    /// Limits and wishes. NULL: the defaults.
    pub config: *const linkspan_config,
    /// Whom to trust, for wss://. NULL: the system's certificate store.
    pub tls: *const linkspan_tls,
    /// What you want to be told. NULL: nothing.
    pub callbacks: *const linkspan_callbacks,
    /// The first argument of every callback.
    pub user: *mut c_void,
    /// Header fields to add to the request. May be NULL with a count of 0.
    pub headers: *const linkspan_header,
    /// How many.
    pub header_count: usize,
    /// Finding the host and connecting to it, in milliseconds; the opening handshake has a timeout of its own.
    /// Default 10000.
    pub connect_timeout: u64,
}

// SAFETY: `repr(C)`, size first, numbers and pointers only.
unsafe impl Grows for linkspan_client_options {}

/// Opens a connection, served by this loop: on_open follows, or on_error and on_close; never inside this
/// call. `connection` is told its name, and may be NULL.
///
/// Thread: loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_connect(
    event_loop: *mut linkspan_loop,
    options: *const linkspan_client_options,
    connection: *mut linkspan_connection,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comments say.
        let ((options, callbacks), owner) = unsafe { (read(options)?, guard::shared(event_loop)?) };
        let id = owner.now(|cx| cx.connect_with(options, Box::new(callbacks)))??;
        // SAFETY: the pointer is as the comment says.
        if let Ok(out) = unsafe { Out::new(connection) } {
            out.write(id.into());
        }
        Ok(LINKSPAN_OK)
    })
}

/// # Safety
/// NULL, or as linkspan_client_options says.
unsafe fn read(options: *const linkspan_client_options) -> Result<(ConnectOptions, Callbacks), Failure> {
    // SAFETY: the caller's duty.
    unsafe {
        let options = guard::growing(options)?;
        let callbacks = Callbacks::new(options.callbacks, options.user)?;
        let mut connect = ConnectOptions::new(Uri::parse(guard::string(options.url)?)?);
        connect.config = Arc::new(config::read(options.config)?);
        connect.tls = tls::client(options.tls)?;
        connect.headers = bytes::headers(options.headers, options.header_count)?;
        match options.connect_timeout {
            0 => {}
            LINKSPAN_NEVER => connect.connect_timeout = Duration::MAX,
            milliseconds => connect.connect_timeout = Duration::from_millis(milliseconds),
        }
        Ok((connect, callbacks))
    }
}
