//! A stream that outlives its connections: joined again where it broke, no event lost, none twice.

use crate::{
    call::Call,
    failure::{self, Head},
    retry::before,
    run::Lease,
    transport::{Frame, Frames, Opened},
};
use futures_util::{Stream, StreamExt, stream};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::{Instant, timeout};
use tollgate_types::{
    BoxFuture, Error, ErrorKind, EventSource, EventStream, Result, StreamEvent, Usage,
};

/// A call whose stream has begun, as the caller's stream. Dropping it cancels the call.
pub(crate) fn read(
    call: Call,
    opened: Opened,
    lease: Option<Arc<Lease>>,
    deadline: Option<Instant>,
) -> EventStream {
    let Opened { head, frames } = opened;
    if let (Some(lease), Some(id)) = (&lease, head.request_id()) {
        lease.identify(id);
    }
    let reader = Reader { call, head, frames, lease: lease.clone(), deadline, next: 0 };
    let events = stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await;
        if let Some(lease) = &reader.lease
            && matches!(event, Ok(StreamEvent::Finish { .. }))
        {
            lease.end();
        }
        Some((event.map_err(|error| reader.head.name(error)), reader))
    });
    EventStream::from_source(Source { events: Box::pin(events), lease })
}

/// Events, and the run that they belong to.
struct Source {
    events: Pin<Box<dyn Stream<Item = Result<StreamEvent>> + Send>>,
    lease: Option<Arc<Lease>>,
}

impl Stream for Source {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.as_mut().poll_next(cx)
    }
}

impl EventSource for Source {
    fn cancel(self: Pin<Box<Self>>) -> BoxFuture<'static, Option<Usage>> {
        let Self { events, lease } = *Pin::into_inner(self);
        drop(events);
        Box::pin(async move {
            if let Some(lease) = lease {
                lease.cancel().await;
            }
            None
        })
    }
}

struct Reader {
    call: Call,
    head: Head,
    frames: Frames,
    /// Present where the run can be joined again.
    lease: Option<Arc<Lease>>,
    deadline: Option<Instant>,
    /// The number of the next event.
    next: u64,
}

impl Reader {
    /// The next event, or what broke the stream for good. Not asked again after `finish` or an
    /// error.
    async fn next(&mut self) -> Result<StreamEvent> {
        loop {
            match self.frame().await {
                Ok(Frame::Ping) => {}
                // Not the end of the run: the server lost the one that makes it.
                Ok(Frame::Event { event: StreamEvent::Error { error }, .. })
                    if self.lease.is_some() && failure::is_of_the_way(&error) =>
                {
                    self.join_again(error).await?;
                }
                Ok(Frame::Event { number, event }) => {
                    if !self.is_new(number)? {
                        continue;
                    }
                    let StreamEvent::Error { error } = event else { return Ok(event) };
                    if let Some(lease) = &self.lease {
                        lease.end();
                    }
                    return Err(error);
                }
                Err(broken) => self.join_again(broken).await?,
            }
        }
    }

    async fn frame(&mut self) -> Result<Frame> {
        let idle = self.call.timeouts.idle;
        let frame = before(self.deadline, timeout(idle, self.frames.next())).await?;
        frame.map_err(|_| failure::silent(idle))?.unwrap_or_else(|| Err(failure::truncated()))
    }

    /// Whether an event was not handed out before.
    fn is_new(&mut self, number: Option<u64>) -> Result<bool> {
        let number = number.unwrap_or(self.next);
        if number > self.next {
            let message =
                format!("event {} is missing: the server went on with {number}", self.next);
            return Err(self.head.protocol(message));
        }
        let is_new = number == self.next;
        self.next += u64::from(is_new);
        Ok(is_new)
    }

    /// Opens a new connection where the last one broke.
    async fn join_again(&mut self, broken: Error) -> Result<()> {
        let run = self.lease.as_ref().and_then(|lease| lease.name());
        let Some(run) = run.filter(|_| failure::is_of_the_connection(&broken)) else {
            return Err(broken);
        };
        tracing::debug!(after = self.next, kind = broken.kind().as_str(), "joining a run again");
        // The old connection goes before a new one comes: it may be the last that there is room for.
        self.frames = stream::empty().boxed();
        let after = self.next.checked_sub(1);
        let joined = self.call.resume(&run, after, self.deadline).await;
        let opened = joined.map_err(|error| forgotten(error, &broken))?;
        (self.head, self.frames) = (opened.head, opened.frames);
        Ok(())
    }
}

/// A server that knows nothing of the run leaves it broken where it was.
fn forgotten(error: Error, broken: &Error) -> Error {
    // The latter from a server that is too old to know any.
    if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported) {
        return error;
    }
    let message = format!("{broken}, and cannot be joined again: {}", error.message());
    Error::new(ErrorKind::StreamInterrupted, message).with_source(error)
}
