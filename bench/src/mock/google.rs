//! Google's models, token counts, embeddings and errors.

mod generate;

use axum::http::Uri;
use serde_json::{Value, json};

use super::{
    asked::{Asked, either},
    openai::{self, MODELS},
    vendor::Fault,
};
pub(super) use generate::GenerateContent;

const TYPE: &str = "type.googleapis.com/google.rpc.";

/// Google's error body for a status.
pub(super) fn error(fault: &Fault<'_>) -> Value {
    let missing = format!("models/{} is not found for API version v1beta.", fault.model);
    let (name, message) = match fault.status {
        401 => ("UNAUTHENTICATED", "The request has no valid authentication."),
        403 => ("PERMISSION_DENIED", "The caller may not do this."),
        404 => ("NOT_FOUND", &*missing),
        429 => ("RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan."),
        499 => ("CANCELLED", "The request was cancelled."),
        500 => ("INTERNAL", "An internal error has occurred."),
        501 => ("UNIMPLEMENTED", "This is not offered."),
        503 => ("UNAVAILABLE", "The model is overloaded. Please try again later."),
        504 => ("DEADLINE_EXCEEDED", "The deadline expired."),
        505.. => ("INTERNAL", "An internal error has occurred."),
        _ => ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    };
    let mut details = Vec::new();
    if fault.status == 429 {
        let quota = "GenerateRequestsPerMinutePerProjectPerModel";
        let violations = json!([{"quotaId": quota}]);
        details.push(json!({"@type": format!("{TYPE}QuotaFailure"), "violations": violations}));
    }
    if let Some(seconds) = fault.retry_after {
        let delay = format!("{seconds}s");
        details.push(json!({"@type": format!("{TYPE}RetryInfo"), "retryDelay": delay}));
    }
    let name = fault.code(Some(name)).unwrap_or(name);
    told(fault.status, name, fault.message(message), details)
}

/// The refusal of a key: a wrong one is no 401 here.
pub(super) fn wrong_key(given: Option<&str>) -> (u16, Value) {
    if given.is_none() {
        let message = "Method doesn't allow unregistered callers. Please use API Key.";
        return (403, told(403, "PERMISSION_DENIED", message, Vec::new()));
    }
    let message = "API key not valid. Please pass a valid API key.";
    let reason = json!({
        "@type": format!("{TYPE}ErrorInfo"),
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    });
    let local = json!({
        "@type": format!("{TYPE}LocalizedMessage"), "locale": "en-US", "message": message,
    });
    (400, told(400, "INVALID_ARGUMENT", message, vec![reason, local]))
}

fn told(code: u16, status: &str, message: &str, details: Vec<Value>) -> Value {
    let mut error = json!({"code": code, "message": message, "status": status});
    if let (false, Value::Object(error)) = (details.is_empty(), &mut error) {
        error.insert("details".to_owned(), details.into());
    }
    json!({"error": error})
}

/// An error as the body of an answer: a stream that is an array has its errors in the array.
pub(super) fn placed(error: Value, uri: &Uri) -> String {
    let streams = uri.path().ends_with(":streamGenerateContent");
    if streams && !wants_events(uri) { pretty(&json!([error])) } else { pretty(&error) }
}

/// Whether a stream shall be one of events.
fn wants_events(uri: &Uri) -> bool {
    parameter(uri, "alt").is_some_and(|alt| alt == "sse")
}

/// JSON over many lines, as Google sends it.
pub(super) fn pretty(json: &Value) -> String {
    format!("{json:#}\n")
}

/// The model that a path names.
pub(super) fn path_model(uri: &Uri) -> Option<String> {
    let path = uri.path();
    let model =
        path.strip_prefix("/v1beta/models/").or_else(|| path.strip_prefix("/v1/models/"))?;
    let model = model.rsplit_once(':').map_or(model, |(model, _)| model);
    Some(decoded(model))
}

/// A parameter of the query.
pub(super) fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let mut pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| decoded(value))
}

/// A text without its percent signs; what is no text is left as it is.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digits: Option<u32> = (byte == b'%')
            .then(|| {
                let mut ahead = rest.clone();
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                Some(digit(ahead.next())? * 16 + digit(ahead.next())?)
            })
            .flatten();
        match digits.and_then(|digits| u8::try_from(digits).ok()) {
            Some(meant) => {
                bytes.push(meant);
                rest.by_ref().take(2).for_each(drop);
            }
            None => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// How many tokens a request has.
pub(super) fn count(request: &Value) -> Value {
    let request =
        either(request, ["generateContentRequest", "generate_content_request"]).unwrap_or(request);
    let total = Asked::of(request, None).words();
    let details = json!([{"modality": "TEXT", "tokenCount": total}]);
    json!({"totalTokens": total, "promptTokensDetails": details})
}

/// The vector of one text.
pub(super) fn vector(request: &Value) -> Value {
    json!({"embedding": values(request, 0)})
}

/// The vectors of several texts.
pub(super) fn vectors(request: &Value) -> Value {
    let requests = request.get("requests").and_then(Value::as_array).into_iter().flatten();
    let vectors = requests.enumerate().map(|(place, request)| values(request, place));
    json!({"embeddings": vectors.collect::<Vec<Value>>()})
}

fn values(request: &Value, place: usize) -> Value {
    let parts = request.pointer("/content/parts").and_then(Value::as_array).into_iter().flatten();
    let text: String = parts.filter_map(|part| part.get("text")?.as_str()).collect();
    let dimensions = either(request, ["outputDimensionality", "output_dimensionality"]);
    let dimensions = dimensions.and_then(Value::as_u64);
    json!({"values": openai::numbers(&text, place, dimensions)})
}

/// The models, or one of them.
pub(super) fn models(one: Option<&str>) -> Value {
    let model = |id: &str| {
        json!({
            "name": format!("models/{id}"),
            "version": "1",
            "displayName": id,
            "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536,
            "supportedGenerationMethods":
                ["generateContent", "countTokens", "embedContent", "batchEmbedContents"],
            "thinking": true,
        })
    };
    match one {
        Some(id) => model(id),
        None => json!({"models": MODELS.map(model)}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded() {
        let cases = [("a%3Db", "a=b"), ("%e4%BD%a0", "你"), ("100%", "100%"), ("%zz%2", "%zz%2")];
        for (text, meant) in cases {
            assert_eq!(decoded(text), meant);
        }
        assert_eq!(decoded("%ff"), "%ff");
        let uri: Uri =
            "/v1beta/models/mock-tokens%3D5:countTokens?key=a%20b&alt=sse".parse().unwrap();
        assert_eq!(path_model(&uri).as_deref(), Some("mock-tokens=5"));
        assert_eq!(parameter(&uri, "key").as_deref(), Some("a b"));
        assert!(wants_events(&uri));
    }
}
