//! TLS by rustls with ring, without asking the application to install a process-wide provider.

use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::Arc;
use tollgate_types::{Error, ErrorKind, Result};

/// Whom to trust.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trust<'a> {
    /// The certificates of the system.
    System,
    /// These certificates (PEM) and no others.
    Bundle(&'a [u8]),
    /// Nobody: the server is spoken to without TLS.
    Nobody,
}

/// The TLS configuration of a client. A machine without a certificate store can still speak plain
/// HTTP: reqwest's own construction fails there for every address.
pub(crate) fn config(trust: Trust<'_>) -> Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| broken("TLS cannot be set up").with_source(error))?;
    let builder = match trust {
        Trust::Nobody => builder.with_root_certificates(RootCertStore::empty()),
        Trust::Bundle(pem) => builder.with_root_certificates(roots(pem)?),
        Trust::System => builder.with_platform_verifier().map_err(|error| {
            broken("no certificates of the system can be read: install ca-certificates, set SSL_CERT_FILE or give a CA bundle")
                .with_source(error)
        })?,
    };
    Ok(builder.with_no_client_auth())
}

/// 128 random bits as text.
pub(crate) fn random_id() -> Result<String> {
    let mut bytes = [0; 16];
    provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| Error::new(ErrorKind::Internal, "the system gives no random bytes"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

fn provider() -> CryptoProvider {
    ring::default_provider()
}

fn roots(pem: &[u8]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.map_err(|error| broken("the CA bundle is not PEM").with_source(error))?;
        roots
            .add(certificate)
            .map_err(|error| broken("a certificate of the CA bundle is bad").with_source(error))?;
    }
    if roots.is_empty() {
        return Err(broken("the CA bundle holds no certificate"));
    }
    Ok(roots)
}

fn broken(message: &str) -> Error {
    Error::new(ErrorKind::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_without_certificates_can_be_configured() {
        assert!(config(Trust::Nobody).is_ok());
    }

    #[test]
    fn a_bundle_without_a_certificate_is_refused() {
        for pem in ["", "not pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
        {
            assert!(config(Trust::Bundle(pem.as_bytes())).is_err(), "{pem:?}");
        }
    }

    #[test]
    fn random_ids_are_long_and_differ() {
        let (one, two) = (random_id().unwrap(), random_id().unwrap());
        assert!(one.len() == 32 && one != two, "{one} {two}");
    }
}
