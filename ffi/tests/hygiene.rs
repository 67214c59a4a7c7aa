//! The headers do not make a user's build complain: gcc and clang compile them in every standard, under more
//! warnings than most projects use, alone, twice, and inside of `extern "C"`.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use common::root;

/// What both compilers know, for both languages. Headers of the system's are not looked at.
const WARNINGS: [&str; 13] = [
    "-Wall",
    "-Wextra",
    "-pedantic",
    "-Werror",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wshadow",
    "-Wcast-qual",
    "-Wcast-align",
    "-Wundef",
    "-Wredundant-decls",
    "-Wswitch-enum",
    "-Wfloat-equal",
];
const WARNINGS_OF_C: [&str; 4] =
    ["-Wstrict-prototypes", "-Wmissing-prototypes", "-Wdeclaration-after-statement", "-Wwrite-strings"];
const WARNINGS_OF_CPP: [&str; 5] = [
    "-Wold-style-cast",
    "-Wzero-as-null-pointer-constant",
    "-Wnon-virtual-dtor",
    "-Woverloaded-virtual",
    "-Wextra-semi",
];

const STANDARDS_OF_C: [&str; 4] = ["c99", "c11", "c17", "c2x"];
const STANDARDS_OF_CPP: [&str; 4] = ["c++11", "c++14", "c++17", "c++20"];
/// The classes need C++17.
const STANDARDS_OF_CLASSES: [&str; 3] = ["c++17", "c++20", "c++2b"];

/// Compiles a text, and gives what the compiler has to say about it.
fn complaints(compiler: &str, standard: &str, more: &[&str], text: &str) -> String {
    let is_cpp = standard.contains('+');
    let command = match (compiler, is_cpp) {
        ("gcc", true) => "g++",
        ("clang", true) => "clang++",
        _ => compiler,
    };
    let mut child = Command::new(command)
        .args(["-fsyntax-only", "-I", "include", "-I", "bindings/cpp", "-x", if is_cpp { "c++" } else { "c" }])
        .arg(format!("-std={standard}"))
        .args(WARNINGS)
        .args(if is_cpp { &WARNINGS_OF_CPP[..] } else { &WARNINGS_OF_C[..] })
        .args(more)
        .arg("-")
        .current_dir(root())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|why| panic!("{command} is needed (Debian: gcc g++ clang): {why}"));
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    if said.is_empty() { said } else { format!("{command} -std={standard}, of\n{text}\n{said}") }
}

/// Runs `check` with each compiler at once; both must find nothing to complain of.
fn with_each_compiler(check: impl Fn(&str) -> String + Sync) {
    let said = thread::scope(|scope| {
        let running = ["gcc", "clang"].map(|compiler| scope.spawn(|| check(compiler)));
        running.map(|one| one.join().unwrap()).concat()
    });
    assert!(said.is_empty(), "{said}");
}

/// bindings/cpp's headers, as a program names them.
fn classes() -> Vec<String> {
    fn gather(folder: &Path, prefix: &str, found: &mut Vec<String>) {
        for entry in folder.read_dir().unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_dir() && name != "tests" {
                gather(&entry.path(), &format!("{prefix}{name}/"), found);
            } else if name.ends_with(".hpp") {
                found.push(format!("{prefix}{name}"));
            }
        }
    }
    let mut found = Vec::new();
    gather(&root().join("bindings/cpp"), "", &mut found);
    found.sort_unstable();
    assert!(found.iter().any(|name| name == "linkspan.hpp"), "{found:?}");
    found
}

#[test]
fn the_c_header_compiles_in_every_c_without_a_warning() {
    let text = "#include <linkspan.h>\n#include <linkspan.h>\nint main(void) { return linkspan_has(1) ? 1 : 0; }\n";
    with_each_compiler(|compiler| STANDARDS_OF_C.map(|standard| complaints(compiler, standard, &[], text)).concat());
}

#[test]
fn the_c_header_compiles_in_every_cpp_without_a_warning() {
    let includes = "#include <linkspan.h>\n#include <linkspan.h>\n";
    let main = "int main() { return linkspan_has(1) ? 1 : 0; }\n";
    let plain = format!("{includes}{main}");
    let wrapped = format!("extern \"C\" {{\n{includes}}}\n{main}");
    with_each_compiler(|compiler| {
        let all = STANDARDS_OF_CPP.map(|standard| {
            complaints(compiler, standard, &[], &plain)
                + &complaints(compiler, standard, &["-fno-exceptions", "-fno-rtti"], &wrapped)
        });
        all.concat()
    });
}

#[test]
fn each_class_header_compiles_alone_and_twice_without_a_warning() {
    let classes = classes();
    with_each_compiler(|compiler| {
        let alone = |header: &String| {
            let text = format!("#include <{header}>\n#include <{header}>\nint main() {{}}\n");
            complaints(compiler, STANDARDS_OF_CLASSES[0], &[], &text)
        };
        classes.iter().map(alone).collect()
    });
}

#[test]
fn the_class_headers_compile_in_every_cpp_without_a_warning() {
    let all: String = classes().iter().rev().map(|header| format!("#include <{header}>\n")).collect();
    let text = format!("{all}int main() {{}}\n");
    with_each_compiler(|compiler| {
        STANDARDS_OF_CLASSES.map(|standard| complaints(compiler, standard, &[], &text)).concat()
    });
}

#[test]
fn a_header_that_needs_another_first_is_noticed() {
    assert!(complaints("gcc", "c99", &[], "static linkspan_status one;\n").contains("linkspan_status"));
    let sloppy = "static inline int narrow(long wide) { return wide; }\nint main(void) { return narrow(0); }\n";
    with_each_compiler(|compiler| {
        let said = complaints(compiler, "c99", &[], sloppy);
        if said.contains("conversion") { String::new() } else { format!("{compiler} lets a narrowing pass: {said}") }
    });
}
