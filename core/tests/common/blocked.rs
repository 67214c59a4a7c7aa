//! The blocking driver as an endpoint: a WebSocket over a socket, and a thread that is its peer.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use linkspan::Error;
use linkspan::blocking::{Received, WebSocket};
use linkspan::net::EventLoop;
use linkspan::protocol::MessageKind;
use linkspan::transport::{Socket, Transport};

use super::by_hand;
use super::play::{Cut, Endpoint, Prelude};
use super::settings;
use super::wire::{Case, Command, Need, Told};

pub struct Blocked {
    websocket: WebSocket,
    peer: UnixStream,
    /// Bytes of the peer's; nothing is the end of them.
    input: mpsc::Sender<Option<Vec<u8>>>,
    threads: Vec<JoinHandle<()>>,
    output: Arc<Mutex<Output>>,
    is_opened: bool,
    is_over: bool,
    quiet_since: Instant,
}

#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    has_ended: bool,
}

/// It waits itself, so that a script must neither pause nor answer for it.
pub fn can() -> Vec<Need> {
    by_hand::can().into_iter().filter(|need| *need == Need::Deflate).collect()
}

impl Blocked {
    pub fn new(case: &Case, _: Cut, prelude: Prelude) -> Blocked {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let output = Arc::<Mutex<Output>>::default();
        let mut stream = theirs.try_clone().unwrap();
        let shared = Arc::clone(&output);
        // A peer that reads all, and ends its half when we have ended ours.
        let reader = thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                shared.lock().unwrap().bytes.extend_from_slice(&buffer[..n]);
            }
            shared.lock().unwrap().has_ended = true;
            let _ = stream.shutdown(Shutdown::Write);
        });
        let mut stream = theirs.try_clone().unwrap();
        let (input, pieces) = mpsc::channel::<Option<Vec<u8>>>();
        let writer = thread::spawn(move || {
            for piece in pieces {
                // Once it is over, nobody reads.
                let _ = match piece {
                    Some(bytes) => stream.write_all(&bytes),
                    None => stream.shutdown(Shutdown::Write),
                };
            }
        });
        let now = EventLoop::new().unwrap().context().now();
        let transport = Transport::plain(Socket::try_from(ours).unwrap());
        let websocket = WebSocket::new(transport, settings::engine(case, prelude, now), Vec::new()).unwrap();
        Blocked {
            websocket,
            peer: theirs,
            input,
            threads: vec![reader, writer],
            output,
            is_opened: false,
            is_over: false,
            quiet_since: Instant::now(),
        }
    }

    fn hear(&mut self, timeout: Duration) -> Option<Told> {
        let received = match self.websocket.recv_event(Some(timeout)) {
            Ok(received) => received,
            // Told once, and then it is over.
            Err(Error::Fault(_)) => Received::Closed,
            Err(error) => panic!("{error}"),
        };
        Some(match received {
            Received::Message(message) => {
                Told::Message { is_text: message.kind == MessageKind::Text, data: message.data.to_vec() }
            }
            Received::MessageBegin(kind) => Told::Begin { is_text: kind == MessageKind::Text },
            Received::MessagePart(data) => Told::Part(data),
            Received::MessageEnd => Told::End,
            Received::Ping(data) => Told::Ping(data),
            Received::Pong(data) => Told::Pong(data),
            Received::CloseRequested => {
                let info = self.websocket.close_info().unwrap();
                Told::CloseRequested { code: info.code.as_u16(), reason: info.reason }
            }
            Received::Closed => {
                self.is_over = true;
                settings::closed(&self.websocket.close_info().unwrap())
            }
            Received::TimedOut => return None,
        })
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        self.websocket.abort();
        let _ = self.peer.shutdown(Shutdown::Both);
        self.input = mpsc::channel().0;
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

impl Endpoint for Blocked {
    fn receive(&mut self, bytes: &[u8]) {
        self.input.send(Some(bytes.to_vec())).unwrap();
        self.quiet_since = Instant::now();
    }

    fn end_of_input(&mut self) {
        self.input.send(None).unwrap();
        self.quiet_since = Instant::now();
    }

    fn command(&mut self, command: &Command) -> Result<(), String> {
        self.quiet_since = Instant::now();
        let done = match command {
            Command::Send { is_text, data } => self.websocket.send(settings::kind(*is_text), data),
            Command::Fragment { is_text, fin, data } => {
                self.websocket.send_fragment(settings::kind(*is_text), data, *fin)
            }
            Command::Ping(data) => self.websocket.ping(data),
            Command::Pong(data) => self.websocket.pong(data),
            Command::Accept { .. }
            | Command::Reject { .. }
            | Command::Close { .. }
            | Command::Abort
            | Command::Pause
            | Command::Resume => panic!("{command:?} is not for a driver that waits"),
        };
        done.map_err(|error| match error {
            Error::Misuse(misuse) => settings::name(&misuse),
            other => other.to_string(),
        })
    }

    fn turn(&mut self, told: &mut Vec<Told>, output: &mut Vec<u8>, more_is_expected: bool) -> bool {
        let before = (told.len(), output.len());
        if !std::mem::replace(&mut self.is_opened, true) {
            told.push(Told::Open);
        }
        let mut timeout = Duration::from_millis(if more_is_expected { 1 } else { 0 });
        while !self.is_over
            && let Some(one) = self.hear(timeout)
        {
            timeout = Duration::ZERO;
            told.push(one);
        }
        output.append(&mut self.output.lock().unwrap().bytes);
        if before != (told.len(), output.len()) {
            self.quiet_since = Instant::now();
        }
        self.quiet_since.elapsed() < Duration::from_secs(5)
    }

    fn shutdown(&mut self) -> Option<&'static str> {
        // A fault is told once the stream has ended; after a close of the peer's that is the caller's affair.
        if self.output.lock().unwrap().has_ended { Some("ended") } else { None }
    }

    fn ask(&mut self, what: &str) -> Option<String> {
        match what {
            "unread" | "phase" => None,
            _ => self.websocket.ask(|engine| by_hand::ask(engine, what)),
        }
    }

    fn lost(&mut self) {
        panic!("a socket pair cannot break");
    }

    fn wait(&mut self, _: u64) {
        panic!("the driver's clock cannot be turned");
    }

    fn stall(&mut self, _: bool) {
        panic!("a socket pair takes what it takes");
    }

    fn timer(&mut self) -> Option<u64> {
        panic!("the driver's clock cannot be turned");
    }
}
