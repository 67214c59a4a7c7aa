//! Driver 2: one socket, the caller's threads. [`WebSocket`] for messages, [`RawStream`] for bytes.
//!
//! One thread receives, any number send, at once. A lock stands around transport and protocol; it is held
//! only for work that cannot wait. All waiting is done outside of it, on the socket, with the engine's next
//! deadline as the bound.
//!
//! A caller with an event loop of its own, or with signals to look after, does the waiting itself: [`Dial`] and the
//! calls beside [`WebSocket::awaits`] never wait, and tell what to wait for.
//!
//! ```text
//!   recv ──► lock: read, run the engine, write its answers ──► a message? return it
//!     ▲                                                            │ no
//!     └───────── poll: readable, or writable when bytes wait ◄─────┘
//!
//!   send ──► lock: queue, write ──► all gone? return ── no ──► poll: writable ──► lock …
//! ```

mod dial;
mod polled;
mod raw;
mod reach;
mod shared;
mod websocket;

pub use self::dial::Dial;
pub use self::polled::{Interest, Outbound};
pub use self::raw::RawStream;
pub use self::reach::Reach;
pub use self::websocket::{Received, WebSocket};
