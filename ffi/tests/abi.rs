//! Programs that were built with an earlier header go on working: abidiff compares the binary interface with the
//! baseline, ffi/abi/linkspan.abi. It holds functions, their parameters, structs down to the offsets, and the
//! values of constants. What is added passes, and need not be in the baseline; what is removed or changed fails.
//!
//!     LINKSPAN_WRITE_ABI=1 cargo test -p linkspan-ffi --test abi    # writes the baseline: with each release
//!
//! Rust's debug information describes the whole engine, so what is compared is a library of another kind: it
//! has each function that the header declares, and the compiler's description of them, and does nothing.
//! That the header is what the sources say is held by header.rs.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn ffi() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn header() -> String {
    fs::read_to_string(ffi().join("../include/linkspan.h")).unwrap()
}

/// The header as a program: each declared function does nothing, and an enum has the constants' values.
fn program(header: &str) -> String {
    let mut program = String::new();
    let mut declares = false;
    for line in header.lines() {
        let begins = line.starts_with(|c: char| c.is_ascii_lowercase());
        declares |= begins && !line.starts_with("typedef") && !line.starts_with("static") && line.contains('(');
        match line.strip_suffix(");") {
            Some(function) if declares => {
                declares = false;
                writeln!(program, "{function}) {{ __builtin_trap(); }}").unwrap();
            }
            _ => writeln!(program, "{line}").unwrap(),
        }
    }
    program.push_str("enum linkspan_constants {\n");
    for line in header.lines() {
        if let Some((name, _)) = line.strip_prefix("#define ").and_then(|define| define.split_once(' ')) {
            writeln!(program, "    VALUE_OF_{name} = {name},").unwrap();
        }
    }
    program.push_str("};\nvoid the_constants(enum linkspan_constants one);\n");
    program.push_str("void the_constants(enum linkspan_constants one) { (void)one; }\n");
    program
}

/// The header without the fields that growing structs, whose first field is `size`, have got at their end since
/// the baseline.
fn without_new_fields(header: &str, baseline: &str) -> String {
    let mut kept = String::new();
    let mut rest = header;
    while let Some(at) = rest.find("typedef struct linkspan_") {
        let (before, from) = rest.split_at(at);
        let whole = &from[..from.find(";\n\n").map_or(from.len(), |end| end + 1)];
        let name = whole.trim_start_matches("typedef struct ").split(' ').next().unwrap();
        kept.push_str(before);
        kept.push_str(&cut(whole, name, baseline).unwrap_or_else(|| whole.to_owned()));
        rest = &from[whole.len()..];
    }
    kept + rest
}

/// One struct, if it grows and the baseline knows it, up to the last field that is in the baseline.
fn cut(whole: &str, name: &str, baseline: &str) -> Option<String> {
    let known = baseline.split_once(&format!("<class-decl name='{name}' size-in-bits="))?.1;
    let known = known.split_once("</class-decl>")?.0;
    let last = known.rsplit_once("<var-decl name='")?.1.split_once('\'')?.0;
    let body = whole.split_once("{\n")?.1;
    body.lines().find(|line| !line.trim_start().starts_with("//"))?.strip_prefix("    size_t size;")?;
    let is_last = |line: &&str| !line.trim_start().starts_with("//") && names(line, last);
    let line = whole.lines().find(is_last)?;
    let end = whole.find(line)? + line.len();
    Some(format!("{}\n}} {name};", &whole[..end]))
}

/// Whether a line declares the field: `uint32_t name;` or `void (*name)(void *user);`.
fn names(line: &str, field: &str) -> bool {
    let plain = line.strip_suffix(';').and_then(|line| line.strip_suffix(field));
    plain.is_some_and(|line| line.ends_with([' ', '*'])) || line.contains(&format!("(*{field})"))
}

/// A shared library made of a header, in a folder of its own.
fn library(name: &str, header: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("abi").join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("linkspan.c"), program(header)).unwrap();
    let output = Command::new("gcc")
        .args(["-std=c99", "-g", "-shared", "-fPIC", "-Wl,-soname,liblinkspan.so.1"])
        .args(["-o", "liblinkspan.so.1", "linkspan.c"])
        .current_dir(&folder)
        .output()
        .expect("a C compiler is needed (Debian: gcc)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder.join("liblinkspan.so.1")
}

