//! Answers in Google's format, whole and streamed, read and written.
#![cfg(test)]

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate::dialects::google::{StreamDecoder, StreamEncoder, decode_reply, encode_reply};
use tollgate::dialects::stream::{Decoder, ReplyHead};
use tollgate_types::{
    Citation, ErrorKind, FinishReason, Fold, GenerateResponse, Origin, Part, Result, StreamEvent,
    Text, Usage, events_of,
};

fn head() -> ReplyHead {
    ReplyHead { id: "r1".into(), created_s: 5, model: "gemini-x".into() }
}

fn chunk(parts: Value, more: Value) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    candidate.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"candidates": [candidate], "modelVersion": "gemini-x", "responseId": "r1",
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11}})
}

/// A stream with thoughts, text, signatures, two calls, log-probabilities and growing usage.
fn stream() -> Vec<String> {
    let mut last = chunk(
        json!([{"functionCall": {"name": "add", "args": {"a": 1}}, "thoughtSignature": "cw=="},
            {"functionCall": {"id": "x7", "name": "sub", "args": {}}}]),
        json!({"finishReason": "STOP", "finishMessage": "calls"}),
    );
    last["usageMetadata"] = json!({"promptTokenCount": 9, "cachedContentTokenCount": 4, "candidatesTokenCount": 5,
        "thoughtsTokenCount": 2, "totalTokenCount": 16});
    let odds = json!({"logprobsResult": {"chosenCandidates": [{"token": "ße", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "ss", "logProbability": -1.5}]}]}});
    [
        chunk(json!([{"text": "Hm", "thought": true}]), json!({})),
        chunk(json!([{"text": "m.", "thought": true}]), json!({})),
        chunk(json!([{"text": "Grö"}]), json!({})),
        chunk(json!([{"text": "ße"}]), odds),
        chunk(json!([{"text": "", "thoughtSignature": "ZQ=="}]), json!({})),
        last,
    ]
    .iter()
    .map(Value::to_string)
    .collect()
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

fn whole() -> Value {
    json!({"candidates": [{"content": {"parts": [
            {"text": "Hmm.", "thought": true}, {"text": "Größe"}, {"text": "", "thoughtSignature": "ZQ=="},
            {"functionCall": {"name": "add", "args": {"a": 1}}, "thoughtSignature": "cw=="},
            {"functionCall": {"id": "x7", "name": "sub", "args": {}}}], "role": "model"},
            "logprobsResult": {"topCandidates": [{"candidates": [{"token": "ss", "logProbability": -1.5}]}],
                "chosenCandidates": [{"token": "ße", "logProbability": -0.5}]},
            "finishReason": "STOP", "index": 0, "finishMessage": "calls"}],
        "usageMetadata": {"promptTokenCount": 9, "cachedContentTokenCount": 4, "candidatesTokenCount": 5,
            "thoughtsTokenCount": 2, "totalTokenCount": 16},
        "modelVersion": "gemini-x", "responseId": "r1"})
}

fn read(body: &Value) -> GenerateResponse {
    decode_reply(body.to_string().as_bytes(), "p").unwrap()
}

/// An answer without the ids that were made up for it.
fn without_made_up_ids(mut answer: Value) -> Value {
    for part in answer["candidates"][0]["content"]["parts"].as_array_mut().unwrap() {
        let made_up =
            part["functionCall"]["id"].as_str().is_some_and(|id| id.starts_with("gcall_"));
        if made_up {
            part["functionCall"].as_object_mut().unwrap().remove("id");
        }
    }
    answer
}

#[test]
fn a_stream_folds_to_what_the_whole_answer_says() {
    let streamed = decode(&stream()).unwrap();
    let read = read(&whole());
    assert_eq!(streamed.content.len(), 5);
    let odds = |answer: &GenerateResponse| match &answer.content[1] {
        Part::Text(text) => text.logprobs.clone(),
        _ => vec![],
    };
    assert_eq!(odds(&streamed), odds(&read));
    assert_eq!(streamed, read);
    assert_eq!(read.finish.reason, FinishReason::ToolCalls);
    let expected = Usage { input: 5, cache_read: 4, output: 5, reasoning: 2, ..Usage::default() };
    assert_eq!(read.usage, expected);
    let ids: Vec<&str> = read.tool_calls().map(|call| call.id.as_str()).collect();
    assert!(ids[0].starts_with("gcall_") && ids[1] == "x7");
    assert_eq!(without_made_up_ids(encode_reply(&read, &head())), whole());
    let array = Value::Array(stream().iter().map(|c| serde_json::from_str(c).unwrap()).collect());
    assert_eq!(self::read(&array), read);
}

