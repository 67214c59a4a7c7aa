//! The standard input through a pipe, made into messages: read no faster than the connection takes them.

use std::io::{self, Read};
use std::mem;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What one read brings, at the most; with `--binary`, the longest message that is sent.
const CHUNK: usize = 64 << 10;

/// What was read.
#[derive(Debug)]
pub(crate) enum Input {
    /// Messages, in order. Nothing more is read until the word is given, or dropped.
    Messages(Vec<Vec<u8>>, GoOn),
    /// There is no more.
    End,
    /// No more can be read, or sent; the sentence says why.
    Failed(String),
}

/// The word to read on.
#[derive(Debug)]
pub(crate) struct GoOn(SyncSender<()>);

impl GoOn {
    pub(crate) fn say(self) {
        // There is room for one, and this is the one.
        let _ = self.0.try_send(());
    }
}

/// How bytes become messages.
#[derive(Debug)]
pub(crate) enum Cut {
    /// Each read is a message.
    Reads,
    /// Each line is.
    Lines(Lines),
}

/// Reads on a thread of its own, which ends with the input or with the process.
pub(crate) fn start(mut cut: Cut, mut tell: impl FnMut(Input) + Send + 'static) -> io::Result<()> {
    let read = move || {
        let mut chunk = vec![0; CHUNK];
        loop {
            IS_READING.store(true, Ordering::SeqCst);
            let read = io::stdin().lock().read(&mut chunk);
            IS_READING.store(false, Ordering::SeqCst);
            let messages = match read {
                Ok(0) => {
                    if let Cut::Lines(lines) = &mut cut
                        && let Some(messages) = lines.end().transpose()
                    {
                        match messages {
                            Ok(line) => hand_on(vec![line], &mut tell),
                            Err(why) => return tell(Input::Failed(why)),
                        }
                    }
                    return tell(Input::End);
                }
                Ok(n) => match &mut cut {
                    Cut::Reads => Ok(vec![chunk[..n].to_vec()]),
                    Cut::Lines(lines) => lines.push(&chunk[..n]),
                },
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(format!("the standard input cannot be read: {error}")),
            };
            match messages {
                Ok(messages) => hand_on(messages, &mut tell),
                Err(why) => return tell(Input::Failed(why)),
            }
        }
    };
    thread::Builder::new().name("input".into()).spawn(read).map(drop)
}

/// The reader waits for input, or takes some from the system: it has nothing that it has not told.
static IS_READING: AtomicBool = AtomicBool::new(false);

/// Whether there is more to be told of: something that was read, or something to read now.
pub(crate) fn is_waiting() -> bool {
    if !IS_READING.load(Ordering::SeqCst) {
        return true;
    }
    let stdin = io::stdin();
    let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1..))
        && fds[0].revents().is_some_and(|found| found.contains(PollFlags::POLLIN))
}

/// Tells the messages, and waits for the word.
fn hand_on(messages: Vec<Vec<u8>>, tell: &mut impl FnMut(Input)) {
    if messages.is_empty() {
        return;
    }
    let (sender, receiver) = sync_channel(1);
    tell(Input::Messages(messages, GoOn(sender)));
    // An error is the word dropped: the connection has ended, and with it soon the process.
    let _ = receiver.recv();
}

/// Cuts a stream into lines.
#[derive(Debug)]
pub(crate) struct Lines {
    /// The beginning of a line.
    begun: Vec<u8>,
    /// Lines that were cut.
    number: u64,
    max_bytes: u64,
}

impl Lines {
    pub(crate) fn new(max_bytes: u64) -> Lines {
        Lines { begun: Vec::new(), number: 0, max_bytes }
    }

    /// The lines that are complete with these bytes, without their ends. Fails, with a sentence, for a line that
    /// cannot be a text message.
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.begun.len() as u64 + piece.len() as u64 > self.max_bytes.saturating_add(2) {
                return Err(self.too_long());
            }
            self.begun.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.begun.pop();
                lines.extend(self.end_of_line()?);
            }
        }
        Ok(lines)
    }

    /// What stands behind the last line feed, if anything.
    fn end(&mut self) -> Result<Option<Vec<u8>>, String> {
        if self.begun.is_empty() { Ok(None) } else { self.end_of_line() }
    }

    fn end_of_line(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut line = mem::take(&mut self.begun);
        if line.ends_with(b"\r") {
            line.pop();
        }
        if line.len() as u64 > self.max_bytes {
            return Err(self.too_long());
        }
        self.number += 1;
        match std::str::from_utf8(&line) {
            Ok(_) => Ok(Some(line)),
            Err(error) => Err(format!(
                "line {} of the input is not UTF-8 at byte {}; --binary sends bytes as they are",
                self.number,
                error.valid_up_to()
            )),
        }
    }

    fn too_long(&self) -> String {
        format!("line {} of the input is longer than --max-message, {} bytes", self.number + 1, self.max_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&[u8]]) -> Result<Vec<String>, String> {
        let mut lines = Lines::new(10);
        let mut all = Vec::new();
        for piece in pieces {
            all.extend(lines.push(piece)?);
        }
        all.extend(lines.end()?);
        Ok(all.into_iter().map(|line| String::from_utf8(line).unwrap()).collect())
    }

    #[test]
    fn lines_are_cut_wherever_the_reads_are() {
        let whole = "a\n\nbc\r\n\u{fc}\nlast".as_bytes();
        for at in 0..whole.len() {
            let (first, second) = whole.split_at(at);
            assert_eq!(cut(&[first, second]).unwrap(), ["a", "", "bc", "\u{fc}", "last"], "{at}");
        }
    }

    #[test]
    fn a_line_may_be_as_long_as_a_message_and_no_longer() {
        assert_eq!(cut(&[b"0123456789\r\n"]).unwrap(), ["0123456789"]);
        let error = "line 2 of the input is longer than --max-message, 10 bytes";
        assert_eq!(cut(&[b"a\n0123456789a\n"]).unwrap_err(), error);
        assert_eq!(cut(&[b"a\n012345", b"6789", b"0123"]).unwrap_err(), error);
        assert_eq!(cut(&[b"a\n0123456789a"]).unwrap_err(), error);
    }

    #[test]
    fn a_line_that_is_not_utf8_is_named() {
        let error = "line 2 of the input is not UTF-8 at byte 1; --binary sends bytes as they are";
        assert_eq!(cut(&[b"a\nb\xff\n"]).unwrap_err(), error);
    }
}
