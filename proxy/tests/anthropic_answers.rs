//! Answers in Anthropic's format, whole and streamed, read and written.
#![cfg(test)]

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate::dialects::anthropic::{
    API, StreamDecoder, StreamEncoder, decode_reply, encode_reply,
};
use tollgate::dialects::stream::{Decoder, ReplyHead};
use tollgate_types::{
    Citation, ErrorKind, FinishReason, Fold, GenerateResponse, Origin, Part, Reasoning, Refusal,
    Result, StreamEvent, Text, ToolCall, Usage, events_of,
};

fn start(index: u64, block: Value) -> String {
    json!({"type": "content_block_start", "index": index, "content_block": block}).to_string()
}

fn delta(index: u64, delta: Value) -> String {
    json!({"type": "content_block_delta", "index": index, "delta": delta}).to_string()
}

fn stop(index: u64) -> String {
    json!({"type": "content_block_stop", "index": index}).to_string()
}

fn begin() -> String {
    json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "claude-x", "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 9, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 4, "output_tokens": 1}}})
    .to_string()
}

fn end(reason: &str, usage: Value) -> Vec<String> {
    let delta = json!({"stop_reason": reason, "stop_sequence": null});
    vec![
        json!({"type": "message_delta", "delta": delta, "usage": usage}).to_string(),
        r#"{"type":"message_stop"     }"#.to_owned(),
    ]
}

const PING: &str = r#"{"type": "ping"}"#;

/// Thinking, hidden thinking, cited text, a hosted call with its result, and two calls.
fn stream() -> Vec<String> {
    let page = json!({"type": "web_search_result_location", "url": "https://a.example", "title": "A",
        "cited_text": "q", "encrypted_index": "e"});
    let input = |text: &str| json!({"type": "input_json_delta", "partial_json": text});
    let mut payloads = vec![
        begin(),
        start(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        PING.to_owned(),
        delta(0, json!({"type": "thinking_delta", "thinking": "Hm"})),
        delta(0, json!({"type": "thinking_delta", "thinking": "m."})),
        delta(0, json!({"type": "signature_delta", "signature": "sig"})),
        stop(0),
        start(1, json!({"type": "redacted_thinking", "data": "secret"})),
        stop(1),
        start(
            2,
            json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}),
        ),
        delta(2, input("{\"query\":\"x\"}")),
        stop(2),
        start(
            3,
            json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"url": "u"}]}),
        ),
        stop(3),
        start(4, json!({"type": "text", "text": "", "citations": []})),
        delta(4, json!({"type": "text_delta", "text": "Grö"})),
        delta(4, json!({"type": "citations_delta", "citation": page})),
        delta(4, json!({"type": "text_delta", "text": "ße"})),
        stop(4),
        start(5, json!({"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}})),
        delta(5, input("")),
        delta(5, input("{\"a\":")),
        delta(5, input("1}")),
        stop(5),
        start(6, json!({"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}})),
        delta(6, input("")),
        stop(6),
        PING.to_owned(),
    ];
    payloads.extend(end(
        "tool_use",
        json!({"output_tokens": 30, "input_tokens": 20, "cache_read_input_tokens": null,
        "server_tool_use": {"web_search_requests": 1}, "service_tier": "standard"}),
    ));
    payloads
}

fn whole() -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": [
            {"type": "thinking", "thinking": "Hmm.", "signature": "sig"},
            {"type": "redacted_thinking", "data": "secret"},
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"url": "u"}]},
            {"type": "text", "text": "Größe", "citations": [{"type": "web_search_result_location",
                "url": "https://a.example", "title": "A", "cited_text": "q", "encrypted_index": "e"}]},
            {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}},
            {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}}],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 20, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 4,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 30, "server_tool_use": {"web_search_requests": 1}, "service_tier": "standard"}})
}

fn decode(payloads: &[String]) -> Result<GenerateResponse> {
    let mut decoder = StreamDecoder::new("p");
    let mut fold = Fold::new();
    for payload in payloads {
        for event in decoder.push(payload)? {
            fold.push(event)?;
        }
    }
    for event in decoder.end()? {
        fold.push(event)?;
    }
    fold.finish()
}

fn head() -> ReplyHead {
    ReplyHead { id: "msg_1".into(), created_s: 5, model: "claude-x".into() }
}

fn written(answer: GenerateResponse) -> Vec<String> {
    let mut encoder = StreamEncoder::new(head());
    let events = events_of(answer);
    events.iter().flat_map(|event| encoder.push(event)).map(|event| event.to_string()).collect()
}

