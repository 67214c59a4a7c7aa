//! HTTP/1.1 heads: where one ends, what it says.

use super::super::fault::Fault;

/// Finds the end of a head in bytes that arrive piece by piece; looks at each byte once.
#[derive(Clone, Debug, Default)]
pub struct HeadFinder {
    scanned: usize,
}

impl HeadFinder {
    /// The length of the head at the front of `bytes`, its empty line included (CRLFCRLF, or bare LF);
    /// `None` when more bytes are needed. Call again with the same bytes and more behind them.
    pub fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let _ = (bytes, self.scanned);
        todo!()
    }
}

/// Header fields in order, names without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    fields: Vec<(String, String)>,
}

impl Headers {
    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }
    /// All values of `name`, in order.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }
    /// Name and value of each field, in order, names as they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }
}

/// A request's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, as it was written.
    pub method: String,
    /// The target, as it was written: path and query.
    pub target: String,
    /// The header fields.
    pub headers: Headers,
}

impl Request {
    /// Reads a whole head.
    pub fn parse(head: &[u8], max_headers: usize) -> Result<Request, Fault> {
        let _ = (head, max_headers);
        todo!()
    }
    /// Whether the client asks for WebSocket; otherwise it is plain HTTP.
    pub fn is_upgrade(&self) -> bool {
        todo!()
    }
    /// `Origin`, as browsers send it.
    pub fn origin(&self) -> Option<&str> {
        self.headers.get("origin")
    }
    /// The subprotocols that the client offers, best first.
    pub fn subprotocols(&self) -> Vec<&str> {
        todo!()
    }
}

/// A response's head, and the body of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// The header fields.
    pub headers: Headers,
    /// The body of a refused handshake, as far as `Config::max_body_bytes` goes; empty after a 101.
    pub body: Vec<u8>,
}

impl Response {
    /// Reads a whole head.
    pub fn parse(head: &[u8], max_headers: usize) -> Result<Response, Fault> {
        let _ = (head, max_headers);
        todo!()
    }
}

/// Whether this is a token (RFC 9110 5.6.2).
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
