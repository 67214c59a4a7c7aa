//! The same over TLS.

use std::sync::Arc;
use std::thread;

use linkspan::Error;
use linkspan::blocking::{RawStream, WebSocket};
use linkspan::connector::ConnectOptions;
use linkspan::net::Listener;
use linkspan::protocol::handshake::{Accept, Uri};
use linkspan::protocol::{CloseCode, MessageKind};
use linkspan::tls::{ClientTls, ClientTlsOptions, Roots, ServerTls, ServerTlsOptions};
use linkspan::transport::{Socket, Transport};

use crate::certificates::Authority;
use crate::{accept, address, text};

fn client_tls(trusted: &Authority) -> Arc<ClientTls> {
    let options = ClientTlsOptions { roots: Roots::Only(trusted.pem()), ..ClientTlsOptions::default() };
    Arc::new(ClientTls::with_options(options).unwrap())
}

fn server_tls(authority: &Authority) -> ServerTls {
    ServerTls::with_options(ServerTlsOptions::new(authority.server(&["localhost"]).identity())).unwrap()
}

/// Where a server listens, and its next connection.
fn listen(authority: &Authority) -> (Arc<Listener>, impl FnOnce() -> Transport + use<>) {
    let tls = server_tls(authority);
    let listener = Arc::new(Listener::tcp("127.0.0.1:0").unwrap());
    let listening = listener.clone();
    (listener, move || Transport::tls_server(accept(&listening), &tls).unwrap())
}

fn dial(listener: &Listener, tls: Arc<ClientTls>) -> Result<WebSocket, Error> {
    let port = address(listener).port();
    let mut options = ConnectOptions::new(Uri::parse(&format!("wss://localhost:{port}/")).unwrap());
    options.tls = Some(tls);
    WebSocket::dial_with(options)
}

#[test]
fn a_secure_websocket_carries_large_messages_both_ways() {
    let authority = Authority::new("root");
    let (listener, accepted) = listen(&authority);
    let server = thread::spawn(move || {
        let websocket = WebSocket::accept(accepted(), Arc::default(), |_| Ok(Accept::default())).unwrap();
        assert_eq!(
            websocket.ask_transport(|transport| transport.server_name().map(str::to_owned)).unwrap(),
            "localhost"
        );
        while let Some(message) = websocket.recv().unwrap() {
            websocket.send(message.kind, &message.data).unwrap();
        }
        websocket.close_info().unwrap()
    });
    let client = dial(&listener, client_tls(&authority)).unwrap();
    client.send(MessageKind::Text, b"small").unwrap();
    assert_eq!(text(&client), "small");
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| (i >> 3) as u8).collect();
    let (sender, sent) = (client.clone(), large.clone());
    let sending = thread::spawn(move || sender.send(MessageKind::Binary, &sent).unwrap());
    assert!(*client.recv().unwrap().unwrap().data == *large);
    sending.join().unwrap();
    assert!(client.close(Some(CloseCode::NORMAL), "").unwrap().clean);
    assert!(server.join().unwrap().clean);
}

#[test]
fn a_server_that_is_not_trusted_is_an_error_that_says_so() {
    let authority = Authority::new("root");
    let (listener, accepted) = listen(&authority);
    let server =
        thread::spawn(move || WebSocket::accept(accepted(), Arc::default(), |_| Ok(Accept::default())).unwrap_err());
    let error = dial(&listener, client_tls(&Authority::new("another"))).unwrap_err().to_string();
    assert!(error.starts_with("TLS: the server's certificate is not trusted: its issuer is unknown"), "{error}");
    let error = server.join().unwrap().to_string();
    assert_eq!(error, "TLS: the client does not trust the issuer of our certificate");
}

#[test]
fn raw_bytes_through_tls_are_read_in_small_pieces() {
    let authority = Authority::new("root");
    let tls = server_tls(&authority);
    let (a, b) = Socket::pair().unwrap();
    let server = RawStream::new(Transport::tls_server(a, &tls).unwrap(), Vec::new()).unwrap();
    let client = Transport::tls_client(b, &client_tls(&authority), "localhost").unwrap();
    let client = RawStream::new(client, Vec::new()).unwrap();
    let sending = thread::spawn(move || {
        client.write_all(&vec![9; 100_000]).unwrap();
        client.finish().unwrap();
    });
    let mut total = 0;
    let mut buffer = [0; 7];
    loop {
        match server.read(&mut buffer, None).unwrap().unwrap() {
            0 => break,
            n => total += n,
        }
    }
    assert_eq!(total, 100_000);
    sending.join().unwrap();
}
