//! What is known of one model: `POST /api/show`.

use serde_json::{Value, json};
use tollgate_types::{Feature, ModelInfo, Result};

use super::models::NEVER;
use crate::dialects::fields::Fields;

/// The architecture of a model of which nobody knows it; clients look for the context length under
/// this name.
const UNKNOWN: &str = "unknown";

/// What Ollama calls the features that callers can be permitted.
const CAPABILITIES: [(&str, &[Feature]); 3] = [
    ("completion", &[Feature::Chat, Feature::Stream]),
    ("tools", &[Feature::Tools]),
    ("embedding", &[Feature::Embeddings]),
];

/// Reads the name of the model that a client asks about.
///
/// # Errors
/// `invalid_request` when there is none.
pub fn asked_model(body: &[u8]) -> Result<String> {
    let mut fields = Fields::parse(body)?;
    let older = fields.string("name")?;
    let model = fields.string("model")?.or(older).filter(|model| !model.is_empty());
    model.ok_or_else(|| fields.missing("model"))
}

/// Writes what is known of a model. Texts that the proxy does not have are empty.
pub fn encode_show(model: &ModelInfo) -> Value {
    let mut about = json!({"general.architecture": UNKNOWN, "general.basename": model.id});
    if let (Value::Object(about), Some(window)) = (&mut about, model.context_window) {
        about.insert(format!("{UNKNOWN}.context_length"), window.into());
    }
    let mut written = json!({
        "license": "",
        "modelfile": "",
        "parameters": "",
        "template": "",
        "details": unknown_details(),
        "model_info": about,
        "modified_at": NEVER,
    });
    if let (Value::Object(fields), Some(known)) = (&mut written, capabilities_of(model)) {
        fields.insert("capabilities".to_owned(), known);
    }
    written
}

/// Details of a model of which nobody knows any: clients read the keys.
pub(super) fn unknown_details() -> Value {
    json!({
        "parent_model": "",
        "format": "",
        "family": "",
        "families": [],
        "parameter_size": "",
        "quantization_level": "",
    })
}

/// Adds to what is known of a model what an upstream shows of it; what cannot be read adds nothing.
pub fn decode_show(body: &[u8], model: ModelInfo) -> ModelInfo {
    let Ok(shown) = serde_json::from_slice::<Value>(body) else { return model };
    let features = features_of(shown.get("capabilities"));
    let context_window = shown.get("model_info").and_then(context_window);
    ModelInfo {
        features: if features.is_empty() { model.features } else { features },
        context_window: context_window.or(model.context_window),
        ..model
    }
}

/// The context length stands under the name of the model's architecture.
fn context_window(about: &Value) -> Option<u32> {
    let architecture = about.get("general.architecture").and_then(Value::as_str)?;
    let length = about.get(format!("{architecture}.context_length"))?.as_u64()?;
    u32::try_from(length).ok()
}

/// Features by Ollama's names for them.
pub(super) fn features_of(capabilities: Option<&Value>) -> Vec<Feature> {
    let names: Vec<&str> = capabilities
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let known = CAPABILITIES.iter().filter(|(name, _)| names.contains(name));
    known.flat_map(|(_, features)| features.iter().copied()).collect()
}

/// Ollama's names for a model's features; `None` when nobody said any.
pub(super) fn capabilities_of(model: &ModelInfo) -> Option<Value> {
    let has =
        |features: &[Feature]| features.iter().any(|feature| model.features.contains(feature));
    let known = CAPABILITIES.iter().filter(|(_, features)| has(features));
    let names: Vec<&str> = known.map(|(name, _)| *name).collect();
    (!names.is_empty()).then(|| names.into())
}
