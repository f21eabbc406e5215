//! Requests in the format of OpenAI's Responses API, read and written.
#![cfg(test)]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tollgate::dialects::openai::responses::{
    API, NAMESPACE, ResponsesTarget, decode_responses, encode_responses, is_patchable,
    patch_responses,
};
use tollgate::dialects::openai::{ChatTarget, Host, encode_chat};
use tollgate_types::{
    ErrorKind, GenerateRequest, Message, OnUnsupported, Original, OutputFormat, Part, Role, Tool,
};

const TARGET: ResponsesTarget<'_> = ResponsesTarget { model: "gpt-x", stream: false };

fn read(body: &Value) -> GenerateRequest {
    decode_responses(body.to_string().as_bytes()).unwrap().request
}

fn round_trip(body: &Value) -> Value {
    let call = decode_responses(body.to_string().as_bytes()).unwrap();
    encode_responses(&call.request, ResponsesTarget { stream: call.stream, ..TARGET }).unwrap().0
}

/// Every kind of item, part, tool and option.
fn full_request() -> Value {
    json!({
        "model": "gpt-x",
        "instructions": "Be brief.",
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Use tools."}]},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "What is this?"},
                {"type": "input_image", "image_url": "https://a.example/x.png", "detail": "low"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
                {"type": "input_image", "file_id": "file-1"},
                {"type": "input_file", "file_id": "file-2"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,CCCC"},
                {"type": "input_file", "file_url": "https://a.example/b.pdf"},
                {"type": "input_audio", "input_audio": {"data": "BBBB", "format": "mp3"}},
                {"type": "brand_new", "brand_new": 1},
            ]},
            {"type": "reasoning", "id": "rs_1", "summary": [
                {"type": "summary_text", "text": "One."}, {"type": "summary_text", "text": "Two."}],
                "encrypted_content": "gAAAA"},
            {"type": "reasoning", "id": "rs_2", "summary": [],
                "content": [{"type": "reasoning_text", "text": "Hm."}]},
            {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed", "phase": "commentary",
                "content": [{"type": "output_text", "text": "Let me see.", "logprobs": [], "annotations": [
                    {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 3},
                    {"type": "file_citation", "file_id": "f", "filename": "a", "index": 3}]}]},
            {"type": "message", "role": "assistant", "id": "msg_2", "status": "completed", "content": [
                {"type": "refusal", "refusal": "I won't."}]},
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "add", "arguments": "{\"a\": 1}", "status": "completed"},
            {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c2", "name": "run", "input": "ls -l"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
            {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "DDDD"},
            {"type": "function_call_output", "call_id": "c1", "output": "2"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": [
                {"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}]},
            {"type": "mcp_approval_response", "approval_request_id": "m1", "approve": true},
            {"type": "item_reference", "id": "rs_9"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Why?"}]},
        ],
        "tools": [
            {"type": "function", "name": "add", "description": "adds", "parameters": {"type": "object"}, "strict": true},
            {"type": "function", "name": "sub", "parameters": {"type": "object"}, "strict": null, "defer_loading": true},
            {"type": "custom", "name": "run", "format": {"type": "text"}},
            {"type": "web_search", "filters": {"allowed_domains": ["a.example"]}},
            {"type": "mcp", "server_label": "s", "server_url": "https://m.example"},
        ],
        "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [
            {"type": "function", "name": "add"}, {"type": "custom", "name": "run"}]},
        "parallel_tool_calls": false, "max_tool_calls": 3,
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"},
            "strict": true, "description": "d"}, "verbosity": "low"},
        "reasoning": {"effort": "low", "summary": "detailed"},
        "include": ["web_search_call.action.sources", "message.output_text.logprobs"],
        "top_logprobs": 3, "max_output_tokens": 100, "temperature": 0.5, "top_p": 0.9,
        "store": true, "stream": true, "stream_options": {"include_obfuscation": false},
        "previous_response_id": "resp_0", "truncation": "auto", "metadata": {"k": "v"},
        "service_tier": "flex", "prompt_cache_key": "p", "safety_identifier": "u", "brand_new": {"deep": [1]},
    })
}

