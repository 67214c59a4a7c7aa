//! The C and C++ examples do what they say they do: the same programs in both languages.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use common::{compile, compile_with, root};
use linkspan::blocking::WebSocket;
use linkspan::net::{ConnectOptions, ConnectionId, Context, EventLoop, Handler, ListenOptions, Listener};
use linkspan::protocol::handshake::Uri;
use linkspan::protocol::{CloseCode, CloseInfo, Config, MessageKind};
use linkspan::tls::{ClientTls, ClientTlsOptions, Pem, Roots};

/// An example in each of the languages.
fn built(c: &str, cpp: &str) -> [PathBuf; 2] {
    [compile(c), compile(cpp)]
}

fn echo_servers() -> &'static [PathBuf; 2] {
    static BUILT: OnceLock<[PathBuf; 2]> = OnceLock::new();
    BUILT.get_or_init(|| built("examples/c/echo_server.c", "examples/cpp/echo_server.cpp"))
}

/// A server that runs, and what it said.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    url: String,
}

impl Running {
    fn start(program: &Path, arguments: &[&str]) -> Running {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(root()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("it said {line:?}"));
        Running { child, stdout, url: url.to_owned() }
    }

    /// Ends it as a person would.
    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// It must end well, and have said nothing more.
    fn ends(mut self) {
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(0));
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

fn receive(socket: &WebSocket) -> (MessageKind, Vec<u8>) {
    let message = socket.recv_timeout(Duration::from_secs(20)).unwrap().expect("a message, not the end");
    (message.kind, message.data.to_vec())
}

#[test]
fn echo_server_echoes_and_drains_on_a_signal() {
    let [c, cpp] = echo_servers();
    for (program, signal, loops) in [(c, "-INT", "1"), (c, "-TERM", "3"), (cpp, "-INT", "3"), (cpp, "-TERM", "1")] {
        let server = Running::start(program, &["--loops", loops]);
        assert!(server.url.starts_with("ws://127.0.0.1:") && server.url.ends_with('/'), "{}", server.url);
        let socket = WebSocket::dial(&server.url).unwrap();
        for (kind, data) in
            [(MessageKind::Text, "grüße".as_bytes()), (MessageKind::Binary, &[0xff; 70_000]), (MessageKind::Text, b"")]
        {
            socket.send(kind, data).unwrap();
            assert_eq!(receive(&socket), (kind, data.to_vec()));
        }
        server.signal(signal);
        assert!(socket.recv().unwrap().is_none());
        let info = socket.close_info().unwrap();
        assert_eq!((info.code, info.clean), (CloseCode::GOING_AWAY, true));
        drop(socket);
        server.ends();
    }
}

#[test]
fn every_foreign_loop_echoes_and_drains_on_a_signal() {
    let programs = [
        ("epoll", None),
        ("poll", None),
        ("libuv", Some("libuv")),
        ("glib", Some("glib-2.0")),
        ("libevent", Some("libevent")),
    ];
    for (name, module) in programs {
        let program = compile_with(&format!("examples/c/echo_{name}.c"), module);
        for signal in ["-INT", "-TERM"] {
            let server = Running::start(&program, &[]);
            let (first, second) = (WebSocket::dial(&server.url).unwrap(), WebSocket::dial(&server.url).unwrap());
            for (kind, data) in [(MessageKind::Text, "grüße".as_bytes()), (MessageKind::Binary, &[0xff; 300_000])] {
                for socket in [&first, &second, &first] {
                    socket.send(kind, data).unwrap();
                    assert_eq!(receive(socket), (kind, data.to_vec()), "{name}");
                }
            }
            second.close(Some(CloseCode::NORMAL), "").unwrap();
            server.signal(signal);
            assert!(first.recv().unwrap().is_none());
            let info = first.close_info().unwrap();
            assert_eq!((info.code, info.clean), (CloseCode::GOING_AWAY, true), "{name}");
            drop(first);
            server.ends();
        }
        let output = Command::new(&program).arg("65536").output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1, "{name}");
    }
}

#[test]
fn echo_server_speaks_tls_and_deflate_within_its_limit() {
    echo_servers().iter().for_each(|program| speaks_tls_and_deflate_within_its_limit(program));
}

