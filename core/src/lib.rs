//! Linkspan: WebSocket (RFC 6455, RFC 7692). One engine, three ways to drive it.
#![forbid(unsafe_code)]

pub mod protocol;
