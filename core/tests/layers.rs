//! What a file must never contain, and who may know whom: the house's rules as data, held against the
//! sources. Comments and tests are not looked at.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

/// Files, and what none of them may hold.
struct Row {
    /// Folders end in a slash.
    files: &'static [&'static str],
    except: &'static [&'static str],
    never: &'static [&'static str],
    /// What is meant by none of the words.
    but: &'static [&'static str],
}

const ROWS: &[Row] = &[
    Row {
        files: &["core/src/"],
        except: &[],
        never: &["unsafe", "extern \"C\"", "no_mangle", "pyo3"],
        but: &["unsafe_code"],
    },
    // The engine: pure state.
    Row {
        files: &["core/src/protocol/"],
        except: &[],
        never: &[
            "std::io",
            "std::net",
            "std::os",
            "std::fs",
            "std::env",
            "std::thread",
            "Instant",
            "SystemTime",
            "getrandom",
            "Mutex",
            "mio",
            "rustls",
            "socket2",
            "nix",
            "libc",
            "dyn Fn",
            "println!",
            "eprintln!",
        ],
        // Values: slices for `writev`, an address that a proxy is told.
        but: &["std::io::IoSlice", "std::net::IpAddr"],
    },
    Row {
        files: &[
            "core/src/protocol/frame.rs",
            "core/src/protocol/mask.rs",
            "core/src/protocol/utf8.rs",
            "core/src/protocol/outbox.rs",
        ],
        except: &[],
        never: &["Role", "Phase", "Config", "is_server", "is_client"],
        but: &[],
    },
    Row {
        files: &["core/src/protocol/frame.rs", "core/src/protocol/mask.rs", "core/src/protocol/utf8.rs"],
        except: &[],
        never: &["Vec", "String", "Box", "vec!", "format!", "to_vec", "to_owned", "collect"],
        // The caller's.
        but: &["&mut Vec<u8>"],
    },
    // It decides, others do.
    Row {
        files: &["core/src/protocol/engine.rs", "core/src/protocol/engine/"],
        except: &[],
        never: &[
            "httparse",
            "sha1",
            "memchr",
            "flate2",
            "zlib",
            "HTTP/",
            "Sec-WebSocket",
            "\\r\\n",
            "0x0f",
            "0x7f",
            "0x80",
            "0x8",
            "from_be_bytes",
            "from_utf8",
            "simdutf8",
            "pulp",
        ],
        but: &[],
    },
    Row {
        files: &["core/src/protocol/"],
        except: &["core/src/protocol/engine.rs", "core/src/protocol/engine/", "core/src/protocol/mod.rs"],
        never: &["super::engine", "super::Engine", "Phase", "engine::Engine"],
        but: &[],
    },
    Row {
        files: &["core/src/protocol/"],
        except: &["core/src/protocol/deflate/codec.rs"],
        never: &["flate2"],
        but: &[],
    },
    // The loop: readiness into engine calls.
    Row {
        files: &["core/src/net/", "core/src/connector.rs", "core/src/connector/"],
        except: &[],
        never: &[
            "OpCode",
            "Header",
            "mask",
            "utf8",
            "from_utf8",
            "may_be_sent",
            "MAX_REASON_BYTES",
            "sleep",
            "block_on",
            "recv",
        ],
        but: &[],
    },
    Row {
        files: &["core/src/transport.rs", "core/src/transport/"],
        except: &[],
        never: &["WebSocket", "websocket", "Engine", "OpCode", "Event", "MessageKind", "CloseCode"],
        but: &[],
    },
    Row {
        files: &["core/src/blocking/"],
        except: &[],
        never: &["mio", "OpCode", "Header", "mask", "utf8", "from_utf8", "may_be_sent", "MAX_REASON_BYTES", "0x8"],
        but: &[],
    },
    // The C face: no behaviour of its own, and all that is dangerous in one place.
    Row {
        files: &["ffi/src/"],
        except: &["ffi/src/guard.rs"],
        never: &["catch_unwind", "Box::from_raw", "slice::from_raw_parts", "slice::from_raw_parts_mut"],
        but: &[],
    },
    Row {
        files: &["ffi/src/"],
        except: &["ffi/src/corpus.rs"],
        never: &[
            "mio",
            "rustls",
            "socket2",
            "nix",
            "flate2",
            "httparse",
            "OpCode",
            "mask::",
            "from_utf8_unchecked",
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "std::thread::spawn",
            "thread::sleep",
        ],
        but: &[],
    },
];

