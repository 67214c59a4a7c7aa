//! [`Resolve`]: names to addresses, without waiting.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::thread;

/// Takes the addresses, from whatever thread has them.
pub type Answer = Box<dyn FnOnce(Result<Vec<SocketAddr>, Error>) + Send>;

/// A name whose addresses are wanted.
pub struct Question {
    /// The name; an address in numbers is never asked for.
    pub host: String,
    /// The port that the addresses are to have.
    pub port: u16,
    /// To be called once, with the addresses, best first, or with the failure. Whoever drops it leaves the
    /// question to its deadline.
    pub answer: Answer,
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Question({:?}, {})", self.host, self.port)
    }
}

/// The answer to one question, for [`Connecting::resolved`](super::Connecting::resolved).
pub struct Found {
    pub(super) question: u64,
    pub(super) addresses: Result<Vec<SocketAddr>, Error>,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Found({:?})", self.addresses)
    }
}

/// Turns names into addresses. Never waits: the answer comes by a call, at once or later, from any
/// thread, exactly once.
pub trait Resolve: Send + Sync + fmt::Debug {
    /// Finds the addresses of `host`, best first, all with this port. An address in numbers never
    /// comes here.
    fn resolve(&self, host: &str, port: u16, answer: Answer);
}

/// The system's resolver (`getaddrinfo`), which waits, on a few threads that end when idle.
///
/// Four names are asked for at once; the others wait in turn. A lookup that has taken 10 s hangs, and no longer
/// counts: the next question gets a thread of its own in its place, up to 64 threads in all. When all of them hang,
/// names wait until one comes back. A name that has waited for its turn for 10 s is told so and not asked for: its
/// asker has given it up.
#[derive(Debug)]
pub struct SystemResolver {
    shared: Arc<Shared>,
}

impl SystemResolver {
    /// One with threads of its own.
    pub fn new() -> SystemResolver {
        SystemResolver::with(LATE, LATE, |host, port| (host, port).to_socket_addrs().map(Vec::from_iter))
    }

    /// The one that is used where no other is given.
    pub fn shared() -> Arc<SystemResolver> {
        static SHARED: OnceLock<Arc<SystemResolver>> = OnceLock::new();
        SHARED.get_or_init(|| Arc::new(SystemResolver::new())).clone()
    }

    fn with(
        late: Duration,
        patience: Duration,
        lookup: impl Fn(&str, u16) -> Addresses + Send + Sync + 'static,
    ) -> SystemResolver {
        let (pool, lookup) = (Mutex::default(), Box::new(lookup));
        SystemResolver { shared: Arc::new(Shared { pool, late, patience, lookup }) }
    }
}

impl Default for SystemResolver {
    fn default() -> Self {
        SystemResolver::new()
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str, port: u16, answer: Answer) {
        let question = Question { host: host.to_owned(), port, answer };
        let mut pool = self.shared.pool();
        if pool.questions.len() >= MAX_QUESTIONS {
            drop(pool);
            return question.fail(format!("{MAX_QUESTIONS} other names wait for the system's resolver"));
        }
        pool.questions.push_back((Instant::now(), question));
        if pool.active(self.shared.late) >= MAX_ACTIVE || pool.threads >= MAX_THREADS {
            return;
        }
        pool.threads += 1;
        drop(pool);
        let ours = self.shared.clone();
        let started = thread::spawn("linkspan-resolver".into(), move || ours.work());
        let Err(error) = started else { return };
        // The other threads will come to it; without any, it is answered here.
        let mut pool = self.shared.pool();
        pool.threads -= 1;
        if pool.threads == 0
            && let Some((_, question)) = pool.questions.pop_back()
        {
            drop(pool);
            question.fail(format!("no thread to ask in: {error}"));
        }
    }
}

/// Most names asked for at once, those that hang not counted.
const MAX_ACTIVE: usize = 4;
/// Most threads, those of lookups that hang among them.
const MAX_THREADS: usize = 64;
/// Most names that wait for their turn.
const MAX_QUESTIONS: usize = 1024;
/// From when on a lookup hangs, and a name has waited too long: the resolve timeout's default.
const LATE: Duration = Duration::from_secs(10);

type Addresses = io::Result<Vec<SocketAddr>>;
type Lookup = dyn Fn(&str, u16) -> Addresses + Send + Sync;

struct Shared {
    pool: Mutex<Pool>,
    /// From when on a lookup hangs.
    late: Duration,
    /// From when on a name has waited too long.
    patience: Duration,
    lookup: Box<Lookup>,
}

#[derive(Default)]
struct Pool {
    /// Those that wait, with the moments they came.
    questions: VecDeque<(Instant, Question)>,
    threads: usize,
    /// When each thread began that is being answered; a thread between two questions is not among them.
    lookups: Vec<(u64, Instant)>,
    /// For the next lookup.
    number: u64,
}

