//! `POST /v1/messages`.

use super::{Problem, with_original};
use crate::{
    dialects::{
        anthropic::{API, StreamEncoder, decode_messages_call, encode_reply},
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
use serde::Deserialize;
use std::{borrow::Cow, sync::Arc};
use tollgate_types::{Error, StreamEvent};

pub(crate) async fn messages(
    State(front): State<Arc<Front>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(request.headers()).await?;
    let options = body::options(request.headers())?;
    let on_unsupported = body::on_unsupported(request.headers())?;
    let headers = request.headers().clone();
    let body = body::read_call(&front, request).await?;
    let mut asked = decode_messages_call(&body)?;
    asked.request.options = with_original(options, API, (&headers, body), asked.stream);
    asked.request.on_unsupported = on_unsupported;
    let head = ReplyHead {
        id: format!("msg_{request_id}"),
        created_s: front.clock.now_ms() / 1000,
        model: asked.request.model.clone(),
    };
    let (request, streamed) = (asked.request, asked.stream);
    let call = Call { request, request_id, dialect: "anthropic", streamed };
    let mut answer = front.gateway.run(&caller, call).await?;
    let headers = reply::description(&mut answer).await;
    let mut response = if streamed {
        stream::response(answer.events, Named { encoder: StreamEncoder::new(head) })
    } else {
        reply::whole(stream::whole(answer.events).await?, |answer| encode_reply(answer, &head))
    };
    response.headers_mut().extend(headers);
    Ok(response)
}

/// Every event stands under its name: Anthropic's SDKs read no other.
struct Named {
    encoder: StreamEncoder,
}

/// What names an event.
#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(rename = "type", borrow)]
    name: Cow<'a, str>,
}

impl stream::Framing for Named {
    const BEGINS_ANEW: bool = true;

    fn frame(&mut self, event: &StreamEvent) -> Bytes {
        let events = self.encoder.push(event);
        Bytes::from(events.iter().map(|event| framed(&event.to_string())).collect::<String>())
    }

    fn error(&mut self, error: &Error) -> Bytes {
        Bytes::from(framed(&self.encoder.error(error).to_string()))
    }

    fn verbatim(&mut self, payload: &str) -> Bytes {
        Bytes::from(framed(payload))
    }

    fn last_sign(&self, end: &[u8]) -> Bytes {
        let sign = framed(r#"{"type":"message_stop"}"#);
        let named = "event: message_stop\n";
        if stream::holds(end, named) { Bytes::new() } else { Bytes::from(sign) }
    }

    /// Anthropic's own; every client of its waits through them.
    fn heartbeat(&self) -> Bytes {
        Bytes::from(framed(r#"{"type": "ping"}"#))
    }
}

/// A payload under its name. What names nothing (`[DONE]` of some gateways) is no event of
/// Anthropic's, and its SDKs break on it.
fn framed(payload: &str) -> String {
    match serde_json::from_str::<Kind<'_>>(payload) {
        Ok(Kind { name }) => {
            let name = name.replace(['\r', '\n'], " ");
            format!("event: {name}\ndata: {}\n\n", payload.replace('\n', "\ndata: "))
        }
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::framed;

    #[test]
    fn a_payload_stands_under_its_name_byte_for_byte() {
        let padded = r#"{"index":0,  "type":"content_block_stop"     }"#;
        assert_eq!(framed(padded), format!("event: content_block_stop\ndata: {padded}\n\n"));
        assert_eq!(
            framed("{\n\"type\":\"ping\"}"),
            "event: ping\ndata: {\ndata: \"type\":\"ping\"}\n\n"
        );
        assert_eq!(framed("[DONE]"), "");
        assert_eq!(framed("{\"type\":\"a\\nb\"}"), "event: a b\ndata: {\"type\":\"a\\nb\"}\n\n");
    }
}
