//! Every parser consumes or stops, and says the same however its bytes come: the fuzz targets' properties,
//! held against a few thousand mutations of good inputs each. No fuzzer is needed, and every run is the same.

use self::properties::{ADOPTED, CLIENT, IN_PARTS, KEY, WITH_DEFLATE};

#[path = "../fuzz/properties.rs"]
mod properties;

/// A small generator of its own, so that a failure comes back with the next run (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

/// Feeds each seed, each of its beginnings, and many mutations of it.
fn hold(property: fn(&[u8]), seeds: &[Vec<u8>], pieces: &[&[u8]], rounds: usize) {
    for seed in seeds {
        (0..=seed.len()).for_each(|length| property(&seed[..length]));
    }
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..rounds {
        let mut input = seeds[dice.below(seeds.len())].clone();
        for _ in 0..=dice.below(4) {
            mutate(&mut input, pieces, &mut dice);
        }
        property(&input);
    }
}

fn mutate(input: &mut Vec<u8>, pieces: &[&[u8]], dice: &mut Dice) {
    let at = dice.below(input.len() + 1);
    let to = (at + dice.below(12)).min(input.len());
    match dice.below(7) {
        0 => input.insert(at, dice.below(256) as u8),
        1 => drop(input.drain(at..to)),
        2 if at < input.len() => input[at] ^= 1 << dice.below(8),
        3 if at < input.len() => input[at] = [0, 1, 0x7d, 0x7e, 0x7f, 0x80, 0xff, b'\n', b'"', b','][dice.below(10)],
        4 => drop(input.splice(at..at, pieces[dice.below(pieces.len())].iter().copied())),
        5 => drop(input.splice(at..at, input[at..to].to_vec())),
        6 => input.truncate(at),
        _ => {}
    }
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n00\r\nX: y\r\n\r\n";
const COUNTED: &str = "HTTP/1.1 400 Bad\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn a_head_is_the_same_however_it_comes() {
    let pieces: [&[u8]; 8] =
        [b"\r\n", b"\n", b"\r\n\r\n", b": ", b" \t", b"\xe9", b"Host: b\r\n", b"Content-Length: 1\r\n"];
    hold(properties::head, &texts(&[REQUEST, ANSWER, CHUNKED, COUNTED]), &pieces, 10_000);
}

#[test]
fn extensions_that_are_read_can_be_written() {
    let seeds = texts(&[
        "permessage-deflate; client_max_window_bits, permessage-deflate",
        "permessage-deflate; server_max_window_bits=10; client_max_window_bits=\"12\"; server_no_context_takeover",
        "a; b=\"c\\d\", e",
    ]);
    let pieces: [&[u8]; 8] = [b";", b",", b"=", b"\"", b"\\", b" ", b"client_max_window_bits=9", b"15"];
    hold(properties::extensions, &seeds, &pieces, 30_000);
}

