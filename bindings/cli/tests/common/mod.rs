//! The real command, run against itself and against servers made here.
#![allow(clippy::unwrap_used, dead_code, reason = "a test fails by panicking; not every test needs all")]

pub(crate) mod certificates;
pub(crate) mod terminal;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use linkspan::net::{Handler, Listener, Server, ServerOptions};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The command with these arguments.
pub(crate) fn linkspan(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linkspan"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).env("TERM", "xterm");
    command
}

/// Runs the command to its end with this input.
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Done {
    let mut child = linkspan(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // It may end before it has read all.
    thread::spawn(move || drop(stdin.write_all(&input)));
    finish(child)
}

/// Waits for the end.
pub(crate) fn finish(child: Child) -> Done {
    let id = Pid::from_raw(child.id() as i32);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(PATIENCE) {
        Ok(output) => Done::new(output.unwrap()),
        Err(_) => {
            kill(id, Signal::SIGKILL).unwrap();
            panic!("the command does not end: {:?}", Done::new(receiver.recv().unwrap().unwrap()));
        }
    }
}

/// Writes until nothing more is taken for two seconds; how much was taken. Writes block again afterwards.
pub(crate) fn write_until_stalled(stdin: &mut ChildStdin, data: &[u8]) -> usize {
    fcntl(&*stdin, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut written = 0;
    while written < data.len() {
        match stdin.write(&data[written..]) {
            Ok(n) => written += n,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                if poll(&mut [PollFd::new(stdin.as_fd(), PollFlags::POLLOUT)], 2000_u16).unwrap() == 0 {
                    break;
                }
            }
        }
    }
    fcntl(&*stdin, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    written
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: Option<i32>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    fn new(output: Output) -> Done {
        Done {
            status: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            bytes: output.stdout,
        }
    }
}

/// `linkspan echo` or `serve-topics`, killed at the latest when dropped.
pub(crate) struct Served {
    pub(crate) child: Option<Child>,
    pub(crate) url: String,
}

impl Served {
    /// Starts it on a free port, unless the arguments say where.
    pub(crate) fn new(arguments: &[&str]) -> Served {
        let mut all = arguments.to_vec();
        if !arguments.contains(&"--unix") {
            all.extend(["--listen", "127.0.0.1:0"]);
        }
        let mut child = linkspan(&all).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(url) = line.trim().strip_prefix("listening on ") else {
            panic!("{line:?} {:?}", finish(child));
        };
        Served { url: url.to_owned(), child: Some(child) }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.as_ref().unwrap().id() as i32), signal).unwrap();
    }

    /// Its standard error, line by line.
    pub(crate) fn log(&mut self) -> BufReader<ChildStderr> {
        BufReader::new(self.child.as_mut().unwrap().stderr.take().unwrap())
    }

    pub(crate) fn finish(mut self) -> Done {
        finish(self.child.take().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A server with a handler of the test's own.
pub(crate) fn server(handler: impl Handler + Clone + 'static) -> (Server, String) {
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    let server = Server::start(listener, ServerOptions::default(), |_| Box::new(handler.clone())).unwrap();
    let url = format!("ws://{}/", server.addresses()[0]);
    (server, url)
}

/// A server that answers the first request with these bytes; the URL, and what was asked.
pub(crate) fn answering(answer: impl Into<String>) -> (String, mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel();
    let answer = answer.into();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let _ = sender.send(String::from_utf8(head).unwrap());
        stream.write_all(answer.as_bytes()).unwrap();
        // Stays until the client goes.
        let _ = stream.read(&mut [0]);
    });
    (url, receiver)
}

/// An HTTP proxy for one connection; its URL, and what it was asked.
pub(crate) fn proxy() -> (String, mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://me:secret@{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let target = head.split(' ').nth(1).unwrap();
        let mut server = std::net::TcpStream::connect(target).unwrap();
        sender.send(head).unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || drop(std::io::copy(&mut from, &mut to)));
        let _ = std::io::copy(&mut server, &mut client);
    });
    (url, receiver)
}

/// A folder of the test's own, gone when dropped.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("linkspan-cli-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    /// A file in it with this text; its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
