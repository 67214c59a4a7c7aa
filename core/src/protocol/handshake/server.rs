//! The server's half: judge a request, write the answer (RFC 6455 4.2).

use super::super::config::Config;
use super::super::fault::{Fault, Misuse};
use super::{Agreed, Request};

/// What a good upgrade request asks for; kept until the answer.
#[derive(Clone, Debug)]
pub struct Offer {
    /// `Sec-WebSocket-Accept` of the answer.
    pub accept_key: String,
    /// Subprotocols that the client offers, best first.
    pub subprotocols: Vec<String>,
    /// The first of its permessage-deflate offers that this end can agree to.
    pub deflate: Option<super::super::deflate::Parameters>,
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
    let _ = (request, config);
    todo!()
}

/// Writes the 101; `out` is untouched when it fails.
pub fn write_accept(offer: &Offer, accept: &Accept, config: &Config, out: &mut Vec<u8>) -> Result<Agreed, Misuse> {
    let _ = (offer, accept, config, out);
    todo!()
}

/// Writes a whole HTTP answer; `out` is untouched when it fails. `head_only` for HEAD requests.
pub fn write_reject(reject: &Reject, head_only: bool, out: &mut Vec<u8>) -> Result<(), Misuse> {
    let _ = (reject, head_only, out);
    todo!()
}

impl Reject {
    /// A plain-text answer of one line.
    pub fn text(status: u16, line: &str) -> Reject {
        let headers = vec![("Content-Type".to_owned(), "text/plain; charset=utf-8".to_owned())];
        Reject { status, headers, body: format!("{line}\n").into_bytes() }
    }
    /// The answer to a request that broke a rule.
    pub fn fault(fault: &Fault) -> Reject {
        let _ = fault;
        todo!()
    }
}
