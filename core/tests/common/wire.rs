//! `.wire` scripts: what one WebSocket is given, and what it must make of that. The parser; std only, so
//! that the tests of other crates can include it by `#[path]`.
//!
//! A script is plain text, a line a step. The first line of a file names the rule and its section, or the
//! bug that it keeps away. White space in front of a line counts for nothing, and so does a line that
//! begins with `#`.
//!
//! ```text
//! case server_unmasks_a_text            a sentence; everything up to the next `case` is one connection
//! role server | client                  the opening handshake is done already
//! role server handshake                 from the first byte
//! role client handshake URL
//! config max_message_bytes 10           as in `Config`; deflate.level and so on inside
//! agreed permessage-deflate; …          what the opening handshake agreed to
//! agreed subprotocol chat
//!
//! in   masked 81 "Hello"                bytes of the peer: a frame with this first byte, masked
//! in   plain 81 "Hello" 00ff*3          the same, not masked
//! in   81 fe 00 7e "raw" "\r\n\x00"     bytes as they are: hex, and quoted text
//! in:  GET /chat HTTP/1.1               a line of a head; CR LF is added
//! end                                   the peer ends its half of the stream
//! lost                                  the stream breaks
//! wait 5000                             milliseconds pass
//! stall | flow                          the peer reads no more, reads again
//! app  send text "Hello"                the application: accept, reject, send, fragment, ping, pong,
//!                                       close, abort, pause, resume
//! app  close 1005 -> close-code-invalid what it is answered, when that is not "done"
//!
//! event text "Hello"                    what the application is told
//! event closed 1002 unclean by us rule unmasked
//! event closed 1000 clean by peer reason "bye" unsent 5
//! out   plain 81 "Hello"                what the peer gets
//! out:  HTTP/1.1 101 Switching Protocols
//! out   fault 1002                      a close frame with this code and the fault's own sentence
//! out   http 400 Name: value            a whole HTTP answer with this status and this field
//! shutdown not | write | both           what becomes of the stream now
//! timer 5000 | none                     when the next deadline is
//! ask   subprotocol chat                what a question is answered
//! ```
//!
//! `in` lines that follow each other are one piece of input: they may come in one read, or in any other
//! cut. After each input or command everything that comes of it is listed, in order: all events, all
//! bytes. In heads, `{key}` and `{accept}` stand for a client's `Sec-WebSocket-Key` and what answers it.

use std::fs;
use std::path::{Path, PathBuf};

/// One connection's story.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub file: PathBuf,
    pub is_server: bool,
    pub start: Start,
    pub config: Vec<(String, String)>,
    /// `permessage-deflate` with its parameters, as an answer would say it.
    pub extensions: Option<String>,
    pub subprotocol: Option<String>,
    /// Steps with the number of their line.
    pub steps: Vec<(usize, Step)>,
}

/// Where the story begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// After the opening handshake.
    Open,
    /// With its first byte; a client's URL.
    Handshake(Option<String>),
}

#[derive(Clone, Debug)]
pub enum Step {
    In(Vec<u8>),
    End,
    Lost,
    Wait(u64),
    Stall(bool),
    App { command: Command, misuse: Option<String> },
    Event(Told),
    Out(Out),
    Shutdown(String),
    Timer(Option<u64>),
    Ask { what: String, answer: String },
}

/// What the application asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Accept { subprotocol: Option<String>, header: Option<(String, String)>, without_deflate: bool },
    Reject { status: u16, header: Option<(String, String)>, body: Vec<u8> },
    Send { is_text: bool, data: Vec<u8> },
    Fragment { is_text: bool, fin: bool, data: Vec<u8> },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close { code: Option<u16>, reason: String },
    Abort,
    Pause,
    Resume,
}

/// What the application is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Request {
        method: String,
        target: String,
        is_upgrade: bool,
    },
    Open,
    Message {
        is_text: bool,
        data: Vec<u8>,
    },
    Begin {
        is_text: bool,
    },
    /// Parts that follow each other are one: how a message is cut is nobody's promise.
    Part(Vec<u8>),
    End,
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    CloseRequested {
        code: u16,
        reason: String,
    },
    Closed {
        code: u16,
        is_clean: bool,
        by_us: bool,
        rule: Option<String>,
        reason: String,
        unsent: u64,
    },
}

/// What the peer gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Out {
    Bytes(Vec<u8>),
    /// A close frame with this code and a sentence.
    Fault(u16),
    /// An HTTP answer with its body, and perhaps a field that it has.
    Http {
        status: u16,
        field: Option<String>,
    },
}

