//! HTTP/1.1 heads: where one ends, what it says, how a field is written.

use std::borrow::Cow;
use std::mem::{self, MaybeUninit};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use httparse::Status;

use super::super::fault::{Fault, Misuse};

/// Finds the end of a head in bytes that arrive piece by piece; looks at each byte once.
#[derive(Clone, Debug, Default)]
pub struct HeadFinder {
    /// Everything before is known to hold no end; the line feed that may begin one stands here.
    scanned: usize,
}

impl HeadFinder {
    /// The length of the head at the front of `bytes`, its empty line included (CRLFCRLF, or bare LF);
    /// `None` when more bytes are needed. Call again with the same bytes and more behind them.
    ///
    /// One empty line in front is part of the head; two of them end it (and it will not parse).
    pub fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        // RFC 9112 2.2: a recipient may take a single LF for the end of a line.
        while let Some(at) = memchr::memchr(b'\n', bytes.get(self.scanned..)?) {
            let feed = self.scanned + at;
            match bytes[feed + 1..] {
                [b'\n', ..] => return Some(feed + 2),
                [b'\r', b'\n', ..] => return Some(feed + 3),
                [] | [b'\r'] => {
                    self.scanned = feed;
                    return None;
                }
                _ => self.scanned = feed + 1,
            }
        }
        self.scanned = bytes.len();
        None
    }
}

/// Header fields in order, names without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// Name, value, name, value … without anything between.
    text: String,
    /// For each field, where in `text` its name ends and where its value ends. A name begins where the
    /// value before it ends.
    ends: Vec<(usize, usize)>,
}

impl Headers {
    /// Fields that somebody else has parsed: a web server that hosts the engine. They are taken as they are.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in pairs {
            headers.text.push_str(name.as_ref());
            let name_end = headers.text.len();
            headers.text.push_str(value.as_ref());
            headers.ends.push((name_end, headers.text.len()));
        }
        headers
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Name and value of the field at this place, the first being 0.
    pub fn nth(&self, index: usize) -> Option<(&str, &str)> {
        let &(name_end, value_end) = self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before].1);
        Some((&self.text[start..name_end], &self.text[name_end..value_end]))
    }

    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// All values of `name`, in order.
    pub fn get_all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let mut start = 0;
        self.ends.iter().filter_map(move |&(name_end, value_end)| {
            let begin = mem::replace(&mut start, value_end);
            // Bytes: most fields differ in length already, and a slice of text would look at its edges first.
            let is_it = name_end - begin == name.len()
                && self.text.as_bytes()[begin..name_end].eq_ignore_ascii_case(name.as_bytes());
            is_it.then(|| &self.text[name_end..value_end])
        })
    }

    /// Name and value of each field, in order, names as they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.iter().map(move |&(name_end, value_end)| {
            let field = (&self.text[start..name_end], &self.text[name_end..value_end]);
            start = value_end;
            field
        })
    }

    /// Whether the comma-separated lists of `name` hold this word, without regard to case.
    pub fn has_word(&self, name: &str, word: &str) -> bool {
        self.get_all(name).flat_map(list_items).any(|item| item.eq_ignore_ascii_case(word))
    }

    fn from_parsed(fields: &[httparse::Header<'_>]) -> Headers {
        let mut ends = Vec::with_capacity(fields.len());
        let mut text = Vec::with_capacity(fields.iter().map(|field| field.name.len() + field.value.len()).sum());
        for field in fields {
            text.extend_from_slice(field.name.as_bytes());
            let name_end = text.len();
            text.extend_from_slice(field.value);
            ends.push((name_end, text.len()));
        }
        // One look at the whole will do: a name in ASCII stands between any two values, so that what is
        // UTF-8 together is UTF-8 in each part.
        match String::from_utf8(text) {
            Ok(text) => Headers { text, ends },
            Err(_) => Headers::from_pairs(fields.iter().map(|field| (field.name, characters(field.value)))),
        }
    }
}

/// A request's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, as it was written.
    pub method: String,
    /// The target, as it was written: path and query.
    pub target: String,
    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    pub version_minor: u8,
    /// The header fields.
    pub headers: Headers,
}