#[test]
fn a_written_stream_reads_back_as_the_same_answer() {
    let answer = decode(&stream()).unwrap();
    for events in [events_of(answer.clone()), events_of_stream()] {
        let mut encoder = StreamEncoder::new(head());
        let payloads: Vec<String> =
            events.iter().flat_map(|event| encoder.push(event)).map(|c| c.to_string()).collect();
        assert_eq!(decode(&payloads).unwrap(), answer);
    }
}

fn events_of_stream() -> Vec<StreamEvent> {
    let mut decoder = StreamDecoder::new("p");
    let mut events: Vec<StreamEvent> =
        stream().iter().flat_map(|payload| decoder.push(payload).unwrap()).collect();
    events.extend(decoder.end().unwrap());
    events
}

#[test]
fn every_truncation_is_an_error_and_never_a_short_success() {
    let payloads = stream();
    for end in 0..payloads.len() {
        let error = decode(&payloads[..end]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StreamInterrupted, "after {end} chunks");
        let array: Vec<Value> =
            payloads[..end].iter().map(|c| serde_json::from_str(c).unwrap()).collect();
        assert!(decode_reply(Value::Array(array).to_string().as_bytes(), "p").is_err());
    }
    for payload in &payloads {
        for cut in (1..payload.len()).filter(|cut| payload.is_char_boundary(*cut)) {
            assert!(StreamDecoder::new("p").push(&payload[..cut]).is_err());
        }
    }
}

#[test]
fn the_end_is_announced_when_the_reason_comes() {
    let mut decoder = StreamDecoder::new("p");
    for (n, payload) in stream().iter().enumerate() {
        decoder.push(payload).unwrap();
        assert_eq!(decoder.is_closing(), n == 5, "chunk {n}");
        assert!(!decoder.is_done());
    }
    let mut two = StreamDecoder::new("p");
    let second = json!({"candidates": [{"index": 1, "content": {"parts": [{"text": "b"}]}}]});
    let events = two.push(&second.to_string()).unwrap();
    assert!(matches!(events.last(), Some(StreamEvent::Raw { value, .. }) if value["index"] == 1));
    two.push(&chunk(json!([{"text": "a"}]), json!({"finishReason": 1})).to_string()).unwrap();
    assert!(!two.is_closing(), "the second candidate goes on");
    let end = json!({"candidates": [{"index": 1, "finishReason": "STOP"}]});
    two.push(&end.to_string()).unwrap();
    assert!(two.is_closing());
}

#[test]
fn arguments_in_pieces_become_one_call() {
    let piece = |call: Value| chunk(json!([{"functionCall": call}]), json!({})).to_string();
    let mut last = json!({"candidates": [{"finishReason": "STOP"}]}).to_string();
    let pieces = [
        piece(json!({"name": "cook", "willContinue": true})),
        piece(
            json!({"partialArgs": [{"jsonPath": "$.steps[0].text", "stringValue": "Cu", "willContinue": true}], "willContinue": true}),
        ),
        piece(
            json!({"partialArgs": [{"jsonPath": "$.steps[0].text", "stringValue": "t"}], "willContinue": true}),
        ),
        piece(
            json!({"partialArgs": [{"jsonPath": "$.n", "numberValue": 2}], "willContinue": true}),
        ),
        piece(json!({})),
        piece(json!({"name": "serve", "args": {}})),
        std::mem::take(&mut last),
    ];
    let answer = decode(&pieces).unwrap();
    let calls: Vec<(&str, Value)> =
        answer.tool_calls().map(|call| (call.name.as_str(), call.parse().unwrap())).collect();
    let cooked = json!({"steps": [{"text": "Cut"}], "n": 2});
    assert_eq!(calls, [("cook", cooked), ("serve", json!({}))]);
    let unfinished = [pieces[0].clone(), pieces[6].clone()];
    assert_eq!(decode(&unfinished).unwrap().tool_calls().next().unwrap().arguments, "{}");
    let hostile = piece(
        json!({"name": "x", "partialArgs": [{"jsonPath": "$[9999999999]", "stringValue": ""}]}),
    );
    assert_eq!(decode(&[hostile]).unwrap_err().kind(), ErrorKind::Protocol);
}

