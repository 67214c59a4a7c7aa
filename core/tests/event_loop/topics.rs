//! Topics: who gets what, in which order, and who does not.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use linkspan::Error;
use linkspan::net::{ConnectionId, Context, DrainOptions, Listener, Server, ServerOptions};
use linkspan::protocol::{CloseCode, Config, MessageKind, Misuse};

use crate::common::running::{Log, PATIENCE, Peer, Running, Told};

type UnixPeer = Peer<std::os::unix::net::UnixStream>;

fn open(running: &Running, config: Config) -> (ConnectionId, UnixPeer) {
    running.open(config, Told::new(&Log::default()))
}

/// So many connections, all of them subscribed.
fn subscribers(running: &Running, topic: &'static [u8], count: usize) -> Vec<(ConnectionId, UnixPeer)> {
    let all: Vec<_> = (0..count).map(|_| open(running, Config::default())).collect();
    let ids: Vec<_> = all.iter().map(|(id, _)| *id).collect();
    running.ask(move |cx| ids.iter().for_each(|id| assert!(cx.subscribe(*id, topic).unwrap())));
    all
}

fn text(cx: &mut Context<'_>, topic: &[u8], data: &str) {
    cx.publish(topic, MessageKind::Text, data.as_bytes()).unwrap();
}

#[test]
fn subscribers_get_what_is_published_and_nobody_else_does() {
    let running = Running::new();
    let mut news = subscribers(&running, b"news", 3);
    let mut other = subscribers(&running, b"other", 1);
    let first = news[0].0;
    running.ask(move |cx| {
        assert!(!cx.subscribe(first, b"news").unwrap(), "twice");
        assert_eq!((cx.subscriber_count(b"news"), cx.subscriber_count(b"nobody's")), (3, 0));
        text(cx, b"news", "one");
        text(cx, b"nobody's", "lost");
        cx.publish_from(first, b"news", MessageKind::Binary, b"two").unwrap();
        text(cx, b"news", "three");
        // Who leaves has what was published before; who comes has what is published after.
        assert!(cx.unsubscribe(first, b"news").unwrap());
        assert!(!cx.unsubscribe(first, b"news").unwrap());
        text(cx, b"news", "four");
        assert!(cx.subscribe(first, b"news").unwrap());
        text(cx, b"news", "five");
        text(cx, b"other", "end");
    });
    running.remote.publish(b"news", MessageKind::Text, b"end").unwrap();
    for (n, (_, peer)) in news.iter_mut().enumerate() {
        for (number, expected) in ["one", "two", "three", "four", "five", "end"].iter().enumerate() {
            if n > 0 || ![1, 3].contains(&number) {
                let first = if number == 1 { 0x82 } else { 0x81 };
                assert_eq!(peer.frame().unwrap(), (first, expected.as_bytes().to_vec()), "subscriber {n}");
            }
        }
    }
    assert_eq!(other[0].1.read_text(), "end");
}

#[test]
fn what_one_thread_sends_and_publishes_arrives_in_that_order() {
    let running = Running::new();
    let mut all = subscribers(&running, b"a", 2);
    let (id, other) = (all[0].0, all[1].0);
    running.ask(move |cx| {
        assert!(cx.subscribe(id, b"b").unwrap());
        for round in 0..3 {
            cx.send(id, MessageKind::Text, format!("{round} sent").as_bytes()).unwrap();
            text(cx, b"a", &format!("{round} a"));
            text(cx, b"b", &format!("{round} b"));
            text(cx, b"a", &format!("{round} a again"));
            cx.send(id, MessageKind::Text, format!("{round} sent again").as_bytes()).unwrap();
        }
        // And by the same thread as if it were another.
        let remote = cx.remote();
        remote.publish(b"b", MessageKind::Text, b"queued").unwrap();
        remote.send(id, MessageKind::Text, "queued, sent").unwrap();
        remote.publish(b"a", MessageKind::Text, b"queued again").unwrap();
        remote.close(id, Some(CloseCode::NORMAL), "").unwrap();
        remote.close(other, Some(CloseCode::NORMAL), "").unwrap();
    });
    let mine = &mut all[0].1;
    for round in 0..3 {
        for expected in ["sent", "a", "b", "a again", "sent again"] {
            assert_eq!(mine.read_text(), format!("{round} {expected}"));
        }
    }
    for expected in ["queued", "queued, sent", "queued again"] {
        assert_eq!(mine.read_text(), expected);
    }
    assert_eq!(mine.read_close(), 1000);
    let theirs = &mut all[1].1;
    for round in 0..3 {
        assert_eq!(theirs.read_text(), format!("{round} a"));
        assert_eq!(theirs.read_text(), format!("{round} a again"));
    }
    assert_eq!(theirs.read_text(), "queued again");
    assert_eq!(theirs.read_close(), 1000);
}

