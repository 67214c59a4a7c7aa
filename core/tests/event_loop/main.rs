//! The loop through its public face, over real sockets and hosts. Nothing here sleeps to wait for
//! something, and no port is anybody's in particular.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod callbacks;
mod clients;
mod drains;
mod ends;
mod handshakes;
mod hosts;
mod metrics;
mod pressure;
mod proxied;
mod raw;
mod remote;
mod server;
mod topics;

use std::net::SocketAddr;

use common::running::{Log, Running, Told};
use linkspan::net::{ConnectionId, Decision, Handler, ListenOptions, Listener};
use linkspan::protocol::Config;

/// Listens on a port that the system picks, in the running loop.
fn listen(running: &Running, config: Config, handler: impl Handler + 'static) -> SocketAddr {
    listen_with(running, ListenOptions { config: config.into(), ..ListenOptions::default() }, handler)
}

fn listen_with(running: &Running, options: ListenOptions, handler: impl Handler + 'static) -> SocketAddr {
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    let address = listener.local_addr().socket_addr().unwrap();
    running.ask(move |cx| {
        let handler = cx.add_handler(Box::new(handler));
        cx.listen(listener, options, handler).unwrap();
    });
    address
}

/// Answers no request itself; logs `deferred ID`.
fn deferring(log: &Log) -> Told {
    let lines = log.clone();
    Told::new(log).on_request(move |_, id, _| {
        lines.add(format!("deferred {}", id.as_u64()));
        Decision::Defer
    })
}

/// The id at the end of a line.
fn id_of(line: &str) -> ConnectionId {
    ConnectionId::from_u64(line.rsplit(' ').next().unwrap().parse().unwrap())
}
