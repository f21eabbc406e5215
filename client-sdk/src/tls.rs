//! TLS by rustls with ring, without asking the application to install a process-wide provider.

use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
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

/// The TLS configuration of a client, with the certificate that it shows (PEM, its chain and key)
/// where servers ask for one. A machine without a certificate store can still speak plain HTTP:
/// reqwest's own construction fails there for every address.
pub(crate) fn config(trust: Trust<'_>, identity: Option<&[u8]>) -> Result<ClientConfig> {
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
    let Some(pem) = identity else { return Ok(builder.with_no_client_auth()) };
    let (chain, key) = shown(pem)?;
    builder.with_client_auth_cert(chain, key).map_err(|error| {
        bad_identity("the client certificate and its key do not fit together").with_source(error)
    })
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
    let refused = |message: &str| Error::invalid("ca_bundle", message);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.map_err(|error| refused("the CA bundle is not PEM").with_source(error))?;
        roots
            .add(certificate)
            .map_err(|error| refused("a certificate of the CA bundle is bad").with_source(error))?;
    }
    if roots.is_empty() {
        return Err(refused("the CA bundle holds no certificate"));
    }
    Ok(roots)
}

/// A certificate chain and its key, from one text. What is wrong with the key is not quoted.
fn shown(pem: &[u8]) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let chain = chain
        .map_err(|error| bad_identity("the client certificate is not PEM").with_source(error))?;
    if chain.is_empty() {
        return Err(bad_identity("the client certificate is missing: give its PEM and its key's"));
    }
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        bad_identity("the key of the client certificate is missing or unreadable: give it as PEM, not encrypted")
    })?;
    Ok((chain, key))
}

fn bad_identity(message: &str) -> Error {
    Error::invalid("client_certificate", message)
}

fn broken(message: &str) -> Error {
    Error::new(ErrorKind::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_A_CERTIFICATE: &str =
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    #[test]
    fn a_client_without_certificates_can_be_configured() {
        assert!(config(Trust::Nobody, None).is_ok());
    }

    #[test]
    fn a_bundle_without_a_certificate_is_refused() {
        for pem in ["", "not pem", NOT_A_CERTIFICATE] {
            let refused = config(Trust::Bundle(pem.as_bytes()), None).unwrap_err();
            assert_eq!(refused.body().param.as_deref(), Some("ca_bundle"), "{pem:?}");
        }
    }

    #[test]
    fn a_client_certificate_without_its_key_or_with_another_is_refused() {
        let (mine, other) = (made(), made());
        assert!(config(Trust::Nobody, Some(format!("{}{}", mine.0, mine.1).as_bytes())).is_ok());
        for pem in [
            String::new(),
            mine.0.clone(),
            mine.1.clone(),
            format!("{}{}", mine.0, other.1),
            format!("{NOT_A_CERTIFICATE}{}", mine.1),
        ] {
            let refused = config(Trust::Nobody, Some(pem.as_bytes())).unwrap_err();
            assert_eq!(refused.body().param.as_deref(), Some("client_certificate"), "{pem}");
        }
    }

    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["me".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn random_ids_are_long_and_differ() {
        let (one, two) = (random_id().unwrap(), random_id().unwrap());
        assert!(one.len() == 32 && one != two, "{one} {two}");
    }
}