#[test]
fn a_frame_header_that_is_read_is_written_the_same() {
    let seeds = vec![
        vec![0x81, 5],
        vec![0x82, 0xfe, 1, 0, 1, 2, 3, 4],
        vec![0x02, 127, 0, 0, 0, 0, 0, 1, 0, 0],
        vec![0x88, 0],
        vec![0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
        vec![0x82, 126, 0, 125],
    ];
    hold(properties::frame, &seeds, &[&[0x81, 126], &[0, 0], &[127, 0x80]], 100_000);
}

#[test]
fn a_text_is_utf_8_or_not_however_it_comes() {
    let long = "\u{e9}\u{20ac}\u{1f600}a".repeat(40);
    let pieces: [&[u8]; 6] =
        [b"\xed\xa0\x80", b"\xf4\x90", b"\xc0", b"\xe2\x82", b"\xf0\x9f\x98", "\u{ffff}".as_bytes()];
    hold(properties::text, &texts(&["plain", "\u{e9}\u{20ac}\u{1f600}", &long]), &pieces, 20_000);
}

#[cfg(feature = "deflate")]
#[test]
fn what_is_inflated_is_the_same_however_it_comes() {
    let hello = b"\x00\xf2\x48\xcd\xc9\xc9\x07\x00|\xf2\x00\x11\x00\x00|\x00|\xf3\x48\xcd\xc9\xc9\x07\x00\x00";
    let stored = b"\xff\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00|\x03\x00\x00|\x01";
    // 1,024 zeros in a few bytes, many times.
    let bomb = [&b"\x03"[..], &b"\x62\x60\x18\x05\xa3\x60\x14\x0c\x77\x00\x00\x00\x00\xff\xff".repeat(8)].concat();
    let seeds = [hello.to_vec(), stored.to_vec(), bomb];
    hold(properties::inflate, &seeds, &[b"|", b"\x00\x00\xff\xff", b"\x01\x00\x00\xff\xff", b"\x03\x00"], 10_000);
}

#[test]
fn a_url_that_is_read_can_be_asked_for() {
    let seeds = texts(&[
        "ws://a.example:80/b?c=d",
        "wss://user:pass@[2001:db8::1]:9001/",
        "ws+unix:///run/a.sock:/b",
        "http://b\u{fc}cher.example/\u{fc}?\u{fc}",
        "socks5h://u:p@a:1080",
    ]);
    let pieces: [&[u8]; 10] = [b"%", b"%00", b"#", b"?", b"@", b":", b"//", b"\r\n", b"\\", "\u{ff0f}".as_bytes()];
    hold(properties::uri, &seeds, &pieces, 20_000);
}

#[test]
fn a_tunnel_opens_at_the_same_byte_however_its_bytes_come() {
    let seeds = [
        b"\x00HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nTLS".to_vec(),
        b"\x00HTTP/1.0 407 No\r\n\r\n".to_vec(),
        b"\x01\x05\x00\x05\x00\x00\x01\x01\x02\x03\x04\x00\x50TLS".to_vec(),
        b"\x03\x05\x02\x01\x00\x05\x00\x00\x03\x01a\x00\x50TLS".to_vec(),
        b"\x01\x05\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00".to_vec(),
    ];
    hold(
        properties::proxy,
        &seeds,
        &[b"\r\n", b"\r\n\r\n", b"\x05\x00", b"\x00\x04", b"HTTP/1.1 100 \r\n\r\n"],
        20_000,
    );
}

#[test]
fn a_proxys_header_ends_at_the_same_byte_however_its_bytes_come() {
    let seeds = [
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\nGET".to_vec(),
        b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\0\x50\0\x51GET".to_vec(),
        b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec(),
    ];
    hold(properties::proxy_header, &seeds, &[b"\r\n", b" ", b"\x21", b"\xff\xff", b"UNKNOWN", b"0"], 20_000);
}

/// A frame as one end writes it.
fn frame(first: u8, payload: &[u8], is_masked: bool) -> Vec<u8> {
    assert!(payload.len() < 126);
    let mask = if is_masked { [1, 2, 3, 4].to_vec() } else { Vec::new() };
    let payload = payload.iter().enumerate().map(|(i, byte)| if is_masked { byte ^ mask[i % 4] } else { *byte });
    let payload: Vec<u8> = payload.collect();
    [&[first, u8::from(is_masked) << 7 | payload.len() as u8][..], &mask, &payload].concat()
}

#[test]
fn an_engine_tells_and_writes_the_same_however_its_bytes_come() {
    let mut seeds = Vec::new();
    for choice in 0..16 {
        let is_masked = choice & CLIENT == 0;
        let messages: [&[(u8, &[u8])]; 4] = [
            &[(0x81, "h\u{e9}llo".as_bytes()), (0x89, b"ping"), (0x88, b"\x03\xe8bye")],
            &[(0x01, b"a\xc3"), (0x8a, b""), (0x80, b"\xa9"), (0x82, b""), (0x88, b"")],
            &[(0x02, b"x"), (0x00, b"y"), (0x80, b"z"), (0x81, b"\xff")],
            &[
                (0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]),
                (0xc2, &[0xf2, 0x00, 0x11, 0x00, 0x00]),
                (0x88, b""),
            ],
        ];
        for frames in messages {
            let mut seed = vec![choice];
            if choice & ADOPTED == 0 {
                seed.extend(if is_masked { REQUEST.as_bytes().to_vec() } else { properties::client_answer() });
                if !is_masked && choice & WITH_DEFLATE > 0 {
                    seed.extend_from_slice(b"Sec-WebSocket-Extensions: permessage-deflate\r\n");
                }
                if !is_masked {
                    seed.extend_from_slice(b"\r\n");
                }
            }
            frames.iter().for_each(|(first, payload)| seed.extend(frame(*first, payload, is_masked)));
            seeds.push(seed);
        }
    }
    assert_eq!(seeds.iter().map(|seed| seed[0]).max(), Some(CLIENT | WITH_DEFLATE | IN_PARTS | ADOPTED));
    assert!(REQUEST.contains(KEY));
    let long = frame(0x82, &[7; 100], true).repeat(30);
    hold(properties::engine, &seeds, &[b"\x89\x00", b"\x00\x80", b"\x88\x02\x03\xe8", b"\xc1\x83", &long], 10_000);
}
