//! Errors in Google's shape: `google.rpc.Status` with its details.

use serde_json::{Value, json};
use tollgate_types::{Error, ErrorBody, ErrorKind};

const TYPE: &str = "type.googleapis.com/google.rpc.";

/// Writes `{"error": {"code", "message", "status", "details"}}`. `code` is the HTTP status of the
/// answer. The details name the field at fault, the wait, a used-up budget, a missing permission.
pub fn encode_error(error: &Error, code: u16) -> Value {
    let body = error.body();
    let mut written = json!({"code": code, "message": body.message, "status": word(body.kind)});
    let details = details(body);
    if let (Value::Object(fields), false) = (&mut written, details.is_empty()) {
        fields.insert("details".to_owned(), details.into());
    }
    json!({"error": written})
}

fn details(body: &ErrorBody) -> Vec<Value> {
    let typed = |name: &str| format!("{TYPE}{name}");
    let mut details = Vec::new();
    let reason = body.code.as_deref().unwrap_or(body.kind.as_str());
    let mut metadata = serde_json::Map::new();
    if let Some(budget) = &body.quota {
        metadata.insert("budget".to_owned(), json!(budget).to_string().into());
    }
    if let Some(permission) = &body.permission {
        metadata.insert("permission".to_owned(), permission.as_str().into());
    }
    if body.provider.is_none() || !metadata.is_empty() {
        details.push(json!({"@type": typed("ErrorInfo"), "reason": reason.to_ascii_uppercase(),
            "domain": "tollgate", "metadata": metadata}));
    }
    if let Some(param) = &body.param {
        let violation = json!({"field": param, "description": body.message});
        details.push(json!({"@type": typed("BadRequest"), "fieldViolations": [violation]}));
    }
    if let Some(wait) = body.retry_after_ms {
        let delay = format!("{}.{:03}s", wait / 1000, wait % 1000);
        details.push(json!({"@type": typed("RetryInfo"), "retryDelay": delay}));
    }
    details
}

/// Google's word for a kind (<https://cloud.google.com/apis/design/errors>).
fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::ContextLength | ErrorKind::TooLarge => {
            "INVALID_ARGUMENT"
        }
        ErrorKind::Authentication => "UNAUTHENTICATED",
        ErrorKind::PermissionDenied | ErrorKind::ContentFiltered => "PERMISSION_DENIED",
        ErrorKind::NotFound => "NOT_FOUND",
        ErrorKind::QuotaExceeded | ErrorKind::RateLimited => "RESOURCE_EXHAUSTED",
        ErrorKind::Overloaded | ErrorKind::Connection => "UNAVAILABLE",
        ErrorKind::Timeout => "DEADLINE_EXCEEDED",
        ErrorKind::Cancelled => "CANCELLED",
        ErrorKind::Unsupported => "UNIMPLEMENTED",
        ErrorKind::Conflict => "ABORTED",
        ErrorKind::StreamInterrupted | ErrorKind::Protocol => "DATA_LOSS",
        _ => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_the_wait_and_the_reason_are_told() {
        let error = Error::invalid("contents[0].role", "no such role")
            .with(|body| body.retry_after_ms = Some(1500));
        let written = encode_error(&error, 400);
        assert_eq!(written["error"]["status"], "INVALID_ARGUMENT");
        let details = &written["error"]["details"];
        assert_eq!(details[0]["reason"], "INVALID_REQUEST");
        assert_eq!(details[1]["fieldViolations"][0]["field"], "contents[0].role");
        assert_eq!(details[2]["retryDelay"], "1.500s");
        let upstream = Error::new(ErrorKind::Overloaded, "busy")
            .with(|body| body.provider = Some("google".into()));
        let expected = json!({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}});
        assert_eq!(encode_error(&upstream, 503), expected);
    }
}
