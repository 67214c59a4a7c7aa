//! The opening handshake as values and bytes (RFC 6455 4, RFC 9112). No state: the engine decides when.

mod body;
mod client;
mod extensions;
mod http;
mod proxy;
mod proxy_header;
mod server;
mod uri;

pub use self::body::Body;
pub use self::client::{Answer, judge_answer, write_request};
pub use self::extensions::{Extension, parse_extensions};
pub use self::http::{HeadFinder, Headers, Request, Response, characters, is_token};
pub use self::proxy::{ConnectProxy, Progress, Proxy, ProxyKind, Socks5, Tunnel};
pub use self::proxy_header::{MAX_PROXY_HEADER_BYTES, ProxyHeader};
pub use self::server::{Accept, Offer, Reject, judge_request, write_accept, write_reject};
pub use self::uri::Uri;

use super::deflate::Parameters;

/// What a peer may still send that was refused, in bytes: the rest of its request, while our answer is on its way.
/// Who sends more is cut off, whatever of the time for the close is left.
pub(crate) const MAX_REFUSED_BYTES: usize = 1 << 20;

/// What both ends agreed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// The subprotocol.
    pub subprotocol: Option<String>,
    /// permessage-deflate's parameters, when it is in use.
    pub deflate: Option<Parameters>,
}

/// `Sec-WebSocket-Accept` for this `Sec-WebSocket-Key` (RFC 6455 4.2.2): 28 characters.
pub fn accept_key(key: &str) -> String {
    use base64::Engine as _;
    use sha1::Digest as _;
    let mut sha1 = sha1::Sha1::new();
    sha1.update(key.as_bytes());
    sha1.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64::engine::general_purpose::STANDARD.encode(sha1.finalize())
}
