//! The numbered events of a run, as one reader gets them.

use super::live::Reader;
use futures_util::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tollgate_types::{EventStream, Result, StreamEvent};

/// An event and its number, from 0. A failure has a number too: it is the run's last event.
pub type Numbered = (u64, Result<StreamEvent>);

/// The numbered events of a run. Ends after `finish` or the first error. Dropping it is leaving
/// the run.
pub struct RunEvents {
    next: u64,
    source: Source,
}

enum Source {
    /// Of a call that nobody else can join.
    Passing(EventStream),
    Shared(BoxStream<'static, Numbered>),
}

impl RunEvents {
    /// Events that nobody else can ask for.
    pub(super) fn passing(events: EventStream) -> Self {
        Self { next: 0, source: Source::Passing(events) }
    }

    /// Events as a reader gets them, who begins with the event `next`.
    pub(super) fn of_reader(reader: Reader, next: u64) -> Self {
        Self::of_stream(
            next,
            stream::unfold(reader, |mut reader| async {
                let item = reader.next().await?;
                Some((item, reader))
            }),
        )
    }

    /// Events from the event `next` on.
    pub(super) fn of_stream(
        next: u64,
        events: impl Stream<Item = Numbered> + Send + 'static,
    ) -> Self {
        Self { next, source: Source::Shared(events.boxed()) }
    }

    /// The number of the next event.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// The next event; `None` after the end.
    pub async fn next(&mut self) -> Option<Numbered> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The same events without their numbers.
    pub fn into_events(self) -> EventStream {
        match self.source {
            Source::Passing(events) => events,
            Source::Shared(events) => EventStream::new(events.map(|(_, event)| event)),
        }
    }
}

impl Stream for RunEvents {
    type Item = Numbered;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Numbered>> {
        let next = self.next;
        let item = match &mut self.source {
            Source::Passing(events) => {
                Pin::new(events).poll_next(cx).map(|item| item.map(|event| (next, event)))
            }
            Source::Shared(events) => events.as_mut().poll_next(cx),
        };
        if let Poll::Ready(Some((number, _))) = &item {
            self.next = number + 1;
        }
        item
    }
}

impl std::fmt::Debug for RunEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunEvents").field("next", &self.next).finish_non_exhaustive()
    }
}
