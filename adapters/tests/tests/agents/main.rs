//! Agents of other frameworks, unchanged over a provider in this process and over a Tollgate server:
//! the same answers, and the same bytes at the vendor, signatures and argument text included.
#![cfg(test)]

mod witness;
mod adk;
mod rig;

use serde_json::Value;
use std::sync::Arc;
use tollgate_adapter_tests::{Place, VENDORS};
use tollgate_types::{GenerateResponse, Part, Provider};
use witness::Witness;

/// What each vendor's mock is asked for: it thinks, says two words, calls a tool, and then says what
/// the tool said.
const BEHAVIOUR: &str = "mock-think=3,preface=2,tool,fill,once";

/// What an agent said in the end, and the tokens that its framework counted.
type Outcome = (String, u64);

/// Runs an agent over every vendor, in this process and through a server, streamed and not.
async fn everywhere(run: impl AsyncFn(Arc<dyn Provider>, String, bool) -> Outcome) {
    for vendor in VENDORS {
        for streamed in [false, true] {
            let place = Place::start().await;
            let model = format!("{vendor}/{BEHAVIOUR}");
            let direct = Witness::of(place.direct(vendor).await);
            let here = run(direct.clone(), BEHAVIOUR.to_owned(), streamed).await;
            let sent_here = place.sent();
            let remote = Witness::of(place.remote());
            let there = run(remote.clone(), model, streamed).await;
            let sent_there = place.sent().split_off(sent_here.len());

            let case = format!("{vendor}, streamed: {streamed}");
            assert_eq!(here, there, "{case}");
            assert!(here.0.contains('2'), "{case}: {} is not what the tool said", here.0);
            assert_eq!(asked(&sent_here), asked(&sent_there), "{case}");
            assert_eq!(sent_here.len(), 2, "{case}");
            assert_eq!(said(&direct), said(&remote), "{case}");
            assert_second_turn_is_lossless(&case, &direct.answers()[0], &sent_here[1]);
            place.settled(2).await;
        }
    }
}

/// The turn that calls the tool, without what only a server adds. The last turn is compared by its
/// text: a server asks for a stream either way, and Google signs streams in a part of their own.
fn said(witness: &Witness) -> Vec<Part> {
    witness.answers().remove(0).content
}

/// What the vendor was asked, in the order of the bytes. A server asks for a stream either way.
fn asked(sent: &[Vec<u8>]) -> Vec<String> {
    let body = |raw: &Vec<u8>| {
        let mut body: Value = serde_json::from_slice(raw).unwrap();
        for only_how in ["stream", "stream_options"] {
            body.as_object_mut().unwrap().shift_remove(only_how);
        }
        body.to_string()
    };
    sent.iter().map(body).collect()
}

/// What the vendor wants back is in the second request as it was in the first answer.
#[track_caller]
fn assert_second_turn_is_lossless(case: &str, first: &GenerateResponse, second: &[u8]) {
    let body: Value = serde_json::from_slice(second).unwrap();
    let mut calls = 0;
    for part in &first.content {
        match part {
            Part::ToolCall(call) => {
                calls += 1;
                let text = Value::from(call.arguments.as_str());
                let parsed = call.parse().unwrap();
                let back = holds(&body, &|value| *value == text || *value == parsed);
                assert!(back, "{case}: {} is not in {body}", call.arguments);
            }
            Part::Reasoning(thought) => {
                for sealed in thought.signature.iter().chain(&thought.encrypted) {
                    let back = holds(&body, &|value| value == sealed.as_str());
                    assert!(back, "{case}: {sealed} is not in {body}");
                }
            }
            _ => {}
        }
    }
    assert_eq!(calls, 1, "{case}");
}

fn holds(value: &Value, wanted: &dyn Fn(&Value) -> bool) -> bool {
    wanted(value)
        || match value {
            Value::Object(fields) => fields.values().any(|inner| holds(inner, wanted)),
            Value::Array(items) => items.iter().any(|inner| holds(inner, wanted)),
            _ => false,
        }
}
