//! Vectors: embedContent and batchEmbedContents.

use serde_json::{Map, Value, json};
use tollgate_types::{EmbedRequest, EmbedResponse, Error, ErrorKind, Result, Usage};

use super::{
    NAMESPACE, extras_of,
    names::{list_or_one, object_at, object_in, whole},
    usage,
};
use crate::dialects::{
    fields::Fields,
    merge::{merge, object},
    upstream_error::error_within,
};

/// One text of a request, and its options.
struct One {
    text: String,
    dimensions: Option<u32>,
    own: Map<String, Value>,
}

/// Reads an embedContent request for the model that its path names.
///
/// # Errors
/// `invalid_request` with the path of the field that is wrong; `unsupported` for anything but text.
pub fn decode_embed(body: &[u8], model: &str) -> Result<EmbedRequest> {
    let fields = object_at(String::new(), Fields::parse(body)?.rest().into())?;
    let one = decode_one(fields)?;
    let mut request = EmbedRequest::new(model, [one.text]);
    request.dimensions = one.dimensions;
    request.extras = extras_of(one.own);
    Ok(request)
}

/// Reads a batchEmbedContents request. All texts of one call have the same options.
///
/// # Errors
/// As [`decode_embed`], and `unsupported` when the options differ.
pub fn decode_embed_batch(body: &[u8], model: &str) -> Result<EmbedRequest> {
    let mut fields = object_at(String::new(), Fields::parse(body)?.rest().into())?;
    let requests =
        list_or_one(&mut fields, "requests")?.ok_or_else(|| fields.missing("requests"))?;
    let mut request = EmbedRequest::new(model, Vec::<String>::new());
    let mut options = None;
    for (path, one) in requests {
        let one = decode_one(object_at(path.clone(), one)?)?;
        request.input.push(one.text);
        let same = (one.dimensions, one.own);
        if options.get_or_insert_with(|| same.clone()) != &same {
            let message = format!("{path} has other options than the first request of the batch");
            return Err(
                Error::new(ErrorKind::Unsupported, message).with(|body| body.param = Some(path))
            );
        }
    }
    let Some((dimensions, own)) = options else {
        return Err(Error::invalid("requests", "requests must not be an empty list"));
    };
    request.dimensions = dimensions;
    request.extras = extras_of(own);
    Ok(request)
}

fn decode_one(mut fields: Fields) -> Result<One> {
    fields.take("model");
    let mut content =
        object_in(&mut fields, "content")?.ok_or_else(|| fields.missing("content"))?;
    let parts = list_or_one(&mut content, "parts")?.ok_or_else(|| content.missing("parts"))?;
    let mut text = String::new();
    for (path, part) in parts {
        let mut part = Fields::of(path.clone(), part)?;
        match part.string("text")? {
            Some(more) => text.push_str(&more),
            None => {
                let message = "only texts can be turned into vectors here";
                return Err(Error::new(ErrorKind::Unsupported, message)
                    .with(|body| body.param = Some(path)));
            }
        }
    }
    let dimensions = whole(&mut fields, "outputDimensionality")?;
    Ok(One { text, dimensions, own: fields.rest() })
}

/// Writes the upstream's batchEmbedContents body.
///
/// # Errors
/// `invalid_request` when extras set a field that the proxy has to control.
pub fn encode_embed(request: &EmbedRequest, model: &str) -> Result<Value> {
    let own = own_options(request)?;
    let one = |text: &String| {
        let mut one = object([
            ("model", Some(format!("models/{model}").into())),
            ("content", Some(json!({"parts": [{"text": text}]}))),
            ("outputDimensionality", request.dimensions.map(Value::from)),
        ]);
        merge(&mut one, &own);
        Value::Object(one)
    };
    Ok(json!({"requests": request.input.iter().map(one).collect::<Vec<_>>()}))
}

/// The options of Google's own.
///
/// # Errors
/// As [`encode_embed`].
pub(super) fn own_options(request: &EmbedRequest) -> Result<Map<String, Value>> {
    let own = request.extras.get(NAMESPACE).cloned().unwrap_or_default();
    let reserved = ["model", "content", "requests", "outputDimensionality", "instances"];
    match own.keys().find(|key| reserved.contains(&super::names::camel(key).as_ref())) {
        Some(key) => {
            let message = format!("{key} cannot be set through extras");
            Err(Error::invalid(format!("extras.{NAMESPACE}.{key}"), message))
        }
        None => Ok(own),
    }
}

