//! Against a plain rustls client: versions, new keys, records that were changed.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use linkspan::tls::Pem;
use linkspan::transport::{Socket, Transport};
use rustls::pki_types::pem::PemObject;

use crate::certificates::Authority;
use crate::{End, numbered, server};

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
