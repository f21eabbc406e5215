//! Requests in Anthropic's format, read and written.
#![cfg(test)]

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate::dialects::anthropic::{
    API, Encoded, MessagesTarget, decode_count, decode_messages_call, encode_count,
    encode_messages_call, patch_count, patch_messages,
};
use tollgate_types::{
    Error, ErrorKind, GenerateRequest, Message, NativeItem, OnUnsupported, Origin, Original, Part,
    Reasoning, Role, Tool, ToolChoice,
};

const MODEL: &str = "claude-x";

fn target(model: &str) -> MessagesTarget<'_> {
    MessagesTarget { model, default_max_output: None, stream: false }
}

fn decode(body: &Value) -> GenerateRequest {
    decode_messages_call(body.to_string().as_bytes()).unwrap().request
}

fn encode(request: &GenerateRequest) -> Encoded {
    encode_messages_call(request, target(MODEL)).unwrap()
}

fn refusal(request: &GenerateRequest) -> Error {
    encode_messages_call(request, target(MODEL)).unwrap_err()
}

fn ask(messages: Vec<Message>) -> GenerateRequest {
    GenerateRequest::new(MODEL, messages)
}

/// Every kind of block, tool and option.
fn full_request() -> Value {
    let cached = json!({"type": "ephemeral", "ttl": "1h"});
    json!({
        "model": MODEL,
        "max_tokens": 20000,
        "system": [
            {"type": "text", "text": "Be brief."},
            {"type": "text", "text": "Use tools.", "cache_control": cached},
        ],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?", "cache_control": {"type": "ephemeral"}},
                {"type": "image", "source": {"type": "url", "url": "https://a.example/x.png"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "CCCC"},
                    "title": "a.pdf", "citations": {"enabled": true}, "context": "old"},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"}},
                {"type": "document", "source": {"type": "url", "url": "https://a.example/x.pdf"}},
                {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "x"}]}},
                {"type": "search_result", "source": "s", "title": "t", "content": []},
                {"type": "brand_new", "brand_new": 1},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "s1"},
                {"type": "redacted_thinking", "data": "secret"},
                {"type": "thinking", "thinking": "", "signature": "s2"},
                {"type": "text", "text": "I see.", "citations": [{"type": "char_location", "cited_text": "x",
                    "document_index": 0, "document_title": null, "start_char_index": 0, "end_char_index": 1}]},
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
                {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
                {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "find", "input": {}, "server_name": "m"},
                {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "is_error": false, "content": []},
                {"type": "compaction", "content": "short"},
                {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}, "caller": {"type": "direct"}},
                {"type": "tool_use", "id": "toolu_2", "name": "look", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "2", "cache_control": cached},
                {"type": "tool_result", "tool_use_id": "toolu_2", "is_error": true, "content": [
                    {"type": "text", "text": "a"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                    {"type": "tool_reference", "tool_name": "t"}]},
                {"type": "text", "text": "Go on."},
            ]},
            {"role": "system", "content": [{"type": "tool_addition", "tool": {"type": "tool_reference", "name": "t"}}]},
            {"role": "user", "content": "Why?"},
        ],
        "tools": [
            {"name": "add", "description": "adds", "input_schema": {"type": "object"}, "strict": true,
                "cache_control": cached, "eager_input_streaming": true},
            {"type": "custom", "name": "look", "input_schema": {"type": "object"}, "defer_loading": true},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
        ],
        "tool_choice": {"type": "tool", "name": "add", "disable_parallel_tool_use": true},
        "temperature": 1.0, "top_p": 0.9, "top_k": 5, "stop_sequences": ["a", "b"],
        "thinking": {"type": "enabled", "budget_tokens": 2048, "display": "summarized"},
        "output_config": {"format": {"type": "json_schema", "schema": {"$ref": "#/$defs/a", "$defs": {"a": {}}}}},
        "metadata": {"user_id": "u"}, "service_tier": "auto", "container": "c",
        "context_management": {"edits": []}, "mcp_servers": [], "brand_new": {"deep": [1]},
    })
}

#[test]
fn a_request_with_everything_goes_through_unchanged() {
    let request = decode(&full_request());
    let encoded = encode(&request);
    assert_eq!(encoded.body, full_request());
    assert_eq!(encoded.betas, ["files-api-2025-04-14"]);
    assert_eq!(decode(&encoded.body), request);
}

