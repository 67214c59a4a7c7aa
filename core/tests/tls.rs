//! TLS on both sides: over a pair of sockets that nothing delays, and against a plain rustls peer.
#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/certificates.rs"]
mod certificates;

use std::io::{self, IoSlice, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use certificates::{Authority, Issued};
use linkspan::tls::{
    ClientCertificates, ClientTls, ClientTlsOptions, Identity, Pem, Pin, Roots, ServerTls, ServerTlsOptions,
};
use linkspan::transport::{Socket, Transport};
use rustls::pki_types::pem::PemObject;

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

#[test]
fn bytes_go_both_ways() {
    let mut pair = ordinary();
    assert_eq!(pair.client.write(b"to the server").unwrap(), 13);
    assert_eq!(pair.server.write(b"to the client").unwrap(), 13);
    pair.settle();
    assert_eq!(pair.server.received, b"to the server");
    assert_eq!(pair.client.received, b"to the client");
    assert!(pair.client.transport.is_secure());
}

#[test]
fn nothing_is_written_before_the_handshake_is_over() {
    let authority = Authority::new("root");
    let mut pair = Pair::new(&server(&authority.server(&["localhost"])), &client(&authority), "localhost");
    assert!(pair.client.transport.is_handshaking());
    assert_eq!(pair.client.write(b"early").unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(pair.server.write(b"early").unwrap_err().kind(), io::ErrorKind::WouldBlock);
    pair.settle();
    assert_eq!(pair.client.write(b"now").unwrap(), 3);
    pair.settle();
    assert_eq!(pair.server.received, b"now");
}

#[test]
fn a_large_write_to_a_slow_reader_waits_within_bounds_and_arrives_whole() {
    let mut pair = ordinary();
    let sent = numbered(3 << 20);
    let mut accepted = 0;
    let mut buffer = vec![0; 256 << 10];
    while accepted < sent.len() {
        match pair.server.write(&sent[accepted..]) {
            Ok(n) => accepted += n,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                assert!(pair.server.transport.has_pending_write());
                // What was accepted beyond what the reader can have is bounded: the socket's buffers and one batch.
                assert!(accepted - pair.client.received.len() < 1 << 20);
                assert!(!pair.server.transport.flush().unwrap());
                let n = pair.client.transport.read(&mut buffer).unwrap();
                pair.client.received.extend_from_slice(&buffer[..n]);
            }
        }
    }
    pair.settle();
    assert!(pair.client.received == sent);
    assert!(!pair.server.transport.has_pending_write());
}

#[test]
fn the_smallest_buffer_reads_everything_in_order() {
    let mut pair = ordinary();
    let sent = numbered(20_000);
    assert_eq!(pair.client.write(&sent).unwrap(), sent.len());
    let mut received = Vec::new();
    let mut byte = [0];
    while received.len() < sent.len() {
        assert_eq!(pair.server.transport.read(&mut byte).unwrap(), 1);
        received.push(byte[0]);
        // Bytes that stand ready never wait for readiness.
        assert!(
            pair.server.transport.has_buffered_plaintext()
                || !pair.server.transport.short_read_drains()
                || received.len() == sent.len()
        );
    }
    assert!(received == sent);
    assert_eq!(pair.server.transport.read(&mut byte).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn records_arrive_whole_when_the_network_gives_single_bytes() {
    let authority = Authority::new("root");
    let (near_client, a) = UnixStream::pair().unwrap();
    let (near_server, b) = UnixStream::pair().unwrap();
    let socket = |stream: UnixStream| Socket::try_from(stream).unwrap();
    let mut client = End::new(Transport::tls_client(socket(a), &client(&authority), "localhost").unwrap());
    let server_tls = server(&authority.server(&["localhost"]));
    let mut server = End::new(Transport::tls_server(socket(b), &server_tls).unwrap());
    near_client.set_nonblocking(true).unwrap();
    near_server.set_nonblocking(true).unwrap();
    let mut buffer = vec![0; 256 << 10];
    let sent = numbered(17_000);
    let mut is_sent = false;
    let mut crossing = |mut from: &UnixStream, mut to: &UnixStream, end: &mut End| {
        let mut bytes = vec![0; 64 << 10];
        let Ok(n) = from.read(&mut bytes) else { return };
        for byte in &bytes[..n] {
            to.write_all(&[*byte]).unwrap();
            end.turn(&mut buffer);
        }
    };
    while server.received.len() < sent.len() {
        let _ = client.transport.flush();
        crossing(&near_client, &near_server, &mut server);
        crossing(&near_server, &near_client, &mut client);
        assert!(server.error.is_none() && client.error.is_none());
        if !is_sent && !client.transport.is_handshaking() {
            is_sent = true;
            assert_eq!(client.write(&sent).unwrap(), sent.len());
        }
    }
    assert!(server.received == sent);
}

#[test]
fn slices_share_records() {
    let authority = Authority::new("root");
    let mut pair = Pair::open(&server(&authority.server(&["localhost"])), &client(&authority), "localhost");
    let slices = [b"two", b"and", b"six"].map(|bytes| IoSlice::new(bytes));
    assert_eq!(pair.client.transport.write(&slices).unwrap(), 9);
    // TLS 1.3: five bytes of header, then nine of payload, one of kind and sixteen of tag.
    let Transport::Tls(_) = &pair.server.transport else { panic!("no TLS") };
    let fd = pair.server.transport.fd().unwrap().try_clone_to_owned().unwrap();
    let raw = Socket::try_from(fd).unwrap();
    let mut record = [0; 100];
    assert_eq!(raw.read(&mut record).unwrap(), 5 + 9 + 1 + 16);
    assert_eq!(record[0], 23);
}

#[test]
fn close_notify_is_the_end_and_the_other_direction_goes_on() {
    let mut pair = ordinary();
    assert_eq!(pair.client.write(b"last words").unwrap(), 10);
    pair.client.transport.shutdown_write().unwrap();
    assert_eq!(pair.client.write(b"more").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    pair.settle();
    assert_eq!(pair.server.received, b"last words");
    assert!(pair.server.is_ended && !pair.client.is_ended);
    assert_eq!(pair.server.write(b"answer").unwrap(), 6);
    pair.settle();
    assert_eq!(pair.client.received, b"answer");
}

#[test]
fn the_end_waits_for_bytes_that_the_socket_has_not_taken() {
    let mut pair = ordinary();
    let sent = numbered(3 << 20);
    let mut accepted = 0;
    while let Ok(n) = pair.client.write(&sent[accepted..]) {
        accepted += n;
    }
    assert!(pair.client.transport.has_pending_write());
    pair.client.transport.shutdown_write().unwrap();
    pair.settle();
    assert!(pair.server.received == sent[..accepted]);
    assert!(pair.server.is_ended);
}

#[test]
fn a_stream_without_close_notify_ends_as_any_other() {
    let mut pair = ordinary();
    assert_eq!(pair.client.write(b"cut").unwrap(), 3);
    drop(pair.client);
    let mut buffer = vec![0; 64 << 10];
    while pair.server.turn(&mut buffer) {}
    assert_eq!(pair.server.received, b"cut");
    assert!(pair.server.is_ended && pair.server.error.is_none());
}

#[test]
fn a_peer_that_leaves_during_the_handshake_is_named() {
    let authority = Authority::new("root");
    let (a, b) = Socket::pair().unwrap();
    drop(a);
    let mut end = End::new(Transport::tls_server(b, &server(&authority.server(&["localhost"]))).unwrap());
    end.turn(&mut [0; 100]);
    let error = end.error.as_ref().expect("no error");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(error.to_string(), "the client left during the TLS handshake");
}

#[test]
fn a_peer_that_speaks_no_tls_is_told_so() {
    let authority = Authority::new("root");
    let (mut plain, b) = UnixStream::pair().unwrap();
    let b = Socket::try_from(b).unwrap();
    let mut end = End::new(Transport::tls_server(b, &server(&authority.server(&["localhost"]))).unwrap());
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    end.turn(&mut [0; 100]);
    end.fails_with("the client does not speak TLS");
    drop(end);
    let mut alert = Vec::new();
    plain.read_to_end(&mut alert).unwrap();
    // RFC 8446 6: a record of kind alert, fatal.
    assert_eq!((alert[0], alert[5]), (21, 2), "{alert:?}");
}

#[test]
fn a_certificate_for_another_name_is_refused_by_name() {
    let authority = Authority::new("root");
    let mut pair = Pair::new(&server(&authority.server(&["a.example"])), &client(&authority), "b.example");
    pair.settle();
    pair.client.fails_with("the server's certificate is for a.example, not for b.example");
    pair.server.fails_with("the client does not accept our certificate");
}

#[test]
fn an_unknown_issuer_is_refused() {
    let issued = Authority::new("theirs").server(&["localhost"]);
    let mut pair = Pair::new(&server(&issued), &client(&Authority::new("ours")), "localhost");
    pair.settle();
    pair.client.fails_with("its issuer is unknown");
    pair.server.fails_with("the client does not trust the issuer of our certificate");
}

#[test]
fn an_expired_certificate_is_refused_and_told_since_when() {
    let authority = Authority::new("root");
    let issued = authority.server_between("localhost", (2001, 2002));
    let mut pair = Pair::new(&server(&issued), &client(&authority), "localhost");
    pair.settle();
    pair.client.fails_with("the server's certificate expired ");
    pair.client.fails_with(" days ago");
    pair.server.fails_with("the client says that our certificate has expired");
}

#[test]
fn a_certificate_of_the_future_is_refused() {
    let authority = Authority::new("root");
    let issued = authority.server_between("localhost", (3000, 3001));
    let mut pair = Pair::new(&server(&issued), &client(&authority), "localhost");
    pair.settle();
    pair.client.fails_with("is the clock right?");
}

#[test]
fn a_clients_certificate_is_no_servers() {
    let authority = Authority::new("root");
    let mut pair = Pair::new(&server(&authority.client("localhost")), &client(&authority), "localhost");
    pair.settle();
    pair.client.fails_with("the server's certificate is not meant for a server");
}

#[test]
fn an_issuers_own_certificate_is_no_servers() {
    let authority = Authority::new("localhost");
    let mut pair = Pair::new(&server(&authority.itself()), &client(&authority), "localhost");
    pair.settle();
    pair.client.fails_with("the server's certificate is an issuer's own (CA:TRUE)");
}

fn demanding(issued: &Issued, certificates: ClientCertificates) -> ServerTls {
    let mut options = ServerTlsOptions::new(issued.identity());
    options.client_certificates = certificates;
    ServerTls::with_options(options).unwrap()
}

#[test]
fn a_required_client_certificate_must_be_there_and_be_trusted() {
    let authority = Authority::new("root");
    let server = demanding(&authority.server(&["localhost"]), ClientCertificates::Required(authority.pem()));

    let mut pair = Pair::new(&server, &client(&authority), "localhost");
    pair.settle();
    pair.server.fails_with("the client showed no certificate, and one is required");
    pair.client.fails_with("the server requires a certificate of us");

    let stranger = Authority::new("stranger").client("mallory");
    let stranger = client_with(&authority, |options| options.identity = Some(stranger.identity()));
    let mut pair = Pair::new(&server, &stranger, "localhost");
    pair.settle();
    pair.server.fails_with("the client's certificate is not trusted: its issuer is unknown");

    let alice = authority.client("alice");
    let known = client_with(&authority, |options| options.identity = Some(alice.identity()));
    let pair = Pair::open(&server, &known, "localhost");
    let der = rustls::pki_types::CertificateDer::from_pem_slice(alice.chain.as_bytes()).unwrap();
    assert_eq!(pair.server.transport.peer_certificate(), Some(der.as_ref()));
    assert!(pair.client.transport.peer_certificate().is_some());
}

#[test]
fn an_optional_client_certificate_may_be_missing_but_not_wrong() {
    let authority = Authority::new("root");
    let server = demanding(&authority.server(&["localhost"]), ClientCertificates::Optional(authority.pem()));
    let pair = Pair::open(&server, &client(&authority), "localhost");
    assert_eq!(pair.server.transport.peer_certificate(), None);

    let stranger = Authority::new("stranger").client("mallory");
    let stranger = client_with(&authority, |options| options.identity = Some(stranger.identity()));
    let mut pair = Pair::new(&server, &stranger, "localhost");
    pair.settle();
    pair.server.fails_with("its issuer is unknown");
}

#[test]
fn both_agree_to_http_1_1() {
    let pair = ordinary();
    assert_eq!(pair.client.transport.alpn(), Some(&b"http/1.1"[..]));
    assert_eq!(pair.server.transport.alpn(), Some(&b"http/1.1"[..]));
}

#[test]
fn a_client_of_another_protocol_is_refused() {
    let authority = Authority::new("root");
    let client = client_with(&authority, |options| options.alpn = vec![b"h2".to_vec()]);
    let mut pair = Pair::new(&server(&authority.server(&["localhost"])), &client, "localhost");
    pair.settle();
    pair.server.fails_with("share no application protocol");
    pair.client.fails_with("share no application protocol");
}

#[test]
fn a_client_that_names_no_protocol_is_welcome() {
    let authority = Authority::new("root");
    let client = client_with(&authority, |options| options.alpn.clear());
    let pair = Pair::open(&server(&authority.server(&["localhost"])), &client, "localhost");
    assert_eq!(pair.server.transport.alpn(), None);
}

#[test]
fn each_name_is_shown_its_own_certificate() {
    let authority = Authority::new("root");
    let mut options = ServerTlsOptions::new(authority.server(&["a.example"]).identity());
    options.identities.push(authority.server(&["b.example", "*.c.example"]).identity());
    let server = ServerTls::with_options(options).unwrap();
    for name in ["a.example", "b.example", "x.c.example"] {
        let pair = Pair::open(&server, &client(&authority), name);
        assert_eq!(pair.server.transport.server_name(), Some(name));
    }
    let mut pair = Pair::new(&server, &client(&authority), "d.example");
    pair.settle();
    pair.client.fails_with("is for a.example, not for d.example");
}

#[test]
fn a_given_name_stands_for_the_host() {
    let authority = Authority::new("root");
    let client = client_with(&authority, |options| options.server_name = Some("real.example".into()));
    let pair = Pair::open(&server(&authority.server(&["real.example"])), &client, "127.0.0.1");
    assert_eq!(pair.server.transport.server_name(), Some("real.example"));
}

#[test]
fn an_address_is_checked_against_the_certificate_too() {
    let authority = Authority::new("root");
    let server = server(&authority.server(&["127.0.0.1"]));
    let pair = Pair::open(&server, &client(&authority), "127.0.0.1");
    assert_eq!(pair.server.transport.server_name(), None);
    let mut pair = Pair::new(&server, &client(&authority), "127.0.0.2");
    pair.settle();
    pair.client.fails_with("is for 127.0.0.1, not for 127.0.0.2");
}

#[test]
fn a_host_that_can_be_in_no_certificate_is_refused_at_once() {
    let (a, _b) = Socket::pair().unwrap();
    let error = Transport::tls_client(a, &client(&Authority::new("root")), "no name").unwrap_err();
    assert_eq!(error.to_string(), "TLS: \"no name\" is not a name for a server");
}

/// A plain, buffered rustls client.
struct PlainClient {
    tls: rustls::ClientConnection,
    stream: UnixStream,
}

impl PlainClient {
    fn new(authority: &Authority, version: &'static rustls::SupportedProtocolVersion) -> (PlainClient, Socket) {
        let (stream, other) = UnixStream::pair().unwrap();
        stream.set_nonblocking(true).unwrap();
        let Pem::Bytes(pem) = authority.pem() else { panic!("no bytes") };
        let mut roots = rustls::RootCertStore::empty();
        roots.add(rustls::pki_types::CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        (PlainClient { tls, stream }, Socket::try_from(other).unwrap())
    }

    /// Writes and reads what can be, `server` between.
    fn settle(&mut self, server: &mut End) -> Vec<u8> {
        let mut received = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        for _ in 0..10 {
            while self.tls.wants_write() {
                self.tls.write_tls(&mut self.stream).unwrap();
            }
            server.turn(&mut buffer);
            while self.tls.read_tls(&mut self.stream).is_ok_and(|n| n > 0) {
                self.tls.process_new_packets().unwrap();
                let _ = self.tls.reader().read_to_end(&mut received);
            }
        }
        received
    }
}

#[test]
fn tls_1_2_is_spoken_too() {
    let authority = Authority::new("root");
    let (mut client, socket) = PlainClient::new(&authority, &rustls::version::TLS12);
    let mut end = End::new(Transport::tls_server(socket, &server(&authority.server(&["localhost"]))).unwrap());
    client.tls.writer().write_all(b"from the past").unwrap();
    client.settle(&mut end);
    assert_eq!(end.received, b"from the past");
    assert_eq!(end.write(&numbered(40_000)).unwrap(), 40_000);
    assert!(client.settle(&mut end) == numbered(40_000));
    client.tls.send_close_notify();
    client.settle(&mut end);
    assert!(end.is_ended);
}

#[test]
fn new_keys_are_taken_and_answered() {
    let authority = Authority::new("root");
    let (mut client, socket) = PlainClient::new(&authority, &rustls::version::TLS13);
    let mut end = End::new(Transport::tls_server(socket, &server(&authority.server(&["localhost"]))).unwrap());
    client.settle(&mut end);
    for round in 0..3 {
        client.tls.refresh_traffic_keys().unwrap();
        client.tls.writer().write_all(b"under new keys").unwrap();
        client.settle(&mut end);
        assert_eq!(std::mem::take(&mut end.received), b"under new keys", "round {round}");
        assert_eq!(end.write(b"answer").unwrap(), 6);
        assert_eq!(client.settle(&mut end), b"answer", "round {round}");
    }
}

#[test]
fn a_record_that_was_changed_on_the_way_is_an_error() {
    let authority = Authority::new("root");
    let (mut client, socket) = PlainClient::new(&authority, &rustls::version::TLS13);
    let mut end = End::new(Transport::tls_server(socket, &server(&authority.server(&["localhost"]))).unwrap());
    client.settle(&mut end);
    let mut record = Vec::new();
    client.tls.writer().write_all(b"good").unwrap();
    client.tls.write_tls(&mut record).unwrap();
    client.tls.writer().write_all(b"bad").unwrap();
    client.tls.write_tls(&mut record).unwrap();
    *record.last_mut().unwrap() ^= 1;
    client.stream.write_all(&record).unwrap();
    end.turn(&mut vec![0; 64 << 10]);
    assert_eq!(end.received, b"good");
    assert_eq!(end.error.as_ref().unwrap().kind(), io::ErrorKind::InvalidData);
    assert!(end.write(b"more").is_err());
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("linkspan-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_name() {
    let folder = Folder::new("wrong");
    let authority = Authority::new("root");
    let (one, other) = (authority.server(&["localhost"]), authority.server(&["localhost"]));
    let chain = folder.write("chain.pem", &one.chain);
    let key = folder.write("key.pem", &one.key);
    let other = folder.write("other.pem", &other.key);
    let empty = folder.write("empty.pem", "");
    let broken = folder.write("broken.pem", "-----BEGIN CERTIFICATE-----\nMIIB");
    let encrypted = folder
        .write("encrypted.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    let weak = folder.write("weak.pem", WEAK_KEY);
    let missing = folder.0.join("missing.pem");
    let new = |chain: &PathBuf, key: &PathBuf| match ServerTls::new(Pem::file(chain), Pem::file(key)) {
        Ok(_) => String::new(),
        Err(error) => error.to_string().replace(&folder.0.display().to_string(), ""),
    };
    assert_eq!(new(&chain, &key), "");
    assert_eq!(new(&missing, &key), "TLS: cannot read /missing.pem: No such file or directory (os error 2)");
    assert_eq!(new(&empty, &key), "TLS: no certificate in /empty.pem");
    assert_eq!(new(&key, &key), "TLS: no certificate in /key.pem");
    assert_eq!(new(&broken, &key), "TLS: /broken.pem is not PEM: a section has no end");
    assert_eq!(new(&chain, &chain), "TLS: no private key in /chain.pem");
    assert_eq!(new(&chain, &other), "TLS: the key in /other.pem does not fit the certificate in /chain.pem");
    assert_eq!(new(&chain, &encrypted), "TLS: the key in /encrypted.pem is encrypted; decrypt it first (openssl pkey)");
    assert_eq!(
        new(&chain, &weak),
        "TLS: the key in /weak.pem cannot be used; make one of a kind that is: RSA of 2048 bits or more, ECDSA on P-256 \
         or P-384, Ed25519"
    );
    let roots = ClientTlsOptions { roots: Roots::Only(Pem::file(&empty)), ..ClientTlsOptions::default() };
    let error = ClientTls::with_options(roots).unwrap_err().to_string();
    assert_eq!(error, format!("TLS: no certificate in {}", empty.display()));
}

/// ECDSA on P-224.
const WEAK_KEY: &str = "-----BEGIN PRIVATE KEY-----
MHgCAQAwEAYHKoZIzj0CAQYFK4EEACEEYTBfAgEBBByENLxkNHzjRzrpmkzrv6Y1
dkjrLKeg0YjYixi7oTwDOgAE7n85gnBVd7SDE2HBtl+lJRNBM4CoI9fQCYdFMK0N
fSVnWCPpPVm0UXhr/CxZ1qWq/ZaMHii4Yzk=
-----END PRIVATE KEY-----
";

#[test]
fn reloading_shows_new_certificates_and_keeps_the_old_ones_when_it_fails() {
    let folder = Folder::new("reload");
    let authority = Authority::new("root");
    let show = |issued: &Issued| {
        Identity::files(folder.write("chain.pem", &issued.chain), folder.write("key.pem", &issued.key))
    };
    let server = ServerTls::with_options(ServerTlsOptions::new(show(&authority.server(&["old.example"])))).unwrap();
    Pair::open(&server, &client(&authority), "old.example");

    folder.write("chain.pem", &authority.server(&["new.example"]).chain);
    let error = server.reload().unwrap_err().to_string();
    assert!(error.contains("does not fit"), "{error}");
    Pair::open(&server, &client(&authority), "old.example");

    show(&authority.server(&["new.example"]));
    server.reload().unwrap();
    Pair::open(&server, &client(&authority), "new.example");
}

#[test]
fn an_identity_may_be_added_while_the_server_serves() {
    let folder = Folder::new("added");
    let authority = Authority::new("root");
    let show = |name: &str, issued: &Issued| {
        let (chain, key) = (format!("{name}.pem"), format!("{name}.key"));
        Identity::files(folder.write(&chain, &issued.chain), folder.write(&key, &issued.key))
    };
    let first = show("first", &authority.server(&["first.example"]));
    let server = ServerTls::with_options(ServerTlsOptions::new(first)).unwrap();
    server.add(Identity::files("missing.pem", "missing.key")).unwrap_err();
    server.add(show("second", &authority.server(&["second.example"]))).unwrap();
    Pair::open(&server, &client(&authority), "first.example");
    Pair::open(&server, &client(&authority), "second.example");
    // A reload is of both, or of none.
    show("first", &authority.server(&["third.example"]));
    let second = folder.write("second.pem", "nothing");
    let error = server.reload().unwrap_err().to_string();
    assert!(error.contains(&second.display().to_string()), "{error}");
    Pair::open(&server, &client(&authority), "first.example");
    show("second", &authority.server(&["fourth.example"]));
    server.reload().unwrap();
    Pair::open(&server, &client(&authority), "third.example");
    Pair::open(&server, &client(&authority), "fourth.example");
}

#[test]
fn a_server_knows_that_its_certificate_is_out_of_date() {
    let authority = Authority::new("root.example");
    let warnings = |years| server(&authority.server_between("localhost", years)).warnings();
    assert_eq!(warnings((2020, 4096)), Vec::<String>::new());
    let [expired] = &warnings((2020, 2021))[..] else { panic!("one warning") };
    assert!(expired.starts_with("the certificate in the given PEM text expired "), "{expired}");
    let [early] = &warnings((4000, 4096))[..] else { panic!("one warning") };
    assert!(early.starts_with("the certificate in the given PEM text is not valid for another "), "{early}");
    // An issuer behind it, or its own issuer, is looked at too.
    assert_eq!(server(&authority.itself()).warnings(), Vec::<String>::new());
    let (own, old) = (authority.server(&["localhost"]), authority.server_between("localhost", (2020, 2021)));
    let chain = Issued { chain: own.chain + &old.chain, key: own.key };
    assert_eq!(server(&chain).warnings().len(), 1);
}

#[test]
fn a_server_needs_a_certificate() {
    let mut options = ServerTlsOptions::new(Authority::new("root").server(&["localhost"]).identity());
    options.identities.clear();
    assert_eq!(ServerTls::with_options(options).unwrap_err().to_string(), "TLS: a server needs a certificate");
}

#[test]
fn a_pinned_key_must_be_the_servers_own() {
    let (authority, another) = (Authority::new("root"), Authority::new("another"));
    let issued = authority.server(&["localhost"]);
    let pinned = |pins: &[Pin]| client_with(&authority, |options| options.pins = pins.to_vec());
    let other = Pin::from_sha256([7; 32]);
    let mut wrong = Pair::new(&server(&issued), &pinned(&[other]), "localhost");
    wrong.settle();
    wrong.client.fails_with("which is not pinned");
    // The sentence tells the pin that would do.
    let error = wrong.client.error.as_ref().unwrap().to_string();
    let pin = error.split_whitespace().find(|word| word.starts_with("sha256/")).unwrap().trim_end_matches(',');
    let pin = Pin::parse(pin).unwrap();
    Pair::open(&server(&issued), &pinned(&[other, pin]), "localhost");

    // What is sent along proves nothing, and neither does a key without trust.
    let mut along = authority.server(&["localhost"]);
    along.chain.push_str(&issued.chain);
    let mut pair = Pair::new(&server(&along), &pinned(&[pin]), "localhost");
    pair.settle();
    pair.client.fails_with("which is not pinned");
    let distrusting = client_with(&another, |options| options.pins = vec![pin]);
    let mut pair = Pair::new(&server(&issued), &distrusting, "localhost");
    pair.settle();
    pair.client.fails_with("its issuer is unknown");
}

#[test]
fn a_pin_reads_as_it_is_written() {
    let pin = Pin::from_sha256([255; 32]);
    let text = pin.to_string();
    assert_eq!(text, "sha256///////////////////////////////////////////8=");
    assert_eq!(Pin::parse(&text).unwrap(), pin);
    // As curl writes it.
    assert_eq!(Pin::parse(&text.replacen("sha256/", "sha256//", 1)).unwrap(), pin);
    for bad in ["", "sha256", "sha256/", "sha256/8=", "sha1/AAAA", "SHA256/"] {
        assert!(Pin::parse(bad).is_err(), "{bad:?}");
    }
}
