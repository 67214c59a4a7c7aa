//! Whom either side trusts: names, issuers, dates, certificates of clients, pins.

use linkspan::tls::{ClientCertificates, Pin, ServerTls, ServerTlsOptions};
use linkspan::transport::{Socket, Transport};
use rustls::pki_types::pem::PemObject;

use crate::certificates::{Authority, Issued};
use crate::{Pair, client, client_with, ordinary, server};

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