#[test]
fn the_parts_of_a_request_have_their_common_meaning() {
    let request = decode(&full_request());
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    use Role::{Assistant, System, Tool, User};
    assert_eq!(roles, [System, User, Assistant, Tool, User, System, User]);
    let turn = &request.messages[2].content;
    assert!(matches!(&turn[0], Part::Reasoning(r) if r.signature.as_deref() == Some("s1")));
    assert!(matches!(&turn[1], Part::Reasoning(r) if r.encrypted.as_deref() == Some("secret")));
    assert!(matches!(&turn[4], Part::ToolCall(call) if call.hosted && call.name == "web_search"));
    assert!(matches!(&turn[5], Part::Native(native) if native.api == API));
    assert!(
        matches!(&turn[9], Part::ToolCall(call) if !call.hosted && call.arguments == "{\"a\":1}")
    );
    assert!(matches!(&request.messages[3].content[1], Part::ToolResult(result) if result.is_error));
    assert_eq!(request.parallel_tool_calls, Some(false));
    assert_eq!(request.sampling.max_output_tokens, Some(20_000));
    assert_eq!(request.reasoning.unwrap().budget_tokens, Some(2048));
}

#[test]
fn instructions_become_the_system_prompt_and_turns_of_one_speaker_become_one() {
    let call = tollgate_types::ToolCall {
        id: "functions.add:0".into(),
        name: "add".into(),
        ..Default::default()
    };
    let request = ask(vec![
        Message::system("One."),
        Message::new(Role::Developer, vec![Part::text("Two.")]),
        Message::user("a"),
        Message::user("b"),
        Message::assistant(""),
        Message::new(Role::Assistant, vec![Part::text("c"), Part::ToolCall(call.clone())]),
        Message::tool_result(&call, "3"),
        Message::system("Three."),
        Message::user("d"),
    ]);
    let body = encode(&request).body;
    let text = |text: &str| json!({"type": "text", "text": text});
    assert_eq!(body["system"], json!([text("One."), text("Two."), text("Three.")]));
    let id = &body["messages"][1]["content"][1]["id"];
    assert!(id.as_str().unwrap().starts_with("call_"), "{id}");
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [text("a"), text("b")]},
            {"role": "assistant", "content": [text("c"), {"type": "tool_use", "id": id, "name": "add", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "3"}, text("d")]},
        ])
    );
    assert_eq!(body["max_tokens"], 4096);
}

#[test]
fn signatures_go_back_only_to_the_api_that_made_them() {
    let thought = Part::Reasoning(Reasoning {
        text: "hm".into(),
        signature: Some("sig".into()),
        ..Reasoning::default()
    });
    let sent = |api: Option<&str>| {
        let mut turn = Message::new(Role::Assistant, vec![thought.clone(), Part::text("yes")]);
        turn.origin = api.map(|api| Origin { api: api.to_owned(), ..Origin::default() });
        encode(&ask(vec![Message::user("hi"), turn])).body["messages"][1]["content"].clone()
    };
    assert_eq!(
        sent(Some(API))[0],
        json!({"type": "thinking", "thinking": "hm", "signature": "sig"})
    );
    assert_eq!(sent(Some("google.generate_content")), json!("yes"));
    assert_eq!(sent(None), json!("yes"));
}

#[test]
fn a_choice_among_some_tools_offers_only_those() {
    let tool = |name: &str| Tool::function(name, "", json!({"type": "object"}));
    let subset = |names: &[&str], required| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let request = ask(vec![Message::user("hi")]).tools(vec![tool("a"), tool("b"), tool("c")]);
        request.tool_choice(ToolChoice::Subset { names, required })
    };
    let body = encode(&subset(&["c", "a"], true)).body;
    let names: Vec<&Value> =
        body["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(body["tool_choice"], json!({"type": "any"}));
    assert_eq!(encode(&subset(&["b"], false)).body["tool_choice"], json!({"type": "auto"}));
    assert_eq!(refusal(&subset(&["z"], true)).kind(), ErrorKind::InvalidRequest);
    let mut alone = ask(vec![Message::user("hi")]).tools(vec![tool("a")]);
    alone.parallel_tool_calls = Some(false);
    let choice = json!({"type": "auto", "disable_parallel_tool_use": true});
    assert_eq!(encode(&alone).body["tool_choice"], choice);
    let no_tools = ask(vec![Message::user("hi")]).tool_choice(ToolChoice::None);
    assert!(encode(&no_tools).body.get("tool_choice").is_none());
}

