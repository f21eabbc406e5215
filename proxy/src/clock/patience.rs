//! One timer for many waits that come one after another.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};
use tokio::time::{Instant, Sleep, sleep_until};

/// Waits that each have an end of their own.
///
/// To arm a timer anew for each piece of a stream costs more than the piece itself. So the timer stays
/// armed for the end of an earlier wait, and moves on only when that comes.
#[derive(Debug, Default)]
pub struct Patience {
    timer: Option<Pin<Box<Sleep>>>,
    /// Of the wait that has begun.
    end: Option<Instant>,
}

/// A wait took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it took too long")]
pub struct Elapsed;

impl Patience {
    /// Nothing is waited for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the work gives, if it is done by the end.
    ///
    /// # Errors
    /// When it is not.
    pub async fn until<T>(
        &mut self,
        end: Instant,
        work: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        let mut work = pin!(work);
        self.end = None;
        poll_fn(|context| {
            let polled = work.as_mut().poll(context);
            self.check(context, polled, || end)
        })
        .await
    }

    /// The same for work that the caller polls: with what it gave. A wait begins with the first
    /// time that it gives nothing, which is when its end is asked for, and lasts until it gives
    /// something or is too late.
    pub fn check<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<T>,
        end: impl FnOnce() -> Instant,
    ) -> Poll<Result<T, Elapsed>> {
        if let Poll::Ready(done) = polled {
            self.end = None;
            return Poll::Ready(Ok(done));
        }
        let end = *self.end.get_or_insert_with(end);
        ready!(self.poll_over(context, end));
        self.end = None;
        Poll::Ready(Err(Elapsed))
    }

    /// Whether the end has come.
    pub fn poll_over(&mut self, context: &mut Context<'_>, end: Instant) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if timer.deadline() > end {
            timer.as_mut().reset(end);
        }
        loop {
            ready!(timer.as_mut().poll(context));
            if timer.deadline() >= end {
                return Poll::Ready(());
            }
            timer.as_mut().reset(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn each_wait_ends_when_it_shall_whatever_the_timer_was_armed_for() {
        let mut patience = Patience::new();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let far = at(600_000);
        let never = std::future::pending::<()>;
        assert_eq!(patience.until(far, async { 1 }).await, Ok(1));
        // Each is waited for to its end, and none to that of another.
        for (end, armed_for) in [(20, "later"), (40, "what is over"), (60, "what is over")] {
            assert_eq!(patience.until(at(end), never()).await, Err(Elapsed), "{armed_for}");
            assert!(Instant::now() >= at(end) && Instant::now() < far, "{armed_for}");
        }
        assert_eq!(patience.until(far, tokio::time::sleep_until(at(80))).await, Ok(()));
        assert_eq!(patience.until(at(100), tokio::time::sleep_until(far)).await, Err(Elapsed));
        assert!(Instant::now() >= at(100) && Instant::now() < far);
        // Polled by hand: the end of a wait is asked for once, and is not that of the wait before.
        for end in [95, 97] {
            let mut asked = 0;
            let over = poll_fn(|context| {
                patience.check(context, Poll::<()>::Pending, || {
                    asked += 1;
                    at(end)
                })
            });
            assert_eq!((over.await, asked), (Err(Elapsed), 1));
            assert!(Instant::now() >= at(end) && Instant::now() < far);
        }
        // Armed for an earlier end than that of the wait.
        let soon = tokio::time::sleep_until(at(120));
        assert_eq!(patience.until(at(110), async {}).await, Ok(()));
        assert_eq!(patience.until(far, soon).await, Ok(()));
        assert!(Instant::now() >= at(120) && Instant::now() < far);
    }
}
