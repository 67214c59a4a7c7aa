//! The command in a terminal: a pseudo terminal, and a screen that shows what a person would see.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Stdio};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::PATIENCE;

pub(crate) struct Terminal {
    master: File,
    pub(crate) child: Child,
    parser: vt100::Parser,
    /// Everything that was written to it.
    pub(crate) written: Vec<u8>,
}

impl Terminal {
    /// 80 columns and 24 rows.
    pub(crate) fn new(arguments: &[&str]) -> Terminal {
        Terminal::with(arguments, "")
    }

    pub(crate) fn with(arguments: &[&str], no_color: &str) -> Terminal {
        // The commands of other tests must not inherit it: the end would not be seen.
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        unlockpt(&master).unwrap();
        tcsetwinsize(&master, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let mut command = super::linkspan(arguments);
        let stdio = || Stdio::from(slave.try_clone().unwrap());
        command.stdin(stdio()).stdout(stdio()).stderr(stdio()).env("NO_COLOR", no_color);
        Terminal {
            child: command.spawn().unwrap(),
            master: master.into(),
            parser: vt100::Parser::new(24, 80, 0),
            written: Vec::new(),
        }
    }

    pub(crate) fn type_in(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// The lines of the screen, without empty ones at the end.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.parser.screen().contents().lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Waits until the screen's last lines are these.
    pub(crate) fn wait_for(&mut self, last: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let lines = self.lines();
            if lines.len() >= last.len() && lines[lines.len() - last.len()..] == *last {
                return;
            }
            let is_there = self.read(deadline, || format!("waited for {last:#?}, but the screen shows {lines:#?}"));
            assert!(is_there, "waited for {last:#?}, but the command has ended: {:#?}", self.lines());
        }
    }

    /// Waits for the end. The status, the screen and what was written; the terminal is as it was before.
    pub(crate) fn finish(mut self) -> (Option<i32>, Vec<String>, Vec<u8>) {
        let deadline = Instant::now() + PATIENCE;
        let lines = self.lines();
        while self.read(deadline, || format!("waited for the end; the screen shows {lines:#?}")) {}
        let status = self.child.wait().unwrap();
        let mode = tcgetattr(&self.master).unwrap();
        assert!(mode.local_modes.contains(LocalModes::ICANON | LocalModes::ECHO), "the terminal was left raw");
        let lines = self.lines();
        (status.code(), lines, std::mem::take(&mut self.written))
    }

    /// Reads what was written; false once the command has ended, and nothing is left.
    fn read(&mut self, deadline: Instant, why: impl FnOnce() -> String) -> bool {
        let left = deadline.saturating_duration_since(Instant::now()).as_millis() as i32;
        let timeout = PollTimeout::try_from(left).unwrap();
        let readable = poll(&mut [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)], timeout).unwrap();
        assert!(readable > 0, "{}", why());
        let mut buffer = [0; 4096];
        match self.master.read(&mut buffer) {
            Ok(n) => {
                self.parser.process(&buffer[..n]);
                self.written.extend_from_slice(&buffer[..n]);
                true
            }
            // EIO: nobody has it open any more.
            Err(_) => false,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
