//! WebSockets through something that ends TLS in front of the server, as in production.

use crate::gate::Gate;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};
use tollgate_client::{RemoteProvider, TransportKind};
use tollgate_types::{GenerateRequest, Message, Provider};

/// Ends TLS and passes on what does not insist on HTTP/2; its address and the PEM of its
/// certificate.
#[expect(clippy::disallowed_methods, reason = "no server's task")]
async fn encrypted(server: SocketAddr) -> (String, String) {
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
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut near) = acceptor.accept(socket).await else { return };
                if near.get_ref().1.alpn_protocol() == Some(b"h2") {
                    return;
                }
                let mut far = TcpStream::connect(server).await.unwrap();
                drop(copy_bidirectional(&mut near, &mut far).await);
            });
        }
    });
    (url, cert.pem())
}

fn asked() -> GenerateRequest {
    GenerateRequest::new("openai/mock-tokens=3", vec![Message::user("one two")])
}

#[tokio::test]
async fn a_server_behind_tls_is_reached_with_its_own_ca_and_not_without() {
    let gate = Gate::start().await;
    let (url, pem) = encrypted(gate.addr).await;
    let builder = || {
        let builder = RemoteProvider::builder().server(&url).api_key(&gate.key).max_retries(0);
        builder.transport(TransportKind::WebSocket).no_proxy()
    };
    let provider = builder().ca_bundle(pem.clone()).build().unwrap();
    let whole = provider.generate(asked()).await.unwrap();
    let streamed = provider.stream(asked()).await.unwrap().collect().await.unwrap();
    assert_eq!((whole.usage.output, streamed.content), (3, whole.content));
    let (_, stranger) = encrypted(gate.addr).await;
    let error = builder().ca_bundle(stranger).build().unwrap();
    let error = error.generate(asked()).await.unwrap_err();
    assert_eq!(error.body().code.as_deref(), Some("certificate_untrusted"), "{error}");
    assert!(!error.is_retryable());
    // A client of the application's own brings what it trusts.
    let certificate = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().tls_certs_only([certificate]).no_proxy();
    let client = client.http1_only().build().unwrap();
    let provider = RemoteProvider::builder().server(&url).api_key(&gate.key).http_client(client);
    let provider = provider.transport(TransportKind::WebSocket).build().unwrap();
    assert_eq!(provider.generate(asked()).await.unwrap().usage.output, 3);
}
