//! `linkspan connect` in a terminal, as somebody who sits there sees it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::terminal::Terminal;
use common::{Served, server};
use linkspan::net::{ConnectionId, Context, Handler};
use linkspan::protocol::{CloseCode, MessageKind};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Sends these texts at the first message, with a text to end; binary for one that begins with `#`.
#[derive(Clone)]
struct Says(&'static [&'static str]);

impl Handler for Says {
    fn on_message(&mut self, cx: &mut Context<'_>, id: ConnectionId, _: MessageKind, _: &[u8]) {
        for text in self.0 {
            match text.strip_prefix('#') {
                Some("close") => cx.close(id, Some(CloseCode::new(4001)), "enough\x1b[2J").unwrap(),
                Some(bytes) => drop(cx.send(id, MessageKind::Binary, bytes.as_bytes()).unwrap()),
                None => drop(cx.send(id, MessageKind::Text, text.as_bytes()).unwrap()),
            }
        }
    }
}

#[test]
fn what_comes_is_shown_above_the_line_that_is_typed() {
    let echo = Served::new(&["echo"]);
    let mut terminal = Terminal::new(&["connect", &echo.url]);
    terminal.wait_for(&["connected (Ctrl-D closes)", ">"]);
    terminal.type_in("first\r");
    terminal.wait_for(&["connected (Ctrl-D closes)", "> first", "< first", ">"]);
    terminal.type_in("grüße\rhalf");
    terminal.wait_for(&["> grüße", "< grüße", "> half"]);
    // Ctrl-U empties the line, Ctrl-D on an empty line closes.
    terminal.type_in("\x15\x04");
    let (status, lines, _) = terminal.finish();
    assert_eq!(status, Some(0), "{lines:#?}");
    assert_eq!(lines.last().unwrap(), "closed: 1000");
}

#[test]
fn the_arrows_bring_back_what_was_sent() {
    let echo = Served::new(&["echo"]);
    let mut terminal = Terminal::new(&["connect", &echo.url]);
    terminal.wait_for(&[">"]);
    terminal.type_in("one\r");
    terminal.wait_for(&["< one", ">"]);
    terminal.type_in("two\r");
    terminal.wait_for(&["< two", ">"]);
    terminal.type_in("\x1b[A");
    terminal.wait_for(&["> two"]);
    terminal.type_in("\x1b[A");
    terminal.wait_for(&["> one"]);
    terminal.type_in("\x1b[D\x1b[D\x7fst\r");
    terminal.wait_for(&["> stne", "< stne", ">"]);
    terminal.type_in("\x03");
    assert_eq!(terminal.finish().0, Some(130));
}

#[test]
fn what_a_terminal_would_obey_is_written_out() {
    let (_server, url) = server(Says(&["a\x1b[2Jb\r\n\u{202e}c", "#\x00\x01hello", "#close"]));
    let mut terminal = Terminal::new(&["connect", &url]);
    terminal.wait_for(&[">"]);
    terminal.type_in("go\r");
    terminal.wait_for(&[
        "closed by the server: 4001 enough\\u{1b}[2J",
        "linkspan: closed by the server: 4001 enough\\u{1b}[2J",
    ]);
    let (status, lines, written) = terminal.finish();
    assert_eq!(status, Some(1));
    assert_eq!(lines[2..5], ["< a\\u{1b}[2Jb\\r", "  \\u{202e}c", "< binary, 7 bytes: 00 01 68 65 6c 6c 6f  ..hello"]);
    assert!(!written.windows(4).any(|window| window == b"\x1b[2J"));
}

#[test]
fn all_that_came_before_the_end_is_shown() {
    const MANY: &[&str] = &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "#close"];
    let (_server, url) = server(Says(MANY));
    for _ in 0..20 {
        let mut terminal = Terminal::new(&["connect", &url]);
        terminal.wait_for(&[">"]);
        // Lines end while others are shown, and while the connection closes.
        terminal.type_in("go\ra\rb\rc\r");
        let (status, lines, _) = terminal.finish();
        assert_eq!(status, Some(1), "{lines:#?}");
        let shown: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("< ")).collect();
        let typed: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("> ")).collect();
        assert!(["go", "a", "b", "c"].starts_with(&typed), "{lines:#?}");
        assert_eq!(shown, MANY[..12], "{lines:#?}");
        assert!(lines.iter().any(|line| line == "closed by the server: 4001 enough\\u{1b}[2J"), "{lines:#?}");
    }
}

#[test]
fn colours_are_there_unless_no_color_says_otherwise() {
    let echo = Served::new(&["echo"]);
    for (no_color, has_colours) in [("", true), ("1", false)] {
        let mut terminal = Terminal::with(&["connect", &echo.url], no_color);
        terminal.wait_for(&[">"]);
        terminal.type_in("a\r");
        terminal.wait_for(&["< a", ">"]);
        terminal.type_in("\x04");
        let (status, _, written) = terminal.finish();
        assert_eq!(status, Some(0));
        let is_coloured = written.windows(5).any(|window| window == b"\x1b[36m");
        assert_eq!(is_coloured, has_colours, "NO_COLOR={no_color}");
    }
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let echo = Served::new(&["echo"]);
    for (signal, status) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let mut terminal = Terminal::new(&["connect", &echo.url]);
        terminal.wait_for(&[">"]);
        terminal.type_in("half");
        terminal.wait_for(&["> half"]);
        kill(Pid::from_raw(terminal.child.id() as i32), signal).unwrap();
        assert_eq!(terminal.finish().0, Some(status), "{signal}");
    }
}

#[test]
fn a_server_that_goes_ends_the_prompt() {
    let echo = Served::new(&["echo"]);
    let mut terminal = Terminal::new(&["connect", &echo.url]);
    terminal.wait_for(&[">"]);
    terminal.type_in("half");
    terminal.wait_for(&["> half"]);
    echo.signal(Signal::SIGTERM);
    terminal.wait_for(&["closed by the server: 1001 the server goes down"]);
    assert_eq!(terminal.finish().0, Some(0));
    assert_eq!(echo.finish().status, Some(0));
}

#[test]
fn slashes_are_commands_when_asked_for() {
    let echo = Served::new(&["echo"]);
    let mut terminal = Terminal::new(&["connect", "--slash", "-v", &echo.url]);
    terminal.wait_for(&[">"]);
    terminal.type_in("/ping abc\r");
    terminal.wait_for(&["> /ping abc", "pong, 3 bytes: 61 62 63  abc", ">"]);
    terminal.type_in("//ping\r");
    terminal.wait_for(&["< /ping", ">"]);
    terminal.type_in("/quit\r");
    terminal.wait_for(&["the commands are /ping, /pong and /close; two slashes send one", ">"]);
    terminal.type_in("/close 4000 bye\r");
    terminal.wait_for(&["closed: 4000"]);
    assert_eq!(terminal.finish().0, Some(0));
}

#[test]
fn a_line_too_long_for_the_screen_stays_in_order() {
    let echo = Served::new(&["echo"]);
    let mut terminal = Terminal::new(&["connect", &echo.url]);
    terminal.wait_for(&[">"]);
    let long = "0123456789".repeat(10);
    terminal.type_in(&format!("{long}\r"));
    // What the screen has wrapped is one line here.
    terminal.wait_for(&[&format!("< {long}"), ">"]);
    terminal.type_in("\x04");
    assert_eq!(terminal.finish().0, Some(0));
}