#[test]
fn a_thread_that_subscribes_and_then_publishes_is_heard() {
    let running = Running::new();
    let (id, mut peer) = open(&running, Config::default());
    let remote = &running.remote;
    for round in 0..50 {
        assert!(remote.subscribe(id, b"t").unwrap());
        assert_eq!(remote.subscriber_count(b"t"), 1);
        remote.publish(b"t", MessageKind::Text, format!("{round}").as_bytes()).unwrap();
        assert!(remote.unsubscribe(id, b"t").unwrap());
        assert_eq!(remote.subscriber_count(b"t"), 0);
        remote.publish(b"t", MessageKind::Text, b"nobody is there").unwrap();
    }
    for round in 0..50 {
        assert_eq!(peer.read_text(), format!("{round}"));
    }
    running.remote.close(id, None, "").unwrap();
    assert_eq!(peer.frame().unwrap(), (0x88, Vec::new()));
}

#[test]
fn several_messages_of_a_turn_leave_in_one_write() {
    let running = Running::new();
    // Datagrams would show each write; a stream shows them by what one read brings.
    let mut all = subscribers(&running, b"t", 2);
    let ids: Vec<_> = all.iter().map(|(id, _)| *id).collect();
    running.ask(move |cx| {
        for n in 0..8 {
            text(cx, b"t", &format!("message {n}"));
        }
        assert!(ids.iter().all(|id| cx.buffered_amount(*id) == 0), "written before the turn's end");
    });
    running.ask(|_| ());
    for (_, peer) in &mut all {
        let mut buffer = [0; 1000];
        let n = std::io::Read::read(&mut peer.stream, &mut buffer).unwrap();
        assert_eq!(n, 8 * (2 + "message 0".len()));
    }
}

#[test]
fn a_connection_that_ends_is_no_subscriber_any_more() {
    let running = Running::new();
    let mut all = subscribers(&running, b"t", 5);
    for (left, at) in [(4, 1), (3, 3), (2, 0)] {
        let (id, mut peer) = all.remove(at);
        peer.close(1000);
        drop(peer);
        while running.remote.ready_state(id) != linkspan::net::ReadyState::Closed {
            running.ask(|_| ());
        }
        running.ask(|_| ());
        assert_eq!(running.remote.subscriber_count(b"t"), left);
        running.remote.publish(b"t", MessageKind::Text, format!("{left} left").as_bytes()).unwrap();
        for (_, peer) in &mut all {
            assert_eq!(peer.read_text(), format!("{left} left"));
        }
        assert!(matches!(running.remote.subscribe(id, b"t"), Err(Error::Gone)));
        assert!(matches!(running.remote.unsubscribe(id, b"t"), Err(Error::Gone)));
        assert!(matches!(running.remote.publish_from(id, b"t", MessageKind::Text, b""), Err(Error::Gone)));
        running.ask(move |cx| {
            assert!(matches!(cx.subscribe(id, b"t"), Err(Error::Gone)));
            assert!(matches!(cx.unsubscribe(id, b"t"), Err(Error::Gone)));
            assert!(matches!(cx.publish_from(id, b"t", MessageKind::Text, b""), Err(Error::Gone)));
        });
    }
    // The rest with their loop.
    let remote = running.remote.clone();
    drop(running);
    assert_eq!(remote.subscriber_count(b"t"), 0);
    assert!(matches!(remote.publish(b"t", MessageKind::Text, b""), Err(Error::Gone)));
}

