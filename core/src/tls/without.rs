//! What stands in place of TLS in a build without the feature `tls`: types that nobody can have.

use std::sync::Arc;

use super::{ClientCertificates, ClientTlsOptions, Identity, Pem, ServerTlsOptions};
use crate::error::Error;

/// A server's side of TLS; this build has none.
#[derive(Debug)]
pub enum ServerTls {}

impl ServerTls {
    /// Fails: this build is without TLS.
    pub fn new(_: Pem, _: Pem) -> Result<ServerTls, Error> {
        Err(absent())
    }

    /// Fails: this build is without TLS.
    pub fn with_options(_: ServerTlsOptions) -> Result<ServerTls, Error> {
        Err(absent())
    }

    /// Never called.
    pub fn reload(&self) -> Result<(), Error> {
        match *self {}
    }

    /// Never called.
    pub fn asking(&self, _: &ClientCertificates) -> Result<ServerTls, Error> {
        match *self {}
    }

    /// Never called.
    pub fn warnings(&self) -> Vec<String> {
        match *self {}
    }

    /// Never called.
    pub fn add(&self, _: Identity) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) fn never<T, U>(&self, _: T) -> U {
        match *self {}
    }
}

/// A client's side of TLS; this build has none.
#[derive(Debug)]
pub enum ClientTls {}

impl ClientTls {
    /// Fails: this build is without TLS.
    pub fn system() -> Result<Arc<ClientTls>, Error> {
        Err(absent())
    }

    /// Fails: this build is without TLS.
    pub fn with_options(_: ClientTlsOptions) -> Result<ClientTls, Error> {
        Err(absent())
    }

    /// Fails: this build is without TLS.
    pub fn check(_: &ClientTlsOptions) -> Result<(), Error> {
        Err(absent())
    }

    pub(crate) fn for_another_origin(&self) -> ClientTls {
        match *self {}
    }

    pub(crate) fn never<T, U>(&self, _: T) -> U {
        match *self {}
    }
}

fn absent() -> Error {
    Error::Tls("this build is without TLS".into())
}
