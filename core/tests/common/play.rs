//! Plays a `.wire` script on anything that is a WebSocket, however its input is cut. Std only, as the
//! parser: what is played on comes as an [`Endpoint`].

use super::random::Random;
use super::wire::{Case, Command, KEY, Need, Out, Start, Step, Told, frame};

/// One end of a WebSocket, as a script sees it.
pub trait Endpoint {
    /// Bytes from the peer, in one piece.
    fn receive(&mut self, bytes: &[u8]);
    fn end_of_input(&mut self);
    fn lost(&mut self);
    /// Milliseconds pass.
    fn wait(&mut self, milliseconds: u64);
    /// The peer stops reading, or goes on.
    fn stall(&mut self, is_stalled: bool);
    /// The name of the misuse when it is refused: that of the variant, in lower case with hyphens.
    fn command(&mut self, command: &Command) -> Result<(), String>;
    /// Adds what has happened and what has left since the last turn; where `more_is_expected` it may wait
    /// for that a little. False when nothing more will come without another step.
    fn turn(&mut self, told: &mut Vec<Told>, output: &mut Vec<u8>, more_is_expected: bool) -> bool;
    /// `not`, `write` or `both`; where only the stream itself tells, `ended` for the last two.
    fn shutdown(&mut self) -> Option<&'static str>;
    /// The next deadline, from now.
    fn timer(&mut self) -> Option<u64>;
    /// What a question is answered; `None` where it cannot be asked.
    fn ask(&mut self, what: &str) -> Option<String>;
}

/// How input is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// As much at once as there is.
    Whole,
    /// Each line of the script by itself.
    Lines,
    /// Byte by byte.
    Bytes,
    /// By this seed.
    Random(u64),
}

/// How the opening handshake of a script that begins behind it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prelude {
    /// The endpoint is open already.
    Adopted,
    /// By the bytes of one, with the script's first input right behind them.
    Handshake,
}

/// Plays the case; the error tells the line and what was otherwise.
pub fn play(case: &Case, cut: Cut, prelude: Prelude, endpoint: &mut dyn Endpoint) -> Result<(), String> {
    let is_open = case.start == Start::Open;
    let mut player = Player {
        case,
        cut,
        random: Random::new(if let Cut::Random(seed) = cut { seed } else { 0 }),
        endpoint,
        told: Vec::new(),
        raw: Vec::new(),
        output: Vec::new(),
        request_key: None,
        is_in_head: !case.is_server && (!is_open || prelude == Prelude::Handshake),
        is_over: false,
    };
    let is_fed = match prelude {
        _ if !is_open => false,
        Prelude::Adopted => {
            player.expect(0, &[Step::Event(Told::Open)])?;
            false
        }
        Prelude::Handshake => player.shake_hands()?,
    };
    player.run(is_fed)
}

struct Player<'a> {
    case: &'a Case,
    cut: Cut,
    random: Random,
    endpoint: &'a mut dyn Endpoint,
    told: Vec<Told>,
    /// Bytes that are no whole frame yet.
    raw: Vec<u8>,
    /// Bytes, frames of a client with the script's own key.
    output: Vec<u8>,
    request_key: Option<String>,
    /// A client's request is still leaving.
    is_in_head: bool,
    /// The end was told.
    is_over: bool,
}

