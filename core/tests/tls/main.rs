//! TLS on both sides: over a pair of sockets that nothing delays, and against a plain rustls peer.
#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/certificates.rs"]
mod certificates;

mod files;
mod plain;
mod stream;
mod trust;

use std::io::{self, IoSlice};

use certificates::{Authority, Issued};
use linkspan::tls::{ClientTls, ClientTlsOptions, Roots, ServerTls, ServerTlsOptions};
use linkspan::transport::{Socket, Transport};

/// Two ends, and what each has read so far, or why it failed.
struct Pair {
    client: End,
    server: End,
}

struct End {
    transport: Transport,
    received: Vec<u8>,
    is_ended: bool,
    error: Option<io::Error>,
}

impl End {
    fn new(transport: Transport) -> End {
        End { transport, received: Vec::new(), is_ended: false, error: None }
    }

    /// Reads and flushes what can be; says whether anything happened.
    fn turn(&mut self, buffer: &mut [u8]) -> bool {
        let mut happened = false;
        let was_handshaking = self.transport.is_handshaking();
        let _ = self.transport.flush();
        while !self.is_ended && self.error.is_none() {
            match self.transport.read(buffer) {
                Ok(0) => self.is_ended = true,
                Ok(n) => self.received.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => self.error = Some(error),
            }
            happened = true;
        }
        happened || was_handshaking != self.transport.is_handshaking()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.transport.write(&[IoSlice::new(bytes)])
    }

    #[track_caller]
    fn fails_with(&self, words: &str) {
        let error = self.error.as_ref().expect("no error");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains(words), "{error}");
    }
}

impl Pair {
    fn new(server: &ServerTls, client: &ClientTls, host: &str) -> Pair {
        let (a, b) = Socket::pair().unwrap();
        Pair {
            client: End::new(Transport::tls_client(a, client, host).unwrap()),
            server: End::new(Transport::tls_server(b, server).unwrap()),
        }
    }

    /// Turns until nothing happens any more.
    fn settle(&mut self) {
        let mut buffer = vec![0; 256 << 10];
        // A flight crosses the pair in one turn of each; several turns without event are the end.
        let mut quiet = 0;
        while quiet < 4 {
            let happened = self.client.turn(&mut buffer) | self.server.turn(&mut buffer);
            quiet = if happened { 0 } else { quiet + 1 };
        }
    }

    /// After the handshake, which must succeed.
    fn open(server: &ServerTls, client: &ClientTls, host: &str) -> Pair {
        let mut pair = Pair::new(server, client, host);
        pair.settle();
        assert!(pair.client.error.is_none(), "{:?}", pair.client.error);
        assert!(pair.server.error.is_none(), "{:?}", pair.server.error);
        assert!(!pair.client.transport.is_handshaking() && !pair.server.transport.is_handshaking());
        pair
    }
}

fn server(issued: &Issued) -> ServerTls {
    ServerTls::with_options(ServerTlsOptions::new(issued.identity())).unwrap()
}

fn client(trusted: &Authority) -> ClientTls {
    client_with(trusted, |_| ())
}

fn client_with(trusted: &Authority, change: impl FnOnce(&mut ClientTlsOptions)) -> ClientTls {
    let mut options = ClientTlsOptions { roots: Roots::Only(trusted.pem()), ..ClientTlsOptions::default() };
    change(&mut options);
    ClientTls::with_options(options).unwrap()
}

/// A pair that any test may use which is not about certificates.
fn ordinary() -> Pair {
    let authority = Authority::new("root");
    Pair::open(&server(&authority.server(&["localhost"])), &client(&authority), "localhost")
}

fn numbered(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| (index % 251) as u8).collect()
}