#[test]
fn names_and_their_number_have_a_limit() {
    let running = Running::new();
    let (id, _peer) = open(&running, Config { max_topics: 2, ..Config::default() });
    let misuse = |answer: Result<bool, Error>| match answer {
        Err(Error::Misuse(misuse)) => misuse,
        other => panic!("{other:?}"),
    };
    let remote = running.remote.clone();
    assert_eq!(misuse(remote.subscribe(id, b"")), Misuse::TopicInvalid(0));
    assert_eq!(misuse(remote.subscribe(id, &[b'x'; 256])), Misuse::TopicInvalid(256));
    assert!(remote.subscribe(id, &[b'x'; 255]).unwrap());
    running.ask(move |cx| {
        assert!(cx.subscribe(id, b"two").unwrap());
        assert!(matches!(cx.subscribe(id, b"three"), Err(Error::Misuse(Misuse::TooManyTopics { limit: 2 }))));
    });
    assert_eq!(misuse(remote.subscribe(id, b"three")), Misuse::TooManyTopics { limit: 2 });
    assert!(remote.unsubscribe(id, b"two").unwrap());
    assert!(remote.subscribe(id, b"three").unwrap());
    let bad = remote.publish(b"three", MessageKind::Text, b"\xff");
    assert!(matches!(bad, Err(Error::Misuse(Misuse::InvalidUtf8 { at: 0 }))));
    let bad = running.ask(|cx| cx.publish(b"three", MessageKind::Text, b"\xff"));
    assert!(matches!(bad, Err(Error::Misuse(Misuse::InvalidUtf8 { at: 0 }))));
}

#[test]
fn what_is_published_while_a_message_is_half_sent_follows_it() {
    let running = Running::new();
    let mut all = subscribers(&running, b"t", 1);
    let (id, peer) = &mut all[0];
    let id = *id;
    running.ask(move |cx| {
        cx.send_fragment(id, MessageKind::Text, b"half", false).unwrap();
        text(cx, b"t", "published");
    });
    running.remote.publish(b"t", MessageKind::Text, b"twice").unwrap();
    running.remote.send_fragment(id, MessageKind::Text, b"whole".to_vec(), true).unwrap();
    running.remote.publish(b"t", MessageKind::Text, b"after").unwrap();
    assert_eq!(peer.frame().unwrap(), (0x01, b"half".to_vec()));
    assert_eq!(peer.frame().unwrap(), (0x80, b"whole".to_vec()));
    for expected in ["published", "twice", "after"] {
        assert_eq!(peer.read_text(), expected);
    }
}

#[test]
fn a_subscriber_that_does_not_read_goes_without_and_others_do_not() {
    let running = Running::new();
    let config = Config { max_outbox_bytes: 300_000, ..Config::default() };
    let log = Log::default();
    let (slow, mut slow_peer) = running.open(config, Told::new(&log));
    let (quick, mut quick_peer) = open(&running, Config::default());
    running.remote.subscribe(slow, b"t").unwrap();
    running.remote.subscribe(quick, b"t").unwrap();
    let message = |n: u32| [&n.to_be_bytes()[..], &[7; 20_000]].concat();
    for n in 0..100 {
        running.remote.publish(b"t", MessageKind::Binary, &message(n)).unwrap();
        assert_eq!(quick_peer.frame().unwrap(), (0x82, message(n)));
    }
    running.ask(|_| ());
    let dropped = running.remote.dropped(slow);
    assert!((50..100).contains(&dropped), "{dropped} of 100");
    assert_eq!(running.ask(move |cx| (cx.dropped(slow), cx.dropped(quick))), (dropped, 0));
    // What was not dropped arrives in order, and when there is room again, more does.
    for n in 0..100 - dropped as u32 {
        assert_eq!(slow_peer.frame().unwrap(), (0x82, message(n)));
    }
    running.ask(|_| ());
    running.remote.publish(b"t", MessageKind::Binary, &message(100)).unwrap();
    assert_eq!(slow_peer.frame().unwrap(), (0x82, message(100)));
    assert_eq!(running.remote.dropped(slow), dropped);
    slow_peer.close(1000);
    log.wait("close");
}

