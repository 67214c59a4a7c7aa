//! One client connection: non-blocking socket, optional TLS, opening
//! handshake, streaming frame parser that compares the echo as it arrives.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::{Decompress, FlushDecompress};
use nix::sys::socket::{setsockopt, sockopt};
use rustls::ClientConnection;
use sha1::{Digest, Sha1};
use socket2::{Domain, Socket, Type};

use crate::payload::{Ring, Rng, masked_frame};

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum State {
    Connecting,
    Tls,
    Upgrading,
    Open,
    Done,
}

pub(crate) struct Shared {
    pub(crate) ring: Ring,
    pub(crate) raw: bool,
    pub(crate) now: u64,
    pub(crate) rng: Rng,
    pub(crate) buf: Vec<u8>,
    pub(crate) inflated: Vec<u8>,
    pub(crate) request: String,
    pub(crate) server_takeover: bool,
    pub(crate) want_deflate: bool,
    pub(crate) extension_seen: String,
    /// bytes taken from the sockets, handshakes included
    pub(crate) rx_bytes: u64,
}

pub(crate) struct Conn {
    /// None once it is closed
    pub(crate) socket: Option<Socket>,
    pub(crate) tls: Option<Box<ClientConnection>>,
    pub(crate) state: State,
    pub(crate) want_out: bool,
    key: String,
    head: Vec<u8>,
    // sending
    tx_off: usize,
    tx_left: usize,
    tx_next: usize,
    ctl: Vec<u8>,
    ctl_at: usize,
    pub(crate) sent_at: VecDeque<u64>,
    // receiving
    hdr: [u8; 14],
    hdr_len: usize,
    in_frame: bool,
    fin: bool,
    op: u8,
    left: u64,
    packed: bool,
    zbuf: Vec<u8>,
    inflater: Option<Box<Decompress>>,
    takeover: bool,
    rx_idx: usize,
    rx_off: usize,
    rx_seen: u64,
    ctl_in: Vec<u8>,
    pub(crate) got_close: bool,
}

pub(crate) fn err<T>(s: impl Into<String>) -> io::Result<T> {
    Err(io::Error::other(s.into()))
}

fn socket(socket: &Option<Socket>) -> &Socket {
    socket.as_ref().expect("only open connections are polled")
}

fn tls(tls: &mut Option<Box<ClientConnection>>) -> &mut ClientConnection {
    tls.as_mut().expect("asked of connections with TLS only")
}

/// RFC 6455 4.2.2: what the server makes of the key.
fn accept_key(key: &str) -> String {
    BASE64_STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")))
}

