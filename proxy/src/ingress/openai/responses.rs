//! `POST /v1/responses`.

use super::Problem;
use crate::{
    dialects::{
        openai::responses::{API, ResponsesEncoder, decode_responses, encode_response},
        stream::ReplyHead,
    },
    gateway::Call,
    ingress::{body, front::Front, observe::RequestId, reply, stream},
};
use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Response},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use tollgate_types::{Error, ErrorKind, Original, StreamEvent};

pub(crate) async fn responses(
    State(front): State<Arc<Front>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(request.headers()).await?;
    let mut options = body::options(request.headers())?;
    let on_unsupported = body::on_unsupported(request.headers())?;
    let headers = headers_of_format(request.headers());
    let body = body::read_call(&front, request).await?;
    let mut asked = decode_responses(&body)?;
    let streamed = asked.stream;
    let original = Original { api: API, body: body.into(), headers, streamed };
    options.original = Some(Arc::new(original));
    asked.request.options = options;
    asked.request.on_unsupported = on_unsupported;
    let head = ReplyHead {
        id: format!("resp_{request_id}"),
        created_s: front.clock.now_ms() / 1000,
        model: asked.request.model.clone(),
    };
    let dialect = "openai_responses";
    let call = Call { request: asked.request, request_id, dialect, streamed };
    let answer = front.gateway.run(&caller, call).await;
    let mut answer = answer.map_err(|refusal| Problem::from(refusal).worded(in_own_words))?;
    let headers = reply::description(&mut answer).await;
    let mut response = if streamed {
        let encoder = ResponsesEncoder::new(head, asked.echo);
        stream::response(answer.events, Events { encoder, failed: false })
    } else {
        let whole = stream::whole(answer.events).await?;
        reply::whole(whole, |answer| encode_response(answer, &head, &asked.echo))
    };
    response.headers_mut().extend(headers);
    Ok(response)
}

/// Answers are not kept: there is none to be shown, cancelled or deleted.
pub(crate) async fn kept(
    State(front): State<Arc<Front>>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    front.caller(request.headers()).await?;
    let message = "the proxy keeps no responses, ask the provider that stored it";
    let error = Error::new(ErrorKind::NotFound, message);
    Err(error.with(|body| body.param = Some("response_id".to_owned())).into())
}

/// Headers that belong to the format.
fn headers_of_format(headers: &HeaderMap) -> Vec<(&'static str, String)> {
    let beta = headers.get("openai-beta").and_then(|value| value.to_str().ok());
    beta.map(|beta| ("openai-beta", beta.to_owned())).into_iter().collect()
}

/// Names the field that cannot be honoured as the client wrote it.
fn in_own_words(error: Error) -> Error {
    let own = match error.body().param.as_deref() {
        Some("continues") => "previous_response_id",
        Some("output") => "text.format",
        Some("reasoning.include_text") => "reasoning.summary",
        Some("sampling.logprobs") => "top_logprobs",
        _ => return error,
    };
    error.with(|body| body.param = Some(own.to_owned()))
}

struct Events {
    encoder: ResponsesEncoder,
    /// The upstream's own words have told of the failure.
    failed: bool,
}

/// What every event says.
#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "type", default)]
    kind: String,
}

impl stream::Framing for Events {
    fn frame(&mut self, event: &StreamEvent) -> Bytes {
        framed_all(&self.encoder.push(event))
    }

    /// Two events, because the official client heeds but one of them.
    fn error(&mut self, error: &Error) -> Bytes {
        if self.failed {
            return Bytes::new();
        }
        framed_all(&self.encoder.error(error))
    }

    fn verbatim(&mut self, payload: &str) -> Bytes {
        let kind = serde_json::from_str::<Typed>(payload).map(|typed| typed.kind);
        let kind = kind.unwrap_or_default();
        self.failed |= kind == "response.failed";
        Bytes::from(framed(&kind, payload))
    }

    /// A blank line is no event to any client; comments break some.
    fn heartbeat(&self) -> Bytes {
        Bytes::from_static(b"\n")
    }
}

fn framed_all(events: &[Value]) -> Bytes {
    let kind =
        |event: &Value| event.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let frames: String =
        events.iter().map(|event| framed(&kind(event), &event.to_string())).collect();
    Bytes::from(frames)
}

/// A payload holds a line break only where its upstream wrote several `data` lines.
fn framed(kind: &str, payload: &str) -> String {
    let payload = payload.replace('\n', "\ndata: ");
    if kind.is_empty() || kind.contains(['\n', '\r']) {
        return format!("data: {payload}\n\n");
    }
    format!("event: {kind}\ndata: {payload}\n\n")
}
