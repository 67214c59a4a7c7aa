//! The opening handshake, either half: heads are collected, judged and answered.

use std::sync::Arc;

use base64::Engine as _;

use super::super::close::{CloseInfo, Side};
use super::super::config::Config;
use super::super::deflate::{Deflate, Parameters};
use super::super::event::{Event, Input};
use super::super::fault::{Fault, Misuse};
use super::super::handshake::{
    Accept, Agreed, Body, HeadFinder, Offer, Reject, Request, Response, Uri, judge_answer, judge_request, write_accept,
    write_reject, write_request,
};
use super::super::mask::Keys;
use super::super::time::Time;
use super::{About, Engine, Phase, Role};

/// The state of an opening handshake.
#[derive(Debug)]
pub(super) struct Opening {
    /// The beginning of a head that came in pieces.
    head: Vec<u8>,
    finder: HeadFinder,
    awaits: Awaits,
}

#[derive(Debug)]
enum Awaits {
    /// Server: a request's head.
    Request,
    /// Server: the application's answer; without an offer the request was plain HTTP.
    Answer { offer: Option<Offer>, target: String, is_head: bool },
    /// Client: the head of the answer to this `Sec-WebSocket-Key`.
    Response { key: String },
    /// Client: the body of a refusal.
    Body { body: Body },
}

impl Opening {
    fn new(awaits: Awaits) -> Box<Opening> {
        Box::new(Opening { head: Vec::new(), finder: HeadFinder::default(), awaits })
    }

    /// The opening handshake of a server waits for the application.
    pub(super) fn awaits_answer(&self) -> bool {
        matches!(self.awaits, Awaits::Answer { .. })
    }

    /// The whole head, once it is there; what follows it stays in `input`.
    fn next_head<'b>(&mut self, config: &Config, input: &mut Input<'b>) -> Result<Option<Head<'b>>, Fault> {
        let limit = config.max_head_bytes;
        if self.head.is_empty() {
            let window = input.rest().len().min(limit);
            match self.finder.find(&input.rest()[..window]) {
                Some(length) => {
                    self.finder = HeadFinder::default();
                    return Ok(Some(Head::Whole(input.take(length))));
                }
                None if input.rest().len() >= limit => return Err(Fault::HeadTooLong(limit)),
                None => {
                    self.head.extend_from_slice(input.take(window));
                    return Ok(None);
                }
            }
        }
        let before = self.head.len();
        let window = input.rest().len().min(limit - before);
        self.head.extend_from_slice(&input.rest()[..window]);
        match self.finder.find(&self.head) {
            Some(length) => {
                input.take(length - before);
                self.head.truncate(length);
                self.finder = HeadFinder::default();
                Ok(Some(Head::Assembled(std::mem::take(&mut self.head))))
            }
            None if self.head.len() >= limit => Err(Fault::HeadTooLong(limit)),
            None => {
                input.take(window);
                Ok(None)
            }
        }
    }
}

/// A head's bytes.
enum Head<'b> {
    Whole(&'b [u8]),
    Assembled(Vec<u8>),
}

impl Head<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Head::Whole(bytes) => bytes,
            Head::Assembled(bytes) => bytes,
        }
    }
}

impl Engine {
    /// A server's end of a new stream.
    pub fn server(config: Arc<Config>, now: Time) -> Engine {
        let mut engine = Engine::new(config, now, None);
        engine.opening = Some(Opening::new(Awaits::Request));
        engine.enter(Phase::Opening, now);
        engine
    }

    /// A client's end of a new stream; the request is queued at once. `headers` are added to it.
    pub fn client(
        config: Arc<Config>,
        uri: &Uri,
        headers: &[(String, String)],
        mut keys: Keys,
        now: Time,
    ) -> Result<Engine, Misuse> {
        // RFC 6455 4.1: sixteen random bytes, fresh for each connection.
        let key = base64::engine::general_purpose::STANDARD.encode(keys.nonce());
        let mut request = Vec::new();
        write_request(uri, &key, &config, headers, &mut request)?;
        let mut engine = Engine::new(config, now, Some(keys));
        engine.outbox.append(|gather| gather.extend_from_slice(&request));
        engine.about = Some(Arc::new(About { url: uri.to_string().into(), ..About::default() }));
        engine.opening = Some(Opening::new(Awaits::Response { key }));
        engine.enter(Phase::Opening, now);
        Ok(engine)
    }

