//! What holds for every input, whatever it is. One function for each parser: it panics when its property
//! does not hold. The fuzz targets beside this file call them, and so does `tests/properties.rs`.

use std::sync::Arc;

#[cfg(feature = "deflate")]
use linkspan::protocol::deflate::Deflate;
use linkspan::protocol::deflate::Parameters;
use linkspan::protocol::frame::{Header, MAX_HEADER_BYTES};
use linkspan::protocol::handshake::{
    Accept, Body, ConnectProxy, HeadFinder, Headers, MAX_PROXY_HEADER_BYTES, Proxy, ProxyHeader, Reject, Request,
    Response, Socks5, Tunnel, Uri, accept_key, is_token, judge_answer, judge_request, parse_extensions, write_accept,
    write_reject, write_request,
};
use linkspan::protocol::{Config, DeflateConfig, Delivery, Engine, Event, Fault, Input, Keys, MAX_SLICES, Time, utf8};

/// The key with which every handshake here is made.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Lengths of the pieces that an input is cut into, beside the whole.
const STEPS: [usize; 3] = [1, 3, 64];

fn config(with_deflate: bool) -> Config {
    Config {
        subprotocols: vec!["chat".to_owned()],
        deflate: with_deflate.then(DeflateConfig::default).filter(|_| cfg!(feature = "deflate")),
        max_message_bytes: 10_000,
        max_frame_bytes: 8_000,
        max_fragments: 50,
        max_head_bytes: 2_000,
        ..Config::default()
    }
}

/// A head ends at the same place however it comes; what a request or an answer was judged good for can
/// be written and read back.
pub(crate) fn head(data: &[u8]) {
    let whole = HeadFinder::default().find(data);
    let mut finder = HeadFinder::default();
    let found = (0..=data.len()).find_map(|length| finder.find(&data[..length]));
    assert_eq!(whole, found);
    let end = whole.unwrap_or(data.len());
    assert!(end <= data.len());
    if let Ok(request) = Request::parse(&data[..end], 20) {
        request_head(&request);
    }
    if let Ok(response) = Response::parse(&data[..end], 20) {
        assert_eq!(Headers::from_pairs(response.headers.iter()), response.headers);
        let _ = judge_answer(&response, KEY, &config(true));
        body(&response, &data[end..]);
    }
}

fn request_head(request: &Request) {
    assert!(request.headers.len() <= 20);
    assert_eq!(Headers::from_pairs(request.headers.iter()), request.headers);
    for (index, (name, value)) in request.headers.iter().enumerate() {
        assert_eq!(request.headers.nth(index), Some((name, value)));
        assert!(is_token(name) && request.headers.get(name).is_some());
        assert!(!value.contains(['\r', '\n', '\0']));
        assert_eq!(value.trim_matches([' ', '\t']), value);
    }
    let mut out = Vec::new();
    match judge_request(request, &config(true)) {
        Ok(offer) => {
            assert!(request.is_upgrade());
            let agreed = write_accept(&offer, &Accept::default(), &config(true), &mut out).expect("nothing was asked");
            let answer = Response::parse(&out, 20).expect("our own answer is good");
            assert_eq!(answer.status, 101);
            if request.headers.get("sec-websocket-key") == Some(KEY) && agreed.deflate.is_none() {
                assert_eq!(judge_answer(&answer, KEY, &config(true)), Ok(agreed));
            }
        }
        Err(fault) => {
            write_reject(&Reject::fault(&fault), false, &mut out).expect("a fault's answer is good");
            let end = HeadFinder::default().find(&out).expect("our own answer has an end");
            assert_eq!(Response::parse(&out[..end], 20).expect("our own answer is good").status, fault.http_status());
        }
    }
}

