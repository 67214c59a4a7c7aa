//! An echo server with a thread for each connection: `cargo run --release --example echo_blocking [PORT]`.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use linkspan::Error;
use linkspan::blocking::WebSocket;
use linkspan::protocol::Config;
use linkspan::protocol::handshake::{Accept, Reject, Request};
use linkspan::transport::{Socket, Transport};

fn echo(socket: Socket) -> Result<(), Error> {
    let decide = |request: &Request| match request.is_upgrade() {
        true => Ok(Accept::default()),
        false => Err(Reject::text(426, "this address speaks WebSocket only")),
    };
    let websocket = WebSocket::accept(Transport::plain(socket), Arc::new(Config::default()), decide)?;
    while let Some(message) = websocket.recv()? {
        websocket.send(message.kind, &message.data)?;
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("listening on ws://{}/", listener.local_addr()?);
    for stream in listener.incoming() {
        let socket = Socket::new(stream?.into())?;
        thread::spawn(move || {
            if let Err(error) = echo(socket) {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}
