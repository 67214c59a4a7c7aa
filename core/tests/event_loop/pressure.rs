//! Peers that read slowly, and what waits for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use linkspan::Error;
use linkspan::net::Sent;
use linkspan::protocol::{Chunk, CloseCode, Config, MessageKind, Misuse};

use crate::common::running::{Log, Running, Told};

/// Below the buffers of a socket pair nothing waits here; these marks are soon passed.
fn narrow() -> Config {
    Config { high_water_bytes: 100_000, low_water_bytes: 20_000, ..Config::default() }
}

#[test]
fn a_slow_reader_is_told_of_and_its_end_too() {
    let running = Running::new();
    let log = Log::default();
    let lines = log.clone();
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let handler = Told::new(&log)
        .on_open(move |cx, id| {
            while cx.send(id, MessageKind::Binary, &[1; 10_000]).unwrap() == Sent::Accepted {
                count.fetch_add(1, Ordering::Relaxed);
            }
            count.fetch_add(1, Ordering::Relaxed);
            lines.add(format!("buffered {}", cx.buffered_amount(id)));
        })
        .on_drained(|cx, id| {
            assert!(cx.buffered_amount(id) <= 20_000);
            cx.close(id, Some(CloseCode::NORMAL), "").unwrap();
        });
    let (_, mut peer) = running.open(narrow(), handler);
    let buffered: usize = log.wait("buffered").split(' ').next_back().unwrap().parse().unwrap();
    assert!((90_000..=110_000).contains(&buffered), "{buffered}");
    assert_eq!(log.count("drained"), 0);
    for _ in 0..sent.load(Ordering::Relaxed) {
        assert_eq!(peer.frame().unwrap(), (0x82, vec![1; 10_000]));
    }
    assert_eq!(peer.read_close(), 1000);
    assert_eq!(log.count("drained"), 1);
}

#[test]
fn buffered_amount_is_known_to_other_threads() {
    let running = Running::new();
    let log = Log::default();
    let (id, mut peer) = running.open(narrow(), Told::new(&log));
    log.wait("open");
    let big = vec![3; 2 << 20];
    running.remote.send(id, MessageKind::Binary, big.clone()).unwrap();
    // Two questions: between them lies the turn that takes it in hand.
    running.ask(|_| ());
    running.ask(|_| ());
    let waiting = running.remote.buffered_amount(id);
    assert!(waiting > 1 << 20 && waiting <= 2 << 20, "{waiting}");
    assert_eq!(peer.frame().unwrap().1, big);
    log.wait("drained");
    assert_eq!(running.ask(move |cx| cx.buffered_amount(id)), 0);
    assert_eq!(running.remote.buffered_amount(id), 0);
}

#[test]
fn a_send_that_is_too_much_is_refused_inside_the_loop() {
    let running = Running::new();
    let log = Log::default();
    let config = Config { max_outbox_bytes: 50_000, ..Config::default() };
    let (id, _peer) = running.open(config, Told::new(&log));
    log.wait("open");
    running.ask(move |cx| {
        let refused = loop {
            match cx.send(id, MessageKind::Binary, &[0; 5_000]) {
                Ok(_) => assert!(cx.buffered_amount(id) <= 50_000),
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, Error::Misuse(Misuse::OutboxFull { limit: 50_000 })), "{refused}");
    });
}

#[test]
fn what_another_thread_was_told_is_accepted_arrives_however_little_may_wait() {
    let running = Running::new();
    let log = Log::default();
    let config = Config { max_outbox_bytes: 50_000, ..Config::default() };
    let (id, mut peer) = running.open(config, Told::new(&log));
    log.wait("open");
    let mut accepted: u32 = 0;
    let refused = loop {
        match running.remote.send(id, MessageKind::Binary, [&accepted.to_be_bytes()[..], &[0; 996]].concat()) {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 10_000, "nothing is ever refused");
    };
    assert!(matches!(refused, Error::Misuse(Misuse::OutboxFull { .. })), "{refused}");
    running.remote.close(id, Some(CloseCode::NORMAL), "").unwrap();
    for number in 0..accepted {
        let (first, payload) = peer.frame().unwrap();
        assert_eq!(first, 0x82, "only {number} of {accepted} messages arrive");
        assert_eq!(payload[..4], number.to_be_bytes());
    }
    assert_eq!(peer.read_close(), 1000);
    peer.send(0x88, &1000u16.to_be_bytes());
    assert_eq!(log.wait("close"), "close 1000 clean");
}

