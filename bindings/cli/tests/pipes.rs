//! `linkspan connect` between pipes: lines in, lines out, and what the status says.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::sync::mpsc::{Sender, channel};

use common::{
    PATIENCE, Scratch, Served, answering, certificates, finish, linkspan, proxy, run, server, write_until_stalled,
};
use linkspan::net::{ConnectionId, Context, Decision, Handler};
use linkspan::protocol::handshake::{Accept, Reject, Request};
use linkspan::protocol::{CloseCode, CloseInfo, MessageKind};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What a server saw.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Header(String),
    Message(MessageKind, Vec<u8>),
    Close(u16, String),
}

/// Tells what it sees.
#[derive(Clone)]
struct Watching {
    seen: Sender<Seen>,
}

impl Handler for Watching {
    fn on_request(&mut self, _: &mut Context<'_>, _: ConnectionId, request: &Request) -> Decision {
        for name in ["Origin", "Authorization", "X-One", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"] {
            for value in request.headers.get_all(name) {
                self.seen.send(Seen::Header(format!("{name}: {value}"))).unwrap();
            }
        }
        Decision::Accept(Accept {
            subprotocol: request.subprotocols().last().map(|p| p.to_string()),
            ..Accept::default()
        })
    }

    fn on_message(&mut self, _: &mut Context<'_>, _: ConnectionId, kind: MessageKind, data: &[u8]) {
        self.seen.send(Seen::Message(kind, data.to_vec())).unwrap();
    }

    fn on_close(&mut self, _: &mut Context<'_>, _: ConnectionId, info: &CloseInfo) {
        self.seen.send(Seen::Close(info.code.as_u16(), info.reason.clone())).unwrap();
    }
}

/// Answers a text that names it with something out of the usual.
#[derive(Clone)]
struct Odd;

impl Handler for Odd {
    fn on_message(&mut self, cx: &mut Context<'_>, id: ConnectionId, kind: MessageKind, data: &[u8]) {
        match data {
            b"ping" => cx.ping(id, b"p").unwrap(),
            b"close" => cx.close(id, Some(CloseCode::new(4003)), "no \x07 more").unwrap(),
            b"normal" => cx.close(id, Some(CloseCode::NORMAL), "").unwrap(),
            b"abort" => cx.abort(id).unwrap(),
            b"deaf" => cx.pause(id).unwrap(),
            b"slow" => {
                cx.pause(id).unwrap();
                let remote = cx.remote();
                std::thread::spawn(move || {
                    std::thread::sleep(std::time::Duration::from_secs(6));
                    remote.resume(id).unwrap();
                });
            }
            _ => drop(cx.send(id, kind, data).unwrap()),
        }
    }
}

#[test]
fn each_line_is_a_message_and_each_message_a_line() {
    let echo = Served::new(&["echo"]);
    let done = run(&["connect", "-n", "4", &echo.url], "a\n\ngrüße\r\nlast".as_bytes());
    assert_eq!((done.status, done.out.as_str(), done.err.as_str()), (Some(0), "a\n\ngrüße\nlast\n", ""));
}

#[test]
fn everything_is_sent_before_the_close() {
    let (sender, seen) = channel();
    let (_server, url) = server(Watching { seen: sender });
    let lines: String = (0..50_000).map(|n| format!("line {n} of a long input\n")).collect();
    let done = run(&["connect", "--close", "4000:all of it", &url], lines.as_bytes());
    assert_eq!((done.status, done.err.as_str()), (Some(0), ""));
    for line in lines.lines() {
        let text = Seen::Message(MessageKind::Text, line.into());
        assert_eq!(seen.recv_timeout(PATIENCE).unwrap(), text);
    }
    assert_eq!(seen.recv_timeout(PATIENCE).unwrap(), Seen::Close(4000, "all of it".into()));
}

#[test]
fn a_large_input_comes_back_whole() {
    let echo = Served::new(&["echo", "--compress"]);
    let lines: String = (0..20_000).map(|n| format!("{n} {}\n", "x".repeat(n % 300))).collect();
    for extra in ["--compress", "--no-compress"] {
        let done = run(&["connect", extra, "--count", "20000", &echo.url], lines.as_bytes());
        assert_eq!((done.status, done.err.as_str()), (Some(0), ""));
        assert!(done.out == lines, "{extra}: {} of {} bytes came back", done.out.len(), lines.len());
    }
}

