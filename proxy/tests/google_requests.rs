//! Requests in Google's format, read and written.
#![cfg(test)]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tollgate::dialects::google::{
    API, Platform, Target, decode_count, decode_generate, encode_count, encode_generate,
    patch_generate,
};
use tollgate_types::{
    Error, ErrorKind, GenerateRequest, HostedTool, Message, OnUnsupported, Origin, Original,
    OutputFormat, Part, Reasoning, ReasoningOptions, Role, Tool, ToolCall, ToolChoice, ToolResult,
};

fn target(model: &str) -> Target<'_> {
    Target { model, platform: Platform::Gemini }
}

fn read(body: &Value) -> GenerateRequest {
    decode_generate(body.to_string().as_bytes(), "m").unwrap()
}

fn written(request: &GenerateRequest) -> Value {
    encode_generate(request, target("gemini-2.5-flash")).unwrap().0
}

/// Every kind of turn, part, tool and option.
fn full_request() -> Value {
    json!({
        "contents": [
            {"role": "user", "parts": [
                {"text": "What is this?"}, {"text": ""},
                {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "mediaResolution": "LOW"},
                {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://b/a.pdf", "displayName": "a.pdf"}},
                {"fileData": {"fileUri": "https://video.example/v"}, "videoMetadata": {"fps": 2}},
                {"brandNew": 1},
            ]},
            {"role": "model", "parts": [
                {"text": "Hm.", "thought": true, "thoughtSignature": "c2ln"},
                {"text": "I look.", "thoughtSignature": "dGV4dA=="},
                {"text": "", "thoughtSignature": "ZW1wdHk="},
                {"functionCall": {"name": "look", "args": {"at": "it", "deep": {"n": 1.5}}}, "thoughtSignature": "Y2FsbA=="},
                {"functionCall": {"id": "x7", "name": "look", "args": {}}},
                {"executableCode": {"language": "PYTHON", "code": "1"}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "look", "response": {"output": "a stone"}}},
                {"functionResponse": {"id": "x7", "name": "look", "response": {"error": "dark"}, "scheduling": "SILENT"}},
            ]},
            {"role": "user", "parts": [{"text": "Why?"}], "brandNew": true},
        ],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "tools": [
            {"functionDeclarations": [
                {"name": "look", "description": "looks", "parametersJsonSchema": {"type": "object", "$defs": {}}},
                {"name": "old", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": true}}},
                    "behavior": "BLOCKING"},
                {"name": "bare"},
            ]},
            {"googleSearch": {}}, {"codeExecution": {"brandNew": 1}},
        ],
        "toolConfig": {
            "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look", "old"]},
            "retrievalConfig": {"languageCode": "de"}},
        "generationConfig": {
            "maxOutputTokens": 100, "temperature": 0.5, "topP": 0.9, "topK": 40,
            "presencePenalty": 0.1, "frequencyPenalty": -0.1, "seed": -7, "stopSequences": ["a", "b"],
            "responseLogprobs": true, "logprobs": 3,
            "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
            "responseModalities": ["TEXT", "IMAGE"],
            "thinkingConfig": {"includeThoughts": true, "thinkingBudget": 512},
            "speechConfig": {"voiceConfig": {}}},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "cachedContent": "cachedContents/1", "labels": {"a": "b"}, "serviceTier": "flex",
    })
}

#[test]
fn a_request_with_everything_goes_through_unchanged() {
    let request = read(&full_request());
    assert_eq!(written(&request), full_request());
    assert_eq!(request.tools.len(), 5);
    let schema = json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}});
    assert!(matches!(&request.tools[1], Tool::Function(old) if old.parameters == schema));
}

