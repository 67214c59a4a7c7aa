//! Peers that read slowly, and what waits for them.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use linkspan::Error;
use linkspan::net::Sent;
use linkspan::protocol::{Chunk, CloseCode, Config, MessageKind, Misuse, SlowReader};
use linkspan::transport::Socket;

use crate::common::running::{Log, Peer, Running, Told};

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

/// The handler that every echo server is: it reads no more while much waits, and goes on when that has left. Over
/// TCP, whose readiness comes once: when all has left, none comes of itself.
#[test]
fn a_connection_resumed_by_on_drained_reads_what_came_meanwhile() {
    // In the same read as the message that it paused at, or later.
    for is_later in [false, true] {
        let running = Running::new();
        let log = Log::default();
        let handler = Told::new(&log)
            .on_message(|cx, id, _, _| {
                while cx.send(id, MessageKind::Binary, &[1; 10_000]).unwrap() == Sent::Accepted {}
                cx.pause(id).unwrap();
            })
            .on_drained(|cx, id| cx.resume(id).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = Peer::connect(listener.local_addr().unwrap());
        let (socket, _) = listener.accept().unwrap();
        let config = Config { low_water_bytes: 0, ..narrow() };
        running.adopt(Socket::try_from(socket).unwrap(), config, handler);
        let [first, second]: [&[u8]; 2] = [b"\x81\x81\0\0\0\x001", b"\x81\x81\0\0\0\x002"];
        if is_later {
            peer.write(first);
            log.wait("text 1");
            peer.write(second);
            // Two questions: between them lies the turn that sees it, and leaves it.
            running.ask(|_| ());
            running.ask(|_| ());
        } else {
            peer.write(&[first, second].concat());
            log.wait("text 1");
        }
        while log.count("drained") == 0 {
            peer.frame().unwrap();
        }
        log.wait("text 2");
    }
}

#[test]
fn an_abort_inside_on_drained_is_told_at_once() {
    let running = Running::new();
    let log = Log::default();
    let ended = Arc::new(Mutex::new(Vec::new()));
    let (begin, end) = (ended.clone(), ended.clone());
    let handler = Told::new(&log)
        .on_open(|cx, id| while cx.send(id, MessageKind::Binary, &[1; 10_000]).unwrap() == Sent::Accepted {})
        .on_drained(move |cx, id| {
            begin.lock().unwrap().push(cx.now());
            cx.abort(id).unwrap();
        })
        .on_close(move |cx, _| end.lock().unwrap().push(cx.now()));
    // TCP: no readiness comes of itself when all has left.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = Peer::connect(listener.local_addr().unwrap());
    let socket = Socket::try_from(listener.accept().unwrap().0).unwrap();
    running.adopt(socket, Config { low_water_bytes: 0, ..narrow() }, handler);
    while log.count("drained") == 0 && peer.frame().is_some() {}
    log.wait("close");
    // In the same turn, not when a deadline comes.
    let ended = ended.lock().unwrap();
    assert!(ended[1].since(ended[0]) < Duration::from_secs(1), "{ended:?}");
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

fn with(slow_reader: SlowReader) -> Config {
    Config { slow_reader, max_outbox_bytes: 400_000, ..Config::default() }
}

fn numbered(number: u32, bytes: usize) -> Vec<u8> {
    [&number.to_be_bytes()[..], &vec![8; bytes - 4]].concat()
}

#[test]
fn what_a_slow_reader_cannot_take_is_dropped_and_counted_inside_and_outside() {
    let running = Running::new();
    let log = Log::default();
    let (id, mut peer) = running.open(with(SlowReader::Drop), Told::new(&log));
    log.wait("open");
    let mut accepted = Vec::new();
    let mut dropped = 0;
    for number in 0..60 {
        let message = numbered(number, 50_000);
        let sent = match number % 2 {
            0 => running.remote.send(id, MessageKind::Binary, message),
            _ => running.ask(move |cx| cx.send(id, MessageKind::Binary, &message)),
        };
        match sent.unwrap() {
            Sent::Dropped => dropped += 1,
            Sent::Accepted | Sent::Buffered => accepted.push(number),
        }
        assert_eq!(running.remote.dropped(id), dropped);
        assert_eq!(running.ask(move |cx| cx.dropped(id)), dropped);
    }
    assert!(dropped > 20 && accepted.len() > 5, "{accepted:?}");
    assert_eq!(running.remote.metrics().refused_dropped, dropped);
    // A fragment would leave a hole, and what is too long is not the reader's fault.
    let refused = [
        running.remote.send_fragment(id, MessageKind::Binary, vec![0; 390_000], false),
        running.ask(move |cx| cx.send_fragment(id, MessageKind::Binary, &[0; 390_000], false)),
        running.remote.send(id, MessageKind::Binary, vec![0; 400_001]),
        running.ask(move |cx| cx.send(id, MessageKind::Binary, &[0; 400_001])),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(Error::Misuse(Misuse::OutboxFull { limit: 400_000 }))), "{refused:?}");
    }
    for number in accepted {
        assert!(peer.frame().unwrap() == (0x82, numbered(number, 50_000)), "{number}");
    }
    peer.close(1000);
    assert_eq!(log.wait("close"), "close 1000 clean");
}

