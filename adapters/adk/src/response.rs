//! Events of a provider as adk's responses: pieces while they come, and the whole answer at the end.

use crate::turn;
use adk_core::{
    CitationMetadata, CitationSource, Content, FinishReason, LlmResponse, Part as Shown,
    UsageMetadata,
};
use serde_json::json;
use tollgate_types::{
    Citation, Error, ErrorKind, FinishReason as Reason, GenerateResponse, NanoUsd, Part, Result,
    Usage,
};

/// A piece of text or thought, to be shown at once.
pub(crate) fn piece(part: &Part, text: String) -> Option<LlmResponse> {
    let shown = match part {
        Part::Text(_) | Part::Refusal(_) => Shown::Text { text },
        Part::Reasoning(_) => Shown::Thinking { thinking: text, signature: None },
        _ => return None,
    };
    let content = Content { role: "model".to_owned(), parts: vec![shown] };
    Some(LlmResponse { content: Some(content), partial: true, ..LlmResponse::default() })
}

/// The whole answer; adk puts it in the place of the pieces.
pub(crate) fn whole(answer: GenerateResponse) -> Result<LlmResponse> {
    let content = turn::show(&answer.content, &answer.origin).map_err(|error| {
        Error::new(ErrorKind::Protocol, "the answer is not JSON").with_source(error)
    })?;
    let sources: Vec<_> = answer.content.iter().flat_map(citations).collect();
    let cost = answer.receipt.as_ref().and_then(|receipt| receipt.cost);
    let told = json!({
        "content_complete": true,
        "tollgate": {
            "origin": answer.origin,
            "finish": answer.finish,
            "receipt": answer.receipt,
            "warnings": answer.warnings,
            "extras": answer.extras,
        },
    });
    Ok(LlmResponse {
        content: Some(content),
        usage_metadata: Some(usage(&answer.usage, cost)),
        finish_reason: Some(reason(answer.finish.reason)),
        citation_metadata: (!sources.is_empty())
            .then_some(CitationMetadata { citation_sources: sources }),
        turn_complete: true,
        provider_metadata: Some(told),
        ..LlmResponse::default()
    })
}

fn citations(part: &Part) -> impl Iterator<Item = CitationSource> {
    let citations = match part {
        Part::Text(text) => text.citations.as_slice(),
        _ => &[],
    };
    citations.iter().map(cited)
}

fn cited(citation: &Citation) -> CitationSource {
    let number = |at: u32| i32::try_from(at).ok();
    CitationSource {
        uri: citation.url.clone(),
        title: citation.title.clone(),
        start_index: citation.span.and_then(|(start, _)| number(start)),
        end_index: citation.span.and_then(|(_, end)| number(end)),
        license: None,
        publication_date: None,
    }
}

/// An answer that a budget cut short is kept, as one that a limit of tokens cut short.
fn reason(reason: Reason) -> FinishReason {
    match reason {
        Reason::Stop | Reason::ToolCalls => FinishReason::Stop,
        Reason::Length | Reason::BudgetExhausted => FinishReason::MaxTokens,
        Reason::ContentFilter => FinishReason::Safety,
        _ => FinishReason::Other,
    }
}

fn usage(usage: &Usage, cost: Option<NanoUsd>) -> UsageMetadata {
    let number = |tokens: u64| i32::try_from(tokens).unwrap_or(i32::MAX);
    let some = |tokens: u64| Some(number(tokens)).filter(|tokens| *tokens > 0);
    UsageMetadata {
        prompt_token_count: number(usage.total_input()),
        candidates_token_count: number(usage.total_output()),
        total_token_count: number(usage.total()),
        cache_read_input_token_count: some(usage.cache_read),
        cache_creation_input_token_count: some(
            usage.cache_write_5m.saturating_add(usage.cache_write_1h),
        ),
        thinking_token_count: some(usage.reasoning),
        audio_input_token_count: some(usage.audio_in),
        audio_output_token_count: some(usage.audio_out),
        cost: cost.map(dollars),
        is_byok: None,
        provider_usage: serde_json::to_value(usage).ok(),
    }
}

#[expect(
    clippy::float_arithmetic,
    reason = "adk tells people what a call cost as a float; nothing is counted with it"
)]
fn dollars(NanoUsd(nanos): NanoUsd) -> f64 {
    nanos as f64 / 1e9
}
