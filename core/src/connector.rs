//! [`Connecting`]: from a URL to a stream on which the opening handshake can begin, without waiting.
//!
//! ```text
//!   Asking ── resolved ──► Racing ── one socket is connected ──► Going ── TLS, proxy, TLS ──► Connected
//!     │                     │  ▲ each address, the next one at     │ only what the URL and the
//!     │                     └──┘ once after a failure, or beside   │ proxy ask for
//!     │                          the last one after 250 ms         │
//!     └── no address, none answers, a refusal, a deadline ─────────┴────────────────────────► Failed
//! ```
//!
//! Each phase has a deadline of its own, and all of them one together. It knows no poll and belongs to no driver:
//! whoever drives it watches the sockets that it names and calls [`Connecting::next_step`] whenever anything may
//! have changed.

mod options;
mod proxies;
mod race;
mod reconnect;
mod redirect;
mod resolver;
mod route;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use socket2::SockAddr;

pub use self::options::ConnectOptions;
use self::options::deadline;
pub use self::proxies::ProxyChoice;
use self::race::{Lap, Race};
pub use self::reconnect::Reconnect;
pub(crate) use self::reconnect::{is_error_final, is_final, retry_after};
pub(crate) use self::redirect::follow;
pub use self::resolver::{Answer, Found, Question, Resolve, SystemResolver};
use self::route::{Ends, Leg, Route, authority};
use crate::error::Error;
use crate::protocol::handshake::{Proxy, ProxyKind};
use crate::protocol::{Engine, Misuse, Time};
use crate::tls::ClientTls;
use crate::transport::Transport;

/// What to do for a [`Connecting`] next.
#[derive(Debug)]
pub enum Step {
    /// Call [`Connecting::resolve`], and [`Connecting::resolved`] with what it answers.
    Resolve,
    /// Watch [`Connecting::newest`] for both directions too; those named before stay watched.
    Watch,
    /// Nothing: wait for readiness, an answer, or the deadline.
    Wait,
    /// Here is the stream to the server, and what was read from it already; all other sockets are gone. It may have
    /// more to read, whatever its readiness has said.
    Connected(Transport, Vec<u8>),
    /// It is over.
    Failed(Error),
}

/// A client connection on its way to a stream, with the engine that waits for it.
#[derive(Debug)]
pub struct Connecting {
    options: ConnectOptions,
    engine: Engine,
    phase: Phase,
    /// Which question is asked now: an answer to another one is too late.
    question: u64,
    /// Through whom. Known once it has begun.
    proxy: Option<Proxy>,
    /// The server's address, where the proxy wants that instead of a name.
    address: Option<String>,
    /// When the phase is given up, and after how long it is then…
    phase_deadline: Time,
    phase_timeout: Duration,
    /// …and when all is.
    deadline: Time,
}

#[derive(Debug)]
enum Phase {
    /// Nothing before this moment.
    Waiting(Time),
    Asking(Place),
    Answered(Place, Result<Vec<SocketAddr>, Error>),
    Racing(Race),
    Going(Box<Route>),
    Over(Option<Error>),
}

/// Whose addresses are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Server,
    Proxy,
}

impl Connecting {
    /// Nothing happens before the first [`Connecting::next_step`], nor before `at`: that is now, or later. Fails when
    /// the URL wants TLS and the trust for it cannot be had.
    pub fn new(mut options: ConnectOptions, engine: Engine, at: Time) -> Result<Connecting, Error> {
        if options.uri.is_secure && options.tls.is_none() {
            options.tls = Some(ClientTls::system()?);
        }
        let deadline = deadline(at, options.connect_timeout);
        Ok(Connecting {
            options,
            engine,
            phase: Phase::Waiting(at),
            question: 0,
            proxy: None,
            address: None,
            phase_deadline: deadline,
            phase_timeout: Duration::ZERO,
            deadline,
        })
    }

    /// Goes as far as it can. Call it at the start, when a watched socket is ready, when
    /// [`Connecting::next_timeout`] has come, and after [`Connecting::resolved`] or
    /// [`Connecting::abort`]; once too often does no harm.
    pub fn next_step(&mut self, now: Time) -> Step {
        loop {
            match self.advance(now) {
                Ok(Some(step)) => return step,
                Ok(None) => {}
                Err(error) => self.give_up(error),
            }
        }
    }

