//! Clients behind proxies: HTTP CONNECT in clear text and in TLS, SOCKS5; those that refuse, and those that lie.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "tls")]

#[path = "common/certificates.rs"]
mod certificates;
#[path = "common/mod.rs"]
mod common;

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use certificates::Authority;
use common::running::{Log, PATIENCE, Running, Told, echo};
use linkspan::blocking::WebSocket;
use linkspan::net::{
    Answer, ConnectOptions, ConnectionId, Context, Handler, Heads, ListenOptions, Listener, ProxyChoice, Remote,
    Resolve,
};
use linkspan::protocol::handshake::{Proxy, Uri};
use linkspan::protocol::{CloseCode, MessageKind};
use linkspan::tls::{ClientTls, ClientTlsOptions, Roots, ServerTls, ServerTlsOptions};

/// An echo server in a loop of its own, perhaps in TLS as `server.example`.
struct Server {
    running: Running,
    address: SocketAddr,
    authority: Authority,
}

impl Server {
    fn new(is_secure: bool) -> Server {
        let (running, authority) = (Running::new(), Authority::new("root"));
        let tls = is_secure.then(|| Arc::new(server_tls(&authority, "server.example")));
        let listener = Listener::tcp("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap_socket();
        running.ask(move |cx| {
            let handler = cx.add_handler(Box::new(Told::new(&Log::default()).on_message(echo)));
            cx.listen(listener, ListenOptions { tls, ..ListenOptions::default() }, handler).unwrap();
        });
        Server { running, address, authority }
    }
}

trait SocketAddress {
    fn unwrap_socket(&self) -> SocketAddr;
}

impl SocketAddress for linkspan::transport::Peer {
    fn unwrap_socket(&self) -> SocketAddr {
        self.socket_addr().unwrap()
    }
}

fn server_tls(authority: &Authority, name: &str) -> ServerTls {
    ServerTls::with_options(ServerTlsOptions::new(authority.server(&[name]).identity())).unwrap()
}

fn client_tls(authority: &Authority) -> Arc<ClientTls> {
    let options = ClientTlsOptions { roots: Roots::Only(authority.pem()), ..ClientTlsOptions::default() };
    Arc::new(ClientTls::with_options(options).unwrap())
}

/// Every name is there.
#[derive(Debug)]
struct Everywhere(SocketAddr);

impl Resolve for Everywhere {
    fn resolve(&self, _: &str, port: u16, answer: Answer) {
        answer(Ok(vec![SocketAddr::new(self.0.ip(), port)]));
    }
}

fn options(url: &str, proxy: &str) -> ConnectOptions {
    let proxy = ProxyChoice::Through(Proxy::parse(proxy).unwrap());
    let resolver: Arc<dyn Resolve> = Arc::new(Everywhere("127.0.0.1:0".parse().unwrap()));
    ConnectOptions { proxy, resolver: Some(resolver), ..ConnectOptions::new(Uri::parse(url).unwrap()) }
}

/// A proxy on a thread: `talk` speaks with one client, and gives where its way leads.
struct ProxyThread {
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl ProxyThread {
    fn new(talk: impl FnOnce(&mut TcpStream) -> Option<SocketAddr> + Send + 'static) -> ProxyThread {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            if let Some(server) = talk(&mut client) {
                let server = TcpStream::connect(server).unwrap();
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let there = thread::spawn(move || pipe(from, to));
                pipe(server, client);
                there.join().unwrap();
            }
        });
        ProxyThread { address, thread: Some(thread) }
    }
}

impl Drop for ProxyThread {
    fn drop(&mut self) {
        let ended = self.thread.take().unwrap().join();
        if !thread::panicking() {
            ended.expect("the proxy does not panic");
        }
    }
}

