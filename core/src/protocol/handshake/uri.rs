//! ws:// and wss:// URLs (RFC 6455 3), as the URL standard reads them; ws+unix: for Unix sockets.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::{Host, Position, Url};

use super::super::fault::Misuse;
use super::http::is_authority;

/// A WebSocket URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// wss.
    pub is_secure: bool,
    /// The host: a name in ASCII, or an address without brackets; `localhost` for a Unix socket.
    pub host: String,
    /// The port, the scheme's own where none is written.
    pub port: u16,
    /// Path and query, "/" at least.
    pub target: String,
    /// `user:password`, percent-decoded, where given.
    pub userinfo: Option<String>,
    /// The Unix socket to connect to instead of host and port.
    pub unix_path: Option<String>,
}

impl Uri {
    /// Reads a URL; http:// and https:// stand for ws:// and wss://, as in browsers. A fragment is refused.
    ///
    /// `ws+unix:///path/to.sock:/target` (wss+unix too; the target may be left out) names a Unix socket,
    /// whose path is percent-decoded.
    pub fn parse(url: &str) -> Result<Uri, Misuse> {
        for (scheme, inner) in [("ws+unix:", "ws://localhost"), ("wss+unix:", "wss://localhost")] {
            if url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)) {
                return Uri::parse_unix(&url[scheme.len()..], inner);
            }
        }
        Uri::parse_network(url)
    }

    fn parse_unix(rest: &str, inner: &str) -> Result<Uri, Misuse> {
        let place = rest.strip_prefix("//").unwrap_or(rest);
        let (path, target) = place.split_once(':').unwrap_or((place, "/"));
        if !path.starts_with('/') || path.contains(['?', '#']) {
            return Err(invalid("the path of a Unix socket is absolute and ends at a colon"));
        }
        if !target.starts_with('/') {
            return Err(invalid("the target behind a Unix socket begins with a slash"));
        }
        let path = decoded(path)?;
        if path.contains('\0') {
            return Err(invalid("the path of a Unix socket holds a NUL"));
        }
        Ok(Uri { unix_path: Some(path), ..Uri::parse_network(&format!("{inner}{target}"))? })
    }

    fn parse_network(url: &str) -> Result<Uri, Misuse> {
        // The URL itself is not quoted in any of these: it may hold a password.
        let url = Url::parse(url).map_err(|error| Misuse::UrlInvalid(format!("this is not a URL: {error}")))?;
        let is_secure = match url.scheme() {
            "ws" | "http" => false,
            "wss" | "https" => true,
            scheme => return Err(Misuse::UrlInvalid(format!("the URL's scheme is {scheme}, not ws or wss"))),
        };
        // RFC 6455 3: fragment identifiers must not be used.
        if url.fragment().is_some() {
            return Err(invalid("a WebSocket URL has no fragment"));
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(invalid("the URL has no host")),
        };
        // The URL standard lets a comma and a quote stand in a name; in a `Host` they could not.
        if !is_authority(&host) {
            return Err(invalid("the URL's host is not a host"));
        }
        Ok(Uri {
            is_secure,
            host,
            port: url.port().unwrap_or(default_port(is_secure)),
            target: url[Position::BeforePath..Position::AfterQuery].to_owned(),
            userinfo: userinfo(&url)?,
            unix_path: None,
        })
    }

    /// The URL that `location` names, seen from this one (RFC 3986 5.2); a fragment is dropped. Never a Unix
    /// socket: such a place is not the network's to name.
    pub fn join(&self, location: &str) -> Result<Uri, Misuse> {
        let not_url = |error| Misuse::UrlInvalid(format!("this is not a URL: {error}"));
        let mut url = Url::parse(&self.to_string()).and_then(|base| base.join(location)).map_err(not_url)?;
        url.set_fragment(None);
        Uri::parse_network(url.as_str())
    }

    /// Whether both are of one origin: scheme, host and port (RFC 6454 5).
    pub fn is_same_origin(&self, other: &Uri) -> bool {
        (self.is_secure, &self.host, self.port) == (other.is_secure, &other.host, other.port)
    }

    /// The value of `Host`: brackets around IPv6, no port when it is the scheme's own.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == default_port(self.is_secure) { host } else { format!("{host}:{}", self.port) }
    }
}

/// RFC 6455 3: 80 for ws, 443 for wss.
fn default_port(is_secure: bool) -> u16 {
    if is_secure { 443 } else { 80 }
}

/// The URL again, without user and password.
impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.is_secure { "wss" } else { "ws" }, self.authority(), self.target)
    }
}

