//! How large a call can get: counted exactly where the provider can, proven from bytes elsewhere.

use crate::{
    access::Target,
    catalog::{Candidate, Plan},
    dialects::openai::responses,
    prices::Bound,
    routing,
};
use tollgate_types::{
    EmbedRequest, Error, ErrorKind, Extras, GenerateRequest, Message, Part, Result,
};

/// Providers add tokens of their own: turn markers, tool preambles (Anthropic's is the largest
/// published, below 700 tokens: docs.anthropic.com, "Tool use", pricing).
const PREAMBLE_TOKENS: u64 = 1024;
/// An image, a file or anything that may hold one: the dearest published image is 48,169 tokens
/// (gpt-4o-mini, 2048 x 2048 in high detail: platform.openai.com, "Images and vision"), whether its
/// bytes are many or few.
const MEDIA_TOKENS: u64 = 50_000;
/// English text has about four bytes a token.
const BYTES_PER_TOKEN_USUALLY: u64 = 4;
/// The longest answer that is assumed where neither the caller nor the model sets a limit.
const ASSUMED_MAX_OUTPUT: u64 = 16_384;

/// Bounds a request over all permitted targets.
///
/// # Errors
/// When a provider that counts exactly finds the request at fault.
pub(super) async fn of_request(
    plan: &Plan,
    targets: &[Target],
    request: &GenerateRequest,
) -> Result<Bound> {
    let choices = u64::from(request.choices.unwrap_or(1).max(1));
    let mut bound = Bound {
        input_tokens: 0,
        max_output: 0,
        min_output: choices,
        likely_input: 0,
        in_process: true,
    };
    for candidate in routing::candidates(plan, targets) {
        let (most, likely) = input(candidate, request).await?;
        bound.input_tokens = bound.input_tokens.max(most);
        bound.likely_input = bound.likely_input.max(likely);
        let output = output(candidate, request, likely).saturating_mul(choices);
        bound.max_output = bound.max_output.max(output);
        bound.in_process &= candidate.in_process;
    }
    Ok(bound)
}

/// Most and likely prompt tokens.
async fn input(candidate: &Candidate, request: &GenerateRequest) -> Result<(u64, u64)> {
    if candidate.in_process {
        let mut counted = request.clone();
        counted.model.clone_from(&candidate.target.model);
        let tokens = candidate.provider.count_tokens(counted).await?;
        return Ok((tokens, tokens));
    }
    let unreadable =
        |error| Error::new(ErrorKind::Internal, "the request cannot be written").with_source(error);
    // Every token covers at least one byte of what is sent.
    let bytes = u64::try_from(serde_json::to_vec(request).map_err(unreadable)?.len());
    let bytes = bytes.unwrap_or(u64::MAX);
    let media = request.messages.iter().map(media_of_message).fold(0, u64::saturating_add);
    let media = media.saturating_mul(MEDIA_TOKENS);
    let most = bytes.saturating_add(PREAMBLE_TOKENS).saturating_add(media);
    Ok((most, bytes.div_ceil(BYTES_PER_TOKEN_USUALLY)))
}

/// How many images a turn may hold.
fn media_of_message(message: &Message) -> u64 {
    let parts = message.content.iter().map(media_of_part).fold(0, u64::saturating_add);
    parts.saturating_add(u64::from(may_hide_media(&message.extras)))
}

/// Whether extras may hold an image. Those of the Responses API cannot: they only add what is not
/// there, ids and states for the most part.
fn may_hide_media(extras: &Extras) -> bool {
    extras.keys().any(|namespace| namespace != responses::NAMESPACE)
}

/// How many images a part may hold. What a provider alone understands may be one.
fn media_of_part(part: &Part) -> u64 {
    match part {
        Part::Media(_) | Part::Native(_) => 1,
        Part::ToolResult(result) => {
            result.content.iter().map(media_of_part).fold(0, u64::saturating_add)
        }
        Part::Text(text) => u64::from(may_hide_media(&text.extras)),
        Part::Reasoning(_) | Part::ToolCall(_) | Part::Refusal(_) => 0,
    }
}

/// The longest answer that the caller and the model allow.
fn output(candidate: &Candidate, request: &GenerateRequest, input: u64) -> u64 {
    let room = candidate
        .context_window
        .map_or(u64::MAX, |window| u64::from(window).saturating_sub(input).max(1));
    let wanted = match (request.sampling.max_output_tokens, candidate.max_output) {
        (Some(asked), _) => u64::from(asked),
        (None, Some(usual)) => u64::from(usual),
        (None, None) => ASSUMED_MAX_OUTPUT,
    };
    wanted.min(room).max(1)
}

/// Bounds a request for vectors: it has no output.
pub(super) fn of_texts(request: &EmbedRequest) -> Bound {
    let bytes: usize = request.input.iter().map(String::len).sum();
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    // Each text may gain a begin and an end marker.
    let markers = u64::try_from(request.input.len()).unwrap_or(u64::MAX).saturating_mul(4);
    Bound {
        input_tokens: bytes.saturating_add(markers),
        max_output: 0,
        min_output: 0,
        likely_input: bytes.div_ceil(BYTES_PER_TOKEN_USUALLY).max(1),
        in_process: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn images(parts: serde_json::Value) -> u64 {
        let message = json!({"role": "user", "content": parts});
        media_of_message(&serde_json::from_value(message).unwrap())
    }

    #[test]
    fn whatever_may_hold_an_image_counts_as_one_however_few_its_bytes() {
        let inline =
            json!({"type": "media", "media_type": "image/png", "source": {"base64": "AA=="}});
        let native = json!({"type": "native", "api": "openai.chat", "item": {"type": "video_url"}});
        let dressed =
            json!({"type": "text", "text": "", "extras": {"openai": {"type": "image_url"}}});
        let result = json!({"type": "tool_result", "call_id": "c", "content": [inline, inline]});
        for (part, count) in [(&inline, 1), (&native, 1), (&dressed, 1), (&result, 2)] {
            assert_eq!(images(json!([part])), count, "{part}");
        }
        assert_eq!(images(json!([{"type": "text", "text": "plain"}])), 0);
    }
}
