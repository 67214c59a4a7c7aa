//! Two engines, a client and a server, joined by pipes in memory that cut and delay as they like; and a
//! clock that runs when nothing else does. Whatever happens on the way, each end tells its end once, and
//! what it is told is what the other has sent.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::VecDeque;
use std::sync::Arc;

use common::by_hand::{self, ByHand};
use common::play::Endpoint;
use common::random::Random;
use common::wire::{Command, Told};
use linkspan::protocol::{CloseReply, Config, DeflateConfig, Delivery, Engine, Keys, PongPolicy, Time};

/// What one end does in its life, in order.
#[derive(Clone, Debug)]
enum Deed {
    Send { is_text: bool, data: Vec<u8> },
    Fragments { is_text: bool, pieces: Vec<Vec<u8>> },
    Ping(Vec<u8>),
    Pause,
    Close { code: Option<u16>, reason: String },
    Abort,
}

/// How the link between the two breaks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Break {
    Never,
    /// After so many bytes of the client's: both ends see it at once.
    AtClientByte(usize),
    /// After so many bytes of the server's: both ends see it at once.
    AtServerByte(usize),
    /// After so many bytes of the client's: its half of the stream ends, and its other half takes nothing.
    ClientDiesAt(usize),
}

/// One end, and the pipe that leads away from it.
struct End {
    engine: ByHand,
    deeds: VecDeque<Deed>,
    /// Bytes on their way to the other end.
    pipe: Vec<u8>,
    /// Bytes that have arrived at the other end.
    arrived: usize,
    /// Its half of the stream ends behind the pipe.
    has_ended: bool,
    /// The other end was told so.
    end_is_told: bool,
    /// It neither reads nor writes any more.
    is_gone: bool,
    wants_answer: bool,
    wants_close: bool,
    is_open: bool,
    has_closed: bool,
    /// Messages that were accepted for sending, and those that this end was told of.
    sent: Vec<(bool, Vec<u8>)>,
    heard: Vec<(bool, Vec<u8>)>,
    /// Fragments that are no message yet.
    unfinished: Vec<u8>,
    part: Option<(bool, Vec<u8>)>,
    pings: usize,
    pongs: usize,
    close: Option<Told>,
}

impl End {
    fn new(engine: Engine, deeds: Vec<Deed>, random: &mut Random) -> End {
        End {
            engine: ByHand::of(engine, START, Some(Random::new(random.next()))),
            deeds: deeds.into(),
            pipe: Vec::new(),
            arrived: 0,
            has_ended: false,
            end_is_told: false,
            is_gone: false,
            wants_answer: false,
            wants_close: false,
            is_open: false,
            has_closed: false,
            sent: Vec::new(),
            heard: Vec::new(),
            unfinished: Vec::new(),
            part: None,
            pings: 0,
            pongs: 0,
            close: None,
        }
    }

    /// The law: events until there are none, then bytes, then the stream.
    fn settle(&mut self) {
        if self.is_gone {
            return;
        }
        // A pipe that is full takes nothing.
        self.engine.stall(self.pipe.len() > PIPE);
        let mut told = Vec::new();
        self.engine.turn(&mut told, &mut self.pipe, false);
        for one in told {
            self.hear(one);
        }
        match self.engine.shutdown() {
            Some("write") => self.has_ended = true,
            Some("both") => {
                self.has_ended = true;
                self.is_gone = true;
            }
            _ => {}
        }
    }

    fn hear(&mut self, told: Told) {
        assert!(self.close.is_none(), "{told:?} is told after the end");
        match told {
            Told::Request { .. } => self.wants_answer = true,
            Told::Open => assert!(!std::mem::replace(&mut self.is_open, true)),
            Told::Message { is_text, data } => self.hear_message(is_text, data),
            Told::Begin { is_text } => assert!(self.part.replace((is_text, Vec::new())).is_none()),
            Told::Part(data) => self.part.as_mut().unwrap().1.extend(data),
            Told::End => {
                let (is_text, data) = self.part.take().unwrap();
                self.hear_message(is_text, data);
            }
            Told::Ping(_) => self.pings += 1,
            Told::Pong(_) => self.pongs += 1,
            Told::CloseRequested { .. } => self.wants_close = true,
            Told::Closed { .. } => self.close = Some(told),
        }
    }