impl Request {
    /// Reads a whole head, as [`HeadFinder`] cuts it.
    pub fn parse(head: &[u8], max_headers: usize) -> Result<Request, Fault> {
        with_fields(head, max_headers, |fields| {
            let mut parsed = httparse::Request::new(&mut []);
            let length = parsed.parse_with_uninit_headers(head, fields)?;
            let request = Request {
                method: parsed.method.unwrap_or_default().to_owned(),
                target: parsed.path.unwrap_or_default().to_owned(),
                version_minor: parsed.version.unwrap_or_default(),
                headers: Headers::from_parsed(parsed.headers),
            };
            Ok((length, request))
        })
    }

    /// A request that somebody else has parsed: a web server that hosts the engine. HTTP/1.1 is assumed.
    pub fn from_parts(method: impl Into<String>, target: impl Into<String>, headers: Headers) -> Request {
        Request { method: method.into(), target: target.into(), version_minor: 1, headers }
    }

    /// Whether the client asks for WebSocket, well or badly; otherwise it is plain HTTP.
    ///
    /// An `Upgrade` to websocket shows the intention, and so does a `Sec-WebSocket-Key` without one (a
    /// proxy that drops `Upgrade` is the usual cause, and deserves its answer).
    pub fn is_upgrade(&self) -> bool {
        self.headers.has_word("upgrade", "websocket") || self.headers.get("sec-websocket-key").is_some()
    }

    /// `Origin`, as browsers send it.
    pub fn origin(&self) -> Option<&str> {
        self.headers.get("origin")
    }

    /// The subprotocols that the client offers, best first.
    pub fn subprotocols(&self) -> Vec<&str> {
        self.headers.get_all("sec-websocket-protocol").flat_map(list_items).collect()
    }
}

/// A response's head, and the body of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    pub version_minor: u8,
    /// The header fields.
    pub headers: Headers,
    /// The body of a refused handshake, as far as `Config::max_body_bytes` goes; empty after a 101.
    pub body: Vec<u8>,
}

impl Response {
    /// Reads a whole head, as [`HeadFinder`] cuts it.
    pub fn parse(head: &[u8], max_headers: usize) -> Result<Response, Fault> {
        // RFC 9112 2.2 lets only a server skip an empty line in front.
        if !head.starts_with(b"HTTP/") {
            return Err(Fault::HeadMalformed("the answer does not begin with HTTP"));
        }
        with_fields(head, max_headers, |fields| {
            let mut parsed = httparse::Response::new(&mut []);
            let config = httparse::ParserConfig::default();
            let length = config.parse_response_with_uninit_headers(&mut parsed, head, fields)?;
            let response = Response {
                status: parsed.code.unwrap_or_default(),
                reason: parsed.reason.unwrap_or_default().to_owned(),
                version_minor: parsed.version.unwrap_or_default(),
                headers: Headers::from_parsed(parsed.headers),
                body: Vec::new(),
            };
            Ok((length, response))
        })
    }
}

/// A value as text. RFC 9110 5.5: bytes above 127 are opaque; as Latin-1 each of them has a character.
pub fn characters(value: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => value.iter().map(|&byte| char::from(byte)).collect(),
    }
}

/// Whether this is a token (RFC 9110 5.6.2).
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Whether a token may hold this byte (RFC 9110 5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    // A comparison each: in so short a list a search is dearer.
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'!' | b'#' | b'$' | b'%' | b'&'
        | b'\'' | b'*' | b'+' | b'^' | b'`' | b'|' | b'~')
}

/// Whether this can name a server, as `Host` does: no white space, nothing that ends an authority (RFC 3986 3.2).
pub(super) fn is_authority(host: &str) -> bool {
    let ends = |byte| matches!(byte, 0..=b' ' | 127 | b',' | b'/' | b'?' | b'#' | b'@' | b'\\' | b'"' | b'<' | b'>');
    !host.is_empty() && !host.bytes().any(ends)
}

/// Whether this can be a `Sec-WebSocket-Key`: base64 of 16 bytes (RFC 6455 4.1).
pub(super) fn is_nonce(key: &str) -> bool {
    STANDARD.decode_slice(key, &mut [0; 18]) == Ok(16)
}

/// The items of a comma-separated list (RFC 9110 5.6.1.2: empty ones are skipped).
pub(super) fn list_items(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(trim).filter(|item| !item.is_empty())
}

