//! What vendors want back unchanged, through clients of chat completions; and functions, which tools
//! have replaced.
#![cfg(test)]

use serde_json::{Map, Value, json};
use tollgate::dialects::openai::{
    ChatTarget, Host, StreamDecoder, StreamEncoder, as_functions, decode_chat, decode_reply,
    encode_chat, encode_reply,
};
use tollgate::dialects::stream::{Decoder, ReplyHead};
use tollgate_types::{
    Extras, FinishReason, GenerateRequest, GenerateResponse, Origin, Part, Reasoning, Role,
    StreamEvent, ToolCall, ToolChoice, Usage, events_of,
};

fn head() -> ReplyHead {
    ReplyHead { id: "chatcmpl-1".into(), created_s: 5, model: "m".into() }
}

fn answer(api: &str, content: Vec<Part>) -> GenerateResponse {
    GenerateResponse {
        content,
        finish: FinishReason::ToolCalls.into(),
        usage: Usage::tokens(1, 2),
        origin: Origin { api: api.into(), ..Origin::default() },
        warnings: vec![],
        extras: Extras::new(),
        receipt: None,
    }
}

fn thought(text: &str, signature: Option<&str>, encrypted: Option<&str>) -> Part {
    Part::Reasoning(Reasoning {
        text: text.into(),
        signature: signature.map(str::to_owned),
        encrypted: encrypted.map(str::to_owned),
        extras: Extras::new(),
    })
}

fn signed_call() -> Part {
    let own = Map::from_iter([("thoughtSignature".to_owned(), json!("sig-g"))]);
    Part::ToolCall(ToolCall {
        id: "c1".into(),
        name: "add".into(),
        arguments: "{}".into(),
        hosted: false,
        extras: Extras::from([("google".into(), own)]),
    })
}

/// The message as a client puts it together from a stream's chunks.
fn gathered(chunks: &[Value]) -> Value {
    let mut message = json!({"role": "assistant", "content": null, "reasoning_content": "",
        "reasoning_details": [], "tool_calls": []});
    for delta in chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]) {
        let fields = delta.as_object().into_iter().flatten();
        for (key, value) in fields.filter(|(key, _)| *key != "role") {
            match (&mut message[key.as_str()], value) {
                (Value::String(text), Value::String(more)) => text.push_str(more),
                (Value::Array(all), Value::Array(more)) => all.extend(more.clone()),
                _ => {}
            }
        }
    }
    message
}

fn sent_back(message: &Value) -> GenerateRequest {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "q"}, message]});
    decode_chat(body.to_string().as_bytes()).unwrap().request
}

#[test]
fn signatures_of_reasoning_and_calls_survive_a_client_whole_and_streamed() {
    let told = vec![
        thought("Let me ", Some("sig-a"), None),
        thought("", None, Some("redacted")),
        signed_call(),
    ];
    let answer = answer("anthropic.messages", told.clone());
    let whole = encode_reply(&answer, &head())["choices"][0]["message"].clone();
    let mut encoder = StreamEncoder::new(head(), false);
    let chunks: Vec<Value> =
        events_of(answer).iter().flat_map(|event| encoder.push(event)).collect();
    let streamed = gathered(&chunks);
    assert_eq!(streamed["reasoning_content"], "Let me ");
    let texts = chunks.iter().filter(|chunk| chunk.to_string().contains("Let me "));
    assert_eq!(texts.count(), 1, "the text is told once");
    for message in [whole, streamed] {
        let mut request = sent_back(&message);
        let turn = &mut request.messages[1];
        assert_eq!(turn.origin.as_ref().unwrap().api, "anthropic.messages");
        for part in &mut turn.content {
            part.extras_mut().unwrap().remove("openai");
        }
        assert_eq!(turn.content, told, "{message}");
    }
}

#[test]
fn openai_gets_no_signature_of_anyone_and_a_compatible_host_gets_its_own_back() {
    let details = json!([{"type": "reasoning.text", "text": "hm", "signature": "s",
        "format": "anthropic-claude-v1", "index": 0}]);
    let message = json!({"role": "assistant", "content": "x", "reasoning": "hm",
        "reasoning_details": details, "tool_calls": [{"id": "c1", "type": "function",
            "function": {"name": "add", "arguments": "{}"},
            "extra_content": {"google": {"thought_signature": "g"}}}]});
    let request = sent_back(&message);
    let target = |host| ChatTarget { model: "m", host, stream: false };
    let openai = encode_chat(&request, target(Host::OpenAi)).unwrap().0.to_string();
    assert!(!openai.contains("signature") && !openai.contains("reasoning"), "{openai}");
    let back = encode_chat(&request, target(Host::Compatible)).unwrap().0;
    assert_eq!(back["messages"][1], message);
}

