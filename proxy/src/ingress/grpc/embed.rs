//! `Embed`: texts to vectors.

use super::call::{Asked, Problem, Reply};
use crate::{
    access::Caller,
    ingress::{body, reply},
    ledger::Order,
};
use axum::http::HeaderMap;
use std::sync::Arc;
use tollgate_types::{EmbedRequest, proto::v1};

pub(super) async fn embed(
    mut asked: Asked,
    caller: Arc<Caller>,
) -> Result<Reply<v1::EmbedResponse>, Problem> {
    let tags = body::options(&asked.headers)?.tags;
    let request: EmbedRequest = asked.message::<v1::EmbedRequest>().await?.try_into()?;
    let (request_id, asked_model) = (asked.request_id, request.model.clone());
    let order = Order { request_id, asked_model, dialect: "native", streamed: false, tags };
    let (response, rates) = asked.front.gateway.embed(&caller, order, request).await?;
    let mut headers = HeaderMap::new();
    reply::put_rates(&mut headers, &rates);
    reply::charge(&mut headers, response.receipt.as_ref());
    Ok(Reply { message: response.into(), headers })
}
