//! Requests in Ollama's format, read and written.
#![cfg(test)]

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate::dialects::ollama::{
    CHAT_API, GENERATE_API, Target, decode_chat, decode_embed, decode_embeddings, decode_generate,
    encode_chat, encode_embed, encode_generate, needs_generate, patch,
};
use tollgate_types::{
    ErrorKind, GenerateRequest, HostedTool, Media, MediaSource, Message, NativeItem, OnUnsupported,
    Origin, Original, OutputFormat, Part, Reasoning, Role, Tool, ToolChoice, ToolResult,
};

const TARGET: Target<'static> = Target { model: "qwen", stream: true };

fn chat(body: &Value) -> GenerateRequest {
    decode_chat(body.to_string().as_bytes()).unwrap().request
}

/// Every kind of message, tool and option.
fn full_chat() -> Value {
    json!({
        "model": "qwen",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is this?", "images": ["iVBORw0KGgoAAAA", "/9j/AAAA"]},
            {"role": "assistant", "content": "Let me see.", "thinking": "Hm.", "tool_calls": [
                {"id": "c1", "function": {"index": 0, "name": "look", "arguments": {"at": [1.5, "ü"]}}},
                {"id": "c2", "function": {"index": 1, "name": "look", "arguments": {}}},
            ]},
            {"role": "tool", "content": "a cat", "tool_name": "look", "tool_call_id": "c1"},
            {"role": "tool", "content": "a dog", "tool_name": "look", "tool_call_id": "c2", "brand_new": 1},
            {"role": "user", "content": "Why?", "brand_new": true},
        ],
        "tools": [{"type": "function", "beside": 2, "function": {"name": "look", "description": "looks",
            "parameters": {"type": "object", "properties": {"at": {"type": "array"}}}, "brand_new": 1}}],
        "stream": true,
        "format": {"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"type": "string"}}},
        "think": "high",
        "logprobs": true, "top_logprobs": 3,
        "options": {"num_predict": 100, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.1,
            "presence_penalty": 0.1, "frequency_penalty": -0.1, "seed": -7, "stop": ["a", "b"],
            "num_ctx": 8192, "repeat_penalty": 1.1},
        "keep_alive": "5m", "truncate": false, "brand_new": {"deep": [1]},
    })
}

#[test]
fn a_chat_with_everything_goes_through_unchanged() {
    let (sent, warnings) = encode_chat(&chat(&full_chat()), TARGET).unwrap();
    assert_eq!(sent, full_chat());
    assert!(warnings.is_empty());
}

#[test]
fn a_chat_is_streamed_unless_the_client_says_otherwise() {
    let stream = |body: Value| decode_chat(body.to_string().as_bytes()).unwrap().stream;
    assert!(stream(json!({"model": "m", "messages": []})));
    assert!(stream(json!({"model": "m", "stream": null})));
    assert!(!stream(json!({"model": "m", "stream": false})));
}

#[test]
fn the_words_of_a_chat_have_their_common_meaning() {
    let request = chat(&full_chat());
    let image = |at: usize| match &request.messages[1].content[at] {
        Part::Media(media) => media.media_type.as_str(),
        other => panic!("no image: {other:?}"),
    };
    assert_eq!((image(0), image(1)), ("image/png", "image/jpeg"));
    assert!(matches!(&request.messages[2].content[0], Part::Reasoning(r) if r.text == "Hm."));
    assert_eq!(request.sampling.max_output_tokens, Some(100));
    assert_eq!(request.sampling.logprobs, Some(3));
    assert!(
        matches!(&request.output, Some(OutputFormat::JsonSchema { schema, .. }) if schema["$defs"].is_object())
    );
    let effort = |think: Value| {
        let body = json!({"model": "m", "messages": [], "think": think});
        let reasoning = chat(&body).reasoning.unwrap();
        (reasoning.effort, reasoning.include_text)
    };
    assert_eq!(effort(json!(true)), (None, Some(true)));
    assert_eq!(effort(json!(false)), (Some("none".into()), None));
    assert_eq!(effort(json!("low")), (Some("low".into()), None));
}