    fn hear_message(&mut self, is_text: bool, data: Vec<u8>) {
        assert!(self.is_open && !self.has_closed, "a message is told out of its time");
        assert!(!is_text || str::from_utf8(&data).is_ok());
        self.heard.push((is_text, data));
    }

    /// The application's next deed; true when there was something to do.
    fn act(&mut self) -> bool {
        if self.is_gone || self.close.is_some() {
            return false;
        }
        if std::mem::take(&mut self.wants_answer) {
            self.command(Command::Accept { subprotocol: None, header: None, without_deflate: false });
            return true;
        }
        if std::mem::take(&mut self.wants_close) {
            self.command(Command::Close { code: Some(3000), reason: "answered".to_owned() });
            self.has_closed = true;
            return true;
        }
        if self.engine.engine.is_blocked() && self.is_open {
            self.command(Command::Resume);
            return true;
        }
        if !self.is_open {
            return false;
        }
        let Some(deed) = self.deeds.pop_front() else { return false };
        match deed {
            Deed::Send { is_text, data } => {
                if self.command(Command::Send { is_text, data: data.clone() }) {
                    self.sent.push((is_text, data));
                }
            }
            Deed::Fragments { is_text, mut pieces } => {
                let piece = pieces.remove(0);
                let (fin, data) = (pieces.is_empty(), piece.clone());
                if self.command(Command::Fragment { is_text, fin, data }) {
                    self.unfinished.extend(piece);
                    match fin {
                        true => self.sent.push((is_text, std::mem::take(&mut self.unfinished))),
                        false => self.deeds.push_front(Deed::Fragments { is_text, pieces }),
                    }
                }
            }
            Deed::Ping(data) => drop(self.command(Command::Ping(data))),
            Deed::Pause => drop(self.command(Command::Pause)),
            Deed::Close { code, reason } => self.has_closed |= self.command(Command::Close { code, reason }),
            Deed::Abort => drop(self.command(Command::Abort)),
        }
        true
    }

    /// Whether it was accepted. Refused is only what comes too late.
    fn command(&mut self, command: Command) -> bool {
        match self.engine.command(&command) {
            Ok(()) => true,
            Err(misuse) if misuse == "closed" => false,
            Err(misuse) => panic!("{command:?}: {misuse}"),
        }
    }
}

struct Pair {
    client: End,
    server: End,
    link: Break,
    random: Random,
}

/// Bytes that a pipe takes before it counts as full.
const PIPE: usize = 100_000;
const START: Time = Time::from_millis(77);
/// Steps that no conversation needs.
const MAX_STEPS: usize = 200_000;

impl Pair {
    /// Goes on until both ends have gone.
    fn run(&mut self) {
        self.client.settle();
        self.server.settle();
        for _ in 0..MAX_STEPS {
            if self.client.is_gone && self.server.is_gone {
                return self.judge();
            }
            let has_moved = match self.random.below(4) {
                0 => self.carry(true),
                1 => self.carry(false),
                2 => self.client.act(),
                _ => self.server.act(),
            };
            self.client.settle();
            self.server.settle();
            self.break_link();
            if !has_moved && self.is_still() {
                self.pass_time();
            }
        }
        panic!("it does not come to an end: {:?} {:?}", self.client.engine.engine, self.server.engine.engine);
    }

    fn ends(&mut self, from_client: bool) -> (&mut End, &mut End) {
        match from_client {
            true => (&mut self.client, &mut self.server),
            false => (&mut self.server, &mut self.client),
        }
    }

