//! [`ServerTls`]: certificates of a server.

use std::path::PathBuf;
use std::sync::Arc;

use linkspan::tls::{self, ClientCertificates, Identity, Pem, ServerTlsOptions};
use pyo3::prelude::*;

use crate::errors;

/// Certificates of a server, and what it asks of its clients.
///
/// Raises `OSError` with one sentence that names the file which cannot be used.
#[pyclass(frozen, module = "linkspan._linkspan")]
pub(crate) struct ServerTls {
    tls: Arc<tls::ServerTls>,
}

impl ServerTls {
    pub(crate) fn shared(&self) -> &Arc<tls::ServerTls> {
        &self.tls
    }
}

#[pymethods]
impl ServerTls {
    /// Files in PEM form: the chain and its key, and with `client_ca` those who sign the certificates that
    /// clients must show, or with `client_optional` may show.
    #[new]
    #[pyo3(signature = (certificate, private_key, client_ca = None, client_optional = false))]
    fn new(
        certificate: PathBuf,
        private_key: PathBuf,
        client_ca: Option<PathBuf>,
        client_optional: bool,
    ) -> PyResult<ServerTls> {
        let mut options = ServerTlsOptions::new(Identity::files(certificate, private_key));
        options.client_certificates = match (client_ca, client_optional) {
            (None, _) => ClientCertificates::NotAsked,
            (Some(ca), true) => ClientCertificates::Optional(Pem::file(ca)),
            (Some(ca), false) => ClientCertificates::Required(Pem::file(ca)),
        };
        let tls = tls::ServerTls::with_options(options).map_err(errors::linkspan)?;
        Ok(ServerTls { tls: Arc::new(tls) })
    }

    /// A sentence for each certificate that clients will not accept, because it has expired or is not valid yet.
    fn warnings(&self) -> Vec<String> {
        self.tls.warnings()
    }
}