/// Copies until one side ends.
fn pipe(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// An HTTP proxy for one client that leads to `server`, whatever it is asked for; what it was asked goes to `heads`.
fn http_proxy(server: SocketAddr, heads: &Arc<Mutex<Vec<String>>>) -> ProxyThread {
    let heads = Arc::clone(heads);
    ProxyThread::new(move |client| {
        heads.lock().unwrap().push(read_head(client));
        client.write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n").unwrap();
        Some(server)
    })
}

/// A SOCKS5 proxy for one client; the address type and host that it was asked for go to `asked`.
fn socks_proxy(server: SocketAddr, user: Option<&'static str>, asked: &Arc<Mutex<Vec<String>>>) -> ProxyThread {
    let asked = Arc::clone(asked);
    ProxyThread::new(move |client| {
        let mut take = |n: usize| {
            let mut bytes = vec![0; n];
            client.read_exact(&mut bytes).unwrap();
            bytes
        };
        let greeting = take(2);
        let methods = take(greeting[1].into());
        match user {
            Some(user) => {
                assert!(methods.contains(&2));
                client.write_all(&[5, 2]).unwrap();
                let mut bytes = vec![0; user.len()];
                client.read_exact(&mut bytes).unwrap();
                assert_eq!(String::from_utf8_lossy(&bytes), user);
                client.write_all(&[1, 0]).unwrap();
            }
            None => client.write_all(&[5, 0]).unwrap(),
        }
        let mut take = |n: usize| {
            let mut bytes = vec![0; n];
            client.read_exact(&mut bytes).unwrap();
            bytes
        };
        let request = take(4);
        let host = match request[3] {
            1 => take(4).iter().map(u8::to_string).collect::<Vec<_>>().join("."),
            3 => {
                let length = take(1)[0];
                String::from_utf8(take(length.into())).unwrap()
            }
            other => panic!("address type {other}"),
        };
        take(2);
        asked.lock().unwrap().push(host);
        // The reply in two pieces, and an IPv6 address as the bound one.
        client.write_all(&[5, 0, 0, 4]).unwrap();
        client.write_all(&[0; 18]).unwrap();
        Some(server)
    })
}

/// An HTTP proxy in TLS, for any number of clients, in a loop of its own.
struct SecureProxy {
    _running: Running,
    address: SocketAddr,
    authority: Authority,
    heads: Arc<Mutex<Vec<String>>>,
}

struct Forward {
    server: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    ways: HashMap<ConnectionId, TcpStream>,
}

impl Handler for Forward {
    fn on_head(&mut self, cx: &mut Context<'_>, id: ConnectionId, head: &[u8]) {
        self.heads.lock().unwrap().push(String::from_utf8(head.to_vec()).unwrap());
        let way = TcpStream::connect(self.server).unwrap();
        let back = way.try_clone().unwrap();
        self.ways.insert(id, way);
        cx.resume(id).unwrap();
        cx.write(id, b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let remote = cx.remote();
        // It ends with the server's end of the stream.
        thread::spawn(move || bring_back(back, &remote, id));
    }

    fn on_bytes(&mut self, _: &mut Context<'_>, id: ConnectionId, bytes: &[u8]) {
        let way = self.ways.get_mut(&id).unwrap();
        // A server that has gone tells so by the end of its stream.
        let _ = match bytes {
            [] => way.shutdown(Shutdown::Write),
            bytes => way.write_all(bytes),
        };
    }
}

fn bring_back(mut from: TcpStream, remote: &Remote, id: ConnectionId) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if remote.write(id, buffer[..n].to_vec()).is_err() {
            return;
        }
    }
    let _ = remote.finish(id);
}