/// A body is the same however it comes, and never above its limit.
fn body(response: &Response, data: &[u8]) {
    for limit in [0, 4, 1_000] {
        let run = |step: usize| {
            let mut body = Body::new(response, limit);
            data.chunks(step).for_each(|piece| assert_eq!(body.push(piece), body.is_complete()));
            (body.is_complete(), body.finish())
        };
        let whole = run(data.len().max(1));
        assert!(whole.1.len() <= limit.min(data.len()));
        assert!(STEPS.iter().all(|&step| run(step) == whole));
    }
}

/// What is read can be written and read again; what this end agrees to, a client with the same wishes accepts.
pub(crate) fn extensions(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some(extensions) = parse_extensions(text) else { return };
    let mut written = String::new();
    for extension in &extensions {
        assert!(is_token(&extension.name));
        written += &format!(",{}", extension.name);
        for (name, value) in &extension.parameters {
            assert!(is_token(name) && value.as_deref().is_none_or(is_token));
            written += &format!(";{name}");
            written += &value.as_ref().map(|value| format!("=\"{value}\"")).unwrap_or_default();
        }
        let wishes = DeflateConfig::default();
        if let Some((agreed, answer)) = Parameters::agree(extension, &wishes) {
            let answer = parse_extensions(&answer).expect("our own answer is good");
            assert_eq!(answer.len(), 1);
            assert_eq!(Parameters::accept_answer(&answer[0], &wishes), Ok(agreed));
        }
        if let Ok(agreed) = Parameters::accept_answer(extension, &wishes) {
            assert!((8..=15).contains(&agreed.server_max_window_bits));
            assert!((8..=15).contains(&agreed.client_max_window_bits));
        }
    }
    assert_eq!(parse_extensions(&written), Some(extensions));
}

/// A header needs more bytes, is a fault, or is written back as it stood; more bytes change nothing.
pub(crate) fn frame(data: &[u8]) {
    let mut rest = data;
    loop {
        let parsed = Header::parse(rest);
        for length in 0..rest.len().min(MAX_HEADER_BYTES) {
            match Header::parse(&rest[..length]) {
                Ok(None) => {}
                Ok(Some(early)) => assert_eq!(parsed, Ok(Some(early))),
                Err(early) => assert_eq!(parsed, Err(early)),
            }
        }
        let Ok(Some((header, size))) = parsed else { return };
        let mut written = [0; MAX_HEADER_BYTES];
        assert_eq!(header.write(&mut written), size);
        assert_eq!(written[..size], rest[..size]);
        // Every step eats something.
        assert!(size >= 2);
        rest = &rest[size..];
    }
}

/// A text is UTF-8 or not, and its first bad byte is where it is, however it comes.
pub(crate) fn text(data: &[u8]) {
    let whole = utf8::check(data);
    assert_eq!(whole.is_ok(), str::from_utf8(data).is_ok());
    for step in STEPS {
        let mut checker = utf8::Utf8::new();
        let result = data.chunks(step).try_for_each(|piece| checker.push(piece)).and_then(|()| checker.finish());
        assert_eq!(result, whole, "in steps of {step}");
    }
}

/// What is inflated is the same however it comes, and never above the limit. The first byte chooses.
#[cfg(feature = "deflate")]
pub(crate) fn inflate(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else { return };
    const LIMIT: u64 = 5_000;
    let parameters = Parameters {
        server_no_context_takeover: choice & 1 > 0,
        client_no_context_takeover: choice & 2 > 0,
        server_max_window_bits: 8 + (choice >> 2) % 8,
        client_max_window_bits: 8 + (choice >> 5),
    };
    let run = |step: usize| {
        let mut deflate = Deflate::new(choice & 4 > 0, &parameters, &DeflateConfig::default());
        let mut messages = Vec::new();
        for message in data.split(|&byte| byte == b'|') {
            let mut out = Vec::new();
            let pieces = message.chunks(step).map(|piece| (piece, false)).chain([(&[][..], true)]);
            for (piece, is_last) in pieces {
                let result = deflate.inflate(piece, is_last, LIMIT, &mut out);
                assert!(out.len() as u64 <= LIMIT && out.capacity() as u64 <= LIMIT + 64);
                if let Err(fault) = result {
                    return (messages, Some(fault));
                }
            }
            messages.push(out);
        }
        (messages, None)
    };
    let whole = run(data.len().max(1));
    assert!(STEPS.iter().all(|&step| run(step) == whole));
}

