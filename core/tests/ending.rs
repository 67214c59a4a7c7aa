//! How a loop ends, and what goes with it.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use linkspan::Error;
use linkspan::net::{Adopt, ConnectOptions, ConnectionId, Context, EventLoop, Handler};
use linkspan::protocol::handshake::Uri;
use linkspan::protocol::{CloseInfo, Config, Engine};
use linkspan::transport::{Socket, Transport};

#[derive(Clone, Default)]
struct Counts {
    closed: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
    /// Refused connections that `on_close` has tried to make.
    refused: Arc<AtomicUsize>,
}

struct Counting(Counts);

impl Handler for Counting {
    fn on_close(&mut self, cx: &mut Context<'_>, _: ConnectionId, info: &CloseInfo) {
        assert_eq!(info.code.as_u16(), 1006);
        self.0.closed.fetch_add(1, Ordering::Relaxed);
        let options = ConnectOptions::new(Uri::parse("ws://127.0.0.1:1/").unwrap());
        if let Err(Error::Gone) = cx.connect_with(options, Box::new(Counting(Counts::default()))) {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// A server's end in the loop, and its client's socket.
fn adopt(event_loop: &mut EventLoop, counts: &Counts) -> (ConnectionId, Socket) {
    let (ours, theirs) = Socket::pair().unwrap();
    let mut cx = event_loop.context();
    let engine = Engine::server(Arc::new(Config::default()), cx.now());
    let how = Adopt::Engine(Box::new(engine));
    let id = cx.adopt_with(Transport::plain(ours), how, Vec::new(), Box::new(Counting(counts.clone()))).unwrap();
    (id, theirs)
}

#[test]
fn a_loop_that_is_dropped_tells_on_close_of_every_connection() {
    let mut event_loop = EventLoop::new().unwrap();
    let counts = Counts::default();
    let peers: Vec<_> = (0..3).map(|_| adopt(&mut event_loop, &counts)).collect();
    event_loop.run_once(Some(Duration::ZERO)).unwrap();
    assert_eq!(counts.closed.load(Ordering::Relaxed), 0);
    drop(event_loop);
    assert_eq!(counts.closed.load(Ordering::Relaxed), 3);
    assert_eq!(counts.refused.load(Ordering::Relaxed), 3, "a loop that ends takes no new connections");
    assert_eq!(counts.dropped.load(Ordering::Relaxed), 3);
    drop(peers);
}

#[test]
fn a_handler_goes_with_the_connection_that_it_was_given_with() {
    let mut event_loop = EventLoop::new().unwrap();
    let counts = Counts::default();
    let (first, _first_peer) = adopt(&mut event_loop, &counts);
    let (second, _second_peer) = adopt(&mut event_loop, &counts);
    event_loop.context().abort(first).unwrap();
    event_loop.run_once(Some(Duration::ZERO)).unwrap();
    assert_eq!(counts.dropped.load(Ordering::Relaxed), 1);
    // Released, it has no handler either; nobody is told.
    assert!(event_loop.context().release(second).is_some());
    let (_third, _third_peer) = adopt(&mut event_loop, &counts);
    event_loop.run_once(Some(Duration::ZERO)).unwrap();
    assert_eq!(counts.dropped.load(Ordering::Relaxed), 2);
    assert_eq!(counts.closed.load(Ordering::Relaxed), 1);
}

#[test]
fn a_connection_that_has_ended_answers_nothing_though_its_stream_lingers() {
    let mut event_loop = EventLoop::new().unwrap();
    let counts = Counts::default();
    let (id, peer) = adopt(&mut event_loop, &counts);
    event_loop.context().set_user(id, 7).unwrap();
    // Not HTTP: refused, and the stream stays until the peer has read why.
    peer.write(&[std::io::IoSlice::new(b"nonsense\r\n\r\n")]).unwrap();
    while counts.closed.load(Ordering::Relaxed) == 0 {
        event_loop.run_once(Some(Duration::from_secs(5))).unwrap();
    }
    assert!(matches!(event_loop.remote().abort(id), Err(Error::Gone)));
    let cx = event_loop.context();
    assert_eq!(cx.user(id), None);
    assert!(cx.engine(id).is_none() && cx.peer(id).is_none());
}

#[test]
fn no_connection_has_the_id_0() {
    let mut event_loop = EventLoop::new().unwrap();
    let (id, _peer) = adopt(&mut event_loop, &Counts::default());
    assert_ne!(id.as_u64(), 0);
    assert_ne!(id.loop_id(), 0);
}
