//! `POST /v1/messages/count_tokens`.

use super::{Problem, with_original};
use crate::{
    dialects::anthropic::{COUNT_API, decode_count, encode_count_reply},
    ingress::{body, front::Front, reply},
};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{Response, StatusCode},
};
use std::sync::Arc;

pub(crate) async fn count_tokens(
    State(front): State<Arc<Front>>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(request.headers()).await?;
    let options = body::options(request.headers())?;
    let headers = request.headers().clone();
    let body = body::read(&front, request).await?;
    let mut asked = decode_count(&body)?;
    asked.options = with_original(options, COUNT_API, (&headers, body), false);
    let input_tokens = front.gateway.count_tokens(&caller, asked).await?;
    Ok(reply::json(StatusCode::OK, &encode_count_reply(input_tokens)))
}
