//! `POST /api/v1/stream`: one answer, as server-sent events.

use super::{Problem, generate::begin};
use crate::{
    ingress::{
        front::Front,
        observe::RequestId,
        reply,
        stream::{self, Framing},
    },
    runs::RunEvents,
};
use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::Response,
};
use bytes::Bytes;
use std::sync::Arc;
use tollgate_types::{Error, ErrorKind, StreamEvent, wire::header::REQUEST_ID};

pub(crate) async fn stream(
    State(front): State<Arc<Front>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let run = begin(&front, request_id, request, true).await?;
    let numbers = Numbered(run.events.next_number());
    let (mut answer, run_id) = run.into_answer();
    let mut headers = reply::description(&mut answer).await;
    reply::put(&mut headers, REQUEST_ID, &run_id);
    let mut response = stream::response(answer.events, numbers);
    response.headers_mut().extend(headers);
    Ok(response)
}

/// The rest of a run as server-sent events.
pub(super) fn numbered(events: RunEvents) -> Response<Body> {
    let numbers = Numbered(events.next_number());
    stream::response(events.into_events(), numbers)
}

/// `id:` is the number of the event, from 0.
struct Numbered(u64);

impl Framing for Numbered {
    const MARKS_ESTIMATES: bool = true;

    const BEGINS_ANEW: bool = true;

    fn frame(&mut self, event: &StreamEvent) -> Bytes {
        let (name, json) = match serde_json::to_string(event) {
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

    fn error(&mut self, error: &Error) -> Bytes {
        self.frame(&StreamEvent::Error { error: error.clone() })
    }

    /// No upstream speaks this dialect.
    fn verbatim(&mut self, _: &str) -> Bytes {
        Bytes::new()
    }

    fn heartbeat(&self) -> Bytes {
        Bytes::from_static(b": ping\n\n")
    }
}