impl Pool {
    /// Threads that are at work and do not hang.
    fn active(&self, late: Duration) -> usize {
        let hanging = self.lookups.iter().filter(|(_, since)| since.elapsed() >= late).count();
        self.threads - hanging
    }
}

impl Shared {
    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread's life: as long as there are questions, and no others have taken its place.
    fn work(&self) {
        loop {
            let mut pool = self.pool();
            let is_surplus = pool.active(self.late) > MAX_ACTIVE;
            let next = if is_surplus { None } else { pool.questions.pop_front() };
            let Some((since, question)) = next else {
                // Under the same lock: whoever asks next sees either this thread or its place free.
                pool.threads -= 1;
                return;
            };
            let number = pool.number;
            pool.number += 1;
            pool.lookups.push((number, Instant::now()));
            drop(pool);
            if since.elapsed() < self.patience {
                self.answer(question);
            } else {
                question.fail(format!("its turn did not come for {} s", self.patience.as_secs_f64()));
            }
            self.pool().lookups.retain(|(other, _)| *other != number);
        }
    }

    fn answer(&self, question: Question) {
        match (self.lookup)(&question.host, question.port) {
            Ok(addresses) if addresses.is_empty() => question.fail("it has no address".into()),
            Ok(addresses) => (question.answer)(Ok(addresses)),
            Err(error) => question.fail(reason(&error.to_string())),
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pool = self.pool();
        write!(f, "{} questions, {} threads", pool.questions.len(), pool.threads)
    }
}

impl Question {
    fn fail(self, why: String) {
        (self.answer)(Err(Error::Resolve { host: self.host, why }));
    }
}

/// What the system says, without what std says about saying it.
fn reason(text: &str) -> String {
    text.strip_prefix("failed to lookup address information: ").unwrap_or(text).to_owned()
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

    /// A resolver whose names that begin with `hang` hang until the sender is dropped.
    fn hanging(late: Duration, patience: Duration) -> (SystemResolver, mpsc::Sender<()>) {
        let (release, hold) = mpsc::channel::<()>();
        let hold = Mutex::new(hold);
        let resolver = SystemResolver::with(late, patience, move |host, port| {
            if host.starts_with("hang") {
                let _ = hold.lock().unwrap_or_else(PoisonError::into_inner).recv();
            }
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
        });
        (resolver, release)
    }

    fn ask(resolver: &SystemResolver, host: &str) -> mpsc::Receiver<Result<Vec<SocketAddr>, Error>> {
        let (sender, receiver) = mpsc::channel();
        resolver.resolve(host, 80, Box::new(move |found| drop(sender.send(found))));
        receiver
    }

    #[test]
    fn lookups_that_hang_stop_the_others_for_a_while_and_not_for_ever() {
        let (resolver, release) = hanging(Duration::from_millis(50), Duration::from_millis(50));
        let hung: Vec<_> = (0..MAX_ACTIVE).map(|_| ask(&resolver, "hang.example")).collect();
        // All places are taken: this one waits, and nobody comes for it before it is too late.
        let waiting = ask(&resolver, "a.example");
        waiting.recv_timeout(Duration::from_millis(100)).unwrap_err();
        // Those four count no longer.
        let next = ask(&resolver, "b.example");
        assert!(next.recv().unwrap().is_ok());
        let error = waiting.recv().unwrap().unwrap_err().to_string();
        assert_eq!(error, "cannot resolve a.example: its turn did not come for 0.05 s");
        // What hung is answered after all, and the threads end.
        drop(release);
        assert!(hung.into_iter().all(|answer| answer.recv().unwrap().is_ok()));
        while resolver.shared.pool().threads > 0 {
            std::thread::yield_now();
        }
        assert!(resolver.shared.pool().lookups.is_empty());
    }

    #[test]
    fn threads_and_questions_are_bounded_though_everything_hangs() {
        let (resolver, release) = hanging(Duration::ZERO, Duration::MAX);
        let lookups = || resolver.shared.pool().lookups.len();
        let mut hung = Vec::new();
        while lookups() < MAX_THREADS {
            let before = lookups();
            hung.push(ask(&resolver, "hang.example"));
            while lookups() == before {
                std::thread::yield_now();
            }
        }
        hung.extend((0..MAX_QUESTIONS).map(|_| ask(&resolver, "hang.example")));
        assert_eq!((lookups(), resolver.shared.pool().threads), (MAX_THREADS, MAX_THREADS));
        let error = ask(&resolver, "a.example").recv().unwrap().unwrap_err().to_string();
        assert_eq!(error, "cannot resolve a.example: 1024 other names wait for the system's resolver");
        drop(release);
        assert!(hung.into_iter().all(|answer| answer.recv().unwrap().is_ok()));
    }
}
