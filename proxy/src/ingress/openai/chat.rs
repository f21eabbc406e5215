//! `POST /v1/chat/completions`.

use super::Problem;
use crate::{
    dialects::{
        openai::{CHAT_API, StreamEncoder, as_functions, decode_chat, encode_reply, without_usage},
        stream::ReplyHead,
    },
    gateway::Call,
    ingress::{body, front::Front, observe::RequestId, reply, stream},
};
use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::Response,
};
use bytes::Bytes;
use std::sync::Arc;
use tollgate_types::{Error, StreamEvent};

pub(crate) async fn chat(
    State(front): State<Arc<Front>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(request.headers()).await?;
    let options = body::options(request.headers())?;
    let on_unsupported = body::on_unsupported(request.headers())?;
    let body = body::read_call(&front, request).await?;
    let mut chat = decode_chat(&body)?;
    chat.request.options = body::with_original(options, CHAT_API, body, chat.stream);
    chat.request.on_unsupported = on_unsupported;
    let head = ReplyHead {
        id: format!("chatcmpl-{request_id}"),
        created_s: front.clock.now_ms() / 1000,
        model: chat.request.model.clone(),
    };
    let call = Call { request: chat.request, request_id, dialect: "openai", streamed: chat.stream };
    let mut answer = front.gateway.run(&caller, call).await?;
    let headers = reply::description(&mut answer).await;
    let mut response = if chat.stream {
        let encoder = StreamEncoder::new(head, chat.include_usage);
        let (include_usage, legacy) = (chat.include_usage, chat.legacy);
        stream::response(answer.events, Chunks { encoder, include_usage, legacy })
    } else {
        reply::whole(stream::whole(answer.events).await?, |answer| {
            let mut written = encode_reply(answer, &head);
            if chat.legacy {
                as_functions(&mut written);
            }
            written
        })
    };
    response.headers_mut().extend(headers);
    Ok(response)
}

struct Chunks {
    encoder: StreamEncoder,
    include_usage: bool,
    /// The client knows functions alone.
    legacy: bool,
}

impl stream::Framing for Chunks {
    fn frame(&mut self, event: &StreamEvent) -> Bytes {
        let mut chunks = self.encoder.push(event);
        if self.legacy {
            chunks.iter_mut().for_each(as_functions);
        }
        let mut frames: String = chunks.iter().map(|chunk| framed(&chunk.to_string())).collect();
        if matches!(event, StreamEvent::Finish { .. }) {
            frames.push_str(&framed("[DONE]"));
        }
        Bytes::from(frames)
    }

    /// The end that Tollgate writes says nothing of what went before.
    fn note(&mut self, _: &StreamEvent) {}

    /// Without `[DONE]`: an official client raises on the error chunk.
    fn error(&mut self, error: &Error) -> Bytes {
        Bytes::from(framed(&self.encoder.error(error).to_string()))
    }

    /// The proxy asks for usage in any case; a client that did not must not see it.
    fn verbatim(&mut self, payload: &str) -> Bytes {
        let shown = if self.include_usage { Some(payload.into()) } else { without_usage(payload) };
        shown.map_or_else(Bytes::new, |payload| Bytes::from(framed(&payload)))
    }

    fn last_sign(&self, end: &[u8]) -> Bytes {
        let sign = framed("[DONE]");
        if stream::holds(end, &sign) { Bytes::new() } else { Bytes::from(sign) }
    }

    /// A blank line is no event to any client; comments break some.
    fn heartbeat(&self) -> Bytes {
        Bytes::from_static(b"\n")
    }
}

/// A payload holds a line break only where its upstream wrote several `data` lines.
fn framed(payload: &str) -> String {
    let mut frame = String::with_capacity(payload.len() + "data: \n\n".len());
    for (at, line) in payload.split('\n').enumerate() {
        frame.push_str(if at == 0 { "data: " } else { "\ndata: " });
        frame.push_str(line);
    }
    frame.push_str("\n\n");
    frame
}