#[test]
fn what_anthropic_lacks_is_refused_or_left_out_with_a_warning() {
    let message = json!({"role": "user", "content": [{"type": "text", "text": "hi"}]});
    let media = |media_type: &str, source: Value| json!({"role": "user", "content": [{"type": "media", "media_type": media_type, "source": source}]});
    let foreign = json!({"role": "assistant", "content": [
        {"type": "native", "api": "openai.responses", "item": {}}, {"type": "text", "text": "x"}]});
    let cases = [
        (json!({"sampling": {"temperature": 1.5}}), "sampling.temperature"),
        (json!({"sampling": {"seed": 1}}), "sampling.seed"),
        (json!({"sampling": {"min_p": 0.1}}), "sampling.min_p"),
        (json!({"sampling": {"logprobs": 0}}), "sampling.logprobs"),
        (json!({"sampling": {"presence_penalty": 1.0}}), "sampling.presence_penalty"),
        (json!({"sampling": {"frequency_penalty": -1.0}}), "sampling.frequency_penalty"),
        (json!({"output": {"type": "json"}}), "output"),
        (json!({"output": {"type": "grammar", "syntax": "gbnf", "grammar": "x"}}), "output"),
        (json!({"modalities": ["audio"]}), "modalities"),
        (json!({"choices": 2}), "choices"),
        (json!({"store": true}), "store"),
        (json!({"continues": "resp_1"}), "continues"),
        (
            json!({"messages": [{"role": "user", "name": "al", "content": [{"type": "text", "text": "hi"}]}]}),
            "messages[0].name",
        ),
        (
            json!({"messages": [message, media("audio/wav", json!({"base64": "AA"}))]}),
            "messages[1].content[0]",
        ),
        (
            json!({"messages": [message, media("video/mp4", json!({"url": "https://a.example"}))]}),
            "messages[1].content[0]",
        ),
        (json!({"messages": [message, foreign]}), "messages[1].content[0]"),
        (
            json!({"tools": [{"type": "hosted", "api": "openai.responses", "config": {}}]}),
            "tools[0]",
        ),
    ];
    for (case, param) in cases {
        let mut body = json!({"model": MODEL, "messages": [message]});
        body.as_object_mut().unwrap().extend(case.as_object().unwrap().clone());
        let mut request: GenerateRequest = serde_json::from_value(body).unwrap();
        let refused = refusal(&request);
        assert_eq!(
            (refused.kind(), refused.body().param.as_deref()),
            (ErrorKind::Unsupported, Some(param))
        );
        request.on_unsupported = OnUnsupported::Warn;
        let warnings = encode(&request).warnings;
        assert_eq!(warnings[0].param.as_deref(), Some(param));
    }
}

#[test]
fn extras_cannot_get_past_model_limit_price_or_what_a_turn_says() {
    let refused = |change: &dyn Fn(&mut GenerateRequest)| {
        let mut request = ask(vec![Message::user("hi")]);
        change(&mut request);
        let error = refusal(&request);
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        error.body().param.clone().unwrap()
    };
    let extras = |key: &str, value: Value| {
        [("anthropic".to_owned(), [(key.to_owned(), value)].into_iter().collect())]
    };
    for (key, value) in [
        ("model", json!("dearer")),
        ("max_tokens", json!(9)),
        ("messages", json!([])),
        ("tools", json!([])),
        ("fallbacks", json!([{"model": "dearer"}])),
        ("service_tier", json!("priority")),
        ("speed", json!("fast")),
        ("inference_geo", json!("us")),
    ] {
        let param = refused(&|request| request.extras = extras(key, value.clone()).into());
        assert_eq!(param, format!("extras.anthropic.{key}"));
    }
    let param =
        refused(&|request| request.messages[0].extras = extras("content", json!([])).into());
    assert_eq!(param, "messages[0].extras.anthropic.content");
    let advisor = json!({"type": "hosted", "api": API, "config": {"type": "advisor_20260301", "model": "dearer"}});
    let param =
        refused(&|request| request.tools = vec![serde_json::from_value(advisor.clone()).unwrap()]);
    assert_eq!(param, "tools[0].model");
    let mut with_betas = ask(vec![Message::user("hi")]);
    with_betas.extras = extras("betas", json!(["new-thing"])).into();
    let encoded = encode(&with_betas);
    assert_eq!(
        (encoded.betas.as_slice(), encoded.body.get("betas")),
        (&["new-thing".to_owned()][..], None)
    );
}

