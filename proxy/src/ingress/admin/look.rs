//! What administrators look at: usage, open holds, the audit trail, the configuration.

use super::{Answer, Front, administrator, admit, query, told};
use crate::{
    admin::{AdminError, audit},
    ingress::{native, reply},
};
use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// As `GET /api/v1/usage`, of everybody.
pub(super) async fn usage(front: State<Arc<Front>>, query: RawQuery, headers: HeaderMap) -> Answer {
    administrator(&front, &headers).await?;
    native::usage::usage(front, query, headers).await
}

pub(super) async fn holds(
    State(front): State<Arc<Front>>,
    raw: RawQuery,
    headers: HeaderMap,
) -> Answer {
    let admitted = admit(&front, &headers).await?;
    let query = query(raw)?;
    let _turn = front.reports.acquire().await;
    told(admitted.office.holds(query).await.map(|holds| json!({"holds": holds})))
}

pub(super) async fn audit(
    State(front): State<Arc<Front>>,
    raw: RawQuery,
    headers: HeaderMap,
) -> Answer {
    administrator(&front, &headers).await?;
    let query: audit::Query = query(raw)?;
    let _turn = front.reports.acquire().await;
    let rows = audit::list(&front.store, &query, front.clock.now_ms()).await;
    told(rows.map(|rows| {
        let rows: Vec<Value> = rows.iter().map(audit::shown).collect();
        json!({"audit": rows})
    }))
}

pub(super) async fn verify(State(front): State<Arc<Front>>, headers: HeaderMap) -> Answer {
    administrator(&front, &headers).await?;
    let _turn = front.reports.acquire().await;
    told(audit::verify(&front.store).await.map_err(AdminError::from))
}

pub(super) async fn config(State(front): State<Arc<Front>>, headers: HeaderMap) -> Answer {
    administrator(&front, &headers).await?;
    Ok(reply::json(StatusCode::OK, &front.config))
}
