//! The body of a streamed answer as events.

use crate::{
    answer,
    failure::{self, Head},
    retry::before,
};
use futures_util::stream;
use reqwest::Response;
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tollgate_types::{EventStream, Result, SseDecoder, StreamEvent};

/// The API of a [`StreamEvent::Raw`] that a newer server sent.
const NATIVE_API: &str = "tollgate";

/// The event types this client knows; any other one is a newer server's.
const KNOWN_TYPES: [&str; 8] =
    ["start", "part_start", "part_delta", "part_end", "usage", "raw", "finish", "error"];

/// How long a stream may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Between two pieces of the body, the server's pings among them.
    pub(crate) idle: Duration,
    /// The end of the whole call, where it has one.
    pub(crate) deadline: Option<Instant>,
}

/// Reads an answer's body as events. Dropping the stream closes the connection.
pub(crate) fn read(response: Response, limits: Limits) -> Result<EventStream> {
    let head = Head::of(&response);
    answer::check_type(&head, &response, answer::EVENT_STREAM)?;
    let reader = Reader { response, head, limits, decoder: SseDecoder::default() };
    Ok(EventStream::new(stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await.map_err(|error| reader.head.stamp(error));
        Some((event, reader))
    })))
}

struct Reader {
    response: Response,
    head: Head,
    limits: Limits,
    decoder: SseDecoder,
}

impl Reader {
    /// The next event, or what broke the stream. Not asked again after `finish` or an error.
    async fn next(&mut self) -> Result<StreamEvent> {
        loop {
            if let Some(event) = self.decoder.next_data() {
                return decode(&event).unwrap_or_else(|error| {
                    let place = failure::place(&error);
                    Err(self.head.not_tollgate(&format!("an event cannot be read ({place})")))
                });
            }
            let piece =
                before(self.limits.deadline, timeout(self.limits.idle, self.response.chunk()))
                    .await?
                    .map_err(|_| failure::silent(self.limits.idle))?
                    .map_err(failure::broken_off)?
                    .ok_or_else(failure::truncated)?;
            self.decoder
                .push(&piece)
                .map_err(|_| self.head.protocol("an event is longer than 64 MiB"))?;
        }
    }
}

/// Reads one event; an `error` event is the stream's error.
fn decode(bytes: &[u8]) -> serde_json::Result<Result<StreamEvent>> {
    match serde_json::from_slice(bytes) {
        Ok(StreamEvent::Error { error }) => Ok(Err(error)),
        Ok(event) => Ok(Ok(event)),
        Err(error) => match serde_json::from_slice::<Value>(bytes) {
            Ok(value) if is_newer(&value) => {
                Ok(Ok(StreamEvent::Raw { api: NATIVE_API.to_owned(), value }))
            }
            _ => Err(error),
        },
    }
}

fn is_newer(event: &Value) -> bool {
    let name = event.get("type").and_then(Value::as_str);
    name.is_some_and(|name| !KNOWN_TYPES.contains(&name))
}
