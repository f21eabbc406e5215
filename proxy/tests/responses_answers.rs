//! Answers in the format of OpenAI's Responses API, whole and streamed, read and written.
#![cfg(test)]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tollgate::dialects::openai::responses::{
    Echo, ResponsesDecoder, ResponsesEncoder, ResponsesTarget, decode_response, decode_responses,
    encode_response, encode_responses, is_patchable,
};
use tollgate::dialects::stream::{Decoder, ReplyHead};
use tollgate_types::{
    Error, ErrorKind, Extras, FinishReason, Fold, GenerateResponse, Origin, Original, Part,
    Reasoning, Result, StreamEvent, ToolCall, Usage, events_of,
};

fn head() -> ReplyHead {
    ReplyHead { id: "resp_1".into(), created_s: 5, model: "gpt-x-2026".into() }
}

fn items() -> Vec<Value> {
    vec![
        json!({"id": "rs_1", "type": "reasoning", "summary": [
            {"type": "summary_text", "text": "One."}, {"type": "summary_text", "text": "Two."}],
            "encrypted_content": "gAAAA"}),
        json!({"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search"}}),
        json!({"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "phase": "commentary",
            "content": [{"type": "output_text", "text": "Größe.", "logprobs": [
                {"token": "Größe.", "logprob": -0.5, "bytes": [71], "top_logprobs": []}],
                "annotations": [{"type": "url_citation", "url": "https://a.example", "title": "A",
                    "start_index": 2, "end_index": 4}]},
                {"type": "refusal", "refusal": "I won't."}]}),
        json!({"id": "msg_2", "type": "message", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": "Done.", "logprobs": [], "annotations": []}]}),
        json!({"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "c1", "name": "add",
            "arguments": "{\"a\":1}"}),
        json!({"id": "ctc_1", "type": "custom_tool_call", "status": "completed", "call_id": "c2", "name": "run",
            "input": "ls -l"}),
        json!({"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "AAAA"}),
    ]
}

fn response(status: &str, output: Vec<Value>) -> Value {
    json!({"id": "resp_1", "object": "response", "created_at": 5, "status": status, "error": null,
        "incomplete_details": null, "model": "gpt-x-2026", "output": output, "instructions": null,
        "service_tier": "default", "tools": [], "temperature": 1.0, "text": {"format": {"type": "text"}},
        "usage": {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
            "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 16}})
}

fn event(kind: &str, fields: Value) -> String {
    let mut event = json!({"type": kind, "sequence_number": 0});
    event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    event.to_string()
}

/// A stream in which every kind of item grows, with what real hosts put between.
fn stream() -> Vec<String> {
    let mut begun = response("in_progress", vec![]);
    begun["usage"] = Value::Null;
    let mut events =
        vec![event("response.created", json!({"response": begun})), event("keepalive", json!({}))];
    for (n, item) in items().into_iter().enumerate() {
        let at = |mut fields: Value| {
            fields["output_index"] = json!(n);
            fields["item_id"] = item["id"].clone();
            fields["obfuscation"] = json!("xx");
            fields
        };
        let mut added = item.clone();
        for (key, empty) in [
            ("summary", json!([])),
            ("content", json!([])),
            ("arguments", json!("")),
            ("input", json!("")),
        ] {
            if added.get(key).is_some() {
                added[key] = empty;
            }
        }
        added["status"] = json!("in_progress");
        events.push(event("response.output_item.added", at(json!({"item": added}))));
        let summary = item["summary"].as_array().into_iter().flatten();
        for (k, piece) in summary.enumerate() {
            let delta = json!({"summary_index": k, "delta": piece["text"]});
            events.push(event("response.reasoning_summary_text.delta", at(delta)));
        }
        for (k, part) in item["content"].as_array().into_iter().flatten().enumerate() {
            let text = part.get("text");
            let kind = if text.is_some() {
                "response.output_text.delta"
            } else {
                "response.refusal.delta"
            };
            let words = text.unwrap_or(&part["refusal"]).as_str().unwrap();
            for piece in words.split_inclusive(|c: char| !c.is_ascii()) {
                events.push(event(kind, at(json!({"content_index": k, "delta": piece}))));
            }
        }
        for (key, kind) in [
            ("arguments", "response.function_call_arguments"),
            ("input", "response.custom_tool_call_input"),
        ] {
            if let Some(text) = item.get(key).and_then(Value::as_str) {
                let (first, rest) = text.split_at(2);
                events.push(event(&format!("{kind}.delta"), at(json!({"delta": first}))));
                events.push(event(&format!("{kind}.delta"), at(json!({"delta": rest}))));
                events.push(event(&format!("{kind}.done"), at(json!({key: text}))));
            }
        }
        events.push(event("response.output_item.done", at(json!({"item": item}))));
    }
    events.push(event("response.completed", json!({"response": response("completed", items())})));
    events
}

fn fold(events: Vec<StreamEvent>) -> Result<GenerateResponse> {
    let mut fold = Fold::new();
    for event in events {
        fold.push(event)?;
    }
    fold.finish()
}

fn decode(payloads: &[String]) -> Result<GenerateResponse> {
    let mut decoder = ResponsesDecoder::new("p");
    let mut events = Vec::new();
    for payload in payloads {
        events.extend(decoder.push(payload)?);
    }
    events.extend(decoder.end()?);
    fold(events)
}

fn whole(value: &Value) -> GenerateResponse {
    decode_response(value.to_string().as_bytes(), "p").unwrap()
}

fn written(answer: &GenerateResponse) -> Vec<Value> {
    let mut encoder = ResponsesEncoder::new(head(), Echo::default());
    events_of(answer.clone()).iter().flat_map(|event| encoder.push(event)).collect()
}

#[test]
fn a_stream_folds_to_what_the_whole_answer_says() {
    let streamed = decode(&stream()).unwrap();
    let read = whole(&response("completed", items()));
    assert_eq!(streamed, read);
    assert_eq!((read.text().as_str(), read.usage.cache_read), ("Größe.Done.", 4));
    assert_eq!((read.usage.output, read.usage.tool_fees["web_search"]), (5, 1));
    assert_eq!(read.finish.reason, FinishReason::ToolCalls);
    assert!(matches!(&read.content[2], Part::Text(text) if text.citations[0].span == Some((2, 6))));
    let back = encode_response(&read, &head(), &Echo::default());
    assert_eq!(back["output"], json!(items()));
    assert_eq!(
        (&back["usage"], &back["service_tier"]),
        (&response("", vec![])["usage"], &json!("default"))
    );
    assert_eq!(whole(&back), read);
}

#[test]
fn items_come_from_deltas_and_their_own_ends_where_the_last_event_has_none() {
    let mut payloads = stream();
    *payloads.last_mut().unwrap() =
        event("response.completed", json!({"response": response("completed", vec![])}));
    let whole = whole(&response("completed", items()));
    assert_eq!(decode(&payloads).unwrap(), whole);
    let bare: Vec<String> =
        payloads.into_iter().filter(|payload| !payload.contains("output_item.done")).collect();
    let answer = decode(&bare).unwrap();
    assert_eq!(answer.text(), whole.text());
    assert_eq!(answer.tool_calls().count(), 2);
}

#[test]
fn ids_that_change_and_items_that_are_never_announced_do_no_harm() {
    let whole = whole(&response("completed", items()));
    let restless: Vec<String> = stream()
        .into_iter()
        .enumerate()
        .map(|(n, payload)| payload.replace("\"item_id\":\"", &format!("\"item_id\":\"{n}-")))
        .collect();
    assert_eq!(decode(&restless).unwrap(), whole);
    let silent: Vec<String> =
        stream().into_iter().filter(|payload| !payload.contains("output_item.added")).collect();
    assert_eq!(decode(&silent).unwrap().text(), whole.text());
}

#[test]
fn every_truncation_is_an_error_and_never_a_short_success() {
    let payloads = stream();
    for end in 0..payloads.len() {
        let error = decode(&payloads[..end]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StreamInterrupted, "after {end} events");
    }
    let mut cut = payloads[..5].to_vec();
    cut.push("[DONE]".into());
    assert_eq!(decode(&cut).unwrap_err().kind(), ErrorKind::StreamInterrupted);
}

#[test]
fn what_the_deltas_did_not_say_is_added() {
    let item = &items()[3];
    let payloads = [
        event(
            "response.output_text.delta",
            json!({"output_index": 0, "content_index": 0, "delta": "Do"}),
        ),
        event("response.output_item.done", json!({"output_index": 0, "item": item})),
        event("response.completed", json!({"response": response("completed", vec![])})),
    ];
    assert_eq!(decode(&payloads).unwrap().text(), "Done.");
}

#[test]
fn statuses_become_reasons_and_go_back() {
    let cases = [
        ("completed", Value::Null, FinishReason::Stop),
        ("incomplete", json!({"reason": "max_output_tokens"}), FinishReason::Length),
        ("incomplete", json!({"reason": "content_filter"}), FinishReason::ContentFilter),
        ("incomplete", json!({"reason": "brand_new"}), FinishReason::Other),
        ("queued", Value::Null, FinishReason::Pause),
        ("in_progress", Value::Null, FinishReason::Pause),
        ("cancelled", Value::Null, FinishReason::Cancelled),
    ];
    for (status, details, reason) in cases {
        let mut body = response(status, vec![items()[3].clone()]);
        body["incomplete_details"] = details.clone();
        let answer = whole(&body);
        assert_eq!(answer.finish.reason, reason);
        let back = encode_response(&answer, &head(), &Echo::default());
        assert_eq!((&back["status"], &back["incomplete_details"]), (&json!(status), &details));
    }
    let waiting = json!({"type": "shell_call", "id": "sh", "call_id": "c", "action": {}});
    let ran = json!({"type": "shell_call_output", "call_id": "c", "output": []});
    let reason = |output| whole(&response("completed", output)).finish.reason;
    assert_eq!(reason(vec![waiting.clone()]), FinishReason::ToolCalls);
    assert_eq!(reason(vec![waiting, ran]), FinishReason::Stop);
}

#[test]
fn a_custom_call_that_nobody_offered_was_run_by_the_provider() {
    let call = json!({"id": "x", "type": "custom_tool_call", "call_id": "c", "name": "x_search", "input": "q"});
    let mut body = response("completed", vec![call]);
    body["tools"] = json!([{"type": "x_search"}]);
    let answer = whole(&body);
    assert!(matches!(&answer.content[..], [Part::ToolCall(call)] if call.hosted));
    assert_eq!(answer.finish.reason, FinishReason::Stop);
    body["tools"] = json!([{"type": "custom", "name": "x_search"}]);
    assert_eq!(whole(&body).tool_calls().count(), 1);
}

#[test]
fn an_error_is_told_once_with_what_was_used() {
    let failed = |usage: Value| {
        let mut failed = response("failed", vec![]);
        failed["usage"] = usage;
        failed["error"] = json!({"code": "insufficient_quota", "message": "pay"});
        event("response.failed", json!({"response": failed}))
    };
    let nested = json!({"error": {"type": "insufficient_quota", "code": "insufficient_quota", "message": "pay"}});
    let flat = json!({"code": "insufficient_quota", "message": "pay", "param": null});
    let begun = stream().remove(0);
    for told in [event("error", nested), event("error", flat), failed(Value::Null)] {
        let mut decoder = ResponsesDecoder::new("p");
        decoder.push(&begun).unwrap();
        let error = decoder.push(&told).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::QuotaExceeded, "pay"));
        assert!(decoder.is_done() && decoder.push(&failed(Value::Null)).unwrap().is_empty());
        assert!(decoder.end().unwrap().is_empty());
    }
    let mut decoder = ResponsesDecoder::new("p");
    let events = decoder.push(&failed(json!({"input_tokens": 3, "output_tokens": 1}))).unwrap();
    assert!(matches!(events.last(), Some(StreamEvent::Usage { usage }) if usage.total() == 4));
    assert!(decoder.is_closing());
    assert_eq!(decoder.end().unwrap_err().kind(), ErrorKind::QuotaExceeded);
    let mut unary = response("failed", vec![]);
    unary["error"] = json!({"code": "server_error", "message": "sorry"});
    let error = decode_response(unary.to_string().as_bytes(), "p").unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Upstream, "sorry"));
}

#[test]
fn unknown_events_and_facts_are_kept() {
    let searching = json!({"output_index": 1, "item_id": "ws_1"});
    let mut decoder = ResponsesDecoder::new("p");
    let events = decoder.push(&event("response.web_search_call.searching", searching)).unwrap();
    assert!(matches!(&events[..], [StreamEvent::Start { .. }, StreamEvent::Raw { .. }]));
    let mut body = response("completed", vec![items()[3].clone()]);
    body["usage"]["cost"] = json!(0.5);
    body["moderation"] = json!({"flagged": false});
    let answer = whole(&body);
    let kept = json!({"usage": {"cost": 0.5}, "service_tier": "default", "moderation": {"flagged": false}});
    assert_eq!(json!(answer.extras["openai_responses"]), kept);
    assert_eq!(whole(&encode_response(&answer, &head(), &Echo::default())), answer);
}

#[test]
fn the_events_of_a_foreign_answer_are_what_the_sdks_expect() {
    let text = Part::text("Hello");
    let reasoning = Part::Reasoning(Reasoning { text: "Hm".into(), ..Reasoning::default() });
    let answer = GenerateResponse {
        content: vec![reasoning, text, Part::tool_call("c1", "add", "{}")],
        finish: FinishReason::ToolCalls.into(),
        usage: Usage::tokens(3, 4),
        origin: Origin { api: "llama".into(), ..Origin::default() },
        warnings: vec![],
        extras: Extras::new(),
        receipt: None,
    };
    let events = written(&answer);
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let expected = "created in_progress output_item.added reasoning_summary_part.added \
        reasoning_summary_text.delta reasoning_summary_text.done reasoning_summary_part.done \
        output_item.done output_item.added content_part.added output_text.delta output_text.done \
        content_part.done output_item.done output_item.added function_call_arguments.delta \
        function_call_arguments.done output_item.done completed";
    let expected: Vec<String> =
        expected.split_whitespace().map(|kind| format!("response.{kind}")).collect();
    assert_eq!(kinds, expected);
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], n);
    }
    let last = &events.last().unwrap()["response"];
    let ids: Vec<&str> = last["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["rs_1_0", "msg_1_1", "fc_1_2"]);
    assert_eq!((&last["status"], &last["tool_choice"]), (&json!("completed"), &json!("auto")));
    assert_eq!(last["usage"]["total_tokens"], 7);
}

