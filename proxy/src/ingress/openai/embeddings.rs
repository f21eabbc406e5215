//! `POST /v1/embeddings`.

use super::Problem;
use crate::{
    dialects::openai::{decode_embed, encode_embed_reply},
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

pub(crate) async fn embeddings(
    State(front): State<Arc<Front>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(request.headers()).await?;
    let tags = body::options(request.headers())?.tags;
    let embed = decode_embed(&body::read(&front, request).await?)?;
    let asked_model = embed.request.model.clone();
    let order = Order {
        request_id,
        asked_model: asked_model.clone(),
        dialect: "openai",
        streamed: false,
        tags,
    };
    let Embedded { response, rates, .. } =
        front.gateway.embed(&caller, order, embed.request).await?;
    let body = encode_embed_reply(&response, embed.encoding, &asked_model);
    let mut reply = reply::json(StatusCode::OK, &body);
    reply::put_rates(reply.headers_mut(), &rates);
    reply::charge(reply.headers_mut(), response.receipt.as_ref());
    Ok(reply)
}
