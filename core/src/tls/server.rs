//! [`ServerTls`].

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use rustls::client::verify_server_name;
use rustls::pki_types::{DnsName, ServerName};
use rustls::server::{
    ClientHello, NoClientAuth, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use super::pem::{certified_key, out_of_date, roots};
use super::provider::{provider, ticketer};
use super::{ClientCertificates, Identity, Pem, ServerTlsOptions};
use crate::error::Error;
use crate::log::{self, Level};

/// A server's side of TLS: certificates, keys, and what is asked of clients. Shared by all its
/// connections and threads.
pub struct ServerTls {
    config: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
}

impl ServerTls {
    /// A certificate chain and its key, and the defaults of [`ServerTlsOptions`].
    ///
    /// Fails with one sentence that names the file: it cannot be read, holds no certificate or no key,
    /// or the two do not fit.
    pub fn new(chain: Pem, key: Pem) -> Result<ServerTls, Error> {
        ServerTls::with_options(ServerTlsOptions::new(Identity { chain, key }))
    }

    /// All choices. Fails as [`ServerTls::new`] does.
    pub fn with_options(options: ServerTlsOptions) -> Result<ServerTls, Error> {
        if options.identities.is_empty() {
            return Err(Error::Tls("a server needs a certificate".into()));
        }
        let keys = load(&options.identities)?;
        warn(&options.identities, &keys);
        let certificates = Arc::new(Certificates(RwLock::new(Shown { identities: options.identities, keys })));
        ServerTls::make(certificates, &options.client_certificates, options.alpn)
    }

    /// The same certificates, reloaded and added to together with these, and something else asked of clients.
    pub fn asking(&self, clients: &ClientCertificates) -> Result<ServerTls, Error> {
        ServerTls::make(self.certificates.clone(), clients, self.config.alpn_protocols.clone())
    }

    fn make(
        certificates: Arc<Certificates>,
        clients: &ClientCertificates,
        alpn: Vec<Vec<u8>>,
    ) -> Result<ServerTls, Error> {
        let verifier = match clients {
            ClientCertificates::NotAsked => Arc::new(NoClientAuth),
            ClientCertificates::Optional(pem) => verifier(pem, false)?,
            ClientCertificates::Required(pem) => verifier(pem, true)?,
        };
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Tls(error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(certificates.clone());
        config.alpn_protocols = alpn;
        // A client that comes back brings its session in a ticket; the server keeps nothing.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = ticketer().map_err(|error| Error::Tls(error.to_string()))?;
        config.send_tls13_tickets = 1;
        Ok(ServerTls { config: Arc::new(config), certificates })
    }

    /// Reads the files of all identities again; connections made from now on see the new certificates. When
    /// anything is wrong with one of them, all old ones stay and the sentence says why.
    pub fn reload(&self) -> Result<(), Error> {
        // Read without the lock: handshakes go on.
        let identities = self.certificates.shown().identities.clone();
        match load(&identities) {
            Ok(keys) => {
                warn(&identities, &keys);
                let mut shown = self.certificates.0.write().unwrap_or_else(PoisonError::into_inner);
                // Those that were added meanwhile are fresh.
                shown.keys.splice(..identities.len(), keys);
                drop(shown);
                let names: Vec<String> = identities.iter().map(|identity| identity.chain.to_string()).collect();
                log::tell(Level::Info, 0, format_args!("certificates were read again: {}", names.join(", ")));
                Ok(())
            }
            Err(error) => {
                log::tell(Level::Warning, 0, format_args!("certificates stay as they were: {error}"));
                Err(error)
            }
        }
    }

    /// One identity more, behind the others: for connections made from now on, of every server that has this.
    /// Fails as [`ServerTls::new`] does, and changes nothing then.
    pub fn add(&self, identity: Identity) -> Result<(), Error> {
        let key = certified_key(&identity)?;
        warn(std::slice::from_ref(&identity), std::slice::from_ref(&key));
        let mut shown = self.certificates.0.write().unwrap_or_else(PoisonError::into_inner);
        shown.identities.push(identity);
        shown.keys.push(key);
        Ok(())
    }

    /// What is wrong with the certificates that are shown now, a sentence each: those that clients will not
    /// accept, because they have expired or are not valid yet. The log was told of them when they were read.
    pub fn warnings(&self) -> Vec<String> {
        let shown = self.certificates.shown();
        out_of_dates(&shown.identities, &shown.keys).collect()
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerTls({:?})", self.certificates.shown().identities)
    }
}

fn load(identities: &[Identity]) -> Result<Vec<Arc<CertifiedKey>>, Error> {
    identities.iter().map(certified_key).collect()
}

fn out_of_dates<'a>(identities: &'a [Identity], keys: &'a [Arc<CertifiedKey>]) -> impl Iterator<Item = String> + 'a {
    identities.iter().zip(keys).filter_map(|(identity, key)| out_of_date(&identity.chain, key))
}

fn warn(identities: &[Identity], keys: &[Arc<CertifiedKey>]) {
    for warning in out_of_dates(identities, keys) {
        log::tell(Level::Warning, 0, format_args!("{warning}"));
    }
}

fn verifier(pem: &Pem, is_required: bool) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, Error> {
    let roots: RootCertStore = roots(pem)?;
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let builder = if is_required { builder } else { builder.allow_unauthenticated() };
    match builder.build() {
        Ok(verifier) => Ok(verifier),
        Err(error) => Err(Error::Tls(format!("the issuers in {pem} cannot be used: {error}"))),
    }
}

/// What is shown to clients; replaced by a reload.
struct Certificates(RwLock<Shown>);

struct Shown {
    identities: Vec<Identity>,
    /// One for each identity; never empty.
    keys: Vec<Arc<CertifiedKey>>,
}

impl Certificates {
    fn shown(&self) -> RwLockReadGuard<'_, Shown> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        SERVER_NAME.set(name.map(Into::into));
        let keys = &self.shown().keys;
        if let ([_, _, ..], Some(name)) = (keys.as_slice(), name.and_then(|name| DnsName::try_from(name).ok())) {
            let name = ServerName::DnsName(name);
            if let Some(named) = keys.iter().find(|key| is_for(key, &name)) {
                return Some(named.clone());
            }
        }
        keys.first().cloned()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificates({:?})", self.shown().identities)
    }
}

fn is_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    key.end_entity_cert()
        .and_then(ParsedCertificate::try_from)
        .is_ok_and(|certificate| verify_server_name(&certificate, name).is_ok())
}

thread_local! {
    /// The name in the last ClientHello on this thread: rustls tells an unbuffered connection's owner
    /// nothing of it, but it tells the resolver, in the middle of the owner's own call.
    static SERVER_NAME: RefCell<Option<Box<str>>> = const { RefCell::new(None) };
}

/// The name that the ClientHello just handled on this thread asked for.
pub(crate) fn take_server_name() -> Option<Box<str>> {
    SERVER_NAME.take()
}