#[test]
fn reasoning_goes_back_in_the_fields_that_it_stood_in() {
    let target = ChatTarget { model: "m", host: Host::Compatible, stream: false };
    for message in [
        json!({"role": "assistant", "content": "x", "reasoning_content": "a"}),
        json!({"role": "assistant", "content": "x", "reasoning": "a"}),
        json!({"role": "assistant", "content": "x", "reasoning_content": "a", "reasoning": "a"}),
        json!({"role": "assistant", "content": "x", "reasoning_content": "a", "reasoning": "b"}),
    ] {
        let back = encode_chat(&sent_back(&message), target).unwrap().0;
        assert_eq!(back["messages"][1], message);
    }
}

#[test]
fn facts_of_a_streamed_call_are_kept_whenever_they_come() {
    let chunk = |call: Value| json!({"choices": [{"delta": {"tool_calls": [call]}}]}).to_string();
    let google = json!({"google": {"thought_signature": "g"}});
    let function = json!({"name": "add", "arguments": "{}"});
    for calls in [
        vec![json!({"index": 0, "id": "a", "extra_content": google, "function": function})],
        vec![
            json!({"index": 0, "id": "a", "function": function}),
            json!({"index": 0, "extra_content": google}),
        ],
    ] {
        let mut decoder = StreamDecoder::new("p");
        let mut events: Vec<StreamEvent> =
            calls.into_iter().flat_map(|call| decoder.push(&chunk(call)).unwrap()).collect();
        let last = r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#;
        events.extend(decoder.push(last).unwrap());
        events.extend(decoder.end().unwrap());
        let mut encoder = StreamEncoder::new(head(), false);
        let written: String =
            events.iter().flat_map(|event| encoder.push(event)).map(|c| c.to_string()).collect();
        assert!(written.contains(r#""extra_content":{"google":{"thought_signature":"g"}}"#));
        let mut fold = tollgate_types::Fold::new();
        events.into_iter().for_each(|event| fold.push(event).unwrap());
        let answer = fold.finish().unwrap();
        let call = answer.tool_calls().next().unwrap();
        assert_eq!(call.extras["google"]["thoughtSignature"], "g");
    }
}

#[test]
fn other_choices_keep_their_number() {
    let second = json!({"index": 1, "delta": {"content": "other"}, "finish_reason": null});
    let mut decoder = StreamDecoder::new("p");
    let events = decoder.push(&json!({"choices": [second]}).to_string()).unwrap();
    let mut encoder = StreamEncoder::new(head(), false);
    let chunks: Vec<Value> = events.iter().flat_map(|event| encoder.push(event)).collect();
    assert_eq!(chunks.last().unwrap()["choices"], json!([second]));
}

#[test]
fn functions_are_read_as_tools_and_answered_as_functions() {
    let body = json!({"model": "m",
    "functions": [{"name": "add", "description": "adds", "parameters": {"type": "object"}}],
    "function_call": {"name": "add"},
    "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": null, "function_call": {"name": "add", "arguments": "{}"}},
        {"role": "function", "name": "add", "content": "2"},
        {"role": "assistant", "content": null, "function_call": {"name": "add", "arguments": "{}"}},
        {"role": "function", "name": "add", "content": "3"},
    ]});
    let call = decode_chat(body.to_string().as_bytes()).unwrap();
    assert!(call.legacy);
    assert_eq!(call.request.tool_choice, Some(ToolChoice::Tool("add".into())));
    let target = ChatTarget { model: "m", host: Host::OpenAi, stream: false };
    let sent = encode_chat(&call.request, target).unwrap().0;
    assert_eq!(sent["tools"][0]["function"]["name"], "add");
    for (called, answered) in [(1, 2), (3, 4)] {
        let id = &sent["messages"][called]["tool_calls"][0]["id"];
        assert_eq!(id, &sent["messages"][answered]["tool_call_id"]);
    }
    assert_ne!(sent["messages"][2]["tool_call_id"], sent["messages"][4]["tool_call_id"]);
    assert_eq!(call.request.messages[2].role, Role::Tool);

    let answer = answer("anthropic.messages", vec![Part::tool_call("c", "add", "{\"a\":1}")]);
    let mut whole = encode_reply(&answer, &head());
    as_functions(&mut whole);
    let choice = &whole["choices"][0];
    let function = json!({"name": "add", "arguments": "{\"a\":1}"});
    assert_eq!(choice["message"]["function_call"], function);
    assert_eq!(choice["finish_reason"], "function_call");
    assert!(choice["message"].get("tool_calls").is_none());
    let read = decode_reply(whole.to_string().as_bytes(), "p").unwrap();
    assert_eq!(read.tool_calls().next().unwrap().arguments, "{\"a\":1}");
}

#[test]
fn an_image_may_stand_as_a_plain_address() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": "https://a.example/x.png"}]}]});
    let request = decode_chat(body.to_string().as_bytes()).unwrap().request;
    assert!(matches!(&request.messages[0].content[..], [Part::Media(_)]));
    let wrong = body.to_string().replace("\"https://a.example/x.png\"", "7");
    let error = decode_chat(wrong.as_bytes()).unwrap_err();
    let param = error.body().param.as_deref();
    assert_eq!(param, Some("messages[0].content[0].image_url"));
}
