//! `/api/v1/auth/delegate`: keys below the caller's own, narrower and shorter.

use super::{Problem, parse};
use crate::{
    access::{Caller, Role},
    admin::{Actor, DelegationBounds, Mandate, Office},
    ingress::{body, front::Front, problem, reply},
};
use axum::{
    body::Body,
    extract::{Path, Request, State, rejection::PathRejection},
    http::{HeaderMap, Response, StatusCode},
};
use std::sync::Arc;
use tollgate_types::{
    DelegateRequest, Error, ErrorKind, Result,
    wire::{DelegatedKeyList, Revoked},
};

/// No order is larger.
const MAX_BODY: usize = 256 * 1024;

/// What one key does to those below it.
struct Delegator {
    office: Office,
    mandate: Mandate,
    key_id: String,
    bounds: DelegationBounds,
}

async fn delegator(front: &Front, headers: &HeaderMap) -> Result<Delegator> {
    let caller = front.caller(headers).await?;
    member(&caller)?;
    let actor = Actor::key(caller.key_id());
    let mandate = match body::idempotency_key(headers)? {
        Some(key) => Mandate::once(actor, &key).map_err(problem::of_admin)?,
        None => Mandate::of(actor),
    };
    let office = Office::new(front.store.clone(), Arc::clone(&front.clock));
    // Who was trusted with a token alone shall not make a key of it that lives longer.
    let (max_depth, until_ms) = (front.max_delegation_depth, caller.token_ends_ms());
    let bounds = DelegationBounds { max_depth, until_ms };
    Ok(Delegator { office, mandate, key_id: caller.key_id().to_owned(), bounds })
}

/// A key below an administrator's could neither call models nor administer.
fn member(caller: &Caller) -> Result<()> {
    if caller.role() == Role::Member {
        return Ok(());
    }
    let message = "administrators' keys do not delegate: they cannot call models";
    Err(Error::new(ErrorKind::PermissionDenied, message)
        .with(|body| body.permission = Some("role:member".to_owned())))
}

pub(crate) async fn create(
    State(front): State<Arc<Front>>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let Delegator { office, mandate, key_id, bounds } =
        delegator(&front, request.headers()).await?;
    let text = body::read(&front, request).await?;
    if text.len() > MAX_BODY {
        let message = format!("the body is larger than the {MAX_BODY} bytes that are accepted");
        return Err(Error::new(ErrorKind::TooLarge, message).into());
    }
    let order = match text.trim_ascii_start().first() {
        None => DelegateRequest::default(),
        Some(b'{') => parse(&text)?,
        Some(_) => {
            let message = "the body must be a JSON object";
            return Err(Error::new(ErrorKind::InvalidRequest, message).into());
        }
    };
    let made = office.delegate(&mandate, &key_id, bounds, &order).await;
    Ok(reply::json(StatusCode::CREATED, &made.map_err(problem::of_admin)?))
}

pub(crate) async fn list(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let Delegator { office, key_id, .. } = delegator(&front, &headers).await?;
    let _turn = front.reports.acquire().await;
    let keys = office.delegated_by(&key_id).await.map_err(problem::of_admin)?;
    Ok(reply::json(StatusCode::OK, &DelegatedKeyList { keys }))
}

pub(crate) async fn revoke(
    State(front): State<Arc<Front>>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let Delegator { office, mandate, key_id, .. } = delegator(&front, &headers).await?;
    let Path(id) = id.map_err(|error| Error::invalid("path", error.body_text()))?;
    if id.contains('\0') {
        return Err(Error::invalid("path", "nothing has a name with the character NUL").into());
    }
    let revoked = office.revoke_delegated(&mandate, &key_id, &id).await;
    revoked.map_err(problem::of_admin)?;
    Ok(reply::json(StatusCode::OK, &Revoked { revoked: id }))
}
