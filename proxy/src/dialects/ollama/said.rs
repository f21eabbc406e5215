//! What an answer, or one line of it, says, in the fields of chat or of generate.

use serde_json::{Map, Value};
use tollgate_types::{Part, TokenLogprob, ToolCall};

use super::{CHAT_API, GENERATE_API, images, tools};
use crate::dialects::{merge::object, openai::logprobs};

/// Which of the two APIs an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `POST /api/chat`: words stand in a message.
    Chat,
    /// `POST /api/generate`: words stand beside everything else.
    Generate,
}

impl Api {
    /// Its name in [`tollgate_types::Origin::api`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => CHAT_API,
            Self::Generate => GENERATE_API,
        }
    }

    /// The field that holds what is said.
    pub(super) fn text_field(self) -> &'static str {
        match self {
            Self::Chat => "message",
            Self::Generate => "response",
        }
    }
}

/// Words on their way to the wire.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) content: String,
    pub(super) thinking: String,
    pub(super) logprobs: Vec<TokenLogprob>,
    images: Vec<Value>,
    calls: Vec<Value>,
}

impl Said {
    /// Adds a whole part; what the format has no place for is left out: the native dialect shows it.
    pub(super) fn add(&mut self, part: &Part) {
        match part {
            Part::Text(text) => {
                self.content.push_str(&text.text);
                self.logprobs.extend(text.logprobs.iter().cloned());
            }
            // The format tells a refusal by its words alone.
            Part::Refusal(refusal) => self.content.push_str(&refusal.text),
            Part::Reasoning(reasoning) => self.thinking.push_str(&reasoning.text),
            Part::Media(media) => self.images.extend(images::base64_of(media).map(Value::from)),
            Part::ToolCall(call) => self.add_call(call, self.calls.len()),
            Part::ToolResult(_) | Part::Native(_) => {}
        }
    }

    /// Adds a call that the caller has to run. One whose arguments were cut off is left out: it
    /// must not be run, and an object cannot hold half of it.
    pub(super) fn add_call(&mut self, call: &ToolCall, index: usize) {
        if !call.hosted {
            self.calls.extend(tools::encode_call(call, index));
        }
    }

    /// Whether there is nothing to say.
    pub(super) fn is_empty(&self) -> bool {
        self.content.is_empty()
            && self.thinking.is_empty()
            && self.logprobs.is_empty()
            && self.images.is_empty()
            && self.calls.is_empty()
    }

    /// The fields that hold it.
    pub(super) fn write(self, api: Api) -> Map<String, Value> {
        let list = |items: Vec<Value>| (!items.is_empty()).then_some(Value::Array(items));
        let thinking = Some(self.thinking).filter(|text| !text.is_empty()).map(Value::from);
        let odds = match logprobs::encode(&self.logprobs) {
            Value::Object(mut odds) => odds.shift_remove("content"),
            _ => None,
        };
        match api {
            Api::Chat => {
                let message = object([
                    ("role", Some("assistant".into())),
                    ("content", Some(self.content.into())),
                    ("thinking", thinking),
                    ("images", list(self.images)),
                    ("tool_calls", list(self.calls)),
                ]);
                object([("message", Some(message.into())), ("logprobs", odds)])
            }
            Api::Generate => object([
                ("response", Some(self.content.into())),
                ("thinking", thinking),
                ("image", self.images.into_iter().next()),
                ("tool_calls", list(self.calls)),
                ("logprobs", odds),
            ]),
        }
    }
}
