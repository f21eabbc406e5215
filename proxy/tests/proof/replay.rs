//! An upstream that says streams which were written by hand, cut into pieces and cut off as told.

use crate::corpus::WRITTEN;
use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderValue, Response, Uri, header::CONTENT_TYPE},
    serve::ListenerExt,
};
use futures_util::stream;
use std::{convert::Infallible, net::SocketAddr};
use tokio::{net::TcpListener, task::JoinSet};

/// The upstream. Dropping it stops it.
pub struct Replay {
    addr: SocketAddr,
    _task: JoinSet<()>,
}

/// What a model's name asks for: `<name of the stream>;<seed of the pieces>;<bytes in all>`.
pub fn model(name: &str, seed: u64, bytes: usize) -> String {
    format!("{name};{seed};{bytes}")
}

impl Replay {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        // Without this each piece would wait 40 ms for the one before it to be acknowledged.
        let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
        let mut task = JoinSet::new();
        task.spawn(async move {
            drop(axum::serve(listener, Router::new().fallback(answer)).await);
        });
        Self { addr, _task: task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

/// Google names the model in the path, everybody else in the body.
async fn answer(uri: Uri, body: Bytes) -> Response<Body> {
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let path = uri.path().replace("%3B", ";");
    let named = path.rsplit('/').next().and_then(|last| last.split_once(':'));
    let model = match named {
        Some((model, _)) => model.to_owned(),
        None => body["model"].as_str().unwrap().to_owned(),
    };
    let words: Vec<&str> = model.split(';').collect();
    let written = WRITTEN.iter().find(|written| written.name == words[0]).unwrap();
    let (seed, length) = (words[1].parse().unwrap(), words[2].parse::<usize>().unwrap());
    let text = &written.body.as_bytes()[..length];
    let pieces = pieces(text, seed).into_iter().map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(stream::iter(pieces)));
    let kind = if written.name.starts_with("ollama") {
        "application/x-ndjson"
    } else {
        "text/event-stream"
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A text in pieces of any length, letters of several bytes not spared; whole for seed 0.
fn pieces(text: &[u8], seed: u64) -> Vec<Bytes> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut rest = text;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let length = if seed == 0 { rest.len() } else { random.usize(1..=rest.len().min(40)) };
        let (piece, after) = rest.split_at(length);
        pieces.push(Bytes::copy_from_slice(piece));
        rest = after;
    }
    pieces
}
