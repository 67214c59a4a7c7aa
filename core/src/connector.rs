//! [`Connecting`]: from a URL to a connected socket, without waiting.
//!
//! ```text
//!   Asking ── resolved ──► Trying ── one socket is connected ──► Connected
//!     │                     │  ▲ each address, the next one at once after a failure,
//!     │                     └──┘ or beside the last one after 250 ms
//!     └──── no address, none answers, deadline ────────────────► Failed
//! ```
//!
//! It knows no poll and belongs to no driver: whoever drives it watches the sockets that it names and calls [`Connecting::next_step`]
//! whenever anything may have changed.

mod resolver;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::libc::EINPROGRESS;
use socket2::{Domain, SockAddr, Type};

pub use self::resolver::{Answer, Resolve, SystemResolver};
use crate::error::Error;
use crate::protocol::handshake::Uri;
use crate::protocol::{Config, Engine, Misuse, Time};
use crate::tls::ClientTls;
use crate::transport::{Socket, Transport};

/// Where to connect, and how.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// The server and the resource.
    pub uri: Uri,
    /// Limits, timeouts and wishes. Default [`Config::default`].
    pub config: Arc<Config>,
    /// Trust, for wss. Default the system's store.
    pub tls: Option<Arc<ClientTls>>,
    /// Headers to add to the request, in order. Default none.
    pub headers: Vec<(String, String)>,
    /// Who turns names into addresses. Default the system, on threads of its own.
    pub resolver: Option<Arc<dyn Resolve>>,
    /// From the start to a connected socket: resolving and every address. Default 30 s.
    pub connect_timeout: Duration,
}

impl ConnectOptions {
    /// This server and resource, and the defaults.
    pub fn new(uri: Uri) -> ConnectOptions {
        ConnectOptions {
            uri,
            config: Arc::default(),
            tls: None,
            headers: Vec::new(),
            resolver: None,
            connect_timeout: Duration::from_secs(30),
        }
    }

    /// The bytes of the URL's connection over a connected socket: TLS for wss.
    pub fn transport(&self, socket: Socket) -> Result<Transport, Error> {
        match &self.tls {
            _ if !self.uri.is_secure => Ok(Transport::plain(socket)),
            Some(tls) => Transport::tls_client(socket, tls, &self.uri.host),
            None => Transport::tls_client(socket, &*ClientTls::system()?, &self.uri.host),
        }
    }
}

/// What to do for a [`Connecting`] next.
#[derive(Debug)]
pub enum Step {
    /// Call [`Connecting::resolve`], and [`Connecting::resolved`] with what it answers.
    Resolve,
    /// Watch [`Connecting::newest`] for writability too; those named before stay watched.
    Watch,
    /// Nothing: wait for writability, an answer, or the deadline.
    Wait,
    /// Here it is; all other sockets are gone.
    Connected(Transport),
    /// It is over.
    Failed(Error),
}

/// A client connection on its way to a socket, with the engine that waits for it.
#[derive(Debug)]
pub struct Connecting {
    options: ConnectOptions,
    engine: Engine,
    phase: Phase,
    /// Those not tried yet, in order.
    addresses: VecDeque<SockAddr>,
    /// Sockets on their way, oldest first.
    attempts: Vec<Attempt>,
    /// When the next address is tried beside those on their way.
    next_attempt: Time,
    /// When all is given up.
    deadline: Time,
    /// What failed first: the best address is tried first, so its failure tells most.
    error: Option<Error>,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Start,
    Asking,
    Trying,
    Over,
}

#[derive(Debug)]
struct Attempt {
    socket: Socket,
    address: SockAddr,
}

impl Connecting {
    /// Nothing happens before the first [`Connecting::next_step`]. Fails when the URL wants TLS and the trust for
    /// it cannot be had.
    pub fn new(mut options: ConnectOptions, engine: Engine, now: Time) -> Result<Connecting, Error> {
        if options.uri.is_secure && options.tls.is_none() {
            options.tls = Some(ClientTls::system()?);
        }
        let deadline = match options.connect_timeout {
            Duration::ZERO => Time::from_millis(u64::MAX),
            timeout => now.after(timeout.as_millis().try_into().unwrap_or(u64::MAX)),
        };
        Ok(Connecting {
            options,
            engine,
            phase: Phase::Start,
            addresses: VecDeque::new(),
            attempts: Vec::new(),
            next_attempt: now,
            deadline,
            error: None,
        })
    }