/// Without the white space that HTTP knows around it.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Checks fields that the application adds: none may break the head, none may bear a name of ours.
pub(super) fn check_fields(fields: &[(String, String)], ours: &[&str]) -> Result<(), Misuse> {
    let is_bad = |(name, value): &&(String, String)| {
        !is_token(name)
            || ours.iter().any(|our| our.eq_ignore_ascii_case(name))
            // RFC 9110 5.5: CR, LF and NUL are dangerous, the other controls are invalid.
            || value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t')
    };
    match fields.iter().find(is_bad) {
        Some((name, _)) => Err(Misuse::HeaderInvalid(name.clone())),
        None => Ok(()),
    }
}

/// Appends one header line.
pub(super) fn write_field(out: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Appends all header lines and the empty line that ends a head.
pub(super) fn write_fields_and_end(out: &mut Vec<u8>, fields: &[(String, String)]) {
    for (name, value) in fields {
        write_field(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

/// Most fields that are parsed without an allocation for them.
const USUAL_FIELDS: usize = 48;

/// Runs `parse` with room for the fields: few of them on the stack, many on the heap.
fn with_fields<'head, T>(
    head: &'head [u8],
    max_headers: usize,
    parse: impl Fn(&mut [MaybeUninit<httparse::Header<'head>>]) -> Result<(Status<usize>, T), httparse::Error>,
) -> Result<T, Fault> {
    let mut few = [const { MaybeUninit::uninit() }; USUAL_FIELDS];
    let parsed = match parse(&mut few[..max_headers.min(USUAL_FIELDS)]) {
        Err(httparse::Error::TooManyHeaders) if max_headers > USUAL_FIELDS => {
            // The shortest field takes three bytes: room for more than the head can hold is never made.
            parse(&mut vec![MaybeUninit::uninit(); max_headers.min(head.len() / 3)])
        }
        parsed => parsed,
    };
    match parsed {
        Ok((Status::Complete(length), value)) if length == head.len() => Ok(value),
        Ok((Status::Complete(_), _)) => Err(Fault::HeadMalformed("there are bytes behind the head")),
        Ok((Status::Partial, _)) => Err(Fault::HeadMalformed("the head is not complete")),
        Err(httparse::Error::TooManyHeaders) => Err(Fault::TooManyHeaders(max_headers)),
        Err(httparse::Error::HeaderName) => Err(Fault::HeadMalformed("a header name is not a token")),
        Err(httparse::Error::HeaderValue) => Err(Fault::HeadMalformed("a header value holds a control character")),
        Err(httparse::Error::NewLine) => Err(Fault::HeadMalformed("a carriage return stands alone")),
        Err(httparse::Error::Status) => Err(Fault::HeadMalformed("the status line is malformed")),
        Err(httparse::Error::Token) => Err(Fault::HeadMalformed("the request line is malformed")),
        Err(httparse::Error::Version) => Err(Fault::HeadMalformed("the HTTP version is neither 1.0 nor 1.1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"GET /chat?x=1 HTTP/1.1\r\nHost: a.example\r\nUpgrade: h2c, WebSocket\r\n\
        X-Empty:\r\nSec-WebSocket-Protocol: a,, b\r\nsec-websocket-protocol:\tc \t\r\n\r\n";

    #[test]
    fn the_end_of_a_head_is_found_however_it_is_cut() {
        for head in [HEAD, b"a\n\n", b"a\r\n\n", b"a\n\r\n", b"\r\na\r\nb\n\n", b"\n\n", b"\r\n\r\n"] {
            let bytes = [head, b"more\r\n\r\n"].concat();
            for step in 1..=bytes.len() {
                let mut finder = HeadFinder::default();
                let mut lengths = (0..bytes.len()).step_by(step).chain([bytes.len()]);
                let found = lengths.find_map(|length| finder.find(&bytes[..length]));
                assert_eq!(found, Some(head.len()), "{head:?} in steps of {step}");
            }
        }
    }

    #[test]
    fn a_head_without_an_end_is_scanned_once() {
        let bytes = [&b"GET / HTTP/1.1\r\n"[..], &b"a: b\r\n".repeat(1000)].concat();
        let mut finder = HeadFinder::default();
        for length in 0..=bytes.len() {
            assert_eq!(finder.find(&bytes[..length]), None);
            assert!(finder.scanned + 2 >= length, "{} of {length}", finder.scanned);
        }
    }

    #[test]
    fn a_request_is_taken_apart() {
        let request = Request::parse(HEAD, 100).unwrap();
        assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/chat?x=1"));
        assert_eq!(request.version_minor, 1);
        assert_eq!(request.headers.len(), 5);
        assert_eq!(request.headers.get("HOST"), Some("a.example"));
        assert_eq!(request.headers.get("x-empty"), Some(""));
        assert_eq!(request.headers.nth(0), Some(("Host", "a.example")));
        assert_eq!(request.headers.nth(4), Some(("sec-websocket-protocol", "c")));
        assert_eq!(request.headers.nth(5), None);
        assert_eq!(request.subprotocols(), ["a", "b", "c"]);
        assert!(request.is_upgrade());
        assert_eq!(Headers::from_pairs(request.headers.iter()), request.headers);
        let again = [b"\r\n", HEAD].concat();
        assert_eq!(Request::parse(&again, 100), Ok(request));
    }

    #[test]
    fn latin_1_and_utf_8_in_a_value_become_characters() {
        let request = Request::parse(b"GET / HTTP/1.1\nA: caf\xe9\nB: caf\xc3\xa9\n\n", 10).unwrap();
        assert_eq!(request.headers.get("a"), Some("caf\u{e9}"));
        assert_eq!(request.headers.get("b"), Some("caf\u{e9}"));
    }

    #[test]
    fn plain_http_is_told_from_an_upgrade() {
        let is_upgrade = |fields: &str| {
            Request::parse(format!("GET / HTTP/1.1\r\n{fields}\r\n").as_bytes(), 10).unwrap().is_upgrade()
        };
        assert!(!is_upgrade(""));
        assert!(!is_upgrade("Upgrade: h2c\r\nConnection: Upgrade\r\n"));
        assert!(!is_upgrade("Upgrade: websocket2\r\n"));
        assert!(is_upgrade("Upgrade: h2c\r\nUpgrade: WEBSOCKET\r\n"));
        assert!(is_upgrade("Sec-WebSocket-Key: x\r\n"));
    }

    #[test]
    fn a_malformed_head_is_refused() {
        for head in [
            "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\n A: b\r\n\r\n",
            "GET / HTTP/1.1\r\nA : b\r\n\r\n",
            "GET / HTTP/1.1\r\n: b\r\n\r\n",
            "GET / HTTP/1.1\r\nA\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\rc: d\r\n\r\n",
            "GET / HTTP/1.1\r\nA: \0\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET /\r\n\r\n",
            "GET  / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1 \r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n\r\nmore",
            "GET / HTTP/1.1\r\nA: b\r\n",
            "\r\n\r\n",
            "",
        ] {
            let result = Request::parse(head.as_bytes(), 10);
            assert!(matches!(result, Err(Fault::HeadMalformed(_))), "{head:?}: {result:?}");
        }
    }

    #[test]
    fn the_cap_on_headers_holds_on_stack_and_heap() {
        let head = |fields: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "a:\r\n".repeat(fields));
        for max in [1, 2, USUAL_FIELDS, USUAL_FIELDS + 1, 500, usize::MAX] {
            let most = max.min(2000);
            assert_eq!(Request::parse(head(most).as_bytes(), max).unwrap().headers.len(), most);
            if most == max {
                assert_eq!(Request::parse(head(max + 1).as_bytes(), max), Err(Fault::TooManyHeaders(max)));
            }
        }
    }

    #[test]
    fn a_response_is_taken_apart() {
        let response = Response::parse(b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n", 10).unwrap();
        assert_eq!((response.status, response.reason.as_str(), response.version_minor), (404, "Not Found", 1));
        assert_eq!(response.headers.get("a"), Some("b"));
        assert_eq!(Response::parse(b"HTTP/1.0 200\r\n\r\n", 10).unwrap().version_minor, 0);
        for head in
            ["\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "ICY 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n"]
        {
            assert!(matches!(Response::parse(head.as_bytes(), 10), Err(Fault::HeadMalformed(_))), "{head:?}");
        }
    }
}
