//! `POST /api/embed`, and `POST /api/embeddings` of older clients.

use super::Problem;
use crate::{
    dialects::ollama::{
        decode_embed, decode_embeddings, encode_embed_reply, encode_embeddings_reply,
    },
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
use serde_json::Value;
use std::sync::Arc;
use tollgate_types::{EmbedRequest, EmbedResponse};

pub(crate) async fn embed(
    State(front): State<Arc<Front>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    answer(&front, request_id, request, (decode_embed, encode_embed_reply)).await
}

pub(crate) async fn embeddings(
    State(front): State<Arc<Front>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let write = |response: &EmbedResponse, _: &str| encode_embeddings_reply(response);
    answer(&front, request_id, request, (decode_embeddings, write)).await
}

async fn answer(
    front: &Front,
    request_id: String,
    request: Request,
    (read, write): (
        impl FnOnce(&[u8]) -> tollgate_types::Result<EmbedRequest>,
        impl FnOnce(&EmbedResponse, &str) -> Value,
    ),
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(request.headers()).await?;
    let tags = body::options(request.headers())?.tags;
    let asked = read(&body::read(front, request).await?)?;
    let asked_model = asked.model.clone();
    let order = Order {
        request_id,
        asked_model: asked_model.clone(),
        dialect: "ollama",
        streamed: false,
        tags,
    };
    let Embedded { response, rates, .. } = front.gateway.embed(&caller, order, asked).await?;
    let mut reply = reply::json(StatusCode::OK, &write(&response, &asked_model));
    reply::put_rates(reply.headers_mut(), &rates);
    reply::charge(reply.headers_mut(), response.receipt.as_ref());
    Ok(reply)
}
