//! Errors in Anthropic's shape, with the words its SDKs look at.

use serde_json::{Map, Value, json};
use tollgate_types::{Error, ErrorKind};

/// The code by which Anthropic's SDKs know to send a conversation whole.
pub(super) const NO_THREADS: &str = "thread_unsupported_request";

/// Writes `{"type": "error", "error": {"type", "message"}}`. A used-up budget is told as `budget`, a
/// missing permission as `permission`, the field at fault as `param`, beside Anthropic's own fields.
pub fn encode_error(error: &Error) -> Value {
    let body = error.body();
    let mut told = Map::new();
    told.insert("type".to_owned(), word(body.kind).into());
    told.insert("message".to_owned(), body.message.as_str().into());
    let known = body.code.as_deref().filter(|code| *code == NO_THREADS);
    let more = [
        ("code", body.code.as_ref().map(|code| json!(code))),
        ("details", known.map(|code| json!({"error_code": code}))),
        ("param", body.param.as_ref().map(|param| json!(param))),
        ("budget", body.quota.as_ref().map(|budget| json!(budget))),
        ("permission", body.permission.as_ref().map(|permission| json!(permission))),
    ];
    for (key, value) in more {
        told.extend(value.map(|value| (key.to_owned(), value)));
    }
    let mut written = json!({"type": "error", "error": told});
    if let (Value::Object(fields), Some(id)) = (&mut written, &body.request_id) {
        fields.insert("request_id".to_owned(), id.as_str().into());
    }
    written
}

/// The error's type (<https://platform.claude.com/docs/en/api/errors>).
fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::ContextLength
        | ErrorKind::ContentFiltered
        | ErrorKind::Unsupported => "invalid_request_error",
        ErrorKind::Authentication => "authentication_error",
        ErrorKind::PermissionDenied => "permission_error",
        ErrorKind::NotFound => "not_found_error",
        ErrorKind::TooLarge => "request_too_large",
        ErrorKind::QuotaExceeded => "billing_error",
        ErrorKind::RateLimited => "rate_limit_error",
        ErrorKind::Overloaded => "overloaded_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::Conflict => "conflict_error",
        _ => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialects::anthropic::decode_messages_call;

    #[test]
    fn every_kind_has_the_word_that_sdks_look_at() {
        let cases = [
            (ErrorKind::InvalidRequest, "invalid_request_error"),
            (ErrorKind::Authentication, "authentication_error"),
            (ErrorKind::PermissionDenied, "permission_error"),
            (ErrorKind::NotFound, "not_found_error"),
            (ErrorKind::TooLarge, "request_too_large"),
            (ErrorKind::QuotaExceeded, "billing_error"),
            (ErrorKind::RateLimited, "rate_limit_error"),
            (ErrorKind::Overloaded, "overloaded_error"),
            (ErrorKind::StreamInterrupted, "api_error"),
        ];
        for (kind, word) in cases {
            let written = encode_error(&Error::new(kind, "m"));
            assert_eq!(written, json!({"type": "error", "error": {"type": word, "message": "m"}}));
        }
    }

    #[test]
    fn a_client_that_wants_its_conversation_kept_is_told_to_send_it_whole() {
        let request = |thread: Value| json!({"model": "m", "messages": [], "thread": thread});
        let read = |thread| decode_messages_call(request(thread).to_string().as_bytes());
        for kind in ["create", "continue"] {
            let error = read(json!({"type": kind, "previous_message_id": "msg_1"})).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest);
            let written = encode_error(&error);
            assert_eq!(written["error"]["details"]["error_code"], NO_THREADS);
            assert_eq!(written["error"]["param"], "thread");
        }
        let refused = read(Value::Null).err();
        assert!(refused.is_none_or(|error| error.body().code.is_none()));
    }

    #[test]
    fn the_field_at_fault_and_the_missing_permission_are_told() {
        let error = Error::invalid("max_tokens", "too many")
            .with(|body| body.permission = Some("model:x".to_owned()));
        let written = encode_error(&error);
        assert_eq!(written["error"]["param"], "max_tokens");
        assert_eq!(written["error"]["permission"], "model:x");
    }
}
