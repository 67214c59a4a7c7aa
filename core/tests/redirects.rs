//! Clients that are sent elsewhere, and what goes there with them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "tls")]

#[path = "common/certificates.rs"]
mod certificates;
#[path = "common/mod.rs"]
mod common;

use std::net::SocketAddr;
use std::sync::Arc;

use certificates::Authority;
use common::running::{Log, Running, Told};
use linkspan::blocking::WebSocket;
use linkspan::net::{ConnectOptions, Decision, ListenOptions, Listener};
use linkspan::protocol::CloseCode;
use linkspan::protocol::handshake::{Accept, Reject, Uri};
use linkspan::tls::{ClientCertificates, ClientTls, ClientTlsOptions, Roots, ServerTls, ServerTlsOptions};

/// Sends `/to?PLACE` to that place and accepts everything else; the log has `asked TARGET` and its headers.
fn server(running: &Running, log: &Log, tls: Option<ServerTls>) -> SocketAddr {
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    let address = listener.local_addr().socket_addr().unwrap();
    let (lines, asked) = (log.clone(), log.clone());
    let handler = Told::new(&Log::default())
        .on_request(move |_, _, request| {
            let of_interest = ["Host", "Authorization", "Cookie", "X-Api-Key", "User-Agent"];
            let headers: Vec<_> = of_interest.iter().filter(|name| request.headers.get(name).is_some()).collect();
            asked.add(format!("asked {} {headers:?}", request.target));
            match request.target.strip_prefix("/to?") {
                None => Decision::Accept(Accept::default()),
                Some(place) => Decision::Reject(Reject {
                    status: 302,
                    headers: vec![("Location".into(), place.to_owned())],
                    body: b"elsewhere".to_vec(),
                }),
            }
        })
        .on_open(move |cx, id| {
            let is_known = cx.transport(id).unwrap().peer_certificate().is_some();
            lines.add(format!("opened {}", if is_known { "with a certificate" } else { "by nobody" }));
        });
    let options = ListenOptions { tls: tls.map(Arc::new), ..ListenOptions::default() };
    running.ask(move |cx| {
        let handler = cx.add_handler(Box::new(handler));
        cx.listen(listener, options, handler).unwrap();
    });
    address
}

fn options(url: &str) -> ConnectOptions {
    let header = |name: &str| (name.to_owned(), "x".to_owned());
    ConnectOptions {
        headers: ["Cookie", "X-Api-Key", "User-Agent"].map(header).to_vec(),
        max_redirects: 3,
        ..ConnectOptions::new(Uri::parse(url).unwrap())
    }
}

/// Connects in the loop; the log has the URL when it is open, and then it closes.
fn connect(running: &Running, options: ConnectOptions) -> Log {
    let log = Log::default();
    let (lines, told) = (log.clone(), log.clone());
    let handler = Told::new(&log)
        .on_open(move |cx, id| {
            lines.add(format!("at {}", cx.engine(id).unwrap().url()));
            cx.close(id, Some(CloseCode::NORMAL), "").unwrap();
        })
        .on_close(move |cx, id| {
            let status = cx.engine(id).and_then(|engine| engine.response()).map_or(0, |response| response.status);
            told.add(format!("status {status}"));
        });
    running.ask(move |cx| cx.connect_with(options, Box::new(handler)).unwrap());
    log.wait("close");
    log
}

#[test]
fn the_same_origin_is_told_everything_again() {
    let running = Running::new();
    let log = Log::default();
    let address = server(&running, &log, None);
    let client = connect(&running, options(&format!("ws://u:p@{address}/to?/to?there")));
    assert_eq!(client.wait("at"), format!("at ws://{address}/there"));
    assert_eq!((client.count("error"), client.count("open"), client.count("close")), (0, 1, 1));
    let all = r#"["Host", "Authorization", "Cookie", "X-Api-Key", "User-Agent"]"#;
    assert_eq!(
        log.wait_for(3, "asked"),
        [format!("asked /to?/to?there {all}"), format!("asked /to?there {all}"), format!("asked /there {all}")]
    );
}

#[test]
fn another_origin_is_told_nothing_of_who_asks() {
    let running = Running::new();
    let (first, second) = (Log::default(), Log::default());
    let elsewhere = server(&running, &second, None);
    let address = server(&running, &first, None);
    let back = format!("ws://u:p@{address}/to?ws://{elsewhere}/to?ws://{address}/home");
    let client = connect(&running, options(&back));
    assert_eq!(client.wait("at"), format!("at ws://{address}/home"));
    assert_eq!(second.lines(), [format!(r#"asked /to?ws://{address}/home ["Host", "User-Agent"]"#)]);
    // Nor when it leads back.
    assert_eq!(first.wait_for(2, "asked")[1], r#"asked /home ["Host", "User-Agent"]"#);

    // The same on the caller's thread.
    let websocket = WebSocket::dial_with(options(&back)).unwrap();
    assert_eq!(websocket.ask(|engine| engine.url().to_owned()), format!("ws://{address}/home"));
    websocket.close(None, "").unwrap();
}

#[test]
fn redirects_come_to_an_end() {
    let running = Running::new();
    let log = Log::default();
    let address = server(&running, &log, None);
    let url = format!("ws://{address}/to?/to?/to?/to?/to?/to?/there");
    let client = connect(&running, options(&url));
    let expected = "error the redirect is not followed: there were 3 before it, and that is the limit";
    assert_eq!(client.lines(), [expected, "status 302", "close 1006 unclean"]);
    assert_eq!(log.count("asked"), 4);
    let error = WebSocket::dial_with(options(&url)).unwrap_err();
    assert_eq!(format!("error {error}"), expected);

    // None at all are wanted: a refusal like any other.
    let client = connect(&running, ConnectOptions { max_redirects: 0, ..options(&url) });
    assert!(client.wait("error").contains("answered 302"), "{:?}", client.lines());
    assert_eq!(client.wait("status"), "status 302");
}

#[test]
fn nothing_leads_from_wss_to_ws_and_certificates_stay_at_home() {
    let authority = Authority::new("root");
    let running = Running::new();
    let tls = || {
        let identity = authority.server(&["127.0.0.1"]).identity();
        let client_certificates = ClientCertificates::Optional(authority.pem());
        ServerTls::with_options(ServerTlsOptions { client_certificates, ..ServerTlsOptions::new(identity) }).unwrap()
    };
    let (plain, first, second) = (Log::default(), Log::default(), Log::default());
    let in_clear_text = server(&running, &plain, None);
    let address = server(&running, &first, Some(tls()));
    let elsewhere = server(&running, &second, Some(tls()));
    let client_tls = ClientTls::with_options(ClientTlsOptions {
        roots: Roots::Only(authority.pem()),
        identity: Some(authority.client("me").identity()),
        ..ClientTlsOptions::default()
    });
    let client_tls = Some(Arc::new(client_tls.unwrap()));
    let options = |place: &str| {
        let url = format!("wss://{address}/to?{place}");
        ConnectOptions { tls: client_tls.clone(), ..options(&url) }
    };

    let client = connect(&running, options(&format!("ws://{in_clear_text}/")));
    assert!(client.wait("error").contains("leads from wss to ws"), "{:?}", client.lines());
    assert_eq!(plain.lines(), Vec::<String>::new());

    connect(&running, options("/there"));
    assert_eq!(first.wait("opened"), "opened with a certificate");
    connect(&running, options(&format!("https://{elsewhere}/")));
    assert_eq!(second.wait("opened"), "opened by nobody");
}
