//! What a model answered, whole.

use super::{
    field::{At, all, read_extras, write_extras},
    part, v1,
};
use crate::{EmbedResponse, Error, Finish, FinishReason, GenerateResponse, Result, Warning};
use v1::embed_response::Vector;

impl From<GenerateResponse> for v1::GenerateResponse {
    fn from(response: GenerateResponse) -> Self {
        let GenerateResponse { content, finish, usage, origin, warnings, extras, receipt } =
            response;
        Self {
            content: all(content),
            finish: Some(finish.into()),
            usage: Some(usage.into()),
            origin: Some(origin.into()),
            warnings: all(warnings),
            extras_json: write_extras(&extras),
            receipt: receipt.map(Into::into),
        }
    }
}

impl TryFrom<v1::GenerateResponse> for GenerateResponse {
    type Error = Error;

    fn try_from(response: v1::GenerateResponse) -> Result<Self> {
        let content = response.content.into_iter().enumerate();
        let content = content.map(|(i, p)| part::answered(p).at(|| format!("content[{i}]")));
        let read = || {
            Ok(Self {
                content: content.collect::<Result<_>>()?,
                finish: response.finish.unwrap_or_default().into(),
                usage: response.usage.unwrap_or_default().into(),
                origin: response.origin.unwrap_or_default().into(),
                warnings: all(response.warnings),
                extras: read_extras(&response.extras_json)?,
                receipt: response.receipt.map(Into::into),
            })
        };
        read().told()
    }
}

impl From<Finish> for v1::Finish {
    fn from(Finish { reason, raw }: Finish) -> Self {
        let reason = match reason {
            FinishReason::Stop => v1::FinishReason::Stop,
            FinishReason::Length => v1::FinishReason::Length,
            FinishReason::BudgetExhausted => v1::FinishReason::BudgetExhausted,
            FinishReason::ToolCalls => v1::FinishReason::ToolCalls,
            FinishReason::ContentFilter => v1::FinishReason::ContentFilter,
            FinishReason::Pause => v1::FinishReason::Pause,
            FinishReason::Cancelled => v1::FinishReason::Cancelled,
            FinishReason::Other => v1::FinishReason::Unspecified,
        };
        Self { reason: reason.into(), raw }
    }
}

/// A reason of a newer server is another one.
impl From<v1::Finish> for Finish {
    fn from(v1::Finish { reason, raw }: v1::Finish) -> Self {
        let reason = match v1::FinishReason::try_from(reason) {
            Ok(v1::FinishReason::Stop) => FinishReason::Stop,
            Ok(v1::FinishReason::Length) => FinishReason::Length,
            Ok(v1::FinishReason::BudgetExhausted) => FinishReason::BudgetExhausted,
            Ok(v1::FinishReason::ToolCalls) => FinishReason::ToolCalls,
            Ok(v1::FinishReason::ContentFilter) => FinishReason::ContentFilter,
            Ok(v1::FinishReason::Pause) => FinishReason::Pause,
            Ok(v1::FinishReason::Cancelled) => FinishReason::Cancelled,
            Ok(v1::FinishReason::Unspecified) | Err(_) => FinishReason::Other,
        };
        Self { reason, raw }
    }
}

impl From<Warning> for v1::Warning {
    fn from(Warning { code, message, param }: Warning) -> Self {
        Self { code, message, param }
    }
}

impl From<v1::Warning> for Warning {
    fn from(v1::Warning { code, message, param }: v1::Warning) -> Self {
        Self { code, message, param }
    }
}

impl From<EmbedResponse> for v1::EmbedResponse {
    fn from(EmbedResponse { vectors, usage, model, receipt }: EmbedResponse) -> Self {
        let vectors = vectors.into_iter().map(|values| Vector { values }).collect();
        Self { vectors, usage: Some(usage.into()), model, receipt: receipt.map(Into::into) }
    }
}

impl From<v1::EmbedResponse> for EmbedResponse {
    fn from(response: v1::EmbedResponse) -> Self {
        let v1::EmbedResponse { vectors, usage, model, receipt } = response;
        let vectors = vectors.into_iter().map(|vector| vector.values).collect();
        let usage = usage.unwrap_or_default().into();
        Self { vectors, usage, model, receipt: receipt.map(Into::into) }
    }
}