    /// Goes as far as it can. Call it at the start, when a watched socket is writable, when
    /// [`Connecting::next_timeout`] has come, and after [`Connecting::resolved`] or
    /// [`Connecting::abort`]; once too often does no harm.
    pub fn next_step(&mut self, now: Time) -> Step {
        if self.phase == Phase::Start {
            self.phase = Phase::Asking;
            match self.known_address() {
                Ok(Some(address)) => self.try_these([address]),
                Ok(None) => return Step::Resolve,
                Err(error) => self.give_up(error),
            }
        }
        if now >= self.deadline && self.phase != Phase::Over {
            self.give_up(self.timed_out());
        }
        match self.phase {
            Phase::Start | Phase::Asking => Step::Wait,
            Phase::Trying => self.go_on_trying(now),
            Phase::Over => Step::Failed(self.error.take().unwrap_or(Error::Gone)),
        }
    }

    /// Asks for the host's addresses; `answer` is called once, perhaps on another thread, and brings
    /// them to [`Connecting::resolved`].
    pub fn resolve(&self, answer: Answer) {
        let Uri { host, port, .. } = &self.options.uri;
        match &self.options.resolver {
            Some(resolver) => resolver.resolve(host, *port, answer),
            None => SystemResolver::shared().resolve(host, *port, answer),
        }
    }

    /// The addresses have come, or there are none.
    pub fn resolved(&mut self, found: Result<Vec<SocketAddr>, Error>) {
        if self.phase != Phase::Asking {
            return;
        }
        match found {
            Ok(addresses) if addresses.is_empty() => {
                let host = self.options.uri.host.clone();
                self.give_up(Error::Resolve { host, why: "it has no address".into() });
            }
            Ok(addresses) => self.try_these(interleaved(&addresses).map(SockAddr::from)),
            Err(error) => self.give_up(error),
        }
    }

    /// Ends it: the next step is `Failed`.
    pub fn abort(&mut self) {
        self.give_up(Error::Misuse(Misuse::Closed));
    }

    /// The socket to watch after [`Step::Watch`].
    pub fn newest(&self) -> Option<BorrowedFd<'_>> {
        self.attempts.last().map(|attempt| attempt.socket.as_fd())
    }

    /// All sockets to watch, oldest first.
    pub fn watched(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.attempts.iter().map(|attempt| attempt.socket.as_fd())
    }

    /// When [`Connecting::next_step`] is to be called at the latest.
    pub fn next_timeout(&self) -> Option<Time> {
        let beside = (self.phase == Phase::Trying && !self.addresses.is_empty()).then_some(self.next_attempt);
        Some(beside.map_or(self.deadline, |beside| beside.min(self.deadline)))
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

    /// An address that needs no resolver.
    fn known_address(&self) -> Result<Option<SockAddr>, Error> {
        let uri = &self.options.uri;
        if let Some(path) = &uri.unix_path {
            return match SockAddr::unix(path) {
                Ok(address) => Ok(Some(address)),
                Err(error) => Err(Error::io(format!("connect to {path}"), error)),
            };
        }
        Ok(uri.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, uri.port).into()))
    }

    fn try_these(&mut self, addresses: impl IntoIterator<Item = SockAddr>) {
        self.addresses.extend(addresses);
        self.phase = Phase::Trying;
    }

    /// RFC 8305 5: the next address is tried beside the last when that does not answer soon.
    fn go_on_trying(&mut self, now: Time) -> Step {
        let mut index = 0;
        while index < self.attempts.len() {
            match outcome(&self.attempts[index].socket) {
                None => index += 1,
                Some(Ok(())) => return self.connected(index),
                Some(Err(error)) => {
                    let attempt = self.attempts.remove(index);
                    self.failed(&attempt.address, error);
                    self.next_attempt = now;
                }
            }
        }
        while self.attempts.is_empty() || now >= self.next_attempt {
            let Some(address) = self.addresses.pop_front() else { break };
            match begin(&address) {
                Ok(socket) => {
                    self.attempts.push(Attempt { socket, address });
                    self.next_attempt = now.after(ATTEMPT_DELAY);
                    return Step::Watch;
                }
                Err(error) => self.failed(&address, error),
            }
        }
        if self.attempts.is_empty() {
            self.phase = Phase::Over;
            return Step::Failed(self.error.take().unwrap_or(Error::Gone));
        }
        Step::Wait
    }

    fn connected(&mut self, index: usize) -> Step {
        let Attempt { socket, .. } = self.attempts.swap_remove(index);
        self.attempts.clear();
        self.addresses.clear();
        self.phase = Phase::Over;
        match self.options.transport(socket) {
            Ok(transport) => Step::Connected(transport),
            Err(error) => Step::Failed(error),
        }
    }

    fn failed(&mut self, address: &SockAddr, error: io::Error) {
        self.error.get_or_insert_with(|| Error::io(format!("connect to {}", name(address)), error));
    }

    fn give_up(&mut self, error: Error) {
        if self.phase != Phase::Over {
            self.phase = Phase::Over;
            self.attempts.clear();
            self.addresses.clear();
            self.error = Some(error);
        }
    }

    fn timed_out(&self) -> Error {
        let Uri { host, port, .. } = &self.options.uri;
        let seconds = self.options.connect_timeout.as_secs_f64();
        match self.phase {
            Phase::Start | Phase::Asking => {
                Error::Resolve { host: host.clone(), why: format!("no answer within {seconds} s") }
            }
            Phase::Trying | Phase::Over => {
                let error = io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {seconds} s"));
                Error::io(format!("connect to {host}:{port}"), error)
            }
        }
    }
}

