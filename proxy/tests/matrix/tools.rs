//! Tools: calls, and the turn in which their results go back.

use crate::{
    ask::{Ask, result, schema},
    books::Findings,
    gate::Gate,
    read::{Said, read},
    way::{Way, pairs, routes},
};
use serde_json::Value;
use tollgate_types::FinishReason;

/// What the mock signs its thoughts and calls with.
const SIGNATURE: &str = "bW9jay1zaWduYXR1cmU=";

/// The ids of calls and of results in what an upstream got.
fn ids(body: &Value) -> (Vec<String>, Vec<String>) {
    let (mut calls, mut results) = (Vec::new(), Vec::new());
    gather(body, &mut calls, &mut results);
    (calls, results)
}

/// Walks a body of any dialect. Ollama's results name their tool, and their call where it has an id.
fn gather(value: &Value, calls: &mut Vec<String>, results: &mut Vec<String>) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match value {
        Value::Array(items) => items.iter().for_each(|item| gather(item, calls, results)),
        Value::Object(fields) => {
            match fields.get("type").and_then(Value::as_str) {
                Some("tool_use") => calls.push(text(&value["id"])),
                Some("tool_result") => results.push(text(&value["tool_use_id"])),
                Some("function_call") => calls.push(text(&value["call_id"])),
                Some("function_call_output") => results.push(text(&value["call_id"])),
                _ => {}
            }
            if let Some(own) = fields.get("tool_calls").and_then(Value::as_array) {
                calls.extend(own.iter().map(|call| text(&call["id"])));
            }
            if let Some(id) = fields.get("tool_call_id") {
                results.push(text(id));
            }
            if let Some(call) = fields.get("functionCall") {
                calls.push(text(&call["id"]));
            }
            if let Some(response) = fields.get("functionResponse") {
                results.push(text(&response["id"]));
            }
            fields.values().for_each(|field| gather(field, calls, results));
        }
        _ => {}
    }
}

async fn called(gate: &Gate, way: Way, ask: &Ask, found: &mut Findings) -> Option<Said> {
    let case = format!("{way:?} {} streamed={}", ask.model, ask.streamed);
    let reply = ask.reply(gate, way).await;
    if reply.status != 200 {
        found.equal(&case, reply.body, "an answer".to_owned());
        return None;
    }
    let said = read(way, &reply, ask.streamed);
    found.holds(&case, said.ended && said.error.is_none(), &format!("{said:?}"));
    Some(said)
}

#[tokio::test]
async fn tools_are_called_whole_and_in_pieces() {
    let gate = Gate::start().await;
    let mut found = Findings::default();
    for (way, upstream, streamed) in routes().filter(|(way, ..)| way.has_tools()) {
        let mut ask = Ask::of(upstream, "tools=2,preface=2", streamed);
        ask.tool = true;
        let case = format!("{way:?} {upstream} streamed={streamed}");
        let Some(said) = called(&gate, way, &ask, &mut found).await else { continue };
        found.equal(&case, said.text.trim(), "p0 p1");
        found.equal(&case, said.finish.as_str(), way.word(FinishReason::ToolCalls));
        found.equal(&case, said.calls.len(), 2);
        for call in &said.calls {
            found.equal(&case, call.name.as_str(), "add");
            found.equal(&case, &call.arguments, &schema());
            found.holds(&case, !call.id.is_empty(), "a call without an id");
        }
        let same = said.calls.windows(2).any(|pair| pair[0].id == pair[1].id);
        found.holds(&case, !same, "two calls of the same id");
    }
    found.settle();
}

#[tokio::test]
async fn results_go_back_to_the_calls_they_belong_to() {
    let gate = Gate::start().await;
    let mut found = Findings::default();
    for script in ["tools=2,once,think=2", "tools=2,once,noids"] {
        for (way, upstream) in pairs().filter(|(way, _)| way.has_tools()) {
            let mut ask = Ask { tool: true, ..Ask::of(upstream, script, false) };
            let case = format!("{way:?} {upstream} {script}");
            let Some(first) = called(&gate, way, &ask, &mut found).await else { continue };
            found.equal(&case, first.calls.len(), 2);
            ask.turns = first.turns;
            for (place, call) in first.calls.iter().enumerate() {
                ask.turns.push(result(way, &call.id, &format!("r{place}")));
            }
            let Some(second) = called(&gate, way, &ask, &mut found).await else { continue };
            // The mock says the last result.
            found.holds(&case, second.text.contains("r1"), &second.text);
            let sent = gate.mock.requests().pop().unwrap().body;
            let (calls, results) = ids(&sent);
            let told = format!("{case}: {sent}");
            found.equal(&told, &results, &calls);
            // Ollama tells calls apart by their order where they have no ids.
            let own = upstream == "ollama" || script.contains("noids") && upstream == "google";
            let signed = sent.to_string().contains(SIGNATURE);
            // Other clients of these have a place for it; those of Anthropic, Google and Ollama
            // have none for what another vendor signed.
            let carried = way.own() == Some(upstream)
                || matches!(way, Way::Chat | Way::Responses | Way::Native)
                    && matches!(upstream, "anthropic" | "google");
            let signs = !matches!(upstream, "openai" | "ollama");
            let wanted = script.contains("think") && carried && signs;
            found.equal(&format!("{case} signed"), signed, wanted);
            let known = calls.len() == 2 && calls.iter().all(|id| !id.is_empty());
            found.holds(&told, known || own, "calls without ids");
        }
    }
    found.settle();
}
