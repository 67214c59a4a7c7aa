//! [`Output`]: where events are shown, and in which form.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::SystemTime;

use linkspan::protocol::handshake::Response;
use linkspan::protocol::{CloseInfo, MessageKind, Side};

use crate::editor::Screen;
use crate::event::Event;
use crate::text;

/// The form of what is written to the standard output.
#[derive(Debug)]
pub(crate) enum Form {
    /// Each message on a line. `is_safe`: for a terminal.
    Lines { is_safe: bool },
    /// Each message as it is.
    Bytes,
    /// Each event as a JSON object on a line.
    Json,
    /// Above the line that is being typed.
    Screen(Screen),
}

/// What is said beside the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chatter {
    /// Nothing.
    Quiet,
    /// In a terminal: that the connection is there, and that it has gone.
    Usual,
    /// The handshake, pings and pongs, the close.
    Verbose,
}

/// Where events go.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) form: Form,
    pub(crate) chatter: Chatter,
    pub(crate) has_colours: bool,
}

impl Output {
    /// Shows an event. Fails when the standard output takes no more: a pipe whose reader has gone.
    pub(crate) fn show(&mut self, event: &Event<'_>) -> io::Result<()> {
        match (&mut self.form, event) {
            (Form::Json, _) => return write(&event.json(SystemTime::now())),
            (Form::Bytes, Event::Message(_, data)) => return write(data),
            (Form::Lines { is_safe: true }, Event::Message(kind, data)) => {
                return write(format!("{}\n", safe(*kind, data)).as_bytes());
            }
            (Form::Lines { is_safe: false }, Event::Message(_, data)) => {
                return write(&[data, b"\n".as_slice()].concat());
            }
            (Form::Screen(_), Event::Message(kind, data)) => {
                // Lines after the first stand below the first.
                let line = format!("< {}", safe(*kind, data).replace('\n', "\n  "));
                let line = self.coloured(CYAN, &line);
                self.say(&line);
            }
            (_, Event::Error { .. }) => {}
            (_, Event::Retry { why, info, delay }) => {
                let unsent = match info.unsent_bytes {
                    0 => String::new(),
                    bytes => format!(" ({bytes} bytes were not sent)"),
                };
                self.note(&format!("{why}{unsent}; again in {:.1} s", delay.as_secs_f64()));
            }
            (_, event) => {
                if let Some(lines) = self.told(event) {
                    let lines = self.coloured(GREEN, &lines);
                    self.say(&lines);
                }
            }
        }
        Ok(())
    }

    /// Says something beside the messages: on the screen, or the standard error.
    pub(crate) fn note(&mut self, sentence: &str) {
        if self.chatter != Chatter::Quiet {
            self.say(sentence);
        }
    }

    fn say(&mut self, lines: &str) {
        match &mut self.form {
            Form::Screen(screen) => screen.print(lines),
            // Where nobody reads, nothing is to be said.
            Form::Lines { .. } | Form::Bytes | Form::Json => drop(writeln!(io::stderr(), "{lines}")),
        }
    }

    /// What is told of an event that is no message.
    fn told(&self, event: &Event<'_>) -> Option<String> {
        let is_screen = matches!(self.form, Form::Screen(_));
        match self.chatter {
            Chatter::Quiet => None,
            Chatter::Usual if !is_screen => None,
            Chatter::Usual => match event {
                Event::Open { .. } => Some("connected (Ctrl-D closes)".into()),
                Event::Close(info) => Some(closed(info, "the server")),
                Event::Message(..) | Event::Ping(_) | Event::Pong(_) | Event::Retry { .. } | Event::Error { .. } => {
                    None
                }
            },
            Chatter::Verbose => match event {
                Event::Open { url, peer, protocol, extensions, response } => {
                    let mut lines = format!("connected to {} ({})", text::line(url, 500), text::line(peer, 200));
                    if !protocol.is_empty() {
                        let _ = write!(lines, ", subprotocol {}", text::line(protocol, 200));
                    }
                    if !extensions.is_empty() {
                        let _ = write!(lines, ", {}", text::line(extensions, 200));
                    }
                    Some(lines + "\n" + &head(response))
                }
                Event::Ping(data) => Some(format!("ping, {}", text::excerpt(data))),
                Event::Pong(data) => Some(format!("pong, {}", text::excerpt(data))),
                Event::Close(info) => Some(closed(info, "the server")),
                Event::Message(..) | Event::Retry { .. } | Event::Error { .. } => None,
            },
        }
    }

    fn coloured(&self, colour: &str, lines: &str) -> String {
        let is_screen = matches!(self.form, Form::Screen(_));
        if self.has_colours && is_screen { format!("{colour}{lines}{PLAIN}") } else { lines.to_owned() }
    }
}

const CYAN: &str = "\x1b[36m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

/// The head of a server's answer, as lines.
pub(crate) fn head(response: &Response) -> String {
    let mut lines = format!("  HTTP/1.{} {}", response.version_minor, status(response));
    for (name, value) in response.headers.iter() {
        let _ = write!(lines, "\n  {}: {}", text::line(name, 200), text::line(value, 500));
    }
    lines
}

/// `403 Forbidden`.
pub(crate) fn status(response: &Response) -> String {
    format!("{} {}", response.status, text::line(&response.reason, 100)).trim_end().to_owned()
}

/// How it ended: `closed by the server: 1001 restarting`.
pub(crate) fn closed(info: &CloseInfo, peer: &str) -> String {
    let code = match info.code.as_u16() {
        1005 => "no code".to_owned(),
        1006 => "no close frame (1006)".to_owned(),
        code => code.to_string(),
    };
    let by = match info.begun_by {
        _ if !info.clean => "disconnected".to_owned(),
        Side::Local => "closed".to_owned(),
        Side::Remote => format!("closed by {peer}"),
    };
    format!("{by}: {code} {}", text::line(&info.reason, 200)).trim_end().to_owned()
}

fn safe(kind: MessageKind, data: &[u8]) -> String {
    match kind {
        MessageKind::Text => text::shown(&String::from_utf8_lossy(data)),
        MessageKind::Binary => format!("binary, {}", text::excerpt(data)),
    }
}

/// Writes to the standard output, at once.
fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}