/// Reads an upstream's answer. Google tells no usage with most of them.
///
/// # Errors
/// `protocol` when it is no list of vectors; the provider's error when the body carries one.
pub fn decode_embed_reply(body: &[u8], provider: &str) -> Result<EmbedResponse> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let vectors = match (answer.get("embeddings"), answer.get("embedding")) {
        (Some(Value::Array(all)), _) => all.iter().map(vector).collect(),
        (_, Some(one)) => vector(one).map(|one| vec![one]),
        _ => None,
    };
    let Some(vectors) = vectors else {
        return Err(no_vectors(&answer, provider));
    };
    let used = answer.get("usageMetadata").and_then(Value::as_object).map(usage::decode);
    let usage = used.map_or_else(Usage::default, |(usage, _)| usage);
    Ok(EmbedResponse { vectors, usage, model: String::new(), receipt: None })
}

/// The error of an answer without vectors.
pub(super) fn no_vectors(answer: &Value, provider: &str) -> Error {
    let told = answer.get("error").and_then(|_| error_within(answer, provider));
    told.unwrap_or_else(|| {
        Error::new(ErrorKind::Protocol, "the provider's answer is no list of vectors")
            .with(|body| body.provider = Some(provider.to_owned()))
    })
}

/// The numbers of `{"values": [...]}`.
pub(super) fn vector(item: &Value) -> Option<Vec<f32>> {
    #[expect(clippy::cast_possible_truncation, reason = "vectors are 32-bit floats on every wire")]
    let number = |value: &Value| value.as_f64().map(|number| number as f32);
    item.get("values")?.as_array()?.iter().map(number).collect()
}

/// Writes an answer: of one text, or of a batch.
pub fn encode_embed_reply(response: &EmbedResponse, batch: bool) -> Value {
    let mut vectors = response.vectors.iter().map(|vector| json!({"values": vector}));
    if batch {
        json!({"embeddings": vectors.collect::<Vec<_>>()})
    } else {
        json!({"embedding": vectors.next()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_and_several_are_read_and_written() {
        let one = decode_embed(
            br#"{"content":{"parts":[{"text":"a"},{"text":"b"}]},"task_type":"RETRIEVAL_QUERY","output_dimensionality":2}"#,
            "m",
        )
        .unwrap();
        assert_eq!((one.input.as_slice(), one.dimensions), (["ab".to_owned()].as_slice(), Some(2)));
        let sent = encode_embed(&one, "bare").unwrap();
        let expected = json!({"requests": [{"model": "models/bare", "content": {"parts": [{"text": "ab"}]},
            "outputDimensionality": 2, "taskType": "RETRIEVAL_QUERY"}]});
        assert_eq!(sent, expected);
        let again = decode_embed_batch(sent.to_string().as_bytes(), "m").unwrap();
        assert_eq!(again, one);
    }

    #[test]
    fn what_is_no_text_or_differs_is_refused() {
        let kind =
            |body: Value| decode_embed_batch(body.to_string().as_bytes(), "m").unwrap_err().kind();
        let text =
            |t: &str, task: &str| json!({"content": {"parts": [{"text": t}]}, "taskType": task});
        assert_eq!(kind(json!({"requests": []})), ErrorKind::InvalidRequest);
        assert_eq!(
            kind(json!({"requests": [text("a", "x"), text("b", "y")]})),
            ErrorKind::Unsupported
        );
        let image = json!({"content": {"parts": [{"inlineData": {}}]}});
        assert_eq!(kind(json!({"requests": [image]})), ErrorKind::Unsupported);
    }

    #[test]
    fn vectors_are_read_in_both_shapes() {
        let read = |body: &str| decode_embed_reply(body.as_bytes(), "p");
        let one = read(r#"{"embedding":{"values":[0.5]},"usageMetadata":{"promptTokenCount":3}}"#)
            .unwrap();
        assert_eq!((one.vectors.clone(), one.usage.input), (vec![vec![0.5]], 3));
        assert_eq!(read(&encode_embed_reply(&one, true).to_string()).unwrap().vectors, one.vectors);
        assert_eq!(
            read(&encode_embed_reply(&one, false).to_string()).unwrap().vectors,
            one.vectors
        );
        assert_eq!(read("[]").unwrap_err().kind(), ErrorKind::Protocol);
        let error = r#"{"error":{"code":404,"message":"no","status":"NOT_FOUND"}}"#;
        assert_eq!(read(error).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