#[test]
fn the_answer_repeats_what_the_request_asked_for() {
    let body = json!({"model": "m", "input": "hi", "temperature": 0.5, "instructions": "Be brief.",
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}, "verbosity": "low"},
        "tools": [{"type": "web_search"}], "metadata": {"k": "v"}});
    let call = decode_responses(body.to_string().as_bytes()).unwrap();
    let mut answer = whole(&response("completed", vec![]));
    answer.extras.clear();
    let written = encode_response(&answer, &head(), &call.echo);
    for key in ["temperature", "instructions", "text", "tools", "metadata"] {
        assert_eq!(written[key], body[key], "{key}");
    }
    assert_eq!((&written["store"], &written["truncation"]), (&json!(false), &json!("disabled")));
}

#[test]
fn a_broken_answer_ends_with_both_events_that_clients_look_at() {
    let mut encoder = ResponsesEncoder::new(head(), Echo::default());
    let answer = whole(&response("completed", vec![items()[3].clone()]));
    for event in &events_of(answer)[..3] {
        encoder.push(event);
    }
    let error = Error::new(ErrorKind::RateLimited, "slow down");
    let events = encoder.error(&error);
    let events = &events[events.len() - 2..];
    assert_eq!(said_in(&events[1]["response"]), "Done.");
    assert_eq!(events[0]["type"], "error");
    assert_eq!(events[0]["error"]["code"], "rate_limit_exceeded");
    assert_eq!(events[0]["message"], "slow down");
    assert_eq!(events[1]["type"], "response.failed");
    assert_eq!(events[1]["response"]["status"], "failed");
    assert_eq!(events[1]["response"]["error"]["code"], "rate_limit_exceeded");
}