/// Ids of the calls and of the calls that results name.
fn ids(messages: Value) -> (Vec<String>, Vec<String>) {
    let request = chat(&json!({"model": "m", "messages": messages}));
    let parts = || request.messages.iter().flat_map(|message| &message.content);
    let calls = parts().filter_map(|part| match part {
        Part::ToolCall(call) => Some(call.id.clone()),
        _ => None,
    });
    let results = parts().filter_map(|part| match part {
        Part::ToolResult(result) => Some(result.call_id.clone()),
        _ => None,
    });
    (calls.collect(), results.collect())
}

#[test]
fn results_of_calls_without_ids_find_their_calls_by_name_and_order() {
    let call = |name: &str| json!({"function": {"name": name, "arguments": {}}});
    let result = |name: &str| json!({"role": "tool", "content": "1", "tool_name": name});
    let (calls, results) = ids(json!([
        {"role": "assistant", "content": "", "tool_calls": [call("a"), call("b"), call("a")]},
        result("b"), result("a"), result("a"),
    ]));
    assert_eq!(results, [calls[1].clone(), calls[0].clone(), calls[2].clone()]);
    let (calls, results) = ids(json!([
        {"role": "assistant", "content": "", "tool_calls": [call("a"), call("b")]},
        {"role": "tool", "content": "1"}, {"role": "tool", "content": "2"},
    ]));
    assert_eq!(results, calls);
    let (calls, results) = ids(json!([
        {"role": "assistant", "content": "", "tool_calls": [{"id": "call_0", "function": {"name": "a"}}, call("a")]},
        result("nobody"),
    ]));
    let all: std::collections::BTreeSet<_> = calls.iter().chain(&results).collect();
    assert_eq!(all.len(), 3, "{all:?}");
}

#[test]
fn a_result_names_its_tool_even_if_only_its_call_does() {
    let call = Part::tool_call("c1", "add", "");
    let result = ToolResult {
        call_id: "c1".into(),
        content: vec![Part::text("2")],
        ..ToolResult::default()
    };
    let turns = vec![
        Message::new(Role::Assistant, vec![call]),
        Message::new(Role::Tool, vec![Part::ToolResult(result)]),
    ];
    let sent = encode_chat(&GenerateRequest::new("m", turns), TARGET).unwrap().0;
    let expected = json!([
        {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "function": {"index": 0, "name": "add", "arguments": {}}}]},
        {"role": "tool", "content": "2", "tool_name": "add", "tool_call_id": "c1"},
    ]);
    assert_eq!(sent["messages"], expected);
}

#[test]
fn a_bad_request_is_refused_with_the_field_that_is_wrong() {
    let user = json!({"role": "user", "content": "hi"});
    let cases = [
        (json!([]), "body"),
        (json!({"messages": [user]}), "model"),
        (json!({"model": "", "messages": [user]}), "model"),
        (json!({"model": "m", "messages": {}}), "messages"),
        (json!({"model": "m", "messages": [7]}), "messages[0]"),
        (json!({"model": "m", "messages": [{"role": "king"}]}), "messages[0].role"),
        (
            json!({"model": "m", "messages": [{"role": "user", "content": []}]}),
            "messages[0].content",
        ),
        (
            json!({"model": "m", "messages": [{"role": "user", "images": [1]}]}),
            "messages[0].images[0]",
        ),
        (
            json!({"model": "m", "messages": [{"role": "assistant", "tool_calls": [{"function": {}}]}]}),
            "messages[0].tool_calls[0].function.name",
        ),
        (json!({"model": "m", "tools": [{"type": "function"}]}), "tools[0].function"),
        (json!({"model": "m", "options": []}), "options"),
        (json!({"model": "m", "options": {"temperature": "hot"}}), "options.temperature"),
        (json!({"model": "m", "options": {"num_predict": 1.5}}), "options.num_predict"),
        (json!({"model": "m", "options": {"stop": [1]}}), "options.stop"),
        (json!({"model": "m", "format": "xml"}), "format"),
        (json!({"model": "m", "format": 1}), "format"),
        (json!({"model": "m", "think": 1}), "think"),
        (json!({"model": "m", "stream": "yes"}), "stream"),
    ];
    for (body, param) in cases {
        let error = decode_chat(body.to_string().as_bytes()).unwrap_err();
        let expected = (ErrorKind::InvalidRequest, Some(param));
        assert_eq!((error.kind(), error.body().param.as_deref()), expected, "{body}");
    }
    assert!(decode_chat(b"{").is_err());
}

