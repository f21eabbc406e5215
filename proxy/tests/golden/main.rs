//! One table of every kind of part in every dialect and every direction: how it is written, what is
//! read from that, or which field is refused. A kind, a dialect or a direction without its case
//! fails.
#![cfg(test)]

mod codec;
mod kind;
mod properties;

use codec::{CODECS, Codec};
use kind::{FOREIGN, KINDS, Kind, kinds_of, sample};
use serde_json::{Map, Value, json};
use tollgate_types::{
    Finish, FinishReason, GenerateRequest, GenerateResponse, Message, OnUnsupported, Origin, Part,
    Role, ToolCall, Usage,
};

/// What the tool results of the samples answer.
fn call() -> ToolCall {
    let (id, name, arguments) = ("call_1".into(), "add".into(), r#"{"a":1}"#.into());
    ToolCall { id, name, arguments, ..ToolCall::default() }
}

fn origin(codec: Codec, kind: Kind) -> Origin {
    let api = if kind.is_foreign() { FOREIGN } else { codec.api() };
    Origin { api: api.into(), provider: "p".into(), model: "m".into(), response_id: None }
}

/// The turns before the one that holds a part, and a request that ends with that.
fn request(codec: Codec, kind: Kind) -> (usize, GenerateRequest) {
    let (role, part) = sample(kind, codec);
    let mut messages = vec![Message::user("Go on.")];
    match role {
        Role::Tool => messages.push(Message::new(Role::Assistant, vec![Part::ToolCall(call())])),
        Role::Assistant => {}
        _ => messages.push(Message::assistant("Yes.")),
    }
    let before = messages.len();
    let mut last = Message::new(role, vec![part]);
    last.origin = (role == Role::Assistant).then(|| origin(codec, kind));
    messages.push(last);
    (before, GenerateRequest::new("m", messages))
}

/// An answer that is one part.
fn answer(codec: Codec, kind: Kind) -> GenerateResponse {
    let part = sample(kind, codec).1;
    let wants_tools = matches!(&part, Part::ToolCall(call) if !call.hosted);
    let reason = if wants_tools { FinishReason::ToolCalls } else { FinishReason::Stop };
    GenerateResponse {
        content: vec![part],
        finish: Finish::from(reason),
        usage: Usage::tokens(3, 2),
        origin: origin(codec, kind),
        warnings: Vec::new(),
        extras: tollgate_types::Extras::new(),
        receipt: None,
    }
}

/// How a request is written and what is read from that, or the field that is refused.
fn told_request(codec: Codec, kind: Kind) -> Value {
    let (before, mut asked) = request(codec, kind);
    let (body, warnings) = match codec.write_request(&asked) {
        Ok(written) => written,
        Err(error) => {
            asked.on_unsupported = OnUnsupported::Warn;
            let warnings = codec.write_request(&asked).map(|(_, warnings)| warnings).unwrap();
            let params: Vec<_> = warnings.iter().map(|warning| &warning.param).collect();
            return json!({"refused": error.body().param, "warned": params});
        }
    };
    assert!(warnings.is_empty(), "{codec:?} {kind:?}: {warnings:?}");
    let read = codec.read_request(&body);
    let read = read.unwrap_or_else(|error| panic!("{codec:?} {kind:?}: {error}: {body}"));
    let last: Vec<_> = read.messages.iter().skip(before).map(|message| &message.content).collect();
    json!({"wire": codec.turns(&body)[before..], "read": last})
}

/// How an answer is written and what is read from that, and from its stream where that is cut into
/// other parts.
fn told_answer(codec: Codec, kind: Kind) -> Value {
    let answer = answer(codec, kind);
    let body = codec.write_whole(&answer);
    let read = codec.read_whole(&body);
    let streamed = codec.read_stream(&codec.write_stream(answer));
    let case = format!("{codec:?} {kind:?}: {body}");
    assert_eq!((&streamed.finish, &streamed.usage), (&read.finish, &read.usage), "{case}");
    let mut told = json!({"wire": codec.said(&body), "read": read.content});
    if let (Value::Object(told), true) = (&mut told, streamed.content != read.content) {
        told.insert("read_from_stream".to_owned(), json!(streamed.content));
    }
    told
}

/// The case of a kind, as it is.
fn told(codec: Codec, kind: Kind) -> Value {
    let mut told = Map::from_iter([("request".to_owned(), told_request(codec, kind))]);
    if kind.can_be_answered() {
        told.insert("answer".to_owned(), told_answer(codec, kind));
    }
    Value::Object(told)
}

#[test]
fn every_kind_of_part_has_its_case_in_every_dialect_and_direction() {
    let mut findings = Vec::new();
    for codec in CODECS {
        let golden: Map<String, Value> = serde_json::from_str(codec.golden()).unwrap();
        let names: Vec<String> = KINDS.iter().map(|kind| format!("{kind:?}")).collect();
        let unknown: Vec<&String> = golden.keys().filter(|name| !names.contains(name)).collect();
        assert!(unknown.is_empty(), "{codec:?} has cases of no kind: {unknown:?}");
        for (kind, name) in KINDS.into_iter().zip(&names) {
            let told = told(codec, kind);
            if golden.get(name) != Some(&told) {
                findings.push(format!("{codec:?}\t{name}\t{told}"));
            }
        }
    }
    assert!(
        findings.is_empty(),
        "these cases are other than in the table:\n{}",
        findings.join("\n")
    );
}

#[test]
fn the_samples_are_of_all_kinds_that_parts_can_be() {
    for codec in CODECS {
        for kind in KINDS {
            let (_, part) = sample(kind, codec);
            assert!(kinds_of(&part).contains(&kind), "{codec:?} {kind:?}: {part:?}");
        }
    }
}
