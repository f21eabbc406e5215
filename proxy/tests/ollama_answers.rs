//! Answers in Ollama's format, whole and streamed, read and written.
#![cfg(test)]

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate::dialects::ollama::{
    Api, StreamDecoder, StreamEncoder, decode_embed_reply, decode_ps, decode_pull, decode_reply,
    decode_show, decode_tags, encode_embed_reply, encode_embeddings_reply, encode_error,
    encode_reply, encode_show, encode_tags,
};
use tollgate::dialects::stream::{Decoder, ReplyHead};
use tollgate_types::{
    EmbedResponse, Error, ErrorKind, Feature, FinishReason, Fold, GenerateResponse, ModelInfo,
    Part, Result, StreamEvent, Usage, events_of,
};

fn head() -> ReplyHead {
    ReplyHead { id: "r".into(), created_s: 1_700_000_000, model: "fast".into() }
}

fn decode_as(api: Api, lines: &[Value]) -> Result<GenerateResponse> {
    let mut decoder = StreamDecoder::new("p", api);
    let mut fold = Fold::new();
    for line in lines {
        for event in decoder.push(&line.to_string())? {
            fold.push(event)?;
        }
    }
    for event in decoder.end()? {
        fold.push(event)?;
    }
    fold.finish()
}

fn decode(lines: &[Value]) -> Result<GenerateResponse> {
    decode_as(Api::Chat, lines)
}

fn line(message: Value) -> Value {
    json!({"model": "qwen", "created_at": "2026-01-02T03:04:05.6Z", "message": message, "done": false})
}

fn last(more: Value) -> Value {
    let mut line = json!({"model": "qwen", "created_at": "2026-01-02T03:04:06Z",
        "message": {"role": "assistant", "content": ""}, "done": true, "done_reason": "stop"});
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line
}

fn counts() -> Value {
    json!({"total_duration": 9, "load_duration": 1, "prompt_eval_count": 7, "prompt_eval_duration": 2,
        "eval_count": 5, "eval_duration": 3})
}

/// A stream with thinking, text, two calls, log-probabilities and counts.
fn stream() -> Vec<Value> {
    let mut odds = line(json!({"role": "assistant", "content": "Grö"}));
    odds["logprobs"] =
        json!([{"token": "Grö", "logprob": -0.5, "bytes": [71], "top_logprobs": []}]);
    vec![
        line(json!({"role": "assistant", "content": "", "thinking": "Hm"})),
        line(json!({"role": "assistant", "content": "", "thinking": "m."})),
        odds,
        line(json!({"role": "assistant", "content": "ße 🦀"})),
        line(json!({"role": "assistant", "content": "", "tool_calls": [
            {"id": "c1", "function": {"index": 0, "name": "add", "arguments": {"b": 1, "a": [2.5]}}}]})),
        line(json!({"role": "assistant", "content": "", "tool_calls": [
            {"id": "c2", "function": {"index": 1, "name": "now", "arguments": {}}}]})),
        last(counts()),
    ]
}

fn whole() -> Value {
    let mut whole = last(counts());
    whole["created_at"] = "2026-01-02T03:04:05.6Z".into();
    whole["message"] = json!({"role": "assistant", "content": "Größe 🦀", "thinking": "Hmm.", "tool_calls": [
        {"id": "c1", "function": {"index": 0, "name": "add", "arguments": {"b": 1, "a": [2.5]}}},
        {"id": "c2", "function": {"index": 1, "name": "now", "arguments": {}}}]});
    whole["logprobs"] =
        json!([{"token": "Grö", "logprob": -0.5, "bytes": [71], "top_logprobs": []}]);
    whole
}

