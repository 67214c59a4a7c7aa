//! Other threads, through [`Remote`].

use std::sync::Arc;
use std::thread;

use linkspan::Error;
use linkspan::net::{ConnectionId, ReadyState, Sent};
use linkspan::protocol::handshake::{Accept, Reject};
use linkspan::protocol::{Chunk, CloseCode, Config, MessageKind, Misuse};

use crate::common::running::{Log, Running, Told, echo};

#[test]
fn what_many_threads_send_arrives_once_and_in_each_ones_order() {
    const THREADS: u32 = 8;
    const MESSAGES: u32 = 20_000;
    let running = Running::new();
    let log = Log::default();
    let (id, mut peer) = running.open(Config::default(), Told::new(&log));
    log.wait("open");
    let senders: Vec<_> = (0..THREADS)
        .map(|thread| {
            let remote = running.remote.clone();
            thread::spawn(move || {
                for number in 0..MESSAGES {
                    let message = [thread.to_be_bytes(), number.to_be_bytes()].concat();
                    assert_eq!(remote.send(id, MessageKind::Binary, message).unwrap(), Sent::Accepted);
                }
            })
        })
        .collect();
    let mut next = [0; THREADS as usize];
    for _ in 0..THREADS * MESSAGES {
        let (first, payload) = peer.frame().unwrap();
        assert_eq!((first, payload.len()), (0x82, 8));
        let (thread, number) = payload.split_at(4);
        let thread = u32::from_be_bytes(thread.try_into().unwrap()) as usize;
        assert_eq!(u32::from_be_bytes(number.try_into().unwrap()), next[thread], "thread {thread}");
        next[thread] += 1;
    }
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    peer.close(1000);
    assert_eq!(log.wait("close"), "close 1000 clean");
}

#[test]
fn verbs_of_one_thread_happen_in_their_order() {
    let running = Running::new();
    let log = Log::default();
    let (id, mut peer) = running.open(Config::default(), Told::new(&log));
    log.wait("open");
    let remote = &running.remote;
    remote.send(id, MessageKind::Text, "one").unwrap();
    remote.ping(id, b"two").unwrap();
    remote.send_fragment(id, MessageKind::Text, b"thr".to_vec(), false).unwrap();
    remote.pong(id, b"in between").unwrap();
    remote.send_fragment(id, MessageKind::Text, b"ee".to_vec(), true).unwrap();
    remote.send_chunk(id, MessageKind::Binary, Chunk::Shared(Arc::from(&b"four"[..]))).unwrap();
    remote.close(id, Some(CloseCode::new(4000)), "five").unwrap();
    let expected: [(u8, &[u8]); 7] = [
        (0x81, b"one"),
        (0x89, b"two"),
        (0x01, b"thr"),
        (0x8a, b"in between"),
        (0x80, b"ee"),
        (0x82, b"four"),
        (0x88, b"\x0f\xa0five"),
    ];
    for (first, payload) in expected {
        assert_eq!(peer.frame().unwrap(), (first, payload.to_vec()));
    }
    peer.send(0x88, &4000u16.to_be_bytes());
    assert_eq!(log.wait("close"), "close 4000 clean");
}

#[test]
fn a_message_between_the_fragments_of_another_is_not_lost_in_silence() {
    let running = Running::new();
    let log = Log::default();
    let (id, mut peer) = running.open(Config::default(), Told::new(&log));
    log.wait("open");
    running.remote.send_fragment(id, MessageKind::Text, b"beg".to_vec(), false).unwrap();
    running.remote.send(id, MessageKind::Text, "inside").unwrap();
    log.wait("close 1006 unclean unsent");
    while peer.frame().is_some() {}
}

#[test]
fn what_cannot_be_is_said_at_once() {
    let running = Running::new();
    let log = Log::default();
    let (id, _peer) = running.open(Config::default(), Told::new(&log));
    log.wait("open");
    let remote = &running.remote;
    let misuse = |answer: Result<(), Error>| match answer {
        Err(Error::Misuse(misuse)) => misuse,
        other => panic!("{other:?}"),
    };
    assert_eq!(misuse(remote.send(id, MessageKind::Text, b"a\xff").map(drop)), Misuse::InvalidUtf8 { at: 1 });
    assert_eq!(misuse(remote.ping(id, &[0; 126])), Misuse::ControlTooLong(126));
    assert_eq!(misuse(remote.pong(id, &[0; 200])), Misuse::ControlTooLong(200));
    assert_eq!(misuse(remote.close(id, Some(CloseCode::new(1005)), "")), Misuse::CloseCodeInvalid(1005));
    assert_eq!(misuse(remote.close(id, Some(CloseCode::NORMAL), &"r".repeat(124))), Misuse::ReasonTooLong(124));
    assert_eq!(misuse(remote.close(id, None, "why")), Misuse::ReasonWithoutCode);
    assert_eq!(remote.ready_state(id), ReadyState::Open);
}

