//! TLS, without any process-wide provider installed.

use crate::builder;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tollgate_types::{Error, ErrorKind, Provider};

/// A certificate that can vouch for others.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a name, and its key.
    fn vouch(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Vouched {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Vouched { certificate: certificate.der().clone(), pem: certificate.pem(), key }
    }
}

struct Vouched {
    certificate: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

impl Vouched {
    fn self_signed(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        Self { certificate: made.cert.der().clone(), pem: made.cert.pem(), key: made.signing_key }
    }

    /// What a client shows.
    fn identity(&self) -> String {
        format!("{}{}", self.pem, self.key.serialize_pem())
    }
}

struct Encrypted {
    url: String,
    _task: JoinSet<()>,
}

/// Answers every request over TLS with an empty list of models; with `clients` only those whose
/// certificate it vouches for.
async fn serve(shown: &Vouched, clients: Option<&Authority>) -> Encrypted {
    let crypto = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&crypto))
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), crypto);
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::Pkcs8(shown.key.serialize_der().into());
    let config = config.with_single_cert(vec![shown.certificate.clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let mut task = JoinSet::new();
    task.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that does not trust the certificate breaks off here.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"models\":[]}";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    Encrypted { url, _task: task }
}

/// Why a client that trusts this bundle does not speak to the server.
async fn refused(server: &Encrypted, bundle: String) -> (String, Error) {
    let provider = builder(&server.url).ca_bundle(bundle).build().unwrap();
    told(provider.models().await.unwrap_err())
}

/// Such an error is not tried again, and says what it is.
fn told(error: Error) -> (String, Error) {
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert!(!error.is_retryable(), "{error}");
    (error.body().code.clone().unwrap_or_default(), error)
}

#[tokio::test]
async fn a_server_of_the_bundle_is_trusted() {
    let (authority, own) = (Authority::new(), Vouched::self_signed("localhost"));
    let vouched = authority.vouch("localhost", |_| {});
    for (shown, bundle) in [(&vouched, authority.pem()), (&own, own.pem.clone())] {
        let server = serve(shown, None).await;
        let provider = builder(&server.url).ca_bundle(bundle).build().unwrap();
        assert_eq!(provider.models().await.unwrap(), []);
    }
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_refused() {
    let vouched = Authority::new().vouch("localhost", |_| {});
    let (code, error) = refused(&serve(&vouched, None).await, Authority::new().pem()).await;
    assert_eq!(code, "certificate_untrusted", "{error}");
    assert!(error.message().contains("TOLLGATE_CA_BUNDLE"), "{error}");
    let own = Vouched::self_signed("localhost");
    let (code, error) = refused(&serve(&own, None).await, Authority::new().pem()).await;
    assert_eq!(code, "certificate_untrusted", "{error}");
}

#[tokio::test]
async fn the_systems_certificates_do_not_vouch_for_it_either() {
    let own = Vouched::self_signed("localhost");
    let server = serve(&own, None).await;
    // A machine without certificates says so when the provider is built.
    let Ok(provider) = builder(&server.url).build() else { return };
    let (code, error) = told(provider.models().await.unwrap_err());
    assert_eq!(code, "certificate_untrusted", "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let authority = Authority::new();
    let server = serve(&authority.vouch("elsewhere.example", |_| {}), None).await;
    let (code, error) = refused(&server, authority.pem()).await;
    assert_eq!(code, "certificate_wrong_host", "{error}");
}

#[tokio::test]
async fn a_certificate_out_of_its_time_is_refused() {
    let authority = Authority::new();
    let past = authority.vouch("localhost", |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let (code, error) = refused(&serve(&past, None).await, authority.pem()).await;
    assert_eq!(code, "certificate_expired", "{error}");
    let future = authority.vouch("localhost", |params| {
        params.not_before = rcgen::date_time_ymd(4000, 1, 1);
        params.not_after = rcgen::date_time_ymd(4001, 1, 1);
    });
    let (code, error) = refused(&serve(&future, None).await, authority.pem()).await;
    assert_eq!(code, "certificate_not_valid_yet", "{error}");
}

#[tokio::test]
async fn a_client_certificate_opens_a_server_that_asks_for_one() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let server = serve(&authority.vouch("localhost", |_| {}), Some(&clients)).await;
    let trusting = || builder(&server.url).ca_bundle(authority.pem());

    let me = clients.vouch("me", |_| {});
    let provider = trusting().client_certificate(me.identity()).build().unwrap();
    assert_eq!(provider.models().await.unwrap(), []);

    let (code, error) = told(trusting().build().unwrap().models().await.unwrap_err());
    assert_eq!(code, "client_certificate_required", "{error}");
    assert!(error.message().contains("TOLLGATE_CLIENT_CERT"), "{error}");

    let stranger = Authority::new().vouch("me", |_| {});
    let provider = trusting().client_certificate(stranger.identity()).build().unwrap();
    let (code, error) = told(provider.models().await.unwrap_err());
    assert_eq!(code, "client_certificate_refused", "{error}");
}
