//! `POST /api/v1/count_tokens`: the prompt tokens that a request would use.

use super::{Problem, parse_request};
use crate::ingress::{body, front::Front, reply};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{Response, StatusCode},
};
use std::sync::Arc;
use tollgate_types::wire::TokenCount;

pub(crate) async fn count_tokens(
    State(front): State<Arc<Front>>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(request.headers()).await?;
    let on_unsupported = body::on_unsupported_said(request.headers())?;
    let mut asked = parse_request(&body::read(&front, request).await?)?;
    asked.on_unsupported = on_unsupported.unwrap_or(asked.on_unsupported);
    let input_tokens = front.gateway.count_tokens(&caller, asked).await?;
    Ok(reply::json(StatusCode::OK, &TokenCount { input_tokens }))
}
