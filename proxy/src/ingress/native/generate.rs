//! `POST /api/v1/generate`: one answer, whole.

use super::{Problem, parse_request};
use crate::{
    gateway::{Answer, Call},
    ingress::{body, front::Front, observe::RequestId, reply},
};
use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::{Response, StatusCode},
};
use std::sync::Arc;

pub(crate) async fn generate(
    State(front): State<Arc<Front>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let answer = begin(&front, request_id, request, false).await?;
    let (answer, mut headers) = reply::description(answer).await;
    let response = answer.events.collect().await?;
    reply::charge(&mut headers, response.receipt.as_ref());
    let mut reply = reply::json(StatusCode::OK, &response);
    reply.headers_mut().extend(headers);
    Ok(reply)
}

/// What `generate` and `stream` have in common: everything up to the first event.
pub(super) async fn begin(
    front: &Front,
    request_id: String,
    request: Request,
    streamed: bool,
) -> Result<Answer, Problem> {
    let caller = front.caller(request.headers()).await?;
    let options = body::options(request.headers())?;
    let key = body::idempotency_key(request.headers())?;
    let bytes = body::read(front, request).await?;
    let mut asked = parse_request(&bytes)?;
    asked.options = options;
    let call = Call { request: asked, request_id, dialect: "native", streamed };
    let answer = match key {
        Some(key) => {
            let fingerprint = *blake3::hash(&bytes).as_bytes();
            front.gateway.run_once(&caller, call, (key, fingerprint)).await
        }
        None => front.gateway.run(&caller, call).await,
    };
    Ok(answer?)
}
