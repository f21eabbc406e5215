//! The stream of events that a provider hands out.

use crate::{BoxFuture, Error, ErrorKind, Fold, GenerateResponse, Result, StreamEvent, Usage};
use futures_core::Stream;
use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

/// A stream of events that may know more about its cancellation than "dropped".
pub trait EventSource: Stream<Item = Result<StreamEvent>> + Send {
    /// Stops the call and says what it had used by then, where the backend knows exactly.
    /// Dropping the source also stops the call.
    fn cancel(self: Pin<Box<Self>>) -> BoxFuture<'static, Option<Usage>>;
}

/// Events of one call. Owned, `'static` and `Send`: spawn it, return it, drop it to cancel.
pub struct EventStream {
    source: Pin<Box<dyn EventSource>>,
    /// What was only looked at so far.
    peeked: Option<Box<Result<StreamEvent>>>,
    ended: bool,
}

struct Plain<S>(Pin<Box<S>>);

impl<S: Stream> Stream for Plain<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl<S: Stream<Item = Result<StreamEvent>> + Send> EventSource for Plain<S> {
    fn cancel(self: Pin<Box<Self>>) -> BoxFuture<'static, Option<Usage>> {
        drop(self);
        Box::pin(std::future::ready(None))
    }
}

struct Queue(VecDeque<StreamEvent>);

impl Stream for Queue {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

impl EventStream {
    /// Wraps any stream of events.
    pub fn new(stream: impl Stream<Item = Result<StreamEvent>> + Send + 'static) -> Self {
        Self::from_source(Plain(Box::pin(stream)))
    }

    /// Wraps a source that can tell what a cancelled call had used.
    pub fn from_source(source: impl EventSource + 'static) -> Self {
        Self { source: Box::pin(source), peeked: None, ended: false }
    }

    /// Events that are all known already.
    pub fn of_events(events: Vec<StreamEvent>) -> Self {
        Self::new(Queue(events.into()))
    }

    /// The next event; `None` after the end.
    pub async fn next(&mut self) -> Option<Result<StreamEvent>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Looks at the next event, which comes all the same; `None` at the end.
    pub async fn peek(&mut self) -> Option<&Result<StreamEvent>> {
        if self.peeked.is_none() {
            self.peeked = self.next().await.map(Box::new);
        }
        self.peeked.as_deref()
    }

    /// Stops the call; see [`EventSource::cancel`].
    pub fn cancel(self) -> BoxFuture<'static, Option<Usage>> {
        self.source.cancel()
    }

    /// The rest of the stream, folded into the answer that a unary call gives.
    ///
    /// # Errors
    /// The stream's own error, or `stream_interrupted` when it stops without a finish.
    pub async fn collect(mut self) -> Result<GenerateResponse> {
        let mut fold = Fold::new();
        while let Some(event) = self.next().await {
            fold.push(event?)?;
        }
        fold.finish()
    }
}

/// Ends after `finish` or the first error; an inner stream that stops before either is reported
/// as `stream_interrupted`.
impl Stream for EventStream {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(peeked) = self.peeked.take() {
            return Poll::Ready(Some(*peeked));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let item = match self.source.as_mut().poll_next(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(item)) => item,
            Poll::Ready(None) => Err(Error::new(
                ErrorKind::StreamInterrupted,
                "the stream ended without a finish event",
            )),
        };
        self.ended = matches!(&item, Err(_) | Ok(StreamEvent::Finish { .. }));
        Poll::Ready(Some(item))
    }
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream").field("ended", &self.ended).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn now<T>(future: impl Future<Output = T>) -> T {
        match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => done,
            Poll::Pending => panic!("nothing is there"),
        }
    }

    #[test]
    fn what_was_looked_at_comes_all_the_same_even_the_last() {
        let delta = || StreamEvent::part_end(0);
        let error = Error::new(ErrorKind::Protocol, "broken");
        let items = VecDeque::from([Ok(delta()), Err(error)]);
        struct Items(VecDeque<Result<StreamEvent>>);
        impl Stream for Items {
            type Item = Result<StreamEvent>;
            fn poll_next(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Self::Item>> {
                Poll::Ready(self.0.pop_front())
            }
        }
        let mut events = EventStream::new(Items(items));
        for _ in 0..2 {
            assert_eq!(now(events.peek()).unwrap().as_ref().unwrap(), &delta());
        }
        assert_eq!(now(events.next()).unwrap().unwrap(), delta());
        assert_eq!(now(events.peek()).unwrap().as_ref().unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(now(events.next()).unwrap().unwrap_err().kind(), ErrorKind::Protocol);
        assert!(now(events.peek()).is_none());
        assert!(now(events.next()).is_none());
    }
}
