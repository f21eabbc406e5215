//! Answers in OpenAI's format, whole and streamed, read and written.
#![cfg(test)]

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate::dialects::openai::{
    StreamDecoder, StreamEncoder, decode_chat, decode_reply, encode_reply,
};
use tollgate::dialects::stream::{Decoder, ReplyHead};
use tollgate_types::{
    ErrorKind, FinishReason, Fold, GenerateResponse, Part, Result, StreamEvent, events_of,
};

/// A stream with reasoning, text, two calls side by side, log-probabilities and late usage.
fn stream() -> Vec<String> {
    let chunk = |delta: Value, reason: Value| {
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "gpt-x-2026",
            "system_fingerprint": "fp", "obfuscation": "xyz", "usage": null,
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}]})
        .to_string()
    };
    let call = |index: u32, rest: Value| {
        let mut call = json!({"index": index});
        call.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!({"tool_calls": [call]})
    };
    let args = |text: &str| json!({"function": {"arguments": text}});
    vec![
        chunk(json!({"role": "assistant", "content": ""}), Value::Null),
        chunk(json!({"reasoning_content": "Hm"}), Value::Null),
        chunk(json!({"reasoning_content": "m."}), Value::Null),
        json!({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"content": "Grö"}, "finish_reason": null,
            "logprobs": {"content": [{"token": "Grö", "logprob": -0.5, "bytes": [71], "top_logprobs": []}]}}]})
        .to_string(),
        chunk(json!({"content": "ße"}), Value::Null),
        chunk(call(0, json!({"id": "c1", "type": "function", "function": {"name": "add", "arguments": ""}})), Value::Null),
        chunk(call(0, args("{\"a\":")), Value::Null),
        chunk(call(1, json!({"id": "c2", "type": "function", "function": {"name": "sub", "arguments": "{"}})), Value::Null),
        chunk(call(0, args("1}")), Value::Null),
        chunk(call(1, args("}")), Value::Null),
        chunk(json!({}), json!("tool_calls")),
        json!({"id": "chatcmpl-1", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 7,
            "total_tokens": 16, "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 2}}})
        .to_string(),
        "[DONE]".to_owned(),
    ]
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

#[test]
fn a_stream_folds_to_what_the_whole_answer_says() {
    let streamed = decode(&stream()).unwrap();
    let whole = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 5, "model": "gpt-x-2026",
        "system_fingerprint": "fp",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant",
            "reasoning_content": "Hmm.", "content": "Größe", "refusal": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{\"a\":1}"}},
                {"id": "c2", "type": "function", "function": {"name": "sub", "arguments": "{}"}}]},
            "logprobs": {"content": [{"token": "Grö", "logprob": -0.5, "bytes": [71], "top_logprobs": []}], "refusal": null}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16,
            "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2}}});
    let read = decode_reply(whole.to_string().as_bytes(), "p").unwrap();
    assert_eq!(streamed, read);
    assert_eq!((read.usage.input, read.usage.cache_read, read.usage.output), (5, 4, 5));

    let head = ReplyHead { id: "chatcmpl-1".into(), created_s: 5, model: "gpt-x-2026".into() };
    let written = encode_reply(&read, &head);
    assert_eq!(written["choices"], whole["choices"]);
    assert_eq!(decode_reply(written.to_string().as_bytes(), "p").unwrap(), read);
}

#[test]
fn every_truncation_is_an_error_and_never_a_short_success() {
    let payloads = stream();
    let finished = payloads.len() - 2;
    for end in 0..finished {
        let error = decode(&payloads[..end]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StreamInterrupted, "after {end} chunks");
    }
    assert!(decode(&payloads[..finished]).is_ok(), "only usage and [DONE] are missing");
    for payload in &payloads[..finished] {
        for cut in (1..payload.len()).filter(|cut| payload.is_char_boundary(*cut)) {
            assert!(StreamDecoder::new("p").push(&payload[..cut]).is_err());
        }
    }
}

