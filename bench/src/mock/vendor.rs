//! What differs by vendor, whatever is asked: keys, errors, headers.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{anthropic, google, ollama, openai, time};
use crate::script::Script;

/// Whose API is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vendor {
    OpenAi,
    Anthropic,
    Google,
    Ollama,
}

/// Something that went wrong as told.
pub(super) struct Fault<'a> {
    pub(super) status: u16,
    pub(super) retry_after: Option<u64>,
    pub(super) model: &'a str,
    code: Option<&'a str>,
    message: Option<&'a str>,
}

impl<'a> Fault<'a> {
    pub(super) fn of(script: &'a Script, status: u16, model: &'a str) -> Self {
        let (code, message) = (script.code.as_deref(), script.message.as_deref());
        Self { status, retry_after: script.retry_after, model, code, message }
    }

    /// What is said about it, unless told otherwise.
    pub(super) fn message<'b>(&self, usual: &'b str) -> &'b str
    where
        'a: 'b,
    {
        self.message.unwrap_or(usual)
    }

    /// Its code, unless told otherwise.
    pub(super) fn code<'b>(&self, usual: Option<&'b str>) -> Option<&'b str>
    where
        'a: 'b,
    {
        self.code.or(usual)
    }
}

impl Vendor {
    /// The content type of a whole answer.
    fn json_type(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Anthropic => "application/json",
            Self::Google => "application/json; charset=UTF-8",
            Self::Ollama => "application/json; charset=utf-8",
        }
    }

    /// A whole answer.
    pub(super) fn json(self, script: &Script, text: impl Into<Bytes>) -> Response {
        let mut response = text.into().into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.json_type()));
        self.dress(script, headers);
        response
    }

    /// Adds what every answer of the vendor carries.
    pub(super) fn dress(self, script: &Script, headers: &mut HeaderMap) {
        const MOCK: HeaderValue = HeaderValue::from_static("req_mock");
        match self {
            Self::OpenAi => drop(headers.insert(HeaderName::from_static("x-request-id"), MOCK)),
            Self::Anthropic => drop(headers.insert(HeaderName::from_static("request-id"), MOCK)),
            Self::Google | Self::Ollama => {}
        }
        if script.limits {
            self.add_limits(script, headers);
        }
    }

    /// Rate limit headers: nothing is left where the answer is a 429, and something otherwise.
    fn add_limits(self, script: &Script, headers: &mut HeaderMap) {
        let left = if script.status == Some(429) { 0 } else { 999 };
        let wait = script.retry_after.unwrap_or(1);
        let mut add = |name: String, value: String| {
            let name = HeaderName::try_from(name);
            if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        };
        match self {
            Self::OpenAi => {
                for kind in ["requests", "tokens"] {
                    add(format!("x-ratelimit-limit-{kind}"), "1000".to_owned());
                    add(format!("x-ratelimit-remaining-{kind}"), left.to_string());
                    add(format!("x-ratelimit-reset-{kind}"), format!("{wait}s"));
                }
            }
            Self::Anthropic => {
                for kind in ["requests", "tokens", "input-tokens", "output-tokens"] {
                    let name = |what| format!("anthropic-ratelimit-{kind}-{what}");
                    add(name("limit"), "1000".to_owned());
                    add(name("remaining"), left.to_string());
                    add(name("reset"), time::in_seconds(wait));
                }
            }
            // Neither sends any.
            Self::Google | Self::Ollama => {}
        }
    }

    /// The answer to a request that fails as told.
    pub(super) fn failure(self, script: &Script, fault: &Fault<'_>, uri: &Uri) -> Response {
        let body = match self {
            Self::OpenAi => openai::error(fault),
            Self::Anthropic => anthropic::error(fault),
            Self::Google => google::error(fault),
            Self::Ollama => ollama::error(fault),
        };
        let mut response = self.refusal(fault.status, body, uri);
        let headers = response.headers_mut();
        self.dress(script, headers);
        // Google tells it in the body.
        if let (Some(seconds), false) = (fault.retry_after, self == Self::Google) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self == Self::Anthropic {
            let again = matches!(fault.status, 408 | 409 | 429 | 500..);
            let again = HeaderValue::from_static(if again { "true" } else { "false" });
            headers.insert(HeaderName::from_static("x-should-retry"), again);
        }
        response
    }

    /// An error as a whole answer.
    fn refusal(self, status: u16, error: Value, uri: &Uri) -> Response {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error =
            if self == Self::Google { google::placed(error, uri) } else { error.to_string() };
        let kind = [(header::CONTENT_TYPE, self.json_type())];
        (status, kind, error).into_response()
    }

    /// The answer to a request without the key it needs; none when it has it.
    pub(super) fn check(self, key: &str, headers: &HeaderMap, uri: &Uri) -> Option<Response> {
        let given = self.key(headers, uri);
        if given.as_deref() == Some(key) {
            return None;
        }
        let (status, error) = match self {
            Self::OpenAi => openai::wrong_key(given.as_deref()),
            Self::Anthropic => anthropic::wrong_key(given.as_deref()),
            Self::Google => google::wrong_key(given.as_deref()),
            Self::Ollama => ollama::wrong_key(),
        };
        let mut response = self.refusal(status, error, uri);
        self.dress(&Script::default(), response.headers_mut());
        Some(response)
    }

    /// The key of a request, where the vendor reads it.
    fn key(self, headers: &HeaderMap, uri: &Uri) -> Option<String> {
        let header = |name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
        match self {
            Self::OpenAi | Self::Ollama => {
                header("authorization")?.strip_prefix("Bearer ").map(str::to_owned)
            }
            Self::Anthropic => header("x-api-key"),
            Self::Google => header("x-goog-api-key").or_else(|| google::parameter(uri, "key")),
        }
    }
}
