//! `POST /api/v1/stream`: one answer, as server-sent events.

use super::{Problem, generate::begin};
use crate::ingress::{front::Front, observe::RequestId, reply, sse};
use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::Response,
};
use bytes::Bytes;
use std::sync::Arc;
use tollgate_types::{Error, ErrorKind, Result, StreamEvent};

pub(crate) async fn stream(
    State(front): State<Arc<Front>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let answer = begin(&front, request_id, request, true).await?;
    let mut headers = axum::http::HeaderMap::new();
    reply::describe(&mut headers, &answer);
    let mut response = sse::response(answer.events, Numbered(0));
    response.headers_mut().extend(headers);
    Ok(response)
}

/// `id:` is the number of the event, from 0.
struct Numbered(u64);

impl sse::Framing for Numbered {
    fn frame(&mut self, item: Result<StreamEvent>) -> Bytes {
        let event = item.unwrap_or_else(|error| StreamEvent::Error { error });
        let (name, json) = match serde_json::to_string(&event) {
            Ok(json) => (event.name(), json),
            Err(_) => {
                let error = Error::new(ErrorKind::Internal, "an event cannot be written");
                ("error", serde_json::json!({"type": "error", "error": error}).to_string())
            }
        };
        let number = self.0;
        self.0 += 1;
        Bytes::from(format!("id: {number}\nevent: {name}\ndata: {json}\n\n"))
    }

    fn heartbeat(&self) -> Bytes {
        Bytes::from_static(b": ping\n\n")
    }
}
