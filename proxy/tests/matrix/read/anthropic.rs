//! Anthropic's messages. A stream is put together to the message that it tells.

use super::{Call, Counts, Said, count, error_in, events, json, list, text};
use crate::gate::Reply;
use serde_json::{Value, json};

pub(super) fn read(reply: &Reply, streamed: bool) -> Said {
    let mut said = Said { ended: !streamed, ..Said::default() };
    let message = if streamed { gathered(&mut said, &reply.body) } else { json(&reply.body) };
    for block in list(&message["content"]) {
        match block["type"].as_str().unwrap() {
            "text" => said.text += &text(&block["text"]),
            "thinking" => said.reasoning += &text(&block["thinking"]),
            "tool_use" => said.calls.push(Call {
                id: text(&block["id"]),
                name: text(&block["name"]),
                arguments: block["input"].clone(),
            }),
            other => panic!("a block of the type {other}"),
        }
    }
    said.finish = text(&message["stop_reason"]);
    let usage = &message["usage"];
    let cached = count(&usage["cache_read_input_tokens"]);
    let written = count(&usage["cache_creation_input_tokens"]);
    said.usage = usage.is_object().then(|| Counts {
        input: count(&usage["input_tokens"]) + cached + written,
        cached,
        output: count(&usage["output_tokens"]),
    });
    said.turns = vec![json!({"role": "assistant", "content": message["content"]})];
    said
}

fn gathered(said: &mut Said, body: &str) -> Value {
    let mut message = Value::Null;
    let mut arguments = String::new();
    for event in events(body).map(json) {
        assert!(!said.ended, "something comes behind the end: {event}");
        let place = usize::try_from(count(&event["index"])).unwrap();
        let delta = &event["delta"];
        match event["type"].as_str().unwrap() {
            "message_start" => message = event["message"].clone(),
            "content_block_start" => {
                let blocks = message["content"].as_array_mut().unwrap();
                assert_eq!(blocks.len(), place, "{event}");
                blocks.push(event["content_block"].clone());
                arguments.clear();
            }
            "content_block_delta" => {
                arguments += &text(&delta["partial_json"]);
                let block = &mut message["content"][place];
                for field in ["text", "thinking", "signature"] {
                    if let Some(more) = delta[field].as_str() {
                        block[field] = (text(&block[field]) + more).into();
                    }
                }
            }
            "content_block_stop" if !arguments.is_empty() => {
                message["content"][place]["input"] = json(&arguments);
            }
            "message_delta" => {
                message["stop_reason"] = delta["stop_reason"].clone();
                let told = event["usage"].as_object().unwrap().clone();
                message["usage"].as_object_mut().unwrap().extend(told);
            }
            "message_stop" => said.ended = true,
            "error" => said.error = error_in(&event),
            _ => {}
        }
    }
    message
}
