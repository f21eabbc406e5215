//! `POST /api/v1/estimate`: what a request would cost, without running it.

use super::{Problem, parse_request};
use crate::ingress::{body, front::Front, reply};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{Response, StatusCode},
};
use std::sync::Arc;

pub(crate) async fn estimate(
    State(front): State<Arc<Front>>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(request.headers()).await?;
    let on_unsupported = body::on_unsupported_said(request.headers())?;
    let mut asked = parse_request(&body::read(&front, request).await?)?;
    asked.on_unsupported = on_unsupported.unwrap_or(asked.on_unsupported);
    Ok(reply::json(StatusCode::OK, &front.gateway.estimate(&caller, asked).await?))
}