#[test]
fn large_messages_reach_all_however_slowly_they_read() {
    let running = Running::new();
    let mut all = subscribers(&running, b"t", 3);
    let big: Vec<u8> = (0..3 << 20).map(|n: u32| (n % 251) as u8).collect();
    let (sent, small) = (big.clone(), vec![9; 500]);
    running.ask(move |cx| {
        cx.publish(b"t", MessageKind::Binary, &sent[..1000]).unwrap();
        cx.publish(b"t", MessageKind::Binary, &sent).unwrap();
        cx.publish(b"t", MessageKind::Binary, &sent[..40_000]).unwrap();
        cx.publish(b"t", MessageKind::Binary, &small).unwrap();
    });
    for (_, peer) in &mut all {
        assert!(peer.frame().unwrap().1 == big[..1000]);
        assert!(peer.frame().unwrap().1 == big);
        assert!(peer.frame().unwrap().1 == big[..40_000]);
        assert!(peer.frame().unwrap().1 == [9; 500]);
    }
}

fn serve(loops: usize, log: &Log, config: Config) -> (Server, std::net::SocketAddr) {
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    let address = listener.local_addr().socket_addr().unwrap();
    let mut options = ServerOptions { loops, ..ServerOptions::default() };
    options.listen.config = config.into();
    let server = Server::start(listener, options, |_| {
        let told = Told::new(log).on_open(|cx, id| assert!(cx.subscribe(id, b"all").unwrap()));
        Box::new(told.on_message(|cx, id, kind, data| cx.publish_from(id, b"all", kind, data).unwrap()))
    });
    (server.unwrap(), address)
}

#[test]
fn a_message_reaches_the_subscribers_of_all_loops_of_a_server() {
    let log = Log::default();
    let (server, address) = serve(3, &log, Config::default());
    let mut peers: Vec<_> = (0..9).map(|_| Peer::open(address)).collect();
    log.wait_for(9, "open");
    while server.subscriber_count(b"all") < 9 {
        thread::yield_now();
    }
    server.publish(b"all", MessageKind::Text, b"from outside").unwrap();
    server.publish(b"none", MessageKind::Text, b"to nobody").unwrap();
    for peer in &mut peers {
        assert_eq!(peer.read_text(), "from outside");
    }
    // From inside one of them, to all others.
    peers[4].text("from inside");
    for (n, peer) in peers.iter_mut().enumerate().filter(|(n, _)| *n != 4) {
        assert_eq!(peer.read_text(), "from inside", "{n}");
    }
    server.publish(b"all", MessageKind::Text, b"end").unwrap();
    peers.iter_mut().for_each(|peer| assert_eq!(peer.read_text(), "end"));
    // One loop's end is only its own.
    server.remotes()[1].stop().unwrap();
    while server.subscriber_count(b"all") > 6 {
        thread::yield_now();
    }
    server.publish(b"all", MessageKind::Text, b"to the rest").unwrap();
    let heard = peers.iter_mut().filter_map(Peer::frame).count();
    assert_eq!(heard, 6);
}

