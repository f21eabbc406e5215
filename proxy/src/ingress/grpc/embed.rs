//! `Embed`: texts to vectors.

use super::call::{Asked, Problem, Reply};
use crate::{
    access::Caller,
    gateway::Embedded,
    ingress::{body, reply},
    ledger::Order,
};
use axum::http::HeaderMap;
use std::sync::Arc;
use tollgate_types::{EmbedRequest, proto::v1, wire::header::REQUEST_ID};

pub(super) async fn embed(
    mut asked: Asked,
    caller: Arc<Caller>,
) -> Result<Reply<v1::EmbedResponse>, Problem> {
    let tags = body::options(&asked.headers)?.tags;
    let key = body::idempotency_key(&asked.headers)?;
    let request: EmbedRequest = asked.message::<v1::EmbedRequest>().await?.try_into()?;
    // As for an answer: a retry may take another way.
    let fingerprint =
        || *blake3::hash(&serde_json::to_vec(&request).unwrap_or_default()).as_bytes();
    let key = key.map(|key| (key, fingerprint()));
    let (request_id, asked_model) = (asked.request_id, request.model.clone());
    let order = Order { request_id, asked_model, dialect: "native", streamed: false, tags };
    let (embedded, run_id) = asked.front.runs.embed(&caller, order, (request, key)).await?;
    let Embedded { response, rates, .. } = embedded;
    let mut headers = HeaderMap::new();
    reply::put(&mut headers, REQUEST_ID, &run_id);
    reply::put_rates(&mut headers, &rates);
    reply::charge(&mut headers, response.receipt.as_ref());
    Ok(Reply { message: response.into(), headers })
}
