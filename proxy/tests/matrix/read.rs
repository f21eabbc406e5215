//! How clients read what comes back: one small reader for each dialect.

mod anthropic;
mod chat;
mod google;
mod native;
mod ollama;
mod responses;

use crate::{gate::Reply, way::Way};
use serde_json::Value;

/// What a client understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    pub text: String,
    pub reasoning: String,
    pub refusal: String,
    pub calls: Vec<Call>,
    /// Why it ended, in the dialect's own words; empty where nothing says so.
    pub finish: String,
    pub usage: Option<Counts>,
    /// What an error inside of the answer says.
    pub error: Option<String>,
    /// Whether the answer came to a good end.
    pub ended: bool,
    /// The answer as a client sends it back with the next question.
    pub turns: Vec<Value>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Call {
    pub id: String,
    pub name: String,
    pub arguments: Value,
}

/// Tokens as a dialect counts them: `cached` is part of `input`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub input: u64,
    pub cached: u64,
    pub output: u64,
}

/// Reads an answer.
pub fn read(way: Way, reply: &Reply, streamed: bool) -> Said {
    match way {
        Way::Chat => chat::read(reply, streamed),
        Way::Responses => responses::read(reply, streamed),
        Way::Anthropic => anthropic::read(reply, streamed),
        Way::Google => google::read(reply, streamed),
        Way::OllamaChat | Way::OllamaGenerate => ollama::read(reply),
        Way::Native => native::read(reply, streamed),
    }
}

/// The word and the message of an error that is the whole answer. Ollama has no words.
pub fn problem(way: Way, reply: &Reply) -> (String, String) {
    let body = json(&reply.body);
    let error = &body["error"];
    let word = match way {
        Way::Chat | Way::Responses => &error["code"],
        Way::Anthropic => &error["type"],
        Way::Google => &error["status"],
        Way::OllamaChat | Way::OllamaGenerate => return (String::new(), text(error)),
        Way::Native => &error["kind"],
    };
    (text(word), text(&error["message"]))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The data of server-sent events.
fn events(body: &str) -> impl Iterator<Item = &str> {
    body.lines().filter_map(|line| line.strip_prefix("data: "))
}

/// A text; empty where there is none.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A number; 0 where there is none.
fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// A list; empty where there is none.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// What an error says; nothing where there is none.
fn error_in(value: &Value) -> Option<String> {
    let error = value.get("error").filter(|error| !error.is_null())?;
    Some(text(error.get("message").unwrap_or(error)))
}
