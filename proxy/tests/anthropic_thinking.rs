//! How much a model shall think, in Anthropic's format.
#![cfg(test)]

use serde_json::{Value, json};
use tollgate::dialects::anthropic::{MessagesTarget, decode_messages_call, encode_messages_call};
use tollgate_types::{ErrorKind, GenerateRequest, Message};

const MODEL: &str = "claude-x";

fn target(model: &str) -> MessagesTarget<'_> {
    MessagesTarget { model, default_max_output: None, stream: false }
}

fn ask(messages: Vec<Message>) -> GenerateRequest {
    GenerateRequest::new(MODEL, messages)
}

/// A request as it reads when it was read and written again.
fn round_trip(body: &Value) -> Value {
    let request = decode_messages_call(body.to_string().as_bytes()).unwrap().request;
    encode_messages_call(&request, target(MODEL)).unwrap().body
}

#[test]
fn thinking_is_kept_in_whatever_words_it_was_asked_for() {
    let cases = [
        json!({"thinking": {"type": "disabled"}}),
        json!({"thinking": {"type": "adaptive"}}),
        json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}),
        json!({"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "low"}}),
        json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}),
        json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "output_config": {"effort": "low"}}),
        json!({"thinking": {"type": "enabled", "budget_tokens": 1024, "brand_new": 1}}),
        json!({"output_config": {"effort": "high", "task_budget": {"type": "tokens", "total": 5}}}),
        json!({"output_config": {"format": {"type": "brand_new"}}}),
    ];
    for case in cases {
        let mut body = json!({"model": MODEL, "max_tokens": 4096, "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().unwrap().extend(case.as_object().unwrap().clone());
        assert_eq!(round_trip(&body), body);
    }
}

#[test]
fn an_effort_becomes_what_the_model_understands() {
    let effort = |model: &str, effort: &str, limit: Option<u32>| {
        let mut request = ask(vec![Message::user("hi")]);
        request.reasoning = serde_json::from_value(json!({"effort": effort})).unwrap();
        request.sampling.max_output_tokens = limit;
        encode_messages_call(&request, target(model)).map(|encoded| encoded.body)
    };
    let newer = effort("claude-opus-4-7", "high", None).unwrap();
    assert_eq!(newer["thinking"], json!({"type": "adaptive"}));
    assert_eq!(newer["output_config"], json!({"effort": "high"}));
    let older = effort("claude-sonnet-4-5-20250929", "high", None).unwrap();
    assert_eq!(older["thinking"], json!({"type": "enabled", "budget_tokens": 16_384}));
    assert!(older["max_tokens"].as_u64() > Some(16_384) && older.get("output_config").is_none());
    let small = effort("claude-sonnet-4-5", "high", Some(4000)).unwrap();
    assert_eq!(small["thinking"]["budget_tokens"], 3000);
    assert_eq!(effort("claude-sonnet-4-5", "none", None).unwrap()["thinking"]["type"], "disabled");
    assert!(effort("claude-3-haiku-20240307", "none", None).unwrap().get("thinking").is_none());
    for (model, word, limit) in [
        ("claude-3-haiku-20240307", "low", None),
        ("claude-sonnet-4-5", "low", Some(1000)),
        ("claude-opus-4-7", "minimal", None),
        ("claude-opus-4-7", "enormous", None),
    ] {
        let refused = effort(model, word, limit).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported, "{model} {word}");
        assert_eq!(refused.body().param.as_deref(), Some("reasoning.effort"));
    }
}

#[test]
fn a_budget_has_to_leave_room_for_the_answer() {
    let budget = |budget: u32, limit: Option<u32>| {
        let mut request = ask(vec![Message::user("hi")]);
        request.reasoning = serde_json::from_value(json!({"budget_tokens": budget})).unwrap();
        request.sampling.max_output_tokens = limit;
        encode_messages_call(&request, target("claude-sonnet-4-5")).map(|encoded| encoded.body)
    };
    assert_eq!(budget(5000, None).unwrap()["max_tokens"], 9096);
    assert_eq!(budget(5000, Some(6000)).unwrap()["thinking"]["budget_tokens"], 5000);
    for (tokens, limit) in [(5000, Some(5000)), (1000, None)] {
        let refused = budget(tokens, limit).unwrap_err();
        assert_eq!(refused.body().param.as_deref(), Some("reasoning.budget_tokens"));
    }
}