    /// The stream that a client's engine was made for is connected now: the handshake's deadline counts
    /// from here.
    pub fn connected(&mut self, now: Time) {
        if self.phase == Phase::Opening {
            self.enter(Phase::Opening, now);
        }
    }

    /// An end whose opening handshake was done elsewhere. `keys` makes it a client; `url` is what
    /// [`Engine::url`] answers. `Event::Open` is told first.
    pub fn adopted(config: Arc<Config>, agreed: Agreed, url: &str, keys: Option<Keys>, now: Time) -> Engine {
        let mut engine = Engine::new(config, now, keys);
        engine.open(now, agreed, url.to_owned(), None);
        engine.untold_open = true;
        engine
    }

    /// Accepts the request that waits; `Event::Open` follows. What was accepted may have been chosen by
    /// `Config`: ask [`subprotocol`](Engine::subprotocol) and [`extensions`](Engine::extensions).
    pub fn accept(&mut self, now: Time, accept: &Accept) -> Result<(), Misuse> {
        let Some(Awaits::Answer { offer: Some(offer), target, .. }) = self.opening.as_ref().map(|o| &o.awaits) else {
            return Err(Misuse::NoRequest);
        };
        let mut answer = Vec::new();
        let agreed = write_accept(offer, accept, &self.config, &mut answer)?;
        let target = target.clone();
        self.outbox.append(|gather| gather.extend_from_slice(&answer));
        self.open(now, agreed, target, None);
        self.untold_open = true;
        Ok(())
    }

    /// Whether a request for a WebSocket waits for the application's answer. One whose client has ended its half
    /// of the stream can only fail; plain HTTP may still be answered then.
    pub(crate) fn is_asked(&self) -> bool {
        matches!(self.opening.as_ref().map(|opening| &opening.awaits), Some(Awaits::Answer { offer: Some(_), .. }))
    }

    /// Answers the request that waits with an HTTP response, plain HTTP too; `Closed` follows.
    pub fn reject(&mut self, now: Time, reject: &Reject) -> Result<(), Misuse> {
        let Some(Awaits::Answer { is_head, .. }) = self.opening.as_ref().map(|opening| &opening.awaits) else {
            return Err(Misuse::NoRequest);
        };
        let mut answer = Vec::new();
        write_reject(reject, *is_head, &mut answer)?;
        self.outbox.append(|gather| gather.extend_from_slice(&answer));
        self.conclude(now, Phase::Failing, CloseInfo::abnormal(Side::Local, None));
        Ok(())
    }

    fn open(&mut self, now: Time, agreed: Agreed, url: String, response: Option<Response>) {
        self.deflate = agreed.deflate.as_ref().map(|parameters| self.make_deflate(parameters));
        if agreed != Agreed::default() || url != "/" || response.is_some() {
            self.about = Some(Arc::new(About { agreed, url: url.into(), response: response.map(Box::new) }));
        }
        self.enter(Phase::Open, now);
    }

    #[cfg_attr(not(feature = "deflate"), expect(unreachable_code, reason = "without it nothing is agreed to"))]
    fn make_deflate(&self, parameters: &Parameters) -> Box<Deflate> {
        let config = self.config.deflate.clone().unwrap_or_default();
        Box::new(Deflate::new(self.role() == Role::Server, parameters, &config))
    }

