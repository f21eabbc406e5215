//! The events of a run on their way to a caller: as messages, with a heartbeat, and no faster than
//! the caller reads them.
//!
//! A caller who reads slowly closes the window of HTTP/2, the channel fills, and the run is asked
//! for no more. One who does not read at all is given up.

use super::{deadline::Deadline, message, status};
use crate::{ingress::reply, runs::Run, tasks::Tasks};
use axum::{body::Body, http::HeaderMap};
use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use std::time::Duration;
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    time::timeout,
};
use tollgate_types::{
    Error, ErrorKind, EventStream, Result, StreamEvent,
    proto::{
        metadata::EVENT_NUMBER,
        v1::{
            StreamResponse,
            stream_response::{Event, Heartbeat},
        },
        write_event,
    },
    wire::header::REQUEST_ID,
};
use tonic::metadata::MetadataValue;

/// Silence after which a heartbeat is sent: below every idle timeout that is common.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a caller may leave a message unread before the call is given up.
const READ_PATIENCE: Duration = Duration::from_secs(60);

/// A run that answers as a stream.
pub(super) struct Running {
    /// Metadata before the events.
    pub(super) headers: HeaderMap,
    id: String,
    /// Number of the next event.
    number: u64,
    events: EventStream,
}

impl Running {
    /// A call that begins. Waits for the first event, because what it says belongs into the
    /// metadata too.
    pub(super) async fn begun(run: Run) -> Self {
        let number = run.events.next_number();
        let (mut answer, id) = run.into_answer();
        let mut headers = reply::description(&mut answer).await;
        reply::put(&mut headers, REQUEST_ID, &id);
        Self { headers, id, number, events: answer.events }
    }

    /// The rest of a call that began before.
    pub(super) fn joined(run: Run) -> Self {
        let mut headers = reply::target(&run.target);
        reply::put(&mut headers, REQUEST_ID, &run.id);
        let number = run.events.next_number();
        Self { headers, id: run.id, number, events: run.events.into_events() }
    }

    /// The answer's body. Dropping it leaves the run.
    pub(super) fn relay(self, tasks: &Tasks, deadline: Deadline) -> Body {
        let (sender, receiver) = mpsc::channel(1);
        tasks.spawn(self.send(sender, deadline));
        message::body(stream::unfold(Some(receiver), |receiver| async {
            let mut receiver: Receiver<Frame<Bytes>> = receiver?;
            match receiver.recv().await {
                Some(frame) if frame.is_trailers() => Some((Ok(frame), None)),
                Some(frame) => Some((Ok(frame), Some(receiver))),
                // Without a status the answer must not look like a good one.
                None => Some((Err("the caller did not read"), None)),
            }
        }))
    }

    async fn send(mut self, sender: Sender<Frame<Bytes>>, deadline: Deadline) {
        loop {
            let next = tokio::select! {
                () = sender.closed() => return,
                late = deadline.passes() => Some(Err(late)),
                next = timeout(HEARTBEAT, self.events.next()) => match next {
                    Ok(item) => Some(item.unwrap_or_else(|| Err(unfinished()))),
                    Err(_) => None,
                },
            };
            let last = matches!(next, Some(Err(_) | Ok(StreamEvent::Finish { .. })));
            let Some(frame) = self.frame(next) else { continue };
            let ended = frame.is_trailers();
            if !matches!(timeout(READ_PATIENCE, sender.send(frame)).await, Ok(Ok(()))) {
                return;
            }
            if last {
                if !ended {
                    // The call is over, whether or not anybody reads that.
                    self.events = EventStream::of_events(Vec::new());
                    let end = sender.send(Frame::trailers(message::ok()));
                    drop(timeout(READ_PATIENCE, end).await);
                }
                return;
            }
        }
    }

    /// What is sent for an event, for an error, or for silence.
    fn frame(&mut self, next: Option<Result<StreamEvent>>) -> Option<Frame<Bytes>> {
        let number = self.number;
        let message = match next {
            None => StreamResponse { number: 0, event: Some(Event::Heartbeat(Heartbeat {})) },
            Some(Ok(event)) => {
                self.number += 1;
                write_event(number, event)?
            }
            Some(Err(error)) => {
                let mut status = status::of(&error, &self.id);
                status.metadata_mut().insert(EVENT_NUMBER, MetadataValue::from(number));
                let mut trailers = HeaderMap::new();
                // A status that this server made is one that it can write.
                drop(status.add_header(&mut trailers));
                return Some(Frame::trailers(trailers));
            }
        };
        Some(Frame::data(message::frame(&message)))
    }
}

fn unfinished() -> Error {
    Error::new(ErrorKind::StreamInterrupted, "the answer ended without a finish event")
}
