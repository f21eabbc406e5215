//! Anthropic's messages.

use serde_json::{Value, json};

use crate::wire::{get, joined, mock, post, schema};

const PATH: &str = "/v1/messages";

fn ask(model: &str, stream: bool) -> Value {
    json!({
        "model": model,
        "stream": stream,
        "max_tokens": 100,
        "system": "be kind",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "one two"}]}],
        "tools": [{"name": "add", "input_schema": schema()}, {"name": "now", "input_schema": {}}],
    })
}

/// Folds the events to the message they tell.
fn fold(events: &[Value]) -> Value {
    let mut message = events[0]["message"].clone();
    let mut blocks: Vec<Value> = Vec::new();
    let mut input = String::new();
    for event in &events[1..] {
        let delta = &event["delta"];
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!(event["index"], blocks.len());
                blocks.push(event["content_block"].clone());
                input.clear();
            }
            "content_block_delta" => {
                assert_eq!(event["index"], blocks.len() - 1);
                let block = blocks.last_mut().unwrap();
                match delta["type"].as_str().unwrap() {
                    "text_delta" => append(&mut block["text"], &delta["text"]),
                    "thinking_delta" => append(&mut block["thinking"], &delta["thinking"]),
                    "signature_delta" => append(&mut block["signature"], &delta["signature"]),
                    "input_json_delta" => input += delta["partial_json"].as_str().unwrap(),
                    other => panic!("{other}"),
                }
            }
            "content_block_stop" if !input.is_empty() => {
                blocks.last_mut().unwrap()["input"] = serde_json::from_str(&input).unwrap();
            }
            "content_block_stop" | "ping" | "message_stop" => {}
            "message_delta" => {
                for (key, value) in delta.as_object().unwrap() {
                    message[key] = value.clone();
                }
                for (key, value) in event["usage"].as_object().unwrap() {
                    message["usage"][key] = value.clone();
                }
            }
            other => panic!("{other}"),
        }
    }
    message["content"] = blocks.into();
    message
}

fn append(text: &mut Value, more: &Value) {
    *text = format!("{}{}", text.as_str().unwrap(), more.as_str().unwrap()).into();
}

#[tokio::test]
async fn a_stream_folds_to_the_whole_message() {
    let mock = mock().await;
    let cases = [
        "echo",
        "tokens=4,think=3",
        "tools=2",
        "think=2,hidden,tool,preface=2",
        "length",
        "refusal",
        "cached=7,cache_write=9",
    ];
    for case in cases {
        let model = format!("mock-{case}");
        let whole = post(&mock, PATH, &ask(&model, false)).await.json();
        let answer = post(&mock, PATH, &ask(&model, true)).await;
        assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
        let events = answer.events();
        assert_eq!(events.last().unwrap()["type"], "message_stop");
        assert!(events.iter().any(|event| event["type"] == "ping"));
        assert_eq!(fold(&events), whole, "{case}");
    }
}

#[tokio::test]
async fn thinking_is_signed_and_comes_first() {
    let mock = mock().await;
    let whole = post(&mock, PATH, &ask("mock-think=2,tools=2", false)).await.json();
    let content = whole["content"].as_array().unwrap();
    assert_eq!(
        (&content[0]["type"], &content[0]["thinking"]),
        (&json!("thinking"), &json!("t0 t1"))
    );
    assert!(!content[0]["signature"].as_str().unwrap().is_empty());
    assert_eq!((&content[1]["name"], &content[1]["input"]), (&json!("add"), &schema()));
    assert_eq!((&content[2]["name"], &content[2]["input"]), (&json!("now"), &json!({})));
    assert_ne!(content[1]["id"], content[2]["id"]);
    assert_eq!(whole["stop_reason"], "tool_use");
}

#[tokio::test]
async fn usage_leaves_the_cache_out_of_the_input() {
    let mock = mock().await;
    let model = "mock-tokens=5,think=2,cached=7,cache_write=9";
    let events = post(&mock, PATH, &ask(model, true)).await.events();
    let start = &events[0]["message"]["usage"];
    assert_eq!((&start["input_tokens"], &start["output_tokens"]), (&json!(4), &json!(1)));
    assert_eq!(start["cache_read_input_tokens"], 7);
    assert_eq!(start["cache_creation"]["ephemeral_5m_input_tokens"], 9);
    let end = &events[events.len() - 2];
    assert_eq!(
        (&end["type"], &end["usage"]["output_tokens"]),
        (&json!("message_delta"), &json!(7))
    );
    let absent = post(&mock, PATH, &ask("mock-usage=absent", false)).await.json();
    assert!(absent.get("usage").is_none());
}

#[tokio::test]
async fn reasons_to_stop_are_anthropics() {
    let mock = mock().await;
    for (word, reason) in [("echo", "end_turn"), ("length", "max_tokens"), ("safety", "refusal")] {
        let whole = post(&mock, PATH, &ask(&format!("mock-{word}"), false)).await.json();
        assert_eq!(whole["stop_reason"], reason);
        assert_eq!(whole["stop_details"]["type"] == "refusal", word == "safety");
    }
    let events = post(&mock, PATH, &ask("mock-tool,length", true)).await.events();
    let input = joined(&events, "/delta/partial_json");
    assert!(!input.is_empty() && serde_json::from_str::<Value>(&input).is_err(), "{input}");
}

#[tokio::test]
async fn errors_have_the_shape_and_the_status() {
    let mock = mock().await;
    let cases = [
        (400, "invalid_request_error"),
        (404, "not_found_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ];
    for (status, kind) in cases {
        let model = format!("mock-status={status},retry_after=3,limits");
        let answer = post(&mock, PATH, &ask(&model, true)).await;
        let json = answer.json();
        assert_eq!(
            (answer.status, &json["type"], &json["error"]["type"]),
            (status, &json!("error"), &json!(kind))
        );
        assert_eq!(answer.header("request-id"), json["request_id"].as_str());
        assert_eq!(answer.header("retry-after"), Some("3"));
        assert!(answer.header("anthropic-ratelimit-tokens-reset").unwrap().ends_with('z'));
    }
    let large = post(&mock, PATH, &ask("mock-status=413", false)).await.json();
    assert_eq!(
        (large.get("type"), large["error"]["type"].as_str()),
        (None, Some("request_too_large"))
    );
}

#[tokio::test]
async fn an_error_in_a_stream_is_an_event() {
    let mock = mock().await;
    for after in [0, 4] {
        let answer = post(&mock, PATH, &ask(&format!("mock-error={after}"), true)).await;
        let events = answer.events();
        assert_eq!((answer.status, answer.whole, events.len()), (200, true, after + 1));
        assert_eq!(events[after]["type"], "error");
        assert_eq!(events[after]["error"]["type"], "overloaded_error");
    }
}

#[tokio::test]
async fn tokens_are_counted_and_models_listed() {
    let mock = mock().await;
    let count = post(&mock, "/v1/messages/count_tokens", &ask("mock-echo", false)).await.json();
    assert_eq!(count, json!({"input_tokens": 4}));
    let version = [("anthropic-version", "2023-06-01")];
    let list = get(&mock, "/v1/models", &version).await.json();
    assert_eq!((&list["data"][0]["type"], &list["has_more"]), (&json!("model"), &json!(false)));
    let one = get(&mock, "/v1/models/mock-echo", &version).await.json();
    assert_eq!(one, list["data"][0]);
    let openai = get(&mock, "/v1/models", &[]).await.json();
    assert_eq!(
        (&openai["object"], &openai["data"][0]["object"]),
        (&json!("list"), &json!("model"))
    );
}
