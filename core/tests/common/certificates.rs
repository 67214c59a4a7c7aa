//! Certificates for tests, made when they run.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use linkspan::tls::{Identity, Pem};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

/// Somebody who issues certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in PEM.
pub(crate) struct Issued {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// Its own certificate, to be trusted.
    pub(crate) fn pem(&self) -> Pem {
        Pem::bytes(&self.pem)
    }

    /// Its own certificate, as if it were a server's.
    #[allow(dead_code, reason = "not every test needs it")]
    pub(crate) fn itself(&self) -> Issued {
        Issued { chain: self.pem.clone(), key: self.issuer.key().serialize_pem() }
    }

    /// For a server of these names, valid now.
    pub(crate) fn server(&self, names: &[&str]) -> Issued {
        self.issue(names, ExtendedKeyUsagePurpose::ServerAuth, (2020, 4096))
    }

    /// For a server of this name, valid between the first days of two years.
    #[allow(dead_code, reason = "not every test needs it")]
    pub(crate) fn server_between(&self, name: &str, years: (i32, i32)) -> Issued {
        self.issue(&[name], ExtendedKeyUsagePurpose::ServerAuth, years)
    }

    /// For a client.
    #[allow(dead_code, reason = "not every test needs it")]
    pub(crate) fn client(&self, name: &str) -> Issued {
        self.issue(&[name], ExtendedKeyUsagePurpose::ClientAuth, (2020, 4096))
    }

    fn issue(&self, names: &[&str], purpose: ExtendedKeyUsagePurpose, years: (i32, i32)) -> Issued {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![purpose];
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued { chain: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Issued {
    pub(crate) fn identity(&self) -> Identity {
        Identity { chain: Pem::bytes(&self.chain), key: Pem::bytes(&self.key) }
    }
}
