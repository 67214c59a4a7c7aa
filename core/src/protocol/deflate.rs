//! permessage-deflate (RFC 7692): offer, agree, compress, inflate.

use super::config::DeflateConfig;
use super::fault::Fault;

/// What both ends agreed to (RFC 7692 7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The server forgets its context after each message.
    pub server_no_context_takeover: bool,
    /// The client forgets its context after each message.
    pub client_no_context_takeover: bool,
    /// The server's window, 8 to 15.
    pub server_max_window_bits: u8,
    /// The client's window, 8 to 15.
    pub client_max_window_bits: u8,
}

/// Both directions of one connection.
#[derive(Debug)]
pub struct Deflate {}

impl Deflate {
    /// Contexts for this end; allocated when first used.
    pub fn new(is_server: bool, parameters: &Parameters, config: &DeflateConfig) -> Deflate {
        let _ = (is_server, parameters, config);
        todo!()
    }
    /// Whether a message of this length is worth compressing (and, with a window of 8 bits, possible).
    pub fn wants(&self, bytes: usize) -> bool {
        let _ = bytes;
        todo!()
    }
    /// Appends the compressed form of the next piece of a message; after the last the tail is cut.
    pub fn compress(&mut self, data: &[u8], is_last: bool, out: &mut Vec<u8>) {
        let _ = (data, is_last, out);
        todo!()
    }
    /// Appends what the next piece of a message inflates to; a fault when `out` would grow above `limit`
    /// bytes in all, or when the data does not inflate.
    pub fn inflate(&mut self, data: &[u8], is_last: bool, limit: u64, out: &mut Vec<u8>) -> Result<(), Fault> {
        let _ = (data, is_last, limit, out);
        todo!()
    }
    /// Forgets the compressor's context: what is sent next was not compressed after what came before.
    pub fn reset_compressor(&mut self) {
        todo!()
    }
}