fn said_in(response: &Value) -> &str {
    response["output"][0]["content"][0]["text"].as_str().unwrap()
}

#[test]
fn half_a_call_is_shown_but_never_announced_as_whole() {
    let mut encoder = ResponsesEncoder::new(head(), Echo::default());
    let start =
        StreamEvent::Start { origin: Origin::default(), request_id: None, warnings: vec![] };
    encoder.push(&start);
    encoder.push(&StreamEvent::PartStart { index: 0, part: Part::tool_call("c", "add", "{\"a") });
    let finish = StreamEvent::Finish {
        finish: FinishReason::BudgetExhausted.into(),
        usage: Usage::default(),
        extras: Extras::new(),
        receipt: None,
    };
    let events = encoder.push(&finish);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["type"], "response.incomplete");
    assert_eq!(events[0]["response"]["output"][0]["status"], "incomplete");
}

/// What another vendor signed, through a client that sends the items back.
#[test]
fn what_another_vendor_signed_comes_back_and_never_reaches_openai() {
    let google = || Map::from_iter([("thoughtSignature".to_owned(), json!("sig-g"))]);
    let call = ToolCall {
        id: "c1".into(),
        name: "add".into(),
        arguments: "{}".into(),
        hosted: false,
        extras: Extras::from([("google".into(), google())]),
    };
    let mut text = Part::text("Hello");
    text.extras_mut().unwrap().insert("google".into(), google());
    let thoughts = |signature: Option<&str>, encrypted: Option<&str>| {
        Part::Reasoning(Reasoning {
            text: signature.map(|_| "Hm").unwrap_or_default().into(),
            signature: signature.map(str::to_owned),
            encrypted: encrypted.map(str::to_owned),
            extras: Extras::new(),
        })
    };
    let content =
        vec![thoughts(Some("sig"), None), thoughts(None, Some("enc")), text, Part::ToolCall(call)];
    let answer = GenerateResponse {
        content: content.clone(),
        finish: FinishReason::ToolCalls.into(),
        usage: Usage::default(),
        origin: Origin { api: "google.generate_content".into(), ..Origin::default() },
        warnings: vec![],
        extras: Extras::new(),
        receipt: None,
    };
    let mut input =
        encode_response(&answer, &head(), &Echo::default())["output"].as_array().unwrap().clone();
    input.push(json!({"type": "function_call_output", "call_id": "c1", "output": "2"}));
    let body = json!({"model": "m", "input": input}).to_string();
    let mut request = decode_responses(body.as_bytes()).unwrap().request;
    let turn = &mut request.messages[0];
    assert_eq!(turn.origin.as_ref().unwrap().api, "google.generate_content");
    for part in &mut turn.content {
        part.extras_mut().unwrap().remove("openai_responses");
    }
    assert_eq!(turn.content, content);

    let original = Original {
        api: "openai.responses",
        body: body.clone().into(),
        headers: vec![],
        streamed: false,
    };
    assert!(!is_patchable(&original));
    let request = decode_responses(body.as_bytes()).unwrap().request;
    let target = ResponsesTarget { model: "m", stream: false };
    let sent = encode_responses(&request, target).unwrap().0;
    let kinds: Vec<&Value> =
        sent["input"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["message", "function_call", "function_call_output"]);
    assert!(sent["input"][0].get("id").is_none() && !sent.to_string().contains("tollgate"));
}

