//! `/api/v1/admin/prices`: the prices that were set, beside those of the configuration.

use super::{Answer, Front, Named, admit, created, named, order, query, told};
use crate::{
    admin::{AdminError, SetPrices},
    prices::changes,
};
use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, Request},
};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Which prices are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Query {
    /// Only those that were set for this name.
    model: Option<String>,
}

/// Every price that was ever set, the newest first, each with whether it counts.
pub(super) async fn list(
    State(front): State<Arc<Front>>,
    raw: RawQuery,
    headers: HeaderMap,
) -> Answer {
    admit(&front, &headers).await?;
    let Query { model } = query(raw)?;
    let _turn = front.reports.acquire().await;
    let prices = changes::history(&front.store, front.clock.as_ref(), model.as_deref()).await;
    told(prices.map(|prices| json!({"prices": prices})).map_err(AdminError::from))
}

pub(super) async fn set(State(front): State<Arc<Front>>, request: Request<Body>) -> Answer {
    let admitted = admit(&front, request.headers()).await?;
    let order: SetPrices = order(&front, request).await?;
    let prices = admitted.office.set_prices(&admitted.mandate, &order).await;
    created(prices.map(|prices| json!({"prices": prices})))
}

pub(super) async fn remove(
    State(front): State<Arc<Front>>,
    model: Named,
    headers: HeaderMap,
) -> Answer {
    let admitted = admit(&front, &headers).await?;
    told(admitted.office.remove_prices(&admitted.mandate, &named(model)?).await)
}