/// The key of every masked frame in a script: the RFC's own (RFC 6455 5.7).
pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

impl Case {
    /// What a player must be able to do beyond feeding bytes and giving commands.
    pub fn needs(&self) -> Vec<Need> {
        let mut needs: Vec<Need> = self.steps.iter().filter_map(|(_, step)| step.needs()).collect();
        if self.extensions.is_some() || self.config.iter().any(|(key, _)| key.starts_with("deflate")) {
            needs.push(Need::Deflate);
        }
        if self.start != Start::Open {
            needs.push(Need::Handshake);
        }
        needs
    }

    /// The value of a config line.
    pub fn config_of(&self, key: &str) -> Option<&str> {
        self.config.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

impl Step {
    fn needs(&self) -> Option<Need> {
        match self {
            Step::Wait(_) | Step::Timer(_) => Some(Need::Clock),
            Step::Lost => Some(Need::Loss),
            Step::Stall(_) => Some(Need::Stall),
            Step::App { command: Command::Pause | Command::Resume, .. } => Some(Need::Pause),
            Step::App { command: Command::Close { .. } | Command::Abort, .. } => Some(Need::Close),
            Step::App { .. } | Step::In(_) | Step::End | Step::Event(_) | Step::Out(_) => None,
            Step::Shutdown(_) | Step::Ask { .. } => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A clock that the script turns.
    Clock,
    /// A stream that breaks.
    Loss,
    /// A peer that does not read.
    Stall,
    /// permessage-deflate in the build.
    Deflate,
    /// An opening handshake, step by step.
    Handshake,
    /// A close and an abort that do not wait.
    Close,
    Pause,
}

/// All cases of all `.wire` files in a folder, in order.
pub fn read_folder(folder: &Path) -> Vec<Case> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "wire"));
    files.sort();
    let mut cases: Vec<Case> = Vec::new();
    for file in files {
        cases.extend(parse(&file, &fs::read_to_string(&file).unwrap()));
    }
    for (index, case) in cases.iter().enumerate() {
        let twin = cases[..index].iter().find(|other| other.name == case.name);
        assert!(twin.is_none(), "{}: {} is there twice", case.file.display(), case.name);
    }
    cases
}

/// The cases of one script. Panics with file and line where it is not one.
pub fn parse(file: &Path, text: &str) -> Vec<Case> {
    let first = text.lines().next().unwrap_or_default();
    assert!(
        first.starts_with("# RFC ") || first.starts_with("# Bug:"),
        "{}: the first line names no rule and no bug",
        file.display()
    );
    let mut cases: Vec<Case> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let done = match line.split_once(char::is_whitespace) {
            Some(("case", name)) => {
                cases.push(Case::new(name.trim(), file));
                Ok(())
            }
            _ => match cases.last_mut() {
                Some(case) => case.read_line(index + 1, line),
                None => Err("there is no case yet".to_owned()),
            },
        };
        if let Err(what) = done {
            panic!("{}:{}: {what}: {line}", file.display(), index + 1);
        }
    }
    cases
}

impl Case {
    fn new(name: &str, file: &Path) -> Case {
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{name} is no name");
        Case {
            name: name.to_owned(),
            file: file.to_owned(),
            is_server: true,
            start: Start::Open,
            config: Vec::new(),
            extensions: None,
            subprotocol: None,
            steps: Vec::new(),
        }
    }

    fn read_line(&mut self, number: usize, line: &str) -> Result<(), String> {
        let (word, rest) = split(line);
        let step = match word {
            "role" => return self.read_role(rest),
            "config" => {
                let (key, value) = split(rest);
                self.config.push((key.to_owned(), value.to_owned()));
                return Ok(());
            }
            "agreed" => {
                match rest.strip_prefix("subprotocol ") {
                    Some(name) => self.subprotocol = Some(name.trim().to_owned()),
                    None => self.extensions = Some(rest.to_owned()),
                }
                return Ok(());
            }
            "in" => Step::In(bytes(rest)?),
            "in:" => Step::In(head_line(rest)?),
            "end" => Step::End,
            "lost" => Step::Lost,
            "wait" => Step::Wait(number_of(rest)?),
            "stall" => Step::Stall(true),
            "flow" => Step::Stall(false),
            "app" => {
                let (command, misuse) = match rest.rsplit_once(" -> ") {
                    Some((command, misuse)) => (command, Some(misuse.trim().to_owned())),
                    None => (rest, None),
                };
                Step::App { command: command_of(command.trim())?, misuse }
            }
            "event" => Step::Event(told(rest)?),
            "out" => Step::Out(out(rest)?),
            "out:" => Step::Out(Out::Bytes(head_line(rest)?)),
            "shutdown" if matches!(rest, "not" | "write" | "both") => Step::Shutdown(rest.to_owned()),
            "timer" if rest == "none" => Step::Timer(None),
            "timer" => Step::Timer(Some(number_of(rest)?)),
            "ask" => {
                let (what, answer) = split(rest);
                Step::Ask { what: what.to_owned(), answer: answer.to_owned() }
            }
            _ => return Err("this is no step".to_owned()),
        };
        self.steps.push((number, step));
        Ok(())
    }

