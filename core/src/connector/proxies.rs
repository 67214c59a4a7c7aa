//! [`ProxyChoice`]: which proxy stands between us and a server, if any; by the caller's word, or by the
//! environment's.

use std::env;
use std::net::IpAddr;

use crate::protocol::Misuse;
use crate::protocol::handshake::{Proxy, Uri};

/// Whether a client goes through a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyChoice {
    /// As the environment says when the connection is begun: `https_proxy` or `HTTPS_PROXY` for wss,
    /// `http_proxy` for ws (not `HTTP_PROXY`: in a CGI program a client's header `Proxy:` sets that), then
    /// `all_proxy` or `ALL_PROXY`. A variable that is empty counts as unset.
    ///
    /// `no_proxy` or `NO_PROXY` lists who is reached without one, with commas between: `*` (everybody), a name
    /// (with all names below it), an address, a range `10.0.0.0/8`, each with `:port` where only that port is
    /// meant. `localhost` and loopback addresses are always reached without.
    #[default]
    Environment,
    /// Straight to the server.
    Direct,
    /// Through this one, whatever the server.
    Through(Proxy),
}

impl ProxyChoice {
    /// A proxy's URL (`http://` where it names no scheme); nothing but an empty text is [`ProxyChoice::Direct`].
    pub fn parse(text: &str) -> Result<ProxyChoice, Misuse> {
        match text {
            "" => Ok(ProxyChoice::Direct),
            _ if text.contains("://") => Ok(ProxyChoice::Through(Proxy::parse(text)?)),
            _ => Ok(ProxyChoice::Through(Proxy::parse(&format!("http://{text}"))?)),
        }
    }

    /// The proxy on the way to this server. Reads the environment where it was told to.
    pub fn proxy_for(&self, uri: &Uri) -> Result<Option<Proxy>, Misuse> {
        match self {
            // A Unix socket is on this machine.
            _ if uri.unix_path.is_some() => Ok(None),
            ProxyChoice::Direct => Ok(None),
            ProxyChoice::Through(proxy) => Ok(Some(proxy.clone())),
            ProxyChoice::Environment => from_environment(uri, |name| env::var(name).ok()),
        }
    }
}

fn from_environment(uri: &Uri, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Proxy>, Misuse> {
    if is_local(&uri.host) {
        return Ok(None);
    }
    let first = |names: &[&'static str]| {
        names.iter().find_map(|name| Some((*name, variable(name).filter(|value| !value.is_empty())?)))
    };
    let names: &[&'static str] = match uri.is_secure {
        true => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        false => &["http_proxy", "all_proxy", "ALL_PROXY"],
    };
    let Some((name, url)) = first(names) else { return Ok(None) };
    if first(&["no_proxy", "NO_PROXY"]).is_some_and(|(_, list)| is_exempt(&list, uri)) {
        return Ok(None);
    }
    match ProxyChoice::parse(url.trim()) {
        Ok(ProxyChoice::Through(proxy)) => Ok(Some(proxy)),
        Ok(ProxyChoice::Direct | ProxyChoice::Environment) => Ok(None),
        Err(misuse) => Err(Misuse::UrlInvalid(format!("the environment's {name} is of no use: {misuse}"))),
    }
}

fn is_local(host: &str) -> bool {
    let name = without_dot(host);
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    name.eq_ignore_ascii_case("localhost") || ends_with(name, ".localhost") || name.parse().is_ok_and(is_loopback)
}

/// Whether the list of `no_proxy` names this server.
fn is_exempt(list: &str, uri: &Uri) -> bool {
    let host = without_dot(&uri.host);
    let address: Option<IpAddr> = host.parse().ok().map(|address: IpAddr| address.to_canonical());
    let entries = list.split([',', ' ']).filter(|entry| !entry.is_empty());
    entries.map(with_port).any(|(entry, port)| {
        if port.is_some_and(|port| port != uri.port) {
            return false;
        }
        match address {
            _ if entry == "*" => true,
            Some(address) => is_within(entry, address),
            None => is_named(entry, host),
        }
    })
}

/// `name`, or a name below it; a dot or `*.` in front changes nothing.
fn is_named(entry: &str, host: &str) -> bool {
    let name = without_dot(entry.strip_prefix('*').unwrap_or(entry));
    let name = name.strip_prefix('.').unwrap_or(name);
    !name.is_empty() && (host.eq_ignore_ascii_case(name) || ends_with(host, &format!(".{name}")))
}

/// An address, or a range of them in CIDR notation.
fn is_within(entry: &str, address: IpAddr) -> bool {
    let (network, bits) = entry.split_once('/').map_or((entry, None), |(network, bits)| (network, Some(bits)));
    let Ok(network) = network.parse::<IpAddr>() else { return false };
    let (network, address, width) = match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => (u128::from(network.to_bits()), address.to_bits().into(), 32),
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits(), address.to_bits(), 128),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
    };
    match bits.map_or(Ok(width), str::parse::<u32>) {
        Ok(0) => true,
        Ok(bits) if bits <= width => (network ^ address) >> (width - bits) == 0,
        Ok(_) | Err(_) => false,
    }
}

