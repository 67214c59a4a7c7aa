//! Linkspan's C library. Each public module is a section of `include/linkspan.h` (tests/header.rs names their
//! order), and its first lines are the heading there: they are written for C programmers.
//!
//! A function here is a fence against panics around one call into the crate `linkspan`. Whatever it has
//! to say about pointers stands in the comment that the header shows; everything generic that is unsafe
//! stands in `guard`.
#![allow(non_camel_case_types, reason = "types are spelled as C spells them")]
#![allow(clippy::missing_safety_doc, reason = "each comment is the C programmer's, in the header")]
#![deny(clippy::undocumented_unsafe_blocks)]

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
compile_error!("linkspan supports Linux on x86-64 and arm64 only");

pub mod adopt;
pub mod bytes;
pub mod callbacks;
pub mod changes;
pub mod client;
pub mod config;
pub mod connection;
pub mod engine;
pub mod event_loop;
pub mod library;
pub mod metrics;
pub mod request;
pub mod resolution;
pub mod result;
pub mod server;
pub mod tls;
pub mod topics;

#[cfg(test)]
mod corpus;
mod guard;
mod remote;
