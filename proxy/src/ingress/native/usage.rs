//! `GET /api/v1/usage`: what was used; members see their own, administrators everybody's.

use super::Problem;
use crate::{
    access::{Caller, Role},
    ingress::{front::Front, problem, reply},
    ledger::report::{self, Query},
};
use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, Response, StatusCode},
};
use std::sync::Arc;
use tollgate_types::{Error, ErrorKind, Result};

pub(crate) async fn usage(
    State(front): State<Arc<Front>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(&headers).await?;
    let query = parse(query.as_deref().unwrap_or_default(), &caller)?;
    let _turn = front.reports.acquire().await;
    let now_ms = front.clock.now_ms();
    let report =
        report::report(&front.store, &query, now_ms).await.map_err(|error| match error {
            report::ReportError::Query(message) => Error::new(ErrorKind::InvalidRequest, message),
            report::ReportError::Store(error) => problem::of_store(error),
        })?;
    Ok(reply::json(StatusCode::OK, &report))
}

/// A member's query is bound to the member, whatever it asks for.
fn parse(query: &str, caller: &Caller) -> Result<Query> {
    let mut parsed: Query = serde_urlencoded::from_str(query)
        .map_err(|error| Error::new(ErrorKind::InvalidRequest, format!("query: {error}")))?;
    if caller.role() == Role::Member {
        parsed.user_id = Some(caller.user_id().to_owned());
    }
    Ok(parsed)
}
