//! The numbered events of a run, as one reader gets them.

use futures_util::Stream;
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tollgate_types::{EventStream, Result, StreamEvent};

/// An event and its number, from 0. A failure has a number too: it is the run's last event.
pub type Numbered = (u64, Result<StreamEvent>);

/// The numbered events of a run. Ends after `finish` or the first error. Dropping it is leaving
/// the run.
#[derive(Debug)]
pub struct RunEvents {
    next: u64,
    events: EventStream,
}

impl RunEvents {
    /// Events that nobody else can ask for.
    pub(super) fn passing(events: EventStream) -> Self {
        Self { next: 0, events }
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
        use futures_util::StreamExt;
        EventStream::new(self.map(|(_, event)| event))
    }
}

impl Stream for RunEvents {
    type Item = Numbered;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Numbered>> {
        let item = Pin::new(&mut self.events).poll_next(cx);
        item.map(|item| {
            let event = item?;
            let number = self.next;
            self.next += 1;
            Some((number, event))
        })
    }
}
