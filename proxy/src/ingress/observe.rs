//! What every request gets: an id, one log line at its end, and a panic that becomes a 500.

use crate::{clock::SystemClock, ids::new_id};
use axum::{
    body::Body,
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderValue, Response, StatusCode},
    middleware::Next,
};
use futures_util::FutureExt;
use std::{panic::AssertUnwindSafe, time::Instant};
use tollgate_types::{
    Error, ErrorKind,
    wire::{
        ErrorEnvelope,
        header::{REQUEST_ID, RETRY_COUNT},
    },
};

/// Tollgate's id of a request: made here, on every answer, and the id of its usage row.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub String);

pub(super) async fn observe(mut request: Request, next: Next) -> Response<Body> {
    let started = Instant::now();
    let id = new_id(&SystemClock);
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = request.method().clone();
    let retry = retry_of(request.headers());
    // The route, not the path: a path may hold anything.
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answered.unwrap_or_else(|_| {
        tracing::error!(request_id = %id, "a request panicked");
        let error = Error::new(ErrorKind::Internal, "the server has a defect here; it is logged")
            .with(|body| body.request_id = Some(id.clone()));
        super::reply::json(StatusCode::INTERNAL_SERVER_ERROR, &ErrorEnvelope { error })
    });
    // An answer to somebody who joined a run has the id of that run already.
    let told = response.headers().get(REQUEST_ID).cloned();
    if let Some(value) = told.or_else(|| HeaderValue::from_str(&id).ok()) {
        // OpenAI's clients read the first, Anthropic's the second.
        response.headers_mut().insert(REQUEST_ID, value.clone());
        response.headers_mut().insert("request-id", value);
    }
    tracing::info!(
        request_id = %id,
        method = %method,
        route = route.as_deref().unwrap_or("none"),
        status = response.status().as_u16(),
        retry,
        head_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "request answered"
    );
    response
}

/// How often the caller tried the call before, where it says so and it did.
pub(super) fn retry_of(headers: &HeaderMap) -> Option<u32> {
    let said = headers.get(RETRY_COUNT)?.to_str().ok()?;
    said.parse().ok().filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_is_told_by_its_number() {
        for (said, retry) in
            [("0", None), ("3", Some(3)), ("-1", None), ("many", None), ("99999999999", None)]
        {
            let headers =
                HeaderMap::from_iter([(RETRY_COUNT.parse().unwrap(), said.parse().unwrap())]);
            assert_eq!(retry_of(&headers), retry, "{said}");
        }
        assert_eq!(retry_of(&HeaderMap::new()), None);
    }
}
