//! Google's generated content. A whole answer is read as the only chunk of a stream.

use super::{Call, Counts, Said, count, error_in, events, json, list, text};
use crate::gate::Reply;
use serde_json::{Value, json};

pub(super) fn read(reply: &Reply, streamed: bool) -> Said {
    let chunks: Vec<Value> =
        if streamed { events(&reply.body).map(json).collect() } else { vec![json(&reply.body)] };
    let mut said = Said::default();
    let mut parts = Vec::new();
    for chunk in &chunks {
        take(&mut said, chunk);
        parts.extend_from_slice(list(&chunk["candidates"][0]["content"]["parts"]));
    }
    said.ended = !said.finish.is_empty() && said.error.is_none();
    said.turns = vec![json!({"role": "model", "parts": parts})];
    said
}

fn take(said: &mut Said, chunk: &Value) {
    said.error = error_in(chunk);
    let candidate = &chunk["candidates"][0];
    for part in list(&candidate["content"]["parts"]) {
        let words = text(&part["text"]);
        if part["thought"] == true {
            said.reasoning += &words
        } else {
            said.text += &words
        }
        if let Some(call) = part.get("functionCall") {
            said.calls.push(Call {
                id: text(&call["id"]),
                name: text(&call["name"]),
                arguments: call["args"].clone(),
            });
        }
    }
    said.finish += &text(&candidate["finishReason"]);
    said.finish += &text(&chunk["promptFeedback"]["blockReason"]);
    if let Some(usage) = chunk.get("usageMetadata") {
        said.usage = Some(Counts {
            input: count(&usage["promptTokenCount"]),
            cached: count(&usage["cachedContentTokenCount"]),
            output: count(&usage["candidatesTokenCount"]) + count(&usage["thoughtsTokenCount"]),
        });
    }
}
