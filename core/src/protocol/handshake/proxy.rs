//! Proxies as bytes: HTTP CONNECT (RFC 9110 9.3.6) and SOCKS5 (RFC 1928, 1929).
//!
//! ```text
//! Proxy::parse(url)?.tunnel(host, port)?     loop: write outgoing(), say sent(n)
//!                                                  read, handle_input(bytes) until is_open
//! ```
//! What follows the bytes that a tunnel ate is the server's: TLS or HTTP begins there.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::{Host, Url};

use super::super::fault::{Fault, Misuse};
use super::http::{is_authority, write_field};
use super::uri::userinfo;
use super::{HeadFinder, Response};

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// `http://`: CONNECT in clear text.
    Http,
    /// `https://`: CONNECT inside TLS, which the driver sets up with the proxy first.
    Https,
    /// `socks5://`: the driver resolves the server's name and asks for its address.
    Socks5,
    /// `socks5h://`: the proxy resolves the server's name.
    Socks5Host,
}

/// A proxy's URL, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// How it is spoken to.
    pub kind: ProxyKind,
    /// Its host: a name, or an address without brackets.
    pub host: String,
    /// Its port: 80, 443 or 1080 where none is written.
    pub port: u16,
    /// `user:password`, percent-decoded, where given.
    pub userinfo: Option<String>,
}

/// A way through a proxy that is being made.
pub trait Tunnel: fmt::Debug + Send {
    /// Bytes that the proxy is owed. Empty while its answer is awaited.
    fn outgoing(&self) -> &[u8];

    /// The first `n` bytes of [`Tunnel::outgoing`] have left.
    ///
    /// # Panics
    /// When `n` is more than there were.
    fn sent(&mut self, n: usize);

    /// Takes what the proxy said, in pieces of any size. Afterwards there may be something outgoing.
    /// After a fault the connection is of no use.
    fn handle_input(&mut self, bytes: &[u8]) -> Result<Progress, Fault>;
}

/// How far a tunnel has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many of the bytes were the proxy's. All of them, unless the tunnel is open.
    pub eaten: usize,
    /// Whether the next byte, in either direction, is between us and the server.
    pub is_open: bool,
}

impl Proxy {
    /// Reads `http://`, `https://`, `socks5://` or `socks5h://`, then `[user[:password]@]host[:port]`.
    pub fn parse(url: &str) -> Result<Proxy, Misuse> {
        // The URL itself is not quoted in any of these: it may hold a password.
        let url = Url::parse(url).map_err(|error| Misuse::UrlInvalid(format!("the proxy is not a URL: {error}")))?;
        let (kind, port) = match url.scheme() {
            "http" => (ProxyKind::Http, 80),
            "https" => (ProxyKind::Https, 443),
            "socks5" => (ProxyKind::Socks5, 1080),
            "socks5h" => (ProxyKind::Socks5Host, 1080),
            scheme => return Err(Misuse::UrlInvalid(format!("{scheme} is not a kind of proxy"))),
        };
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(Misuse::UrlInvalid("the proxy's URL has no host".to_owned())),
        };
        Ok(Proxy { kind, host, port: url.port().unwrap_or(port), userinfo: userinfo(&url)? })
    }

    /// Begins a way to the server. `host` is a name or an address; for [`ProxyKind::Socks5`] the address
    /// that the driver has found.
    pub fn tunnel(&self, host: &str, port: u16) -> Result<Box<dyn Tunnel>, Misuse> {
        let userinfo = self.userinfo.as_deref();
        Ok(match self.kind {
            ProxyKind::Http | ProxyKind::Https => Box::new(ConnectProxy::new(host, port, userinfo)?),
            ProxyKind::Socks5 | ProxyKind::Socks5Host => Box::new(Socks5::new(host, port, userinfo)?),
        })
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password is never logged.
        let Proxy { kind, host, port, userinfo } = self;
        write!(f, "Proxy({kind:?}, {host:?}, {port}, {})", if userinfo.is_some() { "with userinfo" } else { "open" })
    }
}

/// Bytes that leave in order.
#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outgoing {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    fn sent(&mut self, n: usize) {
        assert!(n <= self.rest().len(), "more bytes were said to be sent than waited");
        self.sent += n;
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.sent));
        self.bytes.extend_from_slice(bytes);
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It may hold a password.
        write!(f, "Outgoing({} bytes)", self.rest().len())
    }
}

/// An HTTP CONNECT exchange.
#[derive(Debug)]
pub struct ConnectProxy {
    outgoing: Outgoing,
    finder: HeadFinder,
    /// The answer's head, as far as it has come.
    head: Vec<u8>,
    /// Bytes that the proxy may still say.
    allowance: usize,
}

