//! A whole answer, read and written.

use serde_json::{Map, Value, json};
use tollgate_types::{
    Citation, Error, ErrorKind, Extras, Finish, FinishReason, Fold, GenerateResponse, Part, Result,
    Usage,
};

use super::{NAMESPACE, StreamDecoder, finish, grounding::Grounding, logprobs, parts, usage};
use crate::dialects::{
    merge::{merge, object},
    stream::ReplyHead,
};

/// Reads an upstream's whole answer: one response object, or the array that a stream is without
/// `alt=sse`.
///
/// # Errors
/// `protocol` when it is neither; `stream_interrupted` when an array holds no end; the provider's
/// error when the body carries one.
pub fn decode_reply(body: &[u8], provider: &str) -> Result<GenerateResponse> {
    let protocol = |message: &str| {
        Error::new(ErrorKind::Protocol, message)
            .with(|body| body.provider = Some(provider.to_owned()))
    };
    let mut decoder = StreamDecoder::new(provider);
    let mut fold = Fold::new();
    let answer = serde_json::from_slice(body);
    let (chunks, is_whole) = match answer {
        Ok(Value::Array(chunks)) => (chunks, false),
        Ok(object @ Value::Object(_)) => (vec![object], true),
        _ => return Err(protocol("the provider's answer is not a JSON object")),
    };
    for chunk in chunks {
        let Value::Object(chunk) = chunk else {
            return Err(protocol("the provider's answer holds something that is not an object"));
        };
        for event in decoder.take(chunk)? {
            fold.push(event)?;
        }
    }
    if !decoder.has_started() {
        return Err(protocol("the provider's answer holds no candidate"));
    }
    // A whole object is complete even where no reason is given.
    let end = if is_whole { decoder.complete() } else { decoder.complete_if_finished() };
    for event in end? {
        fold.push(event)?;
    }
    fold.finish()
}

/// Writes a whole answer.
pub fn encode_reply(response: &GenerateResponse, head: &ReplyHead) -> Value {
    let (own, usage_rest, top) = own_sections(&response.extras);
    let mut ending = Ending::default();
    let mut written = Vec::with_capacity(response.content.len());
    let mut odds = Vec::new();
    for part in &response.content {
        match part {
            Part::Text(text) => {
                odds.extend(text.logprobs.iter().cloned());
                ending.cite(&text.text, &text.citations);
                written.push(parts::text(text));
            }
            Part::Refusal(refusal) => written.push(json!({"text": refusal.text})),
            Part::Reasoning(thought) if thought.text.is_empty() && thought.extras.is_empty() => {}
            Part::Reasoning(thought) => written.push(parts::reasoning(thought)),
            Part::Native(native) if native.api == super::API => written.push(native.item.clone()),
            part => written.extend(ending.whole(part)),
        }
    }
    let (candidate, usage) = ending.write(&response.finish, &response.usage, (&own, &usage_rest));
    let mut fields = object([
        ("content", Some(json!({"parts": written, "role": "model"}))),
        ("logprobsResult", logprobs::encode(&odds)),
    ]);
    merge(&mut fields, &candidate);
    let block = written.is_empty() && is_block(&top, &response.finish);
    let mut body = object([
        ("candidates", (!block).then(|| json!([fields]))),
        ("usageMetadata", Some(usage)),
        ("modelVersion", Some(head.model.as_str().into())),
        ("responseId", Some(head.id.as_str().into())),
    ]);
    merge(&mut body, &top);
    Value::Object(body)
}

/// Whether the prompt was refused: such an answer has no candidate.
pub(super) fn is_block(top: &Map<String, Value>, finish: &Finish) -> bool {
    let reason = top.get("promptFeedback").and_then(|feedback| feedback.get("blockReason"));
    let reason = reason.and_then(finish::word);
    reason.is_some() && reason == finish.raw
}

/// The extras of an answer by where they belong: its candidate, its usage, the answer itself.
pub(super) fn own_sections(
    extras: &Extras,
) -> (Map<String, Value>, Map<String, Value>, Map<String, Value>) {
    let mut own = extras.get(NAMESPACE).cloned().unwrap_or_default();
    let mut section = |key: &str| match own.shift_remove(key) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let (candidate, usage) = (section("candidate"), section("usage"));
    (candidate, usage, own)
}

/// What is known about an answer only at its end.
#[derive(Debug, Default)]
pub(super) struct Ending {
    grounding: Grounding,
    /// A call whose arguments are no JSON object.
    broken: Option<String>,
}

impl Ending {
    /// The text of a part and what it cites.
    pub(super) fn cite(&mut self, text: &str, citations: &[Citation]) {
        self.grounding.add(text, citations);
    }

    /// A part that is told whole. A call that was cut off must not be run, so it is named at the
    /// end instead.
    pub(super) fn whole(&mut self, part: &Part) -> Option<Value> {
        match part {
            Part::ToolCall(call) if !call.hosted => {
                let written = parts::call(call, parts::Ids::All);
                if written.is_none() {
                    self.broken =
                        Some(format!("Malformed function call: {}({})", call.name, call.arguments));
                }
                written
            }
            Part::Media(media) => Some(parts::media(media)),
            // A call that the provider ran, a result of it or a foreign item has no place here;
            // the native dialect shows it.
            _ => None,
        }
    }

    /// The last fields of the candidate, and the usage.
    pub(super) fn write(
        self,
        finish: &Finish,
        used: &Usage,
        (own, usage_rest): (&Map<String, Value>, &Map<String, Value>),
    ) -> (Map<String, Value>, Value) {
        let went_well = matches!(finish.reason, FinishReason::Stop | FinishReason::ToolCalls);
        let broken = self.broken.filter(|_| went_well);
        let word =
            if broken.is_some() { "MALFORMED_FUNCTION_CALL" } else { finish::encode(finish) };
        let cited = self.grounding.finish().filter(|_| {
            !own.contains_key("groundingMetadata") && !own.contains_key("citationMetadata")
        });
        let mut candidate = object([
            ("finishReason", Some(word.into())),
            ("index", Some(0.into())),
            ("finishMessage", broken.map(Value::from)),
            ("groundingMetadata", cited),
        ]);
        merge(&mut candidate, own);
        (candidate, usage::encode(used, usage_rest))
    }
}
