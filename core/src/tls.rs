//! Certificates and trust: [`ServerTls`] and [`ClientTls`], made once and shared by many connections.
//!
//! PEM goes in, from files or memory. Everything that can be wrong with it is found here, and told in
//! one sentence that names the file. TLS itself is rustls with one provider of cryptography, named in
//! our own configuration; nothing is installed for the whole process. TLS 1.2 and 1.3 are spoken.

#[cfg(feature = "tls")]
mod client;
#[cfg(feature = "tls")]
mod explain;
#[cfg(feature = "tls")]
mod pem;
#[cfg(feature = "tls")]
mod pinned;
#[cfg(feature = "tls")]
mod provider;
#[cfg(feature = "tls")]
mod server;
#[cfg(not(feature = "tls"))]
mod without;

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

#[cfg(feature = "tls")]
pub use self::client::ClientTls;
#[cfg(feature = "tls")]
pub(crate) use self::explain::{Who, explain};
#[cfg(feature = "tls")]
pub use self::server::ServerTls;
#[cfg(feature = "tls")]
pub(crate) use self::server::take_server_name;
#[cfg(not(feature = "tls"))]
pub use self::without::{ClientTls, ServerTls};
use crate::error::Error;

/// The protocol that TLS is asked for (ALPN): WebSocket's opening handshake is HTTP/1.1.
pub const ALPN_HTTP_1_1: &[u8] = b"http/1.1";

/// Text in PEM form: certificates, or a private key.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// In a file, read when it is needed and again by [`ServerTls::reload`].
    File(PathBuf),
    /// In memory.
    Bytes(Vec<u8>),
}

impl Pem {
    /// The PEM text in the file at `path`.
    pub fn file(path: impl AsRef<Path>) -> Pem {
        Pem::File(path.as_ref().to_path_buf())
    }

    /// PEM text itself.
    pub fn bytes(text: impl AsRef<[u8]>) -> Pem {
        Pem::Bytes(text.as_ref().to_vec())
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pem::File(path) => path.display().fmt(f),
            Pem::Bytes(_) => f.write_str("the given PEM text"),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A key is never logged.
        write!(f, "Pem({self})")
    }
}

/// Who we are to the peer: a certificate with those that lead to a root, and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Our certificate first, then its issuers; a root may be left out.
    pub chain: Pem,
    /// The private key, not encrypted: PKCS#8, PKCS#1 (RSA) or SEC1 (EC).
    pub key: Pem,
}

impl Identity {
    /// A chain and its key in two files.
    pub fn files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Identity {
        Identity { chain: Pem::file(chain), key: Pem::file(key) }
    }
}

/// What a server asks of its clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Nothing.
    #[default]
    NotAsked,
    /// A certificate by one of these issuers, or none at all.
    Optional(Pem),
    /// A certificate by one of these issuers.
    Required(Pem),
}

/// What a [`ServerTls`] is made of.
#[derive(Clone, Debug)]
pub struct ServerTlsOptions {
    /// Who we are. With several, the first whose certificate names what the client asks for (SNI) is
    /// shown; where none does, the first of all.
    pub identities: Vec<Identity>,
    /// What is asked of clients. Default nothing.
    pub client_certificates: ClientCertificates,
    /// Protocols to agree to, best first. A client that offers protocols, but none of these, is
    /// refused. Default `http/1.1`.
    pub alpn: Vec<Vec<u8>>,
}

impl ServerTlsOptions {
    /// One identity, and the defaults.
    pub fn new(identity: Identity) -> ServerTlsOptions {
        ServerTlsOptions {
            identities: vec![identity],
            client_certificates: ClientCertificates::NotAsked,
            alpn: vec![ALPN_HTTP_1_1.to_vec()],
        }
    }
}

/// Whom a client trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// The system's own store, read once per process; `SSL_CERT_FILE` and `SSL_CERT_DIR` replace it.
    #[default]
    System,
    /// These certificates and no others.
    Only(Pem),
    /// The system's own store, and these certificates too.
    SystemAnd(Pem),
}

/// The key that a server's certificate must have: the SHA-256 of its SubjectPublicKeyInfo (RFC 7469 2.4).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

impl Pin {
    /// Reads `sha256/` and 44 characters of base64, as browsers and curl write it (`sha256//` too).
    pub fn parse(text: &str) -> Result<Pin, Error> {
        let digits = text.strip_prefix("sha256/");
        // A slash is a digit too: curl's second one is told by the length.
        let digits =
            digits.map(|digits| if digits.len() == 45 { digits.strip_prefix('/').unwrap_or(digits) } else { digits });
        let bytes = digits.and_then(|digits| STANDARD.decode(digits).ok());
        let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Pin).ok_or_else(|| Error::Tls(format!("{text:?} is no pin: sha256/ and 44 characters of base64")))
    }

    /// Of a hash.
    pub const fn from_sha256(hash: [u8; 32]) -> Pin {
        Pin(hash)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256/{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a [`ClientTls`] is made of.
#[derive(Clone, Debug)]
pub struct ClientTlsOptions {
    /// Whom to trust. Default the system's store.
    pub roots: Roots,
    /// Who we are to servers that ask. Default nobody.
    pub identity: Option<Identity>,
    /// The name that the server's certificate must bear, and that we ask for (SNI), instead of the
    /// host in the URL. Default none.
    pub server_name: Option<String>,
    /// Protocols to offer, best first. Default `http/1.1`.
    pub alpn: Vec<Vec<u8>>,
    /// Keys of which the server's own certificate must have one, beside being trusted. Default none: any key.
    pub pins: Vec<Pin>,
}

impl Default for ClientTlsOptions {
    fn default() -> Self {
        ClientTlsOptions {
            roots: Roots::System,
            identity: None,
            server_name: None,
            alpn: vec![ALPN_HTTP_1_1.to_vec()],
            pins: Vec::new(),
        }
    }
}
