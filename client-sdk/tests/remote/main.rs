//! `RemoteProvider` over real sockets, against a server that plays a script.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail there, in its helper functions too"
)]

mod server;
mod retries;
mod streams;
mod requests;
mod secrets;
mod encrypted;
mod strangers;
mod settings;
mod spans;
#[cfg(feature = "blocking")]
mod blocking;

use crate::server::Server;
use std::time::Duration;
use tollgate_client::{Builder, RemoteProvider, RetryPolicy};
use tollgate_types::{GenerateRequest, Message};

/// The key of every test; it must never be seen outside the `authorization` header.
const KEY: &str = "tg_01KEY_sup3rs3cr3t_c0ffee";

fn builder(url: &str) -> Builder {
    let retry = RetryPolicy {
        initial_wait: Duration::from_millis(1),
        max_wait: Duration::from_millis(2),
        ..RetryPolicy::default()
    };
    RemoteProvider::builder().server(url).api_key(KEY).model("mock/echo").retry(retry)
}

fn provider(server: &Server) -> RemoteProvider {
    builder(&server.url).build().unwrap()
}

fn request() -> GenerateRequest {
    GenerateRequest::new("", vec![Message::user("hello")])
}

const ANSWER: &str = r#"{
    "content": [{"type": "text", "text": "hi"}],
    "finish": {"reason": "stop"},
    "usage": {"input": 3, "output": 1},
    "origin": {"api": "mock", "provider": "mock", "model": "echo"},
    "receipt": {"request_id": "req-1", "cost_nano_usd": 42}
}"#;