#[test]
fn binary_is_bytes_in_and_bytes_out() {
    let echo = Served::new(&["echo"]);
    let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let mut child =
        linkspan(&["connect", "--binary", "--wait", "-1", &echo.url]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let mut back = vec![0; bytes.len()];
    child.stdout.as_mut().unwrap().read_exact(&mut back).unwrap();
    assert!(back == bytes);
    // It stays after the end of the input, as it was told, until the server goes.
    echo.signal(Signal::SIGTERM);
    let done = finish(child);
    assert_eq!((done.status, done.bytes.len()), (Some(0), 0), "{}", done.err);
}

#[test]
fn json_tells_everything_that_happens() {
    let (_server, url) = server(Odd);
    let done = run(&["connect", "--json", &url, "--wait", "-1"], b"hi\nping\nclose\n");
    let events: Vec<serde_json::Value> = done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["open", "text", "ping", "close"]);
    assert_eq!((&events[0]["status"], &events[0]["url"]), (&101.into(), &url.as_str().into()));
    assert_eq!(events[1]["data"], "hi");
    assert_eq!(events[2]["base64"], "cA==");
    assert_eq!((&events[3]["code"], &events[3]["by"]), (&4003.into(), &"server".into()));
    assert_eq!((&events[3]["reason"], &events[3]["clean"]), (&"no \u{7} more".into(), &true.into()));
    assert!(events.iter().all(|event| event["time"].as_str().unwrap().ends_with('Z')));
    assert_eq!(done.status, Some(1));
    assert_eq!(done.err, "linkspan: closed by the server: 4003 no \\u{7} more\n");
}

#[test]
fn the_status_tells_a_good_end_from_others() {
    let (_server, url) = server(Odd);
    let ends = [
        ("normal\n", Some(0), ""),
        ("close\n", Some(1), "linkspan: closed by the server: 4003 no \\u{7} more\n"),
        ("abort\n", Some(1), "linkspan: the connection broke without a closing handshake\n"),
    ];
    for (input, status, err) in ends {
        let done = run(&["connect", "-w", "-1", &url], input.as_bytes());
        assert_eq!((done.status, done.err.as_str()), (status, err), "{input}");
    }
}

#[test]
fn a_server_that_leaves_in_the_middle_of_the_input_is_an_error() {
    let (_server, url) = server(Odd);
    let scratch = Scratch::new("leaves");
    let file = scratch.file("input", &format!("normal\n{}", "more\n".repeat(3_000_000)));
    let done = finish(linkspan(&["connect", &url]).stdin(std::fs::File::open(file).unwrap()).spawn().unwrap());
    assert_eq!(done.status, Some(1), "{}", done.err);
    assert!(done.err.ends_with("linkspan: closed by the server: 1000, before all was sent\n"), "{}", &done.err[..500]);
    assert!(done.err.lines().count() < 5, "{}", &done.err[..500]);
}

#[test]
fn a_server_that_does_not_read_stops_the_input() {
    let (_server, url) = server(Odd);
    let mut child = linkspan(&["connect", &url]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"deaf\n").unwrap();
    // Kernel buffers, the command's own and the marks: far less than this.
    let written = write_until_stalled(&mut stdin, format!("{}\n", "x".repeat(1023)).repeat(128 << 10).as_bytes());
    assert!(written < 64 << 20, "{written} bytes were taken");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGKILL).unwrap();
    finish(child);
}

#[test]
fn a_server_that_takes_its_time_gets_everything() {
    let (_server, url) = server(Odd);
    let done = run(&["connect", &url], b"slow\nrest\n");
    assert_eq!((done.status, done.err.as_str()), (Some(0), ""));
}

#[test]
fn headers_protocols_and_messages_are_sent_as_told() {
    let (sender, seen) = channel();
    let (_server, url) = server(Watching { seen: sender });
    let arguments = [
        "connect",
        &url,
        "-H",
        "X-One: 1",
        "--header",
        "X-One:2",
        "--protocol",
        "a",
        "--protocol",
        "b",
        "--compress",
        "--origin",
        "https://example.com",
        "--auth",
        "me:pass word",
        "-x",
        "first",
        "-x",
        "second",
    ];
    let done = run(&arguments, b"third\n");
    assert_eq!((done.status, done.err.as_str()), (Some(0), ""));
    let seen: Vec<Seen> = std::iter::from_fn(|| seen.recv_timeout(PATIENCE).ok()).take(10).collect();
    let header = |text: &str| Seen::Header(text.to_owned());
    let text = |text: &str| Seen::Message(MessageKind::Text, text.into());
    assert_eq!(
        seen[..3],
        [header("Origin: https://example.com"), header("Authorization: Basic bWU6cGFzcyB3b3Jk"), header("X-One: 1")]
    );
    assert_eq!(seen[3..5], [header("X-One: 2"), header("Sec-WebSocket-Protocol: a, b")]);
    assert!(matches!(&seen[5], Seen::Header(offer) if offer.contains("permessage-deflate")), "{seen:?}");
    assert_eq!(seen[6..], [text("first"), text("second"), text("third"), Seen::Close(1000, String::new())]);
}

