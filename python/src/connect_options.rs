//! [`Options`]: what `linkspan.connect` was told, made into what the core wants.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use linkspan::Error;
use linkspan::connector::{ConnectOptions, ProxyChoice};
use linkspan::protocol::handshake::{Uri, write_request};
use linkspan::protocol::{Config, DeflateConfig};
use linkspan::tls::{ClientTls, ClientTlsOptions, Identity, Pem, Pin, Roots};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors;

/// A dict with these keys; `linkspan._options` makes it, and has checked the types. Times are seconds, 0 is none.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Options {
    subprotocols: Vec<String>,
    headers: Vec<(String, String)>,
    deflate: bool,
    ca: Option<Certificates>,
    certificate: Option<PathBuf>,
    private_key: Option<PathBuf>,
    server_name: Option<String>,
    pins: Vec<String>,
    proxy: Option<String>,
    proxy_ca: Option<Certificates>,
    max_redirects: u32,
    max_message_bytes: u64,
    connect_timeout: f64,
    handshake_timeout: f64,
    message_timeout: f64,
    write_timeout: f64,
    close_timeout: f64,
    ping_interval: f64,
    pong_timeout: f64,
}

/// PEM text, or the file that it is in.
#[derive(FromPyObject)]
enum Certificates {
    Text(Vec<u8>),
    File(PathBuf),
}

impl Options {
    pub(crate) fn for_url(self, url: &str) -> Result<ConnectOptions, Error> {
        let mut options = ConnectOptions::new(Uri::parse(url)?);
        options.config = Arc::new(self.config());
        if let Some(proxy) = &self.proxy {
            options.proxy = ProxyChoice::parse(proxy)?;
        }
        options.proxy_tls = self.proxy_ca.as_ref().map(trusting).transpose()?;
        options.tls = self.tls()?;
        options.headers = self.headers;
        options.max_redirects = self.max_redirects;
        // One time for all of it: no phase ends sooner.
        let timeout = Duration::from_secs_f64(self.connect_timeout);
        options.connect_timeout = timeout;
        options.resolve_timeout = timeout;
        options.tcp_timeout = timeout;
        options.proxy_timeout = timeout;
        options.tls_timeout = timeout;
        Ok(options)
    }

    fn config(&self) -> Config {
        let defaults = Config::default();
        let longest = usize::try_from(self.max_message_bytes).unwrap_or(usize::MAX);
        Config {
            subprotocols: self.subprotocols.clone(),
            deflate: self.deflate.then(DeflateConfig::default),
            max_message_bytes: self.max_message_bytes,
            max_frame_bytes: self.max_message_bytes,
            // What may be received may be sent, too, behind what waits.
            max_outbox_bytes: defaults.max_outbox_bytes.max(longest.saturating_add(defaults.high_water_bytes)),
            handshake_timeout: milliseconds(self.handshake_timeout),
            message_timeout: milliseconds(self.message_timeout),
            write_timeout: milliseconds(self.write_timeout),
            close_timeout: milliseconds(self.close_timeout),
            ping_interval: milliseconds(self.ping_interval),
            pong_timeout: milliseconds(self.pong_timeout),
            ..defaults
        }
    }

    fn tls(&self) -> Result<Option<Arc<ClientTls>>, Error> {
        let identity = self.certificate.as_ref().zip(self.private_key.as_ref());
        if self.ca.is_none() && identity.is_none() && self.server_name.is_none() && self.pins.is_empty() {
            return Ok(None);
        }
        let options = ClientTlsOptions {
            roots: self.ca.as_ref().map_or(Roots::System, |ca| Roots::Only(ca.pem())),
            identity: identity.map(|(chain, key)| Identity::files(chain, key)),
            server_name: self.server_name.clone(),
            pins: self.pins.iter().map(|pin| Pin::parse(pin)).collect::<Result<_, _>>()?,
            ..ClientTlsOptions::default()
        };
        ClientTls::with_options(options).map(|tls| Some(Arc::new(tls)))
    }
}

impl Certificates {
    fn pem(&self) -> Pem {
        match self {
            Certificates::Text(text) => Pem::bytes(text),
            Certificates::File(path) => Pem::file(path),
        }
    }
}

fn trusting(ca: &Certificates) -> Result<Arc<ClientTls>, Error> {
    let options = ClientTlsOptions { roots: Roots::Only(ca.pem()), ..ClientTlsOptions::default() };
    ClientTls::with_options(options).map(Arc::new)
}

/// A time that is not zero stays so.
fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0).ceil() as u64
}

/// The head of the request that `linkspan.connect` would send, with this key.
#[pyfunction]
pub(crate) fn opening_request<'py>(
    py: Python<'py>,
    url: &str,
    key: &str,
    options: Options,
) -> PyResult<Bound<'py, PyBytes>> {
    let write = || {
        let options = options.for_url(url)?;
        let mut head = Vec::new();
        write_request(&options.uri, key, &options.config, &options.headers, &mut head)?;
        Ok(head)
    };
    Ok(PyBytes::new(py, &write().map_err(errors::client)?))
}
