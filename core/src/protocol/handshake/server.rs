//! The server's half: judge a request, write the answer (RFC 6455 4.2).

use super::super::config::{Config, DeflateConfig};
use super::super::deflate::{EXTENSION_NAME, Parameters};
use super::super::fault::{Fault, Misuse};
use super::http::{check_fields, is_authority, is_nonce, list_items, write_field, write_fields_and_end};
use super::{Agreed, Headers, Request, accept_key, is_token, parse_extensions};

/// What a good upgrade request asks for; kept until the answer.
#[derive(Clone, Debug)]
pub struct Offer {
    /// `Sec-WebSocket-Accept` of the answer.
    pub accept_key: String,
    /// Subprotocols that the client offers, best first.
    pub subprotocols: Vec<String>,
    /// The first of its permessage-deflate offers that this end can agree to.
    pub deflate: Option<Parameters>,
    /// The value of `Sec-WebSocket-Extensions` that agrees to it; empty without one.
    pub deflate_answer: String,
}

/// How the application accepts a request.
#[derive(Clone, Debug, Default)]
pub struct Accept {
    /// The subprotocol; `None` lets `Config::subprotocols` choose.
    pub subprotocol: Option<String>,
    /// Header fields to add, `Set-Cookie` for instance.
    pub headers: Vec<(String, String)>,
    /// Go without compression on this connection, whatever was offered.
    pub without_deflate: bool,
}

