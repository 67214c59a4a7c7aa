//! Driver 2: one socket, the caller's threads. [`WebSocket`] for messages, [`RawStream`] for bytes.
//!
//! One thread receives, any number send, at once. A lock stands around transport and protocol; it is held
//! only for work that cannot wait. All waiting is done outside of it, on the socket, with the engine's next
//! deadline as the bound.
//!
//! ```text
//!   recv ──► lock: read, run the engine, write its answers ──► a message? return it
//!     ▲                                                            │ no
//!     └───────── poll: readable, or writable when bytes wait ◄─────┘
//!
//!   send ──► lock: queue, write ──► all gone? return ── no ──► poll: writable ──► lock …
//! ```

mod dial;
mod raw;
mod shared;
mod websocket;

pub use self::raw::RawStream;
pub use self::websocket::{Received, WebSocket};