    /// Some bytes arrive, or the end behind them does.
    fn carry(&mut self, from_client: bool) -> bool {
        let most = match self.link {
            Break::AtClientByte(at) | Break::ClientDiesAt(at) if from_client => at - self.client.arrived,
            Break::AtServerByte(at) if !from_client => at - self.server.arrived,
            _ => usize::MAX,
        };
        let bits = self.random.below(17);
        let cut = 1 + self.random.below(2 << bits);
        let (from, to) = self.ends(from_client);
        let n = from.pipe.len().min(cut).min(most);
        let bytes: Vec<u8> = from.pipe.drain(..n).collect();
        from.arrived += n;
        if n > 0 {
            if !to.is_gone {
                to.engine.receive(&bytes);
            }
            return true;
        }
        let is_over = from.has_ended && from.pipe.is_empty() && most > 0;
        // Who has paused looks at the stream no earlier than it reads again.
        if is_over && !to.engine.engine.is_blocked() && !std::mem::replace(&mut from.end_is_told, true) {
            if !to.is_gone {
                to.engine.end_of_input();
            }
            return true;
        }
        false
    }

    fn break_link(&mut self) {
        match self.link {
            Break::AtClientByte(at) if at == self.client.arrived => {}
            Break::AtServerByte(at) if at == self.server.arrived => {}
            Break::ClientDiesAt(at) if at == self.client.arrived => {
                self.client.engine.lost();
                self.client.settle();
                self.client.pipe.clear();
                self.client.has_ended = true;
                self.link = Break::Never;
                // Nobody reads what comes now; it is carried off all the same.
                return self.server.settle();
            }
            _ => return,
        }
        self.link = Break::Never;
        for end in [&mut self.client, &mut self.server] {
            end.engine.lost();
            end.pipe.clear();
            end.end_is_told = true;
            end.settle();
            end.pipe.clear();
        }
    }

    /// Nothing is on its way, and nobody has anything to do.
    fn is_still(&self) -> bool {
        let is_still = |end: &End, other: &End| {
            let has_deeds = end.is_open && end.close.is_none() && !end.is_gone;
            end.pipe.is_empty()
                && !(end.has_ended && !end.end_is_told && !other.engine.engine.is_blocked())
                && !(has_deeds && (!end.deeds.is_empty() || end.wants_close || end.engine.engine.is_blocked()))
                && !end.wants_answer
        };
        is_still(&self.client, &self.server) && is_still(&self.server, &self.client)
    }

    fn pass_time(&mut self) {
        let waits = [&mut self.client, &mut self.server].map(|end| if end.is_gone { None } else { end.engine.timer() });
        let Some(wait) = waits.into_iter().flatten().min() else { return };
        for end in [&mut self.client, &mut self.server] {
            if !end.is_gone {
                end.engine.wait(wait);
                end.settle();
            }
        }
    }

    fn judge(&self) {
        for (end, other) in [(&self.client, &self.server), (&self.server, &self.client)] {
            let Some(Told::Closed { code, is_clean, by_us, unsent, rule, .. }) = &end.close else {
                panic!("an end was never told");
            };
            assert!(end.heard.len() <= other.sent.len(), "more is heard than was sent");
            for (heard, sent) in end.heard.iter().zip(&other.sent) {
                assert!(heard == sent, "something else is heard than was sent");
            }
            // Neither of the two breaks a rule.
            assert!(
                matches!(rule.as_deref(), None | Some("close-timeout" | "answer-invalid" | "handshake-timeout")),
                "{rule:?}"
            );
            if *is_clean {
                assert_eq!(*unsent, 0, "a clean close has lost something");
                assert!(*code != 1006);
            }
            // Whoever closes cleanly, and alone, is heard to the last message.
            if *is_clean && *by_us && !other.has_closed_first() {
                assert_eq!(end.sent, other.heard, "what was accepted before a clean close is lost");
            }
        }
    }
}

impl End {
    /// It has closed of itself, not in answer.
    fn has_closed_first(&self) -> bool {
        matches!(&self.close, Some(Told::Closed { by_us: true, .. })) || self.has_closed
    }
}

const WORDS: &str = "the quick brown fox jumps over the lazy dog — 敏捷的棕色狐狸 🦊 ";

fn some_text(random: &mut Random, most: usize) -> Vec<u8> {
    let length = random.below(most);
    WORDS.chars().cycle().skip(random.below(60)).take(length).collect::<String>().into_bytes()
}

