//! TLS by rustls with ring, without a process-wide provider.

use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::Arc;
use tollgate_types::{Error, Result};

/// Whom to trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// The certificates of the system.
    System,
    /// Nobody: the upstream is spoken to without TLS, and a machine without a certificate store
    /// can do that too.
    Nobody,
}

/// The TLS configuration of a client; with `http2` the peer may choose HTTP/2.
///
/// # Errors
/// `invalid_request` when the system has no certificates.
pub(super) fn config(trust: Trust, http2: bool) -> Result<ClientConfig> {
    let broken = |error: rustls::Error| {
        Error::invalid(
            "base_url",
            "no certificates of the system can be read, install ca-certificates",
        )
        .with_source(error)
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(broken)?;
    let builder = match trust {
        Trust::System => builder.with_platform_verifier().map_err(broken)?,
        Trust::Nobody => builder.with_root_certificates(RootCertStore::empty()),
    };
    let mut config = builder.with_no_client_auth();
    if http2 {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    Ok(config)
}