#[test]
fn a_request_with_everything_goes_through_unchanged() {
    assert_eq!(round_trip(&full_request()), full_request());
}

#[test]
fn what_a_request_says_is_read_in_common_words() {
    let request = read(&full_request());
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    use Role::{Assistant, Developer, System, Tool as Result, User};
    assert_eq!(
        roles,
        [System, Developer, User, Assistant, Result, Result, Result, Assistant, User]
    );
    let turn = &request.messages[3].content;
    assert!(
        matches!(&turn[0], Part::Reasoning(r) if r.text == "One.Two." && r.signature.as_deref() == Some("gAAAA"))
    );
    assert!(matches!(&turn[1], Part::Reasoning(r) if r.text == "Hm."));
    assert!(matches!(&turn[2], Part::Text(text) if text.citations[0].span == Some((0, 3))));
    assert!(matches!(&turn[3], Part::Refusal(refusal) if refusal.text == "I won't."));
    assert!(matches!(&turn[4], Part::ToolCall(call) if call.id == "c1" && call.name == "add"));
    assert!(matches!(&turn[7], Part::Media(media) if media.media_type == "image/png"));
    assert_eq!(request.continues.as_deref(), Some("resp_0"));
    assert_eq!(request.sampling.logprobs, Some(3));
    assert_eq!(request.reasoning.unwrap().include_text, Some(true));
}

#[test]
fn short_forms_mean_the_same_as_long_ones() {
    let short = json!({"model": "m", "input": "hi"});
    let easy = json!({"model": "m", "input": [{"role": "user", "content": "hi"}]});
    assert_eq!(read(&short).messages, [Message::user("hi")]);
    assert_eq!(read(&easy).messages, [Message::user("hi")]);
    let turns = json!({"model": "m", "input": [{"role": "assistant", "content": "a"},
        {"role": "assistant", "content": "b"}]});
    assert_eq!(read(&turns).messages, [Message::assistant("a"), Message::assistant("b")]);
}

