//! Anthropic's API at the front of a real server, with upstreams of Anthropic's and of another
//! format behind it.
#![cfg(test)]

mod gate;

use gate::{Gate, Reply};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// The events of a stream: each stands under the name that it gives itself.
fn events(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.headers["content-type"], "text/event-stream", "{}", reply.body);
    let frames = reply.body.split("\n\n").filter(|frame| !frame.trim().is_empty());
    frames
        .map(|frame| {
            let (name, data) = frame.trim_start().split_once('\n').unwrap();
            let event: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(name.strip_prefix("event: "), event["type"].as_str(), "{frame}");
            event
        })
        .collect()
}

fn said(events: &[Value]) -> String {
    events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect()
}

fn asked(model: &str, text: &str, streamed: bool) -> Value {
    json!({"model": model, "max_tokens": 100, "stream": streamed,
        "messages": [{"role": "user", "content": text}]})
}

async fn post(gate: &Gate, body: &Value) -> Reply {
    gate.send(Method::POST, "/v1/messages?beta=true", body.to_string()).await
}

#[tokio::test]
async fn a_message_is_whole_or_streamed_whichever_format_stands_behind() {
    let gate = Gate::start().await;
    for provider in ["anthropic", "openai"] {
        let model = format!("{provider}/mock-tokens=3,think=2");
        let reply = post(&gate, &asked(&model, "go", true)).await;
        let streamed = events(&reply);
        assert_eq!(said(&streamed).trim(), "w0 w1 w2", "{provider}");
        assert_eq!(streamed[0]["type"], "message_start");
        let last = &streamed[streamed.len() - 2..];
        assert_eq!(
            (&last[0]["delta"]["stop_reason"], &last[1]["type"]),
            (&json!("end_turn"), &json!("message_stop"))
        );
        assert!(last[0]["usage"]["output_tokens"].as_u64() >= Some(3), "{provider}: {last:?}");
        let reply = gate
            .send(Method::POST, "/anthropic/v1/messages", asked(&model, "go", false).to_string())
            .await;
        assert_eq!(
            (reply.status, &reply.headers["content-type"]),
            (StatusCode::OK, &"application/json".parse().unwrap())
        );
        assert!(
            reply.headers.contains_key("request-id")
                && reply.headers["x-tollgate-provider"] == provider
        );
        let whole: Value = serde_json::from_str(&reply.body).unwrap();
        let text = whole["content"]
            .as_array()
            .unwrap()
            .iter()
            .find(|block| block["type"] == "text")
            .unwrap();
        assert_eq!(text["text"].as_str().map(str::trim), Some("w0 w1 w2"));
        assert_eq!((&whole["type"], &whole["role"]), (&json!("message"), &json!("assistant")));
    }
}

#[tokio::test]
async fn the_upstream_gets_the_clients_own_body_and_the_client_the_upstreams_own_events() {
    let gate = Gate::start().await;
    let body = "{\"system\":[{\"type\":\"text\",\"text\":\"\\u00e9\",\"cache_control\":{\"type\":\"ephemeral\"}}], \
        \"model\":\"anthropic/mock-echo\", \"stream\":true,\"max_tokens\":50, \
        \"messages\":[{\"role\":\"user\",\"content\":\"a b\"}], \"brand_new\":1.50}";
    let reply = gate.send(Method::POST, "/v1/messages", body.to_owned()).await;
    assert_eq!(said(&events(&reply)).trim(), "a b");
    // The padding of the upstream's events is still there.
    assert!(reply.body.contains(" }\n\n"), "{}", reply.body);
    let sent = gate.mock.requests().pop().unwrap();
    assert_eq!(sent.raw, body.replace("anthropic/mock-echo", "mock-echo"));
    assert_eq!(sent.headers["anthropic-beta"], "some-beta");
    assert_eq!(sent.headers["anthropic-version"], "2023-06-01");
    assert!(sent.headers.get("x-api-key").is_none(), "the caller's key goes nowhere");
}

