//! OpenAI's Responses API at the front of a real server, with upstreams of the same and of other
//! formats behind it.
#![cfg(test)]

#[path = "../ollama_ingress/gate.rs"]
mod gate;

use gate::{Gate, Reply};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const PROVIDERS: [&str; 4] = ["responses", "both", "openai", "anthropic"];

/// The events of a stream: what `event:` says, and the data.
fn events(reply: &Reply) -> Vec<(String, Value)> {
    let frame = |frame: &str| {
        let (event, data) = frame.split_once('\n').unwrap();
        let data = data.strip_prefix("data: ").unwrap();
        (event.strip_prefix("event: ").unwrap().to_owned(), serde_json::from_str(data).unwrap())
    };
    reply.body.split("\n\n").filter(|text| !text.trim().is_empty()).map(frame).collect()
}

fn ask(model: &str, text: &str) -> Value {
    json!({"model": model, "input": text})
}

fn said(output: &Value) -> String {
    let items = output.as_array().unwrap().iter();
    let parts = items.flat_map(|item| item["content"].as_array().cloned().unwrap_or_default());
    parts.filter_map(|part| part["text"].as_str().map(str::to_owned)).collect()
}

fn parsed(reply: &Reply) -> Value {
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    serde_json::from_str(&reply.body).unwrap()
}

#[tokio::test]
async fn every_upstream_answers_in_items_whole_and_streamed() {
    let gate = Gate::start().await;
    for provider in PROVIDERS {
        let mut body = ask(&format!("{provider}/mock-tokens=3"), "go");
        let whole = parsed(&gate.post("/v1/responses", &body).await);
        assert_eq!(said(&whole["output"]).trim(), "w0 w1 w2", "{provider}: {whole}");
        assert_eq!((&whole["object"], &whole["status"]), (&json!("response"), &json!("completed")));
        assert!(whole["usage"]["output_tokens"].as_u64() >= Some(3), "{provider}: {whole}");
        body["stream"] = true.into();
        let reply = gate.post("/openai/v1/responses", &body).await;
        assert_eq!(reply.headers["content-type"], "text/event-stream");
        let events = events(&reply);
        assert!(events.iter().all(|(kind, data)| data["type"] == kind.as_str()), "{provider}");
        let (kind, last) = events.last().unwrap();
        assert_eq!(kind, "response.completed");
        assert_eq!(said(&last["response"]["output"]), said(&whole["output"]), "{provider}");
        let deltas = events.iter().filter(|(kind, _)| kind == "response.output_text.delta");
        let deltas: String = deltas.filter_map(|(_, data)| data["delta"].as_str()).collect();
        assert_eq!(deltas.trim(), "w0 w1 w2", "{provider}");
    }
}

#[tokio::test]
async fn the_same_format_gets_the_clients_own_body_and_other_calls_go_where_the_entry_says() {
    let gate = Gate::start().await;
    let body = r#"{"input": "a b", "model": "both/mock-echo", "brand_new": 1.50}"#;
    let reply = gate.send(Method::POST, "/v1/responses", Some(body.to_owned())).await;
    assert_eq!(parsed(&reply)["id"], "resp_mock");
    let chat = json!({"model": "both/mock-echo", "messages": [{"role": "user", "content": "hi"}]});
    gate.post("/v1/chat/completions", &chat).await;
    let forced = chat.to_string().replace("both/", "responses/");
    let reply = gate.send(Method::POST, "/v1/chat/completions", Some(forced)).await;
    assert_eq!(parsed(&reply)["choices"][0]["message"]["content"], "hi");
    let sent = gate.mock.requests();
    let paths: Vec<&str> = sent.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/v1/responses", "/v1/chat/completions", "/v1/responses"]);
    assert_eq!(sent[0].raw, body.replace("both/mock-echo", "mock-echo"));
    assert_eq!(sent[2].body["store"], false);
}

#[tokio::test]
async fn a_tool_is_called_and_answered_whichever_format_stands_behind() {
    let gate = Gate::start().await;
    for provider in PROVIDERS {
        let mut body = ask(&format!("{provider}/mock-tool,once,think=2"), "add");
        body["tools"] = json!([{"type": "function", "name": "add", "parameters":
            {"type": "object", "properties": {"a": {"type": "integer"}}}}]);
        body["include"] = json!(["reasoning.encrypted_content"]);
        let first = parsed(&gate.post("/v1/responses", &body).await);
        let items = first["output"].as_array().unwrap();
        let call = items.iter().find(|item| item["type"] == "function_call").unwrap();
        assert_eq!(call["name"], "add", "{provider}");
        let mut input = vec![json!({"role": "user", "content": "add"})];
        input.extend(items.iter().cloned());
        input.push(
            json!({"type": "function_call_output", "call_id": call["call_id"], "output": "42"}),
        );
        body["input"] = input.into();
        let second = parsed(&gate.post("/v1/responses", &body).await);
        assert_eq!(said(&second["output"]).trim(), "42", "{provider}: {second}");
    }
    // What Anthropic signed went through the client and came back to it, to be seen by nobody else.
    let sent = gate.mock.requests();
    let seen = |path: &str| {
        let last = sent.iter().rev().find(|request| request.path == path).unwrap();
        String::from_utf8_lossy(&last.raw).contains("\"signature\"")
    };
    assert!(seen("/v1/messages") && !seen("/v1/chat/completions"));
}

#[tokio::test]
async fn what_is_kept_elsewhere_cannot_be_continued_there() {
    let gate = Gate::start().await;
    for provider in PROVIDERS {
        let mut body = ask(&format!("{provider}/mock-echo"), "hi");
        body["previous_response_id"] = "resp_0".into();
        let reply = gate.post("/v1/responses", &body).await;
        if matches!(provider, "responses" | "both") {
            assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
            continue;
        }
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{provider}: {}", reply.body);
        let error: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(error["error"]["param"], "previous_response_id", "{provider}");
    }
    for (method, path) in [
        (Method::GET, "/v1/responses/resp_1"),
        (Method::DELETE, "/v1/responses/resp_1"),
        (Method::POST, "/v1/responses/resp_1/cancel"),
    ] {
        assert_eq!(gate.send(method.clone(), path, None).await.status, StatusCode::NOT_FOUND);
        assert_eq!(gate.stranger(method, path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn an_error_is_told_as_openai_does_before_and_inside_a_stream() {
    let gate = Gate::start().await;
    let reply = gate.post("/v1/responses", &json!({"model": "openai/mock-echo"})).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let error: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(error["error"]["param"], "input");
    for provider in PROVIDERS {
        for fault in ["error=4,status=429", "cut=4"] {
            let mut body = ask(&format!("{provider}/mock-tokens=9,{fault}"), "go");
            body["stream"] = true.into();
            let events = events(&gate.post("/v1/responses", &body).await);
            let kinds: Vec<&str> = events.iter().map(|(kind, _)| kind.as_str()).collect();
            let count = |kind: &str| kinds.iter().filter(|own| **own == kind).count();
            let told = (count("error"), count("response.failed"), count("response.completed"));
            assert_eq!(told, (1, 1, 0), "{provider} {fault}: {kinds:?}");
            assert!(events.last().unwrap().1["response"]["error"]["message"].is_string());
        }
    }
}
