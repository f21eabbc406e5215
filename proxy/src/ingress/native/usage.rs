//! `GET /api/v1/usage`: what was used; members see their own, administrators everybody's.

pub(super) mod export;

use super::Problem;
use crate::{
    access::{Caller, Role},
    ingress::{front::Front, problem, reply},
    ledger::report::{self, Format, Query, ReportError, csv},
};
use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, Response, StatusCode, header::CONTENT_TYPE},
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
    let format = query.format.unwrap_or(Format::Json);
    if format == Format::Jsonl {
        return Err(Error::invalid("format", "format is jsonl, use one of: json, csv").into());
    }
    let _turn = front.reports.acquire().await;
    let report =
        report::report(&front.store, &query, front.clock.now_ms()).await.map_err(refusal)?;
    if format == Format::Csv {
        return Ok(spreadsheet(Body::from(csv::report(&report).map_err(refusal)?)));
    }
    Ok(reply::json(StatusCode::OK, &report))
}

fn spreadsheet(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn refusal(error: ReportError) -> Error {
    match error {
        ReportError::Query { param, message } => Error::invalid(param, message),
        ReportError::Store(error) => problem::of_store(error),
        error @ ReportError::Text(_) => Error::new(ErrorKind::Internal, error.to_string()),
    }
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