#[test]
fn a_stream_folds_to_what_the_whole_answer_says() {
    let streamed = decode(&stream()).unwrap();
    assert_eq!(streamed, decode_reply(whole().to_string().as_bytes(), "p", Api::Chat).unwrap());
    assert_eq!(streamed.text(), "Größe 🦀");
    assert_eq!(streamed.usage, Usage::tokens(7, 5));
    assert_eq!(streamed.finish.reason, FinishReason::ToolCalls);
    assert_eq!(streamed.finish.raw.as_deref(), Some("stop"));
    assert_eq!(
        (streamed.origin.api.as_str(), streamed.origin.model.as_str()),
        ("ollama.chat", "qwen")
    );
    let arguments: Vec<_> = streamed.tool_calls().map(|call| call.arguments.as_str()).collect();
    assert_eq!(arguments, [r#"{"b":1,"a":[2.5]}"#, "{}"]);
    assert_eq!(streamed.extras["ollama"]["eval_duration"], 3);
}

/// An answer without what only a wire says: when, and under which name.
fn told(answer: GenerateResponse) -> GenerateResponse {
    let origin = tollgate_types::Origin { model: String::new(), ..answer.origin };
    GenerateResponse { origin, ..answer }
}

fn encoded(api: Api, events: &[StreamEvent]) -> Vec<Value> {
    let mut encoder = StreamEncoder::new(head(), api);
    events.iter().flat_map(|event| encoder.push(event)).collect()
}

#[test]
fn what_is_written_is_read_back() {
    let answer = decode(&stream()).unwrap();
    let lines = encoded(Api::Chat, &events_of(answer.clone()));
    assert_eq!(told(decode(&lines).unwrap()), told(answer.clone()));
    let body = encode_reply(&answer, &head(), Api::Chat).to_string();
    assert_eq!(told(decode_reply(body.as_bytes(), "p", Api::Chat).unwrap()), told(answer));
    for line in &lines {
        assert_eq!(
            (line["model"].as_str(), line["created_at"].as_str()),
            (Some("fast"), Some("2023-11-14T22:13:20Z"))
        );
        assert!(line["message"]["content"].is_string() && line["done"].is_boolean(), "{line}");
    }
    assert!(lines.iter().rev().skip(1).all(|line| line["done"] == false));
}

#[test]
fn generate_says_the_same_beside_everything_else() {
    let lines = [
        json!({"model": "m", "created_at": "x", "response": "", "thinking": "Hm.", "done": false}),
        json!({"model": "m", "created_at": "x", "response": "Yes", "done": false}),
        json!({"model": "m", "created_at": "x", "response": "!", "done": true, "done_reason": "length",
            "context": [1, 2], "prompt_eval_count": 3, "eval_count": 2}),
    ];
    let answer = decode_as(Api::Generate, &lines).unwrap();
    assert_eq!((answer.text().as_str(), answer.finish.reason), ("Yes!", FinishReason::Length));
    assert!(matches!(&answer.content[0], Part::Reasoning(reasoning) if reasoning.text == "Hm."));
    assert_eq!(
        (answer.origin.api.as_str(), &answer.extras["ollama"]["context"]),
        ("ollama.generate", &json!([1, 2]))
    );
    let written = encode_reply(&answer, &head(), Api::Generate);
    assert_eq!(written["response"], "Yes!");
    assert_eq!((&written["context"], &written["done_reason"]), (&json!([1, 2]), &json!("length")));
    let again = encoded(Api::Generate, &events_of(answer.clone()));
    assert!(again.iter().all(|line| line["response"].is_string() && line.get("message").is_none()));
    assert_eq!(told(decode_as(Api::Generate, &again).unwrap()), told(answer));
}

#[test]
fn old_versions_are_read() {
    let hi = line(json!({"role": "assistant", "content": "hi", "images": null}));
    let bare = json!({"model": "m", "created_at": "x", "done": true, "eval_count": 4});
    let answer = decode(&[hi, bare]).unwrap();
    assert_eq!(
        (answer.text().as_str(), answer.finish.reason, &answer.finish.raw),
        ("hi", FinishReason::Stop, &None)
    );
    // A prompt that was cached is not counted: unknown, not zero.
    assert_eq!(answer.usage, Usage { estimated: true, ..Usage::tokens(0, 4) });
    let call = json!({"function": {"name": "now", "arguments": {}}});
    let calls = line(json!({"role": "assistant", "content": "", "tool_calls": [call, call]}));
    let answer = decode(&[calls, last(json!({}))]).unwrap();
    let ids: Vec<_> = answer.tool_calls().map(|call| call.id.clone()).collect();
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id.starts_with("call_")), "{ids:?}");
    assert_eq!(answer.finish.reason, FinishReason::ToolCalls);
    assert_eq!(answer.usage, Usage::default());
}

