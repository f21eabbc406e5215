//! The one table from failures to statuses, from refusals to the error that crosses the wire, and
//! the answer that tells of it in each dialect's own shape.

use super::reply;
use crate::{
    access::{AuthError, TokenError},
    admin::AdminError,
    gateway::Refusal,
    ledger::HoldError,
    limits::{Limited, Measure, Rates},
    runs::RunError,
    store::StoreError,
};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header::RETRY_AFTER},
    response::IntoResponse,
};
use serde::Serialize;
use std::{marker::PhantomData, time::Duration};
use tollgate_types::{Blame, Error, ErrorKind, wire::header::RETRY_AFTER_MS};

/// How a dialect writes its errors.
pub(super) trait Shape: Send + 'static {
    /// The body.
    fn body(error: &Error, status: StatusCode) -> impl Serialize;
}

/// An unsuccessful answer in a dialect's own shape.
#[derive(Debug)]
pub(super) struct Problem<S> {
    error: Error,
    /// Where it is not the one that the error has.
    status: Option<StatusCode>,
    /// How the caller stands to the rate that refused.
    rates: Rates,
    shape: PhantomData<S>,
}

impl<S> From<Error> for Problem<S> {
    fn from(error: Error) -> Self {
        Self { error, status: None, rates: Rates::default(), shape: PhantomData }
    }
}

impl<S> From<Refusal> for Problem<S> {
    fn from(refusal: Refusal) -> Self {
        let rates = match &refusal {
            Refusal::Limited(limited) => limited.rates(),
            _ => Rates::default(),
        };
        Self { rates, ..of_refusal(refusal).into() }
    }
}

impl<S> From<RunError> for Problem<S> {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Refused(refusal) => refusal.into(),
            error => of_run(error).into(),
        }
    }
}

impl<S> Problem<S> {
    /// Answers with a status that no error of this kind has by itself.
    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status: Some(status), ..self }
    }

    /// For ways in that have no status and no headers.
    pub(super) fn into_parts(self) -> (Error, Rates) {
        (self.error, self.rates)
    }

    /// Says the same in other words.
    pub(super) fn worded(self, reword: impl FnOnce(Error) -> Error) -> Self {
        Self { error: reword(self.error), ..self }
    }
}

impl<S: Shape> IntoResponse for Problem<S> {
    fn into_response(self) -> Response<Body> {
        let status = self.status.unwrap_or_else(|| status_of(&self.error));
        let mut response = reply::json(status, &S::body(&self.error, status));
        response.headers_mut().extend(retry_headers(&self.error));
        reply::put_rates(response.headers_mut(), &self.rates);
        response
    }
}

/// Nothing is served there.
pub(super) async fn unknown_path<S: Shape>() -> Problem<S> {
    Error::new(ErrorKind::NotFound, "there is no such path; the API is described in docs/api.md")
        .with(|body| body.param = Some("path".to_owned()))
        .into()
}

/// Something is served there, to another method. The status is 405, which no other error has.
pub(super) async fn wrong_method<S: Shape>() -> Problem<S> {
    let error = Error::invalid("method", "this path does not take this method");
    Problem::from(error).with_status(StatusCode::METHOD_NOT_ALLOWED)
}

