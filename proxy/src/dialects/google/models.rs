//! The list of models, read and written.

use serde_json::{Value, json};
use tollgate_types::{Error, ErrorKind, Feature, ModelInfo, Result};

/// Writes a list of models.
pub fn encode_models(models: &[ModelInfo]) -> Value {
    json!({"models": models.iter().map(encode_model).collect::<Vec<_>>()})
}

/// Writes one model.
pub fn encode_model(model: &ModelInfo) -> Value {
    let mut methods = vec!["generateContent", "streamGenerateContent", "countTokens"];
    let offers = |feature| model.features.contains(&feature);
    if offers(Feature::Embeddings) && !offers(Feature::Chat) {
        methods = vec!["embedContent", "batchEmbedContents"];
    } else if offers(Feature::Embeddings) {
        methods.extend(["embedContent", "batchEmbedContents"]);
    }
    let mut written = json!({
        "name": format!("models/{}", model.id),
        "version": "1",
        "displayName": model.id,
        "supportedGenerationMethods": methods,
    });
    if let Value::Object(fields) = &mut written {
        let limits = [
            ("inputTokenLimit", model.context_window),
            ("outputTokenLimit", model.max_output_tokens),
        ];
        for (key, limit) in limits {
            fields.extend(limit.map(|limit| (key.to_owned(), limit.into())));
        }
    }
    written
}

/// Reads a page of an upstream's list, and the token of the next one.
///
/// # Errors
/// `protocol` when it is no list of models.
pub fn decode_models(body: &[u8], provider: &str) -> Result<(Vec<ModelInfo>, Option<String>)> {
    let page: Option<Value> = serde_json::from_slice(body).ok().filter(Value::is_object);
    let page = page.ok_or_else(|| {
        Error::new(ErrorKind::Protocol, "the provider's answer is no list of models")
            .with(|body| body.provider = Some(provider.to_owned()))
    })?;
    let list = ["models", "publisherModels", "tunedModels"].iter().find_map(|k| page.get(*k));
    let items = list.and_then(Value::as_array).into_iter().flatten();
    let next = page.get("nextPageToken").and_then(Value::as_str).filter(|token| !token.is_empty());
    let models = items.filter_map(|item| decode_model(item, provider)).collect();
    Ok((models, next.map(str::to_owned)))
}

fn decode_model(item: &Value, provider: &str) -> Option<ModelInfo> {
    let name = item.get("name")?.as_str()?;
    let id = name.rsplit_once("models/").map_or(name, |(_, id)| id);
    let number = |key: &str| u32::try_from(item.get(key)?.as_u64()?).ok();
    let methods = item.get("supportedGenerationMethods").and_then(Value::as_array);
    let offers = |method: &str| methods.is_some_and(|list| list.iter().any(|m| m == method));
    let mut features = Vec::new();
    if offers("generateContent") {
        features.extend([Feature::Chat, Feature::Stream]);
    }
    if offers("embedContent") {
        features.push(Feature::Embeddings);
    }
    Some(ModelInfo {
        id: id.to_owned(),
        provider: Some(provider.to_owned()),
        context_window: number("inputTokenLimit"),
        max_output_tokens: number("outputTokenLimit"),
        features,
        ..ModelInfo::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_go_out_and_come_back() {
        let models = [ModelInfo {
            id: "gemini-x".into(),
            provider: Some("p".into()),
            context_window: Some(10),
            features: vec![Feature::Chat, Feature::Stream],
            ..ModelInfo::default()
        }];
        let written = encode_models(&models);
        assert_eq!(
            decode_models(written.to_string().as_bytes(), "p").unwrap(),
            (models.into(), None)
        );
        let page = br#"{"models":[{"name":"models/a"},{"name":7}],"nextPageToken":"t"}"#;
        let (read, next) = decode_models(page, "p").unwrap();
        assert_eq!((read[0].id.as_str(), read.len(), next.as_deref()), ("a", 1, Some("t")));
        assert_eq!(decode_models(b"[1]", "p").unwrap_err().kind(), ErrorKind::Protocol);
    }
}