#[tokio::test]
async fn tools_are_called_whichever_format_stands_behind() {
    let gate = Gate::start().await;
    for provider in ["anthropic", "openai"] {
        let mut body = asked(&format!("{provider}/mock-tool"), "add", true);
        body["tools"] = json!([{"name": "add", "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}]);
        body["tool_choice"] = json!({"type": "any"});
        let streamed = events(&post(&gate, &body).await);
        let start =
            streamed.iter().find(|event| event["content_block"]["type"] == "tool_use").unwrap();
        assert_eq!(start["content_block"]["name"], "add");
        let arguments: String =
            streamed.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
        assert!(
            serde_json::from_str::<Value>(&arguments).unwrap().is_object(),
            "{provider}: {arguments}"
        );
        assert_eq!(streamed[streamed.len() - 2]["delta"]["stop_reason"], "tool_use");
        let id = start["content_block"]["id"].clone();
        body["messages"].as_array_mut().unwrap().extend([
            json!({"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "add", "input": {"a": 1}}]}),
            json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "2"}]}),
        ]);
        body["stream"] = false.into();
        body["model"] = format!("{provider}/mock-tool,once").into();
        let reply = post(&gate, &body).await;
        let whole: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(whole["stop_reason"], "end_turn", "{provider}: {}", reply.body);
    }
}

#[tokio::test]
async fn failures_have_anthropics_shape_before_and_within_a_stream() {
    let gate = Gate::start().await;
    let word = |reply: &Reply| {
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(body["type"], "error");
        body["error"]["type"].as_str().unwrap().to_owned()
    };
    for (model, status, kind) in [
        ("anthropic/mock-status=429", 429, "rate_limit_error"),
        ("anthropic/mock-status=529", 503, "overloaded_error"),
        ("anthropic/mock-status=413", 413, "request_too_large"),
        ("anthropic/mock-status=401", 502, "authentication_error"),
        ("openai/mock-status=400", 400, "invalid_request_error"),
        ("nobody/model", 404, "not_found_error"),
    ] {
        let reply = post(&gate, &asked(model, "go", true)).await;
        assert_eq!((reply.status.as_u16(), word(&reply).as_str()), (status, kind), "{model}");
    }
    let broken = gate.send(Method::POST, "/v1/messages", "{".to_owned()).await;
    assert_eq!((broken.status.as_u16(), word(&broken).as_str()), (400, "invalid_request_error"));
    let stranger = gate.stranger(Method::POST, "/v1/messages").await;
    assert_eq!((stranger.status.as_u16(), word(&stranger).as_str()), (401, "authentication_error"));
    for (provider, words) in
        [("anthropic", "error=6,status=529"), ("anthropic", "cut=6"), ("openai", "cut=4")]
    {
        let reply =
            post(&gate, &asked(&format!("{provider}/mock-tokens=9,{words}"), "go", true)).await;
        let streamed = events(&reply);
        let last = streamed.last().unwrap();
        assert_eq!(
            (&last["type"], last["error"]["message"].is_string()),
            (&json!("error"), true),
            "{words}"
        );
        assert!(said(&streamed).starts_with("w0"), "{words}");
    }
}

#[tokio::test]
async fn tokens_are_counted() {
    let gate = Gate::start().await;
    let body = "{\"model\": \"anthropic/mock-echo\", \"messages\": [{\"role\": \"user\", \"content\": \"a b c\"}]}";
    let reply = gate.send(Method::POST, "/v1/messages/count_tokens", body.to_owned()).await;
    let counted: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(counted, json!({"input_tokens": 3}), "{}", reply.body);
    let sent = gate.mock.requests().pop().unwrap();
    assert_eq!(sent.raw, body.replace("anthropic/mock-echo", "mock-echo"));
}

#[tokio::test]
async fn models_are_listed_in_the_shape_of_the_client_that_asks() {
    let gate = Gate::start().await;
    for path in ["/v1/models", "/anthropic/v1/models"] {
        let reply = gate.send(Method::GET, path, String::new()).await;
        let list: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!((&list["has_more"], &list["data"][0]["type"]), (&json!(false), &json!("model")));
        let id = list["first_id"].as_str().unwrap();
        let one = gate.send(Method::GET, &format!("{path}/{id}"), String::new()).await;
        assert_eq!(serde_json::from_str::<Value>(&one.body).unwrap()["id"], id);
        let none = gate.send(Method::GET, &format!("{path}/none"), String::new()).await;
        assert_eq!(none.status, StatusCode::NOT_FOUND);
        assert!(none.body.contains("\"not_found_error\""), "{}", none.body);
    }
    let openai = gate.foreign(Method::GET, "/v1/models", String::new()).await;
    assert_eq!(serde_json::from_str::<Value>(&openai.body).unwrap()["object"], "list");
}

#[tokio::test]
async fn probes_get_a_harmless_answer() {
    let gate = Gate::start().await;
    for path in ["/", "/v1/messages", "/anthropic"] {
        let reply = gate.stranger(Method::HEAD, path).await;
        assert!(
            reply.status.is_client_error() && reply.body.is_empty(),
            "{path}: {}",
            reply.status
        );
    }
}

#[tokio::test]
async fn clients_of_other_formats_reach_anthropic() {
    let gate = Gate::start().await;
    let body = json!({"model": "anthropic/mock-tokens=3,think=1", "stream": true, "temperature": 0.5,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "go"}]});
    let reply = gate.foreign(Method::POST, "/v1/chat/completions", body.to_string()).await;
    assert!(
        reply.body.contains("\"finish_reason\":\"stop\"")
            && reply.body.ends_with("data: [DONE]\n\n"),
        "{}",
        reply.body
    );
    let sent = gate.mock.requests().pop().unwrap();
    assert_eq!((sent.path.as_str(), &sent.body["system"]), ("/v1/messages", &json!("Be brief.")));
    let mut refused = body;
    refused["seed"] = 1.into();
    let reply = gate.foreign(Method::POST, "/v1/chat/completions", refused.to_string()).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(reply.body.contains("seed"), "{}", reply.body);
}
