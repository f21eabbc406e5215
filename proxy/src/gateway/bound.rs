//! How large a call can get: counted exactly where the provider can, proven from bytes elsewhere.

pub(super) mod fees;
pub(super) mod unseen;
mod written;

use crate::{
    access::Target,
    catalog::{Candidate, Plan},
    dialects::openai::responses,
    prices::Bound,
    routing,
};
use serde_json::Value;
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
/// The most tokens that a model reads whose window is not known: that of the largest models on the
/// price list.
const LONGEST_WINDOW: u64 = 1 << 20;
/// Data of a text that is no image: Anthropic's mark for its cache, Google's proof of origin.
const HARMLESS: [&str; 2] = ["cache_control", "thoughtSignature"];
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
    let mut written = None;
    for candidate in routing::candidates(plan, targets) {
        let (most, likely) = input(candidate, request, &mut written).await?;
        bound.input_tokens = bound.input_tokens.max(most);
        bound.likely_input = bound.likely_input.max(likely);
        let output = output(candidate, request, likely).saturating_mul(choices);
        bound.max_output = bound.max_output.max(output);
        bound.in_process &= candidate.in_process;
    }
    Ok(bound)
}

/// Most and likely prompt tokens. `written` is how long the request is, once that is known.
async fn input(
    candidate: &Candidate,
    request: &GenerateRequest,
    written: &mut Option<u64>,
) -> Result<(u64, u64)> {
    if candidate.in_process {
        let mut counted = request.clone();
        counted.model.clone_from(&candidate.target.model);
        let tokens = candidate.provider.count_tokens(counted).await?;
        return Ok((tokens, tokens));
    }
    let bytes = match *written {
        Some(bytes) => bytes,
        None => *written.insert(bytes_of(request)?),
    };
    let media = request.messages.iter().map(media_of_message).fold(0, u64::saturating_add);
    let media = media.saturating_mul(MEDIA_TOKENS);
    let mut most = bytes.saturating_add(PREAMBLE_TOKENS).saturating_add(media);
    if unseen::is_in(request) {
        most = most.max(candidate.context_window.map_or(LONGEST_WINDOW, u64::from));
    }
    // Without a turn there is no prompt: Ollama's clients load a model like that.
    let read = if request.messages.is_empty() { 0 } else { bytes };
    Ok((most, read.div_ceil(BYTES_PER_TOKEN_USUALLY)))
}

/// Every token covers at least one byte of what is sent: these words, or the caller's own.
fn bytes_of(request: &GenerateRequest) -> Result<u64> {
    let unreadable =
        |error| Error::new(ErrorKind::Internal, "the request cannot be written").with_source(error);
    let own = request.options.original.as_ref().map_or(0, |original| original.body.len());
    let bytes = written::length_of(request).map_err(unreadable)?.max(own);
    Ok(u64::try_from(bytes).unwrap_or(u64::MAX))
}

/// How many images a turn may hold.
fn media_of_message(message: &Message) -> u64 {
    let parts = message.content.iter().map(media_of_part).fold(0, u64::saturating_add);
    parts.saturating_add(u64::from(may_hold_an_image(&message.extras)))
}

/// How many images a part may hold. What a provider alone understands may be one.
fn media_of_part(part: &Part) -> u64 {
    match part {
        Part::Media(_) => 1,
        Part::Native(native) => media_within(&native.item).max(1),
        Part::ToolResult(result) => {
            result.content.iter().map(media_of_part).fold(0, u64::saturating_add)
        }
        Part::Text(text) => u64::from(may_hold_an_image(&text.extras)),
        Part::Reasoning(_) | Part::ToolCall(_) | Part::Refusal(_) => 0,
    }
}

/// How many images and files the item of a provider's own holds.
fn media_within(item: &Value) -> u64 {
    match item {
        Value::Array(items) => items.iter().map(media_within).fold(0, u64::saturating_add),
        Value::Object(fields) => {
            let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
            let is_media = ["image", "document", "file", "video"].iter().any(|m| kind.contains(m));
            let inner = fields.values().map(media_within).fold(0, u64::saturating_add);
            inner.saturating_add(u64::from(is_media))
        }
        _ => 0,
    }
}

/// Whether namespaced data says more than that the text shall be cached, or who said it. That of the
/// Responses API holds no image: it only adds what is not there, ids and states for the most part.
fn may_hold_an_image(extras: &Extras) -> bool {
    let others = extras.iter().filter(|(namespace, _)| *namespace != responses::NAMESPACE);
    others.flat_map(|(_, facts)| facts.keys()).any(|key| !HARMLESS.contains(&key.as_str()))
}

/// The longest answer that the caller and the model allow.
fn output(candidate: &Candidate, request: &GenerateRequest, input: u64) -> u64 {
    // What the prompt leaves of the window is known only where its tokens are counted: by its bytes
    // alone, an image would leave nothing.
    let taken = if candidate.in_process { input } else { 0 };
    let room =
        candidate.context_window.map_or(u64::MAX, |window| u64::from(window).saturating_sub(taken));
    let asked = request.sampling.max_output_tokens.map(u64::from);
    // Nothing more than the model's limit can come, however much is asked for.
    let wanted = match (asked, candidate.max_output.map(u64::from)) {
        (Some(asked), Some(most)) => asked.min(most),
        (Some(asked), None) => asked,
        (None, Some(most)) => most,
        (None, None) => ASSUMED_MAX_OUTPUT,
    };
    wanted.min(room).max(1)
}