/// `user:password` of a URL, percent-decoded.
pub(super) fn userinfo(url: &Url) -> Result<Option<String>, Misuse> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let user = decoded(url.username())?;
    // RFC 7617 2: a user name with a colon could not be told from its password.
    if user.contains(':') {
        return Err(invalid("the URL's user name holds a colon"));
    }
    Ok(Some(format!("{user}:{}", decoded(url.password().unwrap_or_default())?)))
}

fn decoded(text: &str) -> Result<String, Misuse> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(invalid("a percent-encoded part of the URL is not UTF-8")),
    }
}

fn invalid(why: &str) -> Misuse {
    Misuse::UrlInvalid(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        for (url, is_secure, host, port, target, authority) in [
            ("ws://example.com", false, "example.com", 80, "/", "example.com"),
            ("wss://example.com/", true, "example.com", 443, "/", "example.com"),
            ("http://example.com:443/a/b?c=d", false, "example.com", 443, "/a/b?c=d", "example.com:443"),
            ("https://EXAMPLE.com:443?x", true, "example.com", 443, "/?x", "example.com"),
            ("WS://[2001:DB8::1]:9001/a b", false, "2001:db8::1", 9001, "/a%20b", "[2001:db8::1]:9001"),
            ("ws://[::1]/", false, "::1", 80, "/", "[::1]"),
            ("ws://127.0.0.1:80/?", false, "127.0.0.1", 80, "/?", "127.0.0.1"),
            (
                "wss://b\u{fc}cher.example/\u{fc}",
                true,
                "xn--bcher-kva.example",
                443,
                "/%C3%BC",
                "xn--bcher-kva.example",
            ),
            ("ws://a/b\r\nc", false, "a", 80, "/bc", "a"),
        ] {
            let uri = Uri::parse(url).unwrap();
            assert_eq!((uri.is_secure, uri.host.as_str(), uri.port), (is_secure, host, port), "{url}");
            assert_eq!((uri.target.as_str(), uri.authority().as_str()), (target, authority), "{url}");
            assert_eq!((uri.userinfo, uri.unix_path), (None, None), "{url}");
        }
    }

    #[test]
    fn userinfo_is_decoded_and_keeps_its_one_colon() {
        let userinfo = |url| Uri::parse(url).map(|uri| uri.userinfo);
        assert_eq!(userinfo("ws://a:b@host/"), Ok(Some("a:b".to_owned())));
        assert_eq!(userinfo("ws://a@host/"), Ok(Some("a:".to_owned())));
        assert_eq!(userinfo("ws://:b@host/"), Ok(Some(":b".to_owned())));
        assert_eq!(userinfo("ws://a%40x:%3Ab%25:@host/"), Ok(Some("a@x::b%:".to_owned())));
        assert!(userinfo("ws://a%3Ab:c@host/").is_err());
        assert!(userinfo("ws://a:%ff@host/").is_err());
    }

    #[test]
    fn a_unix_socket_is_named_with_its_target() {
        for (url, is_secure, path, target) in [
            ("ws+unix:///run/a.sock:/chat?x=1", false, "/run/a.sock", "/chat?x=1"),
            ("ws+unix:/run/a.sock:/", false, "/run/a.sock", "/"),
            ("WSS+unix:///run/a%20b%3A.sock", true, "/run/a b:.sock", "/"),
        ] {
            let uri = Uri::parse(url).unwrap();
            assert_eq!((uri.is_secure, uri.target.as_str()), (is_secure, target), "{url}");
            assert_eq!((uri.unix_path.as_deref(), uri.authority().as_str()), (Some(path), "localhost"), "{url}");
        }
        for url in [
            "ws+unix://run/a.sock",
            "ws+unix:",
            "ws+unix:///a:b",
            "ws+unix:///a:/b#c",
            "ws+unix:///a#c",
            "ws+unix:///a%00",
        ] {
            assert!(Uri::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn what_is_no_websocket_url_is_misuse() {
        for url in [
            "",
            "/path",
            "example.com",
            "ftp://example.com/",
            "ws:",
            "ws://",
            "ws://a/#",
            "wss://a/b#c",
            "ws://a:99999/",
            "ws://a b/",
            "ws://a,b/",
            "ws://a\"b/",
            "ws://[::1/",
            "ws://a%00b/",
            "mailto:a@b",
        ] {
            assert!(matches!(Uri::parse(url), Err(Misuse::UrlInvalid(_))), "{url}: {:?}", Uri::parse(url));
        }
    }
}
