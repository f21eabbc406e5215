//! Frames of the server, written.

use crate::ingress::problem;
use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::value::to_raw_value;
use std::collections::BTreeMap;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tollgate_types::{
    Error, ErrorKind, StreamEvent,
    wire::{header, socket::Told},
};

/// One event of a call.
pub(super) fn event(call: u64, number: u64, event: &StreamEvent) -> Utf8Bytes {
    let json = serde_json::to_string(event).unwrap_or_else(|_| {
        let error = unwritten("an event");
        serde_json::json!({"type": "error", "error": error}).to_string()
    });
    let fields = json.strip_prefix('{').unwrap_or("}");
    format!("{{\"call\":{call},\"event\":{number},{fields}").into()
}

/// What stands before the events of a call.
pub(super) fn head(call: u64, headers: &HeaderMap) -> Utf8Bytes {
    write(Told { head: of_headers(headers), ..told(call) })
}

/// The end of a call that is answered whole.
pub(super) fn response(call: u64, headers: &HeaderMap, response: &impl Serialize) -> Utf8Bytes {
    match to_raw_value(response) {
        Ok(response) => {
            let head = of_headers(headers);
            write(Told { head, response: Some(&response), ..told(call) })
        }
        Err(_) => error(call, unwritten("the answer"), &HeaderMap::new()),
    }
}

/// The end of a call that failed.
pub(super) fn error(call: u64, error: Error, headers: &HeaderMap) -> Utf8Bytes {
    let status = problem::status_of(&error).as_u16();
    let error = error.with(|body| body.status = Some(status));
    write(Told { head: of_headers(headers), error: Some(error), ..told(call) })
}

fn told(call: u64) -> Told<'static> {
    Told { call, event: None, head: BTreeMap::new(), response: None, error: None }
}

fn write(told: Told<'_>) -> Utf8Bytes {
    let call = told.call;
    serde_json::to_string(&told).unwrap_or_else(|_| format!("{{\"call\":{call}}}")).into()
}

/// Headers as text. Warnings are left out: they stand in the answer itself.
fn of_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let texts = headers.iter().filter(|(name, _)| name.as_str() != header::WARNING);
    texts
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect()
}

fn unwritten(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("{what} cannot be written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stands_beside_the_numbers_of_its_call() {
        let frame = event(3, 9, &StreamEvent::delta(0, "a\"b"));
        let expected = r#"{"call":3,"event":9,"type":"part_delta","index":0,"delta":"a\"b"}"#;
        assert_eq!(frame.as_str(), expected);
    }

    #[test]
    fn an_error_says_the_status_that_it_has_over_http() {
        let frame = error(4, Error::invalid("model", "no"), &HeaderMap::new());
        let told: Told<'_> = serde_json::from_str(frame.as_str()).unwrap();
        assert_eq!((told.call, told.error.unwrap().body().status), (4, Some(400)));
    }
}
