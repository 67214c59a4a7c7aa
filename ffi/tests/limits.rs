//! docs/limits.md says what the code says: every default, in Rust and in C, and every fixed bound.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use linkspan::net::{ConnectOptions, ListenOptions, Reconnect, ServerOptions};
use linkspan::protocol::handshake::Uri;
use linkspan::protocol::{Config, DeflateConfig};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The cells of the page's tables, without the marks of code.
fn rows() -> Vec<Vec<String>> {
    let page = fs::read_to_string(root().join("docs/limits.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()).collect()
}

/// The fields of a struct whose default is a number, a time (in milliseconds) or no limit.
fn defaults(name: &str, value: &impl Debug, into: &mut BTreeMap<String, String>) {
    for line in format!("{value:#?}").lines() {
        // Its own fields only: what is nested has a line of its own kind.
        let Some(line) = line.strip_prefix("    ").filter(|line| !line.starts_with([' ', '}'])) else { continue };
        let Some((field, value)) = line.trim_end_matches(',').split_once(": ") else { continue };
        let time = |suffix| value.strip_suffix(suffix).and_then(|number| number.parse::<f64>().ok());
        let default = match value {
            "None" if field.starts_with("max_") => "none".to_owned(),
            number if number.parse::<u64>().is_ok() => number.to_owned(),
            _ => match (time("ms"), time("ns"), time("s")) {
                (Some(milliseconds), ..) | (None, Some(milliseconds), _) => milliseconds.to_string(),
                (None, None, Some(seconds)) => (seconds * 1000.0).to_string(),
                (None, None, None) => continue,
            },
        };
        into.insert(format!("{name}::{field}"), default);
    }
}

#[test]
fn every_default_in_rust_is_on_the_page() {
    let mut expected = BTreeMap::new();
    defaults("Config", &Config::default(), &mut expected);
    defaults("DeflateConfig", &DeflateConfig::default(), &mut expected);
    defaults("ListenOptions", &ListenOptions::default(), &mut expected);
    defaults("ServerOptions", &ServerOptions::default(), &mut expected);
    defaults("ConnectOptions", &ConnectOptions::new(Uri::parse("ws://a/").unwrap()), &mut expected);
    defaults("Reconnect", &Reconnect::default(), &mut expected);
    let rows = rows().into_iter().filter(|row| row[0].contains("::"));
    let said: BTreeMap<String, String> = rows.map(|row| (row[0].clone(), row[2].clone())).collect();
    assert!(said.len() >= 30, "only {} rows were found", said.len());
    assert_eq!(said, expected, "docs/limits.md (left) differs from the defaults (right)");
}

/// Each field of a C struct with its comment.
fn fields<'h>(header: &'h str, name: &str) -> Vec<(&'h str, String)> {
    let (_, rest) = header.split_once(&format!("typedef struct {name} {{\n")).unwrap();
    let (body, _) = rest.split_once("\n}").unwrap();
    let (mut fields, mut comment) = (Vec::new(), String::new());
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("//") {
            comment.push_str(text);
        } else if let Some((_, field)) = line.trim_end_matches(';').rsplit_once([' ', '*']) {
            fields.push((field, std::mem::take(&mut comment)));
        }
    }
    fields
}

/// The number behind "Default" in a comment.
fn said_default(comment: &str) -> Option<u64> {
    let (_, rest) = comment.split_once("Default ")?;
    let mut words = rest.split([' ', '.', ':', ';']);
    let number: u64 = words.next()?.replace(',', "").parse().ok()?;
    Some(match words.next() {
        Some("KiB") => number << 10,
        Some("MiB") => number << 20,
        _ => number,
    })
}

#[test]
fn every_default_in_c_is_on_the_page() {
    let header = fs::read_to_string(root().join("include/linkspan.h")).unwrap();
    let rows = rows();
    let mut compared = 0;
    for name in ["linkspan_config", "linkspan_server_options", "linkspan_client_options"] {
        let fields = fields(&header, name);
        for (field, comment) in &fields {
            let Some(default) = said_default(comment) else { continue };
            let name = format!("{name}.{field}");
            let row = rows.iter().find(|row| row[1] == name);
            let row = row.unwrap_or_else(|| panic!("docs/limits.md says nothing of {name}"));
            assert_eq!(row[2], default.to_string(), "{name}");
            compared += 1;
        }
        let prefix = format!("{name}.");
        for field in rows.iter().filter_map(|row| row[1].strip_prefix(&prefix)) {
            assert!(
                fields.iter().any(|(known, _)| *known == field),
                "{prefix}{field} is on the page, and nowhere else"
            );
        }
    }
    assert!(compared >= 25, "only {compared} defaults were compared");
}

#[test]
fn every_fixed_bound_is_what_the_code_has() {
    let mut compared = 0;
    for row in rows().iter().filter(|row| row[1].starts_with("core/src/")) {
        let text = fs::read_to_string(root().join(&row[1])).unwrap();
        let (_, rest) = text.split_once(&format!("const {}: ", row[0])).unwrap_or_else(|| panic!("{row:?}"));
        let (_, value) = rest.split_once(" = ").unwrap();
        let (value, _) = value.split_once(';').unwrap();
        assert_eq!(number(value, &text).to_string(), row[2], "{} in {}", row[0], row[1]);
        compared += 1;
    }
    assert!(compared >= 15, "only {compared} bounds were compared");
}

/// What `64 << 10`, `0xfffe` or `1 << SLOT_BITS` is.
fn number(expression: &str, text: &str) -> u64 {
    match expression.split_once(" << ") {
        Some((left, right)) => number(left, text) << number(right, text),
        None => match expression.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).unwrap(),
            None => expression.parse().unwrap_or_else(|_| {
                let (_, rest) = text.split_once(&format!("const {expression}: ")).unwrap();
                number(rest.split_once(" = ").unwrap().1.split_once(';').unwrap().0, text)
            }),
        },
    }
}
