//! Clients

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use linkspan::net::{ConnectOptions, ProxyChoice};
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
    /// From the start to a stream on which the opening handshake can begin (which has a timeout of its own, in
    /// linkspan_config), in milliseconds: all the phases below together. Default 30000: two tries over a bad line.
    pub connect_timeout: u64,
    /// The proxy's URL, ended by a NUL: http://, https:// (TLS to the proxy), socks5:// (we resolve the server's
    /// name) or socks5h:// (the proxy does), then user:password@ where it wants them, host and port. "" for none.
    /// NULL: as the environment says at the time of linkspan_connect. That is https_proxy or HTTPS_PROXY for wss,
    /// http_proxy for ws, then all_proxy or ALL_PROXY; but none for what no_proxy or NO_PROXY lists (names,
    /// addresses, 10.0.0.0/8, each with :port or without, or *), for localhost and for loopback addresses.
    pub proxy: *const c_char,
    /// Whom to trust, for TLS to an https:// proxy. NULL: the system's certificate store.
    pub proxy_tls: *const linkspan_tls,
    /// Finding the addresses of one name, in milliseconds. Default 10000: the system's resolver asks a second
    /// server after 5 s.
    pub resolve_timeout: u64,
    /// TCP, over all addresses, in milliseconds. Default 20000: the fifth SYN is sent after 15 s.
    pub tcp_timeout: u64,
    /// What the proxy needs to reach the server, in milliseconds. Default 20000: as long as TCP.
    pub proxy_timeout: u64,
    /// One TLS handshake, in milliseconds. Default 10000: three round trips and a slow machine.
    pub tls_timeout: u64,
    /// The value of a Cookie header, ended by a NUL: "a=b; c=d". NULL: none.
    pub cookies: *const c_char,
    /// Most redirects (301, 302, 303, 307, 308) that are followed one after the other. Default 0: a redirect is a
    /// refused handshake. None leads from wss to ws. Another origin (scheme, host, port) is not told the URL's
    /// user and password, sees of `headers` and `cookies` only Accept, Accept-Language, Origin and User-Agent, and
    /// is shown no client certificate; the subprotocols it does see. linkspan_connection_url tells where it led.
    pub max_redirects: u32,
    /// Most losses in a row that are tried again, see `reconnect_delay`. Default 0: no limit.
    pub reconnect_attempts: u32,
    /// How long to wait before a lost connection is tried again, in milliseconds. Default 0: a loss is the end.
    /// This is the ceiling of the first delay; it doubles from loss to loss, and each delay is drawn evenly
    /// between zero and its ceiling. A server that says Retry-After is left alone for so long before,
    /// at most `reconnect_max_delay`.
    ///
    /// The connection keeps its name. Each loss, and each try that fails, is told by on_error where there is a
    /// cause to tell, then by on_reconnect; the state is LINKSPAN_STATE_CONNECTING meanwhile, nothing can be sent
    /// (LINKSPAN_NOT_OPEN), and nothing is sent again by itself. on_open comes again. linkspan_connection_close and
    /// _abort end it at any time.
    ///
    /// on_close comes when you have closed, when the attempts are used up, or when another try would be in vain:
    /// the server closed with another code than 1001, 1006, 1011, 1012, 1013 and 1014; it or the proxy refused with
    /// another status than 408, 425, 429 and 5xx; TLS failed, or a redirect; the environment names a bad proxy.
    pub reconnect_delay: u64,
    /// The ceiling that the delays grow to, in milliseconds. Default 30000.
    pub reconnect_max_delay: u64,
    /// A connection that was open for so long, in milliseconds, ends the row: the next loss is the first.
    /// Default 30000.
    pub reconnect_reset: u64,
}

// SAFETY: `repr(C)`, size first, numbers and pointers only.
unsafe impl Grows for linkspan_client_options {}

/// Opens a connection, served by this loop: on_open follows, or on_error and on_close, with
/// `reconnect_delay` on_reconnect; never inside this call. User and password in the URL are sent (Basic). `connection` is told its name, and may be NULL.
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
        set_timeout(&mut connect.connect_timeout, options.connect_timeout);
        if let Some(proxy) = guard::optional_string(options.proxy)? {
            connect.proxy = ProxyChoice::parse(proxy)?;
        }
        connect.proxy_tls = tls::client(options.proxy_tls)?;
        set_timeout(&mut connect.resolve_timeout, options.resolve_timeout);
        set_timeout(&mut connect.tcp_timeout, options.tcp_timeout);
        set_timeout(&mut connect.proxy_timeout, options.proxy_timeout);
        set_timeout(&mut connect.tls_timeout, options.tls_timeout);
        if let Some(cookies) = guard::optional_string(options.cookies)? {
            connect.headers.push(("Cookie".into(), cookies.into()));
        }
        connect.max_redirects = options.max_redirects;
        connect.reconnect.max_attempts = options.reconnect_attempts;
        set_delay(&mut connect.reconnect.initial_delay, options.reconnect_delay);
        set_delay(&mut connect.reconnect.max_delay, options.reconnect_max_delay);
        set_delay(&mut connect.reconnect.reset_after, options.reconnect_reset);
        Ok((connect, callbacks))
    }
}

fn set_timeout(timeout: &mut Duration, milliseconds: u64) {
    match milliseconds {
        0 => {}
        LINKSPAN_NEVER => *timeout = Duration::ZERO,
        milliseconds => *timeout = Duration::from_millis(milliseconds),
    }
}

fn set_delay(delay: &mut Duration, milliseconds: u64) {
    if milliseconds != 0 {
        *delay = Duration::from_millis(milliseconds);
    }
}
