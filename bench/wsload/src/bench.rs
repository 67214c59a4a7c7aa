//! What every mode needs: the connections, the poll they wait in, the figures that come out.

use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Instant;

use hdrhistogram::Histogram;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use rustls::pki_types::ServerName;

use crate::Args;
use crate::conn::{Conn, Shared, State, err};
use crate::payload::{Kind, Ring, Rng};
use crate::sysstat;

pub(crate) struct Bench {
    pub(crate) a: Args,
    pub(crate) t0: Instant,
    pub(crate) addr: SocketAddrV4,
    pub(crate) pid: i32,
    pub(crate) poll: Poll,
    pub(crate) sh: Shared,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    pub(crate) deadline: u64,
    pub(crate) errors: u64,
    pub(crate) first_error: String,
    pub(crate) out: Vec<(String, String)>,
}

impl Bench {
    pub(crate) fn new(a: Args) -> Bench {
        let size: usize = a.num("s", 125);
        let kind = match a.text("kind", "binary").as_str() {
            "binary" => Kind::Binary,
            "ascii" => Kind::Ascii,
            "utf8" => Kind::Utf8,
            "json" => Kind::Json,
            k => panic!("unknown kind {k}"),
        };
        let ext = match a.text("deflate", "none").as_str() {
            "none" => "",
            "fresh" => {
                "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n"
            }
            "takeover" => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
            d => panic!("unknown deflate mode {d}"),
        };
        let raw = a.has("raw");
        let addr: SocketAddrV4 = a.text("addr", "127.0.0.1:9001").parse().expect("address");
        assert!(addr.ip().is_loopback(), "loopback only");
        let request = format!(
            "GET @PATH@ HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: @KEY@\r\nSec-WebSocket-Version: 13\r\n{ext}\r\n"
        );
        let tls = a.has("tls").then(|| {
            let p = Arc::new(rustls::crypto::ring::default_provider());
            Arc::new(
                rustls::ClientConfig::builder_with_provider(p.clone())
                    .with_protocol_versions(&[&rustls::version::TLS13])
                    .expect("ring has TLS 1.3")
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(AnyCert(p)))
                    .with_no_client_auth(),
            )
        });
        let seed = Instant::now();
        let sh = Shared {
            ring: Ring::build(kind, size, !ext.is_empty(), raw, 0x9E3779B97F4A7C15),
            raw,
            now: 0,
            rng: Rng((std::process::id() as u64).wrapping_mul(0x9E3779B97F4A7C15) | 1),
            buf: vec![0; 1 << 19],
            inflated: Vec::new(),
            request,
            server_takeover: false,
            want_deflate: !ext.is_empty(),
            extension_seen: String::new(),
            rx_bytes: 0,
        };
        let deadline = (a.num("max-seconds", 60.0f64) * 1e9) as u64;
        Bench {
            t0: seed,
            addr,
            pid: a.num("server-pid", 0),
            poll: Poll::new(),
            sh,
            tls,
            deadline,
            errors: 0,
            first_error: String::new(),
            out: Vec::new(),
            a,
        }
    }

    pub(crate) fn now(&mut self) -> u64 {
        self.sh.now = self.t0.elapsed().as_nanos() as u64;
        self.sh.now
    }

    pub(crate) fn put(&mut self, k: &str, v: impl ToString) {
        self.out.push((k.into(), v.to_string()));
    }

    pub(crate) fn num(&mut self, k: &str, v: f64) {
        let s = if v.is_finite() { format!("{v:.6}") } else { "null".into() };
        self.out.push((k.into(), s));
    }

    pub(crate) fn string(&mut self, k: &str, v: &str) {
        let q = v.replace('\\', "\\\\").replace('"', "\\\"").replace(|c: char| c.is_control(), " ");
        self.out.push((k.into(), format!("\"{q}\"")));
    }

    pub(crate) fn fail(&mut self, e: &io::Error) {
        self.errors += 1;
        if self.first_error.is_empty() {
            self.first_error = e.to_string();
        }
    }

    pub(crate) fn connect(&mut self, serial: usize, tag: usize) -> io::Result<Conn> {
        let tls = match &self.tls {
            None => None,
            Some(c) => {
                let n = ServerName::try_from("localhost").expect("a host name");
                let mut t = rustls::ClientConnection::new(c.clone(), n).map_err(io::Error::other)?;
                t.set_buffer_limit(Some(256 * 1024));
                Some(Box::new(t))
            }
        };
        let c = Conn::open(self.addr, serial, tls)?;
        self.poll.add(&c, tag)?;
        Ok(c)
    }

    /// One event on one connection; keeps the epoll interest in step.
    pub(crate) fn step(
        &mut self,
        c: &mut Conn,
        tag: usize,
        ev: EpollFlags,
        done: &mut dyn FnMut(u64),
    ) -> io::Result<usize> {
        let had_out = c.want_out;
        let mut n = 0;
        if ev.intersects(EpollFlags::EPOLLOUT | EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP)
            && (had_out || c.state == State::Connecting)
        {
            c.on_out(&mut self.sh)?;
        }
        if ev.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP) && c.state != State::Connecting {
            n = c.on_in(&mut self.sh, done)?;
        }
        self.rearm(c, tag, had_out);
        Ok(n)
    }

    pub(crate) fn rearm(&self, c: &Conn, tag: usize, had_out: bool) {
        if c.want_out != had_out {
            self.poll.change(c, tag);
        }
    }

    /// Open `n` connections, at most `wide` handshakes at a time.
    pub(crate) fn open_all(&mut self, n: usize, wide: usize, path: impl Fn(usize) -> String) -> io::Result<Vec<Conn>> {
        let template = self.sh.request.clone();
        let mut v: Vec<Conn> = Vec::with_capacity(n);
        let mut open = 0;
        let mut opened = vec![false; n];
        while open < n {
            while v.len() < n && v.len() - open < wide {
                let i = v.len();
                let c = self.connect(i, i)?;
                v.push(c);
            }
            let k = self.poll.wait(1000);
            if self.now() > self.deadline {
                return err(format!("only {open} of {n} connections opened in time"));
            }
            for j in 0..k {
                let (i, flags) = self.poll.event(j);
                self.sh.request = template.replace("@PATH@", &path(i));
                let mut c = std::mem::replace(&mut v[i], Conn::placeholder());
                let r = self.step(&mut c, i, flags, &mut |_| {});
                v[i] = c;
                r?;
                if v[i].state == State::Upgrading {
                    let had = v[i].want_out;
                    v[i].flush(&self.sh)?;
                    self.rearm(&v[i], i, had);
                }
                if v[i].state == State::Open && !opened[i] {
                    opened[i] = true;
                    open += 1;
                }
            }
        }
        self.sh.request = template;
        Ok(v)
    }

    pub(crate) fn finish(&mut self, v: &mut [Conn]) {
        // a proper close of idle connections, bounded in time
        if !self.sh.raw {
            for c in v.iter_mut() {
                if c.state == State::Open && c.tx_idle() {
                    c.queue_close(&mut self.sh.rng);
                    let _ = c.flush(&self.sh);
                }
            }
            let end = self.now() + 300_000_000;
            let mut left = v.iter().filter(|c| c.state == State::Open).count();
            while left > 0 && self.now() < end {
                let k = self.poll.wait(50);
                for j in 0..k {
                    let (i, _) = self.poll.event(j);
                    if v[i].state != State::Open {
                        continue;
                    }
                    if v[i].on_in(&mut self.sh, &mut |_| {}).is_err() || v[i].got_close {
                        v[i].abort();
                        left -= 1;
                    }
                }
            }
        }
        for c in v.iter_mut() {
            c.abort();
        }
    }

    pub(crate) fn start_meter(&self) -> Meter {
        Meter {
            at: Instant::now(),
            own: sysstat::own_cpu(),
            rx_bytes: self.sh.rx_bytes,
            perf: if self.pid > 0 { sysstat::Counters::attach(self.pid) } else { None },
            cpu: if self.pid > 0 { sysstat::cpu(self.pid) } else { Default::default() },
        }
    }

    pub(crate) fn stop_meter(&mut self, m: Meter, count: u64) -> f64 {
        let perf = m.perf.as_ref().map(|p| p.read());
        let secs = m.at.elapsed().as_secs_f64();
        let own = sysstat::own_cpu() - m.own;
        self.num("seconds", secs);
        self.num("client_cpu", own / secs);
        self.num("rx_bytes_per_op", (self.sh.rx_bytes - m.rx_bytes) as f64 / count.max(1) as f64);
        if self.pid > 0 {
            let c = sysstat::cpu(self.pid);
            let exec = c.exec - m.cpu.exec;
            let (u, s) = (c.user - m.cpu.user, c.sys - m.cpu.sys);
            let per = 1e6 / count.max(1) as f64;
            self.num("server_cpu", exec / secs);
            self.num("server_cpu_s_per_million", exec * per);
            self.num("server_stat_cpu_s_per_million", (u + s) * per);
            self.num("server_user_share", if u + s > 0.0 { u / (u + s) } else { f64::NAN });
            if let Some([ui, ki, cy]) = perf {
                let n = count.max(1) as f64;
                self.num("user_instructions_per_op", ui as f64 / n);
                self.num("kernel_instructions_per_op", ki as f64 / n);
                self.num("cycles_per_op", cy as f64 / n);
            }
            self.put("server_rss_kib", sysstat::rss_kib(self.pid));
            self.put("server_peak_rss_kib", sysstat::peak_rss_kib(self.pid));
        }
        secs
    }

    pub(crate) fn latency(&mut self, h: &Histogram<u64>) {
        for (k, q) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)] {
            self.num(&format!("{k}_us"), h.value_at_quantile(q) as f64 / 1e3);
        }
        self.num("max_us", h.max() as f64 / 1e3);
    }
}

