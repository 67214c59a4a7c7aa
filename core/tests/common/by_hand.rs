//! The engine, driven by hand: the law of `Engine` and nothing else.

use std::io::IoSlice;

use linkspan::protocol::handshake::Uri;
use linkspan::protocol::{Engine, Event, Input, MAX_SLICES, MessageKind, Payload, Pool, Shutdown, Time};

use super::play::{Cut, Endpoint, Prelude};
use super::random::Random;
use super::settings;
use super::wire::{Case, Command, Need, Told};

/// An engine, the bytes that it has not eaten, and a clock.
pub struct ByHand {
    pub engine: Engine,
    pub now: Time,
    unread: Vec<u8>,
    pool: Pool,
    is_stalled: bool,
    /// Cuts what leaves, too; and reads into the engine's own room where it offers any.
    random: Option<Random>,
    is_closed: bool,
}

/// An engine can do all that a script asks.
pub fn can() -> Vec<Need> {
    let mut can = vec![Need::Clock, Need::Loss, Need::Stall, Need::Handshake, Need::Close, Need::Pause];
    if cfg!(feature = "deflate") {
        can.push(Need::Deflate);
    }
    can
}

/// Turns of one step; above it the engine goes round in circles.
const MAX_TURNS: usize = 2_000_000;

impl ByHand {
    pub fn new(case: &Case, cut: Cut, prelude: Prelude) -> ByHand {
        let now = Time::from_millis(1000);
        let random = if let Cut::Random(seed) = cut { Some(Random::new(seed)) } else { None };
        ByHand::of(settings::engine(case, prelude, now), now, random)
    }

    pub fn of(engine: Engine, now: Time, random: Option<Random>) -> ByHand {
        ByHand { engine, now, unread: Vec::new(), pool: Pool::new(), is_stalled: false, random, is_closed: false }
    }

    /// Law 2: `next_event` until `None`. Each call eats, tells, or is the last.
    fn hear(&mut self, told: &mut Vec<Told>) {
        let mut bytes = std::mem::take(&mut self.unread);
        let mut input = Input::pooled(&mut bytes, &mut self.pool);
        let mut turns = 0;
        while let Some(event) = self.engine.next_event(self.now, &mut input) {
            assert!(!self.is_closed, "something is told after the end: {event:?}");
            turns += 1;
            assert!(turns < MAX_TURNS, "the engine goes round in circles");
            self.is_closed = matches!(event, Event::Closed(_));
            let payload;
            let one;
            (one, payload) = tell(event, &self.engine);
            told.push(one);
            if let Some(payload) = payload {
                input.recycle(payload);
            }
        }
        let rest = input.rest().to_vec();
        assert!(rest.is_empty() || self.engine.is_blocked(), "{} bytes are not eaten", rest.len());
        self.unread = rest;
    }

    /// Law 3: what waits leaves, as much as the peer takes.
    fn leave(&mut self, output: &mut Vec<u8>) -> bool {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let filled = self.engine.outgoing(&mut slices);
        let mut bytes: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.iter().copied()).collect();
        assert_eq!(bytes.is_empty(), self.engine.outbox().is_empty());
        if self.is_stalled {
            self.engine.stalled(self.now);
        }
        if bytes.is_empty() || self.is_stalled {
            return false;
        }
        if let Some(random) = &mut self.random {
            bytes.truncate(1 + random.below(bytes.len()));
        }
        output.extend_from_slice(&bytes);
        self.engine.sent(bytes.len());
        true
    }
}

impl Endpoint for ByHand {
    fn receive(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if let Some(random) = &mut self.random
            && self.unread.is_empty()
            && let Some(room) = self.engine.room()
        {
            let n = room.len().min(rest.len()).min(1 + random.below(1 << 16));
            room[..n].copy_from_slice(&rest[..n]);
            self.engine.filled(self.now, n);
            rest = &rest[n..];
        }
        self.unread.extend_from_slice(rest);
    }

    fn end_of_input(&mut self) {
        self.engine.end_of_input(self.now);
    }

    fn lost(&mut self) {
        self.engine.lost(self.now);
    }

