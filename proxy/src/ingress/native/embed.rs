//! `POST /api/v1/embed`: texts to vectors.

use super::{Problem, parse};
use crate::{
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
use tollgate_types::EmbedRequest;

pub(crate) async fn embed(
    State(front): State<Arc<Front>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(request.headers()).await?;
    let tags = body::options(request.headers())?.tags;
    let asked: EmbedRequest = parse(&body::read(&front, request).await?)?;
    let asked_model = asked.model.clone();
    let order = Order { request_id, asked_model, dialect: "native", streamed: false, tags };
    let (response, rates) = front.gateway.embed(&caller, order, asked).await?;
    let mut reply = reply::json(StatusCode::OK, &response);
    reply::put_rates(reply.headers_mut(), &rates);
    reply::charge(reply.headers_mut(), response.receipt.as_ref());
    Ok(reply)
}