fn some_message(random: &mut Random) -> (bool, Vec<u8>) {
    let most = [1, 20, 200, 3000, 70_000][if random.one_in(30) { 4 } else { random.below(4) }];
    match random.one_in(2) {
        true => (true, some_text(random, most)),
        false => {
            let length = random.below(most);
            (false, random.bytes(length))
        }
    }
}

/// What an end does: up to `most` things, and then, if it is to, it closes.
fn some_deeds(random: &mut Random, most: usize, closes: bool) -> Vec<Deed> {
    let mut deeds = Vec::new();
    for _ in 0..random.below(most + 1) {
        deeds.push(match random.below(8) {
            0 | 1 => {
                let (is_text, data) = some_message(random);
                let mut pieces: Vec<Vec<u8>> = Vec::new();
                let mut rest = &data[..];
                while !rest.is_empty() && pieces.len() < 6 {
                    let n = random.below(rest.len() + 1);
                    pieces.push(rest[..n].to_vec());
                    rest = &rest[n..];
                }
                pieces.push(rest.to_vec());
                Deed::Fragments { is_text, pieces }
            }
            2 => {
                let length = random.below(126);
                Deed::Ping(random.bytes(length))
            }
            3 => Deed::Pause,
            _ => {
                let (is_text, data) = some_message(random);
                Deed::Send { is_text, data }
            }
        });
    }
    if closes {
        let code = [None, Some(1000), Some(1001), Some(4999)][random.below(4)];
        let reason = if code.is_some() { "done".repeat(random.below(30)) } else { String::new() };
        deeds.push(if random.one_in(12) { Deed::Abort } else { Deed::Close { code, reason } });
    }
    deeds
}

fn some_config(random: &mut Random) -> Config {
    let mut config = Config::default();
    if random.one_in(3) {
        config.delivery = Delivery::Parts;
    }
    if random.one_in(4) {
        config.close_reply = CloseReply::Application;
    }
    if random.one_in(4) {
        config.pong = PongPolicy::Manual;
    }
    if cfg!(feature = "deflate") && random.one_in(2) {
        config.deflate = Some(some_deflate(random));
    }
    config
}

fn some_deflate(random: &mut Random) -> DeflateConfig {
    DeflateConfig {
        server_no_context_takeover: random.one_in(3),
        client_no_context_takeover: random.one_in(3),
        server_max_window_bits: 8 + random.below(8) as u8,
        client_max_window_bits: 8 + random.below(8) as u8,
        level: 1 + random.below(9) as u8,
        min_bytes: [0, 32, 1000][random.below(3)],
    }
}

fn pair(random: &mut Random, configs: [Config; 2], deeds: [Vec<Deed>; 2], link: Break) -> Pair {
    let [client, server] = configs;
    let [client_deeds, server_deeds] = deeds;
    let keys = Keys::new(random.seed());
    let client = Engine::client(Arc::new(client), &by_hand::client_uri(), &[], keys, START).unwrap();
    let server = Engine::server(Arc::new(server), START);
    Pair {
        client: End::new(client, client_deeds, random),
        server: End::new(server, server_deeds, random),
        link,
        random: Random::new(random.next()),
    }
}

#[test]
fn conversations_of_every_kind_come_to_a_good_end() {
    let (mut heard, mut clean) = (0, 0);
    for seed in 0..400 {
        let random = &mut Random::new(seed);
        let configs = [some_config(random), some_config(random)];
        // One of them closes, or both do.
        let closer = random.below(3);
        let deeds = [some_deeds(random, 12, closer != 0), some_deeds(random, 12, closer != 1)];
        let mut pair = pair(random, configs, deeds, Break::Never);
        pair.run();
        heard += pair.client.heard.len() + pair.server.heard.len();
        clean += usize::from(matches!(pair.client.close, Some(Told::Closed { is_clean: true, .. })));
    }
    assert!(heard > 1000 && clean > 200, "{heard} messages and {clean} clean ends are too few to mean anything");
}