#[test]
fn verbose_tells_of_the_handshake_on_the_standard_error() {
    let (_server, url) = server(Odd);
    let done = run(&["connect", "-v", "-w", "-1", &url], b"ping\nnormal\n");
    assert_eq!((done.status, done.out.as_str()), (Some(0), ""));
    assert!(done.err.starts_with(&format!("connected to {url} (127.0.0.1:")), "{}", done.err);
    for line in ["  HTTP/1.1 101 Switching Protocols\n", "ping, 1 byte: 70  p\n", "closed by the server: 1000\n"] {
        assert!(done.err.contains(line), "{}", done.err);
    }
}

#[test]
fn a_refused_handshake_shows_status_and_body() {
    let (url, _) =
        answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 31\r\n\r\n\nyou \x1b[31mmay not\nsecond line\n.");
    let done = run(&["connect", &url], b"");
    assert_eq!((done.status, done.out.as_str()), (Some(1), ""));
    assert_eq!(done.err, "linkspan: the server answered 403 Forbidden: you \\u{1b}[31mmay not\n");

    let (url, _) = answering("HTTP/1.1 404 Not Found\r\nX-Why: r\r\nContent-Length: 11\r\n\r\nnot\nhere\n\n.");
    let done = run(&["connect", "-v", &url], b"");
    assert!(
        done.err.contains("  HTTP/1.1 404 Not Found\n  X-Why: r\n  Content-Length: 11\n\nnot\nhere\n"),
        "{}",
        done.err
    );

    let (url, _) = answering("HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 4\r\n\r\nbusy");
    let done = run(&["connect", "--json", &url], b"");
    let event: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&event["type"], &event["status"], &event["body"]), (&"error".into(), &503.into(), &"busy".into()));
    assert_eq!(event["headers"][0], serde_json::json!(["Retry-After", "3"]));
}

#[test]
fn a_closed_output_ends_quietly() {
    let echo = Served::new(&["echo"]);
    let mut child = linkspan(&["connect", "-w", "-1", &echo.url]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"one\n").unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
    drop(stdout);
    stdin.write_all(b"two\n").unwrap();
    let done = finish(child);
    assert_eq!((done.status, done.err.as_str()), (Some(0), ""));
}

#[test]
fn an_output_that_takes_no_more_is_an_error() {
    let echo = Served::new(&["echo"]);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = linkspan(&["connect", "-x", "hi", "-1", &echo.url]);
    let done = finish(command.stdout(full).spawn().unwrap());
    assert_eq!(done.status, Some(1));
    assert!(done.err.starts_with("linkspan: the standard output takes no more: No space left"), "{}", done.err);
}

#[test]
fn ctrl_c_closes_and_says_130() {
    let (sender, seen) = channel();
    let (_server, url) = server(Watching { seen: sender });
    for (signal, status, code) in [(Signal::SIGINT, 130, 1000), (Signal::SIGTERM, 143, 1001)] {
        let mut child = linkspan(&["connect", &url, "-x", "hi"]).stdin(Stdio::piped()).spawn().unwrap();
        let _stdin = child.stdin.take();
        assert_eq!(seen.recv_timeout(PATIENCE).unwrap(), Seen::Message(MessageKind::Text, b"hi".into()));
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        let done = finish(child);
        assert_eq!((done.status, done.err.as_str()), (Some(status), ""), "{signal}");
        assert_eq!(seen.recv_timeout(PATIENCE).unwrap(), Seen::Close(code, String::new()), "{signal}");
    }
}

#[test]
fn ctrl_c_ends_a_handshake_that_hangs_and_so_does_the_timeout() {
    let (url, asked) = answering("HTTP/1.1 ");
    let child = linkspan(&["connect", &url]).spawn().unwrap();
    asked.recv_timeout(PATIENCE).unwrap();
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    assert_eq!(finish(child).status, Some(130));

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", silent.local_addr().unwrap());
    let done = run(&["connect", "--timeout", "0.2", &url], b"");
    assert_eq!((done.status, done.err.as_str()), (Some(1), "linkspan: the opening handshake took too long\n"));
}

