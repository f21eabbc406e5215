//! Errors of every provider, read by what they say rather than by status:
//! an unknown model is 400 here and 404 there, a wrong key 401 or 400, overload 429, 500 or 503,
//! and a used-up account is 429 although no waiting helps.

use http::HeaderMap;
use serde_json::Value;
use std::time::Duration;
use tollgate_types::{Blame, Error, ErrorKind};

use super::mask::mask;

/// Longest message that is kept, in characters.
const LONGEST: usize = 1000;

/// Reads an unsuccessful answer. Bodies that are not JSON are quoted.
pub fn decode_error(status: u16, headers: &HeaderMap, body: &[u8], provider: &str) -> Error {
    let said = match serde_json::from_slice::<Value>(body) {
        Ok(json) => Said::of(&json).unwrap_or_else(|| Said::quote(&json.to_string())),
        Err(_) => Said::quote(&String::from_utf8_lossy(body)),
    };
    said.into_error(Some(status), Some(headers), provider)
}

/// Reads an error that came inside a good answer: an object of any of the shapes that providers
/// use, or its text. `None` when it says nothing that looks like an error.
pub(crate) fn error_within(said: &Value, provider: &str) -> Option<Error> {
    let said = match said {
        Value::String(text) => Said::quote(text),
        other => Said::of(other)?,
    };
    Some(said.into_error(None, None, provider))
}

/// What an error object says, whichever shape it has.
#[derive(Default)]
struct Said {
    kind: String,
    code: String,
    message: String,
    param: Option<String>,
    retry_delay: Option<String>,
    request_id: Option<String>,
    /// Google's word for the cause, in the details.
    reason: String,
}

impl Said {
    fn quote(text: &str) -> Self {
        Self { message: text.trim().to_owned(), ..Self::default() }
    }

    /// `{"error": {...}}` (OpenAI; Anthropic with a `request_id` beside it), `[{"error": ...}]` (Google), `{"error": "text", "code": ...}`
    /// (xAI), `{"message": ...}` (Mistral, Cohere), `{"detail": ...}` (Mistral, FastAPI).
    fn of(body: &Value) -> Option<Self> {
        let body = body.get(0).unwrap_or(body);
        let error = body.get("error").map(|error| error.get(0).unwrap_or(error));
        let request_id = body.get("request_id").and_then(Value::as_str).map(str::to_owned);
        let said = Self::of_either(body, error)?;
        Some(Self { request_id, ..said })
    }

    fn of_either(body: &Value, error: Option<&Value>) -> Option<Self> {
        match error {
            Some(Value::Object(_)) => Some(Self::read(error?)),
            Some(Value::String(text)) => {
                let longer = body.get("message").and_then(Value::as_str);
                let message = longer.unwrap_or(text).to_owned();
                Some(Self { message, ..Self::read(body) })
            }
            _ => {
                let message = ["message", "Message", "detail"].iter().find_map(|k| body.get(*k))?;
                Some(Self { message: words(Some(message)), ..Self::read(body) })
            }
        }
    }

    fn read(error: &Value) -> Self {
        let details = error.get("details").and_then(Value::as_array).into_iter().flatten();
        let detail = |key: &str| details.clone().find_map(|d| d.get(key)?.as_str());
        let kind = error.get("type").or_else(|| error.get("status")).filter(|k| k.is_string());
        let reason = detail("reason").unwrap_or_default().to_owned();
        let said = ["message", "msg"].iter().find_map(|key| error.get(*key));
        Self {
            kind: kind.map_or_else(|| reason.clone(), |k| words(Some(k))),
            code: words(error.get("code").or_else(|| error.get("raw_status_code"))),
            message: said.map_or_else(|| error.to_string(), |said| words(Some(said))),
            param: error.get("param").and_then(Value::as_str).map(str::to_owned),
            retry_delay: detail("retryDelay").map(str::to_owned),
            request_id: None,
            reason,
        }
    }