/// An entry of `no_proxy`, and the port behind it: `name:port`, `[::1]:port`; an IPv6 address has colons of its own.
fn with_port(entry: &str) -> (&str, Option<u16>) {
    if let Some((inside, behind)) = entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (inside, behind.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match entry.split_once(':') {
        Some((name, port)) if !port.contains(':') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        Some(_) | None => (entry, None),
    }
}

/// A name with a final dot is the same name.
fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn ends_with(name: &str, end: &str) -> bool {
    name.len() >= end.len() && name.as_bytes()[name.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The proxy's host that these variables (`NAME=value`) give for this URL.
    fn chosen(url: &str, environment: &[&str]) -> Result<Option<String>, Misuse> {
        let variable = |name: &str| {
            environment
                .iter()
                .filter_map(|entry| entry.split_once('='))
                .find_map(|(n, v)| (n == name).then(|| v.into()))
        };
        from_environment(&Uri::parse(url).unwrap(), variable).map(|proxy| proxy.map(|proxy| proxy.host))
    }

    #[test]
    fn the_environment_names_the_proxy_by_scheme() {
        for (url, environment, expected) in [
            ("wss://a.example/", &["https_proxy=http://p:3128"][..], Some("p")),
            ("wss://a.example/", &["HTTPS_PROXY=p:3128"], Some("p")),
            ("wss://a.example/", &["HTTPS_PROXY=upper", "https_proxy=lower"], Some("lower")),
            ("wss://a.example/", &["http_proxy=p"], None),
            ("ws://a.example/", &["http_proxy=p"], Some("p")),
            // What a header of a client's sets in a CGI program.
            ("ws://a.example/", &["HTTP_PROXY=evil"], None),
            ("ws://a.example/", &["https_proxy=p"], None),
            ("ws://a.example/", &["all_proxy=socks5h://p"], Some("p")),
            ("wss://a.example/", &["ALL_PROXY=socks5://p:1", "https_proxy="], Some("p")),
            ("wss://a.example/", &[], None),
            ("ws+unix:///run/a.sock:/", &["all_proxy=p"], None),
        ] {
            assert_eq!(chosen(url, environment).unwrap().as_deref(), expected, "{url} {environment:?}");
        }
    }

    #[test]
    fn this_machine_is_never_reached_through_the_environments_proxy() {
        for host in ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]"]
        {
            assert_eq!(chosen(&format!("ws://{host}/"), &["all_proxy=p"]), Ok(None), "{host}");
        }
        assert_eq!(chosen("ws://notlocalhost/", &["all_proxy=p"]), Ok(Some("p".into())));
        assert_eq!(chosen("ws://128.0.0.1/", &["all_proxy=p"]), Ok(Some("p".into())));
    }

    #[test]
    fn no_proxy_exempts_names_addresses_ranges_and_ports() {
        for (url, list, is_exempt) in [
            ("ws://a.example/", "a.example", true),
            ("ws://b.a.example/", "a.example", true),
            ("ws://b.a.example/", ".a.example", true),
            ("ws://a.example/", ".a.example", true),
            ("ws://b.a.example./", "*.A.Example", true),
            ("ws://ba.example/", "a.example", false),
            ("ws://example/", "a.example", false),
            ("ws://a.example/", "b.example, a.example", true),
            ("ws://a.example/", "b.example a.example", true),
            ("ws://a.example/", "*", true),
            ("ws://10.1.2.3/", "*", true),
            ("ws://a.example/", "", false),
            ("ws://a.example/", ".,*.,,", false),
            ("ws://a.example:8080/", "a.example:8080", true),
            ("ws://a.example/", "a.example:8080", false),
            ("wss://a.example/", "a.example:443", true),
            ("ws://10.1.2.3/", "10.1.2.3", true),
            ("ws://10.1.2.3:81/", "10.1.2.3:81", true),
            ("ws://10.1.2.3/", "10.1.2.3:81", false),
            ("ws://10.1.2.3/", "10.0.0.0/8", true),
            ("ws://11.1.2.3/", "10.0.0.0/8", false),
            ("ws://10.1.2.3/", "10.1.2.2/31", true),
            ("ws://10.1.2.4/", "10.1.2.2/31", false),
            ("ws://10.1.2.4/", "0.0.0.0/0", true),
            ("ws://10.1.2.4/", "10.1.2.4/33", false),
            ("ws://10.1.2.4/", "10.1.2.4/x", false),
            ("ws://10.1.2.4/", "1.2.4", false),
            ("ws://[2001:db8::7]/", "2001:db8::/32", true),
            ("ws://[2001:db9::7]/", "2001:db8::/32", false),
            ("ws://[2001:db8::7]/", "2001:db8::7", true),
            ("ws://[2001:db8::7]:81/", "[2001:db8::7]:81", true),
            ("ws://[2001:db8::7]/", "[2001:db8::7]:81", false),
            ("ws://[2001:db8::7]/", "10.0.0.0/8", false),
        ] {
            for name in ["no_proxy", "NO_PROXY"] {
                let found = chosen(url, &["all_proxy=p", &format!("{name}={list}")]).unwrap();
                assert_eq!(found.is_none(), is_exempt, "{url} {list:?}");
            }
        }
    }

    #[test]
    fn a_bad_variable_is_named_and_no_password_told() {
        let error = chosen("wss://a.example/", &["https_proxy=ftp://user:secret@p/"]).unwrap_err().to_string();
        assert_eq!(error, "the environment's https_proxy is of no use: ftp is not a kind of proxy");
        let error = chosen("wss://a.example/", &["https_proxy=http://user:secret@p:99999/"]).unwrap_err().to_string();
        assert!(error.contains("https_proxy") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_text_names_a_proxy_or_none() {
        assert_eq!(ProxyChoice::parse(""), Ok(ProxyChoice::Direct));
        let Ok(ProxyChoice::Through(proxy)) = ProxyChoice::parse("user:word@p:3128") else { panic!("no proxy") };
        assert_eq!((proxy.host.as_str(), proxy.port, proxy.userinfo.as_deref()), ("p", 3128, Some("user:word")));
        assert!(ProxyChoice::parse("gopher://p").is_err());
    }
}
