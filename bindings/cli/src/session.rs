//! [`Session`]: the one connection of `linkspan connect`, from its opening to its end.

use std::io;
use std::time::{Duration, Instant};

use linkspan::Error;
use linkspan::net::{ConnectionId, Context, Sent};
use linkspan::protocol::{CloseCode, CloseInfo, Fault, MessageKind, Side};
use nix::sys::signal::Signal;

use crate::args::{Close, Wait};
use crate::editor::Typed;
use crate::event::Event;
use crate::input::{GoOn, Input};
use crate::output::{self, Chatter, Form, Output};
use crate::problem::Problem;
use crate::slash::{self, Slash};
use crate::text;

/// What is to be done on the connection.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What is sent first.
    pub(crate) execute: Vec<String>,
    /// What the input's messages are.
    pub(crate) kind: MessageKind,
    /// Lines may be commands.
    pub(crate) slash: bool,
    pub(crate) wait: Option<Wait>,
    pub(crate) count: Option<u64>,
    pub(crate) close: Close,
}

/// The connection's state, beside what the library keeps.
#[derive(Debug)]
pub(crate) struct Session {
    plan: Plan,
    pub(crate) output: Output,
    /// The connection is open, or was until its end.
    pub(crate) is_open: bool,
    /// How it ended.
    ended: Option<CloseInfo>,
    /// There was no more input.
    is_input_over: bool,
    /// Messages that have come.
    received: u64,
    /// More waits to be sent than should.
    is_full: bool,
    /// The input waits for this word.
    go_on: Option<GoOn>,
    /// Messages that have come while there was no connection; the next gets them.
    held: Vec<Vec<u8>>,
    /// Bytes that went with connections that were lost.
    lost_bytes: u64,
    /// What went wrong on the connection.
    error: Option<String>,
    /// When the connection is closed, because the input has ended.
    pub(crate) close_at: Option<Instant>,
    /// Something of the input was not sent.
    is_input_cut: bool,
    /// Why we end, when that is not because all is done.
    problem: Option<Problem>,
    /// The standard output takes no more.
    is_output_gone: bool,
}

impl Session {
    pub(crate) fn new(plan: Plan, output: Output) -> Session {
        Session {
            plan,
            output,
            is_open: false,
            ended: None,
            is_input_over: false,
            received: 0,
            is_full: false,
            go_on: None,
            held: Vec::new(),
            lost_bytes: 0,
            error: None,
            close_at: None,
            is_input_cut: false,
            problem: None,
            is_output_gone: false,
        }
    }

    // --- the world -----------------------------------------------------------

    pub(crate) fn opened(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        self.is_open = true;
        let peer = cx.peer(id).map(|peer| peer.to_string()).unwrap_or_default();
        if let Some(engine) = cx.engine(id)
            && let Some(response) = engine.response()
        {
            let protocol = engine.subprotocol().unwrap_or_default();
            let event = Event::Open { url: engine.url(), peer, protocol, extensions: engine.extensions(), response };
            let shown = self.output.show(&event);
            self.check_output(cx, id, shown);
        }
        self.is_full = false;
        for message in self.plan.execute.clone() {
            self.send(cx, id, MessageKind::Text, message.as_bytes());
        }
        self.send_all(cx, id);
    }

    pub(crate) fn message(&mut self, cx: &mut Context<'_>, id: ConnectionId, kind: MessageKind, data: &[u8]) {
        self.show(cx, id, &Event::Message(kind, data));
        self.received += 1;
        if self.plan.count == Some(self.received) {
            self.close(cx, id);
        }
    }

    pub(crate) fn show(&mut self, cx: &mut Context<'_>, id: ConnectionId, event: &Event<'_>) {
        if !self.is_output_gone {
            let shown = self.output.show(event);
            self.check_output(cx, id, shown);
        }
    }

    fn check_output(&mut self, cx: &mut Context<'_>, id: ConnectionId, shown: io::Result<()>) {
        let Err(error) = shown else { return };
        self.is_output_gone = true;
        // A reader that has seen enough is no problem.
        if error.kind() != io::ErrorKind::BrokenPipe {
            self.problem.get_or_insert_with(|| Problem::failed(format!("the standard output takes no more: {error}")));
        }
        self.close(cx, id);
    }

