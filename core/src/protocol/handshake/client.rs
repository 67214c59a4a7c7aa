//! The client's half: write the request, judge the answer (RFC 6455 4.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::config::{Config, DeflateConfig};
use super::super::deflate::{EXTENSION_NAME, Parameters};
use super::super::fault::{Fault, Misuse};
use super::http::{check_fields, is_authority, is_nonce, write_field, write_fields_and_end};
use super::{Agreed, Headers, Response, Uri, accept_key, is_token, parse_extensions};

/// A good answer's verdict.
pub type Answer = Agreed;

/// Writes the opening request with this `Sec-WebSocket-Key`; `out` is untouched when it fails.
///
/// `headers` may say `Host` and `Authorization` otherwise than the URL does; the other headers of the
/// handshake are not theirs to set.
pub fn write_request(
    uri: &Uri,
    key: &str,
    config: &Config,
    headers: &[(String, String)],
    out: &mut Vec<u8>,
) -> Result<(), Misuse> {
    check_request(uri, key, config, headers)?;
    let gives = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));

    // RFC 6455 4.1, items 1 to 11 of the client's requirements.
    for part in ["GET ", &uri.target, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    if !gives("Host") {
        write_field(out, "Host", &uri.authority());
    }
    out.extend_from_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\n");
    write_field(out, "Sec-WebSocket-Key", key);
    out.extend_from_slice(b"Sec-WebSocket-Version: 13\r\n");
    if !config.subprotocols.is_empty() {
        write_field(out, "Sec-WebSocket-Protocol", &config.subprotocols.join(", "));
    }
    if let Some(deflate) = offered(config) {
        write_field(out, "Sec-WebSocket-Extensions", &Parameters::offer(deflate));
    }
    if let Some(userinfo) = uri.userinfo.as_ref().filter(|_| !gives("Authorization")) {
        // RFC 7617 2.
        write_field(out, "Authorization", &format!("Basic {}", STANDARD.encode(userinfo)));
    }
    write_fields_and_end(out, headers);
    Ok(())
}

fn check_request(uri: &Uri, key: &str, config: &Config, headers: &[(String, String)]) -> Result<(), Misuse> {
    // RFC 9112 3.2.1: a target of printable ASCII. Uri::parse gives no other, but its fields are public.
    if !uri.target.starts_with('/') || !uri.target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Misuse::UrlInvalid("the URL's target is not a path in ASCII".to_owned()));
    }
    if !is_authority(&uri.host) {
        return Err(Misuse::UrlInvalid("the URL's host is not a host".to_owned()));
    }
    if !is_nonce(key) {
        return Err(Misuse::HeaderInvalid("Sec-WebSocket-Key".to_owned()));
    }
    if let Some(name) = config.subprotocols.iter().find(|name| !is_token(name)) {
        return Err(Misuse::ProtocolInvalid(name.clone()));
    }
    check_fields(
        headers,
        &[
            "Upgrade",
            "Connection",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Version",
            "Sec-WebSocket-Protocol",
            "Sec-WebSocket-Extensions",
            "Sec-WebSocket-Accept",
            "Content-Length",
            "Transfer-Encoding",
        ],
    )?;
    // RFC 9112 3.2: exactly one Host.
    let mut hosts = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Host"));
    let is_good = hosts.next().is_none_or(|(_, host)| is_authority(host)) && hosts.next().is_none();
    if is_good { Ok(()) } else { Err(Misuse::HeaderInvalid("Host".to_owned())) }
}

/// The compression that is offered.
fn offered(config: &Config) -> Option<&DeflateConfig> {
    config.deflate.as_ref().filter(|_| cfg!(feature = "deflate"))
}

