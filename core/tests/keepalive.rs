//! Silence, probes and signs of life, by a clock of our own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

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
