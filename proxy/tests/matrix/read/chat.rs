//! OpenAI's chat completions. A whole answer is read as the only chunk of a stream.

use super::{Call, Counts, Said, count, error_in, events, json, list, text};
use crate::gate::Reply;
use serde_json::Value;

pub(super) fn read(reply: &Reply, streamed: bool) -> Said {
    let mut said = Said { ended: !streamed, ..Said::default() };
    let mut arguments = Vec::new();
    if streamed {
        for data in events(&reply.body) {
            assert!(!said.ended, "something comes behind the end: {data}");
            match data {
                "[DONE]" => said.ended = true,
                data => take(&mut said, &mut arguments, &json(data)),
            }
        }
    } else {
        let body = json(&reply.body);
        take(&mut said, &mut arguments, &body);
        said.turns = vec![body["choices"][0]["message"].clone()];
    }
    for (call, arguments) in said.calls.iter_mut().zip(arguments) {
        call.arguments = json(&arguments);
    }
    said
}

fn take(said: &mut Said, arguments: &mut Vec<String>, chunk: &Value) {
    said.error = error_in(chunk);
    let choice = &chunk["choices"][0];
    let delta = choice.get("delta").unwrap_or(&choice["message"]);
    said.text += &text(&delta["content"]);
    said.refusal += &text(&delta["refusal"]);
    said.reasoning += &text(&delta["reasoning_content"]);
    for (place, call) in list(&delta["tool_calls"]).iter().enumerate() {
        let place = call["index"].as_u64().map_or(place, |n| usize::try_from(n).unwrap());
        if said.calls.len() == place {
            let (id, name) = (text(&call["id"]), text(&call["function"]["name"]));
            said.calls.push(Call { id, name, arguments: Value::Null });
            arguments.push(String::new());
        }
        arguments[place] += &text(&call["function"]["arguments"]);
    }
    said.finish += &text(&choice["finish_reason"]);
    if let Some(usage) = chunk.get("usage").filter(|usage| !usage.is_null()) {
        said.usage = Some(Counts {
            input: count(&usage["prompt_tokens"]),
            cached: count(&usage["prompt_tokens_details"]["cached_tokens"]),
            output: count(&usage["completion_tokens"]),
        });
    }
}
