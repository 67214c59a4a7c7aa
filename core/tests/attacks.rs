//! Attacks that WebSocket software has fallen to, one test a class, against both roles where both can be
//! attacked. Finer cases stand in the corpus; what a redirect is told of who asks, in redirects.rs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use linkspan::protocol::deflate::{Deflate, Parameters};
use linkspan::protocol::frame::{Header, MAX_HEADER_BYTES, OpCode, RSV1};
use linkspan::protocol::handshake::{Accept, Agreed, Uri};
use linkspan::protocol::{Config, DeflateConfig, Engine, Event, Fault, Input, Keys, Misuse, Role, Time, mask};

const NOW: Time = Time::ZERO;
const BOTH: [Role; 2] = [Role::Server, Role::Client];

/// An open end of this role, attacked by the other.
fn open(role: Role, config: Config, agreed: Agreed) -> Engine {
    let keys = (role == Role::Client).then(|| Keys::new([3; 32]));
    let mut engine = Engine::adopted(Arc::new(config), agreed, "/", keys, NOW);
    assert!(matches!(engine.next_event(NOW, &mut Input::new(&mut [])), Some(Event::Open)));
    engine
}

/// A frame as the attacker of this role's end writes it.
fn frame(role: Role, fin: bool, reserved: u8, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let mask = (role == Role::Server).then_some([9, 8, 7, 6]);
    let mut bytes = header(role, fin, reserved, opcode, payload.len() as u64);
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    if let Some(key) = mask {
        mask::apply(key, &mut bytes[start..]);
    }
    bytes
}

fn header(role: Role, fin: bool, reserved: u8, opcode: OpCode, length: u64) -> Vec<u8> {
    let mask = (role == Role::Server).then_some([9, 8, 7, 6]);
    let mut bytes = [0; MAX_HEADER_BYTES];
    let size = Header { fin, reserved, opcode, mask, length }.write(&mut bytes);
    bytes[..size].to_vec()
}

/// Feeds bytes, takes everything outgoing, and answers the fault that ended it, if one did.
fn feed(engine: &mut Engine, mut bytes: Vec<u8>) -> Option<Fault> {
    let mut input = Input::new(&mut bytes);
    let mut events = 0;
    while engine.next_event(NOW, &mut input).is_some() {
        events += 1;
        assert!(events < 1_000_000, "it never ends");
    }
    engine.close_info().and_then(|info| info.fault.clone())
}

fn outgoing(engine: &mut Engine) -> Vec<u8> {
    let bytes = engine.outbox().front().to_vec();
    engine.sent(bytes.len());
    bytes
}

fn parameters() -> Parameters {
    Parameters {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    }
}

const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

fn request(config: Config, more: &str) -> Engine {
    let mut engine = Engine::server(Arc::new(config), NOW);
    let _ = feed(&mut engine, format!("{REQUEST}{more}\r\n").into_bytes());
    engine
}

fn client(config: Config, headers: &[(String, String)]) -> Result<Engine, Misuse> {
    Engine::client(Arc::new(config), &Uri::parse("ws://a/").unwrap(), headers, Keys::new([3; 32]), NOW)
}

#[cfg(feature = "deflate")]
#[test]
fn a_decompression_bomb_is_stopped_while_it_inflates() {
    for role in BOTH {
        let mut bomb = Vec::new();
        let mut attacker = Deflate::new(role == Role::Client, &parameters(), &DeflateConfig::default());
        attacker.compress(&vec![0; 32 << 20], true, &mut bomb);
        assert!(bomb.len() < 64 << 10);
        let config = Config { max_message_bytes: 1 << 20, ..Config::default() };
        let mut engine = open(role, config, Agreed { subprotocol: None, deflate: Some(parameters()) });
        let fault = feed(&mut engine, frame(role, true, RSV1, OpCode::Binary, &bomb));
        assert_eq!(fault, Some(Fault::MessageTooBig { limit: 1 << 20 }), "{role:?}");
    }
}

#[test]
fn many_tiny_fragments_are_counted_not_only_their_bytes() {
    for role in BOTH {
        let mut engine = open(role, Config { max_fragments: 100, ..Config::default() }, Agreed::default());
        let mut bytes = frame(role, false, 0, OpCode::Text, b"");
        (0..100).for_each(|_| bytes.extend(frame(role, false, 0, OpCode::Continuation, b"")));
        assert_eq!(feed(&mut engine, bytes), Some(Fault::TooManyFragments(100)), "{role:?}");
    }
}

#[test]
fn an_announced_length_allocates_nothing() {
    for role in BOTH {
        let mut engine = open(role, Config::default(), Agreed::default());
        let fault = feed(&mut engine, header(role, true, 0, OpCode::Binary, 1 << 63));
        assert_eq!(fault, Some(Fault::LengthTooLong), "{role:?}");
        let config = Config { max_frame_bytes: u64::MAX, max_message_bytes: u64::MAX, ..Config::default() };
        let mut engine = open(role, config, Agreed::default());
        let mut bytes = header(role, true, 0, OpCode::Binary, 1 << 62);
        bytes.extend_from_slice(b"a few");
        assert_eq!(feed(&mut engine, bytes), None, "{role:?}");
        assert!(engine.room().is_none_or(|room| room.len() <= 256 << 10), "{role:?}");
    }
}