    fn into_error(self, status: Option<u16>, headers: Option<&HeaderMap>, provider: &str) -> Error {
        let kind = self.class(status);
        let bad_key = kind == ErrorKind::Authentication;
        let mut message: String = mask(&self.message).chars().take(LONGEST).collect();
        if message.is_empty() {
            message = format!("{provider} failed without saying why");
        }
        if bad_key {
            message = format!(
                "{provider} refuses the key that the proxy uses for it, the operator has to check it: {message}"
            );
        }
        let header = |name: &str| headers?.get(name)?.to_str().ok();
        Error::new(kind, message).with(|body| {
            body.code = [self.code, self.kind].into_iter().find(|code| !code.is_empty());
            body.param = self.param;
            body.status = status;
            body.provider = Some(provider.to_owned());
            let id = header("x-request-id").or_else(|| header("request-id"));
            body.upstream_request_id = id.map(str::to_owned).or(self.request_id);
            body.retry_after_ms = headers
                .and_then(|headers| wait_ms(headers, kind))
                .or_else(|| self.retry_delay.as_deref().and_then(millis));
            // The caller's own key, quota and permissions are not what failed here.
            if bad_key || matches!(kind, ErrorKind::PermissionDenied | ErrorKind::QuotaExceeded) {
                body.blame = Blame::Upstream;
            }
        })
    }

    /// The kind; `Authentication` is of the proxy's own credential at the provider.
    fn class(&self, status: Option<u16>) -> ErrorKind {
        let code_status = self.code.parse().ok().filter(|n| (400..600).contains(n));
        let status = status.filter(|status| *status >= 400).or(code_status);
        self.class_by_words(status).or_else(|| class_by_status(status?)).unwrap_or_else(|| {
            match self.kind.as_str() {
                "rate_limit_error" | "rate_limit_exceeded" => ErrorKind::RateLimited,
                "invalid_request_error" => ErrorKind::InvalidRequest,
                "permission_error" => ErrorKind::PermissionDenied,
                "not_found_error" => ErrorKind::NotFound,
                "request_too_large" => ErrorKind::TooLarge,
                "timeout_error" => ErrorKind::Timeout,
                _ if self.code == "rate_limit_exceeded" => ErrorKind::RateLimited,
                _ => ErrorKind::Upstream,
            }
        })
    }

    fn class_by_words(&self, status: Option<u16>) -> Option<ErrorKind> {
        let message = self.message.to_lowercase();
        let said = [&self.kind, &self.code, &self.reason].map(|word| word.to_lowercase());
        let named = |words: &[&str]| said.iter().any(|word| words.contains(&word.as_str()));
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        // Google's compatible endpoint says the same words for a limit per minute.
        let account_empty =
            message.contains("exceeded your current quota") && message.contains("openai.com");
        if named(&["insufficient_quota", "billing_hard_limit_reached", "billing_error"])
            || account_empty
            || says(&EMPTY_ACCOUNTS)
            || status == Some(402)
        {
            Some(ErrorKind::QuotaExceeded)
        } else if named(&CONTEXT_CODES)
            || (says(&CONTEXT_WORDS) && matches!(status, None | Some(400 | 413 | 422 | 500)))
        {
            Some(ErrorKind::ContextLength)
        } else if named(&["overloaded_error", "server_is_overloaded"])
            || says(&["overloaded", "currently at capacity", "high demand"])
        {
            Some(ErrorKind::Overloaded)
        } else if named(&["content_filter", "content_policy_violation", "moderation_blocked"])
            || says(&["content management policy"])
        {
            Some(ErrorKind::ContentFiltered)
        } else if named(&["invalid_api_key", "api_key_invalid", "authentication_error"])
            || says(&["incorrect api key", "api key not valid", "invalid api key"])
        {
            Some(ErrorKind::Authentication)
        } else if named(&["model_not_found"]) {
            Some(ErrorKind::NotFound)
        } else {
            None
        }
    }
}

/// Anthropic; Google's prepaid and capped accounts.
const EMPTY_ACCOUNTS: [&str; 3] =
    ["credit balance is too low", "prepayment credits are depleted", "monthly spending cap"];

