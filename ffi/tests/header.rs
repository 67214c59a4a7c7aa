//! include/linkspan.h is what the sources say.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "common/calls.rs"]
mod calls;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("ffi stands in the workspace").to_owned()
}

/// The public modules, in the order of the header: what is named stands before what names it.
const SECTIONS: [&str; 17] = [
    "bytes",
    "result",
    "library",
    "config",
    "tls",
    "request",
    "resolution",
    "callbacks",
    "event_loop",
    "server",
    "client",
    "connection",
    "changes",
    "topics",
    "adopt",
    "metrics",
    "engine",
];

/// A module's first lines, as the heading of its section.
fn heading(module: &Path) -> String {
    let text = fs::read_to_string(module).unwrap();
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    let rule = format!("// {}\n", "-".repeat(76));
    let body: String = lines.map(|line| format!("//{line}\n")).collect();
    format!("{rule}{body}{rule}")
}

/// The types that a module defines; cbindgen alone would leave out those that no function there names.
fn types(module: &Path) -> Vec<String> {
    let text = fs::read_to_string(module).unwrap();
    let items = text.lines().filter_map(|line| line.strip_prefix("pub type ").or(line.strip_prefix("pub struct ")));
    let name = |item: &str| item.split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned);
    items.filter_map(name).collect()
}

fn generate() -> String {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut config = cbindgen::Config::from_file(manifest.join("cbindgen.toml")).unwrap();
    let intro = config.header.take().unwrap();
    let mut header = intro.trim_start().to_owned();
    header.push_str("\n#ifndef LINKSPAN_H\n#define LINKSPAN_H\n\n");
    header.push_str("#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n\n");
    header.push_str("#ifdef __cplusplus\nextern \"C\" {\n#endif\n");
    for section in SECTIONS {
        let module = manifest.join("src").join(section).with_extension("rs");
        config.export.include = types(&module);
        let bindings = cbindgen::Builder::new().with_config(config.clone()).with_src(&module).generate().unwrap();
        let mut section = Vec::new();
        bindings.write(&mut section);
        let section = String::from_utf8(section).unwrap();
        write!(header, "\n{}\n{}\n", heading(&module), section.trim()).unwrap();
        header.push_str(&inits(&section));
    }
    header.push_str("\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
    header
}

/// For each struct that the application fills in: a function that makes it the default. Inline, so that it
/// knows the size that the application was compiled with.
fn inits(section: &str) -> String {
    let structs = section.lines().filter_map(|line| line.strip_prefix("typedef struct ")?.strip_suffix(" {"));
    let grows = |name: &&str| {
        let body = section.split_once(&format!("typedef struct {name} {{")).map_or("", |(_, rest)| rest);
        body.lines().nth(1).is_some_and(|line| line.contains("sizeof"))
    };
    let init = |name: &str| {
        format!(
            "\n// Makes every field the default, and `size` right. May be called on any thread.\n\
             static inline void {name}_init({name} *it) {{\n    \
                 memset(it, 0, sizeof *it);\n    \
                 it->size = sizeof *it;\n}}\n"
        )
    };
    structs.filter(grows).map(init).collect()
}

#[test]
fn the_header_on_disk_is_what_the_sources_say() {
    is_on_disk("include/linkspan.h", &generate());
}

#[test]
fn the_calls_of_the_c_tests_are_those_of_the_header() {
    is_on_disk("ffi/tests/calls.h", &calls::generate(&generate()));
}

/// Compares a generated file with the one on disk, or writes it.
fn is_on_disk(path: &str, generated: &str) {
    if env::var_os("LINKSPAN_WRITE_HEADER").is_some() {
        fs::write(root().join(path), generated).unwrap();
    }
    let on_disk = fs::read_to_string(root().join(path)).unwrap_or_default();
    let differs = on_disk.lines().zip(generated.lines()).position(|(disk, new)| disk != new);
    assert!(
        on_disk == generated,
        "{path} differs from the sources (line {}); write it anew with \
         LINKSPAN_WRITE_HEADER=1 cargo test -p linkspan-ffi --test header",
        differs.map_or(0, |line| line + 1)
    );
}

#[test]
fn every_public_module_is_a_section() {
    let contents = fs::read_to_string(root().join("ffi/src/lib.rs")).unwrap();
    let public = contents.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let mut sections = SECTIONS.to_vec();
    sections.sort_unstable();
    assert_eq!(public.collect::<Vec<_>>(), sections);
}

#[test]
fn every_function_says_on_which_thread_it_may_be_called() {
    let header = generate();
    let mut comment = String::new();
    let mut functions = 0;
    for line in header.lines() {
        if let Some(text) = line.strip_prefix("//") {
            comment.push_str(text);
            comment.push('\n');
            continue;
        }
        if line.contains(" linkspan_")
            && line.contains('(')
            && !line.starts_with([' ', '#'])
            && !line.contains("typedef")
        {
            functions += 1;
            let thread = ["Thread: any", "Thread: loop", "Thread: callback", "any thread"];
            assert!(thread.iter().any(|tag| comment.contains(tag)), "no thread is named: {line}");
        }
        comment.clear();
    }
    assert!(functions > 80, "only {functions} functions were found");
}
