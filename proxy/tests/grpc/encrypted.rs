//! gRPC through something that ends TLS in front of the server, as in production.

use crate::gate::{Gate, asking};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::sync::Arc;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};
use tollgate_client::TransportKind;
use tollgate_types::Provider;

/// Ends TLS and passes on what speaks HTTP/2; its address and the PEM of its certificate.
#[expect(clippy::disallowed_methods, reason = "no server's task")]
async fn encrypted(server: &str) -> (String, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let server = server.trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                let Ok(mut near) = acceptor.accept(socket).await else { return };
                if near.get_ref().1.alpn_protocol() != Some(b"h2") {
                    return;
                }
                let mut far = TcpStream::connect(&server).await.unwrap();
                drop(copy_bidirectional(&mut near, &mut far).await);
            });
        }
    });
    (url, cert.pem())
}

#[tokio::test]
async fn a_server_behind_tls_is_reached_with_its_own_ca_and_not_without() {
    let gate = Gate::open().await;
    let (url, pem) = encrypted(&gate.grpc).await;
    let builder = || gate.builder().transport(TransportKind::Grpc).grpc_server(&url).no_proxy();
    let provider = builder().ca_bundle(pem).build().unwrap();
    let answer = provider.generate(asking("sealed")).await.unwrap();
    assert_eq!(answer.text(), "sealed");
    let (_, stranger) = encrypted(&gate.grpc).await;
    let error = builder().ca_bundle(stranger).build().unwrap();
    let error = error.generate(asking("sealed")).await.unwrap_err();
    assert_eq!(error.body().code.as_deref(), Some("certificate_untrusted"), "{error}");
    assert!(!error.is_retryable());
}