#[test]
fn every_subscriber_hears_each_publisher_in_order_and_once() {
    const THREADS: u32 = 4;
    const EACH: u32 = 2_000;
    let log = Log::default();
    let (server, address) = serve(3, &log, Config::default());
    let (sender, done) = mpsc::channel();
    let readers: Vec<_> = (0..6).map(|_| Peer::open(address)).collect();
    while server.subscriber_count(b"all") < 6 {
        thread::yield_now();
    }
    for mut peer in readers {
        let sender = sender.clone();
        thread::spawn(move || {
            let mut next = [0; THREADS as usize];
            for _ in 0..THREADS * EACH {
                let (_, payload) = peer.frame().unwrap();
                let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
                assert_eq!(number(4), next[number(0) as usize], "thread {}", number(0));
                next[number(0) as usize] += 1;
            }
            sender.send(()).unwrap();
        });
    }
    thread::scope(|scope| {
        for publisher in 0..THREADS {
            let server = &server;
            scope.spawn(move || {
                for number in 0..EACH {
                    let message = [publisher.to_be_bytes(), number.to_be_bytes()].concat();
                    server.publish(b"all", MessageKind::Binary, &message).unwrap();
                }
            });
        }
    });
    for _ in 0..6 {
        done.recv_timeout(PATIENCE).expect("all of them hear everything");
    }
    server.drain(&DrainOptions { deadline: Duration::ZERO, ..DrainOptions::default() }).unwrap();
    server.join().unwrap();
}

/// The inflater here is no part of ours: one stream over all messages, as context takeover has it.
#[test]
#[cfg(feature = "deflate")]
fn what_is_published_compressed_stands_by_itself_among_messages_that_do_not() {
    use std::sync::Arc;

    use flate2::{Decompress, FlushDecompress};
    use linkspan::net::Adopt;
    use linkspan::protocol::deflate::Parameters;
    use linkspan::protocol::handshake::Agreed;
    use linkspan::protocol::{DeflateConfig, Engine};
    use linkspan::transport::Transport;

    let running = Running::new();
    let adopt = |bits: u8, level: u8, takes_over: bool| {
        let (socket, peer) = crate::common::running::pair();
        let deflate = DeflateConfig { level, min_bytes: 0, ..DeflateConfig::default() };
        let config = Config { deflate: Some(deflate), ..Config::default() };
        let parameters = Parameters {
            server_no_context_takeover: !takes_over,
            client_no_context_takeover: false,
            server_max_window_bits: bits,
            client_max_window_bits: 15,
        };
        let agreed = Agreed { subprotocol: None, deflate: Some(parameters) };
        let id = running.ask(move |cx| {
            let engine = Engine::adopted(Arc::new(config), agreed, "/", None, cx.now());
            let (transport, how) = (Transport::plain(socket), Adopt::Engine(Box::new(engine)));
            cx.adopt_with(transport, how, Vec::new(), Box::new(Told::new(&Log::default()))).unwrap()
        });
        running.remote.subscribe(id, b"t").unwrap();
        (id, peer, Decompress::new_with_window_bits(false, bits.max(9)))
    };
    let mut all = [
        adopt(15, 6, true),
        adopt(15, 6, true),
        adopt(15, 6, false),
        adopt(15, 9, true),
        adopt(9, 1, true),
        // zlib has no such window: as it is.
        adopt(8, 6, true),
    ];
    let ids = all.each_ref().map(|(id, ..)| *id);
    let message = |n: usize| {
        format!("{{\"price\": {n}, \"name\": \"something that repeats\", \"of\": \"what repeats\"}} ").repeat(4)
    };
    running.ask(move |cx| {
        for n in 0..12 {
            let data = message(n);
            for id in ids {
                // Its own, once or twice, which refers to its own before it.
                (0..=n % 2).for_each(|_| _ = cx.send(id, MessageKind::Text, data.as_bytes()).unwrap());
            }
            (0..=n % 3).for_each(|_| text(cx, b"t", &data));
            if n == 6 {
                text(cx, b"t", "");
            }
        }
    });
    let mut sizes = Vec::new();
    for (_, peer, inflater) in &mut all {
        let mut sent = 0;
        let mut next = || {
            let (first, payload) = peer.frame().unwrap();
            sent += payload.len();
            if first == 0x81 {
                return String::from_utf8(payload).unwrap();
            }
            assert_eq!(first, 0xc1);
            let mut data = Vec::with_capacity(4096);
            let compressed = [&payload[..], &[0, 0, 0xff, 0xff]].concat();
            inflater.decompress_vec(&compressed, &mut data, FlushDecompress::Sync).unwrap();
            String::from_utf8(data).unwrap()
        };
        for n in 0..12 {
            for _ in 0..=n % 2 {
                assert_eq!(next(), message(n));
            }
            for _ in 0..=n % 3 {
                assert_eq!(next(), message(n));
            }
            if n == 6 {
                assert_eq!(next(), "");
            }
        }
        sizes.push(sent);
    }
    assert!(sizes[..5].iter().all(|bytes| *bytes < sizes[5] / 2), "not compressed: {sizes:?}");
}