fn speaks_tls_and_deflate_within_its_limit(program: &Path) {
    let certificates = root().join("ffi/tests/certificates");
    let (certificate, key) = (certificates.join("server.pem"), certificates.join("server.key"));
    let tls = ["--tls", certificate.to_str().unwrap(), key.to_str().unwrap()];
    let server = Running::start(program, &[&tls[..], &["--deflate", "--max-message-bytes", "1000"]].concat());
    assert!(server.url.starts_with("wss://127.0.0.1:"), "{}", server.url);
    let trust = ClientTlsOptions { roots: Roots::Only(Pem::file(certificates.join("ca.pem"))), ..Default::default() };
    let mut options = ConnectOptions::new(Uri::parse(&server.url).unwrap());
    options.tls = Some(Arc::new(ClientTls::with_options(trust).unwrap()));
    options.config = Arc::new(Config { deflate: Some(Default::default()), ..Config::default() });
    let socket = WebSocket::dial_with(options).unwrap();
    socket.send(MessageKind::Text, &[b'a'; 1000]).unwrap();
    assert_eq!(receive(&socket), (MessageKind::Text, vec![b'a'; 1000]));
    socket.send(MessageKind::Text, &[b'a'; 1001]).unwrap();
    assert!(socket.recv().unwrap().is_none());
    assert_eq!(socket.close_info().unwrap().code, CloseCode::MESSAGE_TOO_BIG);
    drop(socket);
    server.signal("-TERM");
    server.ends();
}

#[test]
fn echo_server_says_in_one_line_what_is_wrong() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let cases: [(&[&str], &str); 6] = [
        (&["--port", &port], &port),
        (&["--port", "65536"], "65536"),
        (&["--port"], "--port"),
        (&["--tls", "missing.pem", "missing.key"], "missing.pem"),
        (&["--colour", "red"], "--colour"),
        (&["--host", "no.such.host.invalid"], "no.such.host.invalid"),
    ];
    for ((arguments, named), program) in
        cases.iter().flat_map(|case| echo_servers().iter().map(move |program| (case, program)))
    {
        let output = Command::new(program).args(*arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains(named) && said.lines().count() == 1, "{arguments:?}: {said}");
        assert!(output.stdout.is_empty());
    }
}

/// Sends one message to its client, wants it back, and closes.
#[derive(Default)]
struct Asking {
    echoed: bool,
}

impl Handler for Asking {
    fn on_open(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        cx.send(id, MessageKind::Text, b"say this").unwrap();
    }

    fn on_message(&mut self, cx: &mut Context<'_>, id: ConnectionId, kind: MessageKind, data: &[u8]) {
        self.echoed = (kind, data) == (MessageKind::Text, b"say this");
        cx.close(id, Some(CloseCode::NORMAL), "").unwrap();
    }

    fn on_close(&mut self, cx: &mut Context<'_>, _: ConnectionId, info: &CloseInfo) {
        assert!(self.echoed && info.clean);
        cx.stop();
    }
}

#[test]
fn echo_client_sends_back_until_it_is_closed() {
    built("examples/c/echo_client.c", "examples/cpp/echo_client.cpp").iter().for_each(|client| sends_back(client));
}

fn sends_back(client: &Path) {
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr());
    let mut event_loop = EventLoop::new().unwrap();
    let mut cx = event_loop.context();
    let handler = cx.add_handler(Box::new(Asking::default()));
    cx.listen(listener, ListenOptions::default(), handler).unwrap();
    let mut running = Command::new(client).args(["--deflate", &url]).spawn().unwrap();
    event_loop.run().unwrap();
    // The client ends when the stream does.
    let status = loop {
        event_loop.run_once(Some(Duration::from_millis(5))).unwrap();
        if let Some(status) = running.try_wait().unwrap() {
            break status;
        }
    };
    assert_eq!(status.code(), Some(0));

    for arguments in [&["ws://127.0.0.1:1/"][..], &["http"], &[], &["--ca", "missing.pem", &url]] {
        let output = Command::new(client).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1, "{arguments:?}");
    }
}

#[test]
fn chat_server_tells_everybody_else() {
    built("examples/c/chat_server.c", "examples/cpp/chat_server.cpp").iter().for_each(|server| tells_everybody(server));
}

fn tells_everybody(program: &Path) {
    let mut server = Running::start(program, &["0"]);
    let [first, second, third] = [0; 3].map(|_| WebSocket::dial(&server.url).unwrap());
    // Whoever has asked something and been heard is in the room.
    first.send(MessageKind::Text, b"hello").unwrap();
    assert_eq!(receive(&second), (MessageKind::Text, b"hello".to_vec()));
    assert_eq!(receive(&third), (MessageKind::Text, b"hello".to_vec()));
    third.close(Some(CloseCode::NORMAL), "").unwrap();
    second.send(MessageKind::Binary, b"bye").unwrap();
    assert_eq!(receive(&first), (MessageKind::Binary, b"bye".to_vec()));
    server.child.kill().unwrap();
    server.child.wait().unwrap();
}
