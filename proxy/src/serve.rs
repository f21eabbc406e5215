//! Listening, and stopping without breaking what runs.

mod away;
mod files;
#[cfg(feature = "grpc")]
mod http2;

use crate::{app::App, ingress::Entry};
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{future::Future, pin::Pin, sync::Arc, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;

/// Pause after the system refused a connection (too many open files, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a client may leave bytes unread before its connection is closed.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);
/// How much of a connection is read, or written, ahead of its peer, bytes.
const MAX_AHEAD: usize = 128 * 1024;
/// How long answers that are cut off may take to be settled.
const SETTLE_PATIENCE: Duration = Duration::from_secs(15);

/// Where clients connect.
#[derive(Debug)]
pub struct Listeners {
    /// HTTP/1.1.
    pub http: TcpListener,
    /// HTTP/2 for gRPC, where that is wanted and built in.
    pub grpc: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(http: TcpListener) -> Self {
        Self { http, grpc: None }
    }
}

/// Serves until `stop` resolves, then lets running requests finish, at most as long as configured;
/// what still runs then ends with an error and is settled. Returns whether everything was.
pub async fn run(
    app: App,
    listeners: impl Into<Listeners>,
    stop: impl Future<Output = ()>,
) -> bool {
    files::take_all(app.max_connections);
    let Listeners { http, grpc } = listeners.into();
    let entry = Entry::new(Arc::clone(&app.front));
    let server = builder(app.read_patience);
    #[cfg(feature = "grpc")]
    let http2 = http2::Server::new(&app);
    let mut stop = std::pin::pin!(stop);
    loop {
        let (socket, is_grpc) = tokio::select! {
            socket = accept(Some(&http)) => (socket, false),
            socket = accept(grpc.as_ref()) => (socket, true),
            () = &mut stop => break,
        };
        without_delay(&socket);
        let open = app.front.readiness.connections();
        if open >= app.max_connections {
            // So many are told. Whoever comes then is not heard at all.
            if open < app.max_connections.saturating_add(away::MOST) {
                let token = app.front.readiness.connection();
                app.tasks.spawn(away::turn(socket, token));
            }
            continue;
        }
        #[cfg(feature = "grpc")]
        if is_grpc {
            http2.serve(socket);
            continue;
        }
        // Without gRPC no such listener is opened.
        #[cfg(not(feature = "grpc"))]
        if is_grpc {
            continue;
        }
        app.tasks.spawn(converse(entry.clone(), server.clone(), guarded(socket)));
    }
    drop((http, grpc));
    app.front.readiness.close();
    tracing::info!(patience_s = app.drain.as_secs(), "shutting down: running requests may finish");
    let finished = tokio::time::timeout(app.drain, app.front.readiness.all_left()).await.is_ok();
    if !finished {
        tracing::warn!("some requests did not finish in time: they end now and are settled");
    }
    let settled = app.tasks.drain(SETTLE_PATIENCE).await;
    app.front.store.close().await;
    tracing::info!(settled, "stopped");
    settled
}

/// The next connection of a listener; none ever comes of one that is not there.
async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok((socket, _)) => return socket,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection until it ends or becomes a WebSocket. Once the server stops, the request
/// that runs is its last.
async fn converse(entry: Entry, server: Builder, socket: Guarded) {
    let front = Arc::clone(entry.front());
    let _open = front.readiness.connection();
    let connection = server.serve_connection(socket, entry).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = front.readiness.closed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}

/// HTTP/1.1 alone: a peer that sends nothing, or half a head, is timed from its first moment.
fn builder(read_patience: Duration) -> Builder {
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(read_patience).max_buf_size(MAX_AHEAD);
    builder
}

type Guarded = TokioIo<Pin<Box<TimeoutStream<TcpStream>>>>;

/// A socket that gives up on a peer who stops reading: dropping the answer stops the upstream and
/// settles the call.
fn guarded(socket: TcpStream) -> Guarded {
    let mut guarded = TimeoutStream::new(socket);
    guarded.set_write_timeout(Some(WRITE_PATIENCE));
    TokioIo::new(Box::pin(guarded))
}

/// Nagle's algorithm would hold small chunks of a stream back for 40 ms.
fn without_delay(socket: &TcpStream) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
}
