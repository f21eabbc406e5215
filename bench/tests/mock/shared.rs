//! What holds on every path: what is remembered, keys, and streams that break.

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tollgate_bench::{Mock, MockOptions};

use crate::wire::{Answer, SOON, get, locked, mock, open, post, send};

const MESSAGES: &str = "/v1/messages";

/// Every streamed API with a request to it, and how many chunks an answer of nine words has.
fn streams(words: &str) -> Vec<(String, Value, usize)> {
    let model = format!("mock-tokens=9,{words}");
    let messages = json!([{"role": "user", "content": "go"}]);
    let chat = json!({"model": model, "stream": true, "messages": messages});
    let google = json!({"contents": [{"parts": [{"text": "go"}]}]});
    let verb = "streamGenerateContent";
    vec![
        ("/v1/chat/completions".to_owned(), chat.clone(), 12),
        ("/v1/responses".to_owned(), json!({"model": model, "stream": true, "input": "go"}), 17),
        (MESSAGES.to_owned(), chat.clone(), 15),
        (format!("/v1beta/models/{model}:{verb}?alt=sse"), google.clone(), 10),
        (format!("/v1beta/models/{model}:{verb}"), google, 11),
        ("/api/chat".to_owned(), chat, 10),
        ("/api/generate".to_owned(), json!({"model": model, "prompt": "go"}), 10),
    ]
}

/// How many chunks of text are in a body.
fn said(answer: &Answer) -> usize {
    (0..9).filter(|n| answer.body.contains(&format!("w{n}"))).count()
}

#[tokio::test]
async fn something_that_nobody_knows_is_said_once_where_told() {
    let mock = mock().await;
    for (path, mut request, count) in streams("news") {
        let streamed = post(&mock, &path, &request).await;
        assert!(streamed.whole && said(&streamed) == 9, "{path}: {}", streamed.body);
        let news = |answer: &Answer| answer.body.matches("\"brand_new\": {\"a\": 1.50}").count();
        assert_eq!(news(&streamed), 1, "{path}: {} of {count}", streamed.body);
        request["stream"] = false.into();
        let path = path.replace("streamGenerateContent", "generateContent");
        let whole = post(&mock, &path, &request).await;
        assert_eq!(news(&whole), 1, "{path}: {}", whole.body);
        let json: Value = serde_json::from_str(&whole.body).unwrap();
        assert_eq!(json["brand_new"]["a"], 1.5, "{path}");
    }
}