#[test]
fn a_model_that_was_only_loaded_says_so() {
    let load = json!({"model": "m", "created_at": "x", "message": {"role": "assistant", "content": ""},
        "done_reason": "load", "done": true});
    let answer = decode(std::slice::from_ref(&load)).unwrap();
    assert_eq!(
        (answer.finish.reason, answer.finish.raw.as_deref()),
        (FinishReason::Other, Some("load"))
    );
    assert!(answer.content.is_empty() && answer.usage.is_empty());
    assert_eq!(encode_reply(&answer, &head(), Api::Chat)["done_reason"], "load");
    let mut foreign = answer;
    foreign.origin.api = "google.generate_content".into();
    assert_eq!(encode_reply(&foreign, &head(), Api::Chat)["done_reason"], "stop");
}

#[test]
fn impossible_counts_never_become_credit_and_are_kept() {
    let answer = decode(&[last(json!({"prompt_eval_count": -5, "eval_count": "many"}))]).unwrap();
    assert_eq!(answer.usage.total(), 0);
    assert_eq!(answer.extras["ollama"]["prompt_eval_count"], -5);
    let huge =
        decode(&[last(json!({"prompt_eval_count": u64::MAX, "eval_count": u64::MAX}))]).unwrap();
    assert_eq!(huge.usage.total(), u64::MAX);
}

#[test]
fn errors_are_read_wherever_they_stand() {
    let kind = |lines: &[Value]| decode(lines).unwrap_err().kind();
    let hi = || line(json!({"role": "assistant", "content": "hi"}));
    assert_eq!(kind(&[hi(), json!({"error": "the runner died"})]), ErrorKind::Upstream);
    assert_eq!(
        kind(&[json!({"error": "the input length exceeds the context length"})]),
        ErrorKind::ContextLength
    );
    assert_eq!(kind(&[json!({"error": {"message": "no"}})]), ErrorKind::Upstream);
    assert_eq!(kind(&[json!({"error": 7})]), ErrorKind::Upstream);
    let mut both = hi();
    both["error"] = "gone".into();
    let mut decoder = StreamDecoder::new("p", Api::Chat);
    assert!(!decoder.push(&both.to_string()).unwrap().is_empty());
    assert_eq!(decoder.end().unwrap_err().kind(), ErrorKind::Upstream);
    let whole = decode_reply(b"{\"error\":\"no\"}", "p", Api::Chat).unwrap_err();
    assert_eq!((whole.kind(), whole.message()), (ErrorKind::Upstream, "no"));
}

#[test]
fn half_an_answer_is_not_whole() {
    let kind = |lines: &[Value]| decode(lines).unwrap_err().kind();
    assert_eq!(kind(&stream()[..6]), ErrorKind::StreamInterrupted);
    assert_eq!(kind(&[]), ErrorKind::StreamInterrupted);
    for (body, expected) in [
        ("", ErrorKind::Protocol),
        ("[]", ErrorKind::Protocol),
        ("<html>", ErrorKind::Protocol),
        ("{\"done\":fal", ErrorKind::Protocol),
        (
            "{\"model\":\"m\",\"message\":{\"content\":\"hi\"},\"done\":false}",
            ErrorKind::StreamInterrupted,
        ),
        ("{\"message\":{\"content\":\"hi\"}}\n{\"message\":{\"con", ErrorKind::StreamInterrupted),
        ("{\"message\":\"hi\",\"done\":true}", ErrorKind::Protocol),
        ("{\"message\":{\"tool_calls\":[{\"function\":{}}]},\"done\":true}", ErrorKind::Protocol),
    ] {
        let error = decode_reply(body.as_bytes(), "p", Api::Chat).unwrap_err();
        assert_eq!(error.kind(), expected, "{body}");
        assert!(error.body().provider.as_deref() == Some("p"), "{body}");
    }
}

#[test]
fn a_stream_that_came_where_a_whole_answer_was_asked_for_is_read() {
    let text: String = stream().iter().map(|line| format!("{line}\n")).collect();
    assert_eq!(decode_reply(text.as_bytes(), "p", Api::Chat).unwrap(), decode(&stream()).unwrap());
    let after = format!("{text}{{\"error\":\"late\"}}\n");
    assert!(decode_reply(after.as_bytes(), "p", Api::Chat).is_ok());
}

#[test]
fn what_closes_the_answer_is_known_when_it_comes() {
    let mut decoder = StreamDecoder::new("p", Api::Chat);
    let lines = stream();
    for (at, line) in lines.iter().enumerate() {
        decoder.push(&line.to_string()).unwrap();
        assert_eq!(decoder.is_closing(), at + 1 == lines.len());
    }
    assert!(decoder.is_done() && decoder.push("{\"error\":\"late\"}").unwrap().is_empty());
}

