//! What the header promises as a whole: that the C tests leave nothing out, and that no panic leaves the library.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::root;

fn header() -> String {
    fs::read_to_string(root().join("include/linkspan.h")).unwrap()
}

/// The body of each struct of the header.
fn structs(header: &str) -> HashMap<&str, &str> {
    let parts = header.split("typedef struct ").skip(1).filter_map(|part| part.split_once(" {\n"));
    parts.filter_map(|(name, rest)| Some((name, rest.split_once("\n}")?.0))).collect()
}

#[test]
fn every_struct_that_grows_is_tried_in_all_sizes() {
    let (header, tried) = (header(), fs::read_to_string(root().join("ffi/tests/sizes.c")).unwrap());
    let structs = structs(&header);
    let growing =
        structs.iter().filter(|(_, body)| body.lines().next().unwrap().contains("sizeof(")).map(|(name, _)| name);
    let growing: Vec<_> = growing.collect();
    assert!(growing.len() >= 9, "only {growing:?} grow");
    for name in growing {
        assert!(tried.contains(&format!("{{sizeof({name}), ")), "ffi/tests/sizes.c does not try {name}");
    }
}

#[test]
fn every_callback_has_everything_called_inside_it() {
    let (header, inside) = (header(), fs::read_to_string(root().join("ffi/tests/inside.c")).unwrap());
    let structs = structs(&header);
    let fields = structs["linkspan_callbacks"].lines().filter_map(|line| {
        let line = line.trim();
        let name = line.strip_prefix("void (*").and_then(|rest| rest.split_once(')')).map(|(name, _)| name);
        name.or_else(|| line.strip_suffix(';')?.rsplit_once(' ').map(|(_, name)| name))
    });
    let callbacks: Vec<&str> = fields.filter(|name| name.starts_with("on_")).collect();
    assert!(callbacks.len() >= 12, "only {callbacks:?} were found");
    for name in callbacks {
        assert!(inside.contains(&format!("reach({name}, ")), "ffi/tests/inside.c reaches nothing in {name}");
    }
}

/// Those that only hand out what is there: nothing in them can panic.
const WITHOUT_FENCE: [&str; 5] =
    ["linkspan_abi_version", "linkspan_version", "linkspan_has", "linkspan_status_text", "linkspan_last_error"];

#[test]
fn every_function_runs_inside_the_panic_fence() {
    let mut functions = 0;
    for path in sources(&root().join("ffi/src")) {
        let text = fs::read_to_string(path).unwrap();
        // The functions of a file, from their first line to the brace that ends them.
        let bodies: Vec<(&str, &str)> = text
            .split("\nfn ")
            .flat_map(|part| part.split("\nunsafe fn "))
            .flat_map(|part| part.split("\npub(crate) unsafe fn "))
            .flat_map(|part| part.split(" extern \"C\" fn "))
            .filter_map(|part| Some((part.split(['(', '<']).next()?, part.split("\n}").next()?)))
            .collect();
        // Functions whose body is inside the fence, or inside one of these.
        let mut fenced: Vec<&str> = vec!["guard", "guard_connection", "guard_value"];
        let calls = |body: &str, name: &str| {
            body.match_indices(&format!("{name}("))
                .any(|(at, _)| !body[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        while let Some((name, _)) =
            bodies.iter().find(|(name, body)| !fenced.contains(name) && fenced.iter().any(|fence| calls(body, fence)))
        {
            fenced.push(name);
        }
        for (name, _) in bodies.iter().filter(|(name, _)| name.starts_with("linkspan_")) {
            functions += 1;
            let is_fenced = fenced.contains(name) || WITHOUT_FENCE.contains(name);
            assert!(is_fenced, "a panic would leave {name}");
        }
    }
    assert!(functions > 100, "only {functions} functions were found");
}

/// The files of a folder and those below it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

#[test]
fn every_test_that_the_page_of_promises_names_exists() {
    let page = fs::read_to_string(root().join("docs/promises.md")).unwrap();
    let mut promises = 0;
    for row in page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| #")) {
        promises += usize::from(row.as_bytes()[2].is_ascii_digit());
        let (_, held_by) = row.trim_end_matches(" |").rsplit_once(" | ").unwrap();
        let named: Vec<&str> = held_by.split('`').skip(1).step_by(2).collect();
        for name in &named {
            let (file, test) = name.split_once("::").unwrap_or((name, ""));
            let text = fs::read_to_string(root().join(file)).unwrap_or_else(|_| panic!("there is no {file}"));
            assert!(test.is_empty() || text.contains(&format!("fn {test}()")), "there is no {test} in {file}");
        }
        assert!(!named.is_empty() || held_by == "Held by", "nothing holds: {row}");
    }
    assert_eq!(promises, 15);
}
