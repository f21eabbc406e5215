//! What no honest client sends: each is answered with its status in the dialect's own shape, nothing
//! of it reaches a provider, and the server answers the next good request.

use crate::ask::{CHAT, ask, ask_openai, native, openai, with};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tollgate_bench::Mock;
use tollgate_tests::server::{Key, Reply, Server, config_over, soon};
use tollgate_types::wire::path;

const MODEL: &str = "mock/mock-echo";
const MIB: usize = 1 << 20;

async fn serve() -> (Mock, Server, Key) {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let key = server.any_key().await;
    (mock, server, key)
}

/// The error in the shape of the path's dialect.
fn assert_shape(path: &str, reply: &Reply, case: &str) {
    let field = if path.starts_with("/v1") { "/error/type" } else { "/error/kind" };
    assert!(reply.at(field).is_string(), "{case}: {field} is missing in {}", reply.text);
}

/// A body with a value nested many levels deep under a field.
fn nested(field: &str, depth: usize) -> Vec<u8> {
    let (open, close) = ("[".repeat(depth), "]".repeat(depth));
    format!(r#"{{"model": "{MODEL}", "messages": [], "{field}": {{"a": {{"b": {open}{close}}}}}}}"#)
        .into_bytes()
}

async fn assert_refused(path: &str, cases: Vec<(&str, Vec<u8>, &str)>) {
    let (mock, server, key) = serve().await;
    for (case, body, named) in cases {
        let reply = server.post_bytes(path, &key, body).await;
        let case = format!("{path} {case}");
        reply.assert_error(400, &case);
        assert_shape(path, &reply, &case);
        let told = format!("{}{}", reply.at("/error/param"), reply.at("/error/message"));
        assert!(told.contains(named), "{case}: {named} is not named in {told}");
        assert_eq!(reply.header("x-should-retry"), "false", "{case}");
    }
    assert_eq!(mock.served(), 0, "nothing of it reaches the provider");
    assert_eq!(ask(&server, &key, MODEL).await.status, 200, "the server lives on");
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

#[tokio::test]
async fn native_requests_that_cannot_be_read_are_refused_and_the_fault_is_named() {
    let said = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    let changed = |fields: Value| bytes(&with(native(MODEL), fields));
    let twice = format!(r#"{{"model": "{MODEL}", "model": "{MODEL}", "messages": []}}"#);
    let endless = changed(json!({})).iter().chain(b"{}").copied().collect();
    let infinite = String::from_utf8(changed(json!({"sampling": {"temperature": 7.5}}))).unwrap();
    let cases = vec![
        ("nothing", Vec::new(), "EOF"),
        ("half an object", b"{\"model\": ".to_vec(), "EOF"),
        ("no JSON", b"hello".to_vec(), "expected"),
        ("a list", b"[]".to_vec(), ""),
        ("null", b"null".to_vec(), ""),
        ("a number", b"42".to_vec(), ""),
        ("two objects", endless, "trailing"),
        ("a field twice", twice.into_bytes(), "model"),
        ("an unknown field", changed(json!({"temprature": 1})), "temprature"),
        ("an unknown option", changed(json!({"sampling": {"tempo": 1}})), "tempo"),
        ("a wrong type", changed(json!({"sampling": {"top_k": "x"}})), "sampling.top_k"),
        ("a part of a wrong type", changed(said(json!([5]))), "messages[0].content"),
        ("text that is none", changed(said(json!([{"type": "text", "text": 5}]))), "messages[0]"),
        ("an unknown part", changed(said(json!([{"type": "smell"}]))), "smell"),
        ("an unknown role", changed(json!({"messages": [{"role": "cat", "content": []}]})), "cat"),
        ("no model", bytes(&json!({"messages": []})), "model"),
        ("no messages", bytes(&json!({"model": MODEL})), "messages"),
        ("empty messages", changed(json!({"messages": []})), "messages"),
        ("infinity", infinite.replace("7.5", "1e999").into_bytes(), "range"),
        (
            "too many tokens",
            changed(json!({"sampling": {"max_output_tokens": 5_000_000_000_u64}})),
            "sampling.max_output_tokens",
        ),
        (
            "less than no tokens",
            changed(json!({"sampling": {"max_output_tokens": -1}})),
            "sampling.max_output_tokens",
        ),
        ("a deep nest", nested("extras", 20_000), "recursion"),
        ("a deep nest that no field takes", nested("x", 20_000), ""),
        ("bytes that are no text", b"{\"model\": \"\xff\xfe\"}".to_vec(), ""),
    ];
    assert_refused(path::GENERATE, cases).await;
}

#[tokio::test]
async fn openai_requests_that_cannot_be_read_are_refused_and_the_fault_is_named() {
    let changed = |fields: Value| bytes(&with(openai(MODEL), fields));
    let infinite = String::from_utf8(changed(json!({"temperature": 7.5}))).unwrap();
    let cases = vec![
        ("nothing", Vec::new(), ""),
        ("half an object", b"{\"model\": ".to_vec(), ""),
        ("a list", b"[]".to_vec(), ""),
        ("null", b"null".to_vec(), ""),
        ("no model", bytes(&json!({"messages": []})), "model"),
        ("a model that is a number", changed(json!({"model": 5})), "model"),
        ("no messages", bytes(&json!({"model": MODEL})), "messages"),
        ("empty messages", changed(json!({"messages": []})), "messages"),
        ("messages of a wrong type", changed(json!({"messages": "hi"})), "messages"),
        ("a message of a wrong type", changed(json!({"messages": [5]})), "messages"),
        (
            "content of a wrong type",
            changed(json!({"messages": [{"role": "user", "content": 5}]})),
            "content",
        ),
        (
            "an unknown role",
            changed(json!({"messages": [{"role": "cat", "content": "x"}]})),
            "role",
        ),
        ("a wrong type", changed(json!({"temperature": "hot"})), "temperature"),
        ("tools of a wrong type", changed(json!({"tools": "all"})), "tools"),
        ("less than no tokens", changed(json!({"max_tokens": -1})), "max_tokens"),
        (
            "too many tokens",
            changed(json!({"max_completion_tokens": 1e30})),
            "max_completion_tokens",
        ),
        ("infinity", infinite.replace("7.5", "1e999").into_bytes(), ""),
        ("a deep nest", nested("metadata", 20_000), "recursion"),
        ("bytes that are no text", b"{\"model\": \"\xff\xfe\"}".to_vec(), ""),
    ];
    assert_refused(CHAT, cases).await;
}

#[tokio::test]
async fn embeddings_that_cannot_be_read_are_refused() {
    let bad = [
        json!({}),
        json!({"model": MODEL}),
        json!({"model": MODEL, "input": 5}),
        json!({"input": "x"}),
        json!([]),
    ];
    for path in [path::EMBED, "/v1/embeddings"] {
        let cases = bad.iter().map(|body| ("embed", bytes(body), "")).collect();
        assert_refused(path, cases).await;
    }
}

#[tokio::test]
async fn an_unknown_model_is_404_in_every_dialect() {
    let mock = Mock::start().await.unwrap();
    let mut config = config_over(&mock, "");
    config.providers[0].models = vec!["mock-*".to_owned()];
    let server = Server::start(config).await;
    let key = server.any_key().await;
    let long = format!("nosuch/{}", "x".repeat(MIB));
    for name in
        ["nosuch/model", "mock/other", "bare", "", "/", "a/b/c", "nosuch/\u{1f980}\n", &long]
    {
        let native = ask(&server, &key, name).await;
        let openai = ask_openai(&server, &key, name).await;
        for (path, reply) in [(path::GENERATE, native), (CHAT, openai)] {
            reply.assert_error(404, path);
            assert_shape(path, &reply, path);
            assert_eq!(reply.at("/error/param"), "model");
            assert_eq!(reply.at("/error/code"), "model_not_found");
            assert!(reply.text.len() < 1_000, "the name is not repeated at full length");
        }
    }
    assert_eq!(mock.served(), 0);
}

#[tokio::test]
async fn a_body_of_fifty_megabytes_is_413_and_the_server_lives_on() {
    let (mock, server, key) = serve().await;
    let big = Bytes::from(vec![b'x'; 50 * MIB]);
    for path in [path::GENERATE, CHAT] {
        let reply = Reply::to(server.request("POST", path, &key).body(big.clone())).await;
        reply.assert_error(413, path);
        assert_shape(path, &reply, path);
        assert_eq!(ask(&server, &key, MODEL).await.status, 200);
    }
    // The same without saying how much will come.
    let mut socket = TcpStream::connect(server.addr).await.unwrap();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         transfer-encoding: chunked\r\n\r\n",
        key.text
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..50 {
        socket.write_all(b"100000\r\n").await.unwrap();
        socket.write_all(&big[..MIB]).await.unwrap();
        socket.write_all(b"\r\n").await.unwrap();
    }
    socket.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = [0; 1024];
    let length = soon("it is refused", socket.read(&mut answer)).await.unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 413"), "a body of unknown length");
    let strange = Reply::to(server.stranger("POST", CHAT).body(big)).await;
    strange.assert_error(401, "without a key no body is read for nothing");
    assert_eq!(mock.served(), 2);
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let mock = Mock::start().await.unwrap();
    let server = Server::start(config_over(&mock, "[server]\nread_seconds = 1\n")).await;
    let key = server.any_key().await;
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 99\r\n\r\n{{",
        key.text
    );
    let mut socket = TcpStream::connect(server.addr).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 1024];
    let length = soon("it is given up", socket.read(&mut answer)).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("x-request-id"), "{answer}");
    assert_eq!(ask(&server, &key, MODEL).await.status, 200);
}

#[tokio::test]
async fn wrong_paths_and_methods_are_named_without_a_credential_in_sight() {
    let (_mock, server, key) = serve().await;
    for (method, path, status) in [
        ("GET", path::GENERATE, 405),
        ("PUT", path::MODELS, 405),
        ("DELETE", path::USAGE, 405),
        ("GET", CHAT, 405),
        ("POST", "/v1/models", 405),
        ("GET", "/", 404),
        ("GET", "/v1/nope", 404),
        ("POST", "/api/v1/nope", 404),
        ("GET", "/api/v1/generate/", 404),
        ("GET", "/api/v1/x/%2e%2e/%00", 404),
        ("BREW", "/api/v1/models", 405),
    ] {
        let case = format!("{method} {path}");
        let reply = Reply::to(server.request(method, path, &key)).await;
        reply.assert_error(status, &case);
        assert_shape(path, &reply, &case);
    }
}

#[tokio::test]
async fn labels_and_headers_beyond_their_limits_are_refused_or_ignored_and_never_break_anything() {
    let (_mock, server, key) = serve().await;
    let post = || server.request("POST", path::GENERATE, &key).json(&native(MODEL));
    let many =
        (0..17).fold(post(), |request, n| request.header(format!("x-tollgate-tag-{n}"), "v"));
    let long = post().header("x-tollgate-tag-a", "v".repeat(257));
    let strange = post().header("x-tollgate-tag-a", &b"\xff\xfe"[..]);
    for (case, request) in [("many", many), ("long", long), ("no text", strange)] {
        let reply = Reply::to(request).await;
        reply.assert_error(400, case);
        assert!(reply.at("/error/param").to_string().contains("x-tollgate-tag-"), "{case}");
    }
    let most = (0..16)
        .fold(post(), |request, n| request.header(format!("x-tollgate-tag-{n}"), "v".repeat(256)));
    assert_eq!(Reply::to(most).await.status, 200);
    let twice = post().bearer_auth("tg_other_key_00000000");
    assert!(matches!(Reply::to(twice).await.status, 200 | 401), "one of two keys counts");
    let typed = post().header("content-type", "text/plain");
    assert_eq!(Reply::to(typed).await.status, 200, "the body counts, not what it is called");
    let huge = post().header("x-huge", "h".repeat(MIB)).send().await;
    assert!(huge.is_err() || huge.unwrap().status() == 431);
    assert_eq!(ask(&server, &key, MODEL).await.status, 200);
}

#[tokio::test]
async fn a_connection_that_says_nothing_or_half_a_word_is_closed() {
    let mock = Mock::start().await.unwrap();
    let server = Server::start(config_over(&mock, "[server]\nread_seconds = 1\n")).await;
    for said in ["", "PRI * HT", "POST /v1/chat/comp"] {
        let mut socket = TcpStream::connect(server.addr).await.unwrap();
        socket.write_all(said.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        // Closed or reset: `soon` fails when neither happens.
        drop(soon("the server closes the connection", socket.read_to_end(&mut rest)).await);
    }
    let key = server.any_key().await;
    assert_eq!(ask(&server, &key, MODEL).await.status, 200);
}
