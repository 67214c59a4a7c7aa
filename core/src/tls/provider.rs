//! The one provider of cryptography.

use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::server::ProducesTickets;

/// Why this one: docs/measurements/tls-provider.md.
use rustls::crypto::ring as chosen;

/// The provider, made once, never installed for the process.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(chosen::default_provider())).clone()
}

/// Encrypts session tickets with keys that change by themselves.
pub(super) fn ticketer() -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    chosen::Ticketer::new()
}