/// Bounds a request for vectors: it has no output.
pub(super) fn of_texts(request: &EmbedRequest) -> Bound {
    let texts: usize = request.input.iter().map(String::len).sum();
    // Some hosts put more before each text: a title, an instruction.
    let own: usize = request.extras.values().flatten().map(|(_, own)| own.to_string().len()).sum();
    let bytes = texts.saturating_add(own.saturating_mul(request.input.len()));
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
    use crate::{
        catalog::Catalog,
        config::{Config, Environment},
    };
    use serde_json::json;
    use std::sync::Arc;
    use tollgate_types::Provider;

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
        let cached = json!({"type": "text", "text": "", "extras":
            {"anthropic": {"cache_control": {"type": "ephemeral"}}}});
        for (part, count) in [(&inline, 1), (&native, 1), (&dressed, 1), (&result, 2), (&cached, 0)]
        {
            assert_eq!(images(json!([part])), count, "{part}");
        }
        assert_eq!(images(json!([{"type": "text", "text": "plain"}])), 0);
        let scans = json!({"type": "document", "source": {"type": "content", "content":
            [{"type": "image"}, {"type": "image"}, {"type": "text"}]}});
        let native = json!({"type": "native", "api": "anthropic.messages", "item": scans});
        assert_eq!(images(json!([native])), 3);
    }

    #[test]
    fn what_the_request_does_not_hold_counts_as_a_full_window() {
        let candidate = |context_window| Candidate {
            target: Target { provider: "p".into(), model: "m".into() },
            provider: Arc::new(Mute),
            in_process: false,
            context_window,
            max_output: None,
        };
        let most = |window, continues: Option<&str>| {
            let request = json!({"model": "p/m", "messages": [], "continues": continues});
            let request = serde_json::from_value(request).unwrap();
            let bound = async { input(&candidate(window), &request, &mut None).await.unwrap().0 };
            futures_util::FutureExt::now_or_never(bound).unwrap()
        };
        assert!(most(Some(400_000), None) < 2000);
        assert_eq!(most(Some(400_000), Some("resp_1")), 400_000);
        assert_eq!(most(None, Some("resp_1")), LONGEST_WINDOW);
    }

    #[test]
    fn options_of_a_request_for_vectors_are_read_with_each_text() {
        let mut request = EmbedRequest::new("p/m", ["a", "b"]);
        let plain = of_texts(&request).input_tokens;
        let own = serde_json::Map::from_iter([("title".to_owned(), json!("x".repeat(1000)))]);
        request.extras.insert("google".to_owned(), own);
        assert!(of_texts(&request).input_tokens >= plain + 2000);
    }

    #[test]
    fn an_answer_is_bounded_by_the_model_where_its_limit_is_known() {
        let config = "[[providers]]\nname = \"openai\"\nkind = \"openai\"\n\
            [[providers]]\nname = \"host\"\nkind = \"openai\"\nbase_url = \"https://h.example\"\n";
        let config =
            Config::parse(std::path::Path::new("t.toml"), config, &Environment::default()).unwrap();
        let providers = config.providers.iter().map(|_| Arc::new(Mute) as Arc<dyn Provider>);
        let catalog =
            futures_util::FutureExt::now_or_never(Catalog::of(&config, providers.collect()));
        let catalog = catalog.unwrap();
        let longest = |name: &str, asked: Option<u32>, prompt: u64| {
            let mut request: GenerateRequest =
                serde_json::from_value(json!({"model": name, "messages": []})).unwrap();
            request.sampling.max_output_tokens = asked;
            output(&catalog.plan(name).unwrap().candidates[0], &request, prompt)
        };
        assert_eq!(longest("openai/gpt-4o", None, 0), 16_384);
        assert_eq!(longest("openai/gpt-5", None, 0), 128_000);
        assert_eq!(longest("openai/gpt-4o", Some(100), 0), 100);
        assert_eq!(longest("openai/gpt-4o", Some(1_000_000), 0), 16_384);
        assert_eq!(longest("host/gpt-4o", Some(1_000_000), 0), 1_000_000);
        assert_eq!(longest("host/gpt-4o", None, 0), ASSUMED_MAX_OUTPUT);
        // A large image is many bytes and few tokens: it must not leave the answer without room.
        assert_eq!(longest("openai/gpt-4o", None, 1_000_000), 16_384);
    }

    /// An upstream that nobody asks.
    struct Mute;

    impl Provider for Mute {
        fn name(&self) -> &str {
            "mute"
        }

        fn stream(
            &self,
            _: GenerateRequest,
        ) -> tollgate_types::BoxFuture<'_, Result<tollgate_types::EventStream>> {
            Box::pin(async { Err(Error::unsupported("answers")) })
        }
    }
}
