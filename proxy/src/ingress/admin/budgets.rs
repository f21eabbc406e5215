//! `/api/v1/admin/budgets`.

use super::{Answer, Front, Named, admit, created, named, order, query, told};
use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, Request},
};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Which budgets are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Query {
    /// Only this user's and those of its keys, by name or id.
    user: Option<String>,
}

pub(super) async fn list(
    State(front): State<Arc<Front>>,
    raw: RawQuery,
    headers: HeaderMap,
) -> Answer {
    let admitted = admit(&front, &headers).await?;
    let Query { user } = query(raw)?;
    let _turn = front.reports.acquire().await;
    let budgets = admitted.office.budgets(user.as_deref()).await;
    told(budgets.map(|budgets| json!({"budgets": budgets})))
}

pub(super) async fn create(State(front): State<Arc<Front>>, request: Request<Body>) -> Answer {
    let admitted = admit(&front, request.headers()).await?;
    let order = order(&front, request).await?;
    created(admitted.office.create_budget(&admitted.mandate, order).await)
}

pub(super) async fn show(State(front): State<Arc<Front>>, id: Named, headers: HeaderMap) -> Answer {
    let admitted = admit(&front, &headers).await?;
    told(admitted.office.budget(&named(id)?).await)
}

pub(super) async fn update(
    State(front): State<Arc<Front>>,
    id: Named,
    request: Request<Body>,
) -> Answer {
    let admitted = admit(&front, request.headers()).await?;
    let patch = order(&front, request).await?;
    told(admitted.office.update_budget(&admitted.mandate, &named(id)?, patch).await)
}

pub(super) async fn delete(
    State(front): State<Arc<Front>>,
    id: Named,
    headers: HeaderMap,
) -> Answer {
    let admitted = admit(&front, &headers).await?;
    told(admitted.office.delete_budget(&admitted.mandate, &named(id)?).await)
}