/// Judges the answer's head: a 101 that keeps every rule, or the fault.
pub fn judge_answer(response: &Response, key: &str, config: &Config) -> Result<Agreed, Fault> {
    let headers = &response.headers;
    // RFC 6455 4.1 item 1: anything but 101 is HTTP's affair.
    if response.status != 101 {
        return Err(Fault::Refused(response.status));
    }
    // RFC 9110 15.2: a 1xx does not exist before HTTP/1.1.
    if response.version_minor == 0 {
        return Err(Fault::AnswerInvalid("a 101 came with HTTP/1.0"));
    }
    // Items 2 and 3: Upgrade says websocket and nothing else; Connection says upgrade, among others.
    let upgrade = single(headers, "Upgrade", "the answer does not have one Upgrade header")?;
    if !upgrade.eq_ignore_ascii_case("websocket") {
        return Err(Fault::AnswerInvalid("the answer upgrades to something else than websocket"));
    }
    if !headers.has_word("connection", "upgrade") {
        return Err(Fault::AnswerInvalid("the answer's Connection header does not say upgrade"));
    }
    // Item 4: proof that a WebSocket server read this very request.
    let accept = single(headers, "Sec-WebSocket-Accept", "the answer does not have one Sec-WebSocket-Accept header")?;
    if accept != accept_key(key) {
        return Err(Fault::AnswerInvalid("Sec-WebSocket-Accept does not answer this Sec-WebSocket-Key"));
    }
    Ok(Agreed { subprotocol: judge_subprotocol(headers, config)?, deflate: judge_extensions(headers, config)? })
}

fn single<'a>(headers: &'a Headers, name: &'a str, fault: &'static str) -> Result<&'a str, Fault> {
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        (None, _) | (Some(_), Some(_)) => Err(Fault::AnswerInvalid(fault)),
    }
}

/// RFC 6455 4.1 item 6: one that was offered, or none.
fn judge_subprotocol(headers: &Headers, config: &Config) -> Result<Option<String>, Fault> {
    const NAME: &str = "Sec-WebSocket-Protocol";
    if headers.get(NAME).is_none() {
        return Ok(None);
    }
    let name = single(headers, NAME, "the answer has more than one Sec-WebSocket-Protocol header")?;
    match config.subprotocols.iter().find(|offered| *offered == name) {
        Some(offered) => Ok(Some(offered.clone())),
        None => Err(Fault::AnswerInvalid("the answer names a subprotocol that was not offered")),
    }
}

