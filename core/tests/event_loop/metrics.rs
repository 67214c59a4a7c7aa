//! What a loop counts, held against sessions whose every byte is known.

use std::sync::mpsc;

use linkspan::log::{self, Level};
use linkspan::net::{ListenOptions, Listener, Metrics, Server, ServerOptions};
use linkspan::protocol::{Config, Delivery, MessageKind, Misuse};

use crate::common::running::{Log, PATIENCE, Peer, Running, Told, echo};

/// Those of a named table that are not zero.
fn counted(table: impl Iterator<Item = (&'static str, u64)>) -> Vec<(&'static str, u64)> {
    table.filter(|(_, count)| *count > 0).collect()
}

/// What the loop has counted when everything it was told before is done.
fn settled(running: &Running) -> Metrics {
    running.ask(|_| ());
    running.remote.metrics()
}

#[test]
fn messages_and_bytes_are_counted_both_ways() {
    let running = Running::new();
    let log = Log::default();
    let (_, mut peer) = running.open(Config::default(), Told::new(&log).on_message(echo));
    let (large, huge) = (vec![1; 40_000], vec![2; 300_000]);
    peer.text("hello");
    peer.send(0x01, b"in three ");
    peer.send(0x00, b"frag");
    peer.send(0x80, b"ments");
    for message in [&large, &huge] {
        peer.send(0x82, message);
    }
    for expected in [5, 18, large.len(), huge.len()] {
        assert_eq!(peer.frame().unwrap().1.len(), expected);
    }
    let payload = 5 + 18 + 40_000 + 300_000;
    let metrics = settled(&running);
    assert_eq!((metrics.received_messages, metrics.received_bytes), (4, payload));
    assert_eq!((metrics.sent_messages, metrics.sent_bytes), (4, payload));
    // Headers of 2 bytes, four times 2 bytes, 4 bytes and 10 bytes; a mask is 4 more.
    assert_eq!(metrics.read_bytes, payload + 4 * 2 + 4 + 10 + 6 * 4);
    assert_eq!(metrics.written_bytes, payload + 2 + 2 + 4 + 10);
    assert_eq!((metrics.connections, metrics.opened, metrics.waiting_bytes), (1, 1, 0));
    assert!(metrics.turns > 0);
    peer.close(4001);
    log.wait("close");
    let metrics = settled(&running);
    assert_eq!(counted(metrics.closes()), [("4xxx", 1)]);
    assert_eq!(counted(metrics.faults()), []);
    assert_eq!((metrics.opened, metrics.handshakes_failed), (1, 0));
}

#[test]
fn a_message_in_parts_counts_once_and_all_its_bytes() {
    let running = Running::new();
    let log = Log::default();
    let (id, mut peer) = running.open(Config { delivery: Delivery::Parts, ..Config::default() }, Told::new(&log));
    peer.send(0x01, b"one ");
    peer.send(0x80, b"message");
    log.wait("end");
    running.ask(move |cx| {
        cx.send_fragment(id, MessageKind::Text, b"two ", false).unwrap();
        cx.send_fragment(id, MessageKind::Text, b"parts", true).unwrap();
    });
    let metrics = settled(&running);
    assert_eq!((metrics.received_messages, metrics.received_bytes), (1, 11));
    assert_eq!((metrics.sent_messages, metrics.sent_bytes), (1, 9));
}

#[test]
fn what_waits_and_what_is_refused_is_counted() {
    let running = Running::new();
    let log = Log::default();
    let config = Config { max_outbox_bytes: 4 << 20, ..Config::default() };
    let (id, peer) = running.open(config, Told::new(&log));
    log.wait("open");
    let refused = running.ask(move |cx| {
        let mut accepted = 0;
        while cx.send(id, MessageKind::Binary, &[0; 1 << 20]).is_ok() {
            accepted += 1;
        }
        assert!(matches!(
            cx.send(id, MessageKind::Binary, &[0; 1 << 20]),
            Err(linkspan::Error::Misuse(Misuse::OutboxFull { .. }))
        ));
        accepted
    });
    let metrics = settled(&running);
    assert_eq!((metrics.sent_messages, metrics.refused_full), (refused, 2));
    assert_eq!(metrics.waiting_bytes, running.remote.buffered_amount(id));
    assert!(metrics.waiting_bytes > 1 << 20);
    running.remote.send(id, MessageKind::Binary, vec![0; 2 << 20]).unwrap_err();
    assert_eq!(running.remote.metrics().refused_full, 3);
    drop(peer);
    log.wait("close");
    let metrics = settled(&running);
    assert_eq!((metrics.waiting_bytes, metrics.connections), (0, 0));
    assert_eq!(counted(metrics.closes()), [("1006", 1)]);
}

#[test]
fn ten_thousand_sends_during_a_callback_wake_the_loop_once() {
    let running = Running::new();
    let log = Log::default();
    let (id, mut peer) = running.open(Config::default(), Told::new(&log));
    log.wait("open");
    let before = settled(&running);
    let (sender, inside) = mpsc::channel();
    let (leave, receiver) = mpsc::channel();
    running
        .remote
        .run(move |_| {
            sender.send(()).unwrap();
            receiver.recv_timeout(PATIENCE).unwrap();
        })
        .unwrap();
    inside.recv_timeout(PATIENCE).unwrap();
    for _ in 0..10_000 {
        running.remote.send(id, MessageKind::Text, "x").unwrap();
    }
    let metrics = running.remote.metrics();
    assert_eq!(metrics.queued_commands, 10_000);
    // One for the task that waits, one for all that came meanwhile.
    assert_eq!(metrics.wakes, before.wakes + 2);
    leave.send(()).unwrap();
    for _ in 0..10_000 {
        assert_eq!(peer.read_text(), "x");
    }
    let metrics = running.remote.metrics();
    assert_eq!((metrics.commands, metrics.wakes), (before.commands + 10_001, before.wakes + 2));
    assert_eq!((metrics.sent_messages, metrics.queued_commands), (10_000, 0));
}

#[test]
fn keepalive_pings_and_their_round_trips_are_counted() {
    let running = Running::new();
    let log = Log::default();
    let config = Config { ping_interval: 20, pong_timeout: 1000, ..Config::default() };
    let (_, mut peer) = running.open(config, Told::new(&log));
    for _ in 0..2 {
        assert_eq!(peer.frame(), Some((0x89, Vec::new())));
        peer.send(0x8a, b"");
    }
    peer.close(1000);
    log.wait("close");
    let metrics = settled(&running);
    assert_eq!((metrics.pings, metrics.round_trips.count), (2, 2));
    assert_eq!(metrics.round_trips.buckets.iter().sum::<u64>(), 2);
    assert!(metrics.round_trips.longest_ms <= metrics.round_trips.total_ms);
}

#[test]
fn a_slow_reader_is_logged_ever_less_often() {
    let running = Running::new();
    let (id, _peer) =
        running.open(Config { max_outbox_bytes: 300_000, ..Config::default() }, Told::new(&Log::default()));
    let lines = Log::default();
    let told = lines.clone();
    // Other tests of this process are heard too.
    log::listen(Level::Warning, move |record| {
        if record.connection == id.as_u64() {
            told.add(record.message);
        }
    });
    running.remote.subscribe(id, b"t").unwrap();
    while running.remote.dropped(id) < 9 {
        running.remote.publish(b"t", MessageKind::Binary, &[7; 100_000]).unwrap();
        // Two questions: between them lies the turn that drops it.
        running.ask(|_| ());
        running.ask(|_| ());
    }
    log::silence();
    assert_eq!(settled(&running).refused_dropped, 9);
    let line = |n: &str| format!("it reads too slowly: {n} not sent to it");
    let expected = ["1 message was", "2 messages were", "4 messages were", "8 messages were"].map(line);
    assert_eq!(lines.lines(), expected);
}

#[test]
fn a_server_sums_its_loops_and_tells_failed_handshakes_from_closes() {
    let log = Log::default();
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    let address = listener.local_addr().socket_addr().unwrap();
    let options = ServerOptions { loops: 2, listen: ListenOptions::default() };
    let make = |_| -> Box<dyn linkspan::net::Handler> { Box::new(Told::new(&log).on_message(echo)) };
    let server = Server::start(listener, options, make).unwrap();
    let mut peers: Vec<_> = (0..4).map(|_| Peer::open(address)).collect();
    for peer in &mut peers {
        peer.text("hello");
        assert_eq!(peer.read_text(), "hello");
    }
    let mut stranger = Peer::connect(address);
    stranger.write(b"POST / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    assert!(stranger.read_head().starts_with("HTTP/1.1 405 "));
    assert!(!stranger.read_to_end().is_empty());
    // A server's frame is not masked, a client's must be.
    peers[0].write(b"\x81\x00");
    assert_eq!(peers[0].read_close(), 1002);
    peers[1].close(1000);
    log.wait_for(2, "close");
    let metrics = server.metrics();
    assert_eq!((metrics.accepted, metrics.opened, metrics.handshakes_failed), (5, 4, 1));
    assert_eq!((metrics.received_messages, metrics.sent_bytes), (4, 20));
    assert_eq!(counted(metrics.closes()), [("1000", 1), ("1002", 1)]);
    assert_eq!(counted(metrics.faults()), [("unmasked", 1), ("method-not-get", 1)]);
    server.stop();
    server.join().unwrap();
}