    fn read_role(&mut self, rest: &str) -> Result<(), String> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        (self.is_server, self.start) = match words[..] {
            ["server"] => (true, Start::Open),
            ["client"] => (false, Start::Open),
            ["server", "handshake"] => (true, Start::Handshake(None)),
            ["client", "handshake", url] => (false, Start::Handshake(Some(url.to_owned()))),
            _ => return Err("this is no role".to_owned()),
        };
        Ok(())
    }
}

/// The first word, and what follows it.
fn split(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

fn number_of<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| format!("{text:?} is no such number"))
}

fn command_of(line: &str) -> Result<Command, String> {
    let (word, rest) = split(line);
    Ok(match word {
        "accept" => {
            let (how, value) = split(rest);
            Command::Accept {
                subprotocol: (how == "subprotocol").then(|| value.to_owned()),
                header: if how == "header" { Some(field(value)?) } else { None },
                without_deflate: rest == "without deflate",
            }
        }
        "reject" => {
            let (status, rest) = split(rest);
            let (how, value) = split(rest);
            let (header, body) = if how == "header" { (Some(field(value)?), "") } else { (None, rest) };
            Command::Reject { status: number_of(status)?, header, body: bytes(body)? }
        }
        "send" => {
            let (kind, data) = split(rest);
            Command::Send { is_text: is_text(kind)?, data: bytes(data)? }
        }
        "fragment" => {
            let (kind, rest) = split(rest);
            let data = rest.strip_prefix("fin");
            Command::Fragment { is_text: is_text(kind)?, fin: data.is_some(), data: bytes(data.unwrap_or(rest))? }
        }
        "ping" => Command::Ping(bytes(rest)?),
        "pong" => Command::Pong(bytes(rest)?),
        "close" => {
            let (code, reason) = if rest.starts_with('"') { ("", rest) } else { split(rest) };
            let code = if code.is_empty() { None } else { Some(number_of(code)?) };
            Command::Close { code, reason: text(reason)? }
        }
        "abort" => Command::Abort,
        "pause" => Command::Pause,
        "resume" => Command::Resume,
        _ => return Err("the application has no such command".to_owned()),
    })
}

fn told(line: &str) -> Result<Told, String> {
    let (word, rest) = split(line);
    Ok(match word {
        "request" => {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let [method, target, kind] = words[..] else { return Err("METHOD TARGET upgrade|plain".to_owned()) };
            let is_upgrade = match kind {
                "upgrade" => true,
                "plain" => false,
                _ => return Err("a request is upgrade or plain".to_owned()),
            };
            Told::Request { method: method.to_owned(), target: target.to_owned(), is_upgrade }
        }
        "open" => Told::Open,
        "text" | "binary" => Told::Message { is_text: word == "text", data: bytes(rest)? },
        "begin" => Told::Begin { is_text: is_text(rest)? },
        "part" => Told::Part(bytes(rest)?),
        "end" => Told::End,
        "ping" => Told::Ping(bytes(rest)?),
        "pong" => Told::Pong(bytes(rest)?),
        "close-requested" => {
            let (code, reason) = split(rest);
            Told::CloseRequested { code: number_of(code)?, reason: text(reason)? }
        }
        "closed" => closed(rest)?,
        _ => return Err("there is no such event".to_owned()),
    })
}

fn closed(line: &str) -> Result<Told, String> {
    let (code, rest) = split(line);
    let (clean, rest) = split(rest);
    let (by, rest) = split(rest);
    let (side, mut rest) = split(rest);
    if !matches!(clean, "clean" | "unclean") || by != "by" || !matches!(side, "us" | "peer") {
        return Err("CODE clean|unclean by us|peer".to_owned());
    }
    let (mut rule, mut reason, mut unsent) = (None, String::new(), 0);
    while !rest.is_empty() {
        let (what, value) = split(rest);
        rest = match what {
            "rule" => {
                let (name, after) = split(value);
                rule = Some(name.to_owned());
                after
            }
            "unsent" => {
                let (number, after) = split(value);
                unsent = number_of(number)?;
                after
            }
            "reason" => {
                reason = text(value)?;
                ""
            }
            _ => return Err("rule, unsent or reason".to_owned()),
        };
    }
    let code = number_of(code)?;
    Ok(Told::Closed { code, is_clean: clean == "clean", by_us: side == "us", rule, reason, unsent })
}

