//! Frames of the WebSocket at [`super::path::SOCKET`]: JSON texts, each with the number of its call.
//!
//! A client opens calls ([`Ask`]) under numbers that rise; the server answers each with numbered
//! events, one response or one error ([`Told`]). What bounds a call is its credit: the server sends
//! no event of a call that has none left, so who reads one call slowly holds up only that one.

use crate::Error;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The subprotocol that both sides speak, in `Sec-WebSocket-Protocol`.
pub const SUBPROTOCOL: &str = "tollgate.v1";
/// Before the credential of a client that can set no headers, in the same header: a browser.
pub const BEARER_PREFIX: &str = "bearer.";
/// The most credit that a call can have, bytes.
pub const MAX_CREDIT: u64 = 1 << 30;
/// Header of the handshake's answer: the largest frame that the server takes, bytes. A larger one
/// costs the connection.
pub const MAX_FRAME: &str = "x-tollgate-max-frame-bytes";
/// What a frame may hold beside its request, bytes.
pub const ENVELOPE_BYTES: usize = 64 * 1024;

/// What a frame of the client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskType {
    /// One answer, whole.
    Generate,
    /// One answer, as events.
    Stream,
    /// Vectors.
    Embed,
    /// Prompt tokens of a request.
    CountTokens,
    /// Models that the caller may use.
    Models,
    /// The events of a run that began before.
    Resume,
    /// The end of a call of this connection, or of a run.
    Cancel,
    /// Nobody reads a call of this connection any more: as if its connection were gone. A resumable
    /// run goes on for its grace, any other call ends.
    Leave,
    /// Room for more events of a call.
    Credit,
}

impl AskType {
    /// The type's word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Stream => "stream",
            Self::Embed => "embed",
            Self::CountTokens => "count_tokens",
            Self::Models => "models",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Leave => "leave",
            Self::Credit => "credit",
        }
    }
}

/// A frame of the client. It may hold a credential, so it has no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask<'a> {
    /// Number of the call; those of new calls rise.
    pub call: u64,
    /// What is asked.
    #[serde(rename = "type")]
    pub kind: AskType,
    /// The body that the HTTP endpoint of that type takes.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub request: Option<&'a RawValue>,
    /// One key per logical call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The run outlives the connection for a while.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumable: bool,
    /// Free labels for metering.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The longest that the call may take at the server, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The credential of this call, where it is not the connection's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// The run to resume or to cancel: a request id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The last event that is known of that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Bytes of events that may be sent; with `credit`, further ones. Absent in a call that begins:
    /// as many as there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<u64>,
}

impl Ask<'_> {
    /// A frame with nothing but its call and type.
    pub fn new(call: u64, kind: AskType) -> Self {
        Self {
            call,
            kind,
            request: None,
            idempotency_key: None,
            resumable: false,
            tags: BTreeMap::new(),
            timeout_ms: None,
            credential: None,
            run: None,
            after: None,
            credit: None,
        }
    }
}

/// A frame of the server: the head of an answer, an event, a response or an error. An event's own
/// fields stand beside these and are read as a [`crate::StreamEvent`]. Fields that a newer server
/// adds are passed over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told<'a> {
    /// Number of the call.
    pub call: u64,
    /// Number of the event within its run, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<u64>,
    /// What the HTTP endpoint would say in headers: who answers, rates, cost.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub head: BTreeMap<String, String>,
    /// The body that the HTTP endpoint would answer with; the call ends with it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub response: Option<&'a RawValue>,
    /// Why there is no answer, or no more of it; the call ends with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// Answer of a [`AskType::Cancel`] of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// The run that is told to end.
    pub cancelled: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StreamEvent;

    #[test]
    fn a_request_stays_as_it_was_written() {
        let frame = r#"{"call":3,"type":"stream","request":{"a": 1.50 },"credit":10}"#;
        let ask: Ask<'_> = serde_json::from_str(frame).unwrap();
        assert_eq!((ask.call, ask.kind), (3, AskType::Stream));
        assert_eq!(ask.request.unwrap().get(), r#"{"a": 1.50 }"#);
        assert_eq!(serde_json::to_string(&ask).unwrap(), frame);
    }

    #[test]
    fn a_field_that_is_not_known_is_refused_in_a_question_and_passed_over_in_an_answer() {
        assert!(serde_json::from_str::<Ask<'_>>(r#"{"call":1,"type":"models","x":1}"#).is_err());
        assert!(serde_json::from_str::<Ask<'_>>(r#"{"call":1,"type":"fly"}"#).is_err());
        let told: Told<'_> = serde_json::from_str(r#"{"call":1,"news":[1],"event":7}"#).unwrap();
        assert_eq!((told.call, told.event), (1, Some(7)));
    }

    #[test]
    fn an_event_is_read_beside_the_numbers_of_its_frame() {
        let frame = r#"{"call":1,"event":2,"type":"part_delta","index":0,"delta":"hi"}"#;
        let event: StreamEvent = serde_json::from_str(frame).unwrap();
        assert_eq!(event, StreamEvent::delta(0, "hi"));
        assert_eq!(serde_json::from_str::<Told<'_>>(frame).unwrap().event, Some(2));
    }
}
