//! Written when another thread, started in `on_open`, was told that the connection was not open yet.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use linkspan::net::{Adopt, ConnectionId, Context, EventLoop, Handler, ReadyState};
use linkspan::protocol::handshake::Agreed;
use linkspan::protocol::{Config, Engine, MessageKind};
use linkspan::transport::{Socket, Transport};

struct Telling;

impl Handler for Telling {
    fn on_open(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        let remote = cx.remote();
        let told = std::thread::spawn(move || (remote.ready_state(id), remote.send(id, MessageKind::Text, "hello")));
        let (state, sent) = told.join().unwrap();
        assert_eq!(state, ReadyState::Open);
        sent.unwrap();
    }
}

#[test]
fn a_thread_that_on_open_tells_of_a_connection_may_send_at_once() {
    let mut event_loop = EventLoop::new().unwrap();
    let (ours, theirs) = Socket::pair().unwrap();
    let mut cx = event_loop.context();
    let engine = Engine::adopted(Arc::new(Config::default()), Agreed::default(), "/", None, cx.now());
    let how = Adopt::Engine(Box::new(engine));
    cx.adopt_with(Transport::plain(ours), how, Vec::new(), Box::new(Telling)).unwrap();
    let mut received = [0; 16];
    let received = loop {
        event_loop.run_once(Some(Duration::from_secs(5))).unwrap();
        if let Ok(bytes) = theirs.read(&mut received) {
            break &received[..bytes];
        }
    };
    assert_eq!(received, b"\x81\x05hello");
}
