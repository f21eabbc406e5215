//! Tollgate's own API: the shared vocabulary.

use super::{Call, Counts, Said, events, json};
use crate::gate::Reply;
use serde_json::Value;
use tollgate_types::{Fold, GenerateResponse, Part, StreamEvent};

pub(super) fn read(reply: &Reply, streamed: bool) -> Said {
    let mut said = Said::default();
    let answer = if streamed {
        let mut fold = Fold::new();
        for data in events(&reply.body) {
            match serde_json::from_str(data).unwrap() {
                StreamEvent::Error { error } => said.error = Some(error.message().to_owned()),
                StreamEvent::PartDelta { delta, .. } if said.error.is_none() => {
                    said.text += &delta;
                    let delta = serde_json::from_str(data).unwrap();
                    fold.push(delta).unwrap();
                }
                event => fold.push(event).unwrap(),
            }
        }
        match fold.finish() {
            Ok(answer) => answer,
            Err(_) => return said,
        }
    } else {
        serde_json::from_str::<GenerateResponse>(&reply.body).unwrap()
    };
    whole(answer)
}

fn whole(answer: GenerateResponse) -> Said {
    let mut said = Said { ended: true, ..Said::default() };
    for part in &answer.content {
        match part {
            Part::Text(text) => said.text += &text.text,
            Part::Reasoning(thought) => said.reasoning += &thought.text,
            Part::Refusal(refusal) => said.refusal += &refusal.text,
            Part::ToolCall(call) => said.calls.push(Call {
                id: call.id.clone(),
                name: call.name.clone(),
                arguments: json(&call.arguments),
            }),
            other => panic!("a part that nobody asked for: {other:?}"),
        }
    }
    let word = serde_json::to_value(answer.finish.reason).unwrap();
    said.finish = word.as_str().unwrap().to_owned();
    let usage = &answer.usage;
    said.usage = Some(Counts {
        input: usage.total_input(),
        cached: usage.cache_read,
        output: usage.total_output(),
    });
    let turn: Value = serde_json::to_value(answer.into_message()).unwrap();
    said.turns = vec![turn];
    said
}