#[tokio::test]
async fn a_stream_is_cut_or_broken_where_told() {
    let mock = mock().await;
    for (end, clean) in [("cut", true), ("reset", false)] {
        for (path, whole, _) in streams("echo") {
            let all = post(&mock, &path, &whole).await;
            assert!(all.whole && said(&all) == 9, "{path}: {}", all.body);
        }
        for (path, body, chunks) in streams(&format!("{end}=7")) {
            let answer = post(&mock, &path, &body).await;
            assert_eq!((answer.status, answer.whole), (200, clean), "{path} {end}");
            assert!((3..9).contains(&said(&answer)), "{path} {end} of {chunks}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn a_chunk_is_malformed_where_told() {
    let mock = mock().await;
    for (path, body, _) in streams("malformed=7") {
        let answer = post(&mock, &path, &body).await;
        assert!(answer.body.contains(" [oops"), "{path}");
        assert!(answer.whole && said(&answer) == 9, "{path}: the rest comes");
    }
}

#[tokio::test]
async fn an_error_comes_where_told_and_ends_the_stream() {
    let mock = mock().await;
    for (path, body, chunks) in streams("error=7") {
        let answer = post(&mock, &path, &body).await;
        assert!(answer.whole && answer.body.contains("\"error\""), "{path}");
        assert!(said(&answer) < 9, "{path}");
        let late = body.to_string().replace("error=7", &format!("error={chunks}"));
        let path = path.replace("error=7", &format!("error={chunks}"));
        let answer = send(&mock, "POST", &path, &[], late.as_bytes()).await;
        let kinds = ["event: error", "\"error\":\"", "{\"error\":", "\"error\": {"];
        let told = kinds.iter().any(|kind| answer.body.contains(kind));
        assert!(!told, "{path}: there is nothing after the end: {}", answer.body);
    }
}

#[tokio::test]
async fn a_stalled_stream_waits_for_the_client_to_leave() {
    let mock = mock().await;
    let mut left = 0;
    for (path, body, _) in streams("stall=7") {
        let mut socket = open(&mock, "POST", &path, &[], body.to_string().as_bytes()).await;
        let mut text = String::new();
        while !text.contains("w2") {
            let mut bytes = [0; 4096];
            let read = tokio::time::timeout(SOON, socket.read(&mut bytes)).await.unwrap().unwrap();
            assert!(read > 0, "{path}: it ended");
            text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
        assert_eq!(mock.working(), 1, "{path}");
        drop(socket);
        left += 1;
        assert!(mock.saw_aborts(left, SOON).await, "{path}");
        assert!(mock.works(|count| count == 0, SOON).await, "{path}");
    }
    assert!(mock.aborted().iter().all(|abort| abort.chunks <= 7));
}

#[tokio::test]
async fn requests_are_remembered_byte_for_byte() {
    let mock = mock().await;
    let body = b"{ \"model\":\"mock-echo\",\r\n\t\"a\": 1.0e0, \"\\u0061\": 2 }";
    let path = "/v1beta/models/mock-echo:countTokens?key=a%20b&alt=sse";
    send(&mock, "POST", path, &[("x-Thing", "one"), ("x-thing", "two")], body).await;
    send(&mock, "POST", MESSAGES, &[], b"no \xff json").await;
    get(&mock, "/nowhere?x", &[]).await;
    let seen = mock.requests();
    assert_eq!((seen.len(), mock.served()), (3, 3));
    assert_eq!(seen[0].method, "POST");
    assert_eq!(seen[0].path, "/v1beta/models/mock-echo:countTokens");
    assert_eq!(seen[0].query.as_deref(), Some("key=a%20b&alt=sse"));
    assert_eq!(seen[0].headers.get_all("x-thing").iter().count(), 2);
    assert_eq!((&*seen[0].raw, &seen[0].body["a"]), (&body[..], &json!(2)));
    assert_eq!((&*seen[1].raw, &seen[1].body), (&b"no \xff json"[..], &Value::Null));
    assert_eq!(
        (seen[2].method.as_str(), &*seen[2].path, &*seen[2].raw),
        ("GET", "/nowhere", &b""[..])
    );
}

#[tokio::test]
async fn as_much_is_remembered_as_there_is_room_for() {
    let mock = Mock::with(MockOptions { remember: 2, ..MockOptions::default() }).await.unwrap();
    for n in 0..4 {
        get(&mock, &format!("/api/version?{n}"), &[]).await;
    }
    let queries: Vec<String> = mock.requests().into_iter().filter_map(|seen| seen.query).collect();
    assert_eq!((queries, mock.served()), (vec!["0".to_owned(), "1".to_owned()], 4));
}

#[tokio::test]
async fn each_vendor_reads_its_own_key() {
    let mock = locked("s3cret").await;
    let google = "/v1beta/models/mock-echo:countTokens";
    let cases = [
        ("/v1/chat/completions", "authorization", "Bearer ", 401, "invalid_api_key"),
        ("/v1/responses", "authorization", "Bearer ", 401, "invalid_api_key"),
        (MESSAGES, "x-api-key", "", 401, "authentication_error"),
        (google, "x-goog-api-key", "", 400, "API_KEY_INVALID"),
        ("/api/chat", "authorization", "Bearer ", 401, "unauthorized"),
    ];
    let body = json!({"model": "mock-echo", "messages": [], "stream": false});
    for (path, header, scheme, status, kind) in cases {
        for (key, expected) in [("s3cret", 200), ("wrong", status)] {
            let value = format!("{scheme}{key}");
            let headers = [(header, value.as_str()), ("x-other", "s3cret")];
            let answer = send(&mock, "POST", path, &headers, body.to_string().as_bytes()).await;
            assert_eq!(answer.status, expected, "{path} {key}");
            assert_eq!(answer.body.contains(kind), key == "wrong", "{path}: {}", answer.body);
            assert!(!answer.body.contains("s3cret") && !answer.body.contains("wrong"));
        }
        let none = post(&mock, path, &body).await;
        assert!(matches!(none.status, 401 | 403), "{path}");
    }
    let query = format!("{google}?key=s3cret");
    assert_eq!(post(&mock, &query, &body).await.status, 200);
    let version = [("anthropic-version", "2023-06-01"), ("authorization", "Bearer s3cret")];
    assert_eq!(get(&mock, "/v1/models", &version).await.status, 401);
    assert_eq!(get(&mock, "/v1/models", &version[1..]).await.status, 200);
    assert!(!format!("{mock:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_failure_says_what_it_is_told_to() {
    let mock = mock().await;
    let words = "status=429,code=insufficient_quota,message=No_money_left";
    let google = format!("/v1beta/models/mock-{words}:generateContent");
    let cases = [
        ("/v1/chat/completions", "/error/code", "/error/message"),
        ("/v1/responses", "/error/code", "/error/message"),
        (MESSAGES, "/error/type", "/error/message"),
        (&google, "/error/status", "/error/message"),
        ("/api/chat", "", "/error"),
    ];
    for (path, code, message) in cases {
        let body = json!({"model": format!("mock-{words}")});
        let answer = post(&mock, path, &body).await;
        let json = answer.json();
        assert_eq!((answer.status, json.pointer(message)), (429, Some(&json!("No money left"))));
        let expected = json!("insufficient_quota");
        assert!(code.is_empty() || json.pointer(code) == Some(&expected), "{path}: {json}");
    }
}

#[tokio::test]
async fn a_loop_with_tools_ends_where_told() {
    let mock = mock().await;
    let tools = json!([{"name": "add", "input_schema": {}}]);
    let call = json!({"type": "tool_use", "id": "toolu_mock_0", "name": "add", "input": {}});
    let result =
        json!({"type": "tool_result", "tool_use_id": "toolu_mock_0", "content": "42 it is"});
    let mut messages = vec![json!({"role": "user", "content": "[[mock tool once]]"})];
    let ask = |messages: &[Value]| json!({"model": "m", "tools": tools, "messages": messages});
    let first = post(&mock, MESSAGES, &ask(&messages)).await.json();
    assert_eq!(first["content"][0]["type"], "tool_use");
    messages.push(json!({"role": "assistant", "content": [call]}));
    messages.push(json!({"role": "user", "content": [result]}));
    let headers = [("x-mock", "tool once")];
    let body = ask(&messages).to_string();
    let second = send(&mock, "POST", MESSAGES, &headers, body.as_bytes()).await.json();
    assert_eq!(second["content"], json!([{"type": "text", "text": "42 it is"}]));
}

#[tokio::test]
async fn hostile_bodies_do_not_break_it() {
    let mock = mock().await;
    let bodies = [
        "",
        "[]",
        "null",
        "7",
        "{\"messages\": 5}",
        "{\"messages\": [[], 7, {\"content\": {}}]}",
        "{\"input\": [[\"a\"]], \"tools\": [1, {\"name\": 2}], \"n\": -1}",
        "{\"contents\": {}, \"tools\": [{\"functionDeclarations\": 3}]}",
        "{\"model\": [\"mock-tool\"]}",
    ];
    for (path, _, _) in streams("echo") {
        for body in bodies {
            let answer =
                send(&mock, "POST", &path, &[("x-mock", "tools=3")], body.as_bytes()).await;
            assert_eq!((answer.status, answer.whole), (200, true), "{path} {body}");
        }
    }
    let deep = "[".repeat(100_000);
    assert_eq!(send(&mock, "POST", MESSAGES, &[], deep.as_bytes()).await.status, 200);
}