#[test]
fn whoever_closes_is_heard_to_the_last_message() {
    for seed in 1000..1200 {
        let random = &mut Random::new(seed);
        let configs = [some_config(random), some_config(random)];
        let client_closes = random.one_in(2);
        let mut deeds = [some_deeds(random, 8, false), some_deeds(random, 8, false)];
        let close = Deed::Close { code: Some(1000), reason: "bye".to_owned() };
        deeds[usize::from(!client_closes)].push(close);
        let mut pair = pair(random, configs, deeds, Break::Never);
        pair.run();
        let (closer, other) = pair.ends(client_closes);
        assert!(matches!(closer.close, Some(Told::Closed { is_clean: true, by_us: true, .. })), "{:?}", closer.close);
        assert!(matches!(other.close, Some(Told::Closed { code: 1000, is_clean: true, by_us: false, .. })));
        assert_eq!(closer.sent, other.heard);
    }
}

#[cfg(feature = "deflate")]
#[test]
fn every_agreement_on_compression_carries_messages_both_ways() {
    for flags in 0..16 {
        for (server_bits, client_bits) in [(15, 15), (8, 15), (15, 8), (9, 9), (12, 10), (8, 8)] {
            let random = &mut Random::new(flags);
            let deflate = |own: u64| DeflateConfig {
                server_no_context_takeover: flags & own != 0,
                client_no_context_takeover: flags & (own << 1) != 0,
                min_bytes: 0,
                ..DeflateConfig::default()
            };
            let client = Config { deflate: Some(deflate(1)), ..Config::default() };
            let mut server = Config { deflate: Some(deflate(4)), ..Config::default() };
            let wishes = server.deflate.as_mut().unwrap();
            (wishes.server_max_window_bits, wishes.client_max_window_bits) = (server_bits, client_bits);
            // Longer than the smallest windows, and much the same each time.
            let messages = || (0..5).map(|n| Deed::Send { is_text: true, data: WORDS.repeat(n * 20).into_bytes() });
            let mut deeds: [Vec<Deed>; 2] = [messages().collect(), messages().collect()];
            deeds[0].push(Deed::Close { code: None, reason: String::new() });
            let mut pair = pair(random, [client, server], deeds, Break::Never);
            pair.run();
            let extensions = pair.client.engine.engine.extensions();
            assert!(extensions.starts_with("permessage-deflate"), "{extensions}");
            assert_eq!(extensions, pair.server.engine.engine.extensions());
            assert_eq!(pair.server.heard.len(), 5);
        }
    }
}

/// A short conversation, with its link broken in every place there is.
fn broken_everywhere(make: fn(usize) -> Break, of_client: bool) {
    for seed in 0..4 {
        let make_pair = |link| {
            let random = &mut Random::new(seed);
            let configs = [some_config(random), some_config(random)];
            let text = |text: &str| Deed::Send { is_text: true, data: text.as_bytes().to_vec() };
            let close = || Deed::Close { code: Some(1000), reason: "bye".to_owned() };
            let deeds = [
                vec![text("one"), Deed::Ping(b"p".to_vec()), text("two, longer than thirty-two bytes"), close()],
                vec![text("uno"), Deed::Fragments { is_text: false, pieces: vec![vec![1], vec![2, 3]] }, text("tre")],
            ];
            pair(random, configs, deeds, link)
        };
        let mut whole = make_pair(Break::Never);
        whole.run();
        let bytes = if of_client { whole.client.arrived } else { whole.server.arrived };
        assert!(bytes > 130, "{bytes}");
        for at in 0..=bytes {
            make_pair(make(at)).run();
        }
    }
}

#[test]
fn a_link_lost_at_any_byte_of_the_client_is_the_end_of_both() {
    broken_everywhere(Break::AtClientByte, true);
}

#[test]
fn a_link_lost_at_any_byte_of_the_server_is_the_end_of_both() {
    broken_everywhere(Break::AtServerByte, false);
}

#[test]
fn a_client_that_dies_at_any_byte_is_the_end_of_both() {
    broken_everywhere(Break::ClientDiesAt, true);
}
