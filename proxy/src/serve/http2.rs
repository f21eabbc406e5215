//! Connections of the gRPC listener: HTTP/2 with prior knowledge, and nothing else.

use super::WRITE_PATIENCE;
use crate::{
    app::App,
    ingress::{Front, grpc},
    tasks::Tasks,
};
use axum::{Router, body::Body, response::Response};
use http_body_util::BodyExt;
use hyper::{
    Request,
    body::Incoming,
    rt::Executor,
    server::conn::http2::Builder,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;

/// How often a peer is asked whether it lives, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(15);
const PING_PATIENCE: Duration = Duration::from_secs(20);
/// Calls at once on one connection: clients put all of theirs on it.
const MAX_CALLS: u32 = 1024;
/// The most metadata of a call, bytes.
const MAX_METADATA: u32 = 16 * 1024;
/// What is written ahead of a caller who reads slowly, bytes a call.
const MAX_UNREAD: usize = 64 * 1024;
/// How long answers that are cut off may take to be told.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long a peer without calls may take to answer the goodbye. One that is gone never does.
const GOODBYE: Duration = Duration::from_secs(1);

/// Spawns where everything else is spawned.
#[derive(Clone)]
struct Counted(Tasks);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Counted {
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

/// What the connections have in common.
pub(super) struct Server {
    builder: Builder<Counted>,
    router: Router,
    front: Arc<Front>,
    tasks: Tasks,
}

impl Server {
    pub(super) fn new(app: &App) -> Self {
        let mut builder = Builder::new(Counted(app.tasks.clone()));
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_PATIENCE)
            .max_concurrent_streams(MAX_CALLS)
            .max_header_list_size(MAX_METADATA)
            .max_send_buf_size(MAX_UNREAD);
        let front = Arc::clone(&app.front);
        let router = grpc::router(Arc::clone(&front));
        Self { builder, router, front, tasks: app.tasks.clone() }
    }

    /// Serves a connection in the background until it ends. Once the server stops it takes no new
    /// calls.
    pub(super) fn serve(&self, socket: TcpStream) {
        let mut guarded = TimeoutStream::new(socket);
        guarded.set_write_timeout(Some(WRITE_PATIENCE));
        // A peer that lives answers pings. One that never begins to speak HTTP/2 gets none.
        guarded.set_read_timeout(Some(PING_EVERY + PING_PATIENCE + self.front.read_patience));
        let calls = Calls::default();
        let service = calls.counted(self.router.clone());
        let socket = TokioIo::new(Box::pin(guarded));
        let connection = self.builder.serve_connection(socket, service);
        let (front, tasks) = (Arc::clone(&self.front), self.tasks.clone());
        self.tasks.spawn(async move {
            let _open = front.readiness.connection();
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = front.readiness.closed() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        ended = connection => ended,
                        () = calls.are_over() => Ok(()),
                        () = async { tasks.stopping().await; sleep(LAST_WORDS).await } => Ok(()),
                    }
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a gRPC connection ended badly");
            }
        });
    }
}

/// How many calls run on a connection. HTTP/2 says goodbye in two steps, the second of which waits
/// for the peer: only who has calls is waited for that long.
#[derive(Clone, Default)]
struct Calls(Arc<watch::Sender<usize>>);

/// One of them, until its answer was handed over.
struct Running(Calls);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

impl Calls {
    fn begin(&self) -> Running {
        self.0.send_modify(|count| *count += 1);
        Running(self.clone())
    }

    /// Counts what a router answers.
    fn counted(
        &self,
        router: Router,
    ) -> impl Service<
        Request<Incoming>,
        Response = Response,
        Error = Infallible,
        Future: Send + 'static,
    > + use<> {
        let (calls, service) = (self.clone(), TowerToHyperService::new(router));
        service_fn(move |request| {
            let (running, answering) = (calls.begin(), service.call(request));
            async move {
                let held = move |frame| {
                    let _until_the_body_is_dropped = &running;
                    frame
                };
                Ok(answering.await?.map(|body| Body::new(body.map_frame(held))))
            }
        })
    }

    /// Resolves when no call has run for a moment.
    async fn are_over(&self) {
        let mut running = self.0.subscribe();
        loop {
            // Cannot fail: the sender is here.
            drop(running.wait_for(|count| *count == 0).await);
            let again = running.wait_for(|count| *count > 0);
            if timeout(GOODBYE, again).await.is_err() {
                return;
            }
        }
    }
}
