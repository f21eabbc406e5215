//! Requests in OpenAI's format, read and written.
#![cfg(test)]

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate::dialects::openai::{ChatTarget, Host, decode_chat, encode_chat};
use tollgate_types::{ErrorKind, OnUnsupported, Tool};

fn target(host: Host, stream: bool) -> ChatTarget<'static> {
    ChatTarget { model: "gpt-x", host, stream }
}

fn round_trip(request: &Value) -> Value {
    let call = decode_chat(request.to_string().as_bytes()).unwrap();
    encode_chat(&call.request, target(Host::OpenAi, call.stream)).unwrap().0
}

/// Every kind of message, part, tool and option.
fn full_request() -> Value {
    json!({
        "model": "gpt-x",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": "Use tools."},
            {"role": "user", "name": "alice", "content": [
                {"type": "text", "text": "What is this?", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": "https://a.example/x.png", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "input_audio", "input_audio": {"data": "BBBB", "format": "wav"}},
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,CCCC", "filename": "a.pdf"}},
                {"type": "brand_new", "brand_new": 1},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{\"a\": 1}"}},
                {"id": "c2", "type": "custom", "custom": {"name": "run", "input": "ls -l"}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "2"},
            {"role": "tool", "tool_call_id": "c2", "content": [
                {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": [
                {"type": "text", "text": "No."}, {"type": "refusal", "refusal": "I will not."}]},
            {"role": "user", "content": "Why?", "brand_new": true},
        ],
        "tools": [
            {"type": "function", "function": {"name": "add", "description": "adds",
                "parameters": {"type": "object"}, "strict": true, "brand_new": 1}, "cache_control": 2},
            {"type": "custom", "custom": {"name": "run"}},
        ],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
            {"type": "function", "function": {"name": "add"}}, {"type": "custom", "custom": {"name": "run"}}]}},
        "parallel_tool_calls": false,
        "modalities": ["text", "audio"],
        "store": true,
        "stream": true,
        "stream_options": {"include_usage": true, "include_obfuscation": false},
        "max_completion_tokens": 100,
        "temperature": 0.5, "top_p": 0.9, "presence_penalty": 0.1, "frequency_penalty": -0.1,
        "seed": -7, "stop": ["a", "b"], "logprobs": true, "top_logprobs": 3,
        "response_format": {"type": "json_schema", "json_schema":
            {"name": "n", "schema": {"type": "object"}, "strict": true, "description": "d"}},
        "reasoning_effort": "low",
        "audio": {"voice": "alloy", "format": "wav"},
        "user": "u", "metadata": {"k": "v"}, "service_tier": "flex", "brand_new": {"deep": [1]},
    })
}

#[test]
fn a_request_with_everything_goes_through_unchanged() {
    assert_eq!(round_trip(&full_request()), full_request());
}

#[test]
fn older_spellings_become_the_newer_ones() {
    let sent =
        round_trip(&json!({"model": "m", "stream": true, "max_tokens": 5, "stop": "x", "n": 1,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}));
    assert_eq!(
        sent,
        json!({"model": "gpt-x", "messages": [{"role": "user", "content": "hi"}],
        "stream": true, "stream_options": {"include_usage": true}, "max_completion_tokens": 5, "stop": ["x"]})
    );
}

#[test]
fn a_bad_request_is_refused_with_the_field_that_is_wrong() {
    use ErrorKind::InvalidRequest;
    let user = json!({"role": "user", "content": "hi"});
    let cases = [
        (json!([]), InvalidRequest, "body"),
        (json!({"messages": [user]}), InvalidRequest, "model"),
        (json!({"model": "m"}), InvalidRequest, "messages"),
        (json!({"model": "m", "messages": []}), InvalidRequest, "messages"),
        (
            json!({"model": "m", "messages": [{"role": "king", "content": ""}]}),
            InvalidRequest,
            "messages[0].role",
        ),
        (
            json!({"model": "m", "messages": [{"role": "user"}]}),
            InvalidRequest,
            "messages[0].content",
        ),
        (
            json!({"model": "m", "messages": [{"role": "user", "content": 7}]}),
            InvalidRequest,
            "messages[0].content",
        ),
        (
            json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}),
            InvalidRequest,
            "messages[0].content[0].image_url.url",
        ),
        (
            json!({"model": "m", "messages": [user, {"role": "tool", "content": "2"}]}),
            InvalidRequest,
            "messages[1].tool_call_id",
        ),
        (
            json!({"model": "m", "messages": [{"role": "assistant", "content": null}]}),
            InvalidRequest,
            "messages[0].content",
        ),
        (
            json!({"model": "m", "messages": [{"role": "function", "name": "f", "content": ""}]}),
            InvalidRequest,
            "messages[0].name",
        ),
    ];
    refused(&cases);
    assert_eq!(decode_chat(b"{").unwrap_err().kind(), InvalidRequest);
}

