//! `/api/v1/admin/keys`. A key's text stands in the answer that made it, and nowhere else.

use super::{Answer, Front, Named, admit, created, named, order, query, told};
use crate::admin::Rotation;
use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, Request},
};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Which keys are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Query {
    /// Only this user's, by name or id.
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
    told(admitted.office.keys(user.as_deref()).await.map(|keys| json!({"keys": keys})))
}

pub(super) async fn create(State(front): State<Arc<Front>>, request: Request<Body>) -> Answer {
    let admitted = admit(&front, request.headers()).await?;
    let order = order(&front, request).await?;
    let issued = admitted.office.create_key(&admitted.mandate, order).await;
    created(issued.and_then(|issued| issued.shown()))
}

pub(super) async fn show(State(front): State<Arc<Front>>, id: Named, headers: HeaderMap) -> Answer {
    let admitted = admit(&front, &headers).await?;
    told(admitted.office.key(&named(id)?).await)
}

pub(super) async fn update(
    State(front): State<Arc<Front>>,
    id: Named,
    request: Request<Body>,
) -> Answer {
    let admitted = admit(&front, request.headers()).await?;
    let patch = order(&front, request).await?;
    told(admitted.office.update_key(&admitted.mandate, &named(id)?, patch).await)
}

/// `{}` ends the old secret at once, `{"overlap": "24h"}` after a time.
pub(super) async fn rotate(
    State(front): State<Arc<Front>>,
    id: Named,
    request: Request<Body>,
) -> Answer {
    let admitted = admit(&front, request.headers()).await?;
    let rotation: Rotation = order(&front, request).await?;
    let issued = admitted.office.rotate_key(&admitted.mandate, &named(id)?, rotation).await;
    told(issued.and_then(|issued| issued.shown()))
}

pub(super) async fn revoke(
    State(front): State<Arc<Front>>,
    id: Named,
    headers: HeaderMap,
) -> Answer {
    let admitted = admit(&front, &headers).await?;
    told(admitted.office.revoke_key(&admitted.mandate, &named(id)?).await)
}
