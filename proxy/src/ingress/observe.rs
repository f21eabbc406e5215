//! What every request gets: an id, one log line at its end, and a panic that becomes a 500.

use crate::{clock::SystemClock, ids::new_id};
use axum::{
    body::Body,
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode},
    middleware::Next,
};
use futures_util::FutureExt;
use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    time::Instant,
};
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

/// A request that is being answered.
pub(super) struct Sight {
    id: String,
    method: Method,
    retry: Option<u32>,
    started: Instant,
}

pub(super) async fn observe(mut request: Request, next: Next) -> Response<Body> {
    let sight = Sight::of(&request);
    request.extensions_mut().insert(sight.id());
    // The route, not the path: a path may hold anything.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let answering = pin!(next.run(request));
    sight.watch(route.as_ref().map(MatchedPath::as_str), answering).await
}

impl Sight {
    /// From now on.
    pub(super) fn of(request: &Request) -> Self {
        let method = request.method().clone();
        let retry = retry_of(request.headers());
        Self { id: new_id(&SystemClock), method, retry, started: Instant::now() }
    }

    /// The request's id.
    pub(super) fn id(&self) -> RequestId {
        RequestId(self.id.clone())
    }

    /// Waits for the answer. Its future stays where it is: it is large.
    pub(super) async fn watch(
        self,
        route: Option<&str>,
        answering: Pin<&mut impl Future<Output = Response<Body>>>,
    ) -> Response<Body> {
        let answered = AssertUnwindSafe(answering).catch_unwind().await;
        let Self { id, method, retry, started } = self;
        let mut response = answered.unwrap_or_else(|_| panicked(&id));
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
            route = route.unwrap_or("none"),
            status = response.status().as_u16(),
            retry,
            head_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request answered"
        );
        response
    }
}

fn panicked(id: &str) -> Response<Body> {
    tracing::error!(request_id = %id, "a request panicked");
    let error = Error::new(ErrorKind::Internal, "the server has a defect here; it is logged")
        .with(|body| body.request_id = Some(id.to_owned()));
    super::reply::json(StatusCode::INTERNAL_SERVER_ERROR, &ErrorEnvelope { error })
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