fn part() -> impl Strategy<Value = Value> {
    prop_oneof![
        ".{0,9}".prop_map(|text| json!({"type": "message", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": text, "logprobs": [], "annotations": []}]})),
        ".{0,9}".prop_map(|text| json!({"type": "reasoning", "summary": [], "encrypted_content": "e",
            "content": [{"type": "reasoning_text", "text": text}]})),
        ".{0,9}".prop_map(|text| json!({"type": "function_call", "status": "completed", "call_id": "c",
            "name": "f", "arguments": text})),
        ".{0,9}".prop_map(|text| json!({"type": "code_interpreter_call", "code": text})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_written_stream_reads_back_as_the_same_answer(mut output in proptest::collection::vec(part(), 0..6)) {
        for (n, item) in output.iter_mut().enumerate() {
            item["id"] = json!(format!("id_{n}"));
        }
        let answer = whole(&response("completed", output));
        let payloads: Vec<String> = written(&answer).iter().map(Value::to_string).collect();
        prop_assert_eq!(decode(&payloads).unwrap(), answer);
    }

    #[test]
    fn no_input_makes_the_codec_panic(text in ".{0,60}", at in any::<prop::sample::Index>(), key in "[a-z_]{1,12}") {
        drop(decode_response(text.as_bytes(), "p"));
        let mut payloads = stream();
        let at = at.index(payloads.len());
        let mut bent: Value = serde_json::from_str(&payloads[at]).unwrap();
        bent[&key] = json!([text]);
        bent["output_index"] = json!(u64::MAX);
        payloads[at] = bent.to_string();
        drop(decode(&payloads));
        payloads[at] = text;
        drop(decode(&payloads));
    }
}