#[test]
fn a_bad_option_is_refused_with_its_name() {
    use ErrorKind::InvalidRequest;
    let user = json!({"role": "user", "content": "hi"});
    let cases = [
        (
            json!({"model": "m", "messages": [user], "functions": [{}]}),
            InvalidRequest,
            "functions[0].name",
        ),
        (
            json!({"model": "m", "messages": [user], "function_call": 1}),
            InvalidRequest,
            "function_call",
        ),
        (json!({"model": "m", "messages": [user], "n": 0}), InvalidRequest, "n"),
        (json!({"model": "m", "messages": [user], "n": 129}), InvalidRequest, "n"),
        (
            json!({"model": "m", "messages": [user], "temperature": "hot"}),
            InvalidRequest,
            "temperature",
        ),
        (json!({"model": "m", "messages": [user], "max_tokens": -1}), InvalidRequest, "max_tokens"),
        (json!({"model": "m", "messages": [user], "stop": [1]}), InvalidRequest, "stop"),
        (
            json!({"model": "m", "messages": [user], "tools": [{"type": "function"}]}),
            InvalidRequest,
            "tools[0].function",
        ),
        (
            json!({"model": "m", "messages": [user], "tool_choice": "maybe"}),
            InvalidRequest,
            "tool_choice",
        ),
    ];
    refused(&cases);
}

fn refused(cases: &[(Value, ErrorKind, &str)]) {
    for (body, kind, param) in cases {
        let error = decode_chat(body.to_string().as_bytes()).unwrap_err();
        assert_eq!((error.kind(), error.body().param.as_deref()), (*kind, Some(*param)), "{body}");
    }
}

#[test]
fn what_openai_cannot_honour_is_refused_or_warned_of_but_never_dropped() {
    let body = json!({"model": "m", "top_k": 5, "messages": [{"role": "user", "content": "hi"}]});
    let mut request = decode_chat(body.to_string().as_bytes()).unwrap().request;
    let refused = encode_chat(&request, target(Host::OpenAi, false)).unwrap_err();
    assert_eq!(refused.body().param.as_deref(), Some("sampling.top_k"));
    assert_eq!(encode_chat(&request, target(Host::Compatible, false)).unwrap().0["top_k"], 5);
    request.on_unsupported = OnUnsupported::Warn;
    let (sent, warnings) = encode_chat(&request, target(Host::OpenAi, false)).unwrap();
    assert!(sent.get("top_k").is_none() && warnings[0].code == "unsupported_option");
}

#[test]
fn extras_cannot_get_past_model_limit_or_price() {
    for key in ["model", "messages", "stream", "n", "max_tokens", "max_completion_tokens"] {
        let mut request = tollgate_types::GenerateRequest::new("m", vec![]);
        let extras = serde_json::Map::from_iter([(key.to_owned(), json!(9))]);
        request.extras.insert("openai".into(), extras);
        let error = encode_chat(&request, target(Host::OpenAi, false)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{key}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reading_what_was_written_keeps_the_meaning(
        texts in proptest::collection::vec((0..4u8, ".{0,9}"), 1..6),
        temperature in proptest::option::of(prop::sample::select(vec![0.0, 0.7, 1.5])),
        limit in proptest::option::of(any::<u32>()),
        seed in proptest::option::of(any::<i64>()),
        stop in proptest::collection::vec(".{1,4}", 0..3),
        tool in proptest::option::of(("[a-z]{1,8}", ".{0,9}")),
    ) {
        let messages: Vec<Value> = texts.iter().map(|(role, text)| match role {
            0 => json!({"role": "system", "content": text}),
            1 => json!({"role": "user", "content": [{"type": "text", "text": text}, {"type": "text", "text": "x"}]}),
            2 => json!({"role": "assistant", "content": text}),
            _ => json!({"role": "tool", "tool_call_id": "c", "content": text}),
        }).collect();
        let body = json!({"model": "gpt-x", "messages": messages, "stop": stop});
        let mut request = decode_chat(body.to_string().as_bytes()).unwrap().request;
        request.sampling.temperature = temperature;
        request.sampling.max_output_tokens = limit;
        request.sampling.seed = seed;
        request.tools = tool.into_iter().map(|(name, text)| Tool::function(name, text, json!({"type": "object"}))).collect();
        let (sent, _) = encode_chat(&request, target(Host::OpenAi, false)).unwrap();
        prop_assert_eq!(decode_chat(sent.to_string().as_bytes()).unwrap().request, request);
    }
}

#[test]
fn extras_cannot_offer_tools_buy_extras_or_replace_what_a_turn_says() {
    let base = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    let request = decode_chat(base.to_string().as_bytes()).unwrap().request;
    for (key, value) in [
        ("tools", json!([])),
        ("functions", json!([])),
        ("web_search_options", json!({})),
        ("models", json!(["dearer"])),
        ("service_tier", json!("priority")),
    ] {
        let mut request = request.clone();
        let extras = serde_json::Map::from_iter([(key.to_owned(), value)]);
        request.extras.insert("openai".into(), extras);
        let refused = encode_chat(&request, target(Host::OpenAi, false)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidRequest, "{key}");
    }
    let mut dressed = request;
    let extras = serde_json::Map::from_iter([("content".to_owned(), json!([]))]);
    dressed.messages[0].extras.insert("openai".into(), extras);
    let refused = encode_chat(&dressed, target(Host::OpenAi, false)).unwrap_err();
    assert_eq!(refused.body().param.as_deref(), Some("messages[0].extras.openai.content"));
}
