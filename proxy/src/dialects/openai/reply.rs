//! A whole chat completion, read and written.

mod plain;

use serde_json::{Map, Value, json};
use tollgate_types::{
    Error, ErrorKind, Fold, GenerateResponse, MediaSource, Part, Result, TokenLogprob,
};

use super::{
    NAMESPACE, StreamDecoder, citation, details, finish, logprobs, media,
    stream_encoder::{split_extras, with_rest},
    tools, usage,
};
use crate::dialects::{
    call_id::IdRule,
    merge::{merge, object},
    stream::ReplyHead,
};

/// Reads an upstream's whole answer.
///
/// # Errors
/// `protocol` when it is no chat completion; the provider's error when the body carries one.
pub fn decode_reply(body: &[u8], provider: &str) -> Result<GenerateResponse> {
    plain::decode(body, provider).map_or_else(|| decode_in_full(body, provider), Ok)
}

/// Reads an answer whose body is passed on: what it is of use for to the books and to who looks on.
/// Extras may be missing, because the body has them.
///
/// # Errors
/// As [`decode_reply`].
pub fn decode_told_reply(body: &[u8], provider: &str) -> Result<GenerateResponse> {
    plain::decode_told(body, provider).map_or_else(|| decode_in_full(body, provider), Ok)
}

fn decode_in_full(body: &[u8], provider: &str) -> Result<GenerateResponse> {
    let protocol = |message: &str| {
        Error::new(ErrorKind::Protocol, message)
            .with(|body| body.provider = Some(provider.to_owned()))
    };
    let Ok(Value::Object(answer)) = serde_json::from_slice(body) else {
        return Err(protocol("the provider's answer is not a JSON object"));
    };
    let mut decoder = StreamDecoder::new(provider);
    let mut fold = Fold::new();
    for event in decoder.take(answer)? {
        fold.push(event)?;
    }
    if !decoder.has_started() {
        return Err(protocol("the provider's answer holds no choice"));
    }
    for event in decoder.complete()? {
        fold.push(event)?;
    }
    fold.finish()
}

/// Writes a whole answer.
pub fn encode_reply(response: &GenerateResponse, head: &ReplyHead) -> Value {
    let own = response.extras.get(NAMESPACE).cloned().unwrap_or_default();
    let (choice_extras, usage_rest, top) = split_extras(own);
    let mut message = Message::default();
    for part in &response.content {
        message.add(part, &response.origin.api);
    }
    let odds = logprobs::encode(&message.logprobs);
    let mut choice = object([
        ("index", Some(0.into())),
        ("message", Some(message.write())),
        ("logprobs", Some(odds)),
        ("finish_reason", Some(finish::encode(response.finish.reason).into())),
    ]);
    merge(&mut choice, &choice_extras);
    let mut body = object([
        ("id", Some(head.id.as_str().into())),
        ("object", Some("chat.completion".into())),
        ("created", Some(head.created_s.into())),
        ("model", Some(head.model.as_str().into())),
        ("choices", Some(vec![Value::Object(choice)].into())),
        ("usage", Some(with_rest(usage::encode(&response.usage), &usage_rest))),
    ]);
    merge(&mut body, &top);
    Value::Object(body)
}

/// The one message of an answer.
#[derive(Default)]
struct Message {
    content: Option<String>,
    reasoning: Option<String>,
    refusal: Option<String>,
    annotations: Vec<Value>,
    logprobs: Vec<TokenLogprob>,
    calls: Vec<Value>,
    images: Vec<Value>,
    /// What has to come back with the reasoning, and how many pieces of it there are.
    details: Vec<Value>,
    thoughts: usize,
    /// Further fields: audio.
    fields: Map<String, Value>,
}

impl Message {
    fn add(&mut self, part: &Part, api: &str) {
        match part {
            Part::Text(text) => {
                let content = self.content.get_or_insert_default();
                content.push_str(&text.text);
                self.annotations.extend(citation::encode(&text.citations, &text.text));
                self.logprobs.extend(text.logprobs.iter().cloned());
            }
            Part::Reasoning(reasoning) => {
                self.reasoning.get_or_insert_default().push_str(&reasoning.text);
                self.details.extend(details::of(reasoning, api, self.thoughts));
                self.thoughts += 1;
            }
            Part::Refusal(refusal) => {
                self.refusal.get_or_insert_default().push_str(&refusal.text);
            }
            Part::ToolCall(call) if !call.hosted => {
                let mut written = tools::encode_call(call, IdRule::Any);
                details::put_signature(&mut written, &call.extras);
                self.calls.push(Value::Object(written));
            }
            Part::Media(media) if media.media_type.starts_with("image/") => {
                self.images.extend(media::encode_reply_image(media));
            }
            Part::Media(media) if media.media_type.starts_with("audio/") => {
                let mut audio = media.extras.get(NAMESPACE).cloned().unwrap_or_default();
                if let MediaSource::Base64(data) = &media.source {
                    audio.insert("data".to_owned(), data.as_str().into());
                }
                if let Some(said) = &media.transcript {
                    audio.insert("transcript".to_owned(), said.as_str().into());
                }
                // Audio at an address has no place.
                if !audio.is_empty() {
                    self.fields.insert("audio".to_owned(), Value::Object(audio));
                }
            }
            // A call that the provider ran, a result of it or a foreign item has no place here;
            // the native dialect shows it.
            Part::ToolCall(_) | Part::ToolResult(_) | Part::Media(_) | Part::Native(_) => {}
        }
    }

    fn write(self) -> Value {
        let silent = self.refusal.is_none() && self.calls.is_empty();
        // Clients expect text, be it empty, unless something else is there.
        let content = self.content.or_else(|| silent.then(String::new));
        let list = |items: Vec<Value>| (!items.is_empty()).then_some(Value::Array(items));
        let mut message = object([
            ("role", Some("assistant".into())),
            ("content", Some(content.map_or(Value::Null, Value::from))),
            ("reasoning_content", self.reasoning.map(Value::from)),
            ("refusal", Some(json!(self.refusal))),
            ("annotations", list(self.annotations)),
            ("tool_calls", list(self.calls)),
            ("images", list(self.images)),
            (details::DETAILS, list(self.details)),
        ]);
        merge(&mut message, &self.fields);
        Value::Object(message)
    }
}
