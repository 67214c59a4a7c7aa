//! The shared library's own name, and where it can be built.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Programs that link liblinkspan.so ask for this name when they start: it changes with the ABI only.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,liblinkspan.so.1");
}