    /// One change of phase, or a step for the driver.
    fn advance(&mut self, now: Time) -> Result<Option<Step>, Error> {
        if now >= self.phase_deadline.min(self.deadline)
            && let Some(error) = self.timed_out(now)
        {
            return Err(error);
        }
        match &mut self.phase {
            Phase::Waiting(at) if now < *at => Ok(Some(Step::Wait)),
            Phase::Waiting(_) => self.begin(now),
            Phase::Asking(_) => Ok(Some(Step::Wait)),
            Phase::Answered(place, found) => {
                let (place, found) = (*place, std::mem::replace(found, Ok(Vec::new())));
                self.answered(place, found, now)
            }
            Phase::Racing(race) => match race.go_on(now) {
                Lap::Began => Ok(Some(Step::Watch)),
                Lap::Wait => Ok(Some(Step::Wait)),
                Lap::Won(socket) => {
                    let route = Route::new(socket, &self.ends())?;
                    self.go(route, now);
                    Ok(None)
                }
                Lap::Lost(error) => Err(error),
            },
            Phase::Going(_) => self.go_on(now),
            Phase::Over(error) => Ok(Some(Step::Failed(error.take().unwrap_or(Error::Gone)))),
        }
    }

    /// Asks for the addresses; `answer` is called once, perhaps on another thread, and brings them to
    /// [`Connecting::resolved`].
    pub fn resolve(&self, answer: Box<dyn FnOnce(Found) + Send>) {
        self.ask(self.question(answer));
    }

    /// The same for whoever wants to answer himself.
    pub fn question(&self, answer: Box<dyn FnOnce(Found) + Send>) -> Question {
        let question = self.question;
        let (host, port) = self.asked();
        let answer = Box::new(move |addresses| answer(Found { question, addresses }));
        Question { host: host.to_owned(), port, answer }
    }

    /// Has a question answered by the resolver of the options, or by the system.
    pub fn ask(&self, Question { host, port, answer }: Question) {
        match &self.options.resolver {
            Some(resolver) => resolver.resolve(&host, port, answer),
            None => SystemResolver::shared().resolve(&host, port, answer),
        }
    }

    /// The addresses have come, or there are none. An answer that is too late, or another connection's, changes
    /// nothing.
    pub fn resolved(&mut self, found: Found) {
        if let Phase::Asking(place) = self.phase
            && found.question == self.question
        {
            self.phase = Phase::Answered(place, found.addresses);
        }
    }

    /// Ends it: the next step is `Failed`.
    pub fn abort(&mut self) {
        self.give_up(Error::Misuse(Misuse::Closed));
    }

