//! An echo server that drives the engine by hand over a plain blocking socket, one connection at a time:
//! `cargo run --release --example echo_by_hand [PORT]`. This is all that a driver has to do.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown as Half, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use linkspan::protocol::handshake::{Accept, Reject};
use linkspan::protocol::{Config, Engine, Event, Input, MAX_SLICES, Shutdown, Time};

fn serve(mut stream: TcpStream) -> io::Result<()> {
    let origin = Instant::now();
    let now = || Time::from_millis(origin.elapsed().as_millis() as u64);
    let mut engine = Engine::server(Arc::new(Config::default()), now());
    let mut buffer = vec![0; 64 << 10];
    loop {
        // 5, and 1: wait for bytes, the end, or the next deadline.
        let patience = engine.next_timeout().map(|at| at.since(now()).max(Duration::from_millis(1)));
        stream.set_read_timeout(patience)?;
        let mut input = Input::new(&mut []);
        match stream.read(&mut buffer) {
            Ok(0) => engine.end_of_input(now()),
            Ok(n) => input = Input::new(&mut buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => engine.handle_timeout(now()),
            Err(_) => engine.lost(now()),
        }
        loop {
            // 2: everything that follows from it.
            while let Some(event) = engine.next_event(now(), &mut input) {
                let done = match event {
                    Event::Request(request) if request.is_upgrade() => engine.accept(now(), &Accept::default()),
                    Event::Request(_) => engine.reject(now(), &Reject::text(426, "this address speaks WebSocket only")),
                    Event::Message(message) => engine.send(message.kind, &message.data),
                    _ => Ok(()),
                };
                done.map_err(io::Error::other)?;
            }
            // 3: write; what that completes may be told, so 2 again.
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let filled = engine.outgoing(&mut slices);
            if filled == 0 {
                break;
            }
            let n = stream.write_vectored(&slices[..filled])?;
            engine.sent(n);
        }
        // 4: end our half, or the whole stream.
        match engine.shutdown() {
            Shutdown::Not => {}
            Shutdown::Write => stream.shutdown(Half::Write)?,
            Shutdown::Both => return Ok(()),
        }
    }
}

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("listening on ws://{}/", listener.local_addr()?);
    for stream in listener.incoming() {
        if let Err(error) = serve(stream?) {
            eprintln!("{error}");
        }
    }
    Ok(())
}
