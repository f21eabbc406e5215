//! Google's generated content: whole, as events with CRLF, or as one JSON array.

use axum::body::Bytes;
use serde_json::{Map, Value, json};

use super::{error, wants_events};
use crate::{
    mock::{
        answer::{Api, NEWS},
        asked::either,
        gate,
        turn::{Call, SIGNATURE, Tally, Turn, long},
        vendor::{Fault, Vendor},
    },
    script::{Because, UsageReport},
};

/// What a model may be filtered for.
const HARMS: [&str; 4] = ["SEXUALLY_EXPLICIT", "HATE_SPEECH", "HARASSMENT", "DANGEROUS_CONTENT"];

/// A request to generate content.
pub(crate) struct GenerateContent {
    streams: bool,
    /// The stream is one of events and no array.
    events: bool,
    choices: Option<u64>,
}

impl Api for GenerateContent {
    const VENDOR: Vendor = Vendor::Google;
    const TROUBLE: u16 = 503;

    fn of(call: &gate::Call) -> Self {
        let streams = call.uri.path().ends_with(":streamGenerateContent");
        let config = either(&call.request, ["generationConfig", "generation_config"]);
        Self {
            streams,
            events: !streams || wants_events(&call.uri),
            choices: config
                .and_then(|config| either(config, ["candidateCount", "candidate_count"])?.as_u64()),
        }
    }

    fn streams(&self) -> bool {
        self.streams
    }

    fn stream_type(&self) -> &'static str {
        if self.events { "text/event-stream" } else { "application/json; charset=UTF-8" }
    }

    fn choices(&self) -> Option<u64> {
        self.choices
    }

    fn whole(&self, turn: &Turn) -> String {
        let json = match turn.because {
            Because::Blocked => blocked(turn),
            _ => {
                let candidates = (0..turn.choices).map(|index| {
                    let mut candidate = candidate(index, parts(turn));
                    candidate.extend(ending(turn));
                    Value::Object(candidate)
                });
                let usage = usage(&turn.usage, turn.usage.thought, turn.usage.said);
                envelope(turn, candidates.collect(), usage)
            }
        };
        super::pretty(&json)
    }

    fn frames(&self, turn: &Turn) -> Vec<Bytes> {
        let chunks = match turn.because {
            Because::Blocked => vec![blocked(turn)],
            _ => chunks(turn),
        };
        let chunks = chunks.iter().enumerate();
        let mut frames: Vec<Bytes> = chunks.map(|(n, chunk)| self.frame(chunk, n)).collect();
        if !self.events {
            frames.push(Bytes::from_static(b"]\n"));
        }
        frames
    }

    fn news(&self) -> Bytes {
        let text = format!("{{{NEWS}}}");
        Bytes::from(if self.events {
            format!("data: {text}\r\n\r\n")
        } else {
            format!(",\n{text}\n")
        })
    }

    fn broken(&self) -> &'static str {
        if self.events {
            "data: {\"candidates\": [oops\r\n\r\n"
        } else {
            ",\n{\"candidates\": [oops"
        }
    }

    fn trouble(&self, _: &Turn, fault: &Fault<'_>, sent: usize) -> Vec<Bytes> {
        let mut frames = vec![self.frame(&error(fault), sent)];
        if !self.events {
            frames.push(Bytes::from_static(b"]\n"));
        }
        frames
    }
}

impl GenerateContent {
    fn frame(&self, chunk: &Value, place: usize) -> Bytes {
        let text = match (self.events, place) {
            (true, _) => format!("data: {chunk}\r\n\r\n"),
            (false, 0) => format!("[{chunk:#}\n"),
            (false, _) => format!(",\n{chunk:#}\n"),
        };
        Bytes::from(text)
    }
}

/// All chunks of a stream; each tells what was used until then.
fn chunks(turn: &Turn) -> Vec<Value> {
    let (mut thought, mut said) = (0, 0);
    let mut chunks = Vec::new();
    let mut push = |part: Value, thinking: u64, saying: u64| {
        for index in 0..turn.choices {
            (thought, said) = (thought + thinking, said + saying);
            let candidate = candidate(index, vec![part.clone()]);
            let usage = usage(&turn.usage, thought, said);
            chunks.push(envelope(turn, vec![candidate.into()], usage));
        }
    };
    for word in &turn.thoughts {
        push(json!({"text": word, "thought": true}), 1, 0);
    }
    for word in &turn.words {
        push(json!({"text": word}), 0, 1);
    }
    for (n, call) in turn.whole_calls().iter().enumerate() {
        push(function_call(turn, n, call), 0, call.tokens());
    }
    for index in 0..turn.choices {
        let mut last = json!({"text": ""});
        if turn.whole_calls().is_empty() {
            sign(turn, &mut last);
        }
        let mut candidate = candidate(index, vec![last]);
        if turn.because == Because::Safety {
            candidate.remove("content");
        }
        candidate.extend(ending(turn));
        let usage = usage(&turn.usage, turn.usage.thought, turn.usage.said);
        chunks.push(envelope(turn, vec![candidate.into()], usage));
    }
    chunks
}