    /// The socket to watch after [`Step::Watch`].
    pub fn newest(&self) -> Option<BorrowedFd<'_>> {
        self.watched().last()
    }

    /// All sockets to watch, oldest first.
    pub fn watched(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let (race, route) = match &self.phase {
            Phase::Racing(race) => (Some(race), None),
            Phase::Going(route) => (None, Some(route)),
            Phase::Waiting(_) | Phase::Asking(_) | Phase::Answered(..) | Phase::Over(_) => (None, None),
        };
        race.into_iter().flat_map(Race::watched).chain(route.and_then(|route| route.fd()))
    }

    /// Whether readability counts: a peer speaks with us.
    pub fn awaits_input(&self) -> bool {
        matches!(self.phase, Phase::Going(_))
    }

    /// Whether writability counts: a socket connects, or takes no more for now.
    pub fn awaits_output(&self) -> bool {
        match &self.phase {
            Phase::Racing(_) => true,
            Phase::Going(route) => route.awaits_output(),
            Phase::Waiting(_) | Phase::Asking(_) | Phase::Answered(..) | Phase::Over(_) => false,
        }
    }

    /// When [`Connecting::next_step`] is to be called at the latest.
    pub fn next_timeout(&self) -> Option<Time> {
        let beside = match &self.phase {
            Phase::Racing(race) => race.next_timeout(),
            Phase::Waiting(at) => Some(*at),
            Phase::Over(_) => Some(Time::ZERO),
            Phase::Asking(_) | Phase::Answered(..) | Phase::Going(_) => None,
        };
        let deadline = self.phase_deadline.min(self.deadline);
        Some(beside.map_or(deadline, |beside| beside.min(deadline)))
    }

    /// The engine that waits.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine that waits.
    pub fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// The engine, for the connection.
    pub fn into_engine(self) -> Engine {
        self.engine
    }

    /// What was asked for.
    pub fn options(&self) -> &ConnectOptions {
        &self.options
    }

    fn begin(&mut self, now: Time) -> Result<Option<Step>, Error> {
        let uri = &self.options.uri;
        if let Some(path) = &uri.unix_path {
            let address = SockAddr::unix(path).map_err(|error| Error::io(format!("connect to {path}"), error))?;
            self.race(Race::to(address, now), now);
            return Ok(None);
        }
        self.proxy = self.options.proxy.proxy_for(uri)?;
        match self.proxy.as_ref().map(|proxy| proxy.kind) {
            // Its name is ours to resolve.
            Some(ProxyKind::Socks5) => self.find(Place::Server, now),
            Some(ProxyKind::Http | ProxyKind::Https | ProxyKind::Socks5Host) => self.find(Place::Proxy, now),
            None => self.find(Place::Server, now),
        }
    }

    /// Looks for somebody's addresses; one in numbers needs no resolver.
    fn find(&mut self, place: Place, now: Time) -> Result<Option<Step>, Error> {
        self.phase = Phase::Asking(place);
        let (host, port) = self.asked();
        if let Ok(ip) = host.parse::<IpAddr>() {
            return self.answered(place, Ok(vec![SocketAddr::new(ip, port)]), now);
        }
        self.question = QUESTIONS.fetch_add(1, Ordering::Relaxed);
        self.allow(self.options.resolve_timeout, now);
        Ok(Some(Step::Resolve))
    }

    fn answered(
        &mut self,
        place: Place,
        found: Result<Vec<SocketAddr>, Error>,
        now: Time,
    ) -> Result<Option<Step>, Error> {
        let addresses = found?;
        let Some(best) = addresses.first() else {
            return Err(Error::Resolve { host: self.asked().0.to_owned(), why: "it has no address".into() });
        };
        if place == Place::Server && self.proxy.is_some() {
            self.address = Some(best.ip().to_string());
            return self.find(Place::Proxy, now);
        }
        self.race(Race::between(&addresses, place == Place::Proxy, now), now);
        Ok(None)
    }

    fn race(&mut self, race: Race, now: Time) {
        self.phase = Phase::Racing(race);
        self.allow(self.options.tcp_timeout, now);
    }

    fn go(&mut self, route: Route, now: Time) {
        self.allow(
            match route.leg() {
                Leg::ProxyTls | Leg::ServerTls => self.options.tls_timeout,
                Leg::Tunnel(_) => self.options.proxy_timeout,
                Leg::Done => Duration::ZERO,
            },
            now,
        );
        self.phase = Phase::Going(Box::new(route));
    }

    fn go_on(&mut self, now: Time) -> Result<Option<Step>, Error> {
        let Phase::Going(mut route) = std::mem::replace(&mut self.phase, Phase::Over(None)) else { return Ok(None) };
        if matches!(route.leg(), Leg::Done) {
            let (transport, early) = route.into_stream();
            return Ok(Some(Step::Connected(transport, early)));
        }
        if route.go_on(&self.ends())? {
            let route = route.next_leg(&self.ends())?;
            self.go(route, now);
            return Ok(None);
        }
        self.phase = Phase::Going(route);
        Ok(Some(Step::Wait))
    }

    /// A phase begins.
    fn allow(&mut self, timeout: Duration, now: Time) {
        self.phase_timeout = timeout;
        self.phase_deadline = deadline(now, timeout);
    }

    fn ends(&self) -> Ends<'_> {
        Ends {
            server: &self.options.uri,
            address: self.address.as_deref(),
            proxy: self.proxy.as_ref(),
            server_tls: self.options.tls.as_ref(),
            proxy_tls: self.options.proxy_tls.as_ref(),
        }
    }

    /// Whose addresses are looked for now, or were last.
    fn asked(&self) -> (&str, u16) {
        match (&self.phase, &self.proxy) {
            (Phase::Asking(Place::Server) | Phase::Answered(Place::Server, _), _) | (_, None) => {
                (&self.options.uri.host, self.options.uri.port)
            }
            (_, Some(proxy)) => (&proxy.host, proxy.port),
        }
    }

    fn give_up(&mut self, error: Error) {
        if !matches!(self.phase, Phase::Over(Some(_))) {
            self.phase = Phase::Over(Some(error));
            self.phase_deadline = Time::from_millis(u64::MAX);
        }
    }

    /// The sentence that names the phase; none when it is over already.
    fn timed_out(&self, now: Time) -> Option<Error> {
        let limit = if now >= self.phase_deadline { self.phase_timeout } else { self.options.connect_timeout };
        let why = format!("no answer within {} s", limit.as_secs_f64());
        let (host, port) = self.asked();
        let doing = match &self.phase {
            Phase::Over(_) => return None,
            Phase::Waiting(_) | Phase::Asking(_) | Phase::Answered(..) => {
                return Some(Error::Resolve { host: host.to_owned(), why });
            }
            Phase::Racing(_) if self.proxy.is_some() => format!("connect to the proxy {}", authority(host, port)),
            Phase::Racing(_) => format!("connect to {}", authority(host, port)),
            Phase::Going(route) => match route.leg() {
                Leg::ProxyTls => format!("finish the TLS handshake with the proxy {}", self.ends().proxy_name()),
                Leg::Tunnel(_) => format!("get through the proxy {}", self.ends().proxy_name()),
                Leg::ServerTls | Leg::Done => {
                    let uri = &self.options.uri;
                    format!("finish the TLS handshake with {}", authority(&uri.host, uri.port))
                }
            },
        };
        Some(Error::io(doing, io::Error::new(io::ErrorKind::TimedOut, why)))
    }
}

