//! [`ProxyHeader`]: the first bytes of a stream that comes through a proxy which speaks the PROXY protocol,
//! version 1 (a line) or 2 (binary). They stand before everything else, TLS too, and say who connected.

use std::net::IpAddr;

use super::super::fault::Fault;

/// Longest header that is read, in bytes. Addresses need 232 at most; the rest is for what some proxies add
/// (TLVs), which is skipped.
pub const MAX_PROXY_HEADER_BYTES: usize = 4096;

/// Who connected to the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// The proxy itself (LOCAL), or it does not know (UNKNOWN): the stream's own addresses stand.
    Own,
    /// An address and a port.
    Ip(IpAddr, u16),
    /// A Unix socket's path; empty when it has none.
    Unix(Vec<u8>),
}

impl ProxyHeader {
    /// The header at the beginning of `bytes` and its length, or `None` when more bytes are needed. Tells that
    /// it is none as early as its bytes do; never needs more than [`MAX_PROXY_HEADER_BYTES`].
    pub fn parse(bytes: &[u8]) -> Result<Option<(ProxyHeader, usize)>, Fault> {
        match bytes.first() {
            None => Ok(None),
            Some(b'P') => parse_line(bytes),
            Some(_) => parse_binary(bytes),
        }
    }
}

/// Version 1: one line of text.
fn parse_line(bytes: &[u8]) -> Result<Option<(ProxyHeader, usize)>, Fault> {
    begins(bytes, b"PROXY ")?;
    let window = &bytes[..bytes.len().min(MAX_LINE)];
    let Some(end) = memchr::memmem::find(window, b"\r\n") else {
        return if window.len() == MAX_LINE { Err(wrong("its line does not end within 107 bytes")) } else { Ok(None) };
    };
    let line = str::from_utf8(&window[..end]).map_err(|_| wrong("its line is not ASCII"))?;
    let words: Vec<&str> = line.split(' ').collect();
    let header = match words[..] {
        // What follows is of no meaning.
        [_, "UNKNOWN", ..] => ProxyHeader::Own,
        [_, family @ ("TCP4" | "TCP6"), source, destination, source_port, destination_port] => {
            let source = address(family, source)?;
            address(family, destination)?;
            port(destination_port)?;
            ProxyHeader::Ip(source, port(source_port)?)
        }
        _ => return Err(wrong("its line is not PROXY, a family, two addresses and two ports")),
    };
    Ok(Some((header, end + 2)))
}

fn address(family: &str, text: &str) -> Result<IpAddr, Fault> {
    match text.parse() {
        Ok(address @ IpAddr::V4(_)) if family == "TCP4" => Ok(address),
        Ok(address @ IpAddr::V6(_)) if family == "TCP6" => Ok(address),
        _ => Err(wrong("an address is not one of its family")),
    }
}

/// Decimal, without a sign or leading zeros.
fn port(text: &str) -> Result<u16, Fault> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain).ok_or(wrong("a port is no number from 0 to 65535"))
}

/// Version 2: signature, version and command, family and transport, length; addresses; TLVs.
fn parse_binary(bytes: &[u8]) -> Result<Option<(ProxyHeader, usize)>, Fault> {
    begins(bytes, SIGNATURE)?;
    let Some((head, rest)) = bytes.split_at_checked(HEAD) else { return Ok(None) };
    let (command, kind) = (head[12], head[13]);
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(wrong("its version is not 2, or its command not LOCAL or PROXY")),
    };
    let needed = match kind {
        _ if is_local => 0,
        0x00 => 0,
        0x11 => 12,
        0x21 => 36,
        0x31 => 216,
        _ => return Err(wrong("its family is no stream of IPv4, IPv6 or Unix")),
    };
    if HEAD + length > MAX_PROXY_HEADER_BYTES {
        return Err(wrong("it is longer than 4096 bytes"));
    }
    if length < needed {
        return Err(wrong("its addresses are cut off"));
    }
    let Some(body) = rest.get(..length) else { return Ok(None) };
    let port_at = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    let header = match needed {
        12 => ProxyHeader::Ip(IpAddr::from([body[0], body[1], body[2], body[3]]), port_at(8)),
        36 => {
            let mut source = [0; 16];
            source.copy_from_slice(&body[..16]);
            ProxyHeader::Ip(IpAddr::from(source), port_at(32))
        }
        216 => ProxyHeader::Unix(body[..108].split(|byte| *byte == 0).next().unwrap_or_default().to_vec()),
        _ => ProxyHeader::Own,
    };
    Ok(Some((header, HEAD + length)))
}

/// As far as there are bytes, they are these.
fn begins(bytes: &[u8], with: &[u8]) -> Result<(), Fault> {
    let common = bytes.len().min(with.len());
    if bytes[..common] == with[..common] { Ok(()) } else { Err(wrong("the stream begins with something else")) }
}

