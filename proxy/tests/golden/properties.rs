//! What holds for any request and any answer, in every dialect.

use crate::{
    answer, call,
    codec::{CODECS, Codec},
    kind::{KINDS, Kind, sample},
    origin,
};
use proptest::{prelude::*, sample::select};
use tollgate_types::{
    GenerateRequest, GenerateResponse, Message, OnUnsupported, Part, Role, ToolCall, ToolResult,
};

/// A part of any kind, with other words.
fn part(codec: Codec) -> impl Strategy<Value = (Kind, Role, Part)> {
    (select(KINDS.to_vec()), ".{1,9}").prop_map(move |(kind, words)| {
        let (role, mut part) = sample(kind, codec);
        match &mut part {
            Part::Text(text) if text.citations.is_empty() && text.logprobs.is_empty() => {
                text.text = words;
            }
            Part::Reasoning(thought) if !thought.text.is_empty() => thought.text = words,
            Part::Refusal(refusal) => refusal.text = words,
            Part::ToolCall(call) => call.arguments = serde_json::json!({"a": words}).to_string(),
            _ => {}
        }
        (kind, role, part)
    })
}

fn codec_and_parts() -> impl Strategy<Value = (Codec, Vec<(Kind, Role, Part)>)> {
    let parts = |codec| (Just(codec), proptest::collection::vec(part(codec), 1..7));
    select(CODECS.to_vec()).prop_flat_map(parts)
}

/// Gives calls ids of their own, and results the call that they belong to right before them.
fn told_apart(parts: Vec<(Kind, Role, Part)>) -> Vec<(Kind, Role, Part)> {
    let mut told = Vec::new();
    for (n, (kind, role, mut part)) in parts.into_iter().enumerate() {
        let name = format!("call_{n}");
        match &mut part {
            Part::ToolCall(ToolCall { id, .. }) => *id = name,
            Part::ToolResult(ToolResult { call_id, .. }) => {
                let own = Part::ToolCall(ToolCall { id: name.clone(), ..call() });
                told.push((Kind::ToolCall, Role::Assistant, own));
                *call_id = name;
            }
            _ => {}
        }
        told.push((kind, role, part));
    }
    told
}

/// What an answer says, wherever the parts are cut.
fn essence(answer: &GenerateResponse) -> ([String; 3], Vec<(String, String, String)>) {
    let ([mut said, mut refused, mut thought], mut calls) = (<[String; 3]>::default(), Vec::new());
    for part in &answer.content {
        match part {
            Part::Text(text) => said += &text.text,
            Part::Refusal(refusal) => refused += &refusal.text,
            Part::Reasoning(reasoning) => thought += &reasoning.text,
            Part::ToolCall(call) => {
                calls.push((call.id.clone(), call.name.clone(), call.arguments.clone()));
            }
            _ => {}
        }
    }
    ([said, refused, thought], calls)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_request_that_was_written_is_read_and_written_alike((codec, parts) in codec_and_parts()) {
        let mut messages = vec![Message::user("Go on.")];
        for (kind, role, part) in told_apart(parts) {
            let mut message = Message::new(role, vec![part]);
            message.origin = (role == Role::Assistant).then(|| origin(codec, kind));
            messages.push(message);
        }
        let mut request = GenerateRequest::new("m", messages);
        request.on_unsupported = OnUnsupported::Warn;
        let (body, _) = codec.write_request(&request).unwrap();
        let read = codec.read_request(&body);
        prop_assert!(read.is_ok(), "{codec:?}: {read:?} of {body}");
        let (again, warnings) = codec.write_request(&read.unwrap()).unwrap();
        prop_assert!(warnings.is_empty(), "{codec:?}: {warnings:?}");
        prop_assert_eq!(again, body, "{:?}", codec);
    }

    #[test]
    fn an_answer_says_the_same_whole_and_streamed_and_once_more((codec, mut parts) in codec_and_parts()) {
        parts.retain(|(kind, ..)| kind.can_be_answered());
        let mut given = answer(codec, Kind::Text);
        given.content = told_apart(parts).into_iter().map(|(_, _, part)| part).collect();
        let whole = codec.read_whole(&codec.write_whole(&given));
        let streamed = codec.read_stream(&codec.write_stream(given));
        prop_assert_eq!(essence(&streamed), essence(&whole), "{:?}", codec);
        prop_assert_eq!((&streamed.finish, &streamed.usage), (&whole.finish, &whole.usage), "{:?}", codec);
        let again = codec.read_whole(&codec.write_whole(&whole));
        prop_assert_eq!(again.content, whole.content, "{:?}", codec);
    }
}
