//! What drivers return.

use std::fmt;
use std::io;

use crate::protocol::{Fault, Misuse};

/// Why a driver could not do what it was asked, or why a connection failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke a rule.
    Fault(Fault),
    /// The application asked the impossible; nothing has changed.
    Misuse(Misuse),
    /// The connection that the id names has ended, or never was.
    Gone,
    /// The system refused; the text says what was tried.
    Io {
        /// What was tried: `connect to 127.0.0.1:9`, `listen on /run/a.sock`.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// Certificates, trust or the TLS handshake; a sentence that a person can act on.
    Tls(String),
    /// A name that does not resolve.
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        why: String,
    },
}

impl Error {
    /// An error of the system, with what was tried.
    pub fn io(doing: impl Into<String>, source: io::Error) -> Error {
        Error::Io { doing: doing.into(), source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Fault(fault) => fault.fmt(f),
            Error::Misuse(misuse) => misuse.fmt(f),
            Error::Gone => write!(f, "the connection has ended"),
            Error::Io { doing, source } => write!(f, "cannot {doing}: {source}"),
            Error::Tls(why) => write!(f, "TLS: {why}"),
            Error::Resolve { host, why } => write!(f, "cannot resolve {host}: {why}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Fault(fault) => Some(fault),
            Error::Misuse(misuse) => Some(misuse),
            Error::Io { source, .. } => Some(source),
            Error::Gone | Error::Tls(_) | Error::Resolve { .. } => None,
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        Error::Fault(fault)
    }
}

impl From<Misuse> for Error {
    #[cold]
    fn from(misuse: Misuse) -> Error {
        Error::Misuse(misuse)
    }
}