#[test]
fn a_stream_folds_to_what_the_whole_answer_says() {
    let streamed = decode(&stream()).unwrap();
    let read = decode_reply(whole().to_string().as_bytes(), "p").unwrap();
    assert_eq!(streamed, read);
    assert_eq!(read.finish.reason, FinishReason::ToolCalls);
    assert_eq!((read.usage.input, read.usage.cache_read, read.usage.output), (20, 4, 30));
    assert_eq!(read.usage.tool_fees["web_search"], 1);
    let calls: Vec<_> =
        read.tool_calls().map(|call| (call.id.as_str(), call.arguments.as_str())).collect();
    assert_eq!(calls, [("toolu_1", "{\"a\":1}"), ("toolu_2", "{}")]);
    assert!(matches!(&read.content[4], Part::Text(text)
        if text.citations[0].span == Some((0, 7)) && text.citations[0].url.as_deref() == Some("https://a.example")));
    assert_eq!(encode_reply(&read, &head()), whole());
}

#[test]
fn a_written_stream_reads_back_as_the_same_answer() {
    let answer = decode(&stream()).unwrap();
    let payloads = written(answer.clone());
    assert_eq!(decode(&payloads).unwrap(), answer);
    let kinds: Vec<Value> = payloads
        .iter()
        .map(|payload| serde_json::from_str::<Value>(payload).unwrap()["type"].clone())
        .collect();
    assert_eq!(kinds.first().unwrap(), "message_start");
    assert_eq!(kinds[kinds.len() - 2..], ["message_delta", "message_stop"]);
}

#[test]
fn every_truncation_is_an_error_and_never_a_short_success() {
    let payloads = stream();
    let reason = payloads.len() - 2;
    for end in 0..=reason {
        let error = decode(&payloads[..end]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StreamInterrupted, "after {end} payloads");
    }
    assert!(decode(&payloads[..=reason]).is_ok(), "only message_stop is missing");
    for payload in &payloads {
        for cut in (1..payload.len()).filter(|cut| payload.is_char_boundary(*cut)) {
            assert!(StreamDecoder::new("p").push(&payload[..cut]).is_err());
        }
    }
}

#[test]
fn the_end_is_closing_from_the_reason_on() {
    let mut decoder = StreamDecoder::new("p");
    let payloads = stream();
    for (n, payload) in payloads.iter().enumerate() {
        decoder.push(payload).unwrap();
        assert_eq!(decoder.is_closing(), n >= payloads.len() - 2, "{payload}");
        assert_eq!(decoder.is_done(), n == payloads.len() - 1);
    }
    assert!(decoder.push("[DONE]").unwrap().is_empty());
}

#[test]
fn a_gateway_that_asks_again_replaces_its_first_attempt() {
    let mut payloads = vec![begin().replace("msg_1", "msg_0")];
    payloads
        .push(start(0, json!({"type": "tool_use", "id": "toolu_0", "name": "add", "input": {}})));
    payloads.push(delta(0, json!({"type": "input_json_delta", "partial_json": "{\"a\""})));
    payloads.extend(stream());
    assert_eq!(decode(&payloads).unwrap(), decode(&stream()).unwrap());
}

#[test]
fn every_stop_reason_has_its_meaning() {
    use FinishReason::{ContentFilter, Length, Other, Pause, Stop};
    for (word, reason) in [
        ("end_turn", Stop),
        ("stop_sequence", Stop),
        ("max_tokens", Length),
        ("model_context_window_exceeded", Length),
        ("refusal", ContentFilter),
        ("pause_turn", Pause),
        ("brand_new", Other),
    ] {
        let mut payloads = vec![begin()];
        payloads.extend(end(word, json!({"output_tokens": 3})));
        let answer = decode(&payloads).unwrap();
        assert_eq!((answer.finish.reason, answer.finish.raw.as_deref()), (reason, Some(word)));
        assert_eq!(answer.usage, Usage { cache_read: 4, ..Usage::tokens(9, 3) });
        if reason != Other {
            assert_eq!(encode_reply(&answer, &head())["stop_reason"], word);
        }
    }
}