const CONTEXT_CODES: [&str; 4] = [
    "context_length_exceeded",
    "string_above_max_length",
    "exceed_context_size_error",
    "too_many_prompt_tokens",
];

const CONTEXT_WORDS: [&str; 9] = [
    // Google: "The input token count (1048577) exceeds the maximum number of tokens allowed".
    "input token count",
    "input tokens exceed",
    "prompt is too long",
    "prompt too long",
    "maximum context length",
    "context length",
    "context window",
    "too many tokens",
    "exceeds the available context",
];

fn class_by_status(status: u16) -> Option<ErrorKind> {
    Some(match status {
        401 => ErrorKind::Authentication,
        403 => ErrorKind::PermissionDenied,
        404 => ErrorKind::NotFound,
        408 | 504 => ErrorKind::Timeout,
        413 => ErrorKind::TooLarge,
        429 => ErrorKind::RateLimited,
        499 => ErrorKind::Cancelled,
        501 => ErrorKind::Unsupported,
        503 | 529 => ErrorKind::Overloaded,
        500.. => ErrorKind::Upstream,
        400.. => ErrorKind::InvalidRequest,
        _ => return None,
    })
}

/// How long the provider asks to wait. The reset of a limit counts only once the limit is used up.
fn wait_ms(headers: &HeaderMap, kind: ErrorKind) -> Option<u64> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let seconds = |text: &str| millis(&format!("{text}s"));
    let now = header("date").and_then(http_date);
    let asked =
        header("retry-after-ms").and_then(|text| millis(&format!("{text}ms"))).or_else(|| {
            header("retry-after")
                .and_then(|text| seconds(text).or_else(|| until(now, http_date(text))))
        });
    if asked.is_some() || kind != ErrorKind::RateLimited {
        return asked;
    }
    let used_up = |limit: &str| {
        (header(&limit.replace("{}", "remaining")) == Some("0"))
            .then(|| header(&limit.replace("{}", "reset")))
            .flatten()
    };
    LIMITS
        .iter()
        .filter_map(|limit| used_up(limit))
        // Azure writes bare seconds, Anthropic the time of the reset.
        .filter_map(|text| {
            millis(text).or_else(|| seconds(text)).or_else(|| until(now, text.parse().ok()))
        })
        .max()
}

/// Headers that tell of limits, `remaining` and `reset` each.
const LIMITS: [&str; 6] = [
    "x-ratelimit-{}-requests",
    "x-ratelimit-{}-tokens",
    "anthropic-ratelimit-requests-{}",
    "anthropic-ratelimit-tokens-{}",
    "anthropic-ratelimit-input-tokens-{}",
    "anthropic-ratelimit-output-tokens-{}",
];

/// `Wed, 21 Oct 2015 07:28:00 GMT`.
fn http_date(text: &str) -> Option<jiff::Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

/// From the moment of the answer, by the provider's own clock, until a time that it names.
fn until(now: Option<jiff::Timestamp>, then: Option<jiff::Timestamp>) -> Option<u64> {
    let wait = then?.as_millisecond().saturating_sub(now?.as_millisecond());
    Some(u64::try_from(wait).unwrap_or_default())
}

/// Reads `6ms`, `20m52.666s`, `1h0m0s`, `10.682s`.
fn millis(text: &str) -> Option<u64> {
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| c.is_ascii_alphabetic())?);
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, tail) = after.split_at(end);
        let count = Duration::try_from_secs_f64(number.trim().parse().ok()?).ok()?;
        let length = match unit {
            "ms" => count.checked_div(1000)?,
            "s" => count,
            "m" => count.checked_mul(60)?,
            "h" => count.checked_mul(3600)?,
            "d" => count.checked_mul(86_400)?,
            _ => return None,
        };
        total = total.checked_add(length)?;
        rest = tail;
    }
    u64::try_from(total.as_millis()).ok().filter(|_| !text.trim().is_empty())
}

fn words(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