#[test]
fn numbers_are_read_as_ollama_reads_them() {
    let options = |options: Value| chat(&json!({"model": "m", "options": options}));
    assert_eq!(options(json!({"num_predict": 128.0})).sampling.max_output_tokens, Some(128));
    let unlimited = options(json!({"num_predict": -1, "top_k": -1, "seed": 5.0}));
    assert_eq!(unlimited.sampling.max_output_tokens, None);
    assert_eq!(unlimited.sampling.seed, Some(5));
    let sent = encode_chat(&unlimited, TARGET).unwrap().0;
    assert_eq!(sent["options"], json!({"seed": 5, "num_predict": -1, "top_k": -1}));
    let mut limited = unlimited;
    limited.sampling.max_output_tokens = Some(9);
    assert_eq!(encode_chat(&limited, TARGET).unwrap().0["options"]["num_predict"], 9);
}

/// What the request says of itself that Ollama cannot do, with the field it concerns.
fn refused(change: impl FnOnce(&mut GenerateRequest)) -> String {
    let mut request = GenerateRequest::new("m", vec![Message::user("hi")]);
    change(&mut request);
    let error = encode_chat(&request, TARGET).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    request.on_unsupported = OnUnsupported::Warn;
    let (_, warnings) = encode_chat(&request, TARGET).unwrap();
    assert_eq!(warnings[0].param, error.body().param);
    warnings[0].param.clone().unwrap()
}

fn media(media_type: &str, source: MediaSource) -> Part {
    Part::Media(Media {
        media_type: media_type.into(),
        source,
        filename: None,
        transcript: None,
        extras: tollgate_types::Extras::new(),
    })
}

#[test]
fn what_ollama_cannot_honour_is_refused_or_warned_of_but_never_dropped() {
    let content =
        |part: Part| move |request: &mut GenerateRequest| request.messages[0].content.push(part);
    let tool = || Tool::function("add", "", json!({"type": "object"}));
    let strict = || match tool() {
        Tool::Function(mut function) => {
            function.strict = Some(true);
            Tool::Function(function)
        }
        hosted => hosted,
    };
    let here = "messages[0].content";
    assert_eq!(
        refused(content(media("image/*", MediaSource::Url("https://a.example/x".into())))),
        here
    );
    assert_eq!(refused(content(media("image/png", MediaSource::FileId("f".into())))), here);
    assert_eq!(
        refused(content(media("application/pdf", MediaSource::Base64("AA==".into())))),
        here
    );
    assert_eq!(refused(content(media("audio/wav", MediaSource::Base64("AA==".into())))), here);
    let foreign = NativeItem { api: "openai.responses".into(), item: json!({}) };
    assert_eq!(refused(content(Part::Native(foreign))), here);
    assert_eq!(refused(content(Part::tool_call("c", "run", "ls -l"))), here);
    assert_eq!(refused(|r| r.messages[0].name = Some("alice".into())), "messages[0].name");
    assert_eq!(refused(|r| r.tool_choice = Some(ToolChoice::Required)), "tool_choice");
    assert_eq!(refused(|r| r.tool_choice = Some(ToolChoice::Tool("add".into()))), "tool_choice");
    assert_eq!(refused(|r| r.tools = vec![strict()]), "tools[0].strict");
    let hosted = HostedTool { api: "anthropic.messages".into(), config: serde_json::Map::new() };
    assert_eq!(refused(|r| r.tools = vec![Tool::Hosted(hosted)]), "tools[0]");
    assert_eq!(
        refused(|r| {
            r.tools = vec![tool()];
            r.parallel_tool_calls = Some(false);
        }),
        "parallel_tool_calls"
    );
    assert_eq!(refused(|r| r.choices = Some(2)), "choices");
    assert_eq!(refused(|r| r.continues = Some("x".into())), "continues");
    assert_eq!(refused(|r| r.store = Some(true)), "store");
    assert_eq!(refused(|r| r.modalities = vec![tollgate_types::Modality::Audio]), "modalities");
    let grammar = OutputFormat::Grammar { syntax: "gbnf".into(), grammar: "root".into() };
    assert_eq!(refused(|r| r.output = Some(grammar)), "output");
    let budget = tollgate_types::ReasoningOptions { budget_tokens: Some(9), ..Default::default() };
    assert_eq!(refused(|r| r.reasoning = Some(budget)), "reasoning.budget_tokens");
}