#[test]
fn what_is_not_known_is_kept() {
    let mut payloads = vec![begin(), start(0, json!({"type": "compaction", "content": null}))];
    payloads.push(delta(0, json!({"type": "compaction_delta", "content": "Short."})));
    payloads.extend([stop(0), json!({"type": "brand_new_event", "x": 1}).to_string()]);
    payloads.push(json!({"type": "message_delta", "usage": {"output_tokens": 2, "iterations": [1]},
        "delta": {"stop_reason": "refusal", "stop_sequence": null, "stop_details": {"type": "refusal", "category": "c"},
            "container": {"id": "k"}}, "context_management": {"applied_edits": []}}).to_string());
    let answer = decode(&payloads).unwrap();
    assert!(matches!(&answer.content[..], [Part::Native(native)]
        if native.item == json!({"type": "compaction", "content": "Short."})));
    let kept = json!({"stop_details": {"type": "refusal", "category": "c"}, "container": {"id": "k"},
        "context_management": {"applied_edits": []}, "usage": {"iterations": [1]}});
    assert_eq!(json!(answer.extras["anthropic"]), kept);
    assert_eq!(decode(&written(answer.clone())).unwrap(), answer);
    assert_eq!(
        decode_reply(encode_reply(&answer, &head()).to_string().as_bytes(), "p").unwrap(),
        answer
    );
    let mut decoder = StreamDecoder::new("p");
    decoder.push(&begin()).unwrap();
    let raw = decoder.push(&payloads[4]).unwrap();
    assert!(matches!(&raw[..], [StreamEvent::Raw { api, value }] if api == API && value["x"] == 1));
}

#[test]
fn blocks_that_gateways_leave_incomplete_are_mended() {
    let mut payloads =
        vec![begin(), delta(0, json!({"type": "text_delta", "text": "Hi"})), stop(0)];
    payloads.push(start(1, json!({"type": "text"})));
    payloads.push(delta(1, json!({"type": "text_delta", "text": "!"})));
    payloads.push(start(2, json!({"type": "tool_use", "name": "add", "input": {"a": 1}})));
    payloads.push(start(3, json!({"type": "tool_use", "id": "", "name": "add", "input": {}})));
    payloads.extend(end("end_turn", json!({})));
    payloads.push("[DONE]".into());
    let answer = decode(&payloads).unwrap();
    assert_eq!(answer.text(), "Hi!");
    assert_eq!(answer.finish.reason, FinishReason::ToolCalls);
    let calls: Vec<&ToolCall> = answer.tool_calls().collect();
    assert_eq!(calls[0].arguments, "{\"a\":1}");
    assert!(!calls[0].id.is_empty() && !calls[1].id.is_empty() && calls[0].id != calls[1].id);
    let ids = |answer: &GenerateResponse| {
        answer.tool_calls().map(|call| call.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&answer), ids(&decode(&payloads).unwrap()));
}

