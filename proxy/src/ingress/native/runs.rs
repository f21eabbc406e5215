//! `/api/v1/runs`: calls that can be joined again, looked at and cancelled.

use super::{Problem, stream::numbered};
use crate::ingress::{front::Front, reply};
use axum::{
    body::Body,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::{HeaderMap, Response, StatusCode},
};
use std::sync::Arc;
use tollgate_types::{Error, Result, wire::header::REQUEST_ID};

pub(crate) async fn show(
    State(front): State<Arc<Front>>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(&headers).await?;
    let status = front.runs.status(&caller, &name(id)?).await?;
    Ok(reply::json(StatusCode::OK, &status))
}

pub(crate) async fn events(
    State(front): State<Arc<Front>>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(&headers).await?;
    let after = after(query.as_deref().unwrap_or_default(), &headers)?;
    let run = front.runs.attach(&caller, &name(id)?, after).await?;
    let id = run.id.clone();
    let mut described = reply::target(&run.target);
    reply::put(&mut described, REQUEST_ID, &id);
    let mut response = numbered(run.events);
    response.headers_mut().extend(described);
    Ok(response)
}

pub(crate) async fn cancel(
    State(front): State<Arc<Front>>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(&headers).await?;
    front.runs.cancel(&caller, &name(id)?).await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

fn name(id: Result<Path<String>, PathRejection>) -> Result<String> {
    id.map(|Path(id)| id).map_err(|error| Error::invalid("path", error.body_text()))
}

/// The event behind which to go on: `after` of the query, else `Last-Event-ID`.
fn after(query: &str, headers: &HeaderMap) -> Result<Option<u64>> {
    let fields: Vec<(String, String)> = serde_urlencoded::from_str(query)
        .map_err(|error| Error::invalid("after", format!("query: {error}")))?;
    if let Some((unknown, _)) = fields.iter().find(|(name, _)| name != "after") {
        let unknown: String = unknown.chars().take(64).collect();
        return Err(Error::invalid(unknown.clone(), format!("there is no parameter {unknown:?}")));
    }
    let wrong =
        |field: &str| Error::invalid(field, format!("{field} must be the number of an event"));
    if let Some((_, number)) = fields.last() {
        return number.parse().map(Some).map_err(|_| wrong("after"));
    }
    let Some(last) = headers.get("last-event-id").filter(|last| !last.is_empty()) else {
        return Ok(None);
    };
    let number = last.to_str().ok().and_then(|last| last.parse().ok());
    number.map(Some).ok_or_else(|| wrong("last-event-id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_to_go_on_comes_from_the_query_or_the_header() {
        let with = |last: &'static str| {
            HeaderMap::from_iter([("last-event-id".parse().unwrap(), last.parse().unwrap())])
        };
        assert_eq!(after("after=7", &with("3")), Ok(Some(7)));
        assert_eq!(after("", &with("3")), Ok(Some(3)));
        assert_eq!(after("", &with("")), Ok(None));
        assert_eq!(after("", &HeaderMap::new()), Ok(None));
        for query in ["after=", "after=-1", "after=x", "after=18446744073709551616", "before=3"] {
            assert!(after(query, &HeaderMap::new()).is_err(), "{query}");
        }
        assert!(after("", &with("x")).is_err());
    }
}
