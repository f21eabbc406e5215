//! Messages in the shape that chat templates expect, which is that of OpenAI's chat API.

use serde_json::{Map, Value, json};
use tollgate_types::{Message, Part, Role, ToolCall, ToolResult};

/// The turns of a conversation. A template that knows no tools gets calls and results as text.
pub(super) fn turns(conversation: &[Message], native_tools: bool) -> Vec<Value> {
    let mut turns = Vec::new();
    for message in conversation {
        let results = message.content.iter().filter_map(|part| match part {
            Part::ToolResult(result) => Some(result_turn(result, native_tools)),
            _ => None,
        });
        let before = turns.len();
        turns.extend(results);
        let only_results = turns.len() - before == message.content.len();
        if !only_results || message.content.is_empty() {
            turns.push(turn(message, native_tools));
        }
    }
    turns
}

fn turn(message: &Message, native_tools: bool) -> Value {
    let mut content = String::new();
    let mut reasoning = String::new();
    let mut calls = Vec::new();
    for part in &message.content {
        match part {
            Part::Text(text) => content.push_str(&text.text),
            Part::Refusal(refusal) => content.push_str(&refusal.text),
            Part::Reasoning(thought) => reasoning.push_str(&thought.text),
            Part::ToolCall(call) if native_tools => calls.push(call_value(call)),
            Part::ToolCall(call) => content.push_str(&call_text(call)),
            // Results have turns of their own; `crate::ask` has dealt with the others.
            Part::ToolResult(_) | Part::Media(_) | Part::Native(_) => {}
        }
    }
    let mut turn = Map::new();
    turn.insert("role".into(), role(message.role).into());
    turn.insert("content".into(), content.into());
    if let Some(name) = &message.name {
        turn.insert("name".into(), name.as_str().into());
    }
    if !reasoning.is_empty() {
        turn.insert("reasoning_content".into(), reasoning.into());
    }
    if !calls.is_empty() {
        turn.insert("tool_calls".into(), calls.into());
    }
    turn.into()
}

/// Templates know no developer.
fn role(role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

/// Arguments as a value where they are JSON: most templates print them with `tojson`.
fn arguments(call: &ToolCall) -> Value {
    call.parse().unwrap_or_else(|_| call.arguments.as_str().into())
}

fn call_value(call: &ToolCall) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments(call)},
    })
}

fn call_text(call: &ToolCall) -> String {
    let value = json!({"name": call.name, "arguments": arguments(call)});
    format!("<tool_call>\n{}\n</tool_call>", super::template::python_json(&value))
}

fn result_turn(result: &ToolResult, native_tools: bool) -> Value {
    let text: String = result.content.iter().filter_map(Part::as_text).collect();
    let text = if result.is_error { format!("Error: {text}") } else { text };
    if !native_tools {
        let content = format!("<tool_response>\n{text}\n</tool_response>");
        return json!({"role": "user", "content": content});
    }
    let mut turn = json!({"role": "tool", "content": text, "tool_call_id": result.call_id});
    if let (Some(name), Some(turn)) = (&result.name, turn.as_object_mut()) {
        turn.insert("name".into(), name.as_str().into());
    }
    turn
}