fn baseline() -> PathBuf {
    ffi().join("abi/linkspan.abi")
}

/// What abidiff finds removed or changed in this header since the baseline.
fn changes(name: &str, header: &str) -> Option<String> {
    let baseline = baseline();
    let known = fs::read_to_string(&baseline).unwrap();
    let output = Command::new("abidiff")
        .args(["--no-added-syms", "--no-architecture"])
        .arg(&baseline)
        .arg(library(name, &without_new_fields(header, &known)))
        .output()
        .expect("abidiff is needed (Debian: abigail-tools)");
    // Bits: 1 and 2 mean that it could not compare, 4 and 8 that it found something.
    assert_eq!(output.status.code().unwrap() & 3, 0, "{}", String::from_utf8_lossy(&output.stderr));
    (!output.status.success()).then(|| String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// The header with one passage that must be in it replaced.
fn changed(old: &str, new: &str) -> String {
    let header = header();
    assert!(header.contains(old), "the header has no {old:?} to change");
    header.replacen(old, new, 1)
}

#[test]
fn nothing_is_removed_or_changed_since_the_baseline() {
    if env::var_os("LINKSPAN_WRITE_ABI").is_some() {
        let status = Command::new("abidw")
            .args(["--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--out-file"])
            .arg(baseline())
            .arg(library("baseline", &header()))
            .status();
        assert!(status.expect("abidw is needed (Debian: abigail-tools)").success());
    }
    if let Some(report) = changes("now", &header()) {
        panic!("a program that was built with the header of ffi/abi/linkspan.abi would break:\n{report}");
    }
}

#[test]
fn the_header_declares_what_the_library_exports() {
    let output = Command::new("nm")
        .args(["--dynamic", "--defined-only", "--format=just-symbols"])
        .arg(library("declared", &header()))
        .output()
        .expect("nm is needed (Debian: binutils)");
    let declared = String::from_utf8(output.stdout).unwrap();
    let declared: Vec<&str> = declared.lines().filter(|symbol| *symbol != "the_constants").collect();
    let listed = fs::read_to_string(ffi().join("tests/symbols.txt")).unwrap();
    assert_eq!(declared, listed.lines().collect::<Vec<_>>());
}

#[test]
fn additions_pass() {
    for (name, header) in [
        ("function", changed("#ifdef __cplusplus\n}", "int linkspan_newer(int one);\n#ifdef __cplusplus\n}")),
        ("constant", changed("#define LINKSPAN_OK 0", "#define LINKSPAN_OK 0\n#define LINKSPAN_NEWER 77")),
        ("field", changed("\n} linkspan_callbacks;", "\n    void *newer;\n} linkspan_callbacks;")),
    ] {
        let report = changes(&format!("added_{name}"), &header);
        assert!(report.is_none(), "{name}: {}", report.unwrap_or_default());
    }
}

#[test]
fn removals_and_changes_fail() {
    for (name, old, new) in [
        ("function_removed", "linkspan_connection_send_text(", "linkspan_connection_send_words("),
        (
            "parameter_added",
            "linkspan_tls_reload(struct linkspan_tls *tls)",
            "linkspan_tls_reload(struct linkspan_tls *tls, int more)",
        ),
        ("parameter_changed", "linkspan_tls_reload(struct linkspan_tls *tls)", "linkspan_tls_reload(uint64_t tls)"),
        ("return_changed", "uint32_t linkspan_abi_version(", "uint64_t linkspan_abi_version("),
        ("constant_changed", "#define LINKSPAN_UNSUPPORTED -11", "#define LINKSPAN_UNSUPPORTED -111"),
        ("constant_removed", "#define LINKSPAN_UNSUPPORTED -11", ""),
        ("field_first", "linkspan_on_event on_open;", "void *newer;\n    linkspan_on_event on_open;"),
        ("field_removed", "linkspan_on_event on_open;", ""),
        ("last_field_removed", "void (*free_user)(void *user);", ""),
        ("field_changed", "linkspan_on_event on_open;", "linkspan_on_message on_open;"),
        ("value_grows", "\n} linkspan_text;", "\n    int more;\n} linkspan_text;"),
    ] {
        assert!(changes(name, &changed(old, new)).is_some(), "{name} is not noticed");
    }
}