#[test]
fn a_bad_request_is_refused_with_the_field_that_is_wrong() {
    let with = |key: &str, value: Value| {
        let mut body = json!({"model": "m", "input": "hi"});
        body[key] = value;
        body
    };
    let item = |item: Value| with("input", json!([item]));
    let cases = [
        (json!([]), "body"),
        (json!({"input": "hi"}), "model"),
        (json!({"model": "m"}), "input"),
        (with("input", json!(7)), "input"),
        (with("input", json!([])), "input"),
        (item(json!("x")), "input[0]"),
        (item(json!({"role": "king", "content": ""})), "input[0].role"),
        (item(json!({"role": "user"})), "input[0].content"),
        (
            item(json!({"role": "user", "content": [{"type": "input_text"}]})),
            "input[0].content[0].text",
        ),
        (
            item(json!({"role": "user", "content": [{"type": "input_image"}]})),
            "input[0].content[0].image_url",
        ),
        (item(json!({"type": "function_call", "name": "x"})), "input[0].call_id"),
        (item(json!({"type": "function_call", "call_id": "c"})), "input[0].name"),
        (item(json!({"type": "function_call_output", "call_id": "c"})), "input[0].output"),
        (item(json!({"type": "reasoning", "summary": 1})), "input[0].summary"),
        (with("instructions", json!([])), "instructions"),
        (with("tools", json!([{"type": "function"}])), "tools[0].name"),
        (with("tool_choice", json!("maybe")), "tool_choice"),
        (with("temperature", json!("hot")), "temperature"),
        (with("max_output_tokens", json!(-1)), "max_output_tokens"),
        (with("text", json!({"format": {"type": "json_schema"}})), "text.format.name"),
        (with("include", json!([1])), "include[0]"),
        (with("conversation", json!({})), "conversation.id"),
    ];
    for (body, param) in cases {
        let error = decode_responses(body.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{body}");
        assert_eq!(error.body().param.as_deref(), Some(param), "{body}");
    }
}

#[test]
fn what_is_kept_at_the_provider_is_told_to_every_other_provider() {
    for (key, value, id) in [
        ("previous_response_id", json!("resp_1"), "resp_1"),
        ("conversation", json!("conv_1"), "conv_1"),
        ("conversation", json!({"id": "conv_1"}), "conv_1"),
        ("prompt", json!({"id": "pmpt_1", "variables": {}}), "pmpt_1"),
    ] {
        let mut body = json!({"model": "gpt-x", "input": [{"type": "message", "role": "user",
            "content": [{"type": "input_text", "text": "hi"}]}]});
        body[key] = value;
        let request = read(&body);
        assert_eq!(request.continues.as_deref(), Some(id));
        assert_eq!(round_trip(&body), body);
        let chat = ChatTarget { model: "m", host: Host::OpenAi, stream: false };
        let refused = encode_chat(&request, chat).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        assert_eq!(refused.body().param.as_deref(), Some("continues"));
    }
    assert_eq!(read(&json!({"model": "m", "input": "x", "background": true})).store, Some(true));
}

#[test]
fn what_the_api_cannot_honour_is_refused_or_warned_of_but_never_dropped() {
    let refused = |change: fn(&mut GenerateRequest), param: &str| {
        let mut request = GenerateRequest::new("m", vec![Message::user("hi")]);
        change(&mut request);
        let error = encode_responses(&request, TARGET).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.body().param.as_deref(), Some(param));
        request.on_unsupported = OnUnsupported::Warn;
        let (_, warnings) = encode_responses(&request, TARGET).unwrap();
        assert_eq!(warnings[0].param.as_deref(), Some(param));
    };
    refused(|r| r.sampling.top_k = Some(1), "sampling.top_k");
    refused(|r| r.sampling.seed = Some(1), "sampling.seed");
    refused(|r| r.sampling.stop = vec!["x".into()], "sampling.stop");
    refused(|r| r.choices = Some(2), "choices");
    refused(
        |r| r.output = Some(OutputFormat::Grammar { syntax: "gbnf".into(), grammar: "x".into() }),
        "output",
    );
    refused(
        |r| {
            r.tools = vec![Tool::Hosted(tollgate_types::HostedTool {
                api: "anthropic.messages".into(),
                config: Map::new(),
            })];
        },
        "tools[0]",
    );
}

#[test]
fn extras_cannot_get_past_model_limit_or_price() {
    for (key, value) in [
        ("model", json!("dearer")),
        ("input", json!([])),
        ("tools", json!([])),
        ("max_output_tokens", json!(9)),
        ("service_tier", json!("priority")),
    ] {
        let mut request = GenerateRequest::new("m", vec![]);
        request.extras.insert("openai_responses".into(), Map::from_iter([(key.to_owned(), value)]));
        let error = encode_responses(&request, TARGET).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{key}");
    }
    // What a part says has been measured: its extras add, and never replace.
    let mut body = json!({"model": "m", "input": "hi"});
    body["tools"] = json!([{"type": "function", "name": "f", "parameters": {}}]);
    let mut request = read(&body);
    let own =
        Map::from_iter([("text".to_owned(), json!("other")), ("content".to_owned(), json!(1))]);
    *request.messages[0].content[0].extras_mut().unwrap() =
        [("openai_responses".to_owned(), own)].into();
    let sent = encode_responses(&request, TARGET).unwrap().0;
    assert_eq!(sent["input"][0]["content"][0]["text"], "hi");
}

#[test]
fn callers_of_other_formats_store_nothing_and_get_their_reasoning_back() {
    let mut request = GenerateRequest::new("m", vec![Message::user("hi")]);
    request.tools = vec![Tool::function("f", "", json!({}))];
    let sent = encode_responses(&request, TARGET).unwrap().0;
    assert_eq!((&sent["store"], &sent["tools"][0]["strict"]), (&json!(false), &json!(false)));
    assert!(sent.get("include").is_none());
    request.reasoning = Some(tollgate_types::ReasoningOptions::default());
    let sent = encode_responses(&request, TARGET).unwrap().0;
    assert_eq!(sent["include"], json!(["reasoning.encrypted_content"]));
}

