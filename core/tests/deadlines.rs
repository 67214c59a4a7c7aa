//! Deadlines of an open connection, with a clock of the test's own.

use std::sync::Arc;

use linkspan::protocol::handshake::Agreed;
use linkspan::protocol::{Config, Engine, Event, Fault, Input, MessageKind, Shutdown, Time};

fn open(config: Config) -> Engine {
    let mut engine = Engine::adopted(Arc::new(config), Agreed::default(), "/", None, Time::ZERO);
    assert!(matches!(engine.next_event(Time::ZERO, &mut Input::new(&mut [])), Some(Event::Open)));
    engine
}

/// Calls the engine at its own deadlines until it tells the end.
fn run_to_the_end(engine: &mut Engine) -> (Time, linkspan::protocol::CloseInfo) {
    loop {
        let now = engine.next_timeout().expect("a deadline is set");
        engine.handle_timeout(now);
        if let Some(Event::Closed(info)) = engine.next_event(now, &mut Input::new(&mut [])) {
            return (now, *info);
        }
    }
}

#[test]
fn a_peer_that_reads_nothing_is_given_up_and_what_it_missed_is_counted() {
    let mut engine = open(Config { write_timeout: 1_000, ping_interval: 0, ..Config::default() });
    engine.send(MessageKind::Binary, &[7; 100]).unwrap();
    engine.stalled(Time::from_millis(5));
    engine.sent(40);
    assert_eq!(engine.next_timeout(), None, "some was taken");
    engine.stalled(Time::from_millis(50));
    let (at, info) = run_to_the_end(&mut engine);
    assert_eq!(at, Time::from_millis(1_050));
    assert_eq!(info.fault, Some(Fault::WriteTimeout));
    assert_eq!((info.clean, info.unsent_bytes), (false, 62));
    assert_eq!(engine.shutdown(), Shutdown::Both);
}

#[test]
fn a_paused_connection_is_not_given_up_for_a_pong_that_it_does_not_read() {
    let mut engine = open(Config { ping_interval: 1_000, pong_timeout: 500, ..Config::default() });
    engine.pause();
    for _ in 0..20 {
        let now = engine.next_timeout().expect("keepalive goes on");
        engine.handle_timeout(now);
        assert!(engine.next_event(now, &mut Input::new(&mut [])).is_none());
    }
    engine.resume();
    let (_, info) = run_to_the_end(&mut engine);
    assert_eq!(info.fault, Some(Fault::PongTimeout));
}

#[test]
fn what_a_closing_connection_takes_no_more_is_counted() {
    let mut engine = open(Config { close_timeout: 1_000, ..Config::default() });
    engine.close(Time::ZERO, None, "").unwrap();
    engine.refused(30);
    assert_eq!(engine.close_info(), None, "the peer has not closed yet");
    engine.sent(engine.outbox().len());
    let (at, info) = run_to_the_end(&mut engine);
    assert_eq!((at, info.fault.clone(), info.unsent_bytes), (Time::from_millis(1_000), Some(Fault::CloseTimeout), 30));
}

#[test]
fn a_close_waits_for_a_peer_that_reads_slowly() {
    let at = Time::from_millis;
    let closing = || {
        let mut engine = open(Config { close_timeout: 1_000, ..Config::default() });
        engine.send(MessageKind::Binary, &[7; 100_000]).unwrap();
        engine.close(Time::ZERO, None, "").unwrap();
        engine
    };
    let mut slow = closing();
    for n in 1..=5 {
        slow.sent(20_000);
        assert_eq!(slow.next_timeout(), Some(at(n * 1_000)));
        slow.handle_timeout(at(n * 1_000));
    }
    // The last bytes have left in the meantime: too few to count as messages.
    slow.sent(slow.outbox().len());
    let (end, info) = run_to_the_end(&mut slow);
    assert_eq!((end, info.fault, info.unsent_bytes), (at(6_000), Some(Fault::CloseTimeout), 0));

    // Everything has left just before the deadline: for its answer the peer has as long again, and no longer.
    let mut late = closing();
    late.sent(late.outbox().len());
    late.handle_timeout(at(1_000));
    let (end, info) = run_to_the_end(&mut late);
    assert_eq!((end, info.fault, info.unsent_bytes), (at(2_000), Some(Fault::CloseTimeout), 0));

    let mut dripping = closing();
    dripping.sent(1_000);
    let (end, info) = run_to_the_end(&mut dripping);
    assert_eq!((end, info.fault), (at(1_000), Some(Fault::CloseTimeout)));
    assert!(info.unsent_bytes > 98_000);
}
