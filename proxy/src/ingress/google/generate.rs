//! `POST .../{model}:generateContent` and `:streamGenerateContent`.

use super::{Asked, Problem, framing::Chunks, path};
use crate::{
    dialects::{
        google::{API, decode_generate, encode_reply},
        stream::ReplyHead,
    },
    gateway::{Answer, Call},
    ingress::{body, reply, stream},
};
use axum::{
    body::Body,
    http::{HeaderValue, Response, header::CONTENT_TYPE},
};

pub(super) async fn whole(asked: Asked) -> Result<Response<Body>, Problem> {
    let (mut answer, head) = run(asked, false).await?;
    let headers = reply::description(&mut answer).await;
    // An upstream may have sent the array that a stream is; who asked for one answer gets one.
    let is_one = |body: &str| !body.trim_start().starts_with('[');
    let whole = stream::whole_if(answer.events, is_one).await?;
    let mut response = reply::whole(whole, |answer| encode_reply(answer, &head));
    response.headers_mut().extend(headers);
    Ok(response)
}

/// As events with `alt=sse`, else as one array whose elements come one by one.
pub(super) async fn stream(asked: Asked) -> Result<Response<Body>, Problem> {
    let as_events = path::parameter(asked.request.uri(), "alt").is_some_and(|alt| alt == "sse");
    let (mut answer, head) = run(asked, true).await?;
    let headers = reply::description(&mut answer).await;
    let mut response = stream::response(answer.events, Chunks::new(head, as_events));
    if !as_events {
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
    }
    response.headers_mut().extend(headers);
    Ok(response)
}

async fn run(asked: Asked, streamed: bool) -> Result<(Answer, ReplyHead), Problem> {
    let Asked { front, caller, request_id, model, request } = asked;
    let options = body::options(request.headers())?;
    let on_unsupported = body::on_unsupported(request.headers())?;
    let body = body::read_call(&front, request).await?;
    let mut request = decode_generate(&body, &model)?;
    request.options = body::with_original(options, API, body, streamed);
    request.on_unsupported = on_unsupported;
    let created_s = front.clock.now_ms() / 1000;
    let head = ReplyHead { id: request_id.clone(), created_s, model };
    let call = Call { request, request_id, dialect: "google", streamed };
    Ok((front.gateway.run(&caller, call).await?, head))
}
