//! `GET /api/v1/models`: the models that the caller may use.

use super::Problem;
use crate::{
    access::{Caller, Target},
    ingress::{front::Front, reply},
};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, Response, StatusCode},
};
use std::sync::Arc;
use tollgate_types::{Error, ErrorKind, LongPrice, ModelInfo, ModelPrice, Result, wire::ModelList};

pub(crate) async fn models(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(&headers).await?;
    Ok(reply::json(StatusCode::OK, &ModelList { models: visible(&front, &caller).await }))
}

/// The models that a caller may use, with their prices.
pub(crate) async fn visible(front: &Front, caller: &Caller) -> Vec<ModelInfo> {
    let listed = front.gateway.catalog.list().await;
    let permitted = listed.into_iter().filter(|model| caller.may_see(&model.target));
    permitted
        .map(|model| ModelInfo { price: price_of(front, &model.target), ..model.info })
        .collect()
}

/// The model of a name or alias, if the caller may use it.
///
/// # Errors
/// `not_found` when there is none.
pub(crate) async fn visible_one(front: &Front, caller: &Caller, id: &str) -> Result<ModelInfo> {
    let mut models = visible(front, caller).await.into_iter();
    models.find(|model| model.id == id || model.aliases.iter().any(|alias| alias == id)).ok_or_else(
        || {
            Error::new(ErrorKind::NotFound, format!("no model is called {id:?}"))
                .with(|body| body.param = Some("model".to_owned()))
        },
    )
}

fn price_of(front: &Front, target: &Target) -> Option<ModelPrice> {
    let entry = front.gateway.prices.current().text_of(target)?.clone();
    let long_context = entry.long_context.map(|long| LongPrice {
        above: long.above,
        input: long.input,
        cache_read: long.cache_read,
        output: long.output,
    });
    Some(ModelPrice {
        input: entry.input,
        cache_read: entry.cache_read,
        cache_write_5m: entry.cache_write_5m,
        cache_write_1h: entry.cache_write_1h,
        output: entry.output,
        long_context,
        as_of: entry.as_of,
        source: entry.source,
    })
}