#[test]
fn what_waits_for_a_loop_that_is_busy_is_bounded() {
    let running = Running::new();
    let mut all = subscribers(&running, b"t", 1);
    let (sender, inside) = mpsc::channel();
    let (leave, receiver) = mpsc::channel::<()>();
    let task = move |_: &mut Context<'_>| {
        sender.send(()).unwrap();
        receiver.recv_timeout(PATIENCE).unwrap();
    };
    running.remote.run(task).unwrap();
    inside.recv_timeout(PATIENCE).unwrap();
    let wakes = running.remote.metrics().wakes;
    let mut published = 0u8;
    let refused = loop {
        match running.remote.publish(b"t", MessageKind::Binary, &[published; 1 << 20]) {
            Ok(()) => published += 1,
            Err(error) => break error,
        }
        assert!(published < 100, "it is not bounded");
    };
    assert!(matches!(refused, Error::Misuse(Misuse::OutboxFull { limit: 67_108_864 })), "{refused}");
    assert_eq!(published, 63);
    // However many they are, and however many get them.
    assert_eq!(running.remote.metrics().wakes, wakes + 1);
    leave.send(()).unwrap();
    for n in 0..published {
        let (_, payload) = all[0].1.frame().unwrap();
        assert!(payload.len() == 1 << 20 && payload[0] == n, "{n}");
    }
    running.remote.publish(b"t", MessageKind::Text, b"room again").unwrap();
    assert_eq!(all[0].1.read_text(), "room again");
}

/// TCP takes part of a write, where a socket pair takes all or nothing.
#[test]
fn a_subscriber_whose_stream_takes_part_of_a_message_gets_the_rest_later() {
    const MESSAGES: u32 = 400;
    let log = Log::default();
    let (server, address) = serve(1, &log, Config { max_outbox_bytes: 1 << 20, ..Config::default() });
    let mut peer = Peer::open(address);
    while server.subscriber_count(b"all") < 1 {
        thread::yield_now();
    }
    let message = |number: u32| number.to_be_bytes().repeat(12_500);
    for number in 0..MESSAGES {
        server.publish(b"all", MessageKind::Binary, &message(number)).unwrap();
        // Each in a turn of its own.
        while server.metrics().queued_commands > 0 {
            thread::yield_now();
        }
    }
    let sent = || server.metrics().sent_messages;
    while sent() + server.metrics().refused_dropped < u64::from(MESSAGES) {
        thread::yield_now();
    }
    assert!(sent() < u64::from(MESSAGES), "it was never full");
    for number in 0..sent() as u32 {
        let (first, payload) = peer.frame().unwrap();
        assert!(first == 0x82 && payload == message(number), "{number}");
    }
}