#[test]
fn snake_case_and_lone_objects_are_read_alike() {
    let snake = json!({
        "contents": {"parts": {"text": "hi"}},
        "system_instruction": {"role": "user", "parts": {"text": "Be brief."}},
        "tools": {"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}}]},
        "tool_config": {"function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}},
        "generation_config": {"max_output_tokens": "5", "top_k": 3.0, "stop_sequences": ["x"],
            "response_mime_type": "application/json", "response_schema": {"type": "STRING"},
            "thinking_config": {"thinking_level": "LOW", "include_thoughts": true}},
        "cached_content": "c",
    });
    let request = read(&snake);
    assert_eq!(request.sampling.max_output_tokens, Some(5));
    assert_eq!(request.tool_choice, Some(ToolChoice::Tool("f".into())));
    assert_eq!(request.reasoning.as_ref().unwrap().effort.as_deref(), Some("low"));
    let schema = json!({"type": "string"});
    assert!(
        matches!(&request.output, Some(OutputFormat::JsonSchema { schema: s, .. }) if *s == schema)
    );
    let expected = json!({
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {"maxOutputTokens": 5, "topK": 3, "stopSequences": ["x"],
            "responseMimeType": "application/json",
            "thinkingConfig": {"includeThoughts": true, "thinkingLevel": "LOW"},
            "responseSchema": {"type": "STRING"}},
        "cachedContent": "c",
    });
    assert_eq!(encode_generate(&request, target("gemini-3-pro")).unwrap().0, expected);
}

#[test]
fn modes_without_a_common_word_survive() {
    for config in [
        json!({"mode": "AUTO"}),
        json!({"mode": "NONE"}),
        json!({"mode": "ANY"}),
        json!({"mode": "VALIDATED"}),
        json!({"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
        json!({"mode": "ANY", "allowedFunctionNames": ["f"], "brandNew": 1}),
        json!({"mode": "LATER"}),
    ] {
        let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "tools": [{"functionDeclarations": [{"name": "f"}]}],
            "toolConfig": {"functionCallingConfig": config}});
        assert_eq!(written(&read(&body)), body);
    }
}

#[test]
fn results_without_ids_belong_to_their_calls_and_go_back_without_ids() {
    let request = read(&full_request());
    let ids: Vec<String> = request.messages[2]
        .content
        .iter()
        .filter_map(|part| match part {
            Part::ToolCall(call) => Some(call.id.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(ids[1], "x7");
    let answers: Vec<(String, bool)> = request.messages[3]
        .content
        .iter()
        .filter_map(|part| match part {
            Part::ToolResult(result) => Some((result.call_id.clone(), result.is_error)),
            _ => None,
        })
        .collect();
    assert_eq!(answers, [(ids[0].clone(), false), (ids[1].clone(), true)]);
    assert_eq!(request.messages[3].role, Role::Tool);
}

fn result(id: &str, text: &str) -> Message {
    let content = vec![Part::text(text)];
    let result = ToolResult { call_id: id.into(), content, ..ToolResult::default() };
    Message::new(Role::Tool, vec![Part::ToolResult(result)])
}

#[test]
fn a_conversation_of_another_provider_is_told_in_googles_way() {
    let mut turn = Message::new(
        Role::Assistant,
        vec![
            Part::Reasoning(Reasoning {
                text: "secret".into(),
                signature: Some("foreign".into()),
                ..Reasoning::default()
            }),
            Part::tool_call("call_1", "add", "{\"a\": 1}"),
            Part::tool_call("call_2", "sub", ""),
        ],
    );
    turn.origin = Some(Origin { api: "anthropic.messages".into(), ..Origin::default() });
    let messages = vec![
        Message::user("go"),
        turn,
        Message::new(Role::Developer, vec![Part::text("Be kind.")]),
        result("call_2", "{\"n\": 2}"),
        result("call_1", "1"),
    ];
    let request = GenerateRequest::new("m", messages);
    let sent = encode_generate(&request, target("gemini-3-flash-preview")).unwrap().0;
    let expected = json!({
        "contents": [
            {"role": "user", "parts": [{"text": "go"}]},
            {"role": "model", "parts": [
                {"functionCall": {"id": "call_1", "name": "add", "args": {"a": 1}},
                    "thoughtSignature": "skip_thought_signature_validator"},
                {"functionCall": {"id": "call_2", "name": "sub", "args": {}}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "call_1", "name": "add", "response": {"output": "1"}}},
                {"functionResponse": {"id": "call_2", "name": "sub", "response": {"n": 2}}}]},
        ],
        "systemInstruction": {"parts": [{"text": "Be kind."}]},
    });
    assert_eq!(sent, expected);
    assert!(!sent.to_string().contains("foreign") && !sent.to_string().contains("secret"));
    let older = written(&request).to_string();
    assert!(!older.contains("skip_thought"), "only the third generation asks for signatures");
}

#[test]
fn a_bad_request_is_refused_with_the_field_that_is_wrong() {
    use ErrorKind::InvalidRequest;
    let hi = json!([{"role": "user", "parts": [{"text": "hi"}]}]);
    let part = |part: Value| json!({"contents": [{"role": "user", "parts": [part]}]});
    let config = |config: Value| json!({"contents": hi, "generationConfig": config});
    for (body, param) in [
        (json!([]), "body"),
        (json!({}), "contents"),
        (json!({"contents": []}), "contents"),
        (json!({"contents": "hi"}), "contents"),
        (json!({"contents": [7]}), "contents[0]"),
        (json!({"contents": [{"role": "assistant", "parts": []}]}), "contents[0].role"),
        (json!({"contents": [{"parts": ["hi"]}]}), "contents[0].parts[0]"),
        (part(json!({"text": 7})), "contents[0].parts[0].text"),
        (part(json!({"inlineData": {"data": "AAAA"}})), "contents[0].parts[0]"),
        (part(json!({"functionCall": {}})), "contents[0].parts[0].functionCall.name"),
        (
            part(json!({"functionCall": {"name": "f", "args": []}})),
            "contents[0].parts[0].functionCall.args",
        ),
        (
            part(json!({"functionResponse": {"response": {}}})),
            "contents[0].parts[0].functionResponse.name",
        ),
        (
            part(json!({"functionResponse": {"name": "f", "response": 7}})),
            "contents[0].parts[0].functionResponse.response",
        ),
        (json!({"contents": hi, "systemInstruction": "Be brief."}), "systemInstruction"),
        (
            json!({"contents": hi, "systemInstruction": {"parts": []}, "system_instruction": {}}),
            "systemInstruction",
        ),
        (
            json!({"contents": hi, "tools": [{"functionDeclarations": [{}]}]}),
            "tools[0].functionDeclarations[0].name",
        ),
        (config(json!({"candidateCount": 0})), "generationConfig.candidateCount"),
        (config(json!({"topK": -1})), "generationConfig.topK"),
        (config(json!({"temperature": "hot"})), "generationConfig.temperature"),
        (config(json!({"stopSequences": [7]})), "generationConfig.stopSequences[0]"),
        (config(json!({"logprobs": 3})), "generationConfig.logprobs"),
    ] {
        let error = decode_generate(body.to_string().as_bytes(), "m").unwrap_err();
        assert_eq!(
            (error.kind(), error.body().param.as_deref()),
            (InvalidRequest, Some(param)),
            "{body}"
        );
    }
    assert!(decode_generate(b"{", "m").is_err());
}

#[test]
fn what_google_cannot_honour_is_refused_or_warned_of_but_never_dropped() {
    let ask = || GenerateRequest::new("m", vec![Message::user("hi")]);
    let hosted = HostedTool { api: "openai.responses".into(), config: Map::new() };
    let cut_off = Message::new(Role::Assistant, vec![Part::tool_call("c", "f", "{\"a\":")]);
    let mut named = Message::user("hi");
    named.name = Some("alice".into());
    let cases: Vec<(GenerateRequest, &str)> = vec![
        (GenerateRequest { choices: Some(2), ..ask() }, "choices"),
        (GenerateRequest { continues: Some("x".into()), ..ask() }, "continues"),
        (GenerateRequest { store: Some(true), ..ask() }, "store"),
        (GenerateRequest { parallel_tool_calls: Some(false), ..ask() }, "parallel_tool_calls"),
        (ask().tools(vec![Tool::Hosted(hosted)]), "tools[0]"),
        (GenerateRequest::new("m", vec![cut_off]), "messages[0].content"),
        (GenerateRequest::new("m", vec![named]), "messages[0].name"),
        (
            GenerateRequest {
                reasoning: Some(ReasoningOptions {
                    effort: Some("huge".into()),
                    ..Default::default()
                }),
                ..ask()
            },
            "reasoning.effort",
        ),
        (
            GenerateRequest {
                output: Some(OutputFormat::Grammar { syntax: "gbnf".into(), grammar: "x".into() }),
                ..ask()
            },
            "output",
        ),
    ];
    for (mut request, param) in cases {
        let told = |error: Error| error.body().param.clone();
        let refused = encode_generate(&request, target("gemini-2.5-pro")).unwrap_err();
        assert_eq!(
            (refused.kind(), told(refused).as_deref()),
            (ErrorKind::Unsupported, Some(param))
        );
        request.on_unsupported = OnUnsupported::Warn;
        let (_, warnings) = encode_generate(&request, target("gemini-2.5-pro")).unwrap();
        assert_eq!(warnings[0].param.as_deref(), Some(param));
    }
}

#[test]
fn efforts_become_budgets_or_levels_and_strict_schemas_are_held_to() {
    let think = |effort: &str, model: &str| {
        let reasoning = ReasoningOptions { effort: Some(effort.into()), ..Default::default() };
        let request = GenerateRequest {
            reasoning: Some(reasoning),
            ..GenerateRequest::new("m", vec![Message::user("hi")])
        };
        encode_generate(&request, target(model)).unwrap().0["generationConfig"]["thinkingConfig"]
            .clone()
    };
    assert_eq!(think("high", "gemini-2.5-pro"), json!({"thinkingBudget": 24_576}));
    assert_eq!(think("none", "gemini-2.5-flash"), json!({"thinkingBudget": 0}));
    assert_eq!(think("minimal", "gemini-3-flash"), json!({"thinkingLevel": "MINIMAL"}));
    let mut request = GenerateRequest::new("m", vec![Message::user("hi")]);
    request.tools = vec![Tool::function("f", "", json!({"type": "object"}))];
    if let Tool::Function(function) = &mut request.tools[0] {
        function.strict = Some(true);
    }
    assert_eq!(
        written(&request)["toolConfig"]["functionCallingConfig"],
        json!({"mode": "VALIDATED"})
    );
}

#[test]
fn extras_cannot_get_past_model_limit_price_or_what_was_measured() {
    let base = || GenerateRequest::new("m", vec![Message::user("hi")]);
    let refused = |request: &GenerateRequest| {
        let error = encode_generate(request, target("m")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        error.body().param.clone().unwrap_or_default()
    };
    for (own, param) in [
        (json!({"contents": []}), "extras.google.contents"),
        (json!({"system_instruction": {}}), "extras.google.system_instruction"),
        (json!({"tools": []}), "extras.google.tools"),
        (json!({"model": "models/dear"}), "extras.google.model"),
        (
            json!({"generationConfig": {"maxOutputTokens": 9}}),
            "extras.google.generationConfig.maxOutputTokens",
        ),
        (
            json!({"generation_config": {"candidate_count": 9}}),
            "extras.google.generation_config.candidate_count",
        ),
        (json!({"service_tier": "priority"}), "extras.google.service_tier"),
    ] {
        let mut request = base();
        request.extras.insert("google".into(), own.as_object().unwrap().clone());
        assert_eq!(refused(&request), param);
    }
    let own = |value: Value| [("google".to_owned(), value.as_object().unwrap().clone())].into();
    let call = ToolCall {
        name: "f".into(),
        extras: own(json!({"inline_data": {}})),
        ..ToolCall::default()
    };
    let mut turn = Message::new(Role::Assistant, vec![Part::ToolCall(call)]);
    assert_eq!(
        refused(&GenerateRequest::new("m", vec![turn.clone()])),
        "messages[0].content[0].extras.google.inline_data"
    );
    turn.content.clear();
    turn.extras = own(json!({"parts": []}));
    assert_eq!(refused(&GenerateRequest::new("m", vec![turn])), "messages[0].extras.google.parts");
}

#[test]
fn a_patched_body_differs_in_the_limit_alone() {
    let patch = |body: &str, limit: Option<u32>| {
        let mut request = decode_generate(body.as_bytes(), "m").unwrap();
        request.sampling.max_output_tokens = limit.or(request.sampling.max_output_tokens);
        let body = body.as_bytes().to_vec();
        let original = Original { api: API, body, headers: vec![], streamed: true };
        String::from_utf8(patch_generate(&original, &request, target("bare")).unwrap()).unwrap()
    };
    let body = "{ \"contents\":[{\"parts\":[{\"text\":\"\\u00e9\"}]}],\n \"generation_config\" : {\"top_p\":1.0, \"max_output_tokens\":900 },\"x\":1e2}";
    assert_eq!(patch(body, None), body);
    assert_eq!(patch(body, Some(7)), body.replace("900", "7"));
    let bare = "{\"contents\":[{\"parts\":[{\"text\":\"a\"}]}]}";
    assert_eq!(patch(bare, None), bare);
    let limited = patch(bare, Some(7));
    assert_eq!(
        limited,
        bare.replace("}]}]}", "}]}],\"generationConfig\":{\"maxOutputTokens\":7}}")
    );
    let named = "{\"model\":\"models/dear\",\"contents\":[{\"parts\":[{\"text\":\"a\"}]}]}";
    assert_eq!(patch(named, None), named.replace("models/dear", "models/bare"));
    let twice = b"{\"contents\":[{\"parts\":[{\"text\":\"a\"}]}],\"generationConfig\":{\"topP\":1,\"topP\":2}}";
    let request = GenerateRequest::new("m", vec![Message::user("a")]);
    let original = Original { api: API, body: twice.to_vec(), headers: vec![], streamed: true };
    assert!(patch_generate(&original, &request, target("bare")).is_err());
}

#[test]
fn counts_are_asked_for_bare_and_wrapped() {
    let contents = json!([{"role": "user", "parts": [{"text": "hi"}]}]);
    let bare = decode_count(json!({"contents": contents}).to_string().as_bytes(), "m").unwrap();
    let sent = encode_count(&bare, target("bare")).unwrap();
    assert_eq!(
        sent,
        json!({"generateContentRequest": {"contents": contents, "model": "models/bare"}})
    );
    assert_eq!(decode_count(sent.to_string().as_bytes(), "m").unwrap(), bare);
    let vertex = Target { model: "bare", platform: Platform::Vertex };
    assert_eq!(encode_count(&bare, vertex).unwrap(), json!({"contents": contents}));
    let wrong = json!({"generateContentRequest": {"contents": 7}}).to_string();
    let error = decode_count(wrong.as_bytes(), "m").unwrap_err();
    assert_eq!(error.body().param.as_deref(), Some("generateContentRequest.contents"));
}

fn part() -> impl Strategy<Value = Value> {
    let text = ".{0,9}";
    prop_oneof![
        text.prop_map(|text| json!({"text": text})),
        (text, "[a-z]{1,6}")
            .prop_map(|(text, sign)| json!({"text": text, "thoughtSignature": sign})),
        text.prop_map(|text| json!({"text": text, "thought": true})),
        ("[a-e]{1,6}", text, proptest::option::of("[a-z]{1,6}")).prop_map(|(name, text, id)| {
            let mut call = json!({"name": name, "args": {"a": text}});
            if let Some(id) = id {
                call["id"] = id.into();
            }
            json!({"functionCall": call})
        }),
        text.prop_map(|data| json!({"inlineData": {"mimeType": "image/png", "data": data}})),
        text.prop_map(|text| json!({"executableCode": {"code": text}})),
    ]
}

fn response() -> impl Strategy<Value = Value> {
    (".{0,9}", prop::sample::select(vec!["output", "error", "result"]))
        .prop_map(|(text, key)| json!({"functionResponse": {"name": "f", "response": {key: text}}}))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reading_and_writing_gives_the_same_request(
        turns in proptest::collection::vec((
            proptest::collection::vec(part(), 1..4), any::<bool>(), proptest::collection::vec(response(), 1..3),
        ), 1..4),
        temperature in proptest::option::of(prop::sample::select(vec![0.0, 0.7, 1.5])),
        limit in proptest::option::of(any::<u32>()),
    ) {
        let mut contents = Vec::new();
        for (parts, is_model, responses) in turns {
            contents.push(json!({"role": if is_model { "model" } else { "user" }, "parts": parts}));
            if is_model {
                contents.push(json!({"role": "user", "parts": responses}));
            }
        }
        let mut body = json!({"contents": contents});
        if temperature.is_some() || limit.is_some() {
            let mut config = Map::new();
            config.extend(limit.map(|limit| ("maxOutputTokens".to_owned(), limit.into())));
            config.extend(temperature.map(|t: f64| ("temperature".to_owned(), t.into())));
            body["generationConfig"] = config.into();
        }
        prop_assert_eq!(written(&read(&body)), body);
    }

    #[test]
    fn no_request_makes_the_codec_panic(text in ".{0,60}", part in any::<[u8; 4]>()) {
        drop(decode_generate(text.as_bytes(), "m"));
        drop(decode_generate(&part, "m"));
        let body = json!({"contents": [{"parts": [{"text": text, "functionCall": text}]}], "tools": text});
        drop(decode_generate(body.to_string().as_bytes(), "m"));
    }
}