impl Player<'_> {
    /// All steps; the first input was fed already where `is_fed`.
    fn run(&mut self, mut is_fed: bool) -> Result<(), String> {
        let mut steps = self.case.steps.as_slice();
        while let Some((line, step)) = steps.first() {
            let line = *line;
            let pieces = inputs(steps);
            let actions = pieces.len().max(usize::from(is_action(step)));
            if !pieces.is_empty() {
                if !std::mem::take(&mut is_fed) {
                    self.receive(&pieces);
                }
            } else if actions > 0 {
                self.act(step).map_err(|what| self.at(line, &what))?;
            }
            steps = &steps[actions..];
            let expected = steps.iter().take_while(|(_, step)| matches!(step, Step::Event(_) | Step::Out(_))).count();
            let (expectations, rest) = steps.split_at(expected);
            let expectations: Vec<Step> = expectations.iter().map(|(_, step)| step.clone()).collect();
            self.expect(line, &expectations)?;
            steps = rest;
            while let Some((line, step)) = steps.first()
                && matches!(step, Step::Shutdown(_) | Step::Timer(_) | Step::Ask { .. })
            {
                self.look(step).map_err(|what| self.at(*line, &what))?;
                steps = &steps[1..];
            }
        }
        // Nothing comes after the story.
        self.expect(0, &[])
    }

    fn at(&self, line: usize, what: &str) -> String {
        let place = if line == 0 { String::new() } else { format!(":{line}") };
        let file = self.case.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        format!("{file}{place} {} ({:?}): {what}", self.case.name, self.cut)
    }

    fn receive(&mut self, pieces: &[&[u8]]) {
        let mut all = pieces.concat();
        self.fill_in(&mut all);
        let mut rest = &all[..];
        let mut lines = pieces.iter().map(|piece| piece.len());
        while !rest.is_empty() {
            let n = match self.cut {
                Cut::Whole => rest.len(),
                Cut::Lines => lines.next().unwrap_or(rest.len()).min(rest.len()),
                // Long inputs in steps that end nowhere: their bytes are all the same.
                Cut::Bytes if rest.len() > 4096 => 1021,
                Cut::Bytes => 1,
                Cut::Random(_) => {
                    let most = 2 << self.random.below(18);
                    1 + self.random.below(rest.len().min(most))
                }
            };
            let (piece, after) = rest.split_at(n);
            self.endpoint.receive(piece);
            if !after.is_empty() {
                self.endpoint.turn(&mut self.told, &mut self.raw, false);
            }
            rest = after;
        }
    }

    /// The client's key, and what answers it, for those who cannot know it.
    fn fill_in(&self, bytes: &mut Vec<u8>) {
        let Some(key) = self.request_key.as_ref().filter(|_| bytes.contains(&b'{')) else { return };
        for (name, value) in [("{key}", key.clone()), ("{accept}", super::accept_key(key))] {
            while let Some(at) = find(bytes, name.as_bytes()) {
                bytes.splice(at..at + name.len(), value.bytes());
            }
        }
    }

    fn act(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::End => self.endpoint.end_of_input(),
            Step::Lost => self.endpoint.lost(),
            Step::Wait(milliseconds) => self.endpoint.wait(*milliseconds),
            Step::Stall(is_stalled) => self.endpoint.stall(*is_stalled),
            Step::App { command, misuse } => match (self.endpoint.command(command), misuse) {
                (Ok(()), None) => {}
                (Err(given), Some(expected)) if given == *expected => {}
                // Where names die, the one of an ended connection is not even that of a misuse.
                (Err(given), Some(_)) if given == "gone" && self.is_over => {}
                (answer, _) => return Err(format!("answered {answer:?}")),
            },
            Step::In(_) | Step::Event(_) | Step::Out(_) | Step::Shutdown(_) | Step::Timer(_) | Step::Ask { .. } => {}
        }
        Ok(())
    }

    fn look(&mut self, step: &Step) -> Result<(), String> {
        let (given, expected) = match step {
            Step::Shutdown(expected) => match self.endpoint.shutdown() {
                None => return Ok(()),
                Some("ended") if expected != "not" => return Ok(()),
                Some(given) => (given.to_owned(), expected.clone()),
            },
            Step::Timer(expected) => (format!("{:?}", self.endpoint.timer()), format!("{expected:?}")),
            Step::Ask { what, answer } => match self.endpoint.ask(what) {
                None => return Ok(()),
                Some(given) => (given, answer.clone()),
            },
            Step::In(_)
            | Step::End
            | Step::Lost
            | Step::Wait(_)
            | Step::Stall(_)
            | Step::App { .. }
            | Step::Event(_)
            | Step::Out(_) => return Ok(()),
        };
        if given == expected { Ok(()) } else { Err(format!("it is {given:?}")) }
    }

    /// Takes turns until all of this has come, and nothing else.
    fn expect(&mut self, line: usize, expected: &[Step]) -> Result<(), String> {
        let mut is_missing = false;
        loop {
            let goes_on = self.endpoint.turn(&mut self.told, &mut self.raw, is_missing);
            is_missing = true;
            self.normalise();
            let verdict = self.compare(expected);
            if verdict.is_ok() {
                self.is_over |= self.told.iter().any(|told| matches!(told, Told::Closed { .. }));
                self.told.clear();
                self.output.clear();
                return Ok(());
            }
            if !goes_on {
                return verdict.map_err(|what| self.at(line, &what));
            }
        }
    }

    fn compare(&self, expected: &[Step]) -> Result<(), String> {
        let told: Vec<Told> = coalesced(&self.told).into_iter().map(without_sentence).collect();
        let expected_told: Vec<&Told> =
            expected.iter().filter_map(|step| if let Step::Event(told) = step { Some(told) } else { None }).collect();
        if told.iter().collect::<Vec<_>>() != expected_told {
            return Err(format!("told {} instead of {}", brief(&told), brief(&expected_told)));
        }
        if !self.raw.is_empty() {
            return Err(format!("half a frame leaves: {}", shown(&self.raw)));
        }
        let mut rest = &self.output[..];
        for step in expected {
            if let Step::Out(out) = step {
                rest = self.matched(out, rest)?;
            }
        }
        if rest.is_empty() { Ok(()) } else { Err(format!("more leaves: {}", shown(rest))) }
    }

    /// What follows after `out` at the front of `output`.
    fn matched<'b>(&self, out: &Out, output: &'b [u8]) -> Result<&'b [u8], String> {
        let instead = || format!("{} leaves instead of {}", shown(output), brief(out));
        match out {
            Out::Bytes(bytes) => {
                let mut bytes = bytes.clone();
                self.fill_in(&mut bytes);
                output
                    .strip_prefix(&bytes[..])
                    .ok_or_else(|| format!("{} leaves instead of {}", shown(output), shown(&bytes)))
            }
            Out::Fault(code) => {
                let (length, payload) = whole_frame(output).filter(|_| output[0] == 0x88).ok_or_else(instead)?;
                let (given, sentence) = payload.split_at_checked(2).ok_or_else(instead)?;
                let sentence = str::from_utf8(sentence).map_err(|_| instead())?;
                let told = coalesced(&self.told);
                let told =
                    told.iter().find_map(|t| if let Told::Closed { reason, .. } = t { Some(reason) } else { None });
                let is_good = given == code.to_be_bytes() && !sentence.is_empty();
                // It may leave before the end is told.
                if is_good && told.is_none_or(|told| told == sentence) { Ok(&output[length..]) } else { Err(instead()) }
            }
            Out::Http { status, field } => {
                let (head, body) = find(output, b"\r\n\r\n").map(|at| output.split_at(at + 4)).ok_or_else(instead)?;
                let head = str::from_utf8(head).map_err(|_| instead())?;
                let has = |line: &str| head.lines().any(|given| given.eq_ignore_ascii_case(line));
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                let length: usize = length.unwrap_or("0").parse().map_err(|_| instead())?;
                let is_good = head.starts_with(&format!("HTTP/1.1 {status} "))
                    && head.lines().any(|line| line.starts_with("Connection: close"))
                    && field.as_ref().is_none_or(|field| has(field))
                    && body.len() >= length;
                if is_good { Ok(&body[length..]) } else { Err(instead()) }
            }
        }
    }

    /// Whole frames go from `raw` to `output`; a client's get the script's key.
    fn normalise(&mut self) {
        if self.is_in_head {
            let Some(at) = find(&self.raw, b"\r\n\r\n") else { return };
            self.is_in_head = false;
            self.output.extend(self.raw.drain(..at + 4));
            let head = String::from_utf8_lossy(&self.output).into_owned();
            self.request_key =
                head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).map(str::to_owned);
        }
        if self.case.is_server {
            self.output.append(&mut self.raw);
            return;
        }
        while let Some((length, payload)) = whole_frame(&self.raw) {
            if self.raw[1] & 0x80 == 0 {
                self.output.extend_from_slice(&self.raw[..length]);
            } else {
                self.output.extend(frame(self.raw[0], Some(KEY), &payload));
            }
            self.raw.drain(..length);
        }
    }

    /// The opening handshake that the script does not tell of. Its first input comes right behind the
    /// peer's head, if it begins with one.
    fn shake_hands(&mut self) -> Result<bool, String> {
        let behind: Vec<u8> = inputs(&self.case.steps).concat();
        let fields = [
            ("Sec-WebSocket-Protocol", self.case.subprotocol.as_deref()),
            ("Sec-WebSocket-Extensions", self.case.extensions.as_deref()),
        ];
        let fields = fields.iter().filter_map(|(name, value)| Some(format!("{name}: {}\r\n", (*value)?)));
        let fields: String =
            ["Upgrade: websocket\r\nConnection: Upgrade\r\n".to_owned()].into_iter().chain(fields).collect();
        let head = if self.case.is_server {
            let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
            format!("GET / HTTP/1.1\r\nHost: a.example\r\n{fields}{key}\r\n")
        } else {
            self.expect_some(|player| player.request_key.is_some(), "no request leaves")?;
            self.output.clear();
            format!("HTTP/1.1 101 Switching Protocols\r\n{fields}Sec-WebSocket-Accept: {{accept}}\r\n\r\n")
        };
        self.receive(&[head.as_bytes(), &behind]);
        if self.case.is_server {
            self.expect_some(|player| matches!(player.told[..], [Told::Request { .. }]), "no request is told")?;
            self.told.clear();
            let accept = Command::Accept { subprotocol: None, header: None, without_deflate: false };
            self.endpoint.command(&accept).map_err(|misuse| self.at(0, &misuse))?;
            self.expect_some(|player| find(&player.output, b"\r\n\r\n").is_some(), "no answer leaves")?;
            let end = find(&self.output, b"\r\n\r\n").map_or(0, |at| at + 4);
            self.output.drain(..end);
        }
        self.expect_some(|player| player.told.first() == Some(&Told::Open), "it does not open")?;
        self.told.remove(0);
        Ok(!behind.is_empty())
    }

    fn expect_some(&mut self, is_there: impl Fn(&Player<'_>) -> bool, what: &str) -> Result<(), String> {
        loop {
            let goes_on = self.endpoint.turn(&mut self.told, &mut self.raw, true);
            self.normalise();
            if is_there(self) {
                return Ok(());
            }
            if !goes_on {
                return Err(self.at(0, what));
            }
        }
    }
}

