//! What the tests of the built library share: building it, compiling C against it, running that.
#![allow(clippy::unwrap_used, dead_code, reason = "a test; not every one needs all")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A folder with liblinkspan.so, its name at run time, and liblinkspan.a. Cargo builds no shared library for
/// tests alone, so the first who asks does; in a folder of its own, because the tests' dependencies change the
/// features of the library's, and each would undo the other's work.
pub(crate) fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let target = temporary.parent().unwrap().join("ffi");
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "linkspan-ffi", "--lib", "--target-dir"])
            .arg(&target)
            .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
            .current_dir(root())
            .status()
            .unwrap();
        assert!(status.success(), "the library does not build");
        let built = target.join("debug");
        let _ = symlink("liblinkspan.so", built.join("liblinkspan.so.1"));
        built
    })
}

/// Compiles a C or C++ program of the repository against the library, and gives its path.
pub(crate) fn compile(source: &str) -> PathBuf {
    compile_with(source, None)
}

/// The same for a program that needs another library too, which pkg-config knows.
pub(crate) fn compile_with(source: &str, module: Option<&str>) -> PathBuf {
    // A C program and a C++ program may have the same name.
    let name = Path::new(source).file_name().unwrap().to_string_lossy().replace('.', "_");
    let source = root().join(source);
    let is_cpp = source.extension().is_some_and(|extension| extension == "cpp");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
    let standard = match is_cpp {
        true if name.contains("coroutines") => "-std=c++20",
        true => "-std=c++17",
        false => "-std=c99",
    };
    let output = Command::new(if is_cpp { "c++" } else { "cc" })
        .args([standard, "-g"])
        .args(["-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-pedantic", "-Werror"])
        .arg(&source)
        .args(["-I", "include", "-I", "bindings/cpp", "-o"])
        .arg(&program)
        .arg("-L")
        .arg(library())
        .args(["-llinkspan", "-pthread"])
        .args(module.map(flags).unwrap_or_default())
        .arg(format!("-Wl,-rpath,{}", library().display()))
        .current_dir(root())
        .output()
        .expect("a C and a C++ compiler are needed (Debian: gcc g++)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// What a compiler must be told for another library; its headers are not ours to warn about.
fn flags(module: &str) -> Vec<String> {
    let output =
        Command::new("pkg-config").args(["--cflags", "--libs", module]).output().expect("pkg-config is needed");
    assert!(output.status.success(), "the tests need {module} (./dev test says its Debian package)");
    let flags = String::from_utf8(output.stdout).unwrap();
    flags.split_whitespace().map(|flag| flag.replacen("-I", "-isystem", 1)).collect()
}

/// Runs a program in the repository: it must end in time, with 0, and say nothing on standard output.
pub(crate) fn run(program: &Path) {
    let log = program.with_extension("log");
    let mut child = Command::new(program)
        .current_dir(root())
        .stdin(Stdio::null())
        .stdout(fs::File::create(&log).unwrap())
        .stderr(fs::File::options().append(true).open(&log).unwrap())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if begun.elapsed() > Duration::from_secs(60) => {
                let _ = child.kill();
                panic!("{} does not end", program.display());
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let said = fs::read_to_string(&log).unwrap();
    assert!(status.success() && said.is_empty(), "{}: {status}\n{said}", program.display());
}
