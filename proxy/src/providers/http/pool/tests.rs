//! The pool against peers over real sockets, with and without TLS.

use super::*;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

const SOON: Duration = Duration::from_secs(30);
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes";

/// Answers so many requests on each connection and closes it then; counts both.
struct Peer {
    port: u16,
    connections: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
}

impl Peer {
    #[expect(clippy::disallowed_methods, reason = "no server's task")]
    async fn start(each: usize, answer: &'static str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let closed = Arc::new(AtomicUsize::new(0));
        let (count, gone) = (Arc::clone(&connections), Arc::clone(&closed));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (tls, gone) = (tls.clone(), Arc::clone(&gone));
                tokio::spawn(async move {
                    match tls {
                        None => serve(socket, each, answer).await,
                        Some(tls) => {
                            let Ok(socket) = tls.accept(socket).await else { return };
                            serve(socket, each, answer).await;
                        }
                    }
                    gone.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, connections, closed }
    }

    fn pool(&self, scheme: &str, tls: Option<ClientConfig>) -> Arc<Pool> {
        let host = format!("{scheme}://localhost:{}", self.port).parse().unwrap();
        Arc::new(Pool::new(host, tls, SOON).unwrap())
    }

    /// Until so many connections are closed, and this process has heard of it.
    async fn has_closed(&self, count: usize) {
        while self.closed.load(Ordering::SeqCst) < count {
            tokio::task::yield_now().await;
        }
        // What the system had to tell before is told with it.
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = other.local_addr().unwrap();
        tokio::net::TcpStream::connect(address).await.unwrap();
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(mut socket: impl AsyncRead + AsyncWrite + Unpin, each: usize, answer: &str) {
    for _ in 0..each {
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n[body]") {
            if socket.read_buf(&mut read).await.unwrap_or_default() == 0 {
                return;
            }
        }
        socket.write_all(answer.as_bytes()).await.unwrap();
    }
    socket.shutdown().await.unwrap();
}

fn request() -> Request<Bytes> {
    let request = Request::post("/x").header("host", "localhost");
    request.body(Bytes::from_static(b"[body]")).unwrap()
}

async fn call(pool: &Arc<Pool>) -> Vec<u8> {
    let mut answer = pool.send(request()).await.unwrap();
    assert_eq!(answer.head.status, 200);
    let mut body = Vec::new();
    while let Some(bytes) = chunk(&mut answer).await.unwrap() {
        body.extend_from_slice(&bytes);
    }
    body
}

/// A certificate for `localhost`, and a client that trusts it alone.
fn certified() -> (TlsAcceptor, ClientConfig) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server)), client)
}

async fn chunk(answer: &mut Answering) -> Result<Option<Bytes>> {
    poll_fn(|context| answer.poll_chunk(context)).await
}

#[tokio::test]
async fn calls_one_after_another_share_a_connection_and_calls_at_once_do_not() {
    let peer = Peer::start(100, ANSWER, None).await;
    let pool = peer.pool("http", None);
    for _ in 0..5 {
        assert_eq!(call(&pool).await, b"yes");
    }
    assert_eq!(peer.connections(), 1);
    let both = tokio::join!(call(&pool), call(&pool));
    assert_eq!(both, (b"yes".to_vec(), b"yes".to_vec()));
    assert_eq!(peer.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_rested_is_nobodys_trouble() {
    let peer = Peer::start(1, ANSWER, None).await;
    let pool = peer.pool("http", None);
    for round in 1..20 {
        assert_eq!(call(&pool).await, b"yes");
        assert_eq!(peer.connections(), round);
        peer.has_closed(round).await;
    }
}

#[tokio::test]
async fn a_connection_outlives_a_reader_who_stops_at_the_last_piece_and_no_other() {
    let whole = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n";
    for (answer, connections) in [(whole, 1), (whole.trim_end_matches("0\r\n\r\n"), 3)] {
        let peer = Peer::start(100, answer, None).await;
        let pool = peer.pool("http", None);
        for _ in 0..3 {
            let mut answer = pool.send(request()).await.unwrap();
            assert_eq!(chunk(&mut answer).await.unwrap().unwrap(), "yes");
        }
        assert_eq!(peer.connections(), connections, "{answer:?}");
    }
}

#[tokio::test]
async fn an_encrypted_host_is_reached_if_it_is_trusted() {
    let (acceptor, trusting) = certified();
    let (_, strange) = certified();
    let peer = Peer::start(100, ANSWER, Some(acceptor)).await;
    let pool = peer.pool("https", Some(trusting));
    for _ in 0..3 {
        assert_eq!(call(&pool).await, b"yes");
    }
    assert_eq!(peer.connections(), 1);
    let failure = peer.pool("https", Some(strange)).send(request()).await.err().unwrap();
    assert!(!failure.is_timeout && failure.to_string().contains("certificate"), "{failure}");
}

#[tokio::test]
async fn a_host_that_is_not_there_is_no_timeout_and_one_that_is_silent_is() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap()).parse::<Uri>().unwrap();
    // It accepts and says nothing, so that the handshake never ends.
    let (_, tls) = certified();
    let patience = Duration::from_millis(50);
    let pool = Arc::new(Pool::new(address.clone(), Some(tls), patience).unwrap());
    assert!(pool.send(request()).await.err().unwrap().is_timeout);
    drop(listener);
    let pool = Arc::new(Pool::new(address, None, SOON).unwrap());
    assert!(!pool.send(request()).await.err().unwrap().is_timeout);
}