impl Conn {
    /// `serial` picks the source address: 127.0.0.1, 127.0.0.2, ... one per 20,000.
    pub(crate) fn open(to: SocketAddrV4, serial: usize, tls: Option<Box<ClientConnection>>) -> io::Result<Conn> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking().cloexec(), None)?;
        socket.set_tcp_nodelay(true)?;
        if serial >= 20_000 {
            setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
            let source = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 1 + (serial / 20_000) as u8), 0);
            socket.bind(&source.into())?;
        }
        match socket.connect(&to.into()) {
            Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => Err(e),
            _ => Ok(Conn::blank(Some(socket), tls, State::Connecting)),
        }
    }

    /// A closed connection that only fills a slot for a moment.
    pub(crate) fn placeholder() -> Conn {
        Conn::blank(None, None, State::Done)
    }

    fn blank(socket: Option<Socket>, tls: Option<Box<ClientConnection>>, state: State) -> Conn {
        Conn {
            socket,
            tls,
            state,
            want_out: true,
            key: String::new(),
            head: Vec::new(),
            tx_off: 0,
            tx_left: 0,
            tx_next: 0,
            ctl: Vec::new(),
            ctl_at: 0,
            sent_at: VecDeque::new(),
            hdr: [0; 14],
            hdr_len: 0,
            in_frame: false,
            fin: false,
            op: 0,
            left: 0,
            packed: false,
            zbuf: Vec::new(),
            inflater: None,
            takeover: false,
            rx_idx: 0,
            rx_off: 0,
            rx_seen: 0,
            ctl_in: Vec::new(),
            got_close: false,
        }
    }

    /// Close with a reset, so that no TIME_WAIT piles up on our side.
    pub(crate) fn abort(&mut self) {
        if let Some(socket) = self.socket.take() {
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
        self.state = State::Done;
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.sent_at.len()
    }

    pub(crate) fn tx_idle(&self) -> bool {
        self.tx_left == 0 && self.ctl_at == self.ctl.len()
    }

    /// Queue the next `n` messages of the ring.
    pub(crate) fn queue(&mut self, sh: &Shared, n: usize) {
        for _ in 0..n {
            self.tx_left += sh.ring.frame[self.tx_next];
            self.tx_next = (self.tx_next + 1) % sh.ring.frame.len();
            self.sent_at.push_back(sh.now);
        }
    }

    pub(crate) fn queue_close(&mut self, rng: &mut Rng) {
        masked_frame(&mut self.ctl, 0x88, &1000u16.to_be_bytes(), rng);
    }

    fn put(&mut self, a: &[u8], b: &[u8]) -> io::Result<usize> {
        let r = match &mut self.tls {
            None => {
                let mut socket = socket(&self.socket);
                if b.is_empty() {
                    socket.write(a)
                } else {
                    socket.write_vectored(&[io::IoSlice::new(a), io::IoSlice::new(b)])
                }
            }
            Some(t) => t.writer().write(a),
        };
        match r {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(0),
            r => r,
        }
    }

    /// Write what is queued; `want_out` tells whether EPOLLOUT is needed.
    pub(crate) fn flush(&mut self, sh: &Shared) -> io::Result<()> {
        let wire = &sh.ring.wire;
        self.want_out = false;
        loop {
            // control frames only go between whole data batches
            if self.tx_left > 0 {
                let first = self.tx_left.min(wire.len() - self.tx_off);
                let second = (self.tx_left - first).min(wire.len());
                let n = self.put(&wire[self.tx_off..self.tx_off + first], &wire[..second])?;
                if n == 0 {
                    self.want_out = true;
                } else {
                    self.tx_left -= n;
                    self.tx_off = (self.tx_off + n) % wire.len();
                    if self.tls.is_none() && n < first + second {
                        self.want_out = true;
                    }
                }
            } else if self.ctl_at < self.ctl.len() {
                let c = std::mem::take(&mut self.ctl);
                let n = self.put(&c[self.ctl_at..], &[])?;
                self.ctl = c;
                self.ctl_at += n;
                if self.ctl_at == self.ctl.len() {
                    self.ctl.clear();
                    self.ctl_at = 0;
                }
                if n == 0 {
                    self.want_out = true;
                }
            } else if self.tls.is_none() {
                return Ok(());
            }
            if let Some(t) = &mut self.tls {
                while t.wants_write() {
                    match t.write_tls(&mut socket(&self.socket)) {
                        Ok(_) => {}
                        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                            self.want_out = true;
                            return Ok(());
                        }
                        Err(e) => return Err(e),
                    }
                }
                self.want_out = false;
                if self.tx_left == 0 && self.ctl_at == self.ctl.len() {
                    return Ok(());
                }
            }
            if self.want_out {
                return Ok(());
            }
        }
    }

    fn start_upgrade(&mut self, sh: &mut Shared) {
        if sh.raw {
            self.state = State::Open;
            return;
        }
        let mut k = [0u8; 16];
        sh.rng.fill(&mut k);
        self.key = BASE64_STANDARD.encode(k);
        self.ctl.extend_from_slice(sh.request.replace("@KEY@", &self.key).as_bytes());
        self.state = State::Upgrading;
    }

    /// The socket is writable.
    pub(crate) fn on_out(&mut self, sh: &mut Shared) -> io::Result<()> {
        if self.state == State::Connecting {
            if let Some(e) = socket(&self.socket).take_error()? {
                return Err(e);
            }
            if self.tls.is_some() {
                self.state = State::Tls;
            } else {
                self.start_upgrade(sh);
            }
        }
        self.flush(sh)
    }

    /// The socket is readable: returns the number of whole messages received.
    pub(crate) fn on_in(&mut self, sh: &mut Shared, done: &mut dyn FnMut(u64)) -> io::Result<usize> {
        let mut total = 0;
        let mut buf = std::mem::take(&mut sh.buf);
        let r = self.pump(sh, &mut buf, &mut total, done);
        sh.buf = buf;
        r.map(|_| total)
    }

    fn pump(
        &mut self,
        sh: &mut Shared,
        buf: &mut [u8],
        total: &mut usize,
        done: &mut dyn FnMut(u64),
    ) -> io::Result<()> {
        let half = buf.len() / 2;
        let (a, b) = buf.split_at_mut(half);
        loop {
            let n = match socket(&self.socket).read(a) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                n => n?,
            };
            if n == 0 {
                self.got_close = true;
                return err("eof");
            }
            sh.rx_bytes += n as u64;
            if self.tls.is_some() {
                let mut input = &a[..n];
                while !input.is_empty() {
                    let t = tls(&mut self.tls);
                    t.read_tls(&mut input)?;
                    t.process_new_packets().map_err(io::Error::other)?;
                    loop {
                        let m = match tls(&mut self.tls).reader().read(b) {
                            Ok(0) => break,
                            Ok(m) => m,
                            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                            Err(e) => return Err(e),
                        };
                        self.feed(sh, &b[..m], total, done)?;
                    }
                }
                if self.state == State::Tls && !tls(&mut self.tls).is_handshaking() {
                    self.start_upgrade(sh);
                }
                if tls(&mut self.tls).wants_write() || !self.tx_idle() {
                    self.flush(sh)?;
                }
            } else {
                self.feed(sh, &a[..n], total, done)?;
            }
            if n < a.len() {
                return Ok(());
            }
        }
    }

    fn feed(&mut self, sh: &mut Shared, mut d: &[u8], total: &mut usize, done: &mut dyn FnMut(u64)) -> io::Result<()> {
        if self.state == State::Upgrading {
            let rest = self.response(sh, d)?;
            d = &d[d.len() - rest..];
        }
        if d.is_empty() || self.state != State::Open {
            return Ok(());
        }
        if sh.raw {
            while !d.is_empty() {
                let want = sh.ring.plain[self.rx_idx].len() - self.rx_off;
                let n = want.min(d.len());
                self.compare(sh, &d[..n])?;
                d = &d[n..];
                if n == want {
                    self.message_done(sh, total, done)?;
                }
            }
            return Ok(());
        }
        self.frames(sh, d, total, done)
    }

    fn response(&mut self, sh: &mut Shared, d: &[u8]) -> io::Result<usize> {
        let before = self.head.len();
        self.head.extend_from_slice(d);
        let Some(end) = self.head.windows(4).position(|w| w == b"\r\n\r\n") else {
            if self.head.len() > 16384 {
                return err("response head too long");
            }
            return Ok(0);
        };
        let head = String::from_utf8_lossy(&self.head[..end]).into_owned();
        let rest = before + d.len() - (end + 4);
        self.head = Vec::new();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or("");
        if !status.starts_with("HTTP/1.1 101") {
            return err(format!("upgrade refused: {status}"));
        }
        let mut ok = false;
        for l in lines {
            let Some((n, v)) = l.split_once(':') else { continue };
            let v = v.trim();
            if n.eq_ignore_ascii_case("sec-websocket-accept") {
                ok = v == accept_key(&self.key);
            }
            if n.eq_ignore_ascii_case("sec-websocket-extensions") {
                if sh.extension_seen.is_empty() {
                    sh.extension_seen = v.to_string();
                }
                if v.contains("permessage-deflate") {
                    self.inflater = Some(Box::new(Decompress::new(false)));
                    self.takeover = !v.contains("server_no_context_takeover");
                    sh.server_takeover |= self.takeover;
                }
            }
        }
        if !ok {
            return err("bad Sec-WebSocket-Accept");
        }
        if sh.want_deflate && self.inflater.is_none() {
            return err("permessage-deflate was not negotiated");
        }
        self.state = State::Open;
        Ok(rest)
    }

    fn frames(
        &mut self,
        sh: &mut Shared,
        mut d: &[u8],
        total: &mut usize,
        done: &mut dyn FnMut(u64),
    ) -> io::Result<()> {
        while !d.is_empty() {
            if !self.in_frame {
                // header: 2, 4 or 10 bytes, possibly split over reads
                let need = |h: &[u8]| match h.get(1).map(|b| b & 0x7f) {
                    None => 2,
                    Some(126) => 4,
                    Some(127) => 10,
                    Some(_) => 2,
                };
                while self.hdr_len < need(&self.hdr[..self.hdr_len]) && !d.is_empty() {
                    self.hdr[self.hdr_len] = d[0];
                    self.hdr_len += 1;
                    d = &d[1..];
                }
                if self.hdr_len < need(&self.hdr[..self.hdr_len]) {
                    return Ok(());
                }
                let h = self.hdr;
                self.hdr_len = 0;
                if h[1] & 0x80 != 0 {
                    return err("server frame is masked");
                }
                self.left = match h[1] {
                    126 => u16::from_be_bytes([h[2], h[3]]) as u64,
                    127 => u64::from_be_bytes(h[2..10].try_into().expect("eight bytes")),
                    n => n as u64,
                };
                self.fin = h[0] & 0x80 != 0;
                self.op = h[0] & 15;
                if self.op == 1 || self.op == 2 {
                    self.packed = h[0] & 0x40 != 0;
                    if self.packed && self.inflater.is_none() {
                        return err("RSV1 without an extension");
                    }
                }
                self.in_frame = true;
            }
            let n = (self.left.min(d.len() as u64)) as usize;
            let part = &d[..n];
            d = &d[n..];
            self.left -= n as u64;
            if self.op >= 8 {
                self.ctl_in.extend_from_slice(part);
            } else if self.packed {
                self.zbuf.extend_from_slice(part);
            } else {
                self.compare(sh, part)?;
            }
            if self.left > 0 {
                return Ok(());
            }
            self.in_frame = false;
            match self.op {
                0..=2 if self.fin => {
                    if self.packed {
                        self.unpack(sh)?;
                    }
                    self.message_done(sh, total, done)?;
                }
                0..=2 => {}
                8 => {
                    self.got_close = true;
                    self.ctl_in.clear();
                }
                9 => {
                    let p = std::mem::take(&mut self.ctl_in);
                    masked_frame(&mut self.ctl, 0x8A, &p, &mut sh.rng);
                }
                10 => self.ctl_in.clear(),
                o => return err(format!("unknown opcode {o}")),
            }
        }
        Ok(())
    }

    fn unpack(&mut self, sh: &mut Shared) -> io::Result<()> {
        self.zbuf.extend_from_slice(&[0, 0, 0xff, 0xff]);
        let mut out = std::mem::take(&mut sh.inflated);
        out.clear();
        let z = self.inflater.as_mut().expect("a compressed frame comes after the agreement");
        let mut at = 0;
        let want = sh.ring.plain[self.rx_idx].len();
        out.reserve(want + 512);
        while at < self.zbuf.len() {
            let before = z.total_in();
            z.decompress_vec(&self.zbuf[at..], &mut out, FlushDecompress::Sync).map_err(io::Error::other)?;
            let used = (z.total_in() - before) as usize;
            at += used;
            if used == 0 {
                if out.len() < out.capacity() {
                    break;
                }
                out.reserve(4096);
            }
        }
        self.zbuf.clear();
        if !self.takeover {
            z.reset(false);
        }
        let r = self.compare(sh, &out);
        sh.inflated = out;
        r
    }

    /// Small payloads are compared whole; of large ones every eighth message,
    /// and the ends of every chunk of the others.
    fn compare(&mut self, sh: &Shared, got: &[u8]) -> io::Result<()> {
        let want = &sh.ring.plain[self.rx_idx];
        let Some(w) = want.get(self.rx_off..self.rx_off + got.len()) else {
            return err("echo longer than what was sent");
        };
        let same = if want.len() <= 16384 || self.rx_seen & 7 == 0 || got.len() < 256 {
            w == got
        } else {
            let n = got.len();
            w[..64] == got[..64] && w[n - 64..] == got[n - 64..]
        };
        if !same {
            return err("echo differs from what was sent");
        }
        self.rx_off += got.len();
        Ok(())
    }

    fn message_done(&mut self, sh: &Shared, total: &mut usize, done: &mut dyn FnMut(u64)) -> io::Result<()> {
        if self.rx_off != sh.ring.plain[self.rx_idx].len() {
            return err("echo shorter than what was sent");
        }
        self.rx_off = 0;
        self.rx_seen += 1;
        self.rx_idx = (self.rx_idx + 1) % sh.ring.plain.len();
        *total += 1;
        match self.sent_at.pop_front() {
            Some(t) => done(t),
            None => done(u64::MAX),
        }
        Ok(())
    }
}
