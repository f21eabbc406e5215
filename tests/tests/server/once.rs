//! A call with an idempotency key runs once and is charged once, however often it is sent.

use crate::ask::native;
use serde_json::{Value, json};
use tollgate_bench::Mock;
use tollgate_tests::server::{Key, Reply, Server, Terms};

async fn send(server: &Server, key: &Key, path: &str, name: &str, body: &Value) -> Reply {
    let request = server.request("POST", path, key).header("idempotency-key", name);
    Reply::to(request.json(body)).await
}

#[tokio::test]
async fn a_retry_gets_the_same_answer_and_is_not_charged_again() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let key = server.any_key().await;
    let asked = native("mock/mock-tokens=5");
    let first = send(&server, &key, "/api/v1/generate", "a", &asked).await;
    assert_eq!(first.status, 200, "{}", first.text);
    let again = send(&server, &key, "/api/v1/generate", "a", &asked).await;
    assert_eq!(again.json(), first.json());
    assert_eq!(again.header("x-request-id"), first.header("x-request-id"));
    let streamed = send(&server, &key, "/api/v1/stream", "a", &asked).await;
    assert!(streamed.text.contains(first.at("/receipt/request_id").as_str().unwrap()));
    assert_eq!(mock.served(), 1);
    assert_eq!(server.settled(1).await.len(), 1);
}

#[tokio::test]
async fn a_key_belongs_to_one_request_of_one_api_key() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let (key, other) = (server.any_key().await, server.any_key().await);
    send(&server, &key, "/api/v1/generate", "a", &native("mock/mock-tokens=5")).await;
    let changed = send(&server, &key, "/api/v1/generate", "a", &native("mock/mock-tokens=6")).await;
    changed.assert_error(409, "another request under the same key");
    assert_eq!(changed.at("/error/retryable"), json!(false));
    assert_eq!(changed.header("x-should-retry"), "false");
    let theirs =
        send(&server, &other, "/api/v1/generate", "a", &native("mock/mock-tokens=5")).await;
    assert_eq!(theirs.status, 200, "another API key has keys of its own");
    assert_eq!(mock.served(), 2);
}

#[tokio::test]
async fn a_running_call_is_joined_and_a_failed_one_may_be_made_again() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let key = server.any_key().await;
    let slow = native("mock/mock-tokens=20,delay=20");
    let request = server.request("POST", "/api/v1/stream", &key).header("idempotency-key", "a");
    let running = request.json(&slow).send().await.unwrap();
    let second = send(&server, &key, "/api/v1/stream", "a", &slow).await;
    assert_eq!(second.header("x-request-id"), running.headers()["x-request-id"]);
    assert_eq!(second.text, running.text().await.unwrap());
    server.settled(1).await;
    let failing = native("mock/mock-status=500");
    send(&server, &key, "/api/v1/generate", "b", &failing).await.assert_error(502, "first");
    send(&server, &key, "/api/v1/generate", "b", &failing).await.assert_error(502, "again");
    assert_eq!(mock.served(), 3);
}

#[tokio::test]
async fn a_key_that_is_no_key_is_refused() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let key = server.any_key().await;
    for name in ["", &"x".repeat(256)] {
        let reply = send(&server, &key, "/api/v1/generate", name, &native("mock/mock-echo")).await;
        reply.assert_error(400, "idempotency key");
    }
    assert_eq!(mock.served(), 0);
}

#[tokio::test]
async fn an_answer_is_not_given_again_to_a_key_that_may_not_have_it() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let terms = Terms { permissions: r#"{"features":["chat"]}"#, ..Terms::default() };
    let key = server.key("alice", terms).await;
    let asked = native("mock/mock-tokens=5");
    assert_eq!(send(&server, &key, "/api/v1/generate", "a", &asked).await.status, 200);
    let streamed = send(&server, &key, "/api/v1/stream", "a", &asked).await;
    streamed.assert_error(403, "a stream of an answer that was given whole");
    assert_eq!(streamed.at("/error/permission"), json!("feature:stream"));
}
