//! Linkspan: WebSocket (RFC 6455, RFC 7692). One engine, three ways to drive it.
#![forbid(unsafe_code)]

pub mod blocking;
mod clock;
pub mod connector;
mod error;
pub mod net;
pub mod protocol;
pub mod tls;
pub mod transport;

pub use self::error::Error;
