//! Opens connections to one host, with or without TLS.

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{ClientConfig, pki_types::ServerName};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower_service::Service;

use super::{Failure, Result};

/// When a silent peer is asked whether it lives, and how often; how long it may leave bytes
/// unacknowledged.
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Opens connections to one host.
pub(super) struct Connector {
    tcp: HttpConnector,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    host: Uri,
    patience: Duration,
}

impl Connector {
    /// Nothing is opened yet. `tls` where the host is reached over TLS. `None` where its name is none
    /// that a certificate could have.
    pub(super) fn new(host: Uri, tls: Option<ClientConfig>, patience: Duration) -> Option<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        tcp.set_connect_timeout(Some(patience));
        let tls = match tls {
            None => None,
            Some(config) => {
                let name = host.host()?.trim_start_matches('[').trim_end_matches(']');
                let name = ServerName::try_from(name.to_owned()).ok()?;
                Some((TlsConnector::from(Arc::new(config)), name))
            }
        };
        Some(Self { tcp, tls, host, patience })
    }

    /// A new connection.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn connect(&self) -> Result<Socket> {
        let opened = tokio::time::timeout(self.patience, self.open()).await;
        opened.unwrap_or_else(|late| Err(Failure::late(late)))
    }

    async fn open(&self) -> Result<Socket> {
        let socket = self.tcp.clone().call(self.host.clone()).await;
        let socket = socket.map_err(Failure::of)?.into_inner();
        let Some((tls, name)) = &self.tls else { return Ok(Socket::Plain(socket)) };
        let encrypted = tls.connect(name.clone(), socket).await.map_err(Failure::of)?;
        Ok(Socket::Encrypted(Box::new(encrypted)))
    }
}

/// A connection's bytes.
pub(super) enum Socket {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Encrypted(socket) => Pin::new(socket).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Encrypted(socket) => Pin::new(socket).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(context, pieces),
            Self::Encrypted(socket) => Pin::new(socket).poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            Self::Encrypted(socket) => socket.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(context),
            Self::Encrypted(socket) => Pin::new(socket).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Encrypted(socket) => Pin::new(socket).poll_shutdown(context),
        }
    }
}
