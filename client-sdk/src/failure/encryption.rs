//! Why no TLS connection came about, and what to do about it.

use rustls::{AlertDescription, CertificateError, Error as TlsError};
use tollgate_types::{Error, ErrorKind};

/// Explains a failure of TLS. None of them passes by trying again.
pub(super) fn explain(error: &TlsError) -> Error {
    let (code, message) = match error {
        TlsError::InvalidCertificate(why) => of_certificate(why),
        TlsError::AlertReceived(alert) => of_alert(*alert),
        TlsError::InvalidMessage(_) => (
            "not_tls",
            "what answers there does not speak TLS: should the server's URL begin with http://, or \
             is its port another?"
                .to_owned(),
        ),
        other => ("tls", format!("no encrypted connection to the server: {other}")),
    };
    Error::new(ErrorKind::Connection, message).with(|body| {
        body.retryable = false;
        body.code = Some(code.to_owned());
    })
}

fn of_certificate(why: &CertificateError) -> (&'static str, String) {
    let (code, text) = match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            "certificate_expired",
            "the server's certificate has expired: it must be renewed there, unless this machine's \
             clock is wrong",
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
            "certificate_not_valid_yet",
            "the server's certificate is not valid yet: is this machine's clock wrong?",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            "certificate_wrong_host",
            "the server's certificate is for another host: use the name in the server's URL that \
             the certificate is for",
        ),
        CertificateError::Revoked => {
            ("certificate_revoked", "the server's certificate is revoked: do not send a key there")
        }
        // A CA of the same name with another key vouches as little as one that nobody knows.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            "certificate_untrusted",
            "nobody whom this machine trusts vouches for the server's certificate: give the \
             certificate of its CA (of the server itself, where it signed its own) as CA bundle, \
             by ca_bundle() or TOLLGATE_CA_BUNDLE",
        ),
        other => {
            return (
                "certificate_invalid",
                format!("the server's certificate is not accepted: {other}"),
            );
        }
    };
    (code, text.to_owned())
}

fn of_alert(alert: AlertDescription) -> (&'static str, String) {
    match alert {
        AlertDescription::CertificateRequired => (
            "client_certificate_required",
            "the server asks for a client certificate: give one by client_certificate(), or \
             TOLLGATE_CLIENT_CERT and TOLLGATE_CLIENT_KEY"
                .to_owned(),
        ),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => (
            "client_certificate_refused",
            format!(
                "the server does not accept the client certificate ({alert:?}): is it the right \
                 one, still valid, and signed by the CA that the server trusts?"
            ),
        ),
        AlertDescription::HandshakeFailure => (
            "tls",
            "the server ended the handshake: it asks for a client certificate, or offers no \
             encryption that this client accepts (TLS 1.2 or 1.3)"
                .to_owned(),
        ),
        other => ("tls", format!("the server refuses an encrypted connection: {other:?}")),
    }
}