/// Numbers for questions: from 1, so that 0 is none.
static QUESTIONS: AtomicU64 = AtomicU64::new(1);

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;
    use std::sync::Arc;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use socket2::{Domain, Type};

    use super::race::ATTEMPT_DELAY;
    use super::*;
    use crate::protocol::Keys;
    use crate::protocol::handshake::Uri;
    use crate::transport::Peer;

    /// Answers at once with these addresses.
    #[derive(Debug)]
    struct Fixed(Vec<SocketAddr>);

    impl Resolve for Fixed {
        fn resolve(&self, _: &str, _: u16, answer: Answer) {
            answer(Ok(self.0.clone()));
        }
    }

    fn connecting(url: &str, addresses: &[SocketAddr]) -> Connecting {
        let mut options = ConnectOptions::new(Uri::parse(url).unwrap());
        options.resolver = Some(Arc::new(Fixed(addresses.to_vec())));
        let engine = Engine::client(Arc::default(), &options.uri, &[], Keys::new([1; 32]), Time::ZERO).unwrap();
        Connecting::new(options, engine, Time::ZERO).unwrap()
    }

    /// Drives as a loop would, with the clock standing still.
    fn drive(connecting: &mut Connecting, now: Time) -> Result<Transport, Error> {
        loop {
            match connecting.next_step(now) {
                Step::Resolve => {
                    let (sender, receiver) = std::sync::mpsc::channel();
                    connecting.resolve(Box::new(move |found| sender.send(found).unwrap()));
                    connecting.resolved(receiver.recv().unwrap());
                }
                Step::Watch | Step::Wait => {
                    let newest = connecting.newest().unwrap();
                    poll(&mut [PollFd::new(newest, PollFlags::POLLOUT)], PollTimeout::NONE).unwrap();
                }
                Step::Connected(transport, early) => {
                    assert_eq!(early, b"");
                    return Ok(transport);
                }
                Step::Failed(error) => return Err(error),
            }
        }
    }

    /// What the resolver would answer to the question that is asked now.
    fn found(connecting: &Connecting, addresses: Vec<SocketAddr>) -> Found {
        Found { question: connecting.question, addresses: Ok(addresses) }
    }

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// A port that answers nothing: its queue of connections is full.
    fn silent() -> (socket2::Socket, Vec<socket2::Socket>, SocketAddr) {
        let listener = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        loop {
            let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            if socket.connect_timeout(&address, Duration::from_millis(100)).is_err() {
                return (listener, waiting, address.as_socket().unwrap());
            }
            waiting.push(socket);
        }
    }

    #[test]
    fn an_address_in_numbers_asks_no_resolver() {
        let (_listener, address) = listener();
        let mut connecting = connecting(&format!("ws://{address}/"), &[]);
        let transport = drive(&mut connecting, Time::ZERO).unwrap();
        assert_eq!(transport.peer(), Peer::Tcp(address));
    }

    #[test]
    fn the_next_address_is_tried_at_once_when_one_refuses() {
        let (closed, refusing) = listener();
        drop(closed);
        let (_listener, address) = listener();
        let mut connecting = connecting("ws://both.example/", &[refusing, address]);
        let transport = drive(&mut connecting, Time::ZERO).unwrap();
        assert_eq!(transport.peer(), Peer::Tcp(address));
    }

    #[test]
    fn the_next_address_is_tried_beside_one_that_is_silent() {
        let (_silent, _waiting, silent) = silent();
        let (_listener, address) = listener();
        let mut connecting = connecting("ws://both.example/", &[silent, address]);
        assert!(matches!(connecting.next_step(Time::ZERO), Step::Resolve));
        connecting.resolved(found(&connecting, vec![silent, address]));
        assert!(matches!(connecting.next_step(Time::ZERO), Step::Watch));
        assert_eq!(connecting.next_timeout(), Some(Time::from_millis(ATTEMPT_DELAY)));
        assert!(matches!(connecting.next_step(Time::from_millis(ATTEMPT_DELAY - 1)), Step::Wait));
        assert!(matches!(connecting.next_step(Time::from_millis(ATTEMPT_DELAY)), Step::Watch));
        // The first is slow, and has not lost.
        assert_eq!(connecting.watched().count(), 2);
        let transport = drive(&mut connecting, Time::from_millis(ATTEMPT_DELAY)).unwrap();
        assert_eq!(transport.peer(), Peer::Tcp(address));
        assert_eq!(connecting.watched().count(), 0);
    }

    #[test]
    fn silence_ends_with_the_deadline() {
        let (_silent, _waiting, silent) = silent();
        let mut connecting = connecting(&format!("ws://{silent}/"), &[]);
        assert!(matches!(connecting.next_step(Time::ZERO), Step::Watch));
        assert_eq!(connecting.next_timeout(), Some(Time::from_millis(20_000)));
        let Step::Failed(error) = connecting.next_step(Time::from_millis(20_000)) else { panic!("no end") };
        assert_eq!(error.to_string(), format!("cannot connect to {silent}: no answer within 20 s"));
    }

    #[test]
    fn a_resolver_without_answer_ends_with_the_deadline() {
        let mut connecting = connecting("ws://silent.example/", &[]);
        assert!(matches!(connecting.next_step(Time::ZERO), Step::Resolve));
        assert!(matches!(connecting.next_step(Time::from_millis(9_999)), Step::Wait));
        let Step::Failed(error) = connecting.next_step(Time::from_millis(10_000)) else { panic!("no end") };
        assert_eq!(error.to_string(), "cannot resolve silent.example: no answer within 10 s");
        connecting.resolved(found(&connecting, vec!["127.0.0.1:1".parse().unwrap()]));
        assert!(matches!(connecting.next_step(Time::from_millis(10_001)), Step::Failed(_)));
    }

    #[test]
    fn an_answer_to_another_question_is_not_heard() {
        let (_listener, address) = listener();
        let mut connecting = connecting("ws://late.example/", &[]);
        assert!(matches!(connecting.next_step(Time::ZERO), Step::Resolve));
        connecting.resolved(Found { question: connecting.question + 1_000_000, addresses: Ok(vec![address]) });
        assert!(matches!(connecting.next_step(Time::ZERO), Step::Wait));
        connecting.resolved(found(&connecting, vec![address]));
        assert!(matches!(connecting.next_step(Time::ZERO), Step::Watch));
    }

    #[test]
    fn all_phases_together_have_a_deadline_too() {
        let (_silent, _waiting, silent) = silent();
        let mut connecting = connecting("ws://slow.example/", &[]);
        assert!(matches!(connecting.next_step(Time::ZERO), Step::Resolve));
        connecting.resolved(found(&connecting, vec![silent]));
        assert!(matches!(connecting.next_step(Time::from_millis(9_999)), Step::Watch));
        assert_eq!(connecting.next_timeout(), Some(Time::from_millis(29_999)));
        connecting.options.tcp_timeout = Duration::ZERO;
        connecting.allow(Duration::ZERO, Time::ZERO);
        assert_eq!(connecting.next_timeout(), Some(Time::from_millis(30_000)));
        let Step::Failed(error) = connecting.next_step(Time::from_millis(30_000)) else { panic!("no end") };
        let expected = "cannot connect to slow.example:80: no answer within 30 s";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_port_where_nobody_listens_is_named() {
        let (closed, address) = listener();
        drop(closed);
        let error = drive(&mut connecting(&format!("ws://{address}/"), &[]), Time::ZERO).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot connect to {address}: Connection refused")), "{error}");
    }

    #[test]
    fn a_unix_socket_is_found_by_its_path() {
        let path = std::env::temp_dir().join(format!("linkspan-{}-connector", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let url = format!("ws+unix://{}:/", path.display());
        let transport = drive(&mut connecting(&url, &[]), Time::ZERO).unwrap();
        assert_eq!(transport.peer(), Peer::Unix(Some(path.clone())));
        drop(listener);
        std::fs::remove_file(&path).unwrap();
        drive(&mut connecting(&url, &[]), Time::ZERO).unwrap_err();
    }

    #[test]
    fn an_aborted_attempt_fails_and_drops_its_socket() {
        let (_silent, _waiting, silent) = silent();
        let mut connecting = connecting(&format!("ws://{silent}/"), &[]);
        assert!(matches!(connecting.next_step(Time::ZERO), Step::Watch));
        connecting.abort();
        assert!(connecting.newest().is_none());
        // To be told at once, whatever the deadlines were.
        assert_eq!(connecting.next_timeout(), Some(Time::ZERO));
        assert!(matches!(connecting.next_step(Time::ZERO), Step::Failed(_)));
    }
}
