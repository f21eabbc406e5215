//! What every call gets: an id, one log line when its answer begins, and a panic that becomes a
//! status.

use super::status;
use crate::{
    clock::SystemClock,
    ids::new_id,
    ingress::{
        observe::{RequestId, retry_of},
        reply,
    },
};
use axum::{
    body::Body,
    extract::{MatchedPath, Request},
    http::Response,
    middleware::Next,
};
use futures_util::FutureExt;
use std::{panic::AssertUnwindSafe, time::Instant};
use tollgate_types::{Error, ErrorKind, wire::header::REQUEST_ID};
use tonic::Status;

pub(super) async fn observe(mut request: Request, next: Next) -> Response<Body> {
    let started = Instant::now();
    let id = new_id(&SystemClock);
    request.extensions_mut().insert(RequestId(id.clone()));
    let retry = retry_of(request.headers());
    // The route, not the path: a path may hold anything.
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answered.unwrap_or_else(|_| {
        tracing::error!(request_id = %id, "a request panicked");
        let error = Error::new(ErrorKind::Internal, "the server has a defect here; it is logged");
        status::refuse(error.into(), &id)
    });
    // An answer to somebody who joined a run has the id of that run already.
    if !response.headers().contains_key(REQUEST_ID) {
        reply::put(response.headers_mut(), REQUEST_ID, &id);
    }
    let code = response.headers().get(Status::GRPC_STATUS).and_then(|code| code.to_str().ok());
    tracing::info!(
        request_id = %id,
        route = route.as_deref().unwrap_or("none"),
        code = code.unwrap_or("begun"),
        retry,
        head_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "call answered"
    );
    response
}
