//! Both drivers together: the loop serves, blocking clients call, and the other way round; with TLS and
//! without.
#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/certificates.rs"]
mod certificates;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::{Arc, mpsc};
use std::thread;

use certificates::Authority;
use linkspan::Error;
use linkspan::blocking::WebSocket;
use linkspan::net::{
    ConnectOptions, ConnectionId, Context, EventLoop, Handler, ListenOptions, Listener, Server, ServerOptions,
};
use linkspan::protocol::handshake::{Accept, Uri};
use linkspan::protocol::{CloseCode, CloseInfo, Config, MessageKind};
use linkspan::tls::{ClientTls, ClientTlsOptions, Roots, ServerTls, ServerTlsOptions};
use linkspan::transport::{Socket, Transport};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

struct Echo;

impl Handler for Echo {
    fn on_message(&mut self, cx: &mut Context<'_>, id: ConnectionId, kind: MessageKind, data: &[u8]) {
        let _ = cx.send(id, kind, data);
    }
}

/// An echo server on a loop of its own, with a certificate for localhost.
struct Secure {
    _server: Server,
    authority: Authority,
    port: u16,
}

impl Secure {
    fn new(config: Config) -> Secure {
        let authority = Authority::new("root");
        let tls = ServerTls::with_options(ServerTlsOptions::new(authority.server(&["localhost"]).identity())).unwrap();
        let listen = ListenOptions { config: Arc::new(config), tls: Some(Arc::new(tls)), ..ListenOptions::default() };
        let options = ServerOptions { loops: 1, listen };
        let listener = Listener::tcp("127.0.0.1:0").unwrap();
        let port = port(&listener);
        let server = Server::start(listener, options, |_| Box::new(Echo)).unwrap();
        Secure { _server: server, authority, port }
    }

    fn options(&self) -> ConnectOptions {
        let mut options = ConnectOptions::new(Uri::parse(&format!("wss://localhost:{}/", self.port)).unwrap());
        options.tls = Some(trusting(&self.authority));
        options
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).unwrap()
    }
}

fn port(listener: &Listener) -> u16 {
    listener.local_addr().socket_addr().unwrap().port()
}

fn trusting(authority: &Authority) -> Arc<ClientTls> {
    let options = ClientTlsOptions { roots: Roots::Only(authority.pem()), ..ClientTlsOptions::default() };
    Arc::new(ClientTls::with_options(options).unwrap())
}

fn echoes(client: &WebSocket, size: usize) {
    let sent: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
    let (sender, copy) = (client.clone(), sent.clone());
    let sending = thread::spawn(move || sender.send(MessageKind::Binary, &copy).unwrap());
    assert!(*client.recv().unwrap().unwrap().data == *sent);
    sending.join().unwrap();
}

#[test]
fn the_loop_echoes_messages_of_every_size_through_tls() {
    let secure = Secure::new(Config::default());
    let client = WebSocket::dial_with(secure.options()).unwrap();
    for size in [0, 1, 125, 126, 16_000, 16_384, 16_385, 65_536, 300_000, 3_000_000] {
        echoes(&client, size);
    }
    assert!(client.close(Some(CloseCode::NORMAL), "").unwrap().clean);
}

#[test]
fn silent_and_wrong_tls_clients_hold_nobody_up() {
    let secure = Secure::new(Config::default());
    let mut silent: Vec<TcpStream> = (0..20).map(|_| secure.connect()).collect();
    let mut plain = secure.connect();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    // The beginning of a record that never comes whole.
    silent[0].write_all(&[22, 3, 1, 0x20, 0]).unwrap();
    echoes(&WebSocket::dial_with(secure.options()).unwrap(), 100_000);
    let mut alert = Vec::new();
    plain.read_to_end(&mut alert).unwrap();
    assert_eq!(alert.first(), Some(&21));
}

#[test]
fn a_silent_tls_client_is_given_up_after_the_handshake_timeout() {
    let secure = Secure::new(Config { handshake_timeout: 30, ..Config::default() });
    let mut silent = secure.connect();
    let mut rest = Vec::new();
    // The end comes, or this test never ends.
    let _ = silent.read_to_end(&mut rest);
    assert!(!rest.starts_with(b"HTTP/"), "a plain answer to a TLS client");
}

#[test]
fn a_client_that_does_not_trust_the_loops_server_is_told_why() {
    let secure = Secure::new(Config::default());
    let mut options = secure.options();
    options.tls = Some(trusting(&Authority::new("another")));
    let error = WebSocket::dial_with(options).unwrap_err().to_string();
    assert!(error.contains("its issuer is unknown"), "{error}");
}

/// What a loop's client is told.
#[derive(Debug, PartialEq)]
enum Told {
    Open,
    Message(Vec<u8>),
    Error(String),
    Close(u16),
}

struct Telling {
    sender: mpsc::Sender<Told>,
    size: usize,
}

impl Handler for Telling {
    fn on_open(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        self.sender.send(Told::Open).unwrap();
        cx.send(id, MessageKind::Binary, &vec![8; self.size]).unwrap();
    }

    fn on_message(&mut self, cx: &mut Context<'_>, id: ConnectionId, _: MessageKind, data: &[u8]) {
        self.sender.send(Told::Message(data.to_vec())).unwrap();
        cx.close(id, Some(CloseCode::NORMAL), "").unwrap();
    }