impl SecureProxy {
    fn new(server: SocketAddr) -> SecureProxy {
        let (running, authority, heads) = (Running::new(), Authority::new("proxies"), Arc::default());
        let listener = Listener::tcp("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap_socket();
        let tls = Some(Arc::new(server_tls(&authority, "proxy.example")));
        let forward = Forward { server, heads: Arc::clone(&heads), ways: HashMap::new() };
        running.ask(move |cx| {
            let handler = cx.add_handler(Box::new(forward));
            cx.listen(listener, ListenOptions { tls, heads: Heads::Raw, ..ListenOptions::default() }, handler).unwrap();
        });
        SecureProxy { _running: running, address, authority, heads }
    }
}

/// Connects in the loop, sends texts of many sizes and closes when all have come back.
fn talk(server: &Server, options: ConnectOptions) {
    const SIZES: [usize; 6] = [0, 1, 125, 70_000, 3, 3_000_000];
    let log = Log::default();
    let mut next = 0;
    let handler = Told::new(&log)
        .on_open(|cx, id| {
            for size in SIZES {
                cx.send(id, MessageKind::Binary, &vec![b'x'; size]).unwrap();
            }
        })
        .on_message(move |cx, id, _, data| {
            assert_eq!(data.len(), SIZES[next]);
            next += 1;
            if next == SIZES.len() {
                cx.close(id, Some(CloseCode::NORMAL), "").unwrap();
            }
        });
    server.running.ask(move |cx| cx.connect_with(options, Box::new(handler)).unwrap());
    assert_eq!(log.wait("close"), "close 1000 clean");
    assert_eq!((log.count("binary"), log.count("error")), (SIZES.len(), 0));
}

#[test]
fn an_http_proxy_is_asked_for_the_server_and_given_its_password() {
    let (server, heads) = (Server::new(false), Arc::default());
    let proxy = http_proxy(server.address, &heads);
    talk(&server, options("ws://server.example:81/", &format!("http://Aladdin:open%20sesame@{}", proxy.address)));
    let head = heads.lock().unwrap().remove(0);
    assert!(head.starts_with("CONNECT server.example:81 HTTP/1.1\r\nHost: server.example:81\r\n"), "{head}");
    assert!(head.contains("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"), "{head}");
}

#[test]
fn tls_runs_to_the_server_through_a_proxy() {
    let (server, heads) = (Server::new(true), Arc::default());
    for url in ["wss://server.example/", "wss://server.example:444/"] {
        let proxy = http_proxy(server.address, &heads);
        let mut options = options(url, &format!("http://{}", proxy.address));
        options.tls = Some(client_tls(&server.authority));
        talk(&server, options);
    }
    assert!(heads.lock().unwrap().iter().all(|head| !head.contains("Authorization")));
}

#[test]
fn tls_runs_inside_the_tls_of_a_secure_proxy() {
    let server = Server::new(true);
    let proxy = SecureProxy::new(server.address);
    let mut options = options("wss://server.example/", &format!("https://u:p@proxy.example:{}", proxy.address.port()));
    options.tls = Some(client_tls(&server.authority));
    options.proxy_tls = Some(client_tls(&proxy.authority));
    talk(&server, options.clone());
    assert!(proxy.heads.lock().unwrap()[0].contains("\r\nProxy-Authorization: Basic dTpw\r\n"));

    // The same on the caller's thread.
    let websocket = WebSocket::dial_with(options.clone()).unwrap();
    websocket.send(MessageKind::Text, "x".repeat(200_000).as_bytes()).unwrap();
    assert_eq!(websocket.recv().unwrap().unwrap().data.len(), 200_000);
    assert!(websocket.close(Some(CloseCode::NORMAL), "").unwrap().clean);

    // Either may be who it is not.
    options.proxy_tls = Some(client_tls(&server.authority));
    let error = WebSocket::dial_with(options.clone()).unwrap_err().to_string();
    assert!(error.starts_with("TLS: with the proxy proxy.example:") && error.contains("issuer is unknown"), "{error}");
    options.proxy_tls = Some(client_tls(&proxy.authority));
    options.tls = Some(client_tls(&proxy.authority));
    let error = WebSocket::dial_with(options).unwrap_err().to_string();
    assert!(error.starts_with("TLS: the server's certificate is not trusted"), "{error}");
}

#[test]
fn socks5_is_told_an_address_and_socks5h_a_name() {
    for (scheme, expected) in [("socks5", "127.0.0.1"), ("socks5h", "server.example")] {
        let (server, asked) = (Server::new(true), Arc::default());
        let proxy = socks_proxy(server.address, Some("\u{1}\u{3}joe\u{4}word"), &asked);
        let mut options = options("wss://server.example/", &format!("{scheme}://joe:word@{}", proxy.address));
        options.tls = Some(client_tls(&server.authority));
        talk(&server, options);
        assert_eq!(*asked.lock().unwrap(), [expected]);
    }
    let (server, asked) = (Server::new(false), Arc::default());
    let proxy = socks_proxy(server.address, None, &asked);
    talk(&server, options("ws://10.1.2.3/", &format!("socks5://{}", proxy.address)));
    assert_eq!(*asked.lock().unwrap(), ["10.1.2.3"]);
}

/// What a client is told that comes to a proxy which answers so.
fn refusal(scheme: &str, answer: Vec<u8>) -> String {
    let running = Running::new();
    let log = Log::default();
    let proxy = ProxyThread::new(move |client| {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        // It may have hung up before it was told all.
        let _ = client.write_all(&answer);
        let _ = client.shutdown(Shutdown::Write);
        let _ = io::copy(client, &mut io::sink());
        None
    });
    let options = options("ws://server.example/", &format!("{scheme}://user:secret@{}", proxy.address));
    let handler = Told::new(&log);
    running.ask(move |cx| cx.connect_with(options, Box::new(handler)).unwrap());
    assert_eq!(log.wait("close"), "close 1006 unclean");
    let lines = log.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(!lines[0].contains("secret") && !lines[0].contains("c2VjcmV0"), "{lines:?}");
    lines[0].clone()
}

#[test]
fn a_proxy_that_refuses_or_lies_is_one_error_and_the_end() {
    let endless = [b"HTTP/1.1 200 OK\r\n".to_vec(), b"X: y\r\n".repeat(10_000)].concat();
    for (scheme, answer, expected) in [
        ("http", b"HTTP/1.1 407 Who are you\r\n\r\n".to_vec(), "407 Who are you; it wants a user and a password"),
        ("http", b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno".to_vec(), "403 No; it does not allow this server"),
        ("http", b"HTTP/1.1 502 Bad\r\n\r\n".to_vec(), "502 Bad; it does not reach the server"),
        ("http", b"SSH-2.0-OpenSSH\r\n\r\n".to_vec(), "its answer cannot be read: "),
        ("http", endless, "its answer cannot be read: the head is longer than 16384 bytes"),
        ("http", b"HTTP/1.1 200 O".to_vec(), "it ended the connection before the way was open"),
        ("http", Vec::new(), "it ended the connection before the way was open"),
        ("http", b"HTTP/1.1 200 OK\r\n\r\nhello".to_vec(), "it sent more than its answer (5 bytes)"),
        ("socks5h", b"\x05\xff".to_vec(), "it wants an authentication that we cannot give"),
        ("socks5h", b"\x05\x02\x01\x01".to_vec(), "user or password is wrong"),
        ("socks5h", b"\x05\x00\x05\x02".to_vec(), "connection not allowed by ruleset"),
        ("socks5h", b"HTTP/1.1 400\r\n\r\n".to_vec(), "it does not speak SOCKS5"),
        ("socks5h", b"\x05".to_vec(), "it ended the connection before the way was open"),
        ("socks5h", b"\x05\x00\x05\x00\x00\x01\0\0\0\0\0\0X".to_vec(), "it sent more than its answer (1 bytes)"),
    ] {
        let told = refusal(scheme, answer.clone());
        let expected = format!("error the proxy refused: {expected}");
        assert!(told.starts_with(&expected), "{:?}: {told}", String::from_utf8_lossy(&answer[..answer.len().min(40)]));
    }
}

#[test]
fn a_secure_proxy_that_speaks_no_tls_is_named() {
    let told = refusal("https", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec());
    assert!(told.starts_with("error TLS: with the proxy 127.0.0.1:") && told.ends_with("does not speak TLS"), "{told}");
}

/// What dialling comes to, and a peer that accepts and says nothing meanwhile.
fn dial_silence(prepare: impl FnOnce(SocketAddr) -> ConnectOptions) -> String {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    WebSocket::dial_with(prepare(silent.local_addr().unwrap())).unwrap_err().to_string()
}

#[test]
fn each_phase_has_its_own_time_and_says_so() {
    const SHORT: Duration = Duration::from_millis(40);
    let (authority, silent) = (Authority::new("root"), |error: &str| error.ends_with(": no answer within 0.04 s"));

    let error = dial_silence(|address| ConnectOptions {
        proxy_timeout: SHORT,
        ..options("ws://server.example/", &format!("http://{address}"))
    });
    assert!(error.starts_with("cannot get through the proxy 127.0.0.1:") && silent(&error), "{error}");

    let error = dial_silence(|address| ConnectOptions {
        tls_timeout: SHORT,
        proxy_tls: Some(client_tls(&authority)),
        ..options("ws://server.example/", &format!("https://{address}"))
    });
    assert!(
        error.starts_with("cannot finish the TLS handshake with the proxy 127.0.0.1:") && silent(&error),
        "{error}"
    );

    let error = dial_silence(|address| ConnectOptions {
        tls_timeout: SHORT,
        tls: Some(client_tls(&authority)),
        ..ConnectOptions::new(Uri::parse(&format!("wss://{address}/")).unwrap())
    });
    assert!(error.starts_with("cannot finish the TLS handshake with 127.0.0.1:") && silent(&error), "{error}");

    // All together, whatever the phase.
    let error = dial_silence(|address| ConnectOptions {
        connect_timeout: SHORT,
        ..options("ws://server.example/", &format!("http://{address}"))
    });
    assert!(error.starts_with("cannot get through the proxy 127.0.0.1:") && silent(&error), "{error}");
}

#[test]
fn a_proxy_where_nobody_listens_is_named_as_the_proxy() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = WebSocket::dial_with(options("ws://a.example/", &format!("http://{closed}"))).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot connect to the proxy {closed}: Connection refused")), "{error}");
}