#[test]
fn calls_that_hold_no_object_are_refused_with_their_place() {
    for arguments in ["{\"a\":", "[1]", "plain text"] {
        let turn = Message::new(
            Role::Assistant,
            vec![Part::text("x"), Part::tool_call("c", "f", arguments)],
        );
        let error = refusal(&ask(vec![Message::user("hi"), turn]));
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert_eq!(error.body().param.as_deref(), Some("messages[1].content[1]"));
    }
}

#[test]
fn a_bad_request_is_refused_with_the_field_that_is_wrong() {
    let user = json!({"role": "user", "content": "hi"});
    let with =
        |content: Value| json!({"model": "m", "messages": [{"role": "user", "content": content}]});
    let cases = [
        (json!([]), "body"),
        (json!({"messages": [user]}), "model"),
        (json!({"model": "m"}), "messages"),
        (json!({"model": "m", "messages": []}), "messages"),
        (json!({"model": "m", "messages": ["x"]}), "messages[0]"),
        (json!({"model": "m", "messages": [{"role": "king", "content": ""}]}), "messages[0].role"),
        (json!({"model": "m", "messages": [{"role": "user"}]}), "messages[0].content"),
        (with(json!(7)), "messages[0].content"),
        (with(json!([{"text": "x"}])), "messages[0].content[0].type"),
        (with(json!([{"type": "text"}])), "messages[0].content[0].text"),
        (with(json!([{"type": "image"}])), "messages[0].content[0].source"),
        (
            with(json!([{"type": "image", "source": {"type": "url"}}])),
            "messages[0].content[0].source.url",
        ),
        (with(json!([{"type": "tool_result"}])), "messages[0].content[0].tool_use_id"),
        (
            with(
                json!([{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text"}]}]),
            ),
            "messages[0].content[0].content[0].text",
        ),
        (json!({"model": "m", "messages": [user], "system": 1}), "system"),
        (json!({"model": "m", "messages": [user], "max_tokens": -1}), "max_tokens"),
        (json!({"model": "m", "messages": [user], "max_tokens": 4e18}), "max_tokens"),
        (json!({"model": "m", "messages": [user], "temperature": "hot"}), "temperature"),
        (json!({"model": "m", "messages": [user], "stop_sequences": [1]}), "stop_sequences[0]"),
        (json!({"model": "m", "messages": [user], "stream": "yes"}), "stream"),
        (
            json!({"model": "m", "messages": [user], "tools": [{"name": "a"}]}),
            "tools[0].input_schema",
        ),
        (
            json!({"model": "m", "messages": [user], "tool_choice": {"type": "tool"}}),
            "tool_choice.name",
        ),
        (json!({"model": "m", "messages": [user], "thinking": {}}), "thinking.type"),
    ];
    for (body, param) in cases {
        let error = decode_messages_call(body.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{body}");
        assert_eq!(error.body().param.as_deref(), Some(param), "{error}");
    }
    assert_eq!(decode_messages_call(b"{").unwrap_err().kind(), ErrorKind::InvalidRequest);
}

fn original(body: &str) -> Original {
    Original { api: API, body: body.as_bytes().to_vec(), headers: Vec::new(), streamed: true }
}

#[test]
fn a_clients_own_body_changes_only_in_model_and_limit() {
    let body = "{ \"model\":\"a/claude\", \"system\":[{\"text\":\"\\u00e9\",\"type\":\"text\",\"cache_control\":{\"type\":\"ephemeral\"}}],\n\t\"messages\":[ {\"role\":\"user\",\"content\":\"hi\"} ], \"max_tokens\": 100, \"temperature\":1.0, \"x\":[1e2]}";
    let mut request = decode_messages_call(body.as_bytes()).unwrap().request;
    let patched = |request: &GenerateRequest| {
        String::from_utf8(patch_messages(&original(body), request, target("claude")).unwrap())
            .unwrap()
    };
    assert_eq!(patched(&request), body.replace("a/claude", "claude"));
    request.sampling.max_output_tokens = Some(7);
    assert_eq!(patched(&request), body.replace("a/claude", "claude").replace("100", "7"));
    let bare = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
    let request = decode_messages_call(bare.as_bytes()).unwrap().request;
    let patched = patch_messages(&original(bare), &request, target("m")).unwrap();
    assert!(String::from_utf8(patched).unwrap().ends_with(",\"max_tokens\":4096}"));
}

#[test]
fn a_request_for_a_count_holds_only_what_is_counted() {
    let mut request = decode_count(full_request().to_string().as_bytes()).unwrap();
    let body = encode_count(&request, "claude").unwrap().body;
    for absent in ["max_tokens", "temperature", "stop_sequences", "metadata", "stream"] {
        assert!(body.get(absent).is_none(), "{absent}");
    }
    assert_eq!(body["messages"], full_request()["messages"]);
    assert_eq!(body["model"], "claude");
    request.model = "claude".to_owned();
    let text = "{\"model\": \"x\", \"messages\": []}";
    assert_eq!(
        patch_count(&original(text), &request).unwrap(),
        text.replace("\"x\"", "\"claude\"").into_bytes()
    );
}

#[test]
fn items_of_this_api_are_replayed_verbatim() {
    let item = json!({"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"encrypted_content": "x"}]});
    let native = Part::Native(NativeItem { api: API.into(), item: item.clone() });
    let turn = Message::new(Role::Assistant, vec![native]);
    let body = encode(&ask(vec![Message::user("hi"), turn])).body;
    assert_eq!(body["messages"][1]["content"][0], item);
}

fn texts() -> impl Strategy<Value = Vec<(u8, String)>> {
    proptest::collection::vec((0..4u8, "[a-zé🦀\"\\\\ ]{1,9}"), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reading_what_was_written_keeps_the_meaning(
        texts in texts(),
        temperature in proptest::option::of(prop::sample::select(vec![0.0, 0.7, 1.0])),
        limit in 1..100_000u32,
        stop in proptest::collection::vec(".{1,4}", 0..3),
        tool in proptest::option::of(("[a-z]{1,8}", ".{0,9}")),
    ) {
        let blocks = |kind: u8, text: &str| match kind {
            0 => json!([{"type": "text", "text": text}, {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]),
            1 => json!([{"type": "tool_result", "tool_use_id": "toolu_1", "content": text}]),
            2 => json!([{"type": "thinking", "thinking": text, "signature": "s"}, {"type": "text", "text": text}]),
            _ => json!([{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {text: text}}]),
        };
        let messages: Vec<Value> = texts.iter().map(|(kind, text)| {
            let role = if *kind < 2 { "user" } else { "assistant" };
            json!({"role": role, "content": blocks(*kind, text)})
        }).collect();
        let body = json!({"model": MODEL, "max_tokens": limit, "messages": messages, "stop_sequences": stop});
        let mut request = decode(&body);
        request.sampling.temperature = temperature;
        request.tools = tool.into_iter().map(|(name, text)| Tool::function(name, text, json!({"type": "object"}))).collect();
        let sent = encode(&request).body;
        // Turns of one speaker come back as one, so the second reading is the fixed point.
        let read = decode(&sent);
        prop_assert_eq!(encode(&read).body, sent);
        let parts = |request: &GenerateRequest| request.messages.iter().flat_map(|m| m.content.clone()).collect::<Vec<_>>();
        prop_assert_eq!(parts(&read), parts(&request));
        prop_assert_eq!((read.sampling, read.tools), (request.sampling, request.tools));
    }

    #[test]
    fn no_input_makes_the_codec_panic(text in ".{0,60}", at in 0..400usize) {
        drop(decode_messages_call(text.as_bytes()));
        let mut body = full_request().to_string().into_bytes();
        let at = at % body.len();
        body.truncate(at);
        drop(decode_messages_call(&body));
    }
}