/// How long to stay away when the database or the server is busy.
const BUSY: Duration = Duration::from_secs(1);
/// No client is told to wait longer than this: SDKs sleep as long as they are told.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The status of an error that Tollgate answers with.
pub(super) fn status_of(error: &Error) -> StatusCode {
    match error.kind() {
        // The operator's account at a provider is refused or used up: not the caller's.
        ErrorKind::PermissionDenied | ErrorKind::Authentication
            if error.body().blame == Blame::Upstream =>
        {
            StatusCode::BAD_GATEWAY
        }
        ErrorKind::InvalidRequest | ErrorKind::ContextLength => StatusCode::BAD_REQUEST,
        ErrorKind::Authentication => StatusCode::UNAUTHORIZED,
        ErrorKind::QuotaExceeded if error.body().quota.is_some() => StatusCode::PAYMENT_REQUIRED,
        ErrorKind::PermissionDenied | ErrorKind::ContentFiltered => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        // The provider itself lacks the ability: other than an option of it, no request will do.
        ErrorKind::Unsupported if error.body().status == Some(501) => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Unsupported => StatusCode::UNPROCESSABLE_ENTITY,
        // No standard status says that a call was cancelled; this is nginx's and Google's.
        ErrorKind::Cancelled => {
            StatusCode::from_u16(499).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        }
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Timeout => match error.body().blame {
            Blame::Caller => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::GATEWAY_TIMEOUT,
        },
        ErrorKind::Upstream
        | ErrorKind::QuotaExceeded
        | ErrorKind::Connection
        | ErrorKind::StreamInterrupted
        | ErrorKind::Protocol => StatusCode::BAD_GATEWAY,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Headers that tell a client when to come back.
pub(super) fn retry_headers(error: &Error) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(wait) = error.retry_after() {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        put(&mut headers, RETRY_AFTER.as_str(), &seconds.to_string());
        put(&mut headers, RETRY_AFTER_MS, &wait.as_millis().to_string());
    }
    if !error.is_retryable() {
        // Read by the SDKs of OpenAI and Anthropic.
        put(&mut headers, "x-should-retry", "false");
    }
    headers
}

fn put(headers: &mut HeaderMap, name: &str, value: &str) {
    let name = axum::http::HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}

fn later(error: Error, wait: Duration) -> Error {
    let wait = u64::try_from(wait.min(LONGEST_WAIT).as_millis()).unwrap_or(u64::MAX);
    error.with(|body| {
        body.retryable = true;
        body.retry_after_ms = Some(wait);
    })
}

/// A credential that was not accepted. A database that does not answer is never the caller's fault.
pub(super) fn of_auth(error: AuthError) -> Error {
    match error {
        AuthError::Store(error) => of_store(error),
        AuthError::Busy => later(Error::new(ErrorKind::Overloaded, error.to_string()), BUSY),
        _ => {
            let code = match error {
                AuthError::Missing => "missing_api_key",
                AuthError::Revoked => "revoked_api_key",
                AuthError::Expired => "expired_api_key",
                AuthError::UserDeleted => "deleted_user",
                // Another token may be good; a client that has the key gets one, once.
                AuthError::TokenExpired => "token_expired",
                AuthError::TokenInvalid(_) => "invalid_token",
                _ => "invalid_api_key",
            };
            Error::new(ErrorKind::Authentication, error.to_string())
                .with(|body| body.code = Some(code.to_owned()))
        }
    }
}

/// A token that was not made.
pub(super) fn of_token(error: TokenError) -> Error {
    let text = error.to_string();
    match error {
        TokenError::Disabled => Error::new(ErrorKind::NotFound, text)
            .with(|body| body.code = Some("tokens_disabled".to_owned())),
        TokenError::NotAKey => Error::new(ErrorKind::PermissionDenied, text)
            .with(|body| body.code = Some("token_not_exchangeable".to_owned())),
        TokenError::Lifetime(_) => Error::invalid("ttl_seconds", text),
        TokenError::Signature(_) => Error::new(ErrorKind::Internal, text),
        TokenError::Store(error) => of_store(error),
    }
}

/// The database failed: logged here, where it becomes an answer.
pub(super) fn of_store(error: StoreError) -> Error {
    tracing::error!(%error, "the database failed");
    later(Error::new(ErrorKind::Overloaded, "the database does not answer, try again"), BUSY)
}

/// A change that was not made.
pub(super) fn of_admin(error: AdminError) -> Error {
    let text = error.to_string();
    match error {
        AdminError::Invalid { field, .. } if field.is_empty() => {
            Error::new(ErrorKind::InvalidRequest, text)
        }
        AdminError::Invalid { field, .. } => Error::invalid(field, text),
        AdminError::Unknown { kind, .. } => Error::new(ErrorKind::NotFound, text)
            .with(|body| body.code = Some(format!("{kind}_not_found"))),
        AdminError::InTheWay(_) => Error::new(ErrorKind::Conflict, text),
        AdminError::Denied { permission, .. } => Error::new(ErrorKind::PermissionDenied, text)
            .with(|body| body.permission = Some(permission)),
        AdminError::NotEnough { field, budget, .. } => Error::new(ErrorKind::QuotaExceeded, text)
            .with(|body| {
                body.code = Some("not_enough_left".to_owned());
                body.param = Some(field);
                body.quota = Some(*budget);
            }),
        AdminError::Reused => Error::new(ErrorKind::Conflict, text)
            .with(|body| body.code = Some("idempotency_key_reused".to_owned())),
        AdminError::Busy => later(Error::new(ErrorKind::Overloaded, text), BUSY),
        AdminError::Secret(_) => Error::new(ErrorKind::Internal, text),
        AdminError::Store(error) => of_store(error),
    }
}

/// A call that gave no answer.
fn of_refusal(refusal: Refusal) -> Error {
    let text = refusal.to_string();
    match refusal {
        Refusal::UnknownModel(_) => Error::new(ErrorKind::NotFound, text).with(|body| {
            body.param = Some("model".to_owned());
            body.code = Some("model_not_found".to_owned());
        }),
        Refusal::Denied(denied) => Error::new(ErrorKind::PermissionDenied, text)
            .with(|body| body.permission = Some(denied.permission)),
        Refusal::Limited(limited) => of_limited(&limited, text),
        Refusal::Hold(error) => of_hold(error, text),
        Refusal::Store(error) => of_store(error),
        Refusal::Provider(error) => error,
    }
}

/// A server that is full.
pub(super) fn of_full(full: Limited) -> Error {
    of_refusal(full.into())
}

/// A server that has too much to do, for now.
pub(super) fn busy(message: &str) -> Error {
    later(Error::new(ErrorKind::Overloaded, message), BUSY)
}

/// A run that cannot be read.
fn of_run(error: RunError) -> Error {
    let text = error.to_string();
    let (kind, code) = match error {
        RunError::Refused(refusal) => return of_refusal(refusal),
        RunError::Store(error) => return of_store(error),
        RunError::Unknown(_) => (ErrorKind::NotFound, "run_not_found"),
        RunError::OtherRequest => (ErrorKind::Conflict, "idempotency_key_reused"),
        RunError::Elsewhere => {
            let error = Error::new(ErrorKind::Conflict, text);
            let error = error.with(|body| body.code = Some("run_elsewhere".to_owned()));
            return later(error, BUSY);
        }
        RunError::NotKept => (ErrorKind::Conflict, "answer_not_kept"),
        RunError::EventsNotKept { .. } => (ErrorKind::Conflict, "events_not_kept"),
        RunError::NothingFollows { .. } => return Error::invalid("after", text),
        RunError::Cancelled => (ErrorKind::Cancelled, "run_cancelled"),
        RunError::Interrupted(id) => {
            return Error::new(ErrorKind::StreamInterrupted, text).with(|body| {
                body.code = Some("run_interrupted".to_owned());
                body.request_id = Some(id);
            });
        }
    };
    Error::new(kind, text).with(|body| body.code = Some(code.to_owned()))
}

fn of_limited(limited: &Limited, text: String) -> Error {
    match limited {
        Limited::Over { measure, retry_after, .. } => {
            let error = Error::new(ErrorKind::RateLimited, text);
            let error = error.with(|body| body.code = Some(measure.as_str().to_owned()));
            later(error, *retry_after)
        }
        // Trying again cannot help, which no client believes of a 429.
        Limited::TooLarge { .. } => Error::new(ErrorKind::TooLarge, text)
            .with(|body| body.code = Some(Measure::Tokens.as_str().to_owned())),
        Limited::Full { .. } | Limited::Unchecked => {
            later(Error::new(ErrorKind::Overloaded, text), BUSY)
        }
    }
}

fn of_hold(error: HoldError, text: String) -> Error {
    match error {
        HoldError::Exhausted(budget) => {
            let text = match budget.resets_at_ms.and_then(date) {
                Some(date) => format!("{text}; it starts again at {date}"),
                None => format!("{text}; it does not start again by itself"),
            };
            // No Retry-After: a client would sleep until the window ends.
            Error::new(ErrorKind::QuotaExceeded, text).with(|body| {
                body.code = Some("budget_exhausted".to_owned());
                body.quota = Some(*budget);
            })
        }
        HoldError::Unpriced { .. } => Error::new(ErrorKind::PermissionDenied, text).with(|body| {
            body.code = Some("unpriced_model".to_owned());
        }),
        HoldError::UnpricedTool { .. } => {
            Error::new(ErrorKind::PermissionDenied, text).with(|body| {
                body.code = Some("unpriced_tool".to_owned());
                body.param = Some("tools".to_owned());
            })
        }
        HoldError::Store(error) => of_store(error),
        HoldError::Overloaded | HoldError::Closed => {
            later(Error::new(ErrorKind::Overloaded, text), BUSY)
        }
    }
}

fn date(ms: i64) -> Option<String> {
    jiff::Timestamp::from_millisecond(ms).ok().map(|moment| moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_status() {
        for (kind, status) in [
            (ErrorKind::InvalidRequest, 400),
            (ErrorKind::ContextLength, 400),
            (ErrorKind::Authentication, 401),
            (ErrorKind::PermissionDenied, 403),
            (ErrorKind::NotFound, 404),
            (ErrorKind::TooLarge, 413),
            (ErrorKind::Unsupported, 422),
            (ErrorKind::RateLimited, 429),
            (ErrorKind::Cancelled, 499),
            (ErrorKind::Internal, 500),
            (ErrorKind::Upstream, 502),
            (ErrorKind::Overloaded, 503),
            (ErrorKind::Timeout, 504),
        ] {
            assert_eq!(status_of(&Error::new(kind, "x")).as_u16(), status, "{kind}");
        }
    }

    #[test]
    fn a_database_failure_is_503_with_retry_after_and_never_401() {
        let error = of_auth(AuthError::Store(StoreError::Busy));
        assert_eq!(status_of(&error), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(retry_headers(&error).get("retry-after").unwrap(), "1");
    }
}