#[test]
fn a_choice_that_only_takes_tools_away_is_honoured() {
    let tools = ["a", "b"].map(|name| Tool::function(name, "", Value::Null)).to_vec();
    let offered = |choice: ToolChoice| {
        let request = GenerateRequest::new("m", vec![Message::user("hi")]);
        let request = request.tools(tools.clone()).tool_choice(choice);
        let sent = encode_chat(&request, TARGET).unwrap().0;
        let names = sent["tools"].as_array().cloned().unwrap_or_default();
        names
            .iter()
            .map(|tool| tool["function"]["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(offered(ToolChoice::Auto), ["a", "b"]);
    assert_eq!(offered(ToolChoice::Subset { names: vec!["b".into()], required: false }), ["b"]);
    assert!(offered(ToolChoice::None).is_empty());
}

#[test]
fn only_its_own_thoughts_go_back_to_ollama() {
    let turn = |api: Option<&str>, signature: Option<&str>| {
        let thought = Reasoning {
            text: "Hm.".into(),
            signature: signature.map(str::to_owned),
            ..Reasoning::default()
        };
        let mut turn =
            Message::new(Role::Assistant, vec![Part::Reasoning(thought), Part::text("Yes.")]);
        turn.origin = api.map(|api| Origin { api: api.into(), ..Origin::default() });
        turn
    };
    let turns = vec![
        turn(None, None),
        turn(Some(CHAT_API), None),
        turn(Some(GENERATE_API), None),
        turn(Some("anthropic.messages"), Some("s")),
        turn(Some("openai.chat"), None),
        turn(None, Some("s")),
    ];
    let sent = encode_chat(&GenerateRequest::new("m", turns), TARGET).unwrap().0;
    let thoughts: Vec<bool> = sent["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|turn| turn.get("thinking").is_some())
        .collect();
    assert_eq!(thoughts, [true, true, true, false, false, false]);
}

#[test]
fn extras_cannot_get_past_model_limit_or_price_however_they_are_spelt() {
    let base = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (key, value) in [
        ("model", json!("x")),
        ("Model", json!("x")),
        ("me\u{17f}\u{17f}ages", json!([])),
        ("stream", json!(false)),
        ("tool\u{17f}", json!([])),
        ("Options", json!({"num_predict": 9})),
        ("options", json!({"num_predict": 9})),
        ("options", json!({"num_predict": "9"})),
        ("raw", json!(true)),
    ] {
        let mut request = chat(&base);
        request
            .extras
            .insert("ollama".into(), serde_json::Map::from_iter([(key.to_owned(), value)]));
        let error = encode_chat(&request, TARGET).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{key}");
    }
    let mut dressed = chat(&base);
    let extras = serde_json::Map::from_iter([("Content".to_owned(), json!("x"))]);
    dressed.messages[0].extras.insert("ollama".into(), extras);
    let refused = encode_chat(&dressed, TARGET).unwrap_err();
    assert_eq!(refused.body().param.as_deref(), Some("messages[0].extras.ollama.Content"));
}

fn patched(api: &'static str, body: &str, limit: Option<u32>) -> tollgate_types::Result<String> {
    let decode = if api == CHAT_API { decode_chat } else { decode_generate };
    let mut request = decode(body.as_bytes())?.request;
    request.sampling.max_output_tokens = limit.or(request.sampling.max_output_tokens);
    let original = Original { api, body: body.into(), headers: Vec::new(), streamed: true };
    patch(&original, &request, TARGET).map(|body| String::from_utf8(body).unwrap())
}

#[test]
fn a_clients_own_body_changes_only_where_it_must() {
    let body = "{ \"model\" : \"a/b\", \"messages\": [{\"role\":\"user\",\"content\":\"\\u00e9\"}],\n \"options\": { \"num_ctx\": 1e3, \"num_predict\": 500 }, \"keep_alive\": -1 }\n";
    assert_eq!(patched(CHAT_API, body, None).unwrap(), body.replace("a/b", "qwen"));
    let expected = body.replace("a/b", "qwen").replace("500", "7");
    assert_eq!(patched(CHAT_API, body, Some(7)).unwrap(), expected);
    let bare = r#"{"model":"a/b","prompt":"hi","raw":true,"options":null}"#;
    assert_eq!(
        patched(GENERATE_API, bare, Some(7)).unwrap(),
        r#"{"model":"qwen","prompt":"hi","raw":true,"options":{"num_predict":7}}"#
    );
    let added = patched(GENERATE_API, r#"{"model":"a/b","prompt":"hi"}"#, Some(7)).unwrap();
    assert_eq!(added, r#"{"model":"qwen","prompt":"hi","options":{"num_predict":7}}"#);
}

#[test]
fn a_second_spelling_of_a_field_cannot_be_smuggled_through_a_clients_own_body() {
    for body in [
        r#"{"model":"a/b","prompt":"hi","MODEL":"dear"}"#,
        r#"{"model":"a/b","prompt":"hi","Options":{"num_predict":-1}}"#,
        r#"{"model":"a/b","prompt":"hi","option\u017f":{"num_predict":-1}}"#,
        r#"{"model":"a/b","prompt":"hi","model":"dear"}"#,
        r#"{"model":"a/b","prompt":"hi","options":{"num_predict":1,"num_predict":-1}}"#,
    ] {
        assert!(patched(GENERATE_API, body, Some(5)).is_err(), "{body}");
    }
}

#[test]
fn a_generate_request_is_a_chat_of_one_message() {
    let body = json!({"model": "m", "prompt": "What is this?", "system": "Be brief.", "images": ["R0lGODAAAA"],
        "template": "", "suffix": null, "raw": false, "context": [], "keep_alive": 5});
    let request = decode_generate(body.to_string().as_bytes()).unwrap().request;
    assert!(!needs_generate(&request));
    let sent = encode_chat(&request, TARGET).unwrap().0;
    let messages = json!([{"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is this?", "images": ["R0lGODAAAA"]}]);
    assert_eq!((&sent["messages"], &sent["keep_alive"]), (&messages, &json!(5)));
    let load = decode_generate(br#"{"model":"m","prompt":""}"#).unwrap().request;
    assert!(load.messages.is_empty());
}

#[test]
fn what_only_generate_takes_goes_to_generate_alone() {
    let body = json!({"model": "qwen", "stream": true, "suffix": "}", "raw": true, "template": "{{ .Prompt }}",
        "context": [1, 2], "system": "s", "images": ["/9j/AA"], "prompt": "fn main() {",
        "options": {"num_predict": 5}, "keep_alive": 0});
    let request = decode_generate(body.to_string().as_bytes()).unwrap().request;
    assert!(needs_generate(&request));
    assert_eq!(encode_generate(&request, TARGET).unwrap().0, body);
    let elsewhere = tollgate::dialects::openai::ChatTarget {
        model: "m",
        host: tollgate::dialects::openai::Host::Compatible,
        stream: true,
    };
    let refused = tollgate::dialects::openai::encode_chat(&request, elsewhere).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    let mut conversation = request.clone();
    conversation.messages.push(Message::assistant("more"));
    assert_eq!(encode_generate(&conversation, TARGET).unwrap_err().kind(), ErrorKind::Unsupported);
    let mut dressed = request;
    let item = NativeItem { api: GENERATE_API.into(), item: json!({"model": "dear"}) };
    dressed.messages[1].content.push(Part::Native(item));
    assert_eq!(encode_generate(&dressed, TARGET).unwrap_err().kind(), ErrorKind::InvalidRequest);
}

#[test]
fn requests_for_vectors_come_in_two_ages() {
    let body = json!({"model": "m", "input": ["a", "b"], "dimensions": 2, "truncate": false, "options": {"num_ctx": 9}});
    let request = decode_embed(body.to_string().as_bytes()).unwrap();
    assert_eq!(encode_embed(&request, "m").unwrap(), body);
    assert_eq!(decode_embed(br#"{"model":"m","input":"a"}"#).unwrap().input, ["a"]);
    assert_eq!(decode_embeddings(br#"{"model":"m","prompt":"a"}"#).unwrap().input, ["a"]);
    for (body, param) in [
        (r#"{"model":"m","input":[1]}"#, "input"),
        (r#"{"model":"m"}"#, "input"),
        (r#"{"input":"a"}"#, "model"),
    ] {
        assert_eq!(decode_embed(body.as_bytes()).unwrap_err().body().param.as_deref(), Some(param));
    }
    let mut dressed = request;
    dressed.extras.get_mut("ollama").unwrap().insert("INPUT".into(), json!("x"));
    assert_eq!(encode_embed(&dressed, "m").unwrap_err().kind(), ErrorKind::InvalidRequest);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reading_what_was_written_keeps_the_meaning(
        texts in proptest::collection::vec((0..5u8, ".{1,9}"), 1..6),
        temperature in proptest::option::of(prop::sample::select(vec![0.0, 0.7, 1.5])),
        limit in proptest::option::of(any::<u32>()),
        seed in proptest::option::of(any::<i64>()),
        stop in proptest::collection::vec(".{1,4}", 0..3),
        think in prop::sample::select(vec![Value::Null, json!(true), json!(false), json!("low")]),
        tool in proptest::option::of(("[a-z]{1,8}", ".{0,9}")),
    ) {
        let messages: Vec<Value> = texts.iter().map(|(role, text)| match role {
            0 => json!({"role": "system", "content": text}),
            1 => json!({"role": "user", "content": text, "images": ["/9j/AA", text]}),
            2 => json!({"role": "assistant", "content": text, "thinking": text}),
            3 => json!({"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"a": text}}}]}),
            _ => json!({"role": "tool", "tool_name": "f", "content": text}),
        }).collect();
        let mut request = chat(&json!({"model": "qwen", "messages": messages, "think": think}));
        request.sampling.temperature = temperature;
        request.sampling.max_output_tokens = limit;
        request.sampling.seed = seed;
        request.sampling.stop = stop;
        request.tools = tool.into_iter().map(|(name, text)| Tool::function(name, text, json!({"type": "object"}))).collect();
        let sent = encode_chat(&request, TARGET).unwrap().0;
        prop_assert_eq!(chat(&sent), request);
    }

    #[test]
    fn no_input_makes_the_reader_panic(text in ".{0,60}") {
        drop(decode_chat(text.as_bytes()));
        drop(decode_generate(text.as_bytes()));
        drop(decode_embed(text.as_bytes()));
    }
}