/// Begins to connect; a Unix socket is connected at once, a TCP socket on its way.
fn begin(address: &SockAddr) -> io::Result<Socket> {
    let socket = Socket::new(socket2::Socket::new(Domain::from(i32::from(address.family())), Type::STREAM, None)?)?;
    match socket.connect(address) {
        Err(error) if error.raw_os_error() == Some(EINPROGRESS) => Ok(socket),
        answer => answer.map(|()| socket),
    }
}

/// What came of connecting; none while it goes on.
fn outcome(socket: &Socket) -> Option<io::Result<()>> {
    match socket.take_error() {
        Ok(Some(error)) | Err(error) => Some(Err(error)),
        // Without an error it has succeeded, or goes on: only then is there no peer.
        Ok(None) => socket.is_connected().then_some(Ok(())),
    }
}

/// RFC 8305 4: the families in turn, beginning with that of the best address.
fn interleaved(addresses: &[SocketAddr]) -> impl Iterator<Item = SocketAddr> {
    let first_is_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().partition(|address| address.is_ipv6() == first_is_ipv6);
    let longer = first.len().max(second.len());
    (0..longer).flat_map(move |index| [first.get(index).copied(), second.get(index).copied()]).flatten()
}

fn name(address: &SockAddr) -> String {
    match (address.as_socket(), address.as_pathname()) {
        (Some(address), _) => address.to_string(),
        (None, Some(path)) => path.display().to_string(),
        (None, None) => "a socket without name".into(),
    }
}

/// RFC 8305 8: Connection Attempt Delay, in milliseconds.
const ATTEMPT_DELAY: u64 = 250;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;
    use crate::protocol::Keys;
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
                Step::Connected(transport) => return Ok(transport),
                Step::Failed(error) => return Err(error),
            }
        }
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
        connecting.resolved(Ok(vec![silent, address]));
        assert!(matches!(connecting.next_step(Time::ZERO), Step::Watch));
        assert_eq!(connecting.next_timeout(), Some(Time::from_millis(ATTEMPT_DELAY)));
        assert!(matches!(connecting.next_step(Time::from_millis(ATTEMPT_DELAY - 1)), Step::Wait));
        let transport = drive(&mut connecting, Time::from_millis(ATTEMPT_DELAY)).unwrap();
        assert_eq!(transport.peer(), Peer::Tcp(address));
    }

    #[test]
    fn silence_ends_with_the_deadline() {
        let (_silent, _waiting, silent) = silent();
        let mut connecting = connecting(&format!("ws://{silent}/"), &[]);
        assert!(matches!(connecting.next_step(Time::ZERO), Step::Watch));
        assert_eq!(connecting.next_timeout(), Some(Time::from_millis(30_000)));
        let Step::Failed(error) = connecting.next_step(Time::from_millis(30_000)) else { panic!("no end") };
        assert_eq!(error.to_string(), format!("cannot connect to {silent}: no answer within 30 s"));
    }

    #[test]
    fn a_resolver_without_answer_ends_with_the_deadline() {
        let mut connecting = connecting("ws://silent.example/", &[]);
        assert!(matches!(connecting.next_step(Time::ZERO), Step::Resolve));
        assert!(matches!(connecting.next_step(Time::from_millis(29_999)), Step::Wait));
        let Step::Failed(error) = connecting.next_step(Time::from_millis(30_000)) else { panic!("no end") };
        assert_eq!(error.to_string(), "cannot resolve silent.example: no answer within 30 s");
        connecting.resolved(Ok(vec!["127.0.0.1:1".parse().unwrap()]));
        assert!(matches!(connecting.next_step(Time::from_millis(30_001)), Step::Failed(_)));
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
        assert!(matches!(connecting.next_step(Time::ZERO), Step::Failed(_)));
    }

    #[test]
    fn families_take_turns_beginning_with_the_best() {
        let addresses: Vec<SocketAddr> =
            ["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1", "127.0.0.2:1"].map(|text| text.parse().unwrap()).to_vec();
        let order: Vec<String> = interleaved(&addresses).map(|address| address.ip().to_string()).collect();
        assert_eq!(order, ["::1", "127.0.0.1", "::2", "127.0.0.2", "::3"]);
    }
}
