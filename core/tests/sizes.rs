//! What an idle connection costs, byte by byte. In a test of its own: the allocator counts for all threads.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use linkspan::net::{Adopt, ConnectionId, Context, EventLoop, Handler, HandlerId};
use linkspan::protocol::{CloseInfo, Config, Engine};
use linkspan::transport::{Socket, Transport};

/// The system's allocator, and how many bytes of it are in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are those of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are those of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are those of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        IN_USE.fetch_add(size, Ordering::Relaxed);
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are those of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A connection's whole memory in the loop: its slot, engine and transport, its entry in the table that
/// other threads read, its deadline.
const CEILING: usize = 350;

const CONNECTIONS: usize = 1000;

const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Origin: https://a.example\r\nUser-Agent: a browser of some kind\r\nAccept-Encoding: gzip, deflate\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[derive(Clone, Default)]
struct Echo {
    opened: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
}

impl Handler for Echo {
    fn on_open(&mut self, _: &mut Context<'_>, _: ConnectionId) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    fn on_message(
        &mut self,
        cx: &mut Context<'_>,
        id: ConnectionId,
        kind: linkspan::protocol::MessageKind,
        data: &[u8],
    ) {
        cx.send(id, kind, data).unwrap();
    }

    fn on_close(&mut self, _: &mut Context<'_>, _: ConnectionId, _: &CloseInfo) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Opens connections, each with its handshake and one echoed message, and leaves them idle.
fn open(event_loop: &mut EventLoop, handler: HandlerId, echo: &Echo, peers: &mut Vec<UnixStream>) {
    let config = Arc::<Config>::default();
    let before = echo.opened.load(Ordering::Relaxed);
    for _ in 0..CONNECTIONS {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut cx = event_loop.context();
        let engine = Engine::server(config.clone(), cx.now());
        let transport = Transport::plain(Socket::try_from(ours).unwrap());
        cx.adopt(transport, Adopt::Engine(Box::new(engine)), Vec::new(), handler).unwrap();
        peers.push(theirs);
    }
    let new = peers.len() - CONNECTIONS;
    for peer in &mut peers[new..] {
        // In two pieces: what the first one needs must be gone as well.
        peer.write_all(&REQUEST[..100]).unwrap();
    }
    event_loop.run_once(Some(Duration::ZERO)).unwrap();
    for peer in &mut peers[new..] {
        peer.write_all(&REQUEST[100..]).unwrap();
    }
    while echo.opened.load(Ordering::Relaxed) < before + CONNECTIONS {
        event_loop.run_once(Some(Duration::from_secs(5))).unwrap();
    }
    for peer in &mut peers[new..] {
        // A text in two fragments.
        peer.write_all(b"\x01\x82\0\0\0\0ab\x80\x83\0\0\0\0cde").unwrap();
        event_loop.run_once(Some(Duration::ZERO)).unwrap();
        let mut echoed = [0; 400];
        let n = peer.read(&mut echoed).unwrap();
        assert!(echoed[..n].starts_with(b"HTTP/1.1 101 "));
        assert!(echoed[..n].ends_with(b"\x81\x05abcde"));
    }
}

fn close(event_loop: &mut EventLoop, echo: &Echo, peers: &mut Vec<UnixStream>) {
    peers.clear();
    while echo.closed.load(Ordering::Relaxed) < echo.opened.load(Ordering::Relaxed) {
        event_loop.run_once(Some(Duration::from_secs(5))).unwrap();
    }
}

#[test]
fn an_idle_connection_stays_below_its_ceiling_and_leaves_nothing_behind() {
    assert!(size_of::<Engine>() <= 176, "an engine has {} bytes", size_of::<Engine>());

    // Two descriptors each, and those of the test itself.
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(4096)), hard).unwrap();

    let echo = Echo::default();
    let mut peers = Vec::with_capacity(CONNECTIONS);
    let mut event_loop = EventLoop::new().unwrap();
    let handler = event_loop.context().add_handler(Box::new(echo.clone()));

    let before = IN_USE.load(Ordering::Relaxed);
    open(&mut event_loop, handler, &echo, &mut peers);
    let each = (IN_USE.load(Ordering::Relaxed) - before) / CONNECTIONS;
    println!("{each} bytes an idle connection; an engine has {}", size_of::<Engine>());
    assert!(each <= CEILING, "{each} bytes an idle connection");

    close(&mut event_loop, &echo, &mut peers);
    let between = IN_USE.load(Ordering::Relaxed);
    open(&mut event_loop, handler, &echo, &mut peers);
    close(&mut event_loop, &echo, &mut peers);
    let after = IN_USE.load(Ordering::Relaxed);
    // A few deadlines of those that have gone may stay in the queue until they would have been due.
    let left = after.saturating_sub(between);
    assert!(left < 10_000, "{left} bytes are left of {CONNECTIONS} connections");
}