/// A URL that is read can be asked for. A proxy's too.
pub(crate) fn uri(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(uri) = Uri::parse(text) {
        let mut out = Vec::new();
        write_request(&uri, KEY, &config(true), &[], &mut out).expect("a URL that was read can be asked for");
        let request = Request::parse(&out, 20).expect("our own request is good");
        assert_eq!(request.target, uri.target);
        judge_request(&request, &config(true)).expect("our own request keeps every rule");
    }
    if let Ok(proxy) = Proxy::parse(text) {
        let _ = proxy.tunnel("server.example", 443);
    }
}

/// A tunnel opens at the same byte, or fails the same way, however the proxy's words come.
pub(crate) fn proxy(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else { return };
    let run = |step: usize| -> Result<Option<usize>, Fault> {
        let userinfo = (choice & 2 > 0).then_some("user:password");
        let mut tunnel: Box<dyn Tunnel> = match choice & 1 {
            0 => Box::new(ConnectProxy::new("server.example", 443, userinfo).expect("host and user are good")),
            _ => Box::new(Socks5::new("server.example", 443, userinfo).expect("host and user are good")),
        };
        for (index, piece) in data.chunks(step).enumerate() {
            tunnel.sent(tunnel.outgoing().len());
            let progress = tunnel.handle_input(piece)?;
            if progress.is_open {
                return Ok(Some(index * step + progress.eaten));
            }
            assert_eq!(progress.eaten, piece.len());
        }
        Ok(None)
    };
    let whole = run(data.len().max(1));
    assert!(STEPS.iter().all(|&step| run(step) == whole));
}

/// A proxy's header ends at the same byte however it comes, or is refused and stays so.
pub(crate) fn proxy_header(data: &[u8]) {
    let first = (0..=data.len()).map(|length| ProxyHeader::parse(&data[..length])).find(|parsed| *parsed != Ok(None));
    let whole = ProxyHeader::parse(data);
    match first {
        Some(Ok(found)) => assert_eq!(whole, Ok(found)),
        Some(Err(_)) => assert!(whole.is_err()),
        None => assert!(whole == Ok(None) && data.len() < MAX_PROXY_HEADER_BYTES),
    }
    if let Ok(Some((_, length))) = whole {
        assert!(length > 0 && length <= data.len().min(MAX_PROXY_HEADER_BYTES));
    }
}

/// An engine tells and writes the same however the peer's bytes come, eats them all, and always ends. The
/// first byte chooses what kind of engine.
pub(crate) fn engine(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else { return };
    let whole = told(choice, data, data.len().max(1));
    for step in STEPS {
        let pieces = told(choice, data, step);
        if choice & WITH_DEFLATE == 0 {
            assert_eq!(whole, pieces);
        } else {
            // Of two faults in one compressed message another one may be seen first.
            assert_eq!(whole.events[..whole.events.len() - 1], pieces.events[..pieces.events.len() - 1]);
        }
    }
}

/// Choices of an engine: a client; compression; messages in parts; after the opening handshake.
pub(crate) const CLIENT: u8 = 1;
pub(crate) const WITH_DEFLATE: u8 = 2;
pub(crate) const IN_PARTS: u8 = 4;
pub(crate) const ADOPTED: u8 = 8;

#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    events: Vec<String>,
    written: Vec<u8>,
    /// Parts of the message that is being told.
    parts: Vec<u8>,
}

