//! `POST /api/v1/auth/token`: a short-lived token for the caller's key.

use super::{Problem, parse};
use crate::ingress::{body, front::Front, problem, reply};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Response, StatusCode, header::CACHE_CONTROL},
};
use std::sync::Arc;
use tollgate_types::{Error, ErrorKind, TokenRequest};

/// No request is larger.
const MAX_BODY: usize = 4 * 1024;

pub(crate) async fn issue(
    State(front): State<Arc<Front>>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(request.headers()).await?;
    let text = body::read(&front, request).await?;
    if text.len() > MAX_BODY {
        let message = format!("the body is larger than the {MAX_BODY} bytes that are accepted");
        return Err(Error::new(ErrorKind::TooLarge, message).into());
    }
    let asked = match text.trim_ascii_start().first() {
        None => TokenRequest::default(),
        Some(b'{') => parse(&text)?,
        Some(_) => {
            let message = "the body must be a JSON object";
            return Err(Error::new(ErrorKind::InvalidRequest, message).into());
        }
    };
    let grant = front.access.issue_token(&caller, asked.ttl_seconds).await;
    let mut reply = reply::json(StatusCode::OK, &grant.map_err(problem::of_token)?);
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(reply)
}