/// Most bytes that a proxy may say before the tunnel is open, and most header lines.
const MAX_ANSWER_BYTES: usize = 16 << 10;
const MAX_ANSWER_HEADERS: usize = 100;

impl ConnectProxy {
    /// Asks for a way to `host`, a name or an address without brackets. `userinfo` is `user:password`.
    pub fn new(host: &str, port: u16, userinfo: Option<&str>) -> Result<ConnectProxy, Misuse> {
        if !is_authority(host) {
            return Err(Misuse::UrlInvalid("the host behind the proxy is not a host".to_owned()));
        }
        // RFC 9110 9.3.6: host and port, the usual one too.
        let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\n").into_bytes();
        write_field(&mut request, "Host", &authority);
        if let Some(userinfo) = userinfo {
            // RFC 9110 11.7.2, RFC 7617 2.
            write_field(&mut request, "Proxy-Authorization", &format!("Basic {}", STANDARD.encode(userinfo)));
        }
        request.extend_from_slice(b"\r\n");
        Ok(ConnectProxy {
            outgoing: Outgoing { bytes: request, sent: 0 },
            finder: HeadFinder::default(),
            head: Vec::new(),
            allowance: MAX_ANSWER_BYTES,
        })
    }
}

impl Tunnel for ConnectProxy {
    fn outgoing(&self) -> &[u8] {
        self.outgoing.rest()
    }

    fn sent(&mut self, n: usize) {
        self.outgoing.sent(n);
    }

    fn handle_input(&mut self, bytes: &[u8]) -> Result<Progress, Fault> {
        let mut eaten = 0;
        loop {
            let before = self.head.len();
            let allowed = (bytes.len() - eaten).min(self.allowance - before);
            self.head.extend_from_slice(&bytes[eaten..eaten + allowed]);
            let Some(length) = self.finder.find(&self.head) else {
                if self.head.len() == self.allowance {
                    return Err(Fault::HeadTooLong(MAX_ANSWER_BYTES));
                }
                return Ok(Progress { eaten: bytes.len(), is_open: false });
            };
            let answer = Response::parse(&self.head[..length], MAX_ANSWER_HEADERS)?;
            eaten += length - before;
            self.allowance -= length;
            self.head.clear();
            self.finder = HeadFinder::default();
            match answer.status {
                // RFC 9110 15.2: interim answers come before the one that counts.
                100..=199 => {}
                // RFC 9110 9.3.6: any 2xx opens the tunnel, right behind the head.
                200..=299 => return Ok(Progress { eaten, is_open: true }),
                status => return Err(http_refused(status, &answer.reason)),
            }
        }
    }
}

/// A SOCKS5 exchange.
pub struct Socks5 {
    outgoing: Outgoing,
    awaited: Awaited,
    /// What is awaited, as far as it has come: at most 257 bytes.
    part: Vec<u8>,
    /// What RFC 1929 2 wants, where there is a user.
    credentials: Option<Vec<u8>>,
    /// The request of RFC 1928 4.
    request: Vec<u8>,
}

/// Which part of which reply comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    /// RFC 1928 3: version and the method that the proxy chose.
    Method,
    /// RFC 1929 2: version and whether the password is good.
    Verdict,
    /// RFC 1928 6: version and whether the server was reached. A refusal may end here.
    Reply,
    /// RFC 1928 6: a reserved byte, the type of the bound address, and the first byte of that.
    AddressType,
    /// RFC 1928 6: the rest of the bound address, and its port; of no interest.
    Address { bytes: usize },
    /// Nothing: the tunnel is open.
    Nothing,
}

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const PASSWORD: u8 = 2;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const DOMAIN: u8 = 3;
const IPV6: u8 = 4;

impl Socks5 {
    /// Asks for a way to `host`: an address, or a name that the proxy resolves (socks5h). `userinfo` is
    /// `user:password`, each at most 255 bytes.
    pub fn new(host: &str, port: u16, userinfo: Option<&str>) -> Result<Socks5, Misuse> {
        let credentials = userinfo.map(credentials).transpose()?;
        // RFC 1928 3: version, number of methods, methods.
        let greeting = match credentials {
            Some(_) => vec![VERSION, 2, NO_AUTHENTICATION, PASSWORD],
            None => vec![VERSION, 1, NO_AUTHENTICATION],
        };
        Ok(Socks5 {
            outgoing: Outgoing { bytes: greeting, sent: 0 },
            awaited: Awaited::Method,
            part: Vec::new(),
            credentials,
            request: request(host, port)?,
        })
    }