#[test]
fn a_slow_reader_is_closed_where_that_is_the_policy() {
    for way in ["inside", "outside", "published"] {
        let running = Running::new();
        let log = Log::default();
        let (id, peer) = running.open(with(SlowReader::Close), Told::new(&log));
        log.wait("open");
        let remote = &running.remote;
        remote.subscribe(id, b"t").unwrap();
        // Longer than may ever wait: that is no reason.
        assert!(remote.send(id, MessageKind::Binary, vec![0; 400_001]).is_err());
        remote.publish(b"t", MessageKind::Binary, &[0; 400_001]).unwrap();
        let mut sent = 0;
        while remote.ready_state(id) == linkspan::net::ReadyState::Open {
            let message = vec![9; 50_000];
            let answer = match way {
                "inside" => running.ask(move |cx| cx.send(id, MessageKind::Binary, &message)).map(drop),
                "outside" => remote.send(id, MessageKind::Binary, message).map(drop),
                _ => running.ask(move |cx| cx.publish(b"t", MessageKind::Binary, &message)),
            };
            sent += 1;
            assert!(sent < 1000, "it never ends");
            if let Err(error) = answer {
                assert!(matches!(error, Error::Misuse(Misuse::Closed) | Error::Gone), "{way}: {error}");
                break;
            }
        }
        let lines = log.wait("error");
        assert!(lines.contains("reads too slowly: more than 400000 bytes"), "{lines}");
        assert!(log.wait("close").starts_with("close 1006 unclean unsent"), "{way}");
        assert_eq!(log.count("error"), 1);
        let faults = remote.metrics();
        assert!(faults.faults().any(|(rule, count)| rule == "slow-reader" && count == 1));
        running.ask(|_| ());
        assert!(remote.send(id, MessageKind::Binary, "x").is_err());
        drop(peer);
    }
}

#[test]
fn a_sender_waits_for_a_slow_reader_where_that_is_the_policy() {
    let running = Running::new();
    let log = Log::default();
    let (id, mut peer) = running.open(with(SlowReader::Block), Told::new(&log));
    log.wait("open");
    // The loop's own thread never waits.
    let refused = running.ask(move |cx| {
        loop {
            match cx.remote().send(id, MessageKind::Binary, vec![0; 50_000]) {
                Ok(_) => {}
                Err(error) => break error,
            }
        }
    });
    assert!(matches!(refused, Error::Misuse(Misuse::OutboxFull { .. })), "{refused}");
    let long = running.remote.send(id, MessageKind::Binary, vec![0; 400_001]);
    assert!(matches!(long, Err(Error::Misuse(Misuse::OutboxFull { .. }))), "it would wait for ever");
    let senders: Vec<_> = (0..4u32)
        .map(|sender| {
            let remote = running.remote.clone();
            std::thread::spawn(move || {
                for number in 0..100 {
                    let message = [sender.to_be_bytes(), u32::to_be_bytes(number)].concat().repeat(2_500);
                    assert_eq!(remote.send(id, MessageKind::Binary, message).unwrap(), Sent::Accepted);
                }
            })
        })
        .collect();
    let mut next = [0; 4];
    while next != [100; 4] {
        let (_, payload) = peer.frame().unwrap();
        if payload.len() == 50_000 {
            continue;
        }
        // What passes from the queue to the outbox just now may be seen in both.
        assert!(running.remote.buffered_amount(id) <= 420_000);
        let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        assert_eq!(number(4), next[number(0) as usize]);
        next[number(0) as usize] += 1;
    }
    senders.into_iter().for_each(|sender| sender.join().unwrap());
}

#[test]
fn a_sender_that_waits_is_told_when_it_is_in_vain() {
    let fill = |running: &Running, id| {
        // Until the system takes no more either.
        while running.ask(move |cx| cx.send(id, MessageKind::Binary, &[0; 50_000]).is_ok()) {}
    };
    let wait = |running: &Running, id| {
        let remote = running.remote.clone();
        std::thread::spawn(move || remote.send(id, MessageKind::Binary, vec![1; 50_000]))
    };
    let log = Log::default();
    // It waits as long as the connection may keep it waiting.
    let running = Running::new();
    let (id, _peer) = running.open(Config { write_timeout: 50, ..with(SlowReader::Block) }, Told::new(&log));
    fill(&running, id);
    let answer = wait(&running, id).join().unwrap();
    let expected = matches!(answer, Err(Error::Misuse(Misuse::OutboxFull { .. } | Misuse::Closed) | Error::Gone));
    assert!(expected, "{answer:?}");
    // The connection ends.
    let (id, _peer) = running.open(with(SlowReader::Block), Told::new(&log));
    fill(&running, id);
    let sender = wait(&running, id);
    running.ask(|_| ());
    running.remote.abort(id).unwrap();
    assert!(matches!(sender.join().unwrap(), Err(Error::Gone | Error::Misuse(Misuse::Closed))));
    // The loop ends.
    let (id, _peer) = running.open(with(SlowReader::Block), Told::new(&log));
    fill(&running, id);
    let sender = wait(&running, id);
    running.ask(|_| ());
    drop(running);
    assert!(matches!(sender.join().unwrap(), Err(Error::Gone | Error::Misuse(Misuse::Closed))));
}
