//! Streamed answers: events framed as a dialect wants them, with a heartbeat.
//!
//! Where the caller speaks the upstream's own wire format, the upstream's payloads are passed on as
//! they came; the events beside them keep the framing informed, so that it can end the stream when
//! the upstream does not.

use crate::clock::Patience;
use axum::{
    body::Body,
    http::{
        HeaderValue, Response,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Instant;
use tollgate_types::{
    Error, ErrorKind, EventStream, FinishReason, Fold, GenerateResponse, Receipt, Result,
    StreamEvent, Usage,
};

/// Silence after which a heartbeat is sent: below every idle timeout that is common.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How a dialect writes a stream.
pub(super) trait Framing: Send + 'static {
    /// Media type of the stream.
    const CONTENT_TYPE: &'static str = "text/event-stream";

    /// Whether the dialect can say that an answer begins anew.
    const BEGINS_ANEW: bool = false;

    /// Whether the dialect can mark usage as estimated.
    const MARKS_ESTIMATES: bool = false;

    /// The bytes of one event; nothing where the dialect has no words for it.
    fn frame(&mut self, event: &StreamEvent) -> Bytes;

    /// Takes note of an event that the upstream's own payload has told. A framing whose end depends
    /// on what went before has to follow the events all the same.
    fn note(&mut self, event: &StreamEvent) {
        self.frame(event);
    }

    /// The bytes of the error that ends the stream.
    fn error(&mut self, error: &Error) -> Bytes;

    /// The bytes of a payload that is in the dialect's own words already.
    fn verbatim(&mut self, payload: &str) -> Bytes;

    /// The last sign of a good stream, where what the upstream wrote of its end lacks it: the SDKs
    /// of some vendors wait for it, and some hosts leave it out.
    fn last_sign(&self, _end: &[u8]) -> Bytes {
        Bytes::new()
    }

    /// The bytes that keep a silent connection open.
    fn heartbeat(&self) -> Bytes;

    /// The bytes behind the last event of a good end, whoever wrote that.
    fn end(&mut self) -> Bytes {
        Bytes::new()
    }
}

/// A streamed answer. Dropping its body drops the events, which stops the upstream.
pub(super) fn response<F: Framing>(events: EventStream, framing: F) -> Response<Body> {
    let held = BytesMut::new();
    let events = Some(events);
    let patience = Patience::new();
    let mut relay = Relay { events, framing, patience, begun: false, verbatim: false, held };
    let frames = futures_util::stream::poll_fn(move |context| {
        relay.poll_frame(context).map(|frame| frame.map(Ok::<_, Infallible>))
    });
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(F::CONTENT_TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx holds back what it proxies unless told not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

struct Relay<F> {
    /// Absent once the answer was given up.
    events: Option<EventStream>,
    framing: F,
    patience: Patience,
    /// The answer has begun.
    begun: bool,
    /// The upstream's own payloads are passed on.
    verbatim: bool,
    /// Payloads that are released when the call is settled.
    held: BytesMut,
}

impl<F: Framing> Relay<F> {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            let Some(events) = &mut self.events else { return Poll::Ready(None) };
            let polled = Pin::new(events).poll_next(context);
            let bytes = match ready!(self.patience.check(context, polled, heartbeat)) {
                Ok(Some(item)) => self.take(item),
                Ok(None) => return Poll::Ready(None),
                Err(_) => self.framing.heartbeat(),
            };
            if !bytes.is_empty() {
                return Poll::Ready(Some(bytes));
            }
        }
    }

    fn take(&mut self, item: Result<StreamEvent>) -> Bytes {
        let event = match item {
            Ok(event) if F::MARKS_ESTIMATES => event,
            Ok(event) => stated(event),
            Err(error) => {
                self.held.extend_from_slice(&self.framing.error(&error));
                return self.held.split().freeze();
            }
        };
        if let StreamEvent::Verbatim { data, closing } = event {
            self.verbatim = true;
            let bytes = self.framing.verbatim(&data);
            if closing {
                self.held.extend_from_slice(&bytes);
                return Bytes::new();
            }
            return bytes;
        }
        if matches!(event, StreamEvent::Start { .. })
            && std::mem::replace(&mut self.begun, true)
            && !(F::BEGINS_ANEW || self.verbatim)
        {
            return self.give_up();
        }
        match event {
            // Without the upstream's own ending it was Tollgate that ended the answer.
            StreamEvent::Finish { .. } => {
                let bytes = self.framing.frame(&event);
                let last = if self.held.is_empty() { bytes } else { self.upstreams_end() };
                let end = self.framing.end();
                if end.is_empty() { last } else { [last, end].concat().into() }
            }
            _ if self.verbatim => {
                self.framing.note(&event);
                Bytes::new()
            }
            _ => self.framing.frame(&event),
        }
    }

    /// The end of the answer as the upstream wrote it, with the last sign that it may have left out.
    fn upstreams_end(&mut self) -> Bytes {
        let sign = self.framing.last_sign(&self.held);
        self.held.extend_from_slice(&sign);
        self.held.split().freeze()
    }

    /// What was told cannot be taken back, so the answer ends here.
    fn give_up(&mut self) -> Bytes {
        self.events = None;
        let message =
            "the provider began its answer anew, and this format cannot say so; try again";
        self.framing.error(&Error::new(ErrorKind::StreamInterrupted, message))
    }
}

/// When a stream has been silent for too long, from now on.
fn heartbeat() -> Instant {
    let now = Instant::now();
    now.checked_add(HEARTBEAT).unwrap_or(now)
}

/// A whole answer.
#[derive(Debug)]
pub(super) enum Whole {
    /// Its body as the upstream wrote it, where the caller speaks the upstream's wire format, and what
    /// was charged.
    Told(String, Option<Receipt>),
    /// In common words.
    Folded(Box<GenerateResponse>),
}

/// Waits for the end of an answer that is not streamed to the caller.
///
/// # Errors
/// Whatever broke the answer.
pub(super) async fn whole(events: EventStream) -> Result<Whole> {
    whole_if(events, |_| true).await
}

/// As [`whole`], for callers who cannot read every body that an upstream may have written.
///
/// # Errors
/// Whatever broke the answer.
pub(super) async fn whole_if(
    mut events: EventStream,
    is_readable: impl Fn(&str) -> bool,
) -> Result<Whole> {
    let mut fold = Fold::new();
    let mut told = None;
    while let Some(item) = events.next().await {
        match (item?, &mut told) {
            (StreamEvent::Verbatim { data, .. }, _) => {
                told = Some(data).filter(|data| is_readable(data));
            }
            // What the events say stands in the body.
            (StreamEvent::Finish { receipt, .. }, Some(body)) => {
                return Ok(Whole::Told(std::mem::take(body), receipt));
            }
            (_, Some(_)) => {}
            (event, None) => fold.push(stated(event))?,
        }
    }
    Ok(Whole::Folded(Box::new(fold.finish()?)))
}

/// Leaves out what the provider did not say. Most dialects cannot mark a count as estimated, and an
/// estimate of Tollgate's must not look like the provider's word; the books have it, marked.
fn stated(mut event: StreamEvent) -> StreamEvent {
    if let StreamEvent::Finish { usage, finish, .. } = &mut event
        && usage.estimated
        // Where the prompt is not counted, the rest is the provider's own count.
        && usage.total_input() > 0
        && finish.reason != FinishReason::BudgetExhausted
    {
        *usage = Usage::default();
    }
    event
}

/// Whether bytes hold a word.
pub(super) fn holds(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_types::{Origin, Part};

    struct Words<const ANEW: bool>;

    impl<const ANEW: bool> Framing for Words<ANEW> {
        const BEGINS_ANEW: bool = ANEW;

        fn frame(&mut self, event: &StreamEvent) -> Bytes {
            Bytes::from(format!("{} ", event.name()))
        }

        fn error(&mut self, error: &Error) -> Bytes {
            Bytes::from(error.kind().to_string())
        }

        fn verbatim(&mut self, payload: &str) -> Bytes {
            Bytes::from(payload.to_owned())
        }

        fn heartbeat(&self) -> Bytes {
            Bytes::new()
        }
    }

    async fn told<const ANEW: bool>() -> String {
        let start =
            || StreamEvent::Start { origin: Origin::default(), request_id: None, warnings: vec![] };
        let part = StreamEvent::PartStart { index: 0, part: Part::text("a") };
        let finish = StreamEvent::Finish {
            finish: FinishReason::Stop.into(),
            usage: Usage::tokens(1, 1),
            extras: tollgate_types::Extras::new(),
            receipt: None,
        };
        let events = EventStream::of_events(vec![start(), part.clone(), start(), part, finish]);
        let body = response(events, Words::<ANEW>).into_body();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn an_answer_that_begins_anew_is_told_or_ends_with_one_error() {
        assert_eq!(told::<true>().await, "start part_start start part_start finish ");
        assert_eq!(told::<false>().await, "start part_start stream_interrupted");
    }
}