#[test]
fn input_that_is_no_text_is_an_error() {
    let echo = Served::new(&["echo"]);
    let done = run(&["connect", "-w", "-1", &echo.url], b"a\n\xff\nb\n");
    assert_eq!(done.status, Some(1));
    assert_eq!(done.err, "linkspan: line 2 of the input is not UTF-8 at byte 0; --binary sends bytes as they are\n");
    let done = run(&["connect", "--max-message", "10", &echo.url], b"0123456789a\n");
    assert_eq!(done.err, "linkspan: line 1 of the input is longer than --max-message, 10 bytes\n");
}

#[test]
fn a_private_authority_is_trusted_when_named() {
    let scratch = Scratch::new("ca");
    let made = certificates::make("one");
    let ca = scratch.file("ca.pem", &made.authority);
    let (chain, key) = (scratch.file("chain.pem", &made.server.0), scratch.file("key.pem", &made.server.1));
    let served = Served::new(&["echo", "--tls-cert", &chain, "--tls-key", &key]);
    assert!(served.url.starts_with("wss://"), "{}", served.url);
    let url = served.url.replace("127.0.0.1", "localhost");

    let done = run(&["connect", "--ca", &ca, "-1", &url], b"secret\n");
    assert_eq!((done.status, done.out.as_str(), done.err.as_str()), (Some(0), "secret\n", ""));
    // By address: the certificate is for a name.
    let done = run(&["connect", "--ca", &ca, "-1", &served.url], b"secret\n");
    assert_eq!(done.err, "linkspan: TLS: the server's certificate is for localhost, not for 127.0.0.1\n");
    let done = run(&["connect", "--ca", &ca, "--server-name", "localhost", "-1", &served.url], b"secret\n");
    assert_eq!(done.status, Some(0), "{}", done.err);
    // Another authority.
    let other = scratch.file("other.pem", &certificates::make("another").authority);
    let done = run(&["connect", "--ca", &other, "-1", &url], b"secret\n");
    assert_eq!(done.status, Some(1));
    assert!(done.err.contains("is not trusted: its issuer is unknown"), "{}", done.err);
    let done = run(&["connect", "--insecure", &url], b"");
    assert_eq!((done.status, done.err.contains("--ca FILE")), (Some(2), true), "{}", done.err);
    let done = run(&["connect", "--ca", "/nowhere.pem", &url], b"");
    assert_eq!(done.status, Some(1));
    assert!(done.err.starts_with("linkspan: TLS: cannot read /nowhere.pem: No such file"), "{}", done.err);
}

#[test]
fn a_client_certificate_is_shown_to_a_server_that_asks() {
    use linkspan::net::{ListenOptions, Listener, Server, ServerOptions};
    use linkspan::tls::{ClientCertificates, Identity, Pem, ServerTls, ServerTlsOptions};
    let scratch = Scratch::new("client-certificate");
    let made = certificates::make("one");
    let mut tls =
        ServerTlsOptions::new(Identity { chain: Pem::bytes(&made.server.0), key: Pem::bytes(&made.server.1) });
    tls.client_certificates = ClientCertificates::Required(Pem::bytes(&made.authority));
    let tls = Some(std::sync::Arc::new(ServerTls::with_options(tls).unwrap()));
    let options =
        ServerOptions { listen: ListenOptions { tls, ..ListenOptions::default() }, ..ServerOptions::default() };
    let server = Server::start(Listener::tcp("127.0.0.1:0").unwrap(), options, |_| Box::new(Odd)).unwrap();
    let url = format!("wss://localhost:{}/", server.addresses()[0].socket_addr().unwrap().port());
    let ca = scratch.file("ca.pem", &made.authority);
    let (cert, key) = (scratch.file("cert.pem", &made.client.0), scratch.file("key.pem", &made.client.1));

    let done = run(&["connect", "--ca", &ca, "--cert", &cert, "--key", &key, "-1", &url], b"hi\n");
    assert_eq!((done.status, done.out.as_str()), (Some(0), "hi\n"), "{}", done.err);
    let done = run(&["connect", "--ca", &ca, "-1", &url], b"hi\n");
    assert_eq!(done.status, Some(1));
    assert!(done.err.contains("requires a certificate of us"), "{}", done.err);
}

