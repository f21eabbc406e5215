//! The lists of models: those that are there (`tags`) and those that are loaded (`ps`).

use serde_json::{Value, json};
use tollgate_types::{Error, ErrorKind, ModelInfo, Result};

use super::show::{capabilities_of, features_of, unknown_details};

/// The moment that Go's clients read as none.
pub(super) const NEVER: &str = "0001-01-01T00:00:00Z";

/// Writes a list of models. Clients read size, digest, time and details of each: what nobody knows
/// is zero or empty.
pub fn encode_tags(models: &[ModelInfo]) -> Value {
    json!({"models": models.iter().map(encode_tag).collect::<Vec<_>>()})
}

fn encode_tag(model: &ModelInfo) -> Value {
    let mut written = json!({
        "name": model.id,
        "model": model.id,
        "modified_at": NEVER,
        "size": 0,
        "digest": "",
        "details": unknown_details(),
    });
    if let (Value::Object(fields), Some(known)) = (&mut written, capabilities_of(model)) {
        fields.insert("capabilities".to_owned(), known);
    }
    written
}

/// Reads an upstream's list of models.
///
/// # Errors
/// `protocol` when it is no list of models.
pub fn decode_tags(body: &[u8], provider: &str) -> Result<Vec<ModelInfo>> {
    let models = models_of(body, provider)?;
    let info = |model: &Value| {
        Some(ModelInfo {
            id: name_of(model)?.to_owned(),
            provider: Some(provider.to_owned()),
            features: features_of(model.get("capabilities")),
            ..ModelInfo::default()
        })
    };
    Ok(models.iter().filter_map(info).collect())
}

/// A model that an upstream has in its memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunningModel {
    /// Its name at the upstream.
    pub name: String,
    /// Bytes that it takes in all.
    pub size: Option<u64>,
    /// Bytes of these on a GPU.
    pub size_vram: Option<u64>,
    /// Tokens of context that it was loaded with.
    pub context_length: Option<u64>,
    /// When it is thrown out, as the upstream writes it.
    pub expires_at: Option<String>,
}

/// Reads an upstream's list of loaded models.
///
/// # Errors
/// `protocol` when it is no list of models.
pub fn decode_ps(body: &[u8], provider: &str) -> Result<Vec<RunningModel>> {
    let models = models_of(body, provider)?;
    let running = |model: &Value| {
        let number = |key: &str| model.get(key).and_then(Value::as_u64);
        Some(RunningModel {
            name: name_of(model)?.to_owned(),
            size: number("size"),
            size_vram: number("size_vram"),
            context_length: number("context_length"),
            expires_at: model.get("expires_at").and_then(Value::as_str).map(str::to_owned),
        })
    };
    Ok(models.iter().filter_map(running).collect())
}

/// `model` says the same as `name`, which is older.
fn name_of(model: &Value) -> Option<&str> {
    ["model", "name"].iter().find_map(|key| model.get(*key)?.as_str())
}

fn models_of(body: &[u8], provider: &str) -> Result<Vec<Value>> {
    let list: Option<Value> = serde_json::from_slice(body).ok();
    match list.and_then(|mut list| list.get_mut("models").map(Value::take)) {
        Some(Value::Array(models)) => Ok(models),
        // Go writes an empty list as null.
        Some(Value::Null) => Ok(Vec::new()),
        _ => Err(Error::new(ErrorKind::Protocol, "the provider's answer is no list of models")
            .with(|body| body.provider = Some(provider.to_owned()))),
    }
}