/// A module of core, and the others that it may name. No circles: each stands below those that it names.
const KNOWS: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("clock", &["protocol"]),
    ("thread", &[]),
    ("log", &[]),
    ("sync", &[]),
    ("error", &["protocol"]),
    ("tls", &["error", "log"]),
    ("transport", &["error", "tls"]),
    ("connector", &["error", "protocol", "thread", "tls", "transport"]),
    ("blocking", &["clock", "connector", "error", "protocol", "tls", "transport"]),
    ("net", &["clock", "connector", "error", "log", "protocol", "sync", "thread", "tls", "transport"]),
];

/// Parts of the engine that name nothing of it but this.
const ALONE: &[(&str, &[&str])] = &[
    ("core/src/protocol/frame.rs", &["fault"]),
    ("core/src/protocol/mask.rs", &["fault"]),
    ("core/src/protocol/utf8.rs", &["fault"]),
    ("core/src/protocol/outbox.rs", &["fault"]),
    ("core/src/protocol/time.rs", &["fault"]),
];

/// A source file: its path from the project's root, and its code.
struct Source {
    path: String,
    code: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Source {
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        Source { path: path.to_owned(), code: text.lines().map(without_comment).collect::<Vec<_>>().join("\n") }
    }

    fn is_one_of(&self, files: &[&str]) -> bool {
        files.iter().any(|file| self.path == *file || (file.ends_with('/') && self.path.starts_with(file)))
    }
}

/// The line up to `//`, unless that stands in a text.
fn without_comment(line: &str) -> &str {
    let mut is_text = false;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match c {
            '"' if before != '\\' && before != '\'' => is_text = !is_text,
            '/' if !is_text && line[at..].starts_with("//") => return &line[..at],
            _ => {}
        }
        before = if before == '\\' && c == '\\' { ' ' } else { c };
    }
    line
}

/// Where the word stands by itself in the line, and not as part of what is allowed.
fn holds(line: &str, word: &str, but: &[&str]) -> bool {
    let line = but.iter().fold(line.to_owned(), |line, allowed| line.replace(allowed, " "));
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(is_part) && word.starts_with(is_part);
        let after = line[at + word.len()..].chars().next().is_some_and(is_part) && word.ends_with(is_part);
        !before && !after
    })
}

/// Everything that breaks a row, as `file:line: word`.
fn breaches(rows: &[Row], sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for row in rows {
        for source in sources.iter().filter(|source| source.is_one_of(row.files) && !source.is_one_of(row.except)) {
            for (number, line) in source.code.lines().enumerate() {
                let words = row.never.iter().filter(|word| holds(line, word, row.but));
                found.extend(words.map(|word| format!("{}:{}: {word}", source.path, number + 1)));
            }
        }
    }
    found
}

/// Modules that are named behind `crate::`, in braces too.
fn named(code: &str, root: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(root) {
        let rest = &code[at + root.len()..];
        let list = match rest.strip_prefix('{') {
            Some(inner) => inner.split('}').next().unwrap_or_default(),
            None => rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default(),
        };
        let first = |name: &str| name.trim().split("::").next().unwrap_or_default().to_owned();
        names.extend(list.split(',').map(first).filter(|name| !name.is_empty()));
    }
    names
}

/// Every module that knows one which it must not.
fn strangers(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let Some(inside) = source.path.strip_prefix("core/src/") else { continue };
        let module = inside.split(['/', '.']).next().unwrap_or_default();
        if module == "lib" {
            continue;
        }
        let Some((_, known)) = KNOWS.iter().find(|(name, _)| *name == module) else {
            found.push(format!("{}: a module that nobody has placed", source.path));
            continue;
        };
        let names = named(&source.code, "crate::").into_iter();
        let bad = names.filter(|name| *name != module && !known.contains(&name.as_str()));
        found.extend(bad.map(|name| format!("{}: crate::{name}", source.path)));
        if module == "protocol" && source.code.contains("crate::") {
            found.push(format!("{}: a path from the crate's root", source.path));
        }
        if let Some((_, known)) = ALONE.iter().find(|(path, _)| *path == source.path) {
            let names = named(&source.code, "super::").into_iter();
            let bad = names.filter(|name| !known.contains(&name.as_str()));
            found.extend(bad.map(|name| format!("{}: super::{name}", source.path)));
        }
    }
    found
}

