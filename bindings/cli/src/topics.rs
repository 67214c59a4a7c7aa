//! `linkspan serve-topics`.

use linkspan::Error;
use linkspan::net::{ConnectionId, Context, Decision, Handler};
use linkspan::protocol::handshake::{Accept, Reject, Request};
use linkspan::protocol::{CloseCode, CloseInfo, MessageKind, SlowReader};
use percent_encoding::percent_decode_str;

use crate::args::{ServeTopics, Slow};
use crate::problem::Problem;
use crate::serve::{self, Log};

pub(crate) fn run(arguments: &ServeTopics) -> Result<(), Problem> {
    let log = Log { is_verbose: arguments.listen.verbose };
    let slow_reader = match arguments.slow_reader {
        Slow::Drop => SlowReader::Drop,
        Slow::Close => SlowReader::Close,
    };
    let topics = Topics { log, has_echo_own: arguments.echo_own, has_metrics: arguments.metrics };
    serve::run(&arguments.listen, slow_reader, topics)
}

/// A topic for each path. The library keeps who subscribes to what.
struct Topics {
    log: Log,
    has_echo_own: bool,
    has_metrics: bool,
}

impl Handler for Topics {
    fn on_request(&mut self, cx: &mut Context<'_>, _: ConnectionId, request: &Request) -> Decision {
        if request.is_upgrade() {
            return match topic(&request.target) {
                Some(_) => Decision::Accept(Accept::default()),
                None => Decision::Reject(Reject::text(404, "the path names the topic: /TOPIC, 1 to 255 bytes")),
            };
        }
        let path = request.target.split('?').next().unwrap_or_default();
        if self.has_metrics && path == "/metrics" && matches!(request.method.as_str(), "GET" | "HEAD") {
            return Decision::Reject(metrics(cx));
        }
        Decision::Reject(Reject::text(426, "this address speaks WebSocket: connect to /TOPIC"))
    }

    fn on_open(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        self.log.came(cx, id);
        let subscribed = topic_of(cx, id).map(|topic| cx.subscribe(id, &topic));
        if !matches!(subscribed, Some(Ok(_))) {
            let _ = cx.close(id, Some(CloseCode::INTERNAL_ERROR), "no subscription");
        }
    }

    fn on_message(&mut self, cx: &mut Context<'_>, id: ConnectionId, kind: MessageKind, data: &[u8]) {
        let Some(topic) = topic_of(cx, id) else { return };
        let published = match self.has_echo_own {
            true => cx.publish(&topic, kind, data),
            false => cx.publish_from(id, &topic, kind, data),
        };
        if let Err(error) = published {
            self.log.failed(cx, id, &error);
        }
    }

    fn on_error(&mut self, cx: &mut Context<'_>, id: ConnectionId, error: &Error) {
        self.log.failed(cx, id, error);
    }

    fn on_close(&mut self, cx: &mut Context<'_>, id: ConnectionId, info: &CloseInfo) {
        self.log.went(cx, id, info);
    }
}

fn topic_of(cx: &Context<'_>, id: ConnectionId) -> Option<Vec<u8>> {
    topic(cx.engine(id)?.url())
}

/// The topic that a request's target names: its path, decoded, without the first slash.
fn topic(target: &str) -> Option<Vec<u8>> {
    let path = target.split('?').next()?.strip_prefix('/')?;
    let topic: Vec<u8> = percent_decode_str(path).collect();
    (1..=255).contains(&topic.len()).then_some(topic)
}

fn metrics(cx: &Context<'_>) -> Reject {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Reject {
        status: 200,
        headers: vec![("Content-Type".into(), kind.into())],
        body: cx.remote().metrics().openmetrics().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_topic() {
        assert_eq!(topic("/a/b%20c?d").as_deref(), Some(&b"a/b c"[..]));
        assert_eq!(topic("/%ff").as_deref(), Some(&b"\xff"[..]));
        assert_eq!((topic("/"), topic("/?a"), topic("http://a/b")), (None, None, None));
        assert_eq!(topic(&format!("/{}", "x".repeat(256))), None);
    }
}
