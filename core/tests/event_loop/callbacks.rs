//! What handlers do inside their calls.

use std::sync::{Arc, Mutex};

use linkspan::net::ConnectionId;
use linkspan::protocol::{CloseCode, Config, Delivery, MessageKind};

use crate::common::running::{Log, Running, Told, echo};

type Ids = Arc<Mutex<Vec<ConnectionId>>>;

#[test]
fn a_close_inside_a_message_is_the_last_that_is_heard() {
    let running = Running::new();
    let log = Log::default();
    let handler = Told::new(&log).on_message(|cx, id, _, data| {
        if data == b"two" {
            cx.send(id, MessageKind::Text, b"last words").unwrap();
            cx.close(id, Some(CloseCode::NORMAL), "enough").unwrap();
        }
    });
    let (_, mut peer) = running.open(Config::default(), handler);
    let frames: Vec<u8> = ["one", "two", "three", "four"]
        .iter()
        .flat_map(|text| crate::common::wire::frame(0x81, Some([1, 2, 3, 4]), text.as_bytes()))
        .collect();
    peer.write(&frames);
    assert_eq!(peer.read_text(), "last words");
    assert_eq!(peer.read_close(), 1000);
    peer.text("five");
    peer.send(0x88, &1000u16.to_be_bytes());
    assert_eq!(log.wait("close"), "close 1000 clean");
    assert_eq!(log.lines()[1..], ["text one", "text two", "close 1000 clean"]);
    assert!(peer.frame().is_none());
}

#[test]
fn an_abort_inside_a_message_ends_it_at_once() {
    let running = Running::new();
    let log = Log::default();
    let handler = Told::new(&log).on_message(|cx, id, _, _| cx.abort(id).unwrap());
    let (_, mut peer) = running.open(Config::default(), handler);
    peer.write(b"\x81\x81\0\0\0\0a\x81\x81\0\0\0\0b");
    assert_eq!(log.wait("close"), "close 1006 unclean");
    assert_eq!(log.count("text"), 1);
    assert!(peer.frame().is_none());
}

#[test]
fn handlers_may_send_to_close_and_abort_other_connections() {
    let running = Running::new();
    let log = Log::default();
    let ids = Ids::default();
    let (_, mut first) = running.open(Config::default(), Told::new(&log));
    let (_, mut second) = running.open(Config::default(), Told::new(&log));
    let others = ids.clone();
    let handler = Told::new(&log).on_message(move |cx, _, _, data| {
        let others = others.lock().unwrap();
        match data {
            b"send" => others.iter().for_each(|id| _ = cx.send(*id, MessageKind::Text, b"from elsewhere").unwrap()),
            b"close" => cx.close(others[0], Some(CloseCode::GOING_AWAY), "told to").unwrap(),
            _ => cx.abort(others[1]).unwrap(),
        }
    });
    let (_, mut commander) = running.open(Config::default(), handler);
    *ids.lock().unwrap() = running.ask(|cx| cx.connections());
    log.wait_for(3, "open");
    commander.text("send");
    assert_eq!(first.read_text(), "from elsewhere");
    assert_eq!(second.read_text(), "from elsewhere");
    commander.text("close");
    assert_eq!(first.read_close(), 1001);
    commander.text("abort");
    assert!(second.frame().is_none());
    assert_eq!(log.wait("close"), "close 1006 unclean");
    first.send(0x88, &1001u16.to_be_bytes());
    assert_eq!(log.wait("close 1001"), "close 1001 clean");
}

#[test]
fn every_question_has_its_answer_inside_on_close() {
    let running = Running::new();
    let log = Log::default();
    let lines = log.clone();
    let handler = Told::new(&log).on_close(move |cx, id| {
        let engine = cx.engine(id).unwrap();
        lines.add(format!("asked {:?} {}", engine.close_info().unwrap().code, cx.user(id).unwrap()));
        assert!(cx.peer(id).is_some() && cx.transport(id).is_some());
        // Its verbs are over.
        cx.send(id, MessageKind::Text, b"late").unwrap_err();
    });
    let (id, mut peer) = running.open(Config::default(), handler);
    running.ask(move |cx| cx.set_user(id, 77)).unwrap();
    peer.close(1000);
    log.wait("close");
    assert_eq!(log.wait("asked"), "asked CloseCode(1000) 77");
}

#[test]
fn a_connection_may_be_made_inside_a_callback() {
    let running = Running::new();
    let log = Log::default();
    let (socket, mut other) = crate::common::running::pair();
    let (mut socket, lines) = (Some(socket), log.clone());
    let handler = Told::new(&log).on_message(move |cx, _, _, _| {
        let engine = linkspan::protocol::Engine::adopted(
            Arc::default(),
            linkspan::protocol::handshake::Agreed::default(),
            "/",
            None,
            cx.now(),
        );
        let transport = linkspan::transport::Transport::plain(socket.take().unwrap());
        let how = linkspan::net::Adopt::Engine(Box::new(engine));
        cx.adopt_with(transport, how, Vec::new(), Box::new(Told::new(&lines).on_message(echo))).unwrap();
    });
    let (_, mut peer) = running.open(Config::default(), handler);
    peer.text("go");
    other.text("hello");
    assert_eq!(other.read_text(), "hello");
    log.wait_for(2, "open");
}

#[test]
fn a_message_in_parts_ends_though_its_last_part_paused_it() {
    let running = Running::new();
    let log = Log::default();
    let handler = Told::new(&log).on_part(|cx, id, data| {
        if data.ends_with(b".") {
            cx.pause(id).unwrap();
        }
    });
    let config = Config { delivery: Delivery::Parts, ..Config::default() };
    let (id, mut peer) = running.open(config, handler);
    peer.text("all of it.");
    log.wait("part");
    assert_eq!(log.count("end"), 0);
    running.remote.resume(id).unwrap();
    log.wait("end");
}

#[test]
fn what_comes_while_paused_is_told_when_resumed_and_the_end_too() {
    let running = Running::new();
    let log = Log::default();
    let handler = Told::new(&log).on_message(|cx, id, _, data| {
        if data == b"pause" {
            cx.pause(id).unwrap();
        }
    });
    let (id, mut peer) = running.open(Config::default(), handler);
    peer.write(b"\x81\x85\0\0\0\0pause\x81\x83\0\0\0\0one");
    log.wait("text pause");
    peer.text("two");
    peer.send(0x88, &1000u16.to_be_bytes());
    // Whole turns later it still has not been told.
    running.ask(|_| ());
    running.ask(|_| ());
    assert_eq!(log.count("text"), 1);
    running.remote.resume(id).unwrap();
    log.wait("close 1000 clean");
    assert_eq!(log.lines()[2..], ["text one", "text two", "close 1000 clean"]);
}

#[test]
fn a_paused_connection_closes_cleanly() {
    let running = Running::new();
    let log = Log::default();
    let handler = Told::new(&log).on_message(|cx, id, _, _| cx.pause(id).unwrap());
    let (id, mut peer) = running.open(Config::default(), handler);
    peer.text("pause");
    log.wait("text");
    peer.text("unheard");
    running.remote.close(id, Some(CloseCode::NORMAL), "").unwrap();
    assert_eq!(peer.read_close(), 1000);
    peer.send(0x88, &1000u16.to_be_bytes());
    assert_eq!(log.wait("close"), "close 1000 clean");
    assert_eq!(log.count("text"), 1);
}
