//! An upstream over HTTP/2: many calls share one connection.
#![cfg(test)]

use hyper::{Request, Response, Version, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tollgate::{
    config::OpenaiApi,
    providers::{http::HttpOptions, openai::OpenAi},
};
use tollgate_types::{GenerateRequest, Message, Provider};

const ANSWER: &str = r#"{"id": "c1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "over two"},
                 "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}"#;

/// Answers every request that comes over HTTP/2; counts connections.
#[expect(clippy::disallowed_methods, reason = "the server of a test has no tasks to be tracked by")]
async fn upstream(connections: Arc<AtomicUsize>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            let answer = service_fn(|request: Request<Incoming>| async move {
                assert_eq!(request.version(), Version::HTTP_2);
                let response = Response::builder().header("content-type", "application/json");
                response.body(ANSWER.to_owned())
            });
            let served = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(served.serve_connection(TokioIo::new(socket), answer));
        }
    });
    format!("http://{address}/v1")
}

#[tokio::test]
async fn calls_over_http2_share_a_connection() {
    let connections = Arc::new(AtomicUsize::new(0));
    let mut options = HttpOptions::new("two", upstream(Arc::clone(&connections)).await);
    options.http2 = true;
    let provider = OpenAi::new(options, OpenaiApi::Chat).unwrap();
    let ask = || GenerateRequest::new("m", vec![Message::user("hi")]);
    assert_eq!(provider.generate(ask()).await.unwrap().text(), "over two");
    let answers = futures_util::future::join_all((0..8).map(|_| provider.generate(ask()))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().text() == "over two"));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}
