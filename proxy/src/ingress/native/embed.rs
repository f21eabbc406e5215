//! `POST /api/v1/embed`: texts to vectors.

use super::{Problem, parse};
use crate::{
    gateway::Embedded,
    ingress::{body, front::Front, observe::RequestId, reply},
    ledger::Order,
};
use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::{Response, StatusCode},
};
use std::sync::Arc;
use tollgate_types::{EmbedRequest, wire::header::REQUEST_ID};

pub(crate) async fn embed(
    State(front): State<Arc<Front>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(request.headers()).await?;
    let tags = body::options(request.headers())?.tags;
    let key = body::idempotency_key(request.headers())?;
    let bytes = body::read(&front, request).await?;
    let asked: EmbedRequest = parse(&bytes)?;
    let key = key.map(|key| (key, *blake3::hash(&bytes).as_bytes()));
    let asked_model = asked.model.clone();
    let order = Order { request_id, asked_model, dialect: "native", streamed: false, tags };
    let (embedded, run_id) = front.runs.embed(&caller, order, (asked, key)).await?;
    let Embedded { response, rates, .. } = embedded;
    let mut reply = reply::json(StatusCode::OK, &response);
    reply::put(reply.headers_mut(), REQUEST_ID, &run_id);
    reply::put_rates(reply.headers_mut(), &rates);
    reply::charge(reply.headers_mut(), response.receipt.as_ref());
    Ok(reply)
}