#[test]
fn answers_without_content_say_why() {
    let finish = |body: Value| read(&body).finish;
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY", "safetyRatings": []},
        "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 0, "totalTokenCount": 4},
        "modelVersion": "gemini-x", "responseId": "r1"});
    assert_eq!(finish(blocked.clone()).reason, FinishReason::ContentFilter);
    assert_eq!(encode_reply(&read(&blocked), &head()), blocked);
    let mut encoder = StreamEncoder::new(head());
    let chunks: Vec<Value> =
        events_of(read(&blocked)).iter().flat_map(|e| encoder.push(e)).collect();
    assert_eq!(chunks, std::slice::from_ref(&blocked));
    assert!(decode(&[blocked.to_string()]).is_ok(), "a stream of it is complete");
    for (reason, expected) in [
        (json!("MAX_TOKENS"), FinishReason::Length),
        (json!(3), FinishReason::ContentFilter),
        (json!("MALFORMED_FUNCTION_CALL"), FinishReason::Other),
        (Value::Null, FinishReason::Other),
    ] {
        let answer = read(&json!({"candidates": [{"finishReason": reason}]}));
        assert!(answer.content.is_empty());
        assert_eq!(answer.finish.reason, expected);
    }
    for nothing in ["{}", "[]", "7", "<html>"] {
        assert!(decode_reply(nothing.as_bytes(), "p").is_err(), "{nothing}");
    }
}

#[test]
fn errors_inside_a_stream_are_errors_and_what_came_before_is_kept() {
    let mut decoder = StreamDecoder::new("p");
    let first = chunk(json!([{"text": "First"}]), json!({"finishReason": "STOP"}));
    assert!(!decoder.push(&first.to_string()).unwrap().is_empty());
    let broken = r#"{"error": {"code": 499, "message": "stopped", "status": "CANCELLED"}}"#;
    assert_eq!(decoder.push(broken).unwrap_err().kind(), ErrorKind::Cancelled);
    let busy = r#"{"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}"#;
    let array = format!("[{first},{busy}]");
    assert_eq!(decode_reply(array.as_bytes(), "p").unwrap_err().kind(), ErrorKind::Overloaded);
    let mut both = first;
    both["error"] = json!({"code": 500, "message": "gone", "status": "INTERNAL"});
    let mut decoder = StreamDecoder::new("p");
    assert!(!decoder.push(&both.to_string()).unwrap().is_empty());
    assert_eq!(decoder.end().unwrap_err().kind(), ErrorKind::Upstream);
}

#[test]
fn usage_is_cumulative_and_a_count_left_out_is_not_taken_back() {
    let counted = |usage: Value| json!({"candidates": [{}], "usageMetadata": usage}).to_string();
    let payloads = [
        counted(json!({"promptTokenCount": 10, "candidatesTokenCount": 5})),
        counted(
            json!({"promptTokenCount": 12, "candidatesTokenCount": 9, "toolUsePromptTokenCount": 3}),
        ),
        counted(json!({"promptTokenCount": 14})),
        json!({"candidates": [{"finishReason": "STOP"}]}).to_string(),
    ];
    assert_eq!(decode(&payloads).unwrap().usage, Usage::tokens(17, 9));
}

#[test]
fn what_has_no_common_meaning_is_kept_and_goes_back() {
    let body = json!({"candidates": [{"content": {"parts": [
            {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "cw=="},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
            {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "AAAA"}},
            {"text": "Done.", "thoughtSignature": "dA=="}], "role": "model"},
            "finishReason": "STOP", "index": 0, "avgLogprobs": -0.25,
            "safetyRatings": [{"category": "C", "probability": "LOW"}],
            "groundingMetadata": {"webSearchQueries": ["q"], "groundingChunks": [{"web": {"uri": "https://a.example"}}],
                "groundingSupports": [{"segment": {"endIndex": 5, "text": "Done."}, "groundingChunkIndices": [0]}]}}],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3, "trafficType": "ON_DEMAND"},
        "modelVersion": "gemini-x", "responseId": "r1", "createTime": "2026-01-01T00:00:00Z"});
    let answer = read(&body);
    assert_eq!(encode_reply(&answer, &head()), body);
    let Some(Part::Text(Text { citations, .. })) = answer.content.last() else { panic!("no text") };
    assert_eq!(citations[0].span, Some((0, 5)));
    let mut encoder = StreamEncoder::new(head());
    let payloads: Vec<String> = events_of(answer.clone())
        .iter()
        .flat_map(|event| encoder.push(event))
        .map(|c| c.to_string())
        .collect();
    assert_eq!(decode(&payloads).unwrap(), answer);
}

