//! Vectors of Vertex AI: `predict` with instances, which its embedding models take.

use serde_json::{Value, json};
use tollgate_types::{EmbedRequest, EmbedResponse, Result, Usage};

use super::embeddings::{no_vectors, own_options, vector};
use crate::dialects::{counts::count, merge::object};

/// Writes the upstream's body. Task and title belong to each text, everything else to all.
///
/// # Errors
/// `invalid_request` when extras set a field that the proxy has to control.
pub fn encode_instances(request: &EmbedRequest) -> Result<Value> {
    let mut parameters = own_options(request)?;
    let mut of_text = |keys: [&str; 2]| keys.iter().find_map(|key| parameters.shift_remove(*key));
    let task = of_text(["taskType", "task_type"]);
    let title = of_text(["title", "title"]);
    if let Some(dimensions) = request.dimensions {
        parameters.insert("outputDimensionality".to_owned(), dimensions.into());
    }
    let instance = |text: &String| {
        Value::Object(object([
            ("content", Some(text.as_str().into())),
            ("task_type", task.clone()),
            ("title", title.clone()),
        ]))
    };
    let instances: Vec<Value> = request.input.iter().map(instance).collect();
    Ok(json!({"instances": instances, "parameters": parameters}))
}

/// Reads an upstream's answer.
///
/// # Errors
/// `protocol` when it is no list of vectors; the provider's error when the body carries one.
pub fn decode_predictions(body: &[u8], provider: &str) -> Result<EmbedResponse> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let list = answer.get("predictions").and_then(Value::as_array);
    let all = list.and_then(|all| all.iter().map(|one| vector(one.get("embeddings")?)).collect());
    let Some(vectors) = all else { return Err(no_vectors(&answer, provider)) };
    let counted = list.into_iter().flatten();
    let counted =
        counted.filter_map(|one| count(one.pointer("/embeddings/statistics/token_count")?));
    let usage = Usage::tokens(counted.fold(0, u64::saturating_add), 0);
    Ok(EmbedResponse { vectors, usage, model: String::new(), receipt: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Map;
    use tollgate_types::{ErrorKind, Extras};

    #[test]
    fn texts_become_instances_and_predictions_vectors() {
        let mut request = EmbedRequest::new("m", ["a", "b"]);
        request.dimensions = Some(2);
        let own = Map::from_iter([
            ("taskType".to_owned(), "X".into()),
            ("autoTruncate".to_owned(), true.into()),
        ]);
        request.extras = Extras::from([("google".to_owned(), own)]);
        let expected = json!({"instances": [{"content": "a", "task_type": "X"}, {"content": "b", "task_type": "X"}],
            "parameters": {"autoTruncate": true, "outputDimensionality": 2}});
        assert_eq!(encode_instances(&request).unwrap(), expected);
        let one =
            |n: f64| json!({"embeddings": {"values": [n], "statistics": {"token_count": 2.0}}});
        let answer = json!({"predictions": [one(0.5), one(1.5)]}).to_string();
        let read = decode_predictions(answer.as_bytes(), "p").unwrap();
        assert_eq!((read.vectors, read.usage), (vec![vec![0.5], vec![1.5]], Usage::tokens(4, 0)));
        let kind = decode_predictions(b"{}", "p").unwrap_err().kind();
        assert_eq!(kind, ErrorKind::Protocol);
    }
}
