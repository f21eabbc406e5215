//! What every request passes before it is answered: it is remembered, its key is checked, and it
//! fails where it was told to.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{Html, IntoResponse, Response},
};
use serde_json::Value;
use std::sync::Arc;

use super::{
    Memory, Seen,
    asked::Asked,
    google,
    pace::{Watched, pause},
    vendor::{Fault, Vendor},
};
use crate::script::{End, Script};

/// A request as it arrived.
pub(super) struct Arrival {
    method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    body: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Arrival {
    type Rejection = StatusCode;

    async fn from_request(request: Request, _: &S) -> Result<Self, StatusCode> {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await;
        let body = body.map_err(|_| StatusCode::BAD_REQUEST)?;
        Ok(Self { method: parts.method, uri: parts.uri, headers: parts.headers, body })
    }
}

/// A request that may be answered.
pub(super) struct Call {
    pub(super) script: Script,
    pub(super) vendor: Vendor,
    pub(super) uri: Uri,
    /// Its body; `null` when it was not JSON.
    pub(super) request: Value,
    pub(super) watched: Watched,
    path_model: Option<String>,
}

impl Call {
    /// What it asks for.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked::of(&self.request, self.path_model.as_deref())
    }

    /// The answer in JSON.
    pub(super) fn answer(self, json: &Value) -> Response {
        let text = match self.vendor {
            Vendor::Google => google::pretty(json),
            Vendor::OpenAi | Vendor::Anthropic | Vendor::Ollama => json.to_string(),
        };
        let response = self.vendor.json(&self.script, text);
        self.watched.whole(response)
    }

    /// The failure with this status.
    pub(super) fn fail(self, status: u16) -> Response {
        let asked = self.asked();
        let fault = Fault::of(&self.script, status, &asked.model);
        let response = self.vendor.failure(&self.script, &fault, &self.uri);
        self.watched.whole(response)
    }
}

/// Lets a request in.
///
/// # Errors
/// The answer, where the request is not to get any other.
pub(super) async fn admit(
    memory: Arc<Memory>,
    vendor: Vendor,
    arrival: Arrival,
) -> Result<Call, Response> {
    let request: Value = serde_json::from_slice(&arrival.body).unwrap_or_default();
    let path_model = (vendor == Vendor::Google).then(|| google::path_model(&arrival.uri)).flatten();
    let asked = Asked::of(&request, path_model.as_deref());
    let words = arrival.headers.get("x-mock").and_then(|words| words.to_str().ok());
    let script = Script::of(words, &asked.said, &asked.model);
    drop(asked);
    let key = memory.options.require_key.as_deref();
    let refusal = key.and_then(|key| vendor.check(key, &arrival.headers, &arrival.uri));
    let uri = arrival.uri.clone();
    memory.saw(|| remembered(arrival, &request));
    let watched = Watched::new(memory);
    if let Some(refusal) = refusal {
        return Err(watched.whole(refusal));
    }
    let call = Call { script, vendor, uri, request, watched, path_model };
    pause(call.script.headers_delay).await;
    match call.script.status {
        // An error within the stream is told there.
        Some(status) if !matches!(call.script.end, End::Error(_)) => Err(call.fail(status)),
        _ if call.script.html => Err(call.watched.whole(Html("<h1>Welcome</h1>").into_response())),
        _ => Ok(call),
    }
}

fn remembered(arrival: Arrival, body: &Value) -> Seen {
    Seen {
        method: arrival.method,
        path: arrival.uri.path().to_owned(),
        query: arrival.uri.query().map(str::to_owned),
        headers: arrival.headers,
        body: body.clone(),
        raw: arrival.body,
    }
}

/// The answer to what no vendor offers.
pub(super) fn nowhere(uri: &Uri) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (StatusCode::NOT_FOUND, kind, format!("nothing at {}\n", uri.path())).into_response()
}