    /// Judges the awaited part, which is complete.
    fn handle_part(&mut self) -> Result<(), Fault> {
        self.awaited = match (self.awaited, &self.part[..]) {
            (Awaited::Method, [VERSION, NO_AUTHENTICATION]) => self.send_request(),
            (Awaited::Method, [VERSION, PASSWORD]) if self.credentials.is_some() => {
                self.outgoing.push(&self.credentials.take().unwrap_or_default());
                Awaited::Verdict
            }
            (Awaited::Method, [VERSION, _]) => return Err(refused("it wants an authentication that we cannot give")),
            // RFC 1929 2: version 1. Some proxies answer with 5.
            (Awaited::Verdict, [1 | VERSION, 0]) => self.send_request(),
            (Awaited::Verdict, [1 | VERSION, _]) => return Err(refused("user or password is wrong")),
            (Awaited::Reply, [VERSION, 0]) => Awaited::AddressType,
            (Awaited::Reply, [VERSION, code, ..]) => return Err(refused(reply_text(*code))),
            (Awaited::AddressType, [_, IPV4, _]) => Awaited::Address { bytes: 3 + 2 },
            (Awaited::AddressType, [_, IPV6, _]) => Awaited::Address { bytes: 15 + 2 },
            (Awaited::AddressType, [_, DOMAIN, length]) => Awaited::Address { bytes: usize::from(*length) + 2 },
            (Awaited::Address { .. } | Awaited::Nothing, _) => Awaited::Nothing,
            (Awaited::Method | Awaited::Verdict | Awaited::Reply | Awaited::AddressType, _) => {
                return Err(refused("it does not speak SOCKS5"));
            }
        };
        self.part.clear();
        Ok(())
    }

    fn send_request(&mut self) -> Awaited {
        self.outgoing.push(&self.request);
        Awaited::Reply
    }
}

impl Tunnel for Socks5 {
    fn outgoing(&self) -> &[u8] {
        self.outgoing.rest()
    }

    fn sent(&mut self, n: usize) {
        self.outgoing.sent(n);
    }

    fn handle_input(&mut self, bytes: &[u8]) -> Result<Progress, Fault> {
        let mut rest = bytes;
        loop {
            let wanted = match self.awaited {
                Awaited::Method | Awaited::Verdict | Awaited::Reply => 2,
                Awaited::AddressType => 3,
                Awaited::Address { bytes } => bytes,
                Awaited::Nothing => return Ok(Progress { eaten: bytes.len() - rest.len(), is_open: true }),
            };
            let (piece, after) = rest.split_at(rest.len().min(wanted - self.part.len()));
            self.part.extend_from_slice(piece);
            rest = after;
            if self.part.len() < wanted {
                return Ok(Progress { eaten: bytes.len(), is_open: false });
            }
            self.handle_part()?;
        }
    }
}

impl fmt::Debug for Socks5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password is never logged.
        write!(f, "Socks5({:?})", self.awaited)
    }
}

/// RFC 1929 2: version 1, length and user, length and password.
fn credentials(userinfo: &str) -> Result<Vec<u8>, Misuse> {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let mut bytes = vec![1];
    for (part, least) in [(user, 1), (password, 0)] {
        match u8::try_from(part.len()) {
            Ok(length) if length >= least => bytes.push(length),
            _ => return Err(Misuse::UrlInvalid("a SOCKS5 user has 1 to 255 bytes, a password up to 255".to_owned())),
        }
        bytes.extend_from_slice(part.as_bytes());
    }
    Ok(bytes)
}

/// RFC 1928 4: version, CONNECT, reserved, address type, address, port.
fn request(host: &str, port: u16) -> Result<Vec<u8>, Misuse> {
    let mut bytes = vec![VERSION, CONNECT, 0];
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            bytes.push(IPV4);
            bytes.extend_from_slice(&address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            bytes.push(IPV6);
            bytes.extend_from_slice(&address.octets());
        }
        Err(_) => match u8::try_from(host.len()) {
            Ok(length) if is_authority(host) => {
                bytes.extend_from_slice(&[DOMAIN, length]);
                bytes.extend_from_slice(host.as_bytes());
            }
            _ => return Err(Misuse::UrlInvalid("the host behind the proxy has 1 to 255 bytes".to_owned())),
        },
    }
    bytes.extend_from_slice(&port.to_be_bytes());
    Ok(bytes)
}

fn refused(why: &str) -> Fault {
    Fault::ProxyRefused { status: 0, why: why.to_owned() }
}

