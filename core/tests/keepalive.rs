//! Silence, probes and signs of life, by a clock of our own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use linkspan::protocol::handshake::Agreed;
use linkspan::protocol::{Config, Engine, Event, Fault, Input, Phase, Time};

const fn at(milliseconds: u64) -> Time {
    Time::from_millis(milliseconds)
}

/// A server whose ping of moment 100 is on its way.
fn probing() -> Engine {
    let config = Config { ping_interval: 100, pong_timeout: 50, ..Config::default() };
    let mut engine = Engine::adopted(Arc::new(config), Agreed::default(), "/", None, at(0));
    assert!(matches!(engine.next_event(at(0), &mut Input::new(&mut [])), Some(Event::Open)));
    assert_eq!(engine.next_timeout(), Some(at(100)));
    engine.handle_timeout(at(100));
    assert_eq!(engine.outbox().front(), [0x89, 0]);
    engine.sent(2);
    assert_eq!(engine.next_timeout(), Some(at(150)));
    engine
}

/// Reads a masked pong.
fn pong(engine: &mut Engine, now: Time) {
    let mut bytes = [0x8A, 0x80, 1, 2, 3, 4];
    assert!(matches!(engine.next_event(now, &mut Input::new(&mut bytes)), Some(Event::Pong(_))));
}

#[test]
fn a_pong_in_the_very_millisecond_of_its_ping_is_a_sign_of_life() {
    let mut engine = probing();
    pong(&mut engine, at(100));
    engine.handle_timeout(at(150));
    assert_eq!(engine.phase(), Phase::Open);
    assert_eq!(engine.next_timeout(), Some(at(200)));
}

#[test]
fn a_pong_is_a_sign_of_life_though_the_driver_looks_at_the_clock_late() {
    let mut engine = probing();
    pong(&mut engine, at(120));
    engine.handle_timeout(at(190));
    assert_eq!(engine.phase(), Phase::Open);
    assert_eq!(engine.next_timeout(), Some(at(220)));
}

#[test]
fn no_pong_is_the_end() {
    let mut engine = probing();
    engine.handle_timeout(at(149));
    assert_eq!(engine.phase(), Phase::Open);
    engine.handle_timeout(at(150));
    let Some(Event::Closed(info)) = engine.next_event(at(150), &mut Input::new(&mut [])) else { panic!("no end") };
    assert_eq!(info.fault, Some(Fault::PongTimeout));
}

#[test]
fn pings_keep_their_interval_though_a_pong_may_take_longer() {
    let config = Config { ping_interval: 100, pong_timeout: 1000, ..Config::default() };
    let mut engine = Engine::adopted(Arc::new(config), Agreed::default(), "/", None, at(0));
    assert!(matches!(engine.next_event(at(0), &mut Input::new(&mut [])), Some(Event::Open)));
    for round in 0..3 {
        let sent = 100 + 120 * round;
        assert_eq!(engine.next_timeout(), Some(at(sent)));
        engine.handle_timeout(at(sent));
        assert_eq!(engine.outbox().front(), [0x89, 0]);
        engine.sent(2);
        assert_eq!((engine.next_timeout(), engine.pinged_at()), (Some(at(sent + 100)), Some(at(sent))));
        pong(&mut engine, at(sent + 20));
        engine.handle_timeout(at(sent + 100));
    }
    // And the pong has all of its time.
    engine.handle_timeout(at(460));
    engine.sent(2);
    engine.handle_timeout(at(560));
    assert_eq!(engine.next_timeout(), Some(at(1460)));
    engine.handle_timeout(at(1459));
    assert_eq!(engine.phase(), Phase::Open);
    engine.handle_timeout(at(1460));
    assert!(engine.is_ending());
}

#[test]
fn the_pong_says_how_long_the_ping_was_on_its_way() {
    let mut engine = probing();
    assert_eq!(engine.pinged_at(), Some(at(100)));
    // A message is a sign of life, and no answer.
    let mut message = [0x82, 0x80, 1, 2, 3, 4];
    assert!(matches!(engine.next_event(at(105), &mut Input::new(&mut message)), Some(Event::Message(_))));
    pong(&mut engine, at(120));
    assert_eq!(engine.take_round_trip(at(120)), Some(Duration::from_millis(20)));
    assert_eq!(engine.take_round_trip(at(120)), None);
    assert_eq!(engine.pinged_at(), None);
}

#[test]
fn a_pong_later_than_the_next_look_is_not_measured() {
    let mut engine = probing();
    let mut message = [0x82, 0x80, 1, 2, 3, 4];
    assert!(matches!(engine.next_event(at(105), &mut Input::new(&mut message)), Some(Event::Message(_))));
    engine.handle_timeout(at(150));
    pong(&mut engine, at(160));
    assert_eq!(engine.take_round_trip(at(160)), None);
}

#[test]
fn a_ping_that_no_pong_is_awaited_for_is_measured_too() {
    let config = Config { ping_interval: 100, pong_timeout: 0, ..Config::default() };
    let mut engine = Engine::adopted(Arc::new(config), Agreed::default(), "/", None, at(0));
    assert!(matches!(engine.next_event(at(0), &mut Input::new(&mut [])), Some(Event::Open)));
    assert_eq!(engine.pinged_at(), None);
    engine.handle_timeout(at(100));
    assert_eq!(engine.pinged_at(), Some(at(100)));
    pong(&mut engine, at(130));
    assert_eq!(engine.take_round_trip(at(130)), Some(Duration::from_millis(30)));
}

#[test]
fn whether_it_ever_was_open_is_known_after_its_end() {
    let mut engine = probing();
    engine.abort(at(110));
    assert!(engine.was_open());
    engine.lost(at(111));
    assert!(matches!(engine.next_event(at(112), &mut Input::new(&mut [])), Some(Event::Closed(_))));
    assert_eq!((engine.phase(), engine.was_open()), (Phase::Closed, true));

    let mut refused = Engine::server(Arc::new(Config::default()), at(0));
    assert!(refused.next_event(at(0), &mut Input::new(&mut b"nonsense\r\n\r\n".to_vec())).is_none());
    assert_eq!((refused.phase(), refused.was_open()), (Phase::Failing, false));
    refused.lost(at(1));
    assert!(!refused.was_open());
}
