//! `POST /api/v1/generate`: one answer, whole.

use super::{Problem, parse_request};
use crate::{
    gateway::Call,
    ingress::{body, front::Front, observe::RequestId, reply},
    runs::{Run, RunOptions},
};
use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::{Response, StatusCode},
};
use std::sync::Arc;
use tollgate_types::wire::header::REQUEST_ID;

pub(crate) async fn generate(
    State(front): State<Arc<Front>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let (mut answer, run_id) = begin(&front, request_id, request, false).await?.into_answer();
    let mut headers = reply::description(&mut answer).await;
    reply::put(&mut headers, REQUEST_ID, &run_id);
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
) -> Result<Run, Problem> {
    let caller = front.caller(request.headers()).await?;
    let options = body::options(request.headers())?;
    let key = body::idempotency_key(request.headers())?;
    let resumable = body::resumable(request.headers())?;
    let on_unsupported = body::on_unsupported_said(request.headers())?;
    let bytes = body::read_call(front, request).await?;
    let mut asked = parse_request(&bytes)?;
    asked.on_unsupported = on_unsupported.unwrap_or(asked.on_unsupported);
    asked.options = options;
    let call = Call { request: asked, request_id, dialect: "native", streamed };
    let key = key.map(|key| (key, *blake3::hash(&bytes).as_bytes()));
    Ok(front.runs.begin(&caller, call, RunOptions { key, resumable }).await?)
}
