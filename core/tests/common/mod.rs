//! What the tests share. Not every test uses all of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod blocked;
pub mod by_hand;
pub mod looped;
pub mod play;
pub mod random;
pub mod running;
pub mod settings;
pub mod wire;

use std::path::Path;
use std::sync::OnceLock;

pub use linkspan::protocol::handshake::accept_key;

use self::wire::{Case, read_folder};

/// All cases of the corpus.
pub fn corpus() -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(|| read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")))
}