/// All Rust sources of core and of the C face.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders: Vec<PathBuf> = vec![root.join("core/src"), root.join("ffi/src")];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                sources.push(Source::new(name, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    sources
}

#[test]
fn no_file_holds_what_it_must_not() {
    let sources = sources();
    for row in ROWS {
        for file in row.files.iter().chain(row.except) {
            let is_there = sources.iter().any(|source| source.is_one_of(&[file]));
            assert!(is_there, "{file} is in a row and nowhere else");
        }
    }
    let found = breaches(ROWS, &sources);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn nobody_knows_whom_they_must_not() {
    let found = strangers(&sources());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn modules_know_each_other_without_circles() {
    for (index, (name, known)) in KNOWS.iter().enumerate() {
        for other in *known {
            let place = KNOWS.iter().position(|(name, _)| name == other);
            assert!(place.is_some_and(|place| place < index), "{name} knows {other}, which stands above it");
        }
    }
}

#[test]
fn a_breach_is_found() {
    let breaks = |path: &str, text: &str| {
        let source = [Source::new(path, text)];
        breaches(ROWS, &source).len() + strangers(&source).len()
    };
    for (path, line) in [
        ("core/src/protocol/engine.rs", "use std::io::Read;"),
        ("core/src/protocol/engine.rs", "use std::time::Instant;"),
        ("core/src/protocol/engine/opening.rs", "let key = sha1::Sha1::new();"),
        ("core/src/protocol/engine/sending.rs", "let first = 0x80 | opcode;"),
        ("core/src/protocol/handshake/server.rs", "use super::super::engine::Engine;"),
        ("core/src/protocol/close.rs", "use crate::error::Error;"),
        ("core/src/protocol/frame.rs", "fn copy(data: &[u8]) -> Vec<u8> {"),
        ("core/src/protocol/frame.rs", "use super::config::Config;"),
        ("core/src/protocol/mask.rs", "use super::{fault::Fault, engine};"),
        ("core/src/net/turn.rs", "match header.opcode { OpCode::Ping => {} }"),
        ("core/src/net/remote.rs", "std::thread::sleep(pause);"),
        ("core/src/net/remote.rs", "use crate::blocking::WebSocket;"),
        ("core/src/transport/socket.rs", "let websocket = 1;"),
        ("core/src/transport.rs", "use crate::protocol::Engine;"),
        ("core/src/blocking/websocket.rs", "let poll = mio::Poll::new();"),
        ("core/src/blocking/websocket.rs", "use crate::{error::Error, net::EventLoop};"),
        ("core/src/error.rs", "use crate::net::Remote;"),
        ("core/src/novel.rs", "fn nothing() {}"),
        ("core/src/clock.rs", "unsafe { now() }"),
        ("ffi/src/engine.rs", "let data = unsafe { slice::from_raw_parts(data, bytes) };"),
        ("ffi/src/engine.rs", "drop(Box::from_raw(engine));"),
        ("ffi/src/remote.rs", "std::panic::catch_unwind(|| 1);"),
        ("ffi/src/server.rs", "let stream = TcpStream::connect(address);"),
    ] {
        assert!(breaks(path, line) > 0, "{path}: {line}");
        assert_eq!(breaks(path, &format!("// {line}")), usize::from(path.ends_with("novel.rs")), "{path}: a comment");
        assert_eq!(
            breaks(path, &format!("#[cfg(test)]\nmod tests {{ {line} }}")),
            usize::from(path.ends_with("novel.rs"))
        );
    }
    for (path, line) in [
        ("core/src/protocol/engine.rs", "use std::io::IoSlice;"),
        ("core/src/protocol/engine.rs", "let mixture = amiodarone;"),
        ("core/src/net/turn.rs", "let unmasked = 1; // mask"),
        ("core/src/error.rs", "use crate::protocol::{Fault, Misuse};"),
        ("core/src/lib.rs", "#![forbid(unsafe_code)]"),
        ("ffi/src/guard.rs", "drop(Box::from_raw(engine));"),
        ("core/src/transport/host.rs", "let text = \"a // b\"; let after = 1;"),
    ] {
        assert_eq!(breaks(path, line), 0, "{path}: {line}");
    }
}
