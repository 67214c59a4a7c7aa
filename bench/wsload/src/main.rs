//! wsload: a single-threaded WebSocket load generator (epoll), one JSON line out.

mod bench;
mod conn;
mod modes;
mod payload;
mod sysstat;

use std::collections::HashMap;

use bench::Bench;

const USAGE: &str = "\
wsload MODE [options]        prints one JSON object

modes
  echo      C connections keep D messages of S bytes in flight each
  connect   connect + opening handshake + close, repeated
  idle      open C connections and report the server's memory for them
  fanout    one publisher (--pub-path), C subscribers (--path)

options
  --addr A:P          server (default 127.0.0.1:9001)      --path /    --pub-path /pub
  -c N  -d N  -s N    connections, depth, payload bytes
  --kind K            binary | ascii | utf8 | json
  --duration S        measured seconds (default 2)
  --warmup S          seconds before them (default 0.5)
  --count N           stop after N measured messages at the latest
  --deflate M         none | fresh (no context takeover either way) | takeover
  --raw               plain TCP echo of as many bytes, no WebSocket
  --tls               TLS 1.3 (the certificate is not checked: loopback only)
  --server-pid P      report CPU, memory and instruction counts of P and its children
  --label TEXT        copied into the output
  --max-seconds S     hard limit on the whole run (default 60)
";

fn main() {
    let a = Args::parse();
    let mode = a.mode.clone();
    let mut b = Bench::new(a);
    b.string("mode", &mode);
    for k in ["label", "kind", "deflate"] {
        if b.a.has(k) {
            let t = b.a.text(k, "");
            b.string(k, &t);
        }
    }
    for k in ["c", "d", "s"] {
        if b.a.has(k) {
            let t = b.a.text(k, "");
            b.put(k, t);
        }
    }
    let (tls, raw) = (b.tls.is_some(), b.sh.raw);
    b.put("tls", tls);
    b.put("raw", raw);
    let r = match mode.as_str() {
        "echo" => b.echo(),
        "connect" => b.connect_rate(),
        "idle" => b.idle(),
        _ => b.fanout(),
    };
    if !b.sh.extension_seen.is_empty() {
        let e = b.sh.extension_seen.clone();
        b.string("extension", &e);
    }
    let n = b.errors;
    b.put("errors", n);
    if let Err(e) = &r {
        b.first_error = e.to_string();
    }
    if !b.first_error.is_empty() {
        let e = b.first_error.clone();
        b.string("error", &e);
    }
    let body: Vec<String> = b.out.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
    println!("{{{}}}", body.join(","));
    if r.is_err() {
        std::process::exit(1);
    }
}

pub(crate) struct Args {
    pub(crate) mode: String,
    pub(crate) o: HashMap<String, String>,
}

impl Args {
    pub(crate) fn parse() -> Args {
        let mut it = std::env::args().skip(1);
        let mode = it.next().unwrap_or_default();
        if !matches!(mode.as_str(), "echo" | "connect" | "idle" | "fanout") {
            eprint!("{USAGE}");
            std::process::exit(2);
        }
        let mut o = HashMap::new();
        while let Some(k) = it.next() {
            if !k.starts_with('-') {
                eprintln!("unexpected argument {k}\n{USAGE}");
                std::process::exit(2);
            }
            let k = k.trim_start_matches('-').to_string();
            let v = if matches!(k.as_str(), "raw" | "tls") { "1".into() } else { it.next().unwrap_or_default() };
            o.insert(k, v);
        }
        Args { mode, o }
    }
    pub(crate) fn num<T: std::str::FromStr>(&self, k: &str, d: T) -> T {
        match self.o.get(k) {
            None => d,
            Some(v) => v.parse().unwrap_or_else(|_| {
                eprintln!("bad value for {k}: {v}");
                std::process::exit(2)
            }),
        }
    }
    pub(crate) fn text(&self, k: &str, d: &str) -> String {
        self.o.get(k).cloned().unwrap_or_else(|| d.into())
    }
    pub(crate) fn has(&self, k: &str) -> bool {
        self.o.contains_key(k)
    }
}
