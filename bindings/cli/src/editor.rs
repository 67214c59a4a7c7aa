//! The line that is typed in a terminal, with everything else shown above it.
//!
//! A thread stands in the line editor from the first prompt to the end: also while the connection closes, so
//! that what still comes is shown. [`Editor::end`] ends it without losing a line.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::dup2_stdin;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{ColorMode, Config, ExternalPrinter, Helper};

type Line = rustyline::Editor<Guide, MemHistory>;

const PROMPT: &str = "> ";
/// How long the end waits for the editor to be between two lines no more.
const PATIENCE: Duration = Duration::from_secs(1);
/// Lines that are kept for the arrow keys.
const HISTORY: usize = 1000;

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// A line, without its end.
    Line(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D on an empty line.
    End,
}

/// A line editor that is to be started.
pub(crate) struct Editor {
    line: Line,
    place: Arc<Place>,
}

/// The thread in the line editor.
#[derive(Debug)]
pub(crate) struct Editing {
    /// Answers whether the editor has ended in the middle of a line.
    thread: JoinHandle<bool>,
}

/// Prints above the line that is being typed.
pub(crate) struct Screen {
    printer: Box<dyn ExternalPrinter + Send>,
    place: Arc<Place>,
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Screen")
    }
}

/// Where the thread is: what is printed while it edits is shown by the editor itself, in its own time.
#[derive(Debug, Default)]
struct Place {
    /// It edits a line: set after the editor has begun to show what is printed, unset before it ends to.
    is_editing: AtomicBool,
    /// It is about to edit the next line.
    is_beginning: AtomicBool,
    /// Lines that it has begun.
    lines: AtomicU64,
    /// It is to end.
    is_ending: AtomicBool,
}

impl Editor {
    /// Takes the terminal. None where the terminal cannot do what an editor needs.
    pub(crate) fn new(has_colours: bool) -> Option<(Editor, Screen)> {
        keep_mode();
        // Forced: the guide is asked always, and knows itself whether there are colours.
        let config = Config::builder().color_mode(ColorMode::Forced).auto_add_history(true);
        let config = config.max_history_size(HISTORY).ok()?.build();
        let history = MemHistory::with_config(&config);
        let mut line = Line::with_history(config, history).ok()?;
        let place = Arc::new(Place::default());
        line.set_helper(Some(Guide { place: place.clone(), has_colours }));
        let printer = Box::new(line.create_external_printer().ok()?);
        Some((Editor { line, place: place.clone() }, Screen { printer, place }))
    }

    /// Edits on a thread of its own; `tell` gets what was typed.
    pub(crate) fn start(self, mut tell: impl FnMut(Typed) + Send + 'static) -> io::Result<Editing> {
        let Editor { mut line, place } = self;
        let edit = move || {
            let mut prompt = PROMPT;
            while !place.is_ending.load(Ordering::SeqCst) {
                place.is_beginning.store(true, Ordering::SeqCst);
                let typed = line.readline(prompt);
                place.is_editing.store(false, Ordering::SeqCst);
                match typed {
                    Ok(line) => tell(Typed::Line(line)),
                    Err(ReadlineError::Interrupted) => {
                        prompt = "";
                        tell(Typed::Interrupt);
                    }
                    // Also a terminal that has gone, and the end that `Editing::end` makes.
                    Err(error) => {
                        prompt = "";
                        let is_at_end = matches!(error, ReadlineError::Eof);
                        if place.is_ending.load(Ordering::SeqCst) {
                            return is_at_end;
                        }
                        tell(Typed::End);
                        if !is_at_end {
                            return false;
                        }
                    }
                }
            }
            false
        };
        Ok(Editing { thread: thread::Builder::new().name("editor".into()).spawn(edit)? })
    }
}

impl Screen {
    /// Shows lines above the one that is being typed.
    pub(crate) fn print(&mut self, lines: &str) {
        // A terminal that has gone shows nothing any more; its signal ends us.
        let _ = self.printer.print(format!("{lines}\n"));
    }

    /// Waits until everything printed is shown.
    fn settle(&mut self) {
        let now = |place: &Place| (place.is_editing.load(Ordering::SeqCst), place.lines.load(Ordering::SeqCst));
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let before = now(&self.place);
            // The editor keeps one print waiting: the second is taken in once the first was, which is after
            // everything before. Up and down again: nothing is to be seen of it.
            for _ in 0..2 {
                if self.printer.print("\x1b[A\n".into()).is_err() {
                    return;
                }
            }
            if before.0 && before == now(&self.place) {
                return;
            }
            thread::yield_now();
        }
    }
}

impl Editing {
    /// Ends the editing, when everything printed is shown, and gives the terminal back.
    pub(crate) fn end(self, screen: &mut Screen) {
        if !self.thread.is_finished() {
            screen.settle();
        }
        screen.place.is_ending.store(true, Ordering::SeqCst);
        // The editor waits for the terminal: it is to see the end of its input. A print makes it look again.
        if let Ok(nothing) = File::open("/dev/null")
            && dup2_stdin(&nothing).is_ok()
        {
            let _ = screen.printer.print("\x1b[A\n".into());
            if self.thread.join().unwrap_or(false) {
                // Nobody will end the line that was begun: its prompt goes.
                let _ = io::stdout().write_all(b"\x1b[A\r\x1b[J").and_then(|()| io::stdout().flush());
            }
        }
        restore();
    }
}

/// The terminal's mode when we came.
static MODE: Mutex<Option<(File, Termios)>> = Mutex::new(None);

fn keep_mode() {
    // A descriptor of its own: the standard input will be another.
    let Ok(terminal) = io::stdin().as_fd().try_clone_to_owned() else { return };
    let Ok(mode) = tcgetattr(&terminal) else { return };
    *MODE.lock().unwrap_or_else(PoisonError::into_inner) = Some((terminal.into(), mode));
}

/// Gives the terminal back as it was, if it was taken. To be called before the process ends, however it does.
pub(crate) fn restore() {
    if let Some((terminal, mode)) = MODE.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let _ = tcsetattr(&terminal, SetArg::TCSADRAIN, &mode);
        // No brackets around what is pasted.
        let _ = (&terminal).write_all(b"\x1b[?2004l");
    }
}

/// Colours the prompt, and sees the editor begin and end a line.
struct Guide {
    place: Arc<Place>,
    has_colours: bool,
}

impl Highlighter for Guide {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        if self.place.is_beginning.swap(false, Ordering::SeqCst) {
            self.place.lines.fetch_add(1, Ordering::SeqCst);
            self.place.is_editing.store(true, Ordering::SeqCst);
        }
        if self.has_colours { Cow::Owned(format!("\x1b[2m{prompt}\x1b[0m")) } else { Cow::Borrowed(prompt) }
    }
}

impl Validator for Guide {
    fn validate(&self, _: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        self.place.is_editing.store(false, Ordering::SeqCst);
        Ok(ValidationResult::Valid(None))
    }
}

impl Completer for Guide {
    type Candidate = String;
}

impl Hinter for Guide {
    type Hint = String;
}

impl Helper for Guide {}
