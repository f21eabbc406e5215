//! `/api/v1/admin/teams`.

use super::{Answer, Front, Named, admit, created, named, order, told};
use crate::admin::{TeamOrder, TeamPatch};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, Request},
};
use serde_json::json;
use std::sync::Arc;

pub(super) async fn list(State(front): State<Arc<Front>>, headers: HeaderMap) -> Answer {
    let admitted = admit(&front, &headers).await?;
    told(admitted.office.teams().await.map(|teams| json!({"teams": teams})))
}

pub(super) async fn create(State(front): State<Arc<Front>>, request: Request<Body>) -> Answer {
    let admitted = admit(&front, request.headers()).await?;
    let order: TeamOrder = order(&front, request).await?;
    created(admitted.office.create_team(&admitted.mandate, &order).await)
}

pub(super) async fn show(
    State(front): State<Arc<Front>>,
    team: Named,
    headers: HeaderMap,
) -> Answer {
    let admitted = admit(&front, &headers).await?;
    told(admitted.office.team(&named(team)?).await)
}

pub(super) async fn update(
    State(front): State<Arc<Front>>,
    team: Named,
    request: Request<Body>,
) -> Answer {
    let admitted = admit(&front, request.headers()).await?;
    let patch: TeamPatch = order(&front, request).await?;
    told(admitted.office.update_team(&admitted.mandate, &named(team)?, &patch).await)
}

pub(super) async fn delete(
    State(front): State<Arc<Front>>,
    team: Named,
    headers: HeaderMap,
) -> Answer {
    let admitted = admit(&front, &headers).await?;
    told(admitted.office.delete_team(&admitted.mandate, &named(team)?).await)
}
