//! `/api/v1/admin/users`.

use super::{Answer, Front, Named, admit, created, named, order, told};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, Request},
};
use serde_json::json;
use std::sync::Arc;

pub(super) async fn list(State(front): State<Arc<Front>>, headers: HeaderMap) -> Answer {
    let admitted = admit(&front, &headers).await?;
    told(admitted.office.users().await.map(|users| json!({"users": users})))
}

pub(super) async fn create(State(front): State<Arc<Front>>, request: Request<Body>) -> Answer {
    let admitted = admit(&front, request.headers()).await?;
    let order = order(&front, request).await?;
    created(admitted.office.create_user(&admitted.mandate, order).await)
}

pub(super) async fn show(
    State(front): State<Arc<Front>>,
    user: Named,
    headers: HeaderMap,
) -> Answer {
    let admitted = admit(&front, &headers).await?;
    told(admitted.office.user(&named(user)?).await)
}

pub(super) async fn update(
    State(front): State<Arc<Front>>,
    user: Named,
    request: Request<Body>,
) -> Answer {
    let admitted = admit(&front, request.headers()).await?;
    let patch = order(&front, request).await?;
    told(admitted.office.update_user(&admitted.mandate, &named(user)?, patch).await)
}

pub(super) async fn delete(
    State(front): State<Arc<Front>>,
    user: Named,
    headers: HeaderMap,
) -> Answer {
    let admitted = admit(&front, &headers).await?;
    told(admitted.office.delete_user(&admitted.mandate, &named(user)?).await)
}