/// How the application answers a request that it does not accept, plain HTTP among them.
#[derive(Clone, Debug)]
pub struct Reject {
    /// The HTTP status, 200 to 599.
    pub status: u16,
    /// Header fields to add; `Content-Length` and `Connection: close` are written already.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Judges an upgrade request (RFC 6455 4.2.1).
pub fn judge_request(request: &Request, config: &Config) -> Result<Offer, Fault> {
    let headers = &request.headers;
    judge_request_line(request)?;
    judge_body(headers)?;
    // RFC 6455 4.2.1 item 2: a Host with the server's authority. RFC 9112 3.2: exactly one.
    if !is_authority(single(headers, "Host")?) {
        return Err(Fault::HeaderInvalid("Host"));
    }
    // RFC 6455 4.2.1 items 3 and 4: Upgrade names websocket, Connection names upgrade.
    judge_word(headers, "Upgrade", "websocket")?;
    judge_word(headers, "Connection", "upgrade")?;
    // RFC 6455 4.2.1 item 6. Before the key: another version may have another key.
    if single(headers, "Sec-WebSocket-Version")? != "13" {
        return Err(Fault::VersionUnsupported);
    }
    let accept_key = judge_key(single(headers, "Sec-WebSocket-Key")?)?;
    judge_origin(headers, config)?;
    let subprotocols = judge_subprotocols(headers)?;
    let (deflate, deflate_answer) = judge_extensions(headers, config.deflate.as_ref())?.unzip();
    Ok(Offer { accept_key, subprotocols, deflate, deflate_answer: deflate_answer.unwrap_or_default() })
}

/// RFC 6455 4.2.1 item 1: an HTTP/1.1 or higher GET with a resource name.
fn judge_request_line(request: &Request) -> Result<(), Fault> {
    if request.method != "GET" {
        return Err(Fault::MethodNotGet);
    }
    if request.version_minor == 0 {
        return Err(Fault::HeadMalformed("an upgrade needs HTTP/1.1"));
    }
    let is_absolute =
        |scheme: &str| request.target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if !request.target.starts_with('/') && !is_absolute("http://") && !is_absolute("https://") {
        return Err(Fault::HeadMalformed("the request target is neither a path nor a URL"));
    }
    Ok(())
}

/// A body would be read as frames by one server and as a request by another: none may be announced.
fn judge_body(headers: &Headers) -> Result<(), Fault> {
    let is_empty = headers.get_all("content-length").all(|length| length == "0");
    let is_coded = headers.get("transfer-encoding").is_some();
    if is_empty && !is_coded { Ok(()) } else { Err(Fault::BodyOnUpgrade) }
}

/// The only value of a header that must be there once.
fn single<'a>(headers: &'a Headers, name: &'static str) -> Result<&'a str, Fault> {
    at_most_one(headers, name)?.ok_or(Fault::HeaderMissing(name))
}

fn at_most_one<'a>(headers: &'a Headers, name: &'static str) -> Result<Option<&'a str>, Fault> {
    let mut values = headers.get_all(name);
    let value = values.next();
    if value.is_some() && values.next().is_some() { Err(Fault::HeaderInvalid(name)) } else { Ok(value) }
}

fn judge_word(headers: &Headers, name: &'static str, word: &str) -> Result<(), Fault> {
    if headers.has_word(name, word) {
        return Ok(());
    }
    Err(if headers.get(name).is_some() { Fault::HeaderInvalid(name) } else { Fault::HeaderMissing(name) })
}

/// RFC 6455 4.2.1 item 5: base64 that decodes to 16 bytes.
fn judge_key(key: &str) -> Result<String, Fault> {
    if is_nonce(key) { Ok(accept_key(key)) } else { Err(Fault::HeaderInvalid("Sec-WebSocket-Key")) }
}

/// RFC 6455 4.2.1 item 7 and 10.2: a browser says on whose behalf it asks.
fn judge_origin(headers: &Headers, config: &Config) -> Result<(), Fault> {
    let origin = match at_most_one(headers, "Origin")? {
        Some(origin) => origin,
        None if config.requires_origin => return Err(Fault::HeaderMissing("Origin")),
        None => return Ok(()),
    };
    let is_allowed = config.origins.is_empty() || config.origins.iter().any(|one| one.eq_ignore_ascii_case(origin));
    if is_allowed { Ok(()) } else { Err(Fault::OriginNotAllowed) }
}

/// RFC 6455 4.2.1 item 8 and 4.1 item 10: tokens, no two of them the same.
fn judge_subprotocols(headers: &Headers) -> Result<Vec<String>, Fault> {
    const NAME: &str = "Sec-WebSocket-Protocol";
    let mut values = headers.get_all(NAME).peekable();
    if values.peek().is_none() {
        return Ok(Vec::new());
    }
    let offered: Vec<&str> = values.flat_map(list_items).collect();
    let mut sorted = offered.clone();
    sorted.sort_unstable();
    let is_good = !offered.is_empty()
        && offered.iter().all(|name| is_token(name))
        && sorted.windows(2).all(|pair| pair[0] != pair[1]);
    if is_good { Ok(offered.into_iter().map(str::to_owned).collect()) } else { Err(Fault::HeaderInvalid(NAME)) }
}

/// RFC 6455 4.2.1 item 9: what the grammar does not allow is a fault; what is not known is ignored; of
/// permessage-deflate the first offer that can be met is taken (RFC 7692 5.1).
fn judge_extensions(headers: &Headers, config: Option<&DeflateConfig>) -> Result<Option<(Parameters, String)>, Fault> {
    const NAME: &str = "Sec-WebSocket-Extensions";
    let mut agreed = None;
    for value in headers.get_all(NAME) {
        let extensions = parse_extensions(value).ok_or(Fault::HeaderInvalid(NAME))?;
        let mut offers = extensions.iter().filter(|extension| extension.name == EXTENSION_NAME);
        if let (None, Some(config)) = (&agreed, config) {
            agreed = offers.find_map(|offer| Parameters::agree(offer, config));
        }
    }
    Ok(agreed)
}

/// Writes the 101; `out` is untouched when it fails.
pub fn write_accept(offer: &Offer, accept: &Accept, config: &Config, out: &mut Vec<u8>) -> Result<Agreed, Misuse> {
    // RFC 9110 8.6 and 6.4.1: a 101 has no body and announces none.
    check_fields(
        &accept.headers,
        &[
            "Upgrade",
            "Connection",
            "Sec-WebSocket-Accept",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Version",
            "Sec-WebSocket-Protocol",
            "Sec-WebSocket-Extensions",
            "Content-Length",
            "Transfer-Encoding",
        ],
    )?;
    let subprotocol = choose_subprotocol(offer, accept, config)?;
    let deflate = if accept.without_deflate { None } else { offer.deflate.clone() };

    // RFC 6455 4.2.2 item 5.
    out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
    write_field(out, "Sec-WebSocket-Accept", &offer.accept_key);
    if let Some(name) = &subprotocol {
        write_field(out, "Sec-WebSocket-Protocol", name);
    }
    if deflate.is_some() {
        write_field(out, "Sec-WebSocket-Extensions", &offer.deflate_answer);
    }
    write_fields_and_end(out, &accept.headers);
    Ok(Agreed { subprotocol, deflate })
}

/// RFC 6455 4.2.2 item 4 (/subprotocol/): one that the client offers, or none.
fn choose_subprotocol(offer: &Offer, accept: &Accept, config: &Config) -> Result<Option<String>, Misuse> {
    match &accept.subprotocol {
        Some(name) if offer.subprotocols.contains(name) => Ok(Some(name.clone())),
        Some(name) => Err(Misuse::ProtocolInvalid(name.clone())),
        None => Ok(config.subprotocols.iter().find(|name| offer.subprotocols.contains(name)).cloned()),
    }
}

/// Writes a whole HTTP answer; `out` is untouched when it fails. `head_only` for HEAD requests.
///
/// What the status demands is added where the application does not say it: `Allow` to 405, `Upgrade` to 426.
pub fn write_reject(reject: &Reject, head_only: bool, out: &mut Vec<u8>) -> Result<(), Misuse> {
    let status = reject.status;
    if !(200..=599).contains(&status) {
        return Err(Misuse::StatusInvalid(status));
    }
    check_fields(&reject.headers, &["Connection", "Content-Length", "Transfer-Encoding"])?;
    let says = |name: &str| reject.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));

    out.extend_from_slice(format!("HTTP/1.1 {status} {}\r\n", reason_phrase(status)).as_bytes());
    // RFC 9110 15.5.6: a 405 names the methods that are allowed.
    if status == 405 && !says("Allow") {
        write_field(out, "Allow", "GET");
    }
    // RFC 9110 15.5.22 and 7.8: a 426 names the protocol, and Connection names that header.
    if status == 426 && !says("Upgrade") {
        write_field(out, "Upgrade", "websocket");
    }
    let has_upgrade = status == 426 || says("Upgrade");
    write_field(out, "Connection", if has_upgrade { "close, Upgrade" } else { "close" });
    // RFC 9110 8.6 and 15.4.5: 204 announces no length, 304 would announce that of another answer.
    let has_no_body = matches!(status, 204 | 304);
    if !has_no_body {
        write_field(out, "Content-Length", &reject.body.len().to_string());
    }
    write_fields_and_end(out, &reject.headers);
    if !has_no_body && !head_only {
        out.extend_from_slice(&reject.body);
    }
    Ok(())
}

