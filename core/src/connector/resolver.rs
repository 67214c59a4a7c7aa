//! [`Resolve`]: names to addresses, without waiting.

use std::collections::VecDeque;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::error::Error;
use crate::thread;

/// Takes the addresses, from whatever thread has them.
pub type Answer = Box<dyn FnOnce(Result<Vec<SocketAddr>, Error>) + Send>;

/// Turns names into addresses. Never waits: the answer comes by a call, at once or later, from any
/// thread, exactly once.
pub trait Resolve: Send + Sync + fmt::Debug {
    /// Finds the addresses of `host`, best first, all with this port. An address in numbers never
    /// comes here.
    fn resolve(&self, host: &str, port: u16, answer: Answer);
}

/// The system's resolver (`getaddrinfo`), which waits, on a few threads that end when idle.
#[derive(Debug)]
pub struct SystemResolver {
    shared: Arc<Mutex<Shared>>,
}

impl SystemResolver {
    /// One with threads of its own.
    pub fn new() -> SystemResolver {
        SystemResolver { shared: Arc::default() }
    }

    /// The one that is used where no other is given.
    pub fn shared() -> Arc<SystemResolver> {
        static SHARED: OnceLock<Arc<SystemResolver>> = OnceLock::new();
        SHARED.get_or_init(|| Arc::new(SystemResolver::new())).clone()
    }
}

impl Default for SystemResolver {
    fn default() -> Self {
        SystemResolver::new()
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str, port: u16, answer: Answer) {
        let mut shared = lock(&self.shared);
        shared.questions.push_back(Question { host: host.to_owned(), port, answer });
        if shared.threads == MAX_THREADS {
            return;
        }
        shared.threads += 1;
        drop(shared);
        let ours = self.shared.clone();
        let started = thread::spawn("linkspan-resolver".into(), move || work(&ours));
        let Err(error) = started else { return };
        // The other threads will come to it; without any, it is answered here.
        let mut shared = lock(&self.shared);
        shared.threads -= 1;
        if shared.threads == 0
            && let Some(question) = shared.questions.pop_back()
        {
            drop(shared);
            let why = format!("no thread to ask in: {error}");
            (question.answer)(Err(Error::Resolve { host: question.host, why }));
        }
    }
}

/// Most names asked for at once; the others wait in turn.
const MAX_THREADS: usize = 4;

#[derive(Default)]
struct Shared {
    questions: VecDeque<Question>,
    threads: usize,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} questions, {} threads", self.questions.len(), self.threads)
    }
}

struct Question {
    host: String,
    port: u16,
    answer: Answer,
}

fn work(shared: &Mutex<Shared>) {
    loop {
        let question = {
            let mut shared = lock(shared);
            let Some(question) = shared.questions.pop_front() else {
                // Under the same lock: whoever asks next sees either this thread or its place free.
                shared.threads -= 1;
                return;
            };
            question
        };
        let Question { host, port, answer } = question;
        let addresses = (host.as_str(), port).to_socket_addrs().map(Vec::from_iter);
        answer(match addresses {
            Ok(addresses) if addresses.is_empty() => Err(Error::Resolve { host, why: "it has no address".into() }),
            Ok(addresses) => Ok(addresses),
            Err(error) => Err(Error::Resolve { host, why: reason(&error.to_string()) }),
        });
    }
}

/// What the system says, without what std says about saying it.
fn reason(text: &str) -> String {
    text.strip_prefix("failed to lookup address information: ").unwrap_or(text).to_owned()
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn every_question_is_answered_once_though_threads_are_few() {
        let resolver = SystemResolver::new();
        let (sender, receiver) = mpsc::channel();
        for port in 0..50 {
            let sender = sender.clone();
            let answer = move |found: Result<Vec<SocketAddr>, Error>| sender.send((port, found)).unwrap();
            resolver.resolve("localhost", port, Box::new(answer));
        }
        drop(sender);
        let mut ports: Vec<u16> = receiver
            .iter()
            .map(|(port, found)| {
                assert!(found.unwrap().iter().all(|address| address.ip().is_loopback() && address.port() == port));
                port
            })
            .collect();
        ports.sort_unstable();
        assert_eq!(ports, Vec::from_iter(0..50));
    }

    #[test]
    fn a_name_without_address_is_an_error_that_names_it() {
        let (sender, receiver) = mpsc::channel();
        SystemResolver::new().resolve("no.such.name.invalid", 80, Box::new(move |found| sender.send(found).unwrap()));
        let error = receiver.recv().unwrap().unwrap_err();
        assert!(error.to_string().starts_with("cannot resolve no.such.name.invalid: "), "{error}");
    }
}