pub(crate) struct Meter {
    at: Instant,
    own: f64,
    rx_bytes: u64,
    perf: Option<sysstat::Counters>,
    cpu: sysstat::Cpu,
}

#[derive(Debug)]
struct AnyCert(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for AnyCert {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        m: &[u8],
        c: &rustls::pki_types::CertificateDer<'_>,
        d: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(m, c, d, &self.0.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self,
        m: &[u8],
        c: &rustls::pki_types::CertificateDer<'_>,
        d: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(m, c, d, &self.0.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

pub(crate) struct Poll {
    epoll: Epoll,
    events: Vec<EpollEvent>,
}

impl Poll {
    fn new() -> Poll {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("the system has epoll");
        Poll { epoll, events: vec![EpollEvent::empty(); 512] }
    }

    fn interest(c: &Conn, tag: usize) -> EpollEvent {
        let out = if c.want_out { EpollFlags::EPOLLOUT } else { EpollFlags::empty() };
        EpollEvent::new(EpollFlags::EPOLLIN | out, tag as u64)
    }

    fn add(&self, c: &Conn, tag: usize) -> io::Result<()> {
        match &c.socket {
            Some(socket) => Ok(self.epoll.add(socket, Poll::interest(c, tag))?),
            None => Ok(()),
        }
    }

    fn change(&self, c: &Conn, tag: usize) {
        if let Some(socket) = &c.socket {
            // Fails only for what was never added.
            let _ = self.epoll.modify(socket, &mut Poll::interest(c, tag));
        }
    }

    /// Waits; returns how many events `event` gives.
    pub(crate) fn wait(&mut self, ms: u16) -> usize {
        self.epoll.wait(&mut self.events, ms).unwrap_or(0)
    }

    /// The tag of a connection and what happened to it.
    pub(crate) fn event(&self, index: usize) -> (usize, EpollFlags) {
        let event = self.events[index];
        (event.data() as usize, event.events())
    }
}