    pub(super) fn next_opening<'b>(&mut self, now: Time, input: &mut Input<'b>) -> Option<Event<'b>> {
        loop {
            let opening = self.opening.as_mut()?;
            let event = match &mut opening.awaits {
                Awaits::Answer { .. } => return None,
                Awaits::Request => match opening.next_head(&self.config, input) {
                    Ok(head) => self.request_received(now, head?.bytes()),
                    Err(fault) => self.refuse(now, fault),
                },
                Awaits::Response { .. } => match opening.next_head(&self.config, input) {
                    Ok(head) => self.response_received(now, head?.bytes()),
                    Err(fault) => self.answer_failed(now, fault),
                },
                Awaits::Body { body } => {
                    if body.push(input.take(usize::MAX)) {
                        self.body_received(now);
                    }
                    None
                }
            };
            match self.phase {
                _ if event.is_some() => return event,
                // What follows a refused head is discarded.
                Phase::Failing => return self.next_closing(now, input),
                _ if input.is_empty() => return None,
                // An interim answer, or the head of a refusal: what follows it counts.
                _ => {}
            }
        }
    }

    fn request_received(&mut self, now: Time, head: &[u8]) -> Option<Event<'static>> {
        let request = match Request::parse(head, self.config.max_headers) {
            Ok(request) => request,
            Err(fault) => return self.refuse(now, fault),
        };
        let offer = match request.is_upgrade().then(|| judge_request(&request, &self.config)).transpose() {
            Ok(offer) => offer,
            Err(fault) => return self.refuse(now, fault),
        };
        let is_head = request.method == "HEAD";
        let target = request.target.clone();
        self.opening = Some(Opening::new(Awaits::Answer { offer, target, is_head }));
        Some(Event::Request(Box::new(request)))
    }

    /// Server: the request broke a rule.
    fn refuse(&mut self, now: Time, fault: Fault) -> Option<Event<'static>> {
        let mut answer = Vec::new();
        if write_reject(&Reject::fault(&fault), false, &mut answer).is_ok() {
            self.outbox.append(|gather| gather.extend_from_slice(&answer));
        }
        self.conclude(now, Phase::Failing, CloseInfo::abnormal(Side::Remote, Some(fault)));
        None
    }

    fn response_received(&mut self, now: Time, head: &[u8]) -> Option<Event<'static>> {
        let response = match Response::parse(head, self.config.max_headers) {
            Ok(response) => response,
            Err(fault) => return self.answer_failed(now, fault),
        };
        let Some(Awaits::Response { key }) = self.opening.as_ref().map(|opening| &opening.awaits) else { return None };
        match response.status {
            101 => match judge_answer(&response, key, &self.config) {
                Ok(agreed) => {
                    let url = self.about.take().map(|about| about.url.as_ref().into()).unwrap_or_default();
                    self.open(now, agreed, url, Some(response));
                    Some(Event::Open)
                }
                Err(fault) => self.answer_failed(now, fault),
            },
            // RFC 9110 15.2: other interim answers are skipped.
            100..=199 => None,
            _ => {
                let body = Body::new(&response, self.config.max_body_bytes);
                let is_complete = body.is_complete();
                let about = self.about.as_mut().and_then(Arc::get_mut);
                if let (Some(about), Some(opening)) = (about, &mut self.opening) {
                    about.response = Some(Box::new(response));
                    opening.awaits = Awaits::Body { body };
                }
                if is_complete {
                    self.body_received(now);
                }
                None
            }
        }
    }

    /// Client: a refusal is complete, or as complete as it will be.
    fn body_received(&mut self, now: Time) {
        let Some(Awaits::Body { body }) = self.opening.take().map(|opening| opening.awaits) else { return };
        let about = self.about.as_mut().and_then(Arc::get_mut);
        let Some(response) = about.and_then(|about| about.response.as_mut()) else { return };
        response.body = body.finish();
        let status = response.status;
        self.answer_failed(now, Fault::Refused(status));
    }

    /// Client: no WebSocket comes of it.
    fn answer_failed(&mut self, now: Time, fault: Fault) -> Option<Event<'static>> {
        self.outbox.clear();
        self.conclude(now, Phase::Failing, CloseInfo::abnormal(Side::Remote, Some(fault)));
        None
    }

    /// The stream ended in the middle of the opening handshake.
    pub(super) fn end_of_opening(&mut self, now: Time) {
        match self.opening.as_ref().map(|opening| &opening.awaits) {
            // The body of a refusal may end with the stream.
            Some(Awaits::Body { .. }) => self.body_received(now),
            Some(Awaits::Response { .. }) => {
                let fault = Fault::AnswerInvalid("the server ended the connection without an answer");
                self.give_up(now, Side::Remote, Some(fault));
            }
            Some(Awaits::Request | Awaits::Answer { .. }) | None => self.give_up(now, Side::Remote, None),
        }
    }

    pub(super) fn opening_timed_out(&mut self, now: Time) {
        let heard_something = self.opening.as_ref().is_some_and(|o| !o.head.is_empty() || o.awaits_answer());
        if self.role() == Role::Server && heard_something {
            self.refuse(now, Fault::HandshakeTimeout);
        } else {
            self.give_up(now, Side::Local, Some(Fault::HandshakeTimeout));
        }
    }
}
