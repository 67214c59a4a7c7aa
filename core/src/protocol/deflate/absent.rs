//! [`Deflate`] in a build without compression: a type that has no value.

use super::super::config::DeflateConfig;
use super::super::fault::Fault;
use super::Parameters;

/// Both directions of one connection. This build is without compression: there is no such value.
#[derive(Debug)]
pub enum Deflate {}

/// No set of parameters.
pub const SETS: usize = 0;

impl Deflate {
    /// Never called: nothing is agreed to.
    ///
    /// # Panics
    /// Always.
    pub fn new(_is_server: bool, _parameters: &Parameters, _config: &DeflateConfig) -> Deflate {
        unreachable!("this build is without permessage-deflate and agrees to none")
    }

    /// Never called.
    pub fn wants(&self, _bytes: usize) -> bool {
        match *self {}
    }

    /// Never called.
    pub fn compress(&mut self, _data: &[u8], _is_last: bool, _out: &mut Vec<u8>) {
        match *self {}
    }

    /// Never called.
    pub fn compress_alone(&self, _data: &[u8], _out: &mut Vec<u8>) {
        match *self {}
    }

    /// Never called.
    pub fn set(&self) -> usize {
        match *self {}
    }

    /// Never called.
    pub fn inflate(&mut self, _data: &[u8], _is_last: bool, _limit: u64, _out: &mut Vec<u8>) -> Result<(), Fault> {
        match *self {}
    }

    /// Never called.
    pub fn reset_compressor(&mut self) {
        match *self {}
    }
}
