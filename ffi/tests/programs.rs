//! The C programs, against the shared library as it is built.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{compile, library, root, run};

macro_rules! programs {
    ($($name:ident: $source:literal,)*) => {
        $(#[test]
        fn $name() {
            run(&compile($source));
        })*

        #[test]
        fn every_program_is_run() {
            let sources = [$($source),*];
            for entry in fs::read_dir(root().join("ffi/tests")).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let is_program = name.ends_with(".c");
                assert!(!is_program || sources.contains(&format!("ffi/tests/{name}").as_str()), "{name} is not run");
            }
        }
    };
}

programs! {
    adopt: "ffi/tests/adopt.c",
    changes: "ffi/tests/changes.c",
    client: "ffi/tests/client.c",
    connection: "ffi/tests/connection.c",
    drain: "ffi/tests/drain.c",
    engine: "ffi/tests/engine.c",
    free_user: "ffi/tests/free_user.c",
    event_loop: "ffi/tests/loop.c",
    inside: "ffi/tests/inside.c",
    listen: "ffi/tests/listen.c",
    http: "ffi/tests/http.c",
    last_words: "ffi/tests/last_words.c",
    library_itself: "ffi/tests/library.c",
    log: "ffi/tests/log.c",
    many: "ffi/tests/many.c",
    metrics: "ffi/tests/metrics.c",
    null: "ffi/tests/null.c",
    parts: "ffi/tests/parts.c",
    proxies: "ffi/tests/proxies.c",
    proxied: "ffi/tests/proxied.c",
    reconnect: "ffi/tests/reconnect.c",
    redirect: "ffi/tests/redirect.c",
    reentry: "ffi/tests/reentry.c",
    request: "ffi/tests/request.c",
    resolve: "ffi/tests/resolve.c",
    server: "ffi/tests/server.c",
    signals: "ffi/tests/signals.c",
    slow: "ffi/tests/slow.c",
    sigpipe: "ffi/tests/sigpipe.c",
    sizes: "ffi/tests/sizes.c",
    stale: "ffi/tests/stale.c",
    tls_reload: "ffi/tests/tls_reload.c",
    threads: "ffi/tests/threads.c",
    tls: "ffi/tests/tls.c",
    wrong_thread: "ffi/tests/wrong_thread.c",
    trust: "ffi/tests/trust.c",
    topics: "ffi/tests/topics.c",
}

#[test]
fn the_examples_in_the_headers_compile() {
    let example = |header: &str| -> String {
        let text = fs::read_to_string(root().join(header)).unwrap();
        let intro = text.lines().take_while(|line| line.starts_with("//"));
        intro.filter_map(|line| Some(line.strip_prefix("//     ")?.to_owned() + "\n")).collect()
    };
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let c = temporary.join("header_example.c");
    fs::write(&c, example("include/linkspan.h")).unwrap();
    compile(c.to_str().unwrap());
    for header in ["linkspan", "linkspan_websocket", "linkspan_coroutines"] {
        let cpp = temporary.join(format!("{header}_example.cpp"));
        fs::write(&cpp, example(&format!("bindings/cpp/{header}.hpp"))).unwrap();
        compile(cpp.to_str().unwrap());
    }
}

/// The symbols that the shared library exports.
fn symbols() -> Vec<String> {
    let output = Command::new("nm")
        .args(["--dynamic", "--defined-only", "--format=just-symbols"])
        .arg(library().join("liblinkspan.so"))
        .output()
        .expect("nm is needed (Debian: binutils)");
    let mut symbols: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    symbols.sort_unstable();
    symbols
}

#[test]
fn the_exported_symbols_are_those_of_the_list() {
    let listed = fs::read_to_string(root().join("ffi/tests/symbols.txt")).unwrap();
    let exported = symbols();
    let listed: Vec<&str> = listed.lines().collect();
    assert_eq!(exported, listed, "ffi/tests/symbols.txt lists what `nm -D` must show; nothing may ever leave it");
}

#[test]
fn null_calls_every_function() {
    let null = fs::read_to_string(root().join("ffi/tests/null.c")).unwrap();
    for symbol in symbols() {
        assert!(null.contains(&format!("{symbol}(")), "null.c does not call {symbol}");
    }
}

#[test]
fn the_library_asks_for_its_versioned_name() {
    let output = Command::new("objdump").arg("-p").arg(library().join("liblinkspan.so")).output();
    let output = output.expect("objdump is needed (Debian: binutils)");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let soname = text.lines().find(|line| line.contains("SONAME")).unwrap_or_default();
    assert!(soname.ends_with("liblinkspan.so.1"), "{soname}");
}