/// The status, and what a person can do about it.
fn http_refused(status: u16, reason: &str) -> Fault {
    let advice = match status {
        407 => "; it wants a user and a password: http://user:password@proxy",
        403 => "; it does not allow this server",
        502..=504 => "; it does not reach the server",
        _ => "",
    };
    let answer = format!("{status} {reason}");
    Fault::ProxyRefused { status, why: format!("{}{advice}", answer.trim_end()) }
}

/// RFC 1928 6.
fn reply_text(code: u8) -> &'static str {
    match code {
        1 => "general SOCKS server failure",
        2 => "connection not allowed by ruleset",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "time to live expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "an unassigned SOCKS5 reply",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(tunnel: &mut dyn Tunnel) -> Vec<u8> {
        let bytes = tunnel.outgoing().to_vec();
        tunnel.sent(bytes.len());
        bytes
    }

    /// Feeds `bytes` in pieces of `step` and says how many were eaten when the tunnel opened.
    fn feed(tunnel: &mut dyn Tunnel, bytes: &[u8], step: usize) -> Result<Option<usize>, Fault> {
        for (index, piece) in bytes.chunks(step).enumerate() {
            let progress = tunnel.handle_input(piece)?;
            if progress.is_open {
                return Ok(Some(index * step + progress.eaten));
            }
            assert_eq!(progress.eaten, piece.len());
        }
        Ok(None)
    }

    #[test]
    fn a_proxy_url_is_taken_apart() {
        for (url, kind, host, port, userinfo) in [
            ("http://proxy.example", ProxyKind::Http, "proxy.example", 80, None),
            ("http://a:b%40@proxy.example:3128/", ProxyKind::Http, "proxy.example", 3128, Some("a:b@")),
            ("https://[::1]", ProxyKind::Https, "::1", 443, None),
            ("socks5://127.0.0.1", ProxyKind::Socks5, "127.0.0.1", 1080, None),
            ("socks5h://u@proxy.example:9050", ProxyKind::Socks5Host, "proxy.example", 9050, Some("u:")),
            ("socks5://[::1]:1", ProxyKind::Socks5, "::1", 1, None),
        ] {
            let proxy = Proxy::parse(url).unwrap();
            assert_eq!((proxy.kind, proxy.host.as_str(), proxy.port), (kind, host, port), "{url}");
            assert_eq!(proxy.userinfo.as_deref(), userinfo, "{url}");
        }
        for url in ["", "proxy", "ftp://a", "socks4://a", "socks5:", "socks5://", "http://"] {
            assert!(matches!(Proxy::parse(url), Err(Misuse::UrlInvalid(_))), "{url}");
        }
        assert!(!format!("{:?}", Proxy::parse("http://a:secret@b").unwrap()).contains("secret"));
    }

    #[test]
    fn connect_asks_and_opens_right_behind_the_head() {
        let answer =
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 Connection established\r\nContent-Length: 5\r\n\r\nTLS";
        for step in 1..=answer.len() {
            let mut tunnel =
                Proxy::parse("http://Aladdin:open%20sesame@p").unwrap().tunnel("example.com", 443).unwrap();
            assert_eq!(
                String::from_utf8(sent(&mut *tunnel)).unwrap(),
                "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\
                 Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
            );
            assert_eq!(feed(&mut *tunnel, answer, step), Ok(Some(answer.len() - 3)), "by {step}");
            assert!(tunnel.outgoing().is_empty());
        }
        let mut tunnel = ConnectProxy::new("::1", 80, None).unwrap();
        assert!(sent(&mut tunnel).starts_with(b"CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"));
        for host in ["", "a\r\nX: y", "a b", "a/b"] {
            assert!(ConnectProxy::new(host, 80, None).is_err(), "{host:?}");
        }
    }

    #[test]
    fn connect_refused_says_why() {
        for (answer, status, why) in [
            (
                "HTTP/1.1 407 Proxy Authentication Required\r\n\r\nbody",
                407,
                "407 Proxy Authentication Required; it wants a user and a password: http://user:password@proxy",
            ),
            ("HTTP/1.1 502\r\n\r\n", 502, "502; it does not reach the server"),
            ("HTTP/1.1 302 Found\r\nLocation: http://evil\r\n\r\n", 302, "302 Found"),
        ] {
            for step in [1, 1000] {
                let mut tunnel = ConnectProxy::new("a", 80, None).unwrap();
                let result = feed(&mut tunnel, answer.as_bytes(), step);
                assert_eq!(result, Err(Fault::ProxyRefused { status, why: why.to_owned() }));
            }
        }
        let mut tunnel = ConnectProxy::new("a", 80, None).unwrap();
        assert!(matches!(tunnel.handle_input(b"SSH-2.0\r\n\r\n"), Err(Fault::HeadMalformed(_))));
    }

    #[test]
    fn a_proxy_that_never_ends_its_head_is_cut_off() {
        for (piece, step) in [("X: y\r\n", 1000), ("X: y\r\n", 1_000_000), ("\r\nHTTP/1.1 100 OK\r\n", 7)] {
            let bytes = format!("HTTP/1.1 100 OK\r\n{}", piece.repeat(10_000));
            let mut tunnel = ConnectProxy::new("a", 80, None).unwrap();
            let result = feed(&mut tunnel, bytes.as_bytes(), step);
            assert_eq!(result, Err(Fault::HeadTooLong(MAX_ANSWER_BYTES)));
            assert!(tunnel.head.capacity() <= 2 * MAX_ANSWER_BYTES);
        }
    }

    #[test]
    fn socks5_asks_and_opens_right_behind_the_reply() {
        for (host, address) in [
            ("10.1.2.3", &[1, 10, 1, 2, 3][..]),
            ("::1", &[4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            ("a.example", b"\x03\x09a.example"),
        ] {
            let bound = [address, &[0, 80]].concat();
            let reply = [&[5, 0, 0][..], &bound, b"TLS"].concat();
            for step in 1..=reply.len() {
                let mut tunnel = Proxy::parse("socks5h://p").unwrap().tunnel(host, 443).unwrap();
                assert_eq!(sent(&mut *tunnel), [5, 1, 0]);
                assert_eq!(feed(&mut *tunnel, &[5, 0], step), Ok(None));
                assert_eq!(sent(&mut *tunnel), [&[5, 1, 0][..], address, &[1, 187]].concat());
                assert_eq!(feed(&mut *tunnel, &reply, step), Ok(Some(reply.len() - 3)), "{host} by {step}");
            }
        }
    }

    #[test]
    fn socks5_gives_user_and_password_when_asked() {
        for verdict in [[1, 0], [5, 0]] {
            let mut tunnel = Proxy::parse("socks5://user:pass:word@p").unwrap().tunnel("1.2.3.4", 80).unwrap();
            assert_eq!(sent(&mut *tunnel), [5, 2, 0, 2]);
            assert_eq!(feed(&mut *tunnel, &[5, 2], 1), Ok(None));
            assert_eq!(sent(&mut *tunnel), b"\x01\x04user\x09pass:word");
            assert_eq!(feed(&mut *tunnel, &verdict, 1), Ok(None));
            assert_eq!(sent(&mut *tunnel), [5, 1, 0, 1, 1, 2, 3, 4, 0, 80]);
            // What a hasty proxy appends to its verdict is read all the same.
            assert_eq!(feed(&mut *tunnel, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0], 10), Ok(Some(10)));
        }
        for userinfo in [":b".to_owned(), "a".repeat(256) + ":b", "a:".to_owned() + &"b".repeat(256)] {
            assert!(Socks5::new("a", 80, Some(&userinfo)).is_err(), "{userinfo}");
        }
        assert!(Socks5::new(&"a".repeat(256), 80, None).is_err());
        assert!(Socks5::new("", 80, None).is_err());
    }

    #[test]
    fn socks5_refused_says_why() {
        let refusal = |userinfo: Option<&str>, bytes: &[u8]| {
            let mut tunnel = Socks5::new("a", 80, userinfo).unwrap();
            match feed(&mut tunnel, bytes, 1) {
                Err(Fault::ProxyRefused { status: 0, why }) => why,
                other => panic!("{bytes:?}: {other:?}"),
            }
        };
        assert!(refusal(None, &[5, 0xff]).contains("authentication"));
        assert!(refusal(None, &[5, 2]).contains("authentication"));
        assert!(refusal(Some("a:b"), &[5, 2, 1, 1]).contains("password"));
        assert_eq!(refusal(None, &[5, 0, 5, 5]), "connection refused");
        assert_eq!(refusal(None, &[5, 0, 5, 99]), "an unassigned SOCKS5 reply");
        for bytes in [&b"HTTP"[..], &[4, 0], &[5, 0, 4, 0], &[5, 0, 5, 0, 0, 2, 0], &[5, 0, 5, 0, 0, 9, 0]] {
            assert_eq!(refusal(None, bytes), "it does not speak SOCKS5", "{bytes:?}");
        }
    }
}
