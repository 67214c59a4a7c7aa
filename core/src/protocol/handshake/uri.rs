//! ws:// and wss:// URLs (RFC 6455 3).

use super::super::fault::Misuse;

/// A WebSocket URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// wss.
    pub is_secure: bool,
    /// The host: a name in ASCII, or an address without brackets.
    pub host: String,
    /// The port, the scheme's own where none is written.
    pub port: u16,
    /// Path and query, "/" at least.
    pub target: String,
    /// `user:password`, percent-decoded, where given.
    pub userinfo: Option<String>,
}

impl Uri {
    /// Reads a URL; http:// and https:// stand for ws:// and wss://, as in browsers. A fragment is refused.
    pub fn parse(url: &str) -> Result<Uri, Misuse> {
        let _ = url;
        todo!()
    }
    /// The value of `Host`: brackets around IPv6, no port when it is the scheme's own.
    pub fn authority(&self) -> String {
        todo!()
    }
}
