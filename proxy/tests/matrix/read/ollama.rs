//! Ollama's chat and generate. A whole answer is read as the only line of a stream.

use super::{Call, Counts, Said, count, error_in, json, list, text};
use crate::gate::Reply;
use serde_json::json;

pub(super) fn read(reply: &Reply) -> Said {
    let mut said = Said::default();
    let mut calls = Vec::new();
    for line in reply.body.lines().map(json) {
        assert!(!said.ended, "something comes behind the end: {line}");
        said.error = error_in(&line);
        let message = line.get("message").unwrap_or(&line);
        said.text += &text(&message["content"]);
        said.text += &text(&message["response"]);
        said.reasoning += &text(&message["thinking"]);
        for call in list(&message["tool_calls"]) {
            calls.push(call.clone());
            said.calls.push(Call {
                id: text(&call["id"]),
                name: text(&call["function"]["name"]),
                arguments: call["function"]["arguments"].clone(),
            });
        }
        said.finish += &text(&line["done_reason"]);
        said.ended = line["done"] == true;
        if line.get("prompt_eval_count").is_some() {
            let (input, output) = (count(&line["prompt_eval_count"]), count(&line["eval_count"]));
            said.usage = Some(Counts { input, cached: 0, output });
        }
    }
    said.turns = vec![json!({"role": "assistant", "content": said.text,
        "thinking": said.reasoning, "tool_calls": calls})];
    said
}
