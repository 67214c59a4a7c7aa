//! An echo server on the library's own loop: `cargo run --release --example echo_loop [PORT]`.

use linkspan::Error;
use linkspan::net::{ConnectionId, Context, EventLoop, Handler, ListenOptions, Listener};
use linkspan::protocol::MessageKind;

struct Echo;

impl Handler for Echo {
    fn on_message(&mut self, cx: &mut Context<'_>, id: ConnectionId, kind: MessageKind, data: &[u8]) {
        // A connection that is closing already takes no more: its own `on_close` tells.
        let _ = cx.send(id, kind, data);
    }
}

fn main() -> Result<(), Error> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    let listener = Listener::tcp(("127.0.0.1", port))?;
    println!("listening on ws://{}/", listener.local_addr());
    let mut event_loop = EventLoop::new()?;
    let mut cx = event_loop.context();
    let echo = cx.add_handler(Box::new(Echo));
    cx.listen(listener, ListenOptions::default(), echo)?;
    event_loop.run()
}