#[test]
fn a_wrong_command_line_is_one_sentence_and_status_2() {
    let wrong: [(&[&str], &str); 10] = [
        (&["connect"], "<URL>; 'linkspan help connect' tells more"),
        (&["connect", "ftp://a/"], "the URL's scheme is ftp, not ws or wss"),
        (&["connect", "a", "--bogus"], "unexpected argument '--bogus' found"),
        (&["connect", "a", "-H", "x"], "a header is written 'Name: value'"),
        (&["connect", "a", "-H", "Upgrade: x"], "header \"Upgrade\""),
        (&["connect", "a", "--protocol", "a b"], "subprotocol \"a b\""),
        (&["connect", "a", "--close", "1005"], "close code 1005 may not be sent"),
        (&["connect", "a", "--wait", "-2"], "a number of seconds is 0 to"),
        (&["echo", "--listen", ":80"], "an address is written"),
        (&["conect"], "a similar subcommand exists: 'connect'"),
    ];
    for (arguments, part) in wrong {
        let done = run(arguments, b"");
        assert_eq!((done.status, done.out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(done.err.starts_with("linkspan: ") && done.err.lines().count() == 1, "{arguments:?}: {}", done.err);
        assert!(done.err.contains(part), "{arguments:?}: {}", done.err);
    }
}

#[test]
fn what_cannot_be_reached_is_one_sentence_and_status_1() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let done = run(&["connect", &address], b"");
    assert_eq!(done.status, Some(1));
    assert_eq!(done.err, format!("linkspan: cannot connect to {address}: Connection refused (os error 111)\n"));
}

#[test]
fn help_version_completions_and_manual_pages_are_there() {
    for (arguments, part) in [
        (&["--version"] as &[&str], "linkspan 0."),
        (&["help"], "serve-topics"),
        (&["help", "connect"], "--header <NAME: VALUE>"),
        (&["completions", "bash"], "complete -F _linkspan"),
        (&["man"], ".TH"),
        (&["man", "connect"], "\\-\\-header"),
    ] {
        let done = run(arguments, b"");
        assert_eq!((done.status, done.err.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(done.out.contains(part), "{arguments:?}: {}", done.out);
    }
}

/// A request that is answered with a text, not to be a WebSocket.
#[derive(Clone)]
struct Refusing;

impl Handler for Refusing {
    fn on_request(&mut self, _: &mut Context<'_>, _: ConnectionId, _: &Request) -> Decision {
        Decision::Reject(Reject::text(429, "slow down"))
    }
}

#[test]
fn a_refusal_by_this_library_reads_well() {
    let (_server, url) = server(Refusing);
    let done = run(&["connect", &url], b"");
    assert_eq!(done.err, "linkspan: the server answered 429 Too Many Requests: slow down\n");
}

#[test]
fn a_proxy_is_gone_through_when_named() {
    let echo = Served::new(&["echo"]);
    let (proxy, asked) = proxy();
    let done = run(&["connect", "--proxy", &proxy, "-1", &echo.url], b"hi\n");
    assert_eq!((done.status, done.out.as_str()), (Some(0), "hi\n"), "{}", done.err);
    let head = asked.recv_timeout(PATIENCE).unwrap();
    let address = echo.url.trim_start_matches("ws://").trim_end_matches('/');
    assert!(head.starts_with(&format!("CONNECT {address} HTTP/1.1\r\n")), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"), "{head}");
}

#[test]
fn redirects_are_followed_when_asked_for() {
    let echo = Served::new(&["echo"]);
    let answer = format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", echo.url);
    let (url, _) = answering(answer.clone());
    let done = run(&["connect", "-L", "-1", &url], b"hi\n");
    assert_eq!((done.status, done.out.as_str()), (Some(0), "hi\n"), "{}", done.err);
    let (url, _) = answering(answer);
    let done = run(&["connect", "-1", &url], b"hi\n");
    assert_eq!(done.status, Some(1));
    let redirects = format!("linkspan: the server answered 302 Found: it redirects to {}; -L follows\n", echo.url);
    assert_eq!(done.err, redirects);
}

#[test]
fn a_lost_connection_is_tried_again_when_asked_for() {
    let (_server, url) = server(Odd);
    let arguments = ["connect", "--retry=0.05", "-x", "again", "--json", "--wait", "-1", &url];
    let mut child = linkspan(&arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!((&next()["type"], &next()["data"]), (&"open".into(), &"again".into()));
    for _ in 0..3 {
        stdin.write_all(b"abort\n").unwrap();
        let retry = next();
        assert_eq!((&retry["type"], &retry["code"]), (&"retry".into(), &1006.into()), "{retry}");
        // Goes to the connection that comes next.
        stdin.write_all(b"after\n").unwrap();
        assert_eq!(
            (&next()["type"], &next()["data"], &next()["data"]),
            (&"open".into(), &"again".into(), &"after".into())
        );
    }
    stdin.write_all(b"normal\n").unwrap();
    assert_eq!(next()["code"], 1000);
    assert_eq!(finish(child).status, Some(0));
}