#[test]
fn window_bits_out_of_range_are_never_agreed_to() {
    let config = Config { deflate: Some(DeflateConfig::default()), ..Config::default() };
    if cfg!(feature = "deflate") {
        let mut server =
            request(config.clone(), "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=16\r\n");
        server.accept(NOW, &Accept::default()).unwrap();
        let answer = String::from_utf8(outgoing(&mut server)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 ") && !answer.contains("Extensions"), "{answer}");
    }
    let offers = if cfg!(feature = "deflate") { config } else { Config::default() };
    let mut client = client(offers, &[]).unwrap();
    let asked = String::from_utf8(outgoing(&mut client)).unwrap();
    let key = asked.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = linkspan::protocol::handshake::accept_key(key);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=16\r\n\r\n"
    );
    assert!(matches!(feed(&mut client, answer.into_bytes()), Some(Fault::AnswerInvalid(_))));
}

#[test]
fn a_compressed_frame_without_agreement_is_a_protocol_error() {
    for role in BOTH {
        let mut engine = open(role, Config::default(), Agreed::default());
        let fault = feed(&mut engine, frame(role, true, RSV1, OpCode::Text, b"x"));
        assert_eq!(fault, Some(Fault::ReservedBits(RSV1)), "{role:?}");
        assert_eq!(engine.close_info().unwrap().code.as_u16(), 1002);
    }
}

#[test]
fn a_head_without_end_is_cut_off() {
    let config = || Config { max_head_bytes: 1000, max_headers: 10, ..Config::default() };
    let mut server = Engine::server(Arc::new(config()), NOW);
    assert_eq!(feed(&mut server, vec![b'a'; 1000]), Some(Fault::HeadTooLong(1000)));
    assert!(outgoing(&mut server).starts_with(b"HTTP/1.1 431 "));
    let mut server = request(config(), &"a: b\r\n".repeat(10));
    assert!(outgoing(&mut server).starts_with(b"HTTP/1.1 431 "));
    let mut client = client(config(), &[]).unwrap();
    assert_eq!(feed(&mut client, vec![b'a'; 1000]), Some(Fault::HeadTooLong(1000)));
}

#[test]
fn no_second_request_hides_behind_an_upgrade() {
    for body in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
        let server = request(Config::default(), body);
        assert_eq!(server.close_info().unwrap().fault, Some(Fault::BodyOnUpgrade), "{body}");
    }
}

#[test]
fn a_line_break_in_a_header_of_ours_is_refused() {
    for value in ["a\r\nSet-Cookie: b", "a\nb", "a\0b"] {
        let headers = vec![("X-A".to_owned(), value.to_owned())];
        let mut server = request(Config::default(), "");
        let accept = Accept { headers: headers.clone(), ..Accept::default() };
        assert!(matches!(server.accept(NOW, &accept), Err(Misuse::HeaderInvalid(_))), "{value:?}");
        assert!(matches!(client(Config::default(), &headers), Err(Misuse::HeaderInvalid(_))), "{value:?}");
    }
}

#[test]
fn nothing_but_what_the_peer_wrote_is_sent_back() {
    for role in BOTH {
        let mut engine = open(role, Config::default(), Agreed::default());
        assert_eq!(feed(&mut engine, frame(role, true, 0, OpCode::Ping, b"mine")), None);
        let pong = outgoing(&mut engine);
        let (header, size) = Header::parse(&pong).unwrap().unwrap();
        let mut payload = pong[size..].to_vec();
        mask::apply(header.mask.unwrap_or_default(), &mut payload);
        assert_eq!((header.opcode, payload.as_slice()), (OpCode::Pong, &b"mine"[..]), "{role:?}");
        let _ = feed(&mut engine, frame(role, true, 0, OpCode::Close, &[0x03, 0xe8, b'w', b'h', b'y']));
        let close = outgoing(&mut engine);
        assert_eq!(Header::parse(&close).unwrap().unwrap().0.length, 2, "{role:?}");
    }
}

#[test]
fn a_clients_masks_are_fresh_for_each_frame() {
    let mut client = open(Role::Client, Config::default(), Agreed::default());
    let mut keys = std::collections::HashSet::new();
    for _ in 0..200 {
        client.ping(b"").unwrap();
        keys.insert(Header::parse(&outgoing(&mut client)).unwrap().unwrap().0.mask.unwrap());
    }
    assert!(keys.len() > 195, "{}", keys.len());
}

#[test]
fn every_odd_frame_comes_to_an_end() {
    for role in BOTH {
        for first in 0..=255u8 {
            for second in [0, 1, 125, 126, 127, 128, 253, 254, 255] {
                let mut engine = open(role, Config::default(), Agreed::default());
                let mut bytes = vec![first, second];
                bytes.extend_from_slice(&[0; 40]);
                let _ = feed(&mut engine, bytes);
            }
        }
    }
}

#[test]
fn a_page_of_another_origin_is_refused() {
    let config = || Config { origins: vec!["https://ours.example".to_owned()], ..Config::default() };
    let mut server = request(config(), "Origin: https://theirs.example\r\n");
    assert!(outgoing(&mut server).starts_with(b"HTTP/1.1 403 "));
    let mut server = request(config(), "Origin: https://ours.example\r\n");
    assert_eq!(server.accept(NOW, &Accept::default()), Ok(()));
    assert!(outgoing(&mut server).starts_with(b"HTTP/1.1 101 "));
}