fn wrong(why: &'static str) -> Fault {
    Fault::ProxyHeaderInvalid(why)
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const HEAD: usize = 16;
/// Version 1's longest line, its end included.
const MAX_LINE: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(command: u8, kind: u8, body: &[u8]) -> Vec<u8> {
        [SIGNATURE, &[command, kind], &(body.len() as u16).to_be_bytes(), body].concat()
    }

    fn ip(address: &str, port: u16) -> ProxyHeader {
        ProxyHeader::Ip(address.parse().unwrap(), port)
    }

    /// Byte by byte: nothing before the last one, then the header, whatever follows.
    fn reads(bytes: &[u8], expected: &ProxyHeader) {
        for length in 0..bytes.len() {
            assert_eq!(ProxyHeader::parse(&bytes[..length]), Ok(None), "{length} of {bytes:?}");
        }
        for more in [&b""[..], b"GET / HTTP/1.1\r\n", b"\0"] {
            let parsed = ProxyHeader::parse(&[bytes, more].concat());
            assert_eq!(parsed, Ok(Some((expected.clone(), bytes.len()))), "{bytes:?}");
        }
    }

    fn fails(bytes: &[u8], at: usize, why: &str) {
        for length in 0..at {
            assert_eq!(ProxyHeader::parse(&bytes[..length]), Ok(None), "{length} of {bytes:?}");
        }
        for length in at..=bytes.len() {
            let fault = ProxyHeader::parse(&bytes[..length]).unwrap_err();
            assert!(fault.to_string().contains(why), "{fault}");
        }
    }

    #[test]
    fn a_line_names_the_source() {
        reads(b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", &ip("192.0.2.7", 56324));
        reads(b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", &ip("0.0.0.0", 0));
        reads(b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n", &ip("2001:db8::7", 1));
        reads(b"PROXY UNKNOWN\r\n", &ProxyHeader::Own);
        let longest = "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
        assert_eq!(longest.len(), MAX_LINE);
        reads(longest.as_bytes(), &ProxyHeader::Own);
    }

    #[test]
    fn a_line_that_breaks_the_grammar_is_refused() {
        for line in [
            "PROXY\r\n",
            "PROXY \r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
            "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n",
            "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY TCP4 1.2.3.4 example 1 2\r\n",
            "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.\u{e4} 1 2\r\n",
        ] {
            assert!(ProxyHeader::parse(line.as_bytes()).is_err(), "{line}");
        }
        fails(b"PROXY \xff\r\n", 9, "not ASCII");
        fails(&[b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200]].concat(), MAX_LINE, "107");
        fails(b"POST / HTTP/1.1\r\n", 2, "something else");
        fails(b"PROXI", 5, "something else");
        fails(b"GET / HTTP/1.1\r\n", 1, "something else");
        fails(b"\x16\x03\x01", 1, "something else");
    }

    #[test]
    fn a_binary_header_names_the_source() {
        let four = [192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 4, 1, 0xbb];
        reads(&binary(0x21, 0x11, &four), &ip("192.0.2.7", 56324));
        // TLVs are skipped.
        reads(&binary(0x21, 0x11, &[&four[..], b"\x03\x00\x04abcd"].concat()), &ip("192.0.2.7", 56324));
        let mut six = [0; 36];
        (six[0], six[1], six[15], six[32], six[33]) = (0x20, 1, 7, 0x12, 0x34);
        reads(&binary(0x21, 0x21, &six), &ip("2001::7", 0x1234));
        let mut unix = [0; 216];
        unix[..9].copy_from_slice(b"/run/a.so");
        reads(&binary(0x21, 0x31, &unix), &ProxyHeader::Unix(b"/run/a.so".to_vec()));
        reads(&binary(0x21, 0x31, &[b'a'; 216]), &ProxyHeader::Unix(vec![b'a'; 108]));
        reads(&binary(0x21, 0x31, &[0; 216]), &ProxyHeader::Unix(Vec::new()));
        reads(&binary(0x20, 0x00, b""), &ProxyHeader::Own);
        reads(&binary(0x20, 0x11, &four), &ProxyHeader::Own);
        reads(&binary(0x21, 0x00, b"whatever it is"), &ProxyHeader::Own);
        reads(&binary(0x20, 0x00, &[7; MAX_PROXY_HEADER_BYTES - HEAD]), &ProxyHeader::Own);
    }

    #[test]
    fn a_binary_header_that_breaks_a_rule_is_refused() {
        fails(b"\r\n\r\n\0\r\nQUIT\r", 12, "something else");
        fails(&binary(0x22, 0x11, &[0; 12]), 16, "LOCAL or PROXY");
        fails(&binary(0x11, 0x11, &[0; 12]), 16, "LOCAL or PROXY");
        fails(&binary(0x21, 0x12, &[0; 12]), 16, "no stream");
        fails(&binary(0x21, 0x41, &[0; 12]), 16, "no stream");
        fails(&binary(0x21, 0x11, &[0; 11]), 16, "cut off");
        fails(&binary(0x21, 0x21, &[0; 35]), 16, "cut off");
        fails(&binary(0x21, 0x31, &[0; 215]), 16, "cut off");
        fails(&binary(0x21, 0x11, &[0; MAX_PROXY_HEADER_BYTES - HEAD + 1]), 16, "4096");
    }
}
