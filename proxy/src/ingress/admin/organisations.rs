//! `/api/v1/admin/organisations`.

use super::{Answer, Front, Named, admit, created, named, order, told};
use crate::admin::{OrganisationOrder, OrganisationPatch};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, Request},
};
use serde_json::json;
use std::sync::Arc;

pub(super) async fn list(State(front): State<Arc<Front>>, headers: HeaderMap) -> Answer {
    let admitted = admit(&front, &headers).await?;
    told(
        admitted
            .office
            .organisations()
            .await
            .map(|organisations| json!({"organisations": organisations})),
    )
}

pub(super) async fn create(State(front): State<Arc<Front>>, request: Request<Body>) -> Answer {
    let admitted = admit(&front, request.headers()).await?;
    let order: OrganisationOrder = order(&front, request).await?;
    created(admitted.office.create_organisation(&admitted.mandate, &order).await)
}

pub(super) async fn show(
    State(front): State<Arc<Front>>,
    organisation: Named,
    headers: HeaderMap,
) -> Answer {
    let admitted = admit(&front, &headers).await?;
    told(admitted.office.organisation(&named(organisation)?).await)
}

pub(super) async fn update(
    State(front): State<Arc<Front>>,
    organisation: Named,
    request: Request<Body>,
) -> Answer {
    let admitted = admit(&front, request.headers()).await?;
    let patch: OrganisationPatch = order(&front, request).await?;
    told(
        admitted.office.update_organisation(&admitted.mandate, &named(organisation)?, &patch).await,
    )
}

pub(super) async fn delete(
    State(front): State<Arc<Front>>,
    organisation: Named,
    headers: HeaderMap,
) -> Answer {
    let admitted = admit(&front, &headers).await?;
    told(admitted.office.delete_organisation(&admitted.mandate, &named(organisation)?).await)
}
