//! `POST .../{model}:embedContent` and `:batchEmbedContents`.

use super::{Asked, Problem};
use crate::{
    dialects::google::{decode_embed, decode_embed_batch, encode_embed_reply},
    gateway::Embedded,
    ingress::{body, reply},
    ledger::Order,
};
use axum::{
    body::Body,
    http::{Response, StatusCode},
};

/// Whether one text is asked for, or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    One,
    Batch,
}

pub(super) async fn embed(asked: Asked, shape: Shape) -> Result<Response<Body>, Problem> {
    let Asked { front, caller, request_id, model, request } = asked;
    let tags = body::options(request.headers())?.tags;
    let body = body::read(&front, request).await?;
    let embed = match shape {
        Shape::One => decode_embed(&body, &model)?,
        Shape::Batch => decode_embed_batch(&body, &model)?,
    };
    let order = Order { request_id, asked_model: model, dialect: "google", streamed: false, tags };
    let Embedded { response, rates, .. } = front.gateway.embed(&caller, order, embed).await?;
    let written = encode_embed_reply(&response, shape == Shape::Batch);
    let mut reply = reply::json(StatusCode::OK, &written);
    reply::put_rates(reply.headers_mut(), &rates);
    reply::charge(reply.headers_mut(), response.receipt.as_ref());
    Ok(reply)
}
