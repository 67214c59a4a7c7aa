//! PEM text made into certificates and keys; every failure is a sentence that names the file.

use std::borrow::Cow;
use std::fs;
use std::sync::Arc;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore};

use super::explain::span;
use super::provider::provider;
use super::{Identity, Pem};
use crate::error::Error;

/// A chain and its key, read and found to fit.
pub(super) fn certified_key(identity: &Identity) -> Result<Arc<CertifiedKey>, Error> {
    let chain = certificates(&identity.chain)?;
    let key = private_key(&identity.key)?;
    // What the provider says of a key that it refuses tells nobody what to do.
    let key = provider().key_provider.load_private_key(key).map_err(|_| {
        Error::Tls(format!(
            "the key in {} cannot be used; make one of a kind that is: RSA of 2048 bits or more, ECDSA on P-256 or \
             P-384, Ed25519",
            identity.key
        ))
    })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // A key that cannot say is tried as it is.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(Arc::new(certified)),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(Error::Tls(format!("the key in {} does not fit the certificate in {}", identity.key, identity.chain)))
        }
        Err(error) => Err(Error::Tls(format!("the certificate in {} cannot be used: {error}", identity.chain))),
    }
}

/// What keeps every client from accepting a chain now: a certificate in it that is too old or too young.
pub(super) fn out_of_date(pem: &Pem, chain: &CertifiedKey) -> Option<String> {
    chain.cert.iter().find_map(|certificate| {
        let certificate = ParsedCertificate::try_from(certificate).ok()?;
        let (nobody, now) = (RootCertStore::empty(), UnixTime::now());
        let algorithms = provider().signature_verification_algorithms.all;
        // The dates are looked at before the issuer is looked for, and nobody is.
        match verify_server_cert_signed_by_trust_anchor(&certificate, &nobody, &[], now, algorithms) {
            Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after })) => {
                let ago = span(not_after, time);
                Some(format!("the certificate in {pem} expired {ago} ago, and clients will not accept it; renew it"))
            }
            Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before })) => {
                let wait = span(time, not_before);
                Some(format!(
                    "the certificate in {pem} is not valid for another {wait}, and clients will not accept it; is the \
                     clock right?"
                ))
            }
            _ => None,
        }
    })
}

/// Certificates to trust.
pub(super) fn roots(pem: &Pem) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem)? {
        store
            .add(certificate)
            .map_err(|error| Error::Tls(format!("a certificate in {pem} cannot be trusted: {error}")))?;
    }
    Ok(store)
}

fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = text(pem)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| Error::Tls(format!("{pem} is not PEM: {}", why(&error))))?;
    match certificates.is_empty() {
        true => Err(Error::Tls(format!("no certificate in {pem}"))),
        false => Ok(certificates),
    }
}

fn private_key(pem: &Pem) -> Result<PrivateKeyDer<'static>, Error> {
    let text = text(pem)?;
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) if contains(&text, b"ENCRYPTED PRIVATE KEY-----") => {
            Err(Error::Tls(format!("the key in {pem} is encrypted; decrypt it first (openssl pkey)")))
        }
        Err(pem::Error::NoItemsFound) => Err(Error::Tls(format!("no private key in {pem}"))),
        Err(error) => Err(Error::Tls(format!("{pem} is not PEM: {}", why(&error)))),
    }
}

fn text(pem: &Pem) -> Result<Cow<'_, [u8]>, Error> {
    match pem {
        Pem::Bytes(text) => Ok(Cow::Borrowed(text)),
        Pem::File(path) => match fs::read(path) {
            Ok(text) => Ok(Cow::Owned(text)),
            Err(error) => Err(Error::Tls(format!("cannot read {pem}: {error}"))),
        },
    }
}

fn why(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no end",
        pem::Error::IllegalSectionStart { .. } => "a section begins with a broken line",
        pem::Error::Base64Decode(_) => "a section is not base64",
        _ => "it cannot be read",
    }
}

fn contains(text: &[u8], words: &[u8]) -> bool {
    text.windows(words.len()).any(|window| window == words)
}