#[test]
fn a_written_stream_reads_back_as_the_same_answer() {
    let answer = decode(&stream()).unwrap();
    let head = ReplyHead { id: "chatcmpl-1".into(), created_s: 5, model: "gpt-x-2026".into() };
    let mut encoder = StreamEncoder::new(head.clone(), true);
    let mut payloads: Vec<String> = events_of(answer.clone())
        .iter()
        .flat_map(|event| encoder.push(event))
        .map(|chunk| chunk.to_string())
        .collect();
    payloads.push("[DONE]".into());
    assert_eq!(decode(&payloads).unwrap(), answer);

    let first: Value = serde_json::from_str(&payloads[0]).unwrap();
    assert_eq!(
        first,
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5,
        "model": "gpt-x-2026", "usage": null, "choices": [{"index": 0, "logprobs": null, "finish_reason": null,
            "delta": {"role": "assistant", "content": ""}}]})
    );
    let mut silent = StreamEncoder::new(head, false);
    let chunks: Vec<Value> =
        events_of(answer).iter().flat_map(|event| silent.push(event)).collect();
    assert!(
        chunks.iter().all(|chunk| chunk.get("usage").is_none() && chunk["choices"][0].is_object())
    );
}

fn one(delta: Value) -> String {
    json!({"id": "x", "model": "m", "choices": [{"delta": delta}]}).to_string()
}

fn end(reason: &str) -> String {
    json!({"choices": [{"delta": {}, "finish_reason": reason}]}).to_string()
}

fn calls(deltas: &[Value]) -> Vec<(String, String, String)> {
    let mut payloads: Vec<String> =
        deltas.iter().map(|call| one(json!({"tool_calls": [call]}))).collect();
    payloads.push(end("stop"));
    let answer = decode(&payloads).unwrap();
    assert_eq!(answer.finish.reason, FinishReason::ToolCalls);
    answer
        .tool_calls()
        .map(|call| (call.id.clone(), call.name.clone(), call.arguments.clone()))
        .collect()
}

#[test]
fn tool_calls_are_put_together_however_hosts_cut_them() {
    let f = |name: &str, args: Value| json!({"name": name, "arguments": args});
    let call = |id: &str, name: &str, args: &str| (id.to_owned(), name.to_owned(), args.to_owned());
    let repeated = [
        json!({"index": 0, "id": "a", "function": f("add", json!("{"))}),
        json!({"index": 0, "id": "a", "function": f("add", json!("}"))}),
    ];
    assert_eq!(calls(&repeated), [call("a", "add", "{}")]);
    let no_index = [
        json!({"id": "a", "function": f("add", json!("{"))}),
        json!({"function": {"arguments": "}"}}),
        json!({"id": "b", "function": f("sub", json!({"x": 1}))}),
    ];
    assert_eq!(calls(&no_index), [call("a", "add", "{}"), call("b", "sub", "{\"x\":1}")]);
    let reused = [
        json!({"index": 0, "id": "a", "function": f("add", json!("{}"))}),
        json!({"index": 0, "id": "b", "function": f("sub", json!("{}"))}),
    ];
    assert_eq!(calls(&reused), [call("a", "add", "{}"), call("b", "sub", "{}")]);
    let nothing = [json!({"index": 0, "id": "a", "function": f("now", json!("null"))})];
    assert_eq!(calls(&nothing), [call("a", "now", "")]);
    let in_pieces = [
        json!({"index": 0, "id": "a", "function": {"name": "get_"}}),
        json!({"index": 0, "function": {"name": "time"}}),
        json!({"index": 0, "function": {"arguments": "{}"}}),
    ];
    assert_eq!(calls(&in_pieces), [call("a", "get_time", "{}")]);
    let no_id = calls(&[json!({"index": 0, "function": f("add", json!("{}"))})]);
    assert!(no_id[0].0.starts_with("call_") && no_id[0].0.len() <= 40);
}

