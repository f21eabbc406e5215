//! `POST /v1/chat/completions`.

use super::Problem;
use crate::{
    dialects::openai::{ReplyHead, StreamEncoder, decode_chat, encode_reply},
    gateway::Call,
    ingress::{body, front::Front, observe::RequestId, reply, sse},
};
use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Response, StatusCode},
};
use bytes::Bytes;
use std::sync::Arc;
use tollgate_types::{Result, StreamEvent};

pub(crate) async fn chat(
    State(front): State<Arc<Front>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(request.headers()).await?;
    let options = body::options(request.headers())?;
    let mut chat = decode_chat(&body::read(&front, request).await?)?;
    chat.request.options = options;
    let head = ReplyHead {
        id: format!("chatcmpl-{request_id}"),
        created_s: front.clock.now_ms() / 1000,
        model: chat.request.model.clone(),
    };
    let call = Call { request: chat.request, request_id, dialect: "openai", streamed: chat.stream };
    let answer = front.gateway.run(&caller, call).await?;
    let mut headers = HeaderMap::new();
    reply::describe(&mut headers, &answer);
    let mut response = if chat.stream {
        sse::response(answer.events, Chunks(StreamEncoder::new(head, chat.include_usage)))
    } else {
        let whole = answer.events.collect().await?;
        reply::charge(&mut headers, whole.receipt.as_ref());
        reply::json(StatusCode::OK, &encode_reply(&whole, &head))
    };
    response.headers_mut().extend(headers);
    Ok(response)
}

struct Chunks(StreamEncoder);

impl sse::Framing for Chunks {
    fn frame(&mut self, item: Result<StreamEvent>) -> Bytes {
        let mut frames = String::new();
        let mut add = |data: &str| {
            frames.push_str("data: ");
            frames.push_str(data);
            frames.push_str("\n\n");
        };
        match item {
            Ok(event) => {
                self.0.push(&event).iter().for_each(|chunk| add(&chunk.to_string()));
                if matches!(event, StreamEvent::Finish { .. }) {
                    add("[DONE]");
                }
            }
            // Without [DONE]: an official client raises on the error chunk.
            Err(error) => add(&self.0.error(&error).to_string()),
        }
        Bytes::from(frames)
    }

    /// A blank line is no event to any client; comments break some.
    fn heartbeat(&self) -> Bytes {
        Bytes::from_static(b"\n")
    }
}