fn make_engine(choice: u8) -> Engine {
    let mut config = config(choice & WITH_DEFLATE > 0);
    if choice & IN_PARTS > 0 {
        config.delivery = Delivery::Parts;
    }
    let config = Arc::new(config);
    let keys = || Keys::new([7; 32]);
    let is_client = choice & CLIENT > 0;
    if choice & ADOPTED > 0 {
        let agreed = linkspan::protocol::handshake::Agreed {
            subprotocol: None,
            deflate: config.deflate.as_ref().map(|_| Parameters {
                server_no_context_takeover: false,
                client_no_context_takeover: false,
                server_max_window_bits: 15,
                client_max_window_bits: 15,
            }),
        };
        return Engine::adopted(config, agreed, "ws://a/", is_client.then(keys), Time::ZERO);
    }
    if is_client {
        let uri = Uri::parse("ws://a/").expect("this is a URL");
        return Engine::client(config, &uri, &[], keys(), Time::ZERO).expect("nothing was asked");
    }
    Engine::server(config, Time::ZERO)
}

/// The answer that opens a client's engine of [`engine`].
pub(crate) fn client_answer() -> Vec<u8> {
    let engine = make_engine(CLIENT);
    let request = Request::parse(engine.outbox().front(), 20).expect("our own request is good");
    let key = request.headers.get("sec-websocket-key").expect("our own request has a key");
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n",
        accept_key(key)
    )
    .into_bytes()
}

fn told(choice: u8, data: &[u8], step: usize) -> Told {
    let mut engine = make_engine(choice);
    let mut told = Told::default();
    let mut bytes = data.to_vec();
    told.turn(&mut engine, &mut Input::new(&mut []), &mut 20);
    for piece in bytes.chunks_mut(step) {
        let mut turns = 2 * piece.len() + 20;
        let mut input = Input::new(piece);
        told.turn(&mut engine, &mut input, &mut turns);
        assert!(input.is_empty(), "an engine that is not paused eats all");
    }
    engine.end_of_input(Time::ZERO);
    told.turn(&mut engine, &mut Input::new(&mut []), &mut 20);
    assert!(told.events.last().is_some_and(|event| event.starts_with("Closed")), "{:?}", told.events.last());
    told.parts.clear();
    told
}

impl Told {
    /// One turn by the law of every driver.
    fn turn(&mut self, engine: &mut Engine, input: &mut Input<'_>, turns: &mut usize) {
        loop {
            while let Some(event) = engine.next_event(Time::ZERO, input) {
                *turns = turns.checked_sub(1).expect("every step eats or stops");
                match self.note(event) {
                    Some(true) => engine.accept(Time::ZERO, &Accept::default()).expect("the request was judged good"),
                    Some(false) => engine.reject(Time::ZERO, &Reject::text(404, "")).expect("the request waits"),
                    None => {}
                }
            }
            let waiting = {
                let mut slices = [std::io::IoSlice::new(&[]); MAX_SLICES];
                let filled = engine.outgoing(&mut slices);
                slices[..filled].iter().for_each(|slice| self.written.extend_from_slice(slice));
                slices[..filled].iter().map(|slice| slice.len()).sum::<usize>()
            };
            engine.sent(waiting);
            if waiting == 0 {
                return;
            }
        }
    }

    /// Writes it down; for a request, whether it is an upgrade.
    fn note(&mut self, event: Event<'_>) -> Option<bool> {
        assert!(!self.events.last().is_some_and(|last| last.starts_with("Closed")), "Closed comes last");
        let text = match event {
            Event::Request(request) => {
                self.events.push("Request".to_owned());
                return Some(request.is_upgrade());
            }
            Event::Message(message) => {
                assert!(message.kind != linkspan::protocol::MessageKind::Text || str::from_utf8(&message.data).is_ok());
                format!("{:?} {:?}", message.kind, &*message.data)
            }
            Event::MessagePart(part) => {
                assert!(!part.is_empty());
                self.parts.extend_from_slice(&part);
                return None;
            }
            Event::MessageEnd => format!("MessageEnd {:?}", std::mem::take(&mut self.parts)),
            Event::Ping(payload) => format!("Ping {:?}", &*payload),
            Event::Pong(payload) => format!("Pong {:?}", &*payload),
            other => format!("{other:?}"),
        };
        self.events.push(text);
        None
    }
}
