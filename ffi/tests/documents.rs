//! The programs of ours in docs/ compile.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::fs;
use std::path::Path;

use common::{compile, root};

#[test]
fn every_program_of_ours_in_the_documents_compiles() {
    let mut programs = 0;
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        // Between fences; the first line of each is its language.
        for block in text.split("```").skip(1).step_by(2) {
            let Some((language @ ("c" | "cpp"), program)) = block.split_once('\n') else { continue };
            if !program.contains("#include <linkspan.") {
                continue;
            }
            programs += 1;
            let name = format!("{}_{programs}.{language}", path.file_stem().unwrap().to_str().unwrap());
            let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name.replace('-', "_"));
            fs::write(&source, program).unwrap();
            compile(source.to_str().unwrap());
        }
    }
    assert!(programs >= 2, "only {programs} programs were found");
}
