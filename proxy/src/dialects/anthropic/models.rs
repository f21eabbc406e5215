//! The list of models, read and written.

use serde_json::{Map, Value, json};
use tollgate_types::{Error, ErrorKind, ModelInfo, Result};

/// Writes a list of models, whole.
pub fn encode_models(models: &[ModelInfo]) -> Value {
    json!({
        "data": models.iter().map(encode_model).collect::<Vec<_>>(),
        "first_id": models.first().map(|model| &model.id),
        "last_id": models.last().map(|model| &model.id),
        "has_more": false,
    })
}

/// Writes one model. When it was made is not known; Anthropic too writes the epoch then.
pub fn encode_model(model: &ModelInfo) -> Value {
    let mut written = Map::from_iter([
        ("type".to_owned(), "model".into()),
        ("id".to_owned(), model.id.as_str().into()),
        ("display_name".to_owned(), model.id.as_str().into()),
        ("created_at".to_owned(), "1970-01-01T00:00:00Z".into()),
        ("lifecycle".to_owned(), "active".into()),
    ]);
    let limits =
        [("max_input_tokens", model.context_window), ("max_tokens", model.max_output_tokens)];
    for (key, limit) in limits {
        written.extend(limit.map(|limit| (key.to_owned(), limit.into())));
    }
    Value::Object(written)
}

/// Reads an upstream's list.
///
/// # Errors
/// `protocol` when it is no list of models.
pub fn decode_models(body: &[u8], provider: &str) -> Result<Vec<ModelInfo>> {
    let list: Option<Value> = serde_json::from_slice(body).ok();
    let items = list.as_ref().and_then(|list| list.get("data")?.as_array());
    let items = items.ok_or_else(|| {
        Error::new(ErrorKind::Protocol, "the provider's answer is no list of models")
            .with(|body| body.provider = Some(provider.to_owned()))
    })?;
    Ok(items.iter().filter_map(|item| decode_model(item, provider)).collect())
}

fn decode_model(item: &Value, provider: &str) -> Option<ModelInfo> {
    let number = |key: &str| u32::try_from(item.get(key)?.as_u64()?).ok().filter(|n| *n > 0);
    Some(ModelInfo {
        id: item.get("id")?.as_str()?.to_owned(),
        provider: Some(provider.to_owned()),
        context_window: number("max_input_tokens"),
        max_output_tokens: number("max_tokens"),
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
            max_output_tokens: Some(5),
            ..ModelInfo::default()
        }];
        let written = encode_models(&models);
        assert_eq!((&written["first_id"], &written["has_more"]), (&json!("m"), &json!(false)));
        assert_eq!(decode_models(written.to_string().as_bytes(), "p").unwrap(), models);
        assert_eq!(encode_models(&[])["last_id"], Value::Null);
        assert_eq!(decode_models(b"<html>", "p").unwrap_err().kind(), ErrorKind::Protocol);
    }
}