#[test]
fn unknown_facts_of_an_answer_are_kept() {
    let new = line(json!({"role": "assistant", "content": "a", "brand_new": 1}));
    let events = StreamDecoder::new("p", Api::Chat).push(&new.to_string()).unwrap();
    let value = json!({"message": {"brand_new": 1}});
    assert!(
        events
            .iter()
            .any(|event| matches!(event, StreamEvent::Raw { value: raw, .. } if *raw == value))
    );
    let lines = encoded(Api::Chat, &events);
    assert!(lines.iter().any(|line| line["message"]["brand_new"] == 1));
    let answer = decode(&[new, last(json!({"remote_host": "h"}))]).unwrap();
    assert_eq!(encode_reply(&answer, &head(), Api::Chat)["remote_host"], "h");
}

#[test]
fn calls_of_other_providers_become_objects_or_are_left_out() {
    let call = |id: &str, arguments: &str| Part::tool_call(id, "add", arguments);
    let answer = GenerateResponse {
        content: vec![
            call("a", ""),
            call("b", "{\"x\": [1]}"),
            call("c", "{\"x\": ["),
            call("d", "ls -l"),
        ],
        finish: FinishReason::ToolCalls.into(),
        ..decode(&[last(json!({}))]).unwrap()
    };
    let expected = json!([
        {"id": "a", "function": {"index": 0, "name": "add", "arguments": {}}},
        {"id": "b", "function": {"index": 1, "name": "add", "arguments": {"x": [1]}}}]);
    let written = encode_reply(&answer, &head(), Api::Chat);
    assert_eq!(
        (&written["message"]["tool_calls"], &written["done_reason"]),
        (&expected, &json!("stop"))
    );
    let deltas = [
        StreamEvent::PartStart { index: 0, part: call("a", "{") },
        StreamEvent::PartStart { index: 1, part: call("b", "") },
        StreamEvent::delta(1, "{\"x\": [1]"),
        StreamEvent::delta(0, "}"),
        StreamEvent::part_end(0),
        StreamEvent::delta(1, "}"),
        StreamEvent::part_end(1),
    ];
    let lines = encoded(Api::Chat, &deltas);
    let calls: Vec<_> = lines.iter().map(|line| line["message"]["tool_calls"][0].clone()).collect();
    assert_eq!(json!(calls), expected);
}

#[test]
fn an_error_is_a_text() {
    let error = Error::new(ErrorKind::QuotaExceeded, "the budget is used up");
    assert_eq!(encode_error(&error), json!({"error": "the budget is used up"}));
    assert_eq!(
        encoded(Api::Chat, &[StreamEvent::Error { error }]),
        [json!({"error": "the budget is used up"})]
    );
}

