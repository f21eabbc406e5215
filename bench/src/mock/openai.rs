//! OpenAI's errors, embeddings and models.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{asked::count, turn::Tally, vendor::Fault};
use crate::script::UsageReport;

/// What the mock offers, whoever asks.
pub(super) const MODELS: [&str; 2] = ["mock-echo", "mock-tool"];

/// The most numbers of one vector.
const MOST_NUMBERS: u64 = 16_384;

/// OpenAI's error body for a status.
pub(super) fn error(fault: &Fault<'_>) -> Value {
    let (kind, code, message) = match fault.status {
        401 => (
            "invalid_request_error",
            Some("invalid_api_key"),
            "Incorrect API key provided: sk-mock-0123456789.",
        ),
        402 => {
            ("insufficient_quota", Some("insufficient_quota"), "You exceeded your current quota.")
        }
        404 => ("invalid_request_error", Some("model_not_found"), "The model does not exist."),
        429 => ("requests", Some("rate_limit_exceeded"), "Rate limit reached."),
        500.. => ("server_error", None, "The server had an error."),
        _ => ("invalid_request_error", None, "The request is invalid."),
    };
    let (code, message) = (fault.code(code), fault.message(message));
    let kind = if code == Some("insufficient_quota") { "insufficient_quota" } else { kind };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

/// The refusal of a key.
pub(super) fn wrong_key(given: Option<&str>) -> (u16, Value) {
    let (code, message) = match given {
        Some(_) => (Some("invalid_api_key"), "Incorrect API key provided."),
        None => (None, "You didn't provide an API key."),
    };
    let kind = "invalid_request_error";
    (401, json!({"error": {"message": message, "type": kind, "param": null, "code": code}}))
}

/// Vectors: the length of the text, its place, and zeros where more numbers are asked for.
pub(super) fn vectors(request: &Value) -> Value {
    let input = match request.get("input") {
        Some(Value::Array(texts)) => texts.as_slice(),
        Some(text) => std::slice::from_ref(text),
        None => &[],
    };
    let texts = input.iter().map(|text| text.as_str().unwrap_or_default());
    let read: usize = texts.clone().map(count).sum();
    let dimensions = request.get("dimensions").and_then(Value::as_u64);
    let packed = request.get("encoding_format").is_some_and(|format| format == "base64");
    let items: Vec<Value> = texts
        .enumerate()
        .map(|(n, text)| {
            let numbers = numbers(text, n, dimensions);
            let embedding = if packed { pack(&numbers) } else { json!(numbers) };
            json!({"object": "embedding", "index": n, "embedding": embedding})
        })
        .collect();
    json!({
        "object": "list",
        "data": items,
        "model": request.get("model"),
        "usage": {"prompt_tokens": read, "total_tokens": read},
    })
}

/// The vector of one text.
pub(super) fn numbers(text: &str, place: usize, dimensions: Option<u64>) -> Vec<usize> {
    let wanted = dimensions.unwrap_or(2).clamp(1, MOST_NUMBERS);
    let numbers = [text.len(), place].into_iter().chain(std::iter::repeat(0));
    numbers.take(usize::try_from(wanted).unwrap_or(2)).collect()
}

/// Little-endian floats in base64, the form that OpenAI's own clients ask for.
fn pack(numbers: &[usize]) -> Value {
    let floats = numbers.iter().map(|number| f32::from(u16::try_from(*number).unwrap_or(u16::MAX)));
    let bytes: Vec<u8> = floats.flat_map(f32::to_le_bytes).collect();
    STANDARD.encode(bytes).into()
}

/// The models, or one of them.
pub(super) fn models(one: Option<&str>) -> Value {
    let model = |id: &str| json!({"id": id, "object": "model", "created": 0, "owned_by": "mock"});
    match one {
        Some(id) => model(id),
        None => json!({"object": "list", "data": MODELS.map(model)}),
    }
}

/// Usage in the words of the Responses API; `null` where none is told.
pub(super) fn responses_usage(usage: &Tally) -> Value {
    match usage.report {
        UsageReport::Absent => Value::Null,
        UsageReport::Negative => {
            json!({"input_tokens": -5, "output_tokens": -7, "total_tokens": -12})
        }
        UsageReport::Absurd => json!({
            "input_tokens": u64::MAX, "output_tokens": 1e300, "total_tokens": "lots",
            "output_tokens_details": {"reasoning_tokens": 999_999_999},
        }),
        UsageReport::Exact => json!({
            "input_tokens": usage.read(),
            "input_tokens_details":
                {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_write},
            "output_tokens": usage.written(),
            "output_tokens_details": {"reasoning_tokens": usage.thought},
            "total_tokens": usage.total(),
        }),
    }
}

/// Usage in the words of chat completions; nothing where none is told.
pub(super) fn chat_usage(usage: &Tally) -> Option<Value> {
    match usage.report {
        UsageReport::Absent => None,
        UsageReport::Negative => {
            Some(json!({"prompt_tokens": -5, "completion_tokens": -7, "total_tokens": -12}))
        }
        UsageReport::Absurd => Some(json!({
            "prompt_tokens": u64::MAX, "completion_tokens": 1e300, "total_tokens": "lots",
            "completion_tokens_details": {"reasoning_tokens": 999_999_999},
        })),
        UsageReport::Exact => {
            let mut read = json!({"cached_tokens": usage.cached});
            if let (1.., Value::Object(read)) = (usage.cache_write, &mut read) {
                read.insert("cache_write_tokens".to_owned(), usage.cache_write.into());
            }
            Some(json!({
                "prompt_tokens": usage.read(),
                "completion_tokens": usage.written(),
                "total_tokens": usage.total(),
                "prompt_tokens_details": read,
                "completion_tokens_details": {"reasoning_tokens": usage.thought},
            }))
        }
    }
}
