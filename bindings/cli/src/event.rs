//! [`Event`]: what happens on the connection, as it is shown and as `--json` writes it.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use linkspan::protocol::handshake::Response;
use linkspan::protocol::{CloseInfo, MessageKind, Side};
use serde::Serialize;

/// One thing that happened.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// The opening handshake is over.
    Open {
        url: &'a str,
        peer: String,
        protocol: &'a str,
        extensions: String,
        response: &'a Response,
    },
    Message(MessageKind, &'a [u8]),
    Ping(&'a [u8]),
    Pong(&'a [u8]),
    Close(&'a CloseInfo),
    /// The connection was lost; after the delay it is tried again.
    Retry {
        why: &'a str,
        info: &'a CloseInfo,
        delay: Duration,
    },
    /// Why the connection is about to end; with the server's answer when that is why.
    Error {
        sentence: &'a str,
        response: Option<&'a Response>,
    },
}

impl Event<'_> {
    /// One JSON object and a line feed.
    pub(crate) fn json(&self, now: SystemTime) -> Vec<u8> {
        let time = humantime::format_rfc3339_millis(now).to_string();
        let mut line = serde_json::to_vec(&Record { time, what: What::of(self) }).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

#[derive(Serialize)]
struct Record<'a> {
    #[serde(flatten)]
    what: What<'a>,
    time: String,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum What<'a> {
    Open {
        url: &'a str,
        peer: &'a str,
        protocol: &'a str,
        extensions: &'a str,
        status: u16,
        headers: Vec<(&'a str, &'a str)>,
    },
    Text {
        data: &'a str,
    },
    Binary {
        base64: String,
    },
    Ping {
        base64: String,
    },
    Pong {
        base64: String,
    },
    Close {
        code: u16,
        reason: &'a str,
        clean: bool,
        by: &'static str,
    },
    Retry {
        code: u16,
        message: &'a str,
        /// In seconds.
        delay: f64,
        unsent_bytes: u64,
    },
    Error {
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        #[serde(skip_serializing_if = "Option::is_none")]
        headers: Option<Vec<(&'a str, &'a str)>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        body: Option<String>,
    },
}

impl<'a> What<'a> {
    fn of(event: &'a Event<'a>) -> What<'a> {
        match event {
            Event::Open { url, peer, protocol, extensions, response } => What::Open {
                url,
                peer,
                protocol,
                extensions,
                status: response.status,
                headers: response.headers.iter().collect(),
            },
            // A text is UTF-8: the engine has seen to it.
            Event::Message(MessageKind::Text, data) => {
                What::Text { data: std::str::from_utf8(data).unwrap_or_default() }
            }
            Event::Message(MessageKind::Binary, data) => What::Binary { base64: STANDARD.encode(data) },
            Event::Ping(data) => What::Ping { base64: STANDARD.encode(data) },
            Event::Pong(data) => What::Pong { base64: STANDARD.encode(data) },
            Event::Close(info) => What::Close {
                code: info.code.as_u16(),
                reason: &info.reason,
                clean: info.clean,
                by: match info.begun_by {
                    Side::Local => "client",
                    Side::Remote => "server",
                },
            },
            Event::Retry { why, info, delay } => What::Retry {
                code: info.code.as_u16(),
                message: why,
                delay: delay.as_secs_f64(),
                unsent_bytes: info.unsent_bytes,
            },
            Event::Error { sentence, response } => What::Error {
                message: sentence,
                status: response.map(|response| response.status),
                headers: response.map(|response| response.headers.iter().collect()),
                body: response.map(|response| String::from_utf8_lossy(&response.body).into_owned()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_of_json() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        let text = Event::Message(MessageKind::Text, "a\n\"\u{1b}ü".as_bytes()).json(at);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "{\"type\":\"text\",\"data\":\"a\\n\\\"\\u001bü\",\"time\":\"1970-01-01T00:00:01.500Z\"}\n"
        );
        let binary = Event::Message(MessageKind::Binary, &[0, 255]).json(at);
        assert_eq!(
            String::from_utf8(binary).unwrap(),
            "{\"type\":\"binary\",\"base64\":\"AP8=\",\"time\":\"1970-01-01T00:00:01.500Z\"}\n"
        );
    }
}