#[test]
fn a_peer_that_reads_nothing_at_all_is_given_up() {
    let running = Running::new();
    let log = Log::default();
    let config = Config { write_timeout: 50, ..Config::default() };
    let (id, _peer) = running.open(config, Told::new(&log));
    log.wait("open");
    running.remote.send(id, MessageKind::Binary, vec![0; 2 << 20]).unwrap();
    assert!(log.wait("error").contains("did not read"));
    assert!(log.wait("close").starts_with("close 1006 unclean unsent"));
}

/// Bytes of somebody else's, which count how often they are given back.
struct Foreign(Arc<AtomicUsize>, Vec<u8>);

impl AsRef<[u8]> for Foreign {
    fn as_ref(&self) -> &[u8] {
        &self.1
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn foreign(freed: &Arc<AtomicUsize>, bytes: usize) -> Chunk {
    Chunk::Foreign(Box::new(Foreign(freed.clone(), vec![5; bytes])))
}

#[test]
fn a_foreign_chunk_is_freed_exactly_once_when_it_was_sent() {
    let running = Running::new();
    let log = Log::default();
    let (id, mut peer) = running.open(Config::default(), Told::new(&log));
    log.wait("open");
    let freed = Arc::new(AtomicUsize::new(0));
    running.remote.send_chunk(id, MessageKind::Binary, foreign(&freed, 1 << 20)).unwrap();
    let more = foreign(&freed, 10);
    running.ask(move |cx| cx.send_chunk(id, MessageKind::Binary, more).map(drop)).unwrap();
    assert_eq!(freed.load(Ordering::SeqCst), 0, "it was freed before it was sent");
    assert_eq!(peer.frame().unwrap().1.len(), 1 << 20);
    assert_eq!(peer.frame().unwrap().1.len(), 10);
    peer.close(1000);
    log.wait("close");
    drop(running);
    assert_eq!(freed.load(Ordering::SeqCst), 2);
}

#[test]
fn a_foreign_chunk_is_freed_exactly_once_when_it_cannot_be_sent() {
    let freed = Arc::new(AtomicUsize::new(0));
    let count = || freed.load(Ordering::SeqCst);
    let running = Running::new();
    let log = Log::default();
    let config = Config { max_outbox_bytes: 4 << 20, ..Config::default() };
    let (id, peer) = running.open(config, Told::new(&log));
    log.wait("open");
    // Refused at once: too much, not UTF-8.
    let refused = [foreign(&freed, 5 << 20)];
    running.ask(move |cx| {
        for chunk in refused {
            cx.send_chunk(id, MessageKind::Binary, chunk).unwrap_err();
        }
    });
    assert_eq!(count(), 1);
    let bad = Chunk::Foreign(Box::new(Foreign(freed.clone(), vec![0xff])));
    running.remote.send_chunk(id, MessageKind::Text, bad).unwrap_err();
    assert_eq!(count(), 2);
    // Thrown away with the connection, half sent or not at all.
    running.remote.send_chunk(id, MessageKind::Binary, foreign(&freed, 2 << 20)).unwrap();
    running.remote.send_chunk(id, MessageKind::Binary, foreign(&freed, 1 << 20)).unwrap();
    running.ask(|_| ());
    assert_eq!(count(), 2);
    running.remote.abort(id).unwrap();
    log.wait("close");
    assert_eq!(count(), 4);
    drop(peer);
    // Too late.
    running.ask(|_| ());
    running.remote.send_chunk(id, MessageKind::Binary, foreign(&freed, 1)).unwrap_err();
    assert_eq!(count(), 5);
    // With the loop.
    let (id, _peer) = running.open(Config::default(), Told::new(&log));
    log.wait_for(2, "open");
    running.remote.send_chunk(id, MessageKind::Binary, foreign(&freed, 2 << 20)).unwrap();
    running.ask(|_| ());
    drop(running);
    assert_eq!(count(), 6);
}
