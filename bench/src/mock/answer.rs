//! How a model's answer is given, whole or streamed, in any dialect.

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderValue, header},
    response::Response,
};
use std::sync::Arc;

use super::{
    Memory,
    gate::{Arrival, Call, admit},
    pace::{self, Frames, pause},
    turn::Turn,
    vendor::{Fault, Vendor},
};
use crate::script::End;

/// A field that nobody knows.
pub(super) const NEWS: &str = "\"brand_new\": {\"a\": 1.50}";

/// One API by which a model is asked: how its answers are written.
pub(super) trait Api: Sized + Send {
    /// Whose it is.
    const VENDOR: Vendor;

    /// The status of an error in a stream, unless told otherwise.
    const TROUBLE: u16;

    /// Reads what matters to the answer's form.
    fn of(call: &Call) -> Self;

    /// Whether a stream is asked for.
    fn streams(&self) -> bool;

    /// The content type of a stream.
    fn stream_type(&self) -> &'static str;

    /// How many answers are asked for.
    fn choices(&self) -> Option<u64> {
        None
    }

    /// The whole answer.
    fn whole(&self, turn: &Turn) -> String;

    /// The answer, piece by piece.
    fn frames(&self, turn: &Turn) -> Vec<Bytes>;

    /// A piece that nobody knows.
    fn news(&self) -> Bytes {
        event("brand.new", &format!("{{\"type\":\"brand.new\",{NEWS}}}"))
    }

    /// A piece that is no JSON.
    fn broken(&self) -> &'static str;

    /// An error after so many pieces.
    fn trouble(&self, turn: &Turn, fault: &Fault<'_>, sent: usize) -> Vec<Bytes>;
}

/// Answers a request to a model.
pub(super) async fn generate<A: Api>(
    State(memory): State<Arc<Memory>>,
    arrival: Arrival,
) -> Response {
    let call = match admit(memory, A::VENDOR, arrival).await {
        Ok(call) => call,
        Err(answered) => return answered,
    };
    let api = A::of(&call);
    let turn = Turn::of(&call.script, &call.asked(), api.choices());
    if api.streams() || call.script.sse {
        return streamed(&api, call, &turn);
    }
    if let Some(status) = call.script.status {
        return call.fail(status);
    }
    let words = turn.thoughts.len() + turn.words.len();
    pause(call.script.delay.saturating_mul(u32::try_from(words).unwrap_or(u32::MAX))).await;
    let mut text = api.whole(&turn);
    if let (true, Some(end)) = (call.script.news, text.rfind('}')) {
        text.insert_str(end, &format!(",{NEWS}"));
    }
    let response = A::VENDOR.json(&call.script, text);
    call.watched.whole(response)
}

fn streamed<A: Api>(api: &A, call: Call, turn: &Turn) -> Response {
    let mut frames = api.frames(turn);
    if call.script.news && !frames.is_empty() {
        frames.insert(1, api.news());
    }
    if let End::Error(after) = call.script.end
        && after < frames.len()
    {
        let status = call.script.status.unwrap_or(A::TROUBLE);
        frames.truncate(after);
        let fault = Fault::of(&call.script, status, &turn.model);
        frames.extend(api.trouble(turn, &fault, after));
    }
    let frames = Frames { frames, broken: api.broken() };
    let body = pace::body(&call.script, frames, call.watched);
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static(api.stream_type());
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    A::VENDOR.dress(&call.script, response.headers_mut());
    response
}

/// One event of a stream of server-sent events.
pub(super) fn event(kind: &str, json: &str) -> Bytes {
    Bytes::from(format!("event: {kind}\ndata: {json}\n\n"))
}