    pub(crate) fn drained(&mut self) {
        self.is_full = false;
        if let Some(go_on) = self.go_on.take() {
            go_on.say();
        }
    }

    pub(crate) fn failed(&mut self, cx: &mut Context<'_>, id: ConnectionId, error: &Error) {
        let response = match error {
            Error::Fault(Fault::Refused(_)) => cx.engine(id).and_then(|engine| engine.response()),
            _ => None,
        };
        let sentence = match response {
            Some(response) => {
                let body = String::from_utf8_lossy(&response.body);
                if self.output.chatter == Chatter::Verbose {
                    let body = text::shown(body.trim_end());
                    self.output.note(&format!("{}\n\n{body}", output::head(response)));
                }
                let place = response.headers.get("Location").filter(|_| matches!(response.status, 300..=399));
                let more = match place {
                    Some(place) => format!("it redirects to {}; -L follows", text::line(place, 500)),
                    None => text::line(body.lines().find(|line| !line.trim().is_empty()).unwrap_or_default(), 200),
                };
                let answered = format!("the server answered {}", output::status(response));
                if more.is_empty() { answered } else { format!("{answered}: {more}") }
            }
            None => text::line(&error.to_string(), 1000),
        };
        let _ = self.output.show(&Event::Error { sentence: &sentence, response });
        self.error = Some(sentence);
    }

    /// The connection was lost, and is tried again.
    pub(crate) fn lost(&mut self, cx: &mut Context<'_>, id: ConnectionId, info: &CloseInfo, delay: Duration) {
        self.is_open = false;
        self.lost_bytes += info.unsent_bytes;
        let why = self.error.take().unwrap_or_else(|| output::closed(info, "the server"));
        self.show(cx, id, &Event::Retry { why: &why, info, delay });
    }

    pub(crate) fn closed(&mut self, cx: &mut Context<'_>, id: ConnectionId, info: &CloseInfo) {
        self.go_on = None;
        if self.is_open {
            self.show(cx, id, &Event::Close(info));
        }
        self.ended = Some(info.clone());
    }

    /// Whether it is over.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    /// Whether nothing is known of more input: what comes after the end makes a good end a bad one.
    pub(crate) fn is_input_known(&self) -> bool {
        self.is_input_over || self.is_input_cut
    }

    /// Whether that was a good end.
    pub(crate) fn judge(&mut self) -> Result<(), Problem> {
        if let Some(problem) = self.problem.take() {
            return Err(problem);
        }
        let Some(info) = self.ended.as_ref().filter(|_| !self.is_output_gone) else { return Ok(()) };
        if let Some(sentence) = self.error.take() {
            return Err(Problem::failed(sentence));
        }
        if !info.clean {
            let unsent = match info.unsent_bytes {
                0 => String::new(),
                bytes => format!(", and {bytes} bytes were not sent"),
            };
            return Err(Problem::failed(format!("the connection broke without a closing handshake{unsent}")));
        }
        if self.lost_bytes > 0 {
            let bytes = self.lost_bytes;
            return Err(Problem::failed(format!("{bytes} bytes were lost with earlier connections")));
        }
        if info.begun_by == Side::Local {
            return Ok(());
        }
        let good = [CloseCode::NORMAL, CloseCode::GOING_AWAY, CloseCode::NO_STATUS];
        match output::closed(info, "the server") {
            sentence if self.is_input_cut => Err(Problem::failed(format!("{sentence}, before all was sent"))),
            sentence if !good.contains(&info.code) => Err(Problem::failed(sentence)),
            _ => Ok(()),
        }
    }

    // --- the user ------------------------------------------------------------

