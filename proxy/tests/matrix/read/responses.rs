//! OpenAI's Responses API. What the deltas of a stream said must be what its last event says.

use super::{Call, Counts, Said, count, error_in, events, json, list, text};
use crate::gate::Reply;
use serde_json::Value;

pub(super) fn read(reply: &Reply, streamed: bool) -> Said {
    if streamed {
        return stream(&reply.body);
    }
    let mut said = Said { ended: true, ..Said::default() };
    whole(&mut said, &json(&reply.body));
    said
}

fn stream(body: &str) -> Said {
    let (mut told, mut said) = (Said::default(), Said::default());
    let mut arguments = String::new();
    for event in events(body).map(json) {
        assert!(!said.ended, "something comes behind the end: {event}");
        let delta = text(&event["delta"]);
        match event["type"].as_str().unwrap() {
            "response.output_text.delta" => told.text += &delta,
            "response.refusal.delta" => told.refusal += &delta,
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                told.reasoning += &delta;
            }
            "response.function_call_arguments.delta" => arguments += &delta,
            "response.completed" | "response.incomplete" => {
                whole(&mut said, &event["response"]);
                said.ended = true;
            }
            "error" => told.error = error_in(&event).or_else(|| Some(text(&event["message"]))),
            "response.failed" => told.error = error_in(&event["response"]).or(told.error),
            _ => {}
        }
    }
    if !said.ended {
        return told;
    }
    let both = |said: &Said| (said.text.clone(), said.reasoning.clone(), said.refusal.clone());
    assert_eq!(both(&told), both(&said), "deltas and the end differ");
    let called: String = said.calls.iter().map(|call| call.arguments.to_string()).collect();
    let told_args: String = serde_json::Deserializer::from_str(&arguments)
        .into_iter::<Value>()
        .map(|value| value.unwrap().to_string())
        .collect();
    assert_eq!(told_args, called, "deltas and the end differ");
    said.error = told.error;
    said
}

fn whole(said: &mut Said, response: &Value) {
    for item in list(&response["output"]) {
        match item["type"].as_str().unwrap() {
            "message" => {
                for part in list(&item["content"]) {
                    said.text += &text(&part["text"]);
                    said.refusal += &text(&part["refusal"]);
                }
            }
            "reasoning" => {
                let parts = list(&item["summary"]).iter().chain(list(&item["content"]));
                said.reasoning.extend(parts.map(|part| text(&part["text"])));
            }
            "function_call" => said.calls.push(Call {
                id: text(&item["call_id"]),
                name: text(&item["name"]),
                arguments: json(&text(&item["arguments"])),
            }),
            other => panic!("an item of the type {other}"),
        }
    }
    said.turns = list(&response["output"]).to_vec();
    said.finish = text(&response["status"]);
    if let Some(reason) = response["incomplete_details"]["reason"].as_str() {
        said.finish = format!("{}: {reason}", said.finish);
    }
    let usage = &response["usage"];
    said.usage = usage.is_object().then(|| Counts {
        input: count(&usage["input_tokens"]),
        cached: count(&usage["input_tokens_details"]["cached_tokens"]),
        output: count(&usage["output_tokens"]),
    });
}
