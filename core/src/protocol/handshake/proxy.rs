//! Proxies as bytes: HTTP CONNECT (RFC 9110 9.3.6) and SOCKS5 (RFC 1928, 1929).

/// An HTTP CONNECT exchange.
#[derive(Debug)]
pub struct ConnectProxy {}

/// A SOCKS5 exchange.
#[derive(Debug)]
pub struct Socks5 {}
