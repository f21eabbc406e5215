//! TLS, without any process-wide provider installed.

use crate::builder;
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tollgate_types::{ErrorKind, Provider};

struct Encrypted {
    url: String,
    certificate_pem: String,
    _task: JoinSet<()>,
}

/// Answers every request over TLS with an empty list of models.
async fn serve() -> Encrypted {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
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
    Encrypted { url, certificate_pem: made.cert.pem(), _task: task }
}

#[tokio::test]
async fn a_server_of_the_bundle_is_trusted() {
    let server = serve().await;
    let provider = builder(&server.url).ca_bundle(server.certificate_pem.clone()).build().unwrap();
    assert_eq!(provider.models().await.unwrap(), []);
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_refused() {
    let (server, other) = (serve().await, serve().await);
    let provider = builder(&server.url).ca_bundle(other.certificate_pem.clone()).build().unwrap();
    let error = provider.models().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.message().contains("certificate"), "{error}");
}
