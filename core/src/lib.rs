//! Linkspan: WebSocket (RFC 6455) with permessage-deflate (RFC 7692). One engine, three ways to drive it.
//!
//! ```text
//!             Request / Open / Message / Ping / Pong / Closed
//!     bytes ─►┌──────────────────┐─► events      One engine:     protocol::Engine
//!      time ─►│ protocol::Engine │               Three drivers:
//!  commands ─►└──────────────────┘─► bytes         net       many sockets, one thread per loop
//!                                  ─► a deadline   blocking  one socket, the caller's threads
//!                                                  by hand   the caller's own loop and sockets
//! ```
//!
//! - [`protocol`] is the engine: pure state, both roles. It knows no sockets, clocks or threads, and holds
//!   every rule of the RFCs; search it for a section's number.
//! - [`net`] drives many connections on one thread: [`EventLoop`](net::EventLoop), what it tells
//!   ([`Handler`](net::Handler)), what may be asked of it ([`Context`](net::Context), and from other threads
//!   [`Remote`](net::Remote)), and [`Server`](net::Server): N loops that serve one address.
//! - [`blocking`] drives one connection on whatever threads call it: [`WebSocket`](blocking::WebSocket).
//! - [`transport`], [`tls`] and [`connector`] are what both stand on: bytes in and out without waiting, and
//!   the way from a URL to a socket; [`log`] is where all of them tell what happens.
//!
//! Three small programs show the three ways: `examples/echo_loop.rs`, `echo_blocking.rs`, `echo_by_hand.rs`.
//!
//! Cargo features, both on by default: `tls` (wss, by rustls) and `deflate` (by zlib-rs).
#![forbid(unsafe_code)]

pub mod blocking;
mod clock;
pub mod connector;
mod error;
pub mod log;
pub mod net;
pub mod protocol;
mod sync;
mod thread;
pub mod tls;
pub mod transport;

pub use self::error::Error;