#[test]
fn reasoning_that_nobody_keeps_goes_back_only_if_it_holds_itself() {
    let own = [(NAMESPACE.to_owned(), json!({"id": "rs_1"}))];
    let thought: Part = serde_json::from_value(
        json!({"type": "reasoning", "text": "Hm.", "extras": Map::from_iter(own)}),
    )
    .unwrap();
    let sent = |thought: &Part, store: Option<bool>| {
        let turn = Message::new(Role::Assistant, vec![thought.clone(), Part::text("So.")]);
        let mut request = GenerateRequest::new("m", vec![Message::user("hi"), turn]);
        request.store = store;
        encode_responses(&request, TARGET).unwrap().0["input"][1]["type"].clone()
    };
    assert_eq!(sent(&thought, None), "message");
    assert_eq!(sent(&thought, Some(true)), "reasoning");
    let mut sealed = thought;
    if let Part::Reasoning(thought) = &mut sealed {
        thought.signature = Some("gAAAA".to_owned());
    }
    assert_eq!(sent(&sealed, None), "reasoning");
}

#[test]
fn a_patched_body_differs_in_model_and_limit_alone() {
    let body = "{ \"model\": \"a/b\", \"input\":\"hi\",  \"max_output_tokens\": 50, \"x\": 1.0 }";
    let original = Original { api: API, body: body.into(), headers: vec![], streamed: false };
    let mut request = decode_responses(body.as_bytes()).unwrap().request;
    request.sampling.max_output_tokens = Some(7);
    let patched = patch_responses(&original, &request, TARGET).unwrap();
    let expected = body.replace("a/b", "gpt-x").replace("50", "7");
    assert_eq!(String::from_utf8(patched).unwrap(), expected);
    assert!(is_patchable(&original));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reading_what_was_written_keeps_the_meaning(
        texts in proptest::collection::vec((0..6u8, ".{0,9}"), 1..6),
        temperature in proptest::option::of(prop::sample::select(vec![0.0, 0.7, 1.5])),
        limit in proptest::option::of(any::<u32>()),
        tool in proptest::option::of(("[a-z]{1,8}", ".{0,9}")),
    ) {
        let items: Vec<Value> = texts.iter().enumerate().map(|(n, (kind, text))| match kind {
            0 => json!({"role": "system", "content": text}),
            1 => json!({"role": "user", "content": [{"type": "input_text", "text": text}, {"type": "input_text", "text": "x"}]}),
            2 => json!({"role": "assistant", "content": text}),
            3 => json!({"type": "reasoning", "id": format!("rs_{n}"), "summary": [{"type": "summary_text", "text": text}], "encrypted_content": "gAAAA"}),
            4 => json!({"type": "function_call", "id": format!("fc_{n}"), "call_id": "c", "name": "f", "arguments": text}),
            _ => json!({"type": "function_call_output", "call_id": "c", "output": text}),
        }).collect();
        let mut request = read(&json!({"model": "gpt-x", "input": items, "store": false}));
        request.sampling.temperature = temperature;
        request.sampling.max_output_tokens = limit;
        request.tools = tool.into_iter().map(|(name, text)| {
            let Tool::Function(mut tool) = Tool::function(name, text, json!({"type": "object"})) else { unreachable!() };
            tool.strict = Some(false);
            Tool::Function(tool)
        }).collect();
        let sent = encode_responses(&request, TARGET).unwrap().0;
        prop_assert_eq!(read(&sent), request);
    }

    #[test]
    fn no_input_makes_the_codec_panic(text in ".{0,60}", key in "[a-z_]{1,12}") {
        drop(decode_responses(text.as_bytes()));
        for value in [json!(text), json!([text]), json!({&key: [{"type": text}]})] {
            let mut body = full_request();
            body[&key] = value.clone();
            body["input"][3] = value;
            drop(decode_responses(body.to_string().as_bytes()));
        }
    }
}