#[test]
fn another_providers_answer_is_told_in_googles_way() {
    let mut answer = GenerateResponse {
        content: vec![
            Part::Text(Text {
                text: "It is 5 m.".into(),
                citations: vec![Citation {
                    url: Some("https://a.example".into()),
                    span: Some((6, 9)),
                    ..Citation::default()
                }],
                ..Text::default()
            }),
            Part::tool_call("call_1", "add", "{\"a\":1}"),
        ],
        finish: FinishReason::ToolCalls.into(),
        usage: Usage::tokens(3, 4),
        origin: Origin { api: "openai.chat".into(), ..Origin::default() },
        warnings: vec![],
        extras: Default::default(),
        receipt: None,
    };
    let written = encode_reply(&answer, &head());
    let candidate = &written["candidates"][0];
    assert_eq!(candidate["finishReason"], "STOP");
    assert_eq!(candidate["content"]["parts"][1]["functionCall"]["id"], "call_1");
    let support = &candidate["groundingMetadata"]["groundingSupports"][0];
    assert_eq!(support["segment"], json!({"startIndex": 6, "endIndex": 9, "text": "5 m"}));
    // A call that was cut off must not be run.
    answer.content[1] = Part::tool_call("call_1", "add", "{\"a\":");
    let broken = encode_reply(&answer, &head());
    assert_eq!(broken["candidates"][0]["finishReason"], "MALFORMED_FUNCTION_CALL");
    assert_eq!(broken["candidates"][0]["content"]["parts"].as_array().unwrap().len(), 1);
    answer.finish = FinishReason::Length.into();
    assert_eq!(encode_reply(&answer, &head())["candidates"][0]["finishReason"], "MAX_TOKENS");
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
        let mut payloads: Vec<String> =
            pieces.map(|piece| chunk(json!([{"text": piece}]), json!({})).to_string()).collect();
        payloads.push(chunk(json!([]), json!({"finishReason": "STOP"})).to_string());
        let whole = read(&chunk(json!([{"text": text}]), json!({"finishReason": "STOP"})));
        prop_assert_eq!(decode(&payloads).unwrap(), whole);
    }

    #[test]
    fn written_answers_read_back(parts in proptest::collection::vec(part(), 0..5)) {
        let body = chunk(json!(parts), json!({"finishReason": "STOP"}));
        let answer = read(&body);
        prop_assert_eq!(&read(&encode_reply(&answer, &head())), &answer);
        let mut encoder = StreamEncoder::new(head());
        let payloads: Vec<String> = events_of(answer.clone())
            .iter().flat_map(|event| encoder.push(event)).map(|c| c.to_string()).collect();
        prop_assert_eq!(decode(&payloads).unwrap(), answer);
    }

    #[test]
    fn no_answer_makes_the_codec_panic(text in ".{0,60}", at in any::<prop::sample::Index>()) {
        drop(decode_reply(text.as_bytes(), "p"));
        let mut payloads = stream();
        let at = at.index(payloads.len());
        payloads[at] = text.clone();
        drop(decode(&payloads));
        let odd = json!({"candidates": [{"content": {"parts": [text, {"functionCall": text}]}, "finishReason": {}}]});
        drop(decode_reply(odd.to_string().as_bytes(), "p"));
    }
}

fn part() -> impl Strategy<Value = Value> {
    let text = ".{1,9}";
    prop_oneof![
        text.prop_map(|text| json!({"text": text})),
        (".{0,9}", "[a-z]{1,6}")
            .prop_map(|(text, sign)| json!({"text": text, "thoughtSignature": sign})),
        text.prop_map(|text| json!({"text": text, "thought": true})),
        ("[a-z]{1,6}", text).prop_map(|(name, text)| {
            json!({"functionCall": {"id": format!("id-{name}"), "name": name, "args": {"a": text}}})
        }),
        text.prop_map(|data| json!({"inlineData": {"mimeType": "image/png", "data": data}})),
        text.prop_map(|text| json!({"executableCode": {"code": text}})),
    ]
}
