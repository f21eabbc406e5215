//! The server and what it remembers.

mod answer;
mod body;

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Uri, header},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt,
};
use serde_json::{Value, json};
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::script::Script;
use answer::Reply;
use body::Watched;

/// As many requests and aborts as are remembered.
const REMEMBERED: usize = 10_000;

/// A mock upstream on a free port of this machine; dropping it stops it.
#[derive(Debug)]
pub struct Mock {
    addr: SocketAddr,
    memory: Arc<Memory>,
    server: JoinHandle<()>,
}

/// A request that reached the mock.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its path.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; `null` when it was not JSON.
    pub body: Value,
}

/// An answer that the client did not wait for.
#[derive(Clone, Copy, Debug)]
pub struct Abort {
    /// When the mock noticed.
    pub at: Instant,
    /// Chunks sent by then.
    pub chunks: usize,
}

/// What the mock remembers.
#[derive(Debug)]
struct Memory {
    seen: Mutex<Vec<Seen>>,
    aborts: Mutex<Vec<Abort>>,
    served: watch::Sender<usize>,
    aborted: watch::Sender<usize>,
}

impl Memory {
    fn remember<T>(list: &Mutex<Vec<T>>, count: &watch::Sender<usize>, item: T) {
        let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() < REMEMBERED {
            list.push(item);
        }
        drop(list);
        count.send_modify(|count| *count += 1);
    }
}

impl Mock {
    /// Starts on a free port.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> io::Result<Self> {
        Self::on(0).await
    }

    /// Starts on a port; 0 means a free one.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn on(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let addr = listener.local_addr()?;
        let memory = Arc::new(Memory {
            seen: Mutex::default(),
            aborts: Mutex::default(),
            served: watch::Sender::new(0),
            aborted: watch::Sender::new(0),
        });
        let router = Router::new()
            .route("/v1/chat/completions", post(chat))
            .route("/v1/embeddings", post(embeddings))
            .route("/v1/models", get(models))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&memory));
        // A failure to set the option only slows the mock down.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        Ok(Self { addr, memory, server: spawn(axum::serve(listener, router).into_future()) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its address as an OpenAI base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// The requests that reached it, oldest first; the first ten thousand.
    pub fn requests(&self) -> Vec<Seen> {
        self.memory.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests reached it.
    pub fn served(&self) -> usize {
        *self.memory.served.borrow()
    }

    /// The answers that clients did not wait for; the first ten thousand.
    pub fn aborted(&self) -> Vec<Abort> {
        self.memory.aborts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many answers were dropped; false when the time is over first.
    pub async fn saw_aborts(&self, count: usize, within: Duration) -> bool {
        let mut aborted = self.memory.aborted.subscribe();
        let enough = aborted.wait_for(|so_far| *so_far >= count);
        tokio::time::timeout(within, enough).await.is_ok_and(|seen| seen.is_ok())
    }

    /// Serves until it is killed.
    pub async fn forever(mut self) {
        // The task ends only with the process.
        drop((&mut self.server).await);
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[expect(clippy::disallowed_methods, reason = "a mock has no Tasks; its server dies with it")]
fn spawn(server: impl Future<Output = io::Result<()>> + Send + 'static) -> JoinHandle<()> {
    // axum::serve never returns an error.
    tokio::spawn(async move { drop(server.await) })
}

/// Remembers a request and reads what shall happen to it.
fn note(memory: &Memory, uri: &Uri, headers: HeaderMap, body: &Bytes) -> (Script, Value) {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let script = Script::of(headers.get("x-mock").and_then(|words| words.to_str().ok()), &json);
    let seen = Seen { path: uri.path().to_owned(), headers, body: json.clone() };
    Memory::remember(&memory.seen, &memory.served, seen);
    (script, json)
}

async fn chat(
    State(memory): State<Arc<Memory>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (script, request) = note(&memory, &uri, headers, &body);
    let watched = Watched::new(Arc::clone(&memory));
    tokio::time::sleep(script.headers_delay).await;
    if let Some(status) = script.status {
        return watched.whole(answer::failure(status, script.retry_after));
    }
    if script.html {
        return watched.whole(axum::response::Html("<h1>Welcome</h1>").into_response());
    }
    let reply = Reply::of(&script, &request);
    let wants_stream = request.get("stream").is_some_and(|stream| stream == true);
    if !wants_stream && !script.sse {
        tokio::time::sleep(script.delay * u32::try_from(reply.words()).unwrap_or(u32::MAX)).await;
        return watched.whole(Json(reply.whole()).into_response());
    }
    let body = Body::from_stream(body::stream(script, reply.frames(&request), watched));
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

async fn embeddings(
    State(memory): State<Arc<Memory>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (script, request) = note(&memory, &uri, headers, &body);
    if let Some(status) = script.status {
        return answer::failure(status, script.retry_after);
    }
    Json(answer::vectors(&request)).into_response()
}

async fn models(State(memory): State<Arc<Memory>>, uri: Uri, headers: HeaderMap) -> Json<Value> {
    note(&memory, &uri, headers, &Bytes::new());
    let model = |id| json!({"id": id, "object": "model", "created": 0, "owned_by": "mock"});
    Json(json!({"object": "list", "data": [model("mock-echo"), model("mock-tool")]}))
}