impl Reject {
    /// A plain-text answer of one line.
    pub fn text(status: u16, line: &str) -> Reject {
        let headers = vec![("Content-Type".to_owned(), "text/plain; charset=utf-8".to_owned())];
        Reject { status, headers, body: format!("{line}\n").into_bytes() }
    }

    /// The answer to a request that broke a rule.
    pub fn fault(fault: &Fault) -> Reject {
        let mut reject = Reject::text(fault.http_status(), &fault.to_string());
        // RFC 6455 4.2.2 item 2 and 4.4: say which version would do.
        if *fault == Fault::VersionUnsupported {
            reject.headers.push(("Sec-WebSocket-Version".to_owned(), "13".to_owned()));
        }
        reject
    }
}

/// The reason phrase of a status (RFC 9110 15, RFC 6585); empty for those that nobody sends to a WebSocket client.
fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        511 => "Network Authentication Required",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n";

    fn judge_text(text: &str, config: &Config) -> Result<Offer, Fault> {
        judge_request(&Request::parse(format!("{text}\r\n").as_bytes(), 100).unwrap(), config)
    }

    /// Judges the good request with one text in it replaced.
    fn judge(old: &str, new: &str) -> Result<Offer, Fault> {
        assert!(GOOD.contains(old), "{old:?}");
        judge_text(&GOOD.replace(old, new), &Config::default())
    }

    fn answer(accept: &Accept, config: &Config, extra: &str) -> Result<(Agreed, String), Misuse> {
        let offer = judge_text(&format!("{GOOD}{extra}"), config).unwrap();
        let mut out = b"before".to_vec();
        match write_accept(&offer, accept, config, &mut out) {
            Ok(agreed) => Ok((agreed, String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned())),
            Err(misuse) => {
                assert_eq!(out, b"before");
                Err(misuse)
            }
        }
    }

    fn rejected(reject: &Reject, head_only: bool) -> Result<String, Misuse> {
        let mut out = Vec::new();
        let result = write_reject(reject, head_only, &mut out);
        assert_eq!(result.is_err(), out.is_empty());
        result.map(|()| String::from_utf8(out).unwrap())
    }

    fn field(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn the_rfcs_own_request_is_accepted_with_the_rfcs_own_answer() {
        // RFC 6455 1.3 and 4.2.2.
        let (agreed, text) =
            answer(&Accept { subprotocol: Some("chat".to_owned()), ..Accept::default() }, &Config::default(), "")
                .unwrap();
        assert_eq!(agreed.subprotocol.as_deref(), Some("chat"));
        assert_eq!(
            text,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
        );
        assert_eq!(accept_key("sN9cRrP/n9NdMgdcy2VJFQ=="), "fFBooB7FAkLlXgRSz0BT3v4hq5s=");
    }

    #[test]
    fn server_accepts_every_legal_spelling_of_an_upgrade() {
        for (old, new) in [
            ("Upgrade: websocket", "Upgrade: h2c, WebSocket"),
            ("Connection: Upgrade", "Connection: keep-alive, upgrade"),
            ("Connection: Upgrade", "connection: keep-alive\r\nCONNECTION: UPGRADE"),
            ("/chat", "http://server.example.com/chat"),
            ("Host: server.example.com", "Host: [::1]:8080"),
            ("Host:", "Content-Length: 0\r\nHost:"),
            ("chat, superchat", "chat\r\nSec-WebSocket-Protocol: superchat"),
            ("Origin: http://example.com\r\n", ""),
        ] {
            let offer = judge(old, new).unwrap();
            assert_eq!(offer.subprotocols, ["chat", "superchat"]);
        }
    }

    #[test]
    fn server_refuses_a_request_that_breaks_a_rule() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        for (old, new, fault) in [
            ("GET", "POST", Fault::MethodNotGet),
            ("GET", "get", Fault::MethodNotGet),
            ("HTTP/1.1", "HTTP/1.0", Fault::HeadMalformed("an upgrade needs HTTP/1.1")),
            ("/chat", "*", Fault::HeadMalformed("the request target is neither a path nor a URL")),
            ("/chat", "example:80", Fault::HeadMalformed("the request target is neither a path nor a URL")),
            ("Host: server.example.com\r\n", "", Fault::HeaderMissing("Host")),
            ("Host:", "Host: other\r\nHost:", Fault::HeaderInvalid("Host")),
            ("server.example.com", "", Fault::HeaderInvalid("Host")),
            ("server.example.com", "a, b", Fault::HeaderInvalid("Host")),
            ("server.example.com", "a/b", Fault::HeaderInvalid("Host")),
            ("Upgrade: websocket\r\n", "", Fault::HeaderMissing("Upgrade")),
            ("Upgrade: websocket", "Upgrade: websockets", Fault::HeaderInvalid("Upgrade")),
            ("Connection: Upgrade\r\n", "", Fault::HeaderMissing("Connection")),
            ("Connection: Upgrade", "Connection: keep-alive", Fault::HeaderInvalid("Connection")),
            ("Sec-WebSocket-Key:", "X-Key:", Fault::HeaderMissing("Sec-WebSocket-Key")),
            ("Sec-WebSocket-Version: 13\r\n", "", Fault::HeaderMissing("Sec-WebSocket-Version")),
            ("Version: 13", "Version: 8", Fault::VersionUnsupported),
            ("Version: 13", "Version: 013", Fault::VersionUnsupported),
            ("Version: 13", "Version: 13, 8", Fault::VersionUnsupported),
            ("Version: 13", "Version: 13\r\nSec-WebSocket-Version: 13", Fault::HeaderInvalid("Sec-WebSocket-Version")),
            ("Origin:", "Origin: null\r\nOrigin:", Fault::HeaderInvalid("Origin")),
            ("chat, superchat", "chat, superchat, chat", Fault::HeaderInvalid("Sec-WebSocket-Protocol")),
            ("chat, superchat", "chat, chat", Fault::HeaderInvalid("Sec-WebSocket-Protocol")),
            ("chat, superchat", "", Fault::HeaderInvalid("Sec-WebSocket-Protocol")),
            ("chat, superchat", "chat room", Fault::HeaderInvalid("Sec-WebSocket-Protocol")),
            (
                "Version: 13",
                "Version: 13\r\nSec-WebSocket-Extensions: a b",
                Fault::HeaderInvalid("Sec-WebSocket-Extensions"),
            ),
            (
                "Version: 13",
                "Version: 13\r\nSec-WebSocket-Extensions:",
                Fault::HeaderInvalid("Sec-WebSocket-Extensions"),
            ),
        ] {
            assert_eq!(judge(old, new).map(|_| ()), Err(fault), "{old:?} -> {new:?}");
        }
        for bad in [
            "",
            "AAAA",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZR==",
            "dGhlIHNhbXBsZSBub25jZTE=",
            "dGhlIHNhbXBsZSBub25jZ!==",
            "dGhlIHNhbXBsZSBub25jZTEyMw==",
        ] {
            assert_eq!(judge(key, bad).map(|_| ()), Err(Fault::HeaderInvalid("Sec-WebSocket-Key")), "{bad:?}");
        }
        let twice = judge("Sec-WebSocket-Key:", "Sec-WebSocket-Key: sN9cRrP/n9NdMgdcy2VJFQ==\r\nSec-WebSocket-Key:");
        assert_eq!(twice.map(|_| ()), Err(Fault::HeaderInvalid("Sec-WebSocket-Key")));
    }

    #[test]
    fn server_refuses_a_body_on_an_upgrade() {
        for header in [
            "Content-Length: 5",
            "Content-Length: 0\r\nContent-Length: 5",
            "Content-Length: -0",
            "Content-Length:",
            "Transfer-Encoding: chunked",
            "Transfer-Encoding:",
        ] {
            assert_eq!(
                judge("Host:", &format!("{header}\r\nHost:")).map(|_| ()),
                Err(Fault::BodyOnUpgrade),
                "{header}"
            );
        }
    }

    #[test]
    fn server_refuses_an_origin_that_is_not_on_its_list() {
        let config = Config { origins: vec!["https://good.example".to_owned()], ..Config::default() };
        let judge = |origin: &str| judge_text(&GOOD.replace("http://example.com", origin), &config).map(|_| ());
        assert_eq!(judge("https://good.example"), Ok(()));
        assert_eq!(judge("HTTPS://Good.example"), Ok(()));
        for bad in ["http://good.example", "https://good.example.evil.example", "https://good.example:8443", "null", ""]
        {
            assert_eq!(judge(bad), Err(Fault::OriginNotAllowed), "{bad:?}");
        }
        assert!(judge_text(&GOOD.replace("Origin: http://example.com\r\n", ""), &config).is_ok());
    }

    #[test]
    fn many_subprotocols_and_extensions_are_judged_in_linear_time() {
        let protocols: Vec<String> = (0..30_000).map(|i| i.to_string()).collect();
        let offer = judge("chat, superchat", &protocols.join(",")).unwrap();
        assert_eq!(offer.subprotocols.len(), 30_000);
        let offers = format!("Version: 13\r\nSec-WebSocket-Extensions: {}", "permessage-deflate;x,".repeat(30_000));
        assert_eq!(judge("Version: 13", &offers).unwrap().deflate, None);
    }

    #[test]
    fn server_chooses_a_subprotocol_that_was_offered_or_none() {
        let config = Config {
            subprotocols: vec!["other".to_owned(), "superchat".to_owned(), "chat".to_owned()],
            ..Config::default()
        };
        let (agreed, text) = answer(&Accept::default(), &config, "").unwrap();
        assert_eq!(agreed.subprotocol.as_deref(), Some("superchat"));
        assert!(text.contains("Sec-WebSocket-Protocol: superchat\r\n"));
        let (agreed, text) = answer(&Accept::default(), &Config::default(), "").unwrap();
        assert_eq!(agreed.subprotocol, None);
        assert!(!text.contains("Protocol:"));
        let accept = Accept { subprotocol: Some("other".to_owned()), ..Accept::default() };
        assert_eq!(answer(&accept, &config, ""), Err(Misuse::ProtocolInvalid("other".to_owned())));
    }

    #[cfg(feature = "deflate")]
    #[test]
    fn server_takes_the_first_compression_offer_that_it_can_meet() {
        let config = Config { deflate: Some(DeflateConfig::default()), ..Config::default() };
        let offers = "Sec-WebSocket-Extensions: other, permessage-deflate; server_max_window_bits=16\r\n\
            Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10, permessage-deflate\r\n\
            Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=11\r\n";
        let (agreed, text) = answer(&Accept::default(), &config, offers).unwrap();
        assert_eq!(agreed.deflate.map(|deflate| deflate.server_max_window_bits), Some(10));
        assert!(text.contains("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n"));
        let without = Accept { without_deflate: true, ..Accept::default() };
        for (accept, config, offers) in [
            (&without, &config, offers),
            (&Accept::default(), &Config::default(), offers),
            (&Accept::default(), &config, "Sec-WebSocket-Extensions: permessage-deflate; x\r\n"),
            (&Accept::default(), &config, ""),
        ] {
            let (agreed, text) = answer(accept, config, offers).unwrap();
            assert_eq!(agreed.deflate, None);
            assert!(!text.contains("Extensions"));
        }
    }

    #[test]
    fn a_header_that_would_break_the_answer_is_misuse() {
        for (name, value) in [
            ("X", "a\r\nSet-Cookie: b"),
            ("X", "a\nb"),
            ("X", "a\rb"),
            ("X", "a\0b"),
            ("X", "a\u{7f}"),
            ("X\r\nY", "a"),
            ("X:", "a"),
            ("", "a"),
            ("X Y", "a"),
            ("connection", "close"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Length", "5"),
        ] {
            let misuse = Misuse::HeaderInvalid(name.to_owned());
            let accept = Accept { headers: field(name, value), ..Accept::default() };
            assert_eq!(answer(&accept, &Config::default(), ""), Err(misuse.clone()), "{name:?}: {value:?}");
            let reject = Reject { headers: field(name, value), ..Reject::text(400, "") };
            assert_eq!(rejected(&reject, false), Err(misuse), "{name:?}: {value:?}");
        }
        for name in ["Upgrade", "sec-websocket-accept", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"] {
            let accept = Accept { headers: field(name, "x"), ..Accept::default() };
            assert_eq!(answer(&accept, &Config::default(), ""), Err(Misuse::HeaderInvalid(name.to_owned())));
        }
        let accept = Accept { headers: field("Set-Cookie", "a=b\tc \u{e9}"), ..Accept::default() };
        assert!(answer(&accept, &Config::default(), "").unwrap().1.ends_with("\r\nSet-Cookie: a=b\tc \u{e9}\r\n\r\n"));
    }

    #[test]
    fn a_refusal_is_a_whole_http_answer() {
        assert_eq!(
            rejected(&Reject::text(404, "no such page"), false).unwrap(),
            "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 13\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\nno such page\n"
        );
        assert!(
            rejected(&Reject::text(404, "x"), true)
                .unwrap()
                .ends_with("Content-Length: 2\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n")
        );
        assert!(rejected(&Reject::text(299, ""), false).unwrap().starts_with("HTTP/1.1 299 \r\n"));
        let empty = rejected(&Reject::text(204, "x"), false).unwrap();
        assert!(!empty.contains("Content-Length") && empty.ends_with("\r\n\r\n"));
        for status in [0, 100, 101, 199, 600, 65535] {
            assert_eq!(rejected(&Reject::text(status, ""), false), Err(Misuse::StatusInvalid(status)));
        }
    }

    #[test]
    fn a_fault_is_answered_with_its_status_and_what_the_status_demands() {
        let text = rejected(&Reject::fault(&Fault::VersionUnsupported), false).unwrap();
        assert!(text.starts_with("HTTP/1.1 426 Upgrade Required\r\n"));
        assert!(text.contains("\r\nSec-WebSocket-Version: 13\r\n") && text.contains("\r\nUpgrade: websocket\r\n"));
        assert!(text.contains("\r\nConnection: close, Upgrade\r\n"));
        assert!(text.ends_with("\r\n\r\nthe WebSocket version must be 13 (RFC 6455 4.4)\n"));
        let text = rejected(&Reject::fault(&Fault::MethodNotGet), false).unwrap();
        assert!(text.starts_with("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\n"));
        assert!(
            rejected(&Reject::fault(&Fault::OriginNotAllowed), false)
                .unwrap()
                .starts_with("HTTP/1.1 403 Forbidden\r\n")
        );
    }
}
