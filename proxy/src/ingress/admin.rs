//! The operators' API: what `tollgate users`, `keys`, `budgets` and `audit` do, over HTTP, for
//! administrators' keys alone. Everything that it changes is on record.

mod budgets;
mod keys;
mod limits;
mod look;
mod organisations;
mod prices;
mod teams;
mod users;

use super::{body, front::Front, native, problem, reply};
use crate::{
    access::{Caller, Role},
    admin::{Actor, AdminError, Mandate, Office},
};
use axum::{
    Router,
    body::Body,
    extract::{Path, RawQuery, rejection::PathRejection},
    http::{HeaderMap, Request, Response, StatusCode},
    routing::{delete, get, post},
};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;
use tollgate_types::{Error, ErrorKind, Result};

/// No order is larger.
const MAX_BODY: usize = 1024 * 1024;

type Problem = problem::Problem<native::Shape>;
type Answer = Result<Response<Body>, Problem>;
/// What stands in the path: a name or an id.
type Named = Result<Path<String>, PathRejection>;

/// Below `/api/v1/admin`.
pub(super) fn routes() -> Router<Arc<Front>> {
    Router::new()
        .route("/users", get(users::list).post(users::create))
        .route("/users/{user}", get(users::show).patch(users::update).delete(users::delete))
        .route("/organisations", get(organisations::list).post(organisations::create))
        .route(
            "/organisations/{organisation}",
            get(organisations::show).patch(organisations::update).delete(organisations::delete),
        )
        .route("/teams", get(teams::list).post(teams::create))
        .route("/teams/{team}", get(teams::show).patch(teams::update).delete(teams::delete))
        .route("/keys", get(keys::list).post(keys::create))
        .route("/keys/{id}", get(keys::show).patch(keys::update).delete(keys::revoke))
        .route("/keys/{id}/rotate", post(keys::rotate))
        .route("/budgets", get(budgets::list).post(budgets::create))
        .route("/budgets/{id}", get(budgets::show).patch(budgets::update).delete(budgets::delete))
        .route("/budgets/{id}/raise", post(budgets::raise).delete(budgets::end_raise))
        .route("/limits", get(limits::list).post(limits::create))
        .route("/limits/{id}", get(limits::show).patch(limits::update).delete(limits::delete))
        .route("/alerts", get(look::alerts))
        .route("/prices", get(prices::list).post(prices::set))
        .route("/prices/{*model}", delete(prices::remove))
        .route("/usage", get(look::usage))
        .route("/holds", get(look::holds))
        .route("/audit", get(look::audit))
        .route("/audit/verify", get(look::verify))
        .route("/config", get(look::config))
}

/// The office, open to this caller, and what it came for.
struct Admitted {
    office: Office,
    mandate: Mandate,
}

/// Lets administrators in.
async fn admit(front: &Front, headers: &HeaderMap) -> Result<Admitted> {
    let caller = administrator(front, headers).await?;
    let actor = Actor::key(caller.key_id());
    let mandate = match body::idempotency_key(headers)? {
        Some(key) => Mandate::once(actor, &key).map_err(problem::of_admin)?,
        None => Mandate::of(actor),
    };
    Ok(Admitted { office: Office::new(front.store.clone(), Arc::clone(&front.clock)), mandate })
}

async fn administrator(front: &Front, headers: &HeaderMap) -> Result<Arc<Caller>> {
    let caller = front.caller(headers).await?;
    if caller.role() == Role::Admin {
        return Ok(caller);
    }
    let message = "this key does not have the permission role:admin";
    Err(Error::new(ErrorKind::PermissionDenied, message)
        .with(|body| body.permission = Some("role:admin".to_owned())))
}

/// What is asked for, as JSON.
async fn order<T: DeserializeOwned>(front: &Front, request: Request<Body>) -> Result<T> {
    let text = body::read(front, request).await?;
    if text.len() > MAX_BODY {
        let message = format!("the body is larger than the {MAX_BODY} bytes that are accepted");
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    native::parse(&text)
}

/// What stands behind the question mark.
fn query<T: DeserializeOwned>(query: RawQuery) -> Result<T> {
    let query = query.0.unwrap_or_default();
    // No database holds the character NUL, and nothing has a name with it.
    if query.contains("%00") {
        return Err(Error::new(ErrorKind::InvalidRequest, "query: the character NUL"));
    }
    serde_urlencoded::from_str(&query)
        .map_err(|error| Error::new(ErrorKind::InvalidRequest, format!("query: {error}")))
}

fn named(path: Named) -> Result<String> {
    let Path(named) = path.map_err(|error| Error::invalid("path", error.body_text()))?;
    if named.contains('\0') {
        return Err(Error::invalid("path", "nothing has a name with the character NUL"));
    }
    Ok(named)
}

fn created<T: Serialize>(answer: Result<T, AdminError>) -> Answer {
    Ok(reply::json(StatusCode::CREATED, &answer.map_err(problem::of_admin)?))
}

fn told<T: Serialize>(answer: Result<T, AdminError>) -> Answer {
    Ok(reply::json(StatusCode::OK, &answer.map_err(problem::of_admin)?))
}
