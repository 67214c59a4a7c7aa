//! [`ConnectOptions`]: where to connect, and how.

use std::sync::Arc;
use std::time::Duration;

use super::proxies::ProxyChoice;
use super::reconnect::Reconnect;
use super::resolver::Resolve;
use crate::protocol::handshake::Uri;
use crate::protocol::{Config, Time};
use crate::tls::ClientTls;

/// Where to connect, and how. A timeout of zero is none.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// The server and the resource.
    pub uri: Uri,
    /// Limits, timeouts and wishes. Default [`Config::default`].
    pub config: Arc<Config>,
    /// Trust, for wss. Default the system's store.
    pub tls: Option<Arc<ClientTls>>,
    /// Headers to add to the request, in order. Default none.
    pub headers: Vec<(String, String)>,
    /// Who turns names into addresses. Default the system, on threads of its own.
    pub resolver: Option<Arc<dyn Resolve>>,
    /// Through which proxy. Default as the environment says.
    pub proxy: ProxyChoice,
    /// Trust, for TLS to a proxy (`https://`). Default the system's store.
    pub proxy_tls: Option<Arc<ClientTls>>,
    /// From the start to a stream on which the opening handshake can begin: all the phases below together.
    /// Default 30 s: two tries over a bad line.
    pub connect_timeout: Duration,
    /// Finding the addresses of one name. Default 10 s: the system's resolver asks a second server after 5 s.
    pub resolve_timeout: Duration,
    /// TCP, over all addresses. Default 20 s: the fourth SYN is sent after 7 s, the fifth after 15 s.
    pub tcp_timeout: Duration,
    /// What the proxy needs to reach the server, from our first byte to it. Default 20 s: it goes through the
    /// same as we would without it.
    pub proxy_timeout: Duration,
    /// One TLS handshake. Default 10 s: three round trips and a slow machine.
    pub tls_timeout: Duration,
    /// Most redirects (301, 302, 303, 307, 308) that are followed one after the other. Default 0: a redirect is a
    /// refused handshake. None leads from wss to ws. Another origin (scheme, host, port) is not told the URL's user
    /// and password, sees none of `headers` but Accept, Accept-Language, Origin and User-Agent, and is shown no
    /// client certificate; the subprotocols it does see.
    pub max_redirects: u32,
    /// Whether a lost connection is tried again; for clients in a loop. Default not.
    pub reconnect: Reconnect,
}

impl ConnectOptions {
    /// This server and resource, and the defaults.
    pub fn new(uri: Uri) -> ConnectOptions {
        ConnectOptions {
            uri,
            config: Arc::default(),
            tls: None,
            headers: Vec::new(),
            resolver: None,
            proxy: ProxyChoice::Environment,
            proxy_tls: None,
            connect_timeout: Duration::from_secs(30),
            resolve_timeout: Duration::from_secs(10),
            tcp_timeout: Duration::from_secs(20),
            proxy_timeout: Duration::from_secs(20),
            tls_timeout: Duration::from_secs(10),
            max_redirects: 0,
            reconnect: Reconnect::default(),
        }
    }
}

/// When a timeout that begins now is over.
pub(super) fn deadline(now: Time, timeout: Duration) -> Time {
    match timeout {
        Duration::ZERO => Time::from_millis(u64::MAX),
        timeout => now.after(timeout.as_millis().try_into().unwrap_or(u64::MAX)),
    }
}
