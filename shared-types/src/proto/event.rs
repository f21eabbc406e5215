//! One step of a streamed answer.

use super::{
    field::{At, all, each, read_extras, read_value, write_extras, write_value},
    part, v1,
};
use crate::{Result, StreamEvent, lenient::NATIVE_API};
use serde_json::json;
use v1::stream_response::{Event, Finished, Heartbeat, PartDelta, PartEnd, PartStart, Raw, Start};

/// An event as a message. Nothing for those that cross no wire, and for an error: a stream ends
/// with that as its status.
pub fn write_event(number: u64, event: StreamEvent) -> Option<v1::StreamResponse> {
    let event = match event {
        StreamEvent::Start { origin, request_id, warnings } => {
            let (origin, warnings) = (Some(origin.into()), all(warnings));
            Event::Start(Start { origin, request_id, warnings })
        }
        StreamEvent::PartStart { index, part } => {
            Event::PartStart(PartStart { index, part: Some(part.into()) })
        }
        StreamEvent::PartDelta { index, delta, logprobs } => {
            Event::PartDelta(PartDelta { index, delta, logprobs: all(logprobs) })
        }
        StreamEvent::PartEnd { index, signature, citations, extras } => {
            let (citations, extras_json) = (all(citations), write_extras(&extras));
            Event::PartEnd(PartEnd { index, signature, citations, extras_json })
        }
        StreamEvent::Usage { usage } => Event::Usage(usage.into()),
        StreamEvent::Raw { api, value } => Event::Raw(Raw { api, value_json: write_value(&value) }),
        StreamEvent::Finish { finish, usage, extras, receipt } => Event::Finish(Finished {
            finish: Some(finish.into()),
            usage: Some(usage.into()),
            extras_json: write_extras(&extras),
            receipt: receipt.map(Into::into),
        }),
        StreamEvent::Verbatim { .. } | StreamEvent::Error { .. } => return None,
    };
    Some(v1::StreamResponse { number, event: Some(event) })
}

/// A message as an event and its number; nothing for a heartbeat. An event that only a newer server
/// knows is raw.
///
/// # Errors
/// `invalid_request` that names the field.
pub fn read_event(message: v1::StreamResponse) -> Result<Option<(u64, StreamEvent)>> {
    let Some(event) = message.event else {
        let value = json!({"type": "unknown"});
        let raw = StreamEvent::Raw { api: NATIVE_API.to_owned(), value };
        return Ok(Some((message.number, raw)));
    };
    Ok(read(event).told()?.map(|event| (message.number, event)))
}

fn read(event: Event) -> Result<Option<StreamEvent>> {
    Ok(Some(match event {
        Event::Start(Start { origin, request_id, warnings }) => {
            let origin = origin.unwrap_or_default().into();
            StreamEvent::Start { origin, request_id, warnings: all(warnings) }
        }
        Event::PartStart(PartStart { index, part }) => {
            let part = part::answered(part.unwrap_or_default()).at(|| "part".to_owned())?;
            StreamEvent::PartStart { index, part }
        }
        Event::PartDelta(PartDelta { index, delta, logprobs }) => {
            StreamEvent::PartDelta { index, delta, logprobs: all(logprobs) }
        }
        Event::PartEnd(PartEnd { index, signature, citations, extras_json }) => {
            let (citations, extras) = (each(citations, "citations")?, read_extras(&extras_json)?);
            StreamEvent::PartEnd { index, signature, citations, extras }
        }
        Event::Usage(usage) => StreamEvent::Usage { usage: usage.into() },
        Event::Raw(Raw { api, value_json }) => {
            StreamEvent::Raw { api, value: read_value(&value_json, "value_json")? }
        }
        Event::Finish(Finished { finish, usage, extras_json, receipt }) => StreamEvent::Finish {
            finish: finish.unwrap_or_default().into(),
            usage: usage.unwrap_or_default().into(),
            extras: read_extras(&extras_json)?,
            receipt: receipt.map(Into::into),
        },
        Event::Heartbeat(Heartbeat {}) => return Ok(None),
    }))
}
