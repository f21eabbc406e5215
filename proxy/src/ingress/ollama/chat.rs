//! `POST /api/chat` and `POST /api/generate`.

use super::Problem;
use crate::{
    dialects::{
        ollama::{Api, StreamEncoder, decode_chat, decode_generate, encode_reply},
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
    answer(front, request_id, request, Api::Chat).await
}

pub(crate) async fn generate(
    State(front): State<Arc<Front>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    answer(front, request_id, request, Api::Generate).await
}

async fn answer(
    front: Arc<Front>,
    request_id: String,
    request: Request,
    api: Api,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(request.headers()).await?;
    let options = body::options(request.headers())?;
    let on_unsupported = body::on_unsupported(request.headers())?;
    let body = body::read_call(&front, request).await?;
    let mut asked = match api {
        Api::Chat => decode_chat(&body)?,
        Api::Generate => decode_generate(&body)?,
    };
    asked.request.options = body::with_original(options, api.name(), body, asked.stream);
    asked.request.on_unsupported = on_unsupported;
    let head = ReplyHead {
        id: request_id.clone(),
        created_s: front.clock.now_ms() / 1000,
        model: asked.request.model.clone(),
    };
    let streamed = asked.stream;
    let call = Call { request: asked.request, request_id, dialect: "ollama", streamed };
    let mut answer = front.gateway.run(&caller, call).await?;
    let headers = reply::description(&mut answer).await;
    let mut response = if streamed {
        stream::response(answer.events, Lines(StreamEncoder::new(head, api)))
    } else {
        let whole = stream::whole(answer.events).await?;
        reply::whole(whole, |answer| encode_reply(answer, &head, api))
    };
    response.headers_mut().extend(headers);
    Ok(response)
}

/// A JSON document a line.
struct Lines(StreamEncoder);

impl stream::Framing for Lines {
    const CONTENT_TYPE: &'static str = "application/x-ndjson";

    fn frame(&mut self, event: &StreamEvent) -> Bytes {
        let lines = self.0.push(event);
        Bytes::from(lines.iter().map(|line| format!("{line}\n")).collect::<String>())
    }

    fn error(&mut self, error: &Error) -> Bytes {
        Bytes::from(format!("{}\n", self.0.error(error)))
    }

    fn verbatim(&mut self, payload: &str) -> Bytes {
        Bytes::from(format!("{payload}\n"))
    }

    /// Nothing: a blank line breaks Ollama's own Python client.
    fn heartbeat(&self) -> Bytes {
        Bytes::new()
    }
}