    pub(crate) fn input(&mut self, cx: &mut Context<'_>, id: ConnectionId, input: Input) {
        match input {
            Input::Messages(messages, go_on) => {
                self.held = messages;
                self.go_on = Some(go_on);
                // After the end too: what cannot be sent any more is noticed.
                if self.is_open {
                    self.send_all(cx, id);
                }
            }
            Input::End => {
                self.is_input_over = true;
                self.input_ended(cx, id);
            }
            Input::Failed(sentence) => {
                self.is_input_over = true;
                self.problem.get_or_insert_with(|| Problem::failed(sentence));
                self.close(cx, id);
            }
        }
    }

    pub(crate) fn typed(&mut self, cx: &mut Context<'_>, id: ConnectionId, typed: Typed) {
        match typed {
            // Enter on an empty line is somebody looking whether we are there.
            Typed::Line(line) if line.is_empty() => {}
            Typed::Line(line) => self.line(cx, id, line.as_bytes()),
            Typed::Interrupt => self.signalled(cx, id, Signal::SIGINT),
            Typed::End => self.close(cx, id),
        }
    }

    /// A signal, or Ctrl-C as a key: the second ends it at once.
    pub(crate) fn signalled(&mut self, cx: &mut Context<'_>, id: ConnectionId, signal: Signal) {
        let is_second = self.problem.replace(Problem::signalled(signal as i32)).is_some();
        if signal != Signal::SIGINT {
            self.plan.close = Close { code: CloseCode::GOING_AWAY, reason: String::new() };
        }
        // One that has ended has told so.
        let _ =
            if is_second { cx.abort(id) } else { cx.close(id, Some(self.plan.close.code), &self.plan.close.reason) };
    }

    /// Nothing more is to be sent.
    fn input_ended(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        match self.plan.wait {
            Some(Wait::For(time)) => self.close_at = Instant::now().checked_add(time),
            Some(Wait::ForEver) => {}
            None if self.plan.count.is_some() => {}
            None => self.close(cx, id),
        }
    }

    /// Closes when the time has come.
    pub(crate) fn tick(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        if self.close_at.is_some_and(|at| at <= Instant::now()) {
            self.close_at = None;
            self.close(cx, id);
        }
    }

    /// How long [`Session::tick`] may wait.
    pub(crate) fn next_tick(&self) -> Option<Duration> {
        self.close_at.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// What the input has brought; then it may bring more.
    fn send_all(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        for message in std::mem::take(&mut self.held) {
            self.line(cx, id, &message);
        }
        if !self.is_full {
            self.drained();
        }
    }

    /// One message of the input, or a command.
    fn line(&mut self, cx: &mut Context<'_>, id: ConnectionId, message: &[u8]) {
        let kind = self.plan.kind;
        let Some(line) = std::str::from_utf8(message).ok().filter(|_| self.plan.slash) else {
            return self.send(cx, id, kind, message);
        };
        let done = match slash::parse(line) {
            Ok(Slash::Text(line)) => return self.send(cx, id, kind, line.as_bytes()),
            Ok(Slash::Ping(payload)) => cx.ping(id, payload.as_bytes()).map_err(|error| error.to_string()),
            Ok(Slash::Pong(payload)) => cx.pong(id, payload.as_bytes()).map_err(|error| error.to_string()),
            Ok(Slash::Close(with)) => {
                self.plan.close = with.unwrap_or_else(|| self.plan.close.clone());
                self.close(cx, id);
                Ok(())
            }
            Err(sentence) => Err(sentence),
        };
        if let Err(sentence) = done {
            self.output.note(&sentence);
        }
    }

    fn send(&mut self, cx: &mut Context<'_>, id: ConnectionId, kind: MessageKind, data: &[u8]) {
        match cx.send(id, kind, data) {
            Ok(Sent::Accepted) => {}
            Ok(Sent::Buffered) => self.is_full = true,
            // Nothing is dropped unless asked for, and nothing here asks for it.
            Ok(Sent::Dropped) => self.is_input_cut = true,
            Err(error) => {
                self.is_input_cut = true;
                if matches!(self.output.form, Form::Screen(_)) {
                    self.output.note(&format!("not sent: {error}"));
                }
            }
        }
    }

    fn close(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        // One that is closing, or has ended, tells so.
        let _ = cx.close(id, Some(self.plan.close.code), &self.plan.close.reason);
    }
}