/// The inputs in front.
fn inputs(steps: &[(usize, Step)]) -> Vec<&[u8]> {
    steps.iter().map_while(|(_, step)| if let Step::In(bytes) = step { Some(&bytes[..]) } else { None }).collect()
}

fn is_action(step: &Step) -> bool {
    match step {
        Step::In(_) | Step::End | Step::Lost | Step::Wait(_) | Step::Stall(_) | Step::App { .. } => true,
        Step::Event(_) | Step::Out(_) | Step::Shutdown(_) | Step::Timer(_) | Step::Ask { .. } => false,
    }
}

/// A fault's sentence is its own; scripts name its rule.
fn without_sentence(mut told: Told) -> Told {
    if let Told::Closed { rule: Some(_), reason, .. } = &mut told {
        reason.clear();
    }
    told
}

/// Parts that follow each other as one.
fn coalesced(told: &[Told]) -> Vec<Told> {
    let mut all: Vec<Told> = Vec::new();
    for one in told {
        match (all.last_mut(), one) {
            (Some(Told::Part(before)), Told::Part(more)) => before.extend_from_slice(more),
            _ => all.push(one.clone()),
        }
    }
    all
}

/// The frame at the front: its length, and its payload without the mask.
fn whole_frame(bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
    let second = *bytes.get(1)?;
    let (length, mut size) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize, 10),
        short => (usize::from(short), 2),
    };
    let mut key = [0; 4];
    if second & 0x80 != 0 {
        key = bytes.get(size..size + 4)?.try_into().ok()?;
        size += 4;
    }
    let payload = bytes.get(size..size + length)?;
    Some((size + length, payload.iter().enumerate().map(|(index, byte)| byte ^ key[index % 4]).collect()))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(160)];
    let hex: String = cut.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} bytes {hex} {:?}", bytes.len(), String::from_utf8_lossy(cut))
}

fn brief(what: &impl std::fmt::Debug) -> String {
    let text = format!("{what:?}");
    if text.len() > 600 { format!("{}…", text.chars().take(600).collect::<String>()) } else { text }
}

/// Whether a script needs what an endpoint of this kind cannot give.
pub fn lacks(case: &Case, can: &[Need]) -> bool {
    case.needs().iter().any(|need| !can.contains(need))
}
