//! [`ClientTls`].

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};

use super::pem::{certified_key, roots};
use super::pinned::Pinned;
use super::provider::provider;
use super::{ClientTlsOptions, Roots};
use crate::error::Error;

/// A client's side of TLS: whom it trusts, and who it is. Shared by all its connections and threads;
/// those to the same host resume each other's sessions.
pub struct ClientTls {
    config: Arc<ClientConfig>,
    /// Asked for and checked instead of the URL's host.
    server_name: Option<ServerName<'static>>,
}

impl ClientTls {
    /// Trusts the system's store; made once per process. Fails when the system has no such store.
    pub fn system() -> Result<Arc<ClientTls>, Error> {
        static SYSTEM: Mutex<Option<Arc<ClientTls>>> = Mutex::new(None);
        let mut system = SYSTEM.lock().unwrap_or_else(PoisonError::into_inner);
        match &*system {
            Some(system) => Ok(system.clone()),
            None => {
                let fresh = Arc::new(ClientTls::with_options(ClientTlsOptions::default())?);
                *system = Some(fresh.clone());
                Ok(fresh)
            }
        }
    }

    /// All choices. Fails with one sentence that names the file or the name at fault.
    pub fn with_options(options: ClientTlsOptions) -> Result<ClientTls, Error> {
        ClientTls::check(&options)?;
        let trusted = match &options.roots {
            Roots::System => system_roots()?,
            Roots::Only(pem) => Arc::new(roots(pem)?),
            Roots::SystemAnd(pem) => {
                let mut both = roots(pem)?;
                // Without a system's store there are still these.
                both.roots.extend(system_roots().iter().flat_map(|system| system.roots.iter().cloned()));
                Arc::new(both)
            }
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Tls(error.to_string()))?;
        let builder = match options.pins.is_empty() {
            true => builder.with_root_certificates(trusted),
            false => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Pinned::new(trusted, options.pins)?))
            }
        };
        let mut config = match &options.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder.with_client_cert_resolver(Arc::new(Shown(certified_key(identity)?))),
        };
        config.alpn_protocols = options.alpn;
        let server_name = options.server_name.as_deref().map(parse_name).transpose()?;
        Ok(ClientTls { config: Arc::new(config), server_name })
    }

    /// Whether these options can be used, as far as they tell that themselves: the system's store is not looked at.
    pub fn check(options: &ClientTlsOptions) -> Result<(), Error> {
        if let Roots::Only(pem) | Roots::SystemAnd(pem) = &options.roots {
            roots(pem)?;
        }
        options.identity.as_ref().map(certified_key).transpose()?;
        options.server_name.as_deref().map(parse_name).transpose()?;
        match options.alpn.iter().find(|name| name.is_empty() || name.len() > 255) {
            Some(_) => Err(Error::Tls("a protocol's name (ALPN) has 1 to 255 bytes".into())),
            None => Ok(()),
        }
    }

    /// The same trust for a server that we did not mean: it is shown no certificate of ours, and bears its own
    /// name. What was pinned stays pinned.
    pub(crate) fn for_another_origin(&self) -> ClientTls {
        let mut config = ClientConfig::clone(&self.config);
        config.client_auth_cert_resolver = Arc::new(Nobody);
        // Sessions that were begun as somebody.
        config.resumption = Resumption::default();
        ClientTls { config: Arc::new(config), server_name: None }
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        self.config.clone()
    }

    /// The name that a connection to `host` asks for and checks.
    pub(crate) fn name_for(&self, host: &str) -> Result<ServerName<'static>, Error> {
        self.server_name.clone().map_or_else(|| parse_name(host), Ok)
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

fn parse_name(name: &str) -> Result<ServerName<'static>, Error> {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    // A name with a final dot is the same name, and certificates never have it.
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    ServerName::try_from(bare.to_owned()).map_err(|_| Error::Tls(format!("{name:?} is not a name for a server")))
}

/// The system's store, read at its first use.
fn system_roots() -> Result<Arc<RootCertStore>, Error> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(roots.clone());
    }
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    let (trusted, _) = store.add_parsable_certificates(found.certs);
    if trusted == 0 {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(Error::Tls(format!(
            "this system has no trusted certificates{why}; install ca-certificates, or name the roots to trust"
        )));
    }
    Ok(ROOTS.get_or_init(|| Arc::new(store)).clone())
}

/// The one certificate that we show to any server that asks.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.key.choose_scheme(schemes).map(|_| self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// No certificate, whoever asks.
#[derive(Debug)]
struct Nobody;

impl ResolvesClientCert for Nobody {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