#[test]
fn a_request_is_accepted_later_by_another_thread() {
    let running = Running::new();
    let log = Log::default();
    let address = super::listen(&running, Config::default(), super::deferring(&log));
    let mut peer = crate::common::running::Peer::connect(address);
    // A frame right behind the head waits with it.
    peer.write(crate::common::running::REQUEST.as_bytes());
    peer.text("early");
    let id = super::id_of(&log.wait("deferred"));
    assert_eq!(running.remote.ready_state(id), ReadyState::Connecting);
    assert!(matches!(running.remote.send(id, MessageKind::Text, "too early"), Err(Error::Misuse(Misuse::NotOpen))));
    let accept = Accept { headers: vec![("X-Answered".into(), "later".into())], ..Accept::default() };
    running.remote.accept(id, accept).unwrap();
    assert!(peer.read_head().contains("X-Answered: later\r\n"));
    log.wait("text early");
    peer.close(1000);
    log.wait("close 1000 clean");
}

#[test]
fn a_request_is_rejected_later_by_another_thread() {
    let running = Running::new();
    let log = Log::default();
    let address = super::listen(&running, Config::default(), super::deferring(&log));
    let mut peer = crate::common::running::Peer::connect(address);
    peer.write(crate::common::running::REQUEST.as_bytes());
    peer.text("never heard");
    let id = super::id_of(&log.wait("deferred"));
    running.remote.reject(id, Reject::text(503, "come back")).unwrap();
    let answer = String::from_utf8(peer.read_to_end()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("\r\n\r\ncome back\n"), "{answer}");
    assert_eq!(log.wait("close"), "close 1006 unclean");
    assert_eq!(log.count("text"), 0);
}

#[test]
fn an_id_that_has_ended_is_gone_for_every_verb() {
    let running = Running::new();
    let log = Log::default();
    let (id, mut peer) = running.open(Config::default(), Told::new(&log).on_message(echo));
    peer.close(1000);
    log.wait("close");
    drop(peer);
    // A new connection takes the slot; the old name is not its name.
    let (new, mut peer) = running.open(Config::default(), Told::new(&log).on_message(echo));
    log.wait_for(2, "open");
    assert_ne!(id, new);
    all_gone(&running, id);
    // Names of other loops, and numbers that never were names.
    let other = Running::new();
    all_gone(&other, new);
    all_gone(&running, ConnectionId::from_u64(u64::MAX));
    all_gone(&running, ConnectionId::from_u64(new.as_u64() ^ 1 << 19));
    peer.text("still here");
    assert_eq!(peer.read_text(), "still here");
}

fn all_gone(running: &Running, id: ConnectionId) {
    let remote = &running.remote;
    assert_eq!(remote.ready_state(id), ReadyState::Closed);
    assert_eq!(remote.buffered_amount(id), 0);
    for answer in [
        remote.send(id, MessageKind::Text, "x").map(drop),
        remote.send_chunk(id, MessageKind::Binary, Chunk::Owned(vec![1])).map(drop),
        remote.send_fragment(id, MessageKind::Text, vec![], true).map(drop),
        remote.write(id, vec![1]).map(drop),
        remote.ping(id, b""),
        remote.pong(id, b""),
        remote.close(id, None, ""),
        remote.abort(id),
        remote.accept(id, Accept::default()),
        remote.reject(id, Reject::text(404, "")),
        remote.pause(id),
        remote.resume(id),
        remote.ready(id),
        remote.finish(id),
    ] {
        assert!(matches!(answer, Err(Error::Gone)), "{answer:?}");
    }
    running.ask(move |cx| {
        for answer in [
            cx.send(id, MessageKind::Text, b"x").map(drop),
            cx.send_fragment(id, MessageKind::Text, b"x", true).map(drop),
            cx.send_chunk(id, MessageKind::Text, Chunk::Owned(vec![1])).map(drop),
            cx.write(id, b"x").map(drop),
            cx.ping(id, b""),
            cx.pong(id, b""),
            cx.close(id, None, ""),
            cx.abort(id),
            cx.accept(id, &Accept::default()),
            cx.reject(id, &Reject::text(404, "")),
            cx.pause(id),
            cx.resume(id),
            cx.ready(id),
            cx.finish(id),
            cx.set_user(id, 1),
        ] {
            assert!(matches!(answer, Err(Error::Gone)), "{answer:?}");
        }
        assert!(cx.release(id).is_none());
        assert!(cx.engine(id).is_none() && cx.peer(id).is_none() && cx.user(id).is_none());
        assert_eq!((cx.ready_state(id), cx.buffered_amount(id)), (ReadyState::Closed, 0));
    });
}

#[test]
fn a_remote_that_outlives_its_loop_says_so() {
    let running = Running::new();
    let log = Log::default();
    let (id, _peer) = running.open(Config::default(), Told::new(&log));
    log.wait("open");
    let remote = running.remote.clone();
    drop(running);
    assert!(matches!(remote.send(id, MessageKind::Text, "x"), Err(Error::Gone)));
    assert!(matches!(remote.run(|_| {}), Err(Error::Gone)));
    assert_eq!(remote.ready_state(id), ReadyState::Closed);
}