fn out(line: &str) -> Result<Out, String> {
    let (word, rest) = split(line);
    Ok(match word {
        "fault" => Out::Fault(number_of(rest)?),
        "http" => {
            let (status, field) = split(rest);
            let field = if field.is_empty() { None } else { Some(field.to_owned()) };
            Out::Http { status: number_of(status)?, field }
        }
        _ => Out::Bytes(bytes(line)?),
    })
}

fn is_text(kind: &str) -> Result<bool, String> {
    match kind {
        "text" => Ok(true),
        "binary" => Ok(false),
        _ => Err("a message is text or binary".to_owned()),
    }
}

fn field(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(": ").ok_or("a field is NAME: VALUE")?;
    // So that a script can try to smuggle a line in.
    Ok((name.to_owned(), unescaped(value)?))
}

/// The rest of an `in:` line: a line of a head, escapes in it resolved.
fn head_line(rest: &str) -> Result<Vec<u8>, String> {
    let mut line = unescaped(rest)?.into_bytes();
    line.extend_from_slice(b"\r\n");
    Ok(line)
}

/// Text without quotes around it.
fn unescaped(line: &str) -> Result<String, String> {
    text(&format!("\"{}\"", line.replace('"', "\\\"")))
}

fn text(pieces: &str) -> Result<String, String> {
    String::from_utf8(bytes(pieces)?).map_err(|_| "this text is not UTF-8".to_owned())
}

/// Hex, quoted text, repetitions, and frames.
pub fn bytes(pieces: &str) -> Result<Vec<u8>, String> {
    let (word, rest) = split(pieces.trim());
    if !matches!(word, "masked" | "plain") {
        return raw_bytes(pieces);
    }
    let (first, payload) = split(rest);
    let [first] = raw_bytes(first)?[..] else { return Err("a frame begins with its first byte".to_owned()) };
    Ok(frame(first, (word == "masked").then_some(KEY), &raw_bytes(payload)?))
}

/// One frame, its length in the shortest form.
pub fn frame(first: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    let mask_bit = if key.is_some() { 0x80 } else { 0 };
    match payload.len() {
        short @ ..126 => frame.push(mask_bit | short as u8),
        medium @ ..0x1_0000 => {
            frame.push(mask_bit | 126);
            frame.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            frame.push(mask_bit | 127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(key.as_ref().map_or(&[], |key| &key[..]));
    let key = key.unwrap_or_default();
    frame.extend(payload.iter().enumerate().map(|(index, byte)| byte ^ key[index % 4]));
    frame
}

fn raw_bytes(pieces: &str) -> Result<Vec<u8>, String> {
    let mut all = Vec::new();
    let mut rest = pieces.trim();
    while !rest.is_empty() {
        let piece;
        (piece, rest) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = rest.find(|c: char| c.is_whitespace() || c == '*').unwrap_or(rest.len());
                (unhex(&rest[..end])?, &rest[end..])
            }
        };
        let mut times = 1;
        if let Some(after) = rest.strip_prefix('*') {
            let end = after.find(char::is_whitespace).unwrap_or(after.len());
            times = number_of(&after[..end])?;
            rest = &after[end..];
        }
        for _ in 0..times {
            all.extend_from_slice(&piece);
        }
        rest = rest.trim_start();
    }
    Ok(all)
}

/// What stands before the closing quote, and what follows it.
fn unquote(quoted: &str) -> Result<(Vec<u8>, &str), String> {
    let mut text = Vec::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((text, &quoted[at + 1..])),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('r') => text.push(b'\r'),
                Some('n') => text.push(b'\n'),
                Some('t') => text.push(b'\t'),
                Some('0') => text.push(0),
                Some(c @ ('\\' | '"')) => text.push(c as u8),
                Some('x') => {
                    let (from, _) = chars.next().ok_or("an escape is cut")?;
                    chars.next().ok_or("an escape is cut")?;
                    text.extend(unhex(&quoted[from..from + 2])?);
                }
                _ => return Err("there is no such escape".to_owned()),
            },
            c => text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Err("a quote is missing".to_owned())
}

fn unhex(hex: &str) -> Result<Vec<u8>, String> {
    if hex.is_empty() || !hex.len().is_multiple_of(2) || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("{hex:?} is no hex"));
    }
    Ok((0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect())
}