#[test]
fn vectors_are_read_in_both_ages_and_written() {
    let response = EmbedResponse {
        vectors: vec![vec![0.5, -1.25], vec![0.1, 3.0]],
        usage: Usage::tokens(4, 0),
        model: "m".into(),
        receipt: None,
    };
    let written = encode_embed_reply(&response, "m").to_string();
    assert_eq!(decode_embed_reply(written.as_bytes(), "p").unwrap(), response);
    assert_eq!(encode_embeddings_reply(&response), json!({"embedding": response.vectors[0]}));
    let old = decode_embed_reply(br#"{"embedding":[1,2.5]}"#, "p").unwrap();
    assert_eq!((old.vectors, old.usage), (vec![vec![1.0, 2.5]], Usage::default()));
    let kind = |body: &str| decode_embed_reply(body.as_bytes(), "p").unwrap_err().kind();
    assert_eq!(kind("<html>"), ErrorKind::Protocol);
    assert_eq!(kind(r#"{"embeddings":[["a"]]}"#), ErrorKind::Protocol);
    assert_eq!(kind(r#"{"error":"no such model"}"#), ErrorKind::Upstream);
}

#[test]
fn lists_of_models_go_out_and_come_back() {
    let model = ModelInfo {
        id: "m:latest".into(),
        provider: Some("p".into()),
        features: vec![Feature::Chat, Feature::Stream, Feature::Tools],
        ..ModelInfo::default()
    };
    let written = encode_tags(std::slice::from_ref(&model)).to_string();
    assert_eq!(&decode_tags(written.as_bytes(), "p").unwrap()[..], std::slice::from_ref(&model));
    assert_eq!(decode_tags(br#"{"models":null}"#, "p").unwrap(), []);
    assert_eq!(decode_tags(b"<html>", "p").unwrap_err().kind(), ErrorKind::Protocol);
    let shown = ModelInfo { context_window: Some(4096), ..model.clone() };
    let bare = ModelInfo { features: vec![], ..model.clone() };
    assert_eq!(decode_show(encode_show(&shown).to_string().as_bytes(), bare.clone()), shown);
    assert_eq!(decode_show(b"<html>", model.clone()), model);
    let unknown = encode_show(&bare);
    assert!(
        unknown.get("capabilities").is_none()
            && unknown["model_info"].get("unknown.context_length").is_none()
    );
    let running = decode_ps(
        br#"{"models":[{"name":"a","size":5,"size_vram":3,"context_length":9,"expires_at":"x"}]}"#,
        "p",
    )
    .unwrap();
    assert_eq!(
        (running[0].name.as_str(), running[0].size_vram, running[0].context_length),
        ("a", Some(3), Some(9))
    );
}

#[test]
fn steps_of_a_pull_are_read() {
    let step =
        decode_pull(r#"{"status":"pulling a","digest":"sha256:a","total":10,"completed":4}"#, "p")
            .unwrap();
    assert_eq!(
        (step.digest.as_deref(), step.total, step.completed),
        (Some("sha256:a"), Some(10), Some(4))
    );
    assert!(
        !step.is_success() && decode_pull(r#"{"status":"success"}"#, "p").unwrap().is_success()
    );
    assert_eq!(
        decode_pull(r#"{"error":"no such model"}"#, "p").unwrap_err().message(),
        "no such model"
    );
    assert_eq!(decode_pull("oops", "p").unwrap_err().kind(), ErrorKind::Protocol);
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
        let said = |text: &str| line(json!({"role": "assistant", "content": text}));
        let mut lines: Vec<Value> = pieces.map(|piece| said(&piece)).collect();
        lines.push(last(counts()));
        prop_assert_eq!(decode(&lines).unwrap(), decode(&[said(&text), last(counts())]).unwrap());
    }

    #[test]
    fn events_that_are_written_are_read_back(
        thought in ".{0,9}", text in ".{0,9}", calls in proptest::collection::vec(("[a-z]{1,6}", ".{0,6}"), 0..3),
        tokens in (1..99u64, 1..99u64), generate: bool,
    ) {
        let api = if generate { Api::Generate } else { Api::Chat };
        let mut content = Vec::new();
        if !thought.is_empty() {
            content.push(Part::Reasoning(tollgate_types::Reasoning { text: thought, ..Default::default() }));
        }
        if !text.is_empty() {
            content.push(Part::text(text));
        }
        for (n, (name, value)) in calls.iter().enumerate() {
            content.push(Part::tool_call(format!("c{n}"), name, json!({"x": value}).to_string()));
        }
        let finish = if calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls };
        let mut answer = decode_as(api, &[last(json!({}))]).unwrap();
        answer.content = content;
        answer.finish.reason = finish;
        answer.usage = Usage::tokens(tokens.0, tokens.1);
        let lines = encoded(api, &events_of(answer.clone()));
        prop_assert_eq!(told(decode_as(api, &lines).unwrap()), told(answer.clone()));
        let body = encode_reply(&answer, &head(), api).to_string();
        prop_assert_eq!(told(decode_reply(body.as_bytes(), "p", api).unwrap()), told(answer));
    }

    #[test]
    fn no_input_makes_the_codec_panic(text in ".{0,60}", at in any::<prop::sample::Index>()) {
        drop(decode_reply(text.as_bytes(), "p", Api::Chat));
        drop(decode_reply(text.as_bytes(), "p", Api::Generate));
        let lines = stream();
        let at = at.index(lines.len());
        let mut decoder = StreamDecoder::new("p", Api::Chat);
        for (n, line) in lines.iter().enumerate() {
            let payload = if n == at { text.clone() } else { line.to_string() };
            drop(decoder.push(&payload));
        }
        drop(decoder.end());
    }
}