#[test]
fn whole_answers_that_are_none_are_errors() {
    let kind = |body: &str| decode_reply(body.as_bytes(), "p").unwrap_err().kind();
    assert_eq!(kind("<html>"), ErrorKind::Protocol);
    assert_eq!(kind("{}"), ErrorKind::Protocol);
    assert_eq!(kind(r#"{"content": "text"}"#), ErrorKind::Protocol);
    assert_eq!(
        kind(r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#),
        ErrorKind::Overloaded
    );
    let truncated = whole().to_string();
    assert_eq!(kind(&truncated[..truncated.len() - 1]), ErrorKind::Protocol);
}

/// An answer that another API's provider gave.
fn foreign(content: Vec<Part>, reason: FinishReason) -> GenerateResponse {
    GenerateResponse {
        content,
        finish: reason.into(),
        usage: Usage { reasoning: 2, ..Usage::tokens(3, 4) },
        origin: Origin { api: "openai.responses".into(), ..Origin::default() },
        warnings: vec![],
        extras: Default::default(),
        receipt: None,
    }
}

#[test]
fn answers_of_other_apis_are_told_in_anthropics_words() {
    let thought =
        Reasoning { text: "hm".into(), signature: Some("foreign".into()), ..Reasoning::default() };
    let hidden = Reasoning { encrypted: Some("foreign".into()), ..Reasoning::default() };
    let cited = Text {
        text: "yes".into(),
        citations: vec![Citation { url: Some("https://a.example".into()), ..Citation::default() }],
        ..Text::default()
    };
    let broken = Part::tool_call("functions.f:0", "f", "{\"a\":");
    let hosted = ToolCall {
        id: "ws".into(),
        name: "web_search".into(),
        hosted: true,
        ..ToolCall::default()
    };
    let content = vec![
        Part::Reasoning(thought),
        Part::Reasoning(hidden),
        Part::Text(cited),
        broken,
        Part::ToolCall(hosted),
    ];
    let answer = foreign(content, FinishReason::Length);
    let body = encode_reply(&answer, &head());
    let citation = json!({"type": "web_search_result_location", "url": "https://a.example", "title": null,
        "cited_text": "", "encrypted_index": ""});
    assert_eq!(
        body["content"],
        json!([
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "text", "text": "yes", "citations": [citation]},
            {"type": "tool_use", "id": "functions.f:0", "name": "f", "input": {"input": "{\"a\":"}},
        ])
    );
    assert_eq!(
        (&body["stop_reason"], &body["usage"]["output_tokens"]),
        (&json!("max_tokens"), &json!(6))
    );
    let streamed = written(answer).join("\n");
    assert!(
        !streamed.contains("foreign") && streamed.contains("\"partial_json\":\"{\\\"a\\\":\""),
        "{streamed}"
    );
    let refused = foreign(
        vec![Part::Refusal(Refusal { text: "No.".into(), ..Refusal::default() })],
        FinishReason::Stop,
    );
    let body = encode_reply(&refused, &head());
    assert_eq!(
        (&body["content"][0]["text"], &body["stop_reason"]),
        (&json!("No."), &json!("refusal"))
    );
    assert!(written(refused).iter().any(|event| event.contains("\"stop_reason\":\"refusal\"")));
}

#[test]
fn an_answer_that_is_cut_short_still_closes_its_block() {
    let mut encoder = StreamEncoder::new(head());
    let finish = FinishReason::BudgetExhausted.into();
    let events = [
        StreamEvent::Start { origin: Origin::default(), request_id: None, warnings: vec![] },
        StreamEvent::PartStart { index: 0, part: Part::text("ha") },
        StreamEvent::Finish {
            finish,
            usage: Usage::default(),
            extras: Default::default(),
            receipt: None,
        },
    ];
    let kinds: Vec<Value> = events
        .iter()
        .flat_map(|event| encoder.push(event))
        .map(|event| event["type"].clone())
        .collect();
    assert_eq!(kinds[kinds.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
}

fn part() -> impl Strategy<Value = Part> {
    let own = |kind: &str| {
        let kind = serde_json::Map::from_iter([("type".to_owned(), json!(kind))]);
        [("anthropic".to_owned(), kind)].into_iter().collect()
    };
    prop_oneof![
        ".{0,12}".prop_map(Part::text),
        (".{0,12}", ".{1,8}").prop_map(|(text, signature)| Part::Reasoning(Reasoning {
            text,
            signature: Some(signature),
            ..Reasoning::default()
        })),
        ".{1,12}".prop_map(|data| Part::Reasoning(Reasoning {
            encrypted: Some(data),
            ..Reasoning::default()
        })),
        ("[a-z]{1,6}", ".{0,6}", any::<bool>()).prop_map(move |(name, text, hosted)| {
            Part::ToolCall(ToolCall {
                id: format!("toolu_{name}"),
                arguments: json!({"a": text}).to_string(),
                name,
                hosted,
                extras: if hosted { own("server_tool_use") } else { Default::default() },
            })
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_answer_comes_back_from_a_stream_and_from_a_body(
        content in proptest::collection::vec(part(), 0..6),
        counts in proptest::array::uniform6(0..1_000_000u64),
        length: bool,
    ) {
        let [input, output, cache_read, cache_write_5m, cache_write_1h, reasoning] = counts;
        let usage = Usage { input, output, cache_read, cache_write_5m, cache_write_1h, reasoning, ..Usage::default() };
        let calls = content.iter().any(|part| matches!(part, Part::ToolCall(call) if !call.hosted));
        let (word, reason) = match (length, calls) {
            (true, _) => ("max_tokens", FinishReason::Length),
            (false, true) => ("tool_use", FinishReason::ToolCalls),
            (false, false) => ("end_turn", FinishReason::Stop),
        };
        let answer = GenerateResponse {
            finish: tollgate_types::Finish { reason, raw: Some(word.into()) },
            usage,
            origin: Origin { api: API.into(), provider: "p".into(), model: "claude-x".into(), response_id: Some("msg_1".into()) },
            ..foreign(content, reason)
        };
        prop_assert_eq!(&decode(&written(answer.clone())).unwrap(), &answer);
        let body = encode_reply(&answer, &head()).to_string();
        prop_assert_eq!(decode_reply(body.as_bytes(), "p").unwrap(), answer);
    }

    #[test]
    fn no_input_makes_the_codec_panic(text in ".{0,60}", at in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>()) {
        drop(decode_reply(text.as_bytes(), "p"));
        let mut payloads = stream();
        let place = at.index(payloads.len());
        let odd = payloads[place].replace(['0', '"'], if text.len() % 2 == 0 { "" } else { "7" });
        payloads[place] = if text.len() % 3 == 0 { odd } else { text };
        drop(decode(&payloads));
        let mut swapped = stream();
        let (a, b) = (at.index(swapped.len()), cut.index(swapped.len()));
        swapped.swap(a, b);
        drop(decode(&swapped));
    }
}