#[test]
fn errors_inside_a_stream_are_errors_and_what_came_before_is_kept() {
    let mut decoder = StreamDecoder::new("p");
    let both = json!({"choices": [{"delta": {"content": "Half"}}], "error": {"code": 502, "message": "gone"}});
    assert!(!decoder.push(&both.to_string()).unwrap().is_empty());
    assert_eq!(decoder.end().unwrap_err().kind(), ErrorKind::Upstream);
    let alone = r#"{"error":{"type":"insufficient_quota","message":"pay"}}"#;
    assert_eq!(StreamDecoder::new("p").push(alone).unwrap_err().kind(), ErrorKind::QuotaExceeded);
    assert_eq!(decode(&["[DONE]".into()]).unwrap_err().kind(), ErrorKind::Protocol);
}

#[test]
fn unknown_facts_of_a_stream_are_kept() {
    let mut decoder = StreamDecoder::new("p");
    let events = decoder.push(&one(json!({"content": "a", "brand_new": 1}))).unwrap();
    let raw = json!({"delta": {"brand_new": 1}});
    assert!(events.iter().any(|e| matches!(e, StreamEvent::Raw { value, .. } if *value == raw)));
    let last = json!({"service_tier": "flex", "choices": [{"finish_reason": "stop", "native_finish_reason": "X"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "cost": 0.25}});
    let answer = decode(&[one(json!({"content": "a"})), last.to_string()]).unwrap();
    let kept = json!({"choice": {"native_finish_reason": "X"}, "usage": {"cost": 0.25}, "service_tier": "flex"});
    assert_eq!(json!(answer.extras["openai"]), kept);
    let head = ReplyHead { id: "x".into(), created_s: 0, model: "m".into() };
    assert_eq!(
        decode_reply(encode_reply(&answer, &head).to_string().as_bytes(), "p").unwrap(),
        answer
    );
}

#[test]
fn refusals_lists_of_parts_and_outer_usage_are_read() {
    let parts =
        one(json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "1"}]}));
    let groq = json!({"choices": [{"delta": {"content": "44"}, "finish_reason": "stop"}],
        "x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 2}}});
    let answer = decode(&[parts, groq.to_string()]).unwrap();
    assert_eq!((answer.text().as_str(), answer.usage.total()), ("144", 5));
    assert!(matches!(&answer.content[0], Part::Reasoning(reasoning) if reasoning.text == "hm"));
    let refused =
        decode(&[one(json!({"refusal": "I "})), one(json!({"refusal": "won't"})), end("stop")])
            .unwrap();
    assert!(matches!(&refused.content[..], [Part::Refusal(refusal)] if refusal.text == "I won't"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_text_cut_anywhere_folds_to_the_same_answer(text in ".{1,40}", cuts in proptest::collection::vec(0..40usize, 0..6)) {
        let chars: Vec<char> = text.chars().collect();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % chars.len()).collect();
        cuts.extend([0, chars.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|w| chars[w[0]..w[1]].iter().collect::<String>());
        let mut payloads: Vec<String> = pieces.map(|piece| one(json!({"content": piece}))).collect();
        payloads.push(end("stop"));
        let whole = decode(&[one(json!({"content": text})), end("stop")]).unwrap();
        prop_assert_eq!(decode(&payloads).unwrap(), whole);
    }

    #[test]
    fn no_input_makes_the_codec_panic(text in ".{0,60}", at in any::<prop::sample::Index>()) {
        drop(decode_chat(text.as_bytes()));
        drop(decode_reply(text.as_bytes(), "p"));
        let mut payloads = stream();
        let at = at.index(payloads.len());
        payloads[at] = text;
        drop(decode(&payloads));
    }
}

#[test]
fn half_an_answer_is_not_whole_because_done_was_said() {
    let half = [
        r#"{"id": "c", "choices": [{"index": 0, "delta": {"content": "half an"}}]}"#.to_owned(),
        "[DONE]".to_owned(),
    ];
    assert_eq!(decode(&half).unwrap_err().kind(), ErrorKind::StreamInterrupted);
}
