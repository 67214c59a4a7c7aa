//! provisional
use std::sync::Arc;

use crate::error::Error;
use crate::protocol::handshake::Uri;
use crate::protocol::{Config, Engine, Time};

/// How to connect.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// Where.
    pub uri: Uri,
    /// Limits.
    pub config: Arc<Config>,
    /// More headers.
    pub headers: Vec<(String, String)>,
}

#[derive(Debug)]
pub(super) struct Connecting {
    engine: Engine,
}

impl Connecting {
    pub(super) fn new(_: ConnectOptions, engine: Engine, _: Time) -> Result<Connecting, Error> {
        Ok(Connecting { engine })
    }
    pub(super) fn next_timeout(&self) -> Option<Time> {
        None
    }
    pub(super) fn fail(&mut self, _: Error) {}
    pub(super) fn abort(&mut self) {}
    pub(super) fn handle_timeout(&mut self, _: Time) {}
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }
    pub(super) fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }
}
