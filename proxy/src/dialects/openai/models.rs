//! The list of models, read and written.

use serde_json::{Value, json};
use tollgate_types::{Error, ErrorKind, ModelInfo, Result};

/// Writes a list of models.
pub fn encode_models(models: &[ModelInfo]) -> Value {
    json!({"object": "list", "data": models.iter().map(encode_model).collect::<Vec<_>>()})
}

/// Writes one model.
pub fn encode_model(model: &ModelInfo) -> Value {
    let mut written = json!({
        "id": model.id,
        "object": "model",
        "created": 0,
        "owned_by": model.provider.as_deref().unwrap_or("tollgate"),
    });
    if let Value::Object(fields) = &mut written {
        // The names that OpenRouter's clients know.
        let limits = [
            ("context_length", model.context_window),
            ("max_completion_tokens", model.max_output_tokens),
        ];
        for (key, limit) in limits {
            fields.extend(limit.map(|limit| (key.to_owned(), limit.into())));
        }
    }
    written
}

/// Reads an upstream's list; some hosts send the bare list.
///
/// # Errors
/// `protocol` when it is no list of models.
pub fn decode_models(body: &[u8], provider: &str) -> Result<Vec<ModelInfo>> {
    let list: Option<Value> = serde_json::from_slice(body).ok();
    let items = list.as_ref().and_then(|list| match list {
        Value::Array(items) => Some(items),
        other => other.get("data")?.as_array(),
    });
    let items = items.ok_or_else(|| {
        Error::new(ErrorKind::Protocol, "the provider's answer is no list of models")
            .with(|body| body.provider = Some(provider.to_owned()))
    })?;
    Ok(items.iter().filter_map(|item| decode_model(item, provider)).collect())
}

fn decode_model(item: &Value, provider: &str) -> Option<ModelInfo> {
    let number = |keys: &[&str]| {
        let number = keys.iter().find_map(|key| item.get(*key)?.as_u64())?;
        u32::try_from(number).ok()
    };
    Some(ModelInfo {
        id: item.get("id")?.as_str()?.to_owned(),
        provider: Some(provider.to_owned()),
        // OpenRouter and Together; Groq; vLLM; Mistral.
        context_window: number(&[
            "context_length",
            "context_window",
            "max_model_len",
            "max_context_length",
        ]),
        max_output_tokens: number(&["max_completion_tokens"]),
        ..ModelInfo::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_go_out_and_come_back() {
        let models = [ModelInfo {
            id: "m".into(),
            provider: Some("p".into()),
            context_window: Some(10),
            ..ModelInfo::default()
        }];
        let written = encode_models(&models).to_string();
        assert_eq!(decode_models(written.as_bytes(), "p").unwrap(), models);
        assert_eq!(decode_models(br#"[{"id":"m","context_length":10}]"#, "p").unwrap(), models);
        assert_eq!(decode_models(b"<html>", "p").unwrap_err().kind(), ErrorKind::Protocol);
    }
}
