//! Listening, and stopping without breaking what runs.

use crate::{app::App, ingress};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use std::{future::Future, time::Duration};
use tokio::net::{TcpListener, TcpStream};

/// Pause after the system refused a connection (too many open files, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long answers that are cut off may take to be settled.
const SETTLE_PATIENCE: Duration = Duration::from_secs(15);

/// Serves until `stop` resolves, then lets running requests finish, at most as long as configured;
/// what still runs then ends with an error and is settled. Returns whether everything was.
pub async fn run(app: App, listener: TcpListener, stop: impl Future<Output = ()>) -> bool {
    let router = ingress::router(app.front.clone());
    let graceful = GracefulShutdown::new();
    let server = builder(app.read_patience);
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let socket = match accepted {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        without_delay(&socket);
        let service = TowerToHyperService::new(router.clone());
        let connection = server.serve_connection(TokioIo::new(socket), service).into_owned();
        let watched = graceful.watch(connection);
        app.tasks.spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(%error, "a connection ended badly");
            }
        });
    }
    drop(listener);
    app.front.readiness.close();
    tracing::info!(patience_s = app.drain.as_secs(), "shutting down: running requests may finish");
    let finished = tokio::time::timeout(app.drain, graceful.shutdown()).await.is_ok();
    if !finished {
        tracing::warn!("some requests did not finish in time: they end now and are settled");
    }
    let settled = app.tasks.drain(SETTLE_PATIENCE).await;
    app.front.store.close().await;
    tracing::info!(settled, "stopped");
    settled
}

fn builder(read_patience: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(read_patience);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Nagle's algorithm would hold small chunks of a stream back for 40 ms.
fn without_delay(socket: &TcpStream) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
}