/// RFC 6455 4.1 item 5 and 9.1: nothing that was not offered, nothing twice.
fn judge_extensions(headers: &Headers, config: &Config) -> Result<Option<Parameters>, Fault> {
    let mut agreed = None;
    for value in headers.get_all("Sec-WebSocket-Extensions") {
        let extensions = parse_extensions(value)
            .ok_or(Fault::AnswerInvalid("the answer's Sec-WebSocket-Extensions breaks the grammar"))?;
        for extension in &extensions {
            let Some(deflate) = offered(config).filter(|_| extension.name == EXTENSION_NAME) else {
                return Err(Fault::AnswerInvalid("the answer names an extension that was not offered"));
            };
            if agreed.replace(Parameters::accept_answer(extension, deflate)?).is_some() {
                return Err(Fault::AnswerInvalid("the answer names permessage-deflate twice"));
            }
        }
    }
    Ok(agreed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    fn config(subprotocols: &[&str], deflate: Option<DeflateConfig>) -> Config {
        let subprotocols = subprotocols.iter().map(|&name| name.to_owned()).collect();
        Config { subprotocols, deflate, ..Config::default() }
    }

    fn request(url: &str, config: &Config, headers: &[(&str, &str)]) -> Result<String, Misuse> {
        let headers: Vec<_> = headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut out = Vec::new();
        let result = write_request(&Uri::parse(url)?, KEY, config, &headers, &mut out);
        assert_eq!(result.is_err(), out.is_empty());
        result.map(|()| String::from_utf8(out).unwrap())
    }

    fn judge_text(text: &str, config: &Config) -> Result<Agreed, Fault> {
        judge_answer(&Response::parse(format!("{text}\r\n").as_bytes(), 100).unwrap(), KEY, config)
    }

    /// Judges the good answer with one text in it replaced.
    fn judge(old: &str, new: &str) -> Result<Agreed, Fault> {
        assert!(GOOD.contains(old), "{old:?}");
        judge_text(&GOOD.replace(old, new), &Config::default())
    }

    fn judge_with(extra: &str, config: &Config) -> Result<Agreed, Fault> {
        judge_text(&format!("{GOOD}{extra}\r\n"), config)
    }

    #[test]
    fn client_writes_the_request_that_a_server_wants() {
        assert_eq!(
            request("ws://example.com:8080/chat?x", &config(&["chat", "superchat"], None), &[("Origin", "http://a")])
                .unwrap(),
            "GET /chat?x HTTP/1.1\r\nHost: example.com:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: chat, superchat\r\nOrigin: http://a\r\n\r\n"
        );
        let text = request("ws://example.com/", &config(&["chat"], None), &[]).unwrap();
        let offer = super::super::judge_request(
            &super::super::Request::parse(text.as_bytes(), 100).unwrap(),
            &Config::default(),
        );
        assert_eq!(offer.unwrap().accept_key, accept_key(KEY));
    }

    #[test]
    fn host_and_authorization_may_be_said_otherwise() {
        let text = request("ws://Aladdin:open%20sesame@a/", &Config::default(), &[]).unwrap();
        assert!(text.contains("\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
        assert!(text.contains("\r\nHost: a\r\n"));
        let own = [("host", "b:1"), ("authorization", "Bearer x"), ("Cookie", "c"), ("User-Agent", "d")];
        let text = request("ws://Aladdin:open%20sesame@a/", &Config::default(), &own).unwrap();
        assert!(!text.contains("Host: a") && !text.contains("Basic"));
        assert!(text.ends_with("\r\nhost: b:1\r\nauthorization: Bearer x\r\nCookie: c\r\nUser-Agent: d\r\n\r\n"));
    }

    #[cfg(feature = "deflate")]
    #[test]
    fn client_offers_the_compression_that_it_wants() {
        let offer = |deflate| {
            let text = request("ws://a/", &config(&[], Some(deflate)), &[]).unwrap();
            text.split_once("Sec-WebSocket-Extensions: ").unwrap().1.split_once("\r\n").unwrap().0.to_owned()
        };
        assert_eq!(offer(DeflateConfig::default()), "permessage-deflate; client_max_window_bits");
        let all = DeflateConfig {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: 9,
            client_max_window_bits: 10,
            ..DeflateConfig::default()
        };
        assert_eq!(
            offer(all),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=9; client_max_window_bits=10"
        );
    }

    #[test]
    fn a_header_that_would_break_the_request_is_misuse() {
        for (name, value) in [
            ("X", "a\r\nB: c"),
            ("X", "a\n"),
            ("X", "\0"),
            ("X:", "a"),
            ("", ""),
            ("Upgrade", "h2c"),
            ("connection", "close"),
            ("Sec-WebSocket-Key", KEY),
            ("sec-websocket-version", "8"),
            ("Sec-WebSocket-Protocol", "a"),
            ("Sec-WebSocket-Extensions", "a"),
            ("Content-Length", "5"),
            ("Transfer-Encoding", "chunked"),
            ("Host", ""),
            ("Host", "a/b"),
        ] {
            let misuse = Misuse::HeaderInvalid(name.to_owned());
            assert_eq!(request("ws://a/", &Config::default(), &[(name, value)]), Err(misuse), "{name:?}: {value:?}");
        }
        assert!(request("ws://a/", &Config::default(), &[("Host", "a"), ("HOST", "b")]).is_err());
        let bad = config(&["a\r\nb"], None);
        assert_eq!(request("ws://a/", &bad, &[]), Err(Misuse::ProtocolInvalid("a\r\nb".to_owned())));
        let uri = Uri::parse("ws://a/").unwrap();
        for uri in [
            Uri { target: "/ HTTP/1.1\r\nX: y".to_owned(), ..uri.clone() },
            Uri { target: String::new(), ..uri.clone() },
            Uri { host: "a\r\nX: y".to_owned(), ..uri.clone() },
        ] {
            assert!(matches!(write_request(&uri, KEY, &bad, &[], &mut Vec::new()), Err(Misuse::UrlInvalid(_))));
        }
        let result = write_request(&uri, "x\r\ny", &Config::default(), &[], &mut Vec::new());
        assert_eq!(result, Err(Misuse::HeaderInvalid("Sec-WebSocket-Key".to_owned())));
    }

    #[test]
    fn client_accepts_every_legal_spelling_of_the_answer() {
        for (old, new) in [
            ("101 Switching Protocols", "101 "),
            ("Upgrade: websocket", "UPGRADE: WebSocket"),
            ("Connection: Upgrade", "Connection: keep-alive, upgrade"),
            ("Connection:", "Server: x\r\nConnection:"),
        ] {
            assert_eq!(judge(old, new), Ok(Agreed::default()), "{new:?}");
        }
    }

    #[test]
    fn client_refuses_an_answer_that_breaks_a_rule() {
        for (old, new) in [
            ("HTTP/1.1", "HTTP/1.0"),
            ("Upgrade: websocket\r\n", ""),
            ("Upgrade: websocket", "Upgrade: websocket, h2c"),
            ("Upgrade: websocket", "Upgrade: websocket\r\nUpgrade: websocket"),
            ("Connection: Upgrade\r\n", ""),
            ("Connection: Upgrade", "Connection: close"),
            ("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", ""),
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "S3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo"),
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", ""),
            ("xOo=", "xOo=\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("xOo=", "xOo=\r\nSec-WebSocket-Protocol: chat"),
            ("xOo=", "xOo=\r\nSec-WebSocket-Extensions: permessage-deflate"),
            ("xOo=", "xOo=\r\nSec-WebSocket-Extensions: x"),
        ] {
            assert!(matches!(judge(old, new), Err(Fault::AnswerInvalid(_))), "{old:?} -> {new:?}");
        }
        for status in [200, 301, 400, 401, 426, 500] {
            assert_eq!(judge("101", &status.to_string()), Err(Fault::Refused(status)));
        }
    }

    #[test]
    fn client_takes_only_a_subprotocol_that_it_offered_and_only_one() {
        let config = config(&["chat", "superchat"], None);
        let judge = |extra: &str| judge_with(extra, &config).map(|agreed| agreed.subprotocol);
        assert_eq!(judge("Sec-WebSocket-Protocol: superchat"), Ok(Some("superchat".to_owned())));
        assert_eq!(judge("X: y"), Ok(None));
        for bad in ["other", "Chat", "", "chat, superchat", "chat\r\nSec-WebSocket-Protocol: chat"] {
            assert!(judge(&format!("Sec-WebSocket-Protocol: {bad}")).is_err(), "{bad:?}");
        }
    }

    #[cfg(feature = "deflate")]
    #[test]
    fn client_takes_only_compression_that_it_offered_and_only_once() {
        let config = config(&[], Some(DeflateConfig::default()));
        let judge = |value: &str| {
            judge_with(&format!("Sec-WebSocket-Extensions: {value}"), &config).map(|agreed| agreed.deflate)
        };
        let agreed =
            judge("permessage-deflate; server_max_window_bits=10; client_max_window_bits=\"9\"").unwrap().unwrap();
        assert_eq!((agreed.server_max_window_bits, agreed.client_max_window_bits), (10, 9));
        assert_eq!(judge_with("X: y", &config).unwrap().deflate, None);
        for bad in [
            "permessage-deflate, permessage-deflate",
            "permessage-deflate\r\nSec-WebSocket-Extensions: permessage-deflate",
            "permessage-deflate, x",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; mystery",
            "permessage-deflate;",
            "",
        ] {
            assert!(judge(bad).is_err(), "{bad:?}");
        }
    }
}