    fn wait(&mut self, milliseconds: u64) {
        self.now = self.now.after(milliseconds);
        if self.engine.next_timeout().is_some_and(|at| at <= self.now) {
            self.engine.handle_timeout(self.now);
        } else {
            // Too early a call does nothing.
            let before = format!("{:?} {:?}", self.engine.phase(), self.engine.next_timeout());
            self.engine.handle_timeout(self.now);
            assert_eq!(format!("{:?} {:?}", self.engine.phase(), self.engine.next_timeout()), before);
        }
    }

    fn stall(&mut self, is_stalled: bool) {
        self.is_stalled = is_stalled;
    }

    fn command(&mut self, command: &Command) -> Result<(), String> {
        let state = |engine: &Engine| (engine.phase(), engine.outbox().len(), engine.next_timeout());
        let before = state(&self.engine);
        settings::command(&mut self.engine, self.now, command).map_err(|misuse| {
            assert_eq!(state(&self.engine), before, "a misuse has changed something");
            settings::name(&misuse)
        })
    }

    fn turn(&mut self, told: &mut Vec<Told>, output: &mut Vec<u8>, _: bool) -> bool {
        self.hear(told);
        while self.leave(output) {
            self.hear(told);
        }
        false
    }

    fn shutdown(&mut self) -> Option<&'static str> {
        Some(match self.engine.shutdown() {
            Shutdown::Not => "not",
            Shutdown::Write => "write",
            Shutdown::Both => "both",
        })
    }

    fn timer(&mut self) -> Option<u64> {
        let at = self.engine.next_timeout()?;
        assert!(at >= self.now, "a deadline was missed");
        Some(at.since(self.now).as_millis() as u64)
    }

    fn ask(&mut self, what: &str) -> Option<String> {
        match what {
            "unread" => Some(self.unread.len().to_string()),
            _ => ask(&self.engine, what),
        }
    }
}

/// An event as a script tells it, and the payload when it may be given back.
pub fn tell<'b>(event: Event<'b>, engine: &Engine) -> (Told, Option<Payload<'b>>) {
    match event {
        Event::Request(request) => {
            let is_upgrade = request.is_upgrade();
            (Told::Request { method: request.method, target: request.target, is_upgrade }, None)
        }
        Event::Open => (Told::Open, None),
        Event::Message(message) => {
            let is_text = message.kind == MessageKind::Text;
            (Told::Message { is_text, data: message.data.to_vec() }, Some(message.data))
        }
        Event::MessageBegin(kind) => (Told::Begin { is_text: kind == MessageKind::Text }, None),
        Event::MessagePart(data) => {
            assert!(!data.is_empty(), "a part is empty");
            (Told::Part(data.to_vec()), Some(data))
        }
        Event::MessageEnd => (Told::End, None),
        Event::Ping(data) => (Told::Ping(data.to_vec()), None),
        Event::Pong(data) => (Told::Pong(data.to_vec()), None),
        Event::CloseRequested => {
            let info = engine.close_info().expect("a close that is asked for is known");
            (Told::CloseRequested { code: info.code.as_u16(), reason: info.reason.clone() }, None)
        }
        Event::Closed(info) => {
            assert_eq!(engine.close_info(), Some(&*info));
            (settings::closed(&info), None)
        }
    }
}

/// What an engine answers.
pub fn ask(engine: &Engine, what: &str) -> Option<String> {
    Some(match what {
        "subprotocol" => engine.subprotocol().unwrap_or("none").to_owned(),
        "extensions" if engine.extensions().is_empty() => "none".to_owned(),
        "extensions" => engine.extensions(),
        "url" => engine.url().to_owned(),
        "phase" => format!("{:?}", engine.phase()),
        "buffered" => engine.buffered_amount().to_string(),
        "status" => engine.response()?.status.to_string(),
        "body" => String::from_utf8_lossy(&engine.response()?.body).into_owned(),
        _ => panic!("ask {what}: there is no such question"),
    })
}

/// For tests that want an open engine of their own.
pub fn client_uri() -> Uri {
    Uri::parse("ws://a.example/").unwrap()
}
