//! Parts of messages and answers.

use super::{
    field::{all, each, read_extras, read_value, write_extras, write_value, wrong},
    v1,
};
use crate::lenient::NATIVE_API;
use crate::{
    Citation, Error, Media, MediaSource, NativeItem, Part, Reasoning, Refusal, Result, Text,
    TokenLogprob, ToolCall, ToolResult, TopLogprob,
};
use v1::{media::Source, part::Kind};

impl From<Part> for v1::Part {
    fn from(part: Part) -> Self {
        let kind = match part {
            Part::Text(part) => Kind::Text(part.into()),
            Part::Reasoning(part) => Kind::Reasoning(part.into()),
            Part::ToolCall(part) => Kind::ToolCall(part.into()),
            Part::ToolResult(part) => Kind::ToolResult(part.into()),
            Part::Media(part) => Kind::Media(part.into()),
            Part::Refusal(Refusal { text, extras }) => {
                Kind::Refusal(v1::Refusal { text, extras_json: write_extras(&extras) })
            }
            Part::Native(NativeItem { api, item }) => {
                Kind::Native(v1::NativeItem { api, item_json: write_value(&item) })
            }
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<v1::Part> for Part {
    type Error = Error;

    fn try_from(part: v1::Part) -> Result<Self> {
        Ok(match part.kind.ok_or_else(|| wrong("", "is no part, or of an unknown kind"))? {
            Kind::Text(part) => Self::Text(part.try_into()?),
            Kind::Reasoning(part) => Self::Reasoning(part.try_into()?),
            Kind::ToolCall(part) => Self::ToolCall(part.try_into()?),
            Kind::ToolResult(part) => Self::ToolResult(part.try_into()?),
            Kind::Media(part) => Self::Media(part.try_into()?),
            Kind::Refusal(v1::Refusal { text, extras_json }) => {
                Self::Refusal(Refusal { text, extras: read_extras(&extras_json)? })
            }
            Kind::Native(v1::NativeItem { api, item_json }) => {
                Self::Native(NativeItem { api, item: read_value(&item_json, "item_json")? })
            }
        })
    }
}

impl From<Text> for v1::Text {
    fn from(Text { text, citations, logprobs, extras }: Text) -> Self {
        let (citations, logprobs) = (all(citations), all(logprobs));
        Self { text, citations, logprobs, extras_json: write_extras(&extras) }
    }
}

impl TryFrom<v1::Text> for Text {
    type Error = Error;

    fn try_from(part: v1::Text) -> Result<Self> {
        let v1::Text { text, citations, logprobs, extras_json } = part;
        let citations = each(citations, "citations")?;
        Ok(Self { text, citations, logprobs: all(logprobs), extras: read_extras(&extras_json)? })
    }
}

impl From<Citation> for v1::Citation {
    fn from(Citation { url, title, quote, span, extras }: Citation) -> Self {
        let span = span.map(|(start, end)| v1::citation::Span { start, end });
        Self { url, title, quote, span, extras_json: write_extras(&extras) }
    }
}

impl TryFrom<v1::Citation> for Citation {
    type Error = Error;

    fn try_from(citation: v1::Citation) -> Result<Self> {
        let v1::Citation { url, title, quote, span, extras_json } = citation;
        let span = span.map(|span| (span.start, span.end));
        Ok(Self { url, title, quote, span, extras: read_extras(&extras_json)? })
    }
}

impl From<TokenLogprob> for v1::TokenLogprob {
    fn from(TokenLogprob { token, logprob, bytes, top }: TokenLogprob) -> Self {
        let top = top.into_iter().map(|TopLogprob { token, logprob, bytes }| {
            v1::token_logprob::Top { token, logprob, bytes }
        });
        Self { token, logprob, bytes, top: top.collect() }
    }
}

impl From<v1::TokenLogprob> for TokenLogprob {
    fn from(v1::TokenLogprob { token, logprob, bytes, top }: v1::TokenLogprob) -> Self {
        let top = top.into_iter().map(|v1::token_logprob::Top { token, logprob, bytes }| {
            TopLogprob { token, logprob, bytes }
        });
        Self { token, logprob, bytes, top: top.collect() }
    }
}

impl From<Reasoning> for v1::Reasoning {
    fn from(Reasoning { text, signature, encrypted, extras }: Reasoning) -> Self {
        Self { text, signature, encrypted, extras_json: write_extras(&extras) }
    }
}

impl TryFrom<v1::Reasoning> for Reasoning {
    type Error = Error;

    fn try_from(part: v1::Reasoning) -> Result<Self> {
        let v1::Reasoning { text, signature, encrypted, extras_json } = part;
        Ok(Self { text, signature, encrypted, extras: read_extras(&extras_json)? })
    }
}

impl From<ToolCall> for v1::ToolCall {
    fn from(ToolCall { id, name, arguments, hosted, extras }: ToolCall) -> Self {
        Self { id, name, arguments, hosted, extras_json: write_extras(&extras) }
    }
}

impl TryFrom<v1::ToolCall> for ToolCall {
    type Error = Error;

    fn try_from(part: v1::ToolCall) -> Result<Self> {
        let v1::ToolCall { id, name, arguments, hosted, extras_json } = part;
        Ok(Self { id, name, arguments, hosted, extras: read_extras(&extras_json)? })
    }
}

impl From<ToolResult> for v1::ToolResult {
    fn from(ToolResult { call_id, name, content, is_error, extras }: ToolResult) -> Self {
        let extras_json = write_extras(&extras);
        Self { call_id, name, content: all(content), is_error, extras_json }
    }
}

impl TryFrom<v1::ToolResult> for ToolResult {
    type Error = Error;

    fn try_from(part: v1::ToolResult) -> Result<Self> {
        let v1::ToolResult { call_id, name, content, is_error, extras_json } = part;
        let (content, extras) = (each(content, "content")?, read_extras(&extras_json)?);
        Ok(Self { call_id, name, content, is_error, extras })
    }
}

impl From<Media> for v1::Media {
    fn from(Media { media_type, source, filename, transcript, extras }: Media) -> Self {
        let source = Some(match source {
            MediaSource::Base64(text) => Source::Base64(text),
            MediaSource::Url(url) => Source::Url(url),
            MediaSource::FileId(id) => Source::FileId(id),
        });
        Self { media_type, source, filename, transcript, extras_json: write_extras(&extras) }
    }
}

impl TryFrom<v1::Media> for Media {
    type Error = Error;

    fn try_from(part: v1::Media) -> Result<Self> {
        let v1::Media { media_type, source, filename, transcript, extras_json } = part;
        let source = match source.ok_or_else(|| wrong("source", "is missing or unknown"))? {
            Source::Base64(text) => MediaSource::Base64(text),
            Source::Url(url) => MediaSource::Url(url),
            Source::FileId(id) => MediaSource::FileId(id),
        };
        Ok(Self { media_type, source, filename, transcript, extras: read_extras(&extras_json)? })
    }
}

/// A part of an answer. A kind that nobody here knows becomes a native item.
pub(super) fn answered(part: v1::Part) -> Result<Part> {
    if part.kind.is_some() {
        return part.try_into();
    }
    let item = serde_json::json!({"type": "unknown"});
    Ok(Part::Native(NativeItem { api: NATIVE_API.to_owned(), item }))
}