    fn on_error(&mut self, _: &mut Context<'_>, _: ConnectionId, error: &Error) {
        self.sender.send(Told::Error(error.to_string())).unwrap();
    }

    fn on_close(&mut self, cx: &mut Context<'_>, _: ConnectionId, info: &CloseInfo) {
        self.sender.send(Told::Close(info.code.as_u16())).unwrap();
        cx.stop();
    }
}

/// Runs one client in a loop to its end.
fn run_client(options: ConnectOptions, size: usize) -> Vec<Told> {
    let (sender, receiver) = mpsc::channel();
    let mut event_loop = EventLoop::new().unwrap();
    let mut cx = event_loop.context();
    let handler = cx.add_handler(Box::new(Telling { sender, size }));
    cx.connect(options, handler).unwrap();
    event_loop.run().unwrap();
    receiver.try_iter().collect()
}

fn accept(listener: &Listener) -> Socket {
    poll(&mut [PollFd::new(listener.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
    listener.accept().unwrap().unwrap()
}

#[test]
fn a_loops_client_speaks_tls_to_a_blocking_server() {
    let authority = Authority::new("root");
    let tls = ServerTls::with_options(ServerTlsOptions::new(authority.server(&["localhost"]).identity())).unwrap();
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    let port = port(&listener);
    let serving = thread::spawn(move || {
        let transport = Transport::tls_server(accept(&listener), &tls).unwrap();
        let websocket = WebSocket::accept(transport, Arc::default(), |_| Ok(Accept::default())).unwrap();
        while let Some(message) = websocket.recv().unwrap() {
            websocket.send(message.kind, &message.data).unwrap();
        }
    });
    let mut options = ConnectOptions::new(Uri::parse(&format!("wss://localhost:{port}/")).unwrap());
    options.tls = Some(trusting(&authority));
    let told = run_client(options, 2_000_000);
    assert!(told == [Told::Open, Told::Message(vec![8; 2_000_000]), Told::Close(1000)]);
    serving.join().unwrap();
}

#[test]
fn a_loops_client_is_told_why_it_does_not_trust() {
    let secure = Secure::new(Config::default());
    let mut options = secure.options();
    options.tls = Some(trusting(&Authority::new("another")));
    let told = run_client(options, 1);
    let [Told::Error(error), Told::Close(1006)] = told.as_slice() else { panic!("{told:?}") };
    assert!(error.starts_with("TLS: the server's certificate is not trusted: its issuer is unknown"), "{error}");
}

/// Gives every connection that opens to a thread of its own.
struct Releasing(mpsc::Sender<WebSocket>);

impl Handler for Releasing {
    fn on_open(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        let released = cx.release(id).unwrap();
        let websocket = WebSocket::new(released.transport, *released.engine.unwrap(), released.unread).unwrap();
        self.0.send(websocket).unwrap();
    }
}

#[test]
fn a_released_connection_goes_on_in_a_blocking_thread() {
    for is_secure in [false, true] {
        let authority = Authority::new("root");
        let tls = ServerTls::with_options(ServerTlsOptions::new(authority.server(&["localhost"]).identity())).unwrap();
        // The deadlines of the loop's clock go on in the thread.
        let config = Config { ping_interval: 20, pong_timeout: 10_000, ..Config::default() };
        let listen = ListenOptions {
            config: Arc::new(config),
            tls: is_secure.then(|| Arc::new(tls)),
            ..ListenOptions::default()
        };
        let (sender, released) = mpsc::channel();
        let listener = Listener::tcp("127.0.0.1:0").unwrap();
        let port = port(&listener);
        let server =
            Server::start(listener, ServerOptions { loops: 1, listen }, |_| Box::new(Releasing(sender.clone())))
                .unwrap();
        let scheme = if is_secure { "wss" } else { "ws" };
        let mut options = ConnectOptions::new(Uri::parse(&format!("{scheme}://localhost:{port}/")).unwrap());
        options.tls = is_secure.then(|| trusting(&authority));
        let client = WebSocket::dial_with(options).unwrap();
        let websocket = released.recv().unwrap();
        // It needs the loop no more.
        drop(server);
        let serving = thread::spawn(move || {
            while let Some(message) = websocket.recv().unwrap() {
                websocket.send(message.kind, &message.data).unwrap();
            }
            websocket.close_info().unwrap()
        });
        echoes(&client, 500_000);
        assert!(client.close(Some(CloseCode::NORMAL), "").unwrap().clean);
        assert!(serving.join().unwrap().clean);
    }
}

#[test]
fn frames_glued_to_the_request_survive_a_release() {
    let listen = ListenOptions::default();
    let (sender, released) = mpsc::channel();
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    let port = port(&listener);
    let _server =
        Server::start(listener, ServerOptions { loops: 1, listen }, |_| Box::new(Releasing(sender.clone()))).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut bytes = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    bytes.extend_from_slice(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i', 0x81, 0x82, 0, 0, 0, 0, b'h', b'o']);
    stream.write_all(&bytes).unwrap();
    let websocket = released.recv().unwrap();
    assert_eq!(&*websocket.recv().unwrap().unwrap().data, b"hi");
    assert_eq!(&*websocket.recv().unwrap().unwrap().data, b"ho");
    // The 101 that the loop had queued was not lost either.
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 101");
}
