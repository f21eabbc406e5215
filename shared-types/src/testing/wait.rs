//! Waiting without a runtime.

use super::Subject;
use crate::BoxFuture;
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

/// Waits for something, but not for ever.
///
/// # Errors
/// That it did not happen within the time.
pub async fn within<T>(
    subject: &dyn Subject,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, String> {
    let mut work = pin!(work);
    let mut late = subject.sleep(limit);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(done));
        }
        late.as_mut().poll(cx).map(|()| Err(format!("not within {limit:?}")))
    })
    .await
}

/// Polls a future at most so many times, each time after it was woken or `idle` has passed; what it
/// gave, if it did. The future is not dropped: the caller does that.
pub async fn polled<F: Future + ?Sized>(
    subject: &dyn Subject,
    mut future: Pin<&mut F>,
    times: usize,
    idle: Duration,
) -> Option<F::Output> {
    for _ in 0..times {
        let mut asleep = subject.sleep(idle);
        let mut first = true;
        let step = poll_fn(|cx| {
            if std::mem::take(&mut first) {
                return match future.as_mut().poll(cx) {
                    Poll::Ready(done) => Poll::Ready(Some(done)),
                    Poll::Pending => asleep.as_mut().poll(cx).map(|()| None),
                };
            }
            Poll::Ready(None)
        });
        if let Some(done) = step.await {
            return Some(done);
        }
    }
    None
}

/// Waits for all of them, at once.
pub async fn all<T>(work: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut work: Vec<(BoxFuture<'_, T>, Option<T>)> =
        work.into_iter().map(|future| (future, None)).collect();
    poll_fn(|cx| {
        let mut waiting = false;
        for (future, done) in &mut work {
            if done.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(value) => *done = Some(value),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    work.into_iter().filter_map(|(_, done)| done).collect()
}
