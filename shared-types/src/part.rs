//! The pieces that messages and answers are made of, in the order the provider gave them.
//!
//! A part has a closed set of fields: new facts travel in `extras`, so that an older reader never
//! meets a field it does not know.

use crate::Extras;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One block of a message or an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Plain text.
    Text(Text),
    /// What the model thought before it answered.
    Reasoning(Reasoning),
    /// The model wants a tool to be run.
    ToolCall(ToolCall),
    /// What the tool answered.
    ToolResult(ToolResult),
    /// Image, audio, video or file.
    Media(Media),
    /// The model declined to answer.
    Refusal(Refusal),
    /// A provider's item that nobody models yet, verbatim.
    Native(NativeItem),
}

/// Plain text with the sources it cites.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// The text.
    pub text: String,
    /// Sources of the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub citations: Vec<Citation>,
    /// Log-probabilities of the tokens, when asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logprobs: Vec<TokenLogprob>,
    /// Provider-namespaced data (`cache_control`, item ids ...).
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
}

/// Where a statement comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Citation {
    /// Address of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Title of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The words quoted from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
    /// Byte range `[start, end)` of the part's text that the source supports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<(u32, u32)>,
    /// Provider-namespaced data.
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
}

/// One produced token with its log-probability (natural logarithm).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprob {
    /// The token's text; invalid UTF-8 is replaced, `bytes` has the truth.
    pub token: String,
    /// Natural logarithm of its probability.
    pub logprob: f64,
    /// The token's bytes, where the provider tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Vec<u8>>,
    /// The likeliest alternatives, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<TopLogprob>,
}

/// An alternative that the model could have chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TopLogprob {
    /// The token's text.
    pub token: String,
    /// Natural logarithm of its probability.
    pub logprob: f64,
    /// The token's bytes, where the provider tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Vec<u8>>,
}

/// A piece of the model's reasoning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reasoning {
    /// Visible text or summary; empty when the provider withholds it.
    pub text: String,
    /// Proof of origin that the provider wants back unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Encrypted reasoning (redacted thinking), to be sent back unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<String>,
    /// Provider-namespaced data.
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
}

/// The model asks for a tool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// Ties the result to the call; made by the provider.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The argument text exactly as the model wrote it; [`ToolCall::parse`] reads it.
    pub arguments: String,
    /// The provider ran the tool itself; the caller must not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hosted: bool,
    /// Provider-namespaced data (thought signatures ...).
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
}

impl ToolCall {
    /// Reads the arguments; empty text means an empty object.
    ///
    /// # Errors
    /// When the model wrote something that is not JSON.
    pub fn parse(&self) -> Result<Value, serde_json::Error> {
        let text = self.arguments.trim();
        serde_json::from_str(if text.is_empty() { "{}" } else { text })
    }
}

/// What a tool answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolResult {
    /// The id of the call.
    pub call_id: String,
    /// The tool's name, for the providers that want it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The answer: text, images, files.
    pub content: Vec<Part>,
    /// The tool failed; the content says why.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_error: bool,
    /// Provider-namespaced data.
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
}

/// Image, audio, video or file; the media type says which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Media {
    /// For example `image/png`.
    pub media_type: String,
    /// Where the bytes are.
    pub source: MediaSource,
    /// File name, for documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// What is said in audio that the model produced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<String>,
    /// Provider-namespaced data (image detail ...).
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
}

/// Where the bytes of a [`Media`] part are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaSource {
    /// Base64 text: kept encoded, because every wire carries it encoded.
    Base64(String),
    /// An address that the provider fetches.
    Url(String),
    /// The id of a file uploaded to the provider.
    FileId(String),
}

/// The model declined.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// Its words.
    pub text: String,
    /// Provider-namespaced data.
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
}

/// An item of one provider's API that has no common meaning; replayed only to that API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NativeItem {
    /// The wire format it belongs to, for example `openai.responses`.
    pub api: String,
    /// The item, verbatim.
    pub item: Value,
}

impl Part {
    /// A text part.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Text { text: text.into(), ..Text::default() })
    }

    /// A tool call.
    pub fn tool_call(
        id: impl Into<String>,
        name: impl Into<String>,
        arguments: impl Into<String>,
    ) -> Self {
        Self::ToolCall(ToolCall {
            id: id.into(),
            name: name.into(),
            arguments: arguments.into(),
            ..ToolCall::default()
        })
    }

    /// A successful tool result made of text.
    pub fn tool_result(call: &ToolCall, text: impl Into<String>) -> Self {
        Self::ToolResult(ToolResult {
            call_id: call.id.clone(),
            name: Some(call.name.clone()),
            content: vec![Self::text(text)],
            ..ToolResult::default()
        })
    }

    /// The text of a text part.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(&text.text),
            _ => None,
        }
    }

    /// The provider-namespaced data of the part; native items have none of their own.
    pub fn extras_mut(&mut self) -> Option<&mut Extras> {
        match self {
            Self::Text(part) => Some(&mut part.extras),
            Self::Reasoning(part) => Some(&mut part.extras),
            Self::ToolCall(part) => Some(&mut part.extras),
            Self::ToolResult(part) => Some(&mut part.extras),
            Self::Media(part) => Some(&mut part.extras),
            Self::Refusal(part) => Some(&mut part.extras),
            Self::Native(_) => None,
        }
    }

    /// The part's growing text, to which stream deltas are appended: text, reasoning, refusal,
    /// tool-call arguments or inline media. `None` for parts that do not stream.
    pub fn growing(&mut self) -> Option<&mut String> {
        match self {
            Self::Text(part) => Some(&mut part.text),
            Self::Reasoning(part) => Some(&mut part.text),
            Self::Refusal(part) => Some(&mut part.text),
            Self::ToolCall(part) => Some(&mut part.arguments),
            Self::Media(Media { source: MediaSource::Base64(data), .. }) => Some(data),
            Self::Media(_) | Self::ToolResult(_) | Self::Native(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_field_in_a_part_is_refused_by_name() {
        let error = serde_json::from_str::<Part>(r#"{"type":"text","text":"a","colour":"red"}"#)
            .unwrap_err();
        assert!(error.to_string().contains("colour"), "{error}");
    }

    #[test]
    fn empty_arguments_are_an_empty_object_and_broken_ones_an_error() {
        let mut call = ToolCall::default();
        assert_eq!(call.parse().unwrap(), serde_json::json!({}));
        call.arguments = "{\"a\":".into();
        assert!(call.parse().is_err());
    }
}