/// Everything one candidate says.
fn parts(turn: &Turn) -> Vec<Value> {
    let mut parts = Vec::new();
    if !turn.thoughts.is_empty() {
        parts.push(json!({"text": turn.thinking(), "thought": true}));
    }
    let calls = turn.whole_calls();
    if !turn.words.is_empty() {
        let mut part = json!({"text": turn.text()});
        if calls.is_empty() {
            sign(turn, &mut part);
        }
        parts.push(part);
    }
    parts.extend(calls.iter().enumerate().map(|(n, call)| function_call(turn, n, call)));
    parts
}

/// A call; only the first of several is signed.
fn function_call(turn: &Turn, n: usize, call: &Call) -> Value {
    let mut told = json!({"name": call.name, "args": call.input});
    if let (true, Value::Object(told)) = (turn.ids, &mut told) {
        told.insert("id".to_owned(), format!("mock{n:04}").into());
    }
    let mut part = json!({"functionCall": told});
    if n == 0 {
        sign(turn, &mut part);
    }
    part
}

fn sign(turn: &Turn, part: &mut Value) {
    if let (true, Value::Object(part)) = (turn.thinks, part) {
        part.insert("thoughtSignature".to_owned(), SIGNATURE.into());
    }
}

fn candidate(index: usize, parts: Vec<Value>) -> Map<String, Value> {
    let content = match parts.is_empty() {
        true => json!({"role": "model"}),
        false => json!({"parts": parts, "role": "model"}),
    };
    Map::from_iter([("content".to_owned(), content), ("index".to_owned(), long(index).into())])
}

/// Why a candidate ended: calls are no reason here.
fn ending(turn: &Turn) -> Map<String, Value> {
    let reason = match turn.because {
        Because::Length => "MAX_TOKENS",
        Because::Safety => "SAFETY",
        Because::Done | Because::Refusal | Because::Blocked => "STOP",
    };
    let mut end = Map::from_iter([("finishReason".to_owned(), reason.into())]);
    if turn.because == Because::Safety {
        end.insert("safetyRatings".to_owned(), ratings());
    } else if !turn.whole_calls().is_empty() {
        end.insert("finishMessage".to_owned(), "Model generated function call(s).".into());
    }
    end
}

/// An answer without any candidate.
fn blocked(turn: &Turn) -> Value {
    let feedback = json!({"blockReason": "SAFETY", "safetyRatings": ratings()});
    let mut answer = json!({"promptFeedback": feedback});
    if let (Value::Object(answer), Value::Object(rest)) =
        (&mut answer, envelope(turn, Vec::new(), usage(&turn.usage, 0, 0)))
    {
        answer.extend(rest.into_iter().filter(|(key, _)| key != "candidates"));
    }
    answer
}

fn ratings() -> Value {
    let rating = |harm: &str| {
        let probability = if harm == "HARASSMENT" { "HIGH" } else { "NEGLIGIBLE" };
        json!({"category": format!("HARM_CATEGORY_{harm}"), "probability": probability})
    };
    json!(HARMS.map(rating))
}

fn envelope(turn: &Turn, candidates: Vec<Value>, usage: Option<Value>) -> Value {
    let mut answer = json!({"candidates": candidates});
    if let Value::Object(answer) = &mut answer {
        answer.extend(usage.map(|usage| ("usageMetadata".to_owned(), usage)));
        answer.insert("modelVersion".to_owned(), turn.model.as_str().into());
        answer.insert("responseId".to_owned(), "mock-response".into());
    }
    answer
}

/// Usage with so much output; thinking is beside the candidates and not within.
fn usage(usage: &Tally, thought: u64, said: u64) -> Option<Value> {
    match usage.report {
        UsageReport::Absent => None,
        UsageReport::Negative => Some(json!({
            "promptTokenCount": -5, "candidatesTokenCount": -7, "totalTokenCount": -12,
        })),
        UsageReport::Absurd => Some(json!({
            "promptTokenCount": u64::MAX, "candidatesTokenCount": 1e300,
            "totalTokenCount": "lots", "thoughtsTokenCount": 999_999_999,
        })),
        UsageReport::Exact => {
            let read = usage.read();
            let details = json!([{"modality": "TEXT", "tokenCount": read}]);
            let total = read.saturating_add(thought).saturating_add(said);
            let mut told = json!({"promptTokenCount": read});
            if let Value::Object(told) = &mut told {
                let mut some = |key: &str, count: u64| {
                    if count > 0 {
                        told.insert(key.to_owned(), count.into());
                    }
                };
                some("cachedContentTokenCount", usage.cached);
                some("candidatesTokenCount", said);
                some("totalTokenCount", total);
                told.insert("promptTokensDetails".to_owned(), details);
                if thought > 0 {
                    told.insert("thoughtsTokenCount".to_owned(), thought.into());
                }
            }
            Some(told)
        }
    }
}
