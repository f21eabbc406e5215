//! Errors in OpenAI's shape, with the codes its SDKs look at.

use serde_json::{Value, json};
use tollgate_types::{Error, ErrorBody, ErrorKind};

/// Writes `{"error": {"message", "type", "param", "code"}}`. A used-up budget is told as `budget`,
/// a missing permission as `permission`, beside OpenAI's own fields.
pub fn encode_error(error: &Error) -> Value {
    let body = error.body();
    let (kind, code) = words(body);
    let mut written = json!({
        "message": body.message,
        "type": kind,
        "param": body.param,
        "code": code,
    });
    if let Value::Object(fields) = &mut written {
        if let Some(budget) = &body.quota {
            fields.insert("budget".to_owned(), json!(budget));
        }
        if let Some(permission) = &body.permission {
            fields.insert("permission".to_owned(), json!(permission));
        }
    }
    json!({"error": written})
}

/// The error's type and code. Where our kind is vague the provider's own code tells more.
fn words(body: &ErrorBody) -> (&'static str, Option<&str>) {
    const REQUEST: &str = "invalid_request_error";
    const SERVER: &str = "server_error";
    let own = body.code.as_deref();
    match body.kind {
        ErrorKind::InvalidRequest | ErrorKind::Conflict | ErrorKind::TooLarge => (REQUEST, own),
        ErrorKind::Authentication => (REQUEST, Some("invalid_api_key")),
        ErrorKind::PermissionDenied => (REQUEST, Some("permission_denied")),
        ErrorKind::NotFound if matches!(body.param.as_deref(), None | Some("model")) => {
            (REQUEST, Some("model_not_found"))
        }
        ErrorKind::NotFound => (REQUEST, Some("not_found")),
        ErrorKind::ContextLength => (REQUEST, Some("context_length_exceeded")),
        ErrorKind::ContentFiltered => (REQUEST, Some("content_filter")),
        ErrorKind::Unsupported => (REQUEST, Some("unsupported_parameter")),
        ErrorKind::QuotaExceeded => ("insufficient_quota", Some("insufficient_quota")),
        ErrorKind::RateLimited => ("rate_limit_exceeded", Some("rate_limit_exceeded")),
        kind => (SERVER, own.or(Some(kind.as_str()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_types::{BudgetStatus, Resource, Window};

    #[test]
    fn every_kind_has_the_words_that_sdks_look_at() {
        let cases = [
            (ErrorKind::InvalidRequest, "invalid_request_error", Value::Null),
            (ErrorKind::Authentication, "invalid_request_error", json!("invalid_api_key")),
            (ErrorKind::PermissionDenied, "invalid_request_error", json!("permission_denied")),
            (ErrorKind::NotFound, "invalid_request_error", json!("model_not_found")),
            (ErrorKind::ContextLength, "invalid_request_error", json!("context_length_exceeded")),
            (ErrorKind::QuotaExceeded, "insufficient_quota", json!("insufficient_quota")),
            (ErrorKind::RateLimited, "rate_limit_exceeded", json!("rate_limit_exceeded")),
            (ErrorKind::StreamInterrupted, "server_error", json!("stream_interrupted")),
        ];
        for (kind, word, code) in cases {
            let written = encode_error(&Error::new(kind, "m"));
            assert_eq!(
                written,
                json!({"error": {"message": "m", "type": word, "param": null, "code": code}})
            );
        }
    }

    #[test]
    fn a_used_up_budget_and_a_missing_permission_are_told() {
        let budget = BudgetStatus {
            budget: "b1".into(),
            owner: "key:k1".into(),
            resource: Resource::Cost,
            window: Window::Day,
            cap: 10,
            spent: 9,
            held: 1,
            resets_at_ms: Some(5),
            provider: None,
            model: None,
            feature: None,
            soft: false,
        };
        let error =
            Error::new(ErrorKind::QuotaExceeded, "used up").with(|b| b.quota = Some(budget));
        let written = encode_error(&error);
        assert_eq!(written["error"]["budget"]["held"], 1);
        let error = Error::new(ErrorKind::PermissionDenied, "no")
            .with(|b| b.permission = Some("model:openai/gpt-4o".into()));
        assert_eq!(encode_error(&error)["error"]["permission"], "model:openai/gpt-4o");
    }
}
