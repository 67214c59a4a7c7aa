//! The client's half: write the request, judge the answer (RFC 6455 4.1).

use super::super::config::Config;
use super::super::fault::{Fault, Misuse};
use super::{Agreed, Response, Uri};

/// A good answer's verdict.
pub type Answer = Agreed;

/// Writes the opening request with this `Sec-WebSocket-Key`; `out` is untouched when it fails.
pub fn write_request(
    uri: &Uri,
    key: &str,
    config: &Config,
    headers: &[(String, String)],
    out: &mut Vec<u8>,
) -> Result<(), Misuse> {
    let _ = (uri, key, config, headers, out);
    todo!()
}

/// Judges the answer's head: a 101 that keeps every rule, or the fault.
pub fn judge_answer(response: &Response, key: &str, config: &Config) -> Result<Agreed, Fault> {
    let _ = (response, key, config);
    todo!()
}

/// The body of a refusal: by length, in chunks, or to the end of the stream; never above a limit.
#[derive(Debug)]
pub struct Body {}

impl Body {
    /// The body that follows this head.
    pub fn new(response: &Response, limit: usize) -> Body {
        let _ = (response, limit);
        todo!()
    }
    /// Eats what has come; true when the body is complete, or the limit reached.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        let _ = bytes;
        todo!()
    }
    /// What was kept.
    pub fn finish(self) -> Vec<u8> {
        todo!()
    }
}
