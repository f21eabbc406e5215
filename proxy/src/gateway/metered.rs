//! Events on their way to the caller: counted, cut when the hold is used up, and settled, durably,
//! before the last of them is released.

use crate::{
    clock::Patience,
    ledger::{Disposition, Flow, Meter, Outcome},
    limits::{Rates, Slot, Tab},
    tasks::Tasks,
};
use futures_util::Stream;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tollgate_types::{
    BoxFuture, CallLimits, Error, ErrorKind, EventStream, Extras, Finish, FinishReason, Receipt,
    Result, StreamEvent, Usage, Warning,
};

/// How long a stopped provider may take to say what it had used.
const CANCEL_PATIENCE: Duration = Duration::from_secs(2);
/// How long the last event waits for a database that does not answer. The writer goes on trying.
const SETTLE_PATIENCE: Duration = Duration::from_secs(10);

/// A call that is being answered. Dropping it stops the upstream and settles the call.
pub(super) struct Running {
    events: Option<EventStream>,
    meter: Option<Meter>,
    limits: CallLimits,
    warning: Option<Warning>,
    /// The caller gets the upstream's own payloads: what an event says has been told before it.
    told: bool,
    /// The hold is used up by what was told already.
    over: bool,
    tasks: Tasks,
    /// Waits for the meter's deadline.
    patience: Patience,
    /// Resolves when the server stops.
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    tab: Tab,
    slot: Slot,
}

/// Why a call ends.
enum End {
    /// The provider is done.
    Finished(Finish, Usage, Extras),
    /// What was set aside is used up.
    Cut,
    /// The server stops.
    ShutDown,
    /// The provider broke off.
    Interrupted(Error),
}

/// What comes next of a call.
enum Step {
    Told(StreamEvent),
    Ends(End),
    Over,
}

/// A call whose events are asked for.
enum State {
    Open(Box<Running>),
    /// Until it is settled.
    Ending(BoxFuture<'static, Result<StreamEvent>>),
    Over,
}

impl State {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<StreamEvent>>> {
        if let Self::Open(running) = self {
            let end = match ready!(running.poll_step(context)) {
                Step::Told(event) => return Poll::Ready(Some(Ok(event))),
                Step::Ends(end) => Some(end),
                Step::Over => None,
            };
            if let Self::Open(running) = std::mem::replace(self, Self::Over)
                && let Some(end) = end
            {
                *self = Self::Ending(Box::pin(running.end_by(end)));
            }
        }
        let Self::Ending(ending) = self else { return Poll::Ready(None) };
        let event = ready!(ending.as_mut().poll(context));
        *self = Self::Over;
        Poll::Ready(Some(event))
    }
}

impl Running {
    pub(super) fn new(events: EventStream, meter: Meter, mut slot: Slot, tasks: Tasks) -> Self {
        Self {
            events: Some(events),
            meter: Some(meter),
            limits: CallLimits::default(),
            warning: None,
            told: false,
            over: false,
            patience: Patience::new(),
            stopped: Box::pin(tasks.stopped()),
            tasks,
            tab: slot.tab(),
            slot,
        }
    }

    /// With what limited the call, for its receipt, and what of it the caller is warned of.
    pub(super) fn with(mut self, limits: CallLimits, warning: Option<Warning>) -> Self {
        (self.limits, self.warning) = (limits, warning);
        self
    }

    pub(super) fn rates(&self) -> Rates {
        self.slot.rates()
    }

    /// Of a stream's many events one ends it. A future is made for that one alone.
    pub(super) fn into_events(self) -> EventStream {
        let mut state = State::Open(Box::new(self));
        EventStream::new(futures_util::stream::poll_fn(move |context| state.poll_next(context)))
    }

    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        if std::mem::take(&mut self.over) {
            return Poll::Ready(Step::Ends(End::Cut));
        }
        let Some(events) = self.events.as_mut() else { return Poll::Ready(Step::Over) };
        Poll::Ready(match Pin::new(events).poll_next(context) {
            Poll::Pending => return self.poll_stop(context).map(Step::Ends),
            Poll::Ready(None) => Step::Over,
            Poll::Ready(Some(Ok(event))) => self.step(event),
            Poll::Ready(Some(Err(error))) => Step::Ends(End::Interrupted(error)),
        })
    }

    /// What ends a call that the provider still works on.
    fn poll_stop(&mut self, context: &mut Context<'_>) -> Poll<End> {
        if let Some(deadline) = self.meter.as_ref().and_then(Meter::deadline)
            && self.patience.poll_over(context, deadline.into()).is_ready()
        {
            return Poll::Ready(End::Cut);
        }
        self.stopped.as_mut().poll(context).map(|()| End::ShutDown)
    }

    fn step(&mut self, event: StreamEvent) -> Step {
        let Some(meter) = self.meter.as_mut() else { return Step::Over };
        let over = meter.note(&event) == Flow::Cut;
        if over && !self.told {
            return Step::Ends(End::Cut);
        }
        // The ending must not deny what was told.
        self.over = over;
        self.told |= matches!(event, StreamEvent::Verbatim { .. });
        match event {
            StreamEvent::Start { origin, mut warnings, .. } => {
                warnings.extend(self.warning.take());
                let request_id = Some(meter.request_id().to_owned());
                Step::Told(StreamEvent::Start { origin, request_id, warnings })
            }
            StreamEvent::Finish { finish, usage, extras, .. } => {
                Step::Ends(End::Finished(finish, usage, extras))
            }
            event => Step::Told(event),
        }
    }

    async fn end_by(mut self: Box<Self>, end: End) -> Result<StreamEvent> {
        match end {
            End::Finished(finish, usage, extras) => self.finished(finish, usage, extras).await,
            End::Cut => self.cut().await,
            End::ShutDown => self.shut_down().await,
            End::Interrupted(error) => Err(self.interrupted(error).await),
        }
    }

    /// The provider is done. What it did not count is estimated.
    async fn finished(
        &mut self,
        finish: Finish,
        usage: Usage,
        extras: Extras,
    ) -> Result<StreamEvent> {
        let estimate = self.meter.as_ref().map(Meter::used).unwrap_or_default();
        let usage = if usage.is_empty() { estimate } else { usage };
        let outcome =
            Outcome { disposition: Disposition::Settled, usage, finish: Some(finish), error: None };
        self.end(outcome, extras).await
    }

    /// The hold is used up: what was delivered is kept, the rest is not made.
    async fn cut(&mut self) -> Result<StreamEvent> {
        let usage = self.stop().await;
        let finish = Some(Finish::from(FinishReason::BudgetExhausted));
        let outcome = Outcome { disposition: Disposition::Cut, usage, finish, error: None };
        self.end(outcome, Extras::new()).await
    }

    async fn interrupted(&mut self, error: Error) -> Error {
        let usage = self.stop().await;
        let outcome =
            Outcome { error: Some(error.kind()), ..Outcome::new(Disposition::Interrupted, usage) };
        self.broken(outcome, error).await
    }

    /// The server stops, and this answer has had its time to finish.
    async fn shut_down(&mut self) -> Result<StreamEvent> {
        let usage = self.stop().await;
        let error = Error::new(ErrorKind::Overloaded, "the server is shutting down, ask again");
        let outcome = Outcome::broken(Disposition::Cancelled, usage, error.kind());
        Err(self.broken(outcome, error).await)
    }

    async fn broken(&mut self, outcome: Outcome, error: Error) -> Error {
        let request_id = self.meter.as_ref().map(|meter| meter.request_id().to_owned());
        if let Err(unsettled) = self.settle(outcome).await {
            tracing::error!(error = %unsettled, "a broken call is not settled yet");
        }
        error.with(|body| body.request_id = request_id)
    }

    /// Stops the upstream; says what was used, exactly where it can.
    async fn stop(&mut self) -> Usage {
        let exact = stop(self.events.take()).await;
        exact.or_else(|| self.meter.as_ref().map(Meter::used)).unwrap_or_default()
    }

    async fn end(&mut self, outcome: Outcome, extras: Extras) -> Result<StreamEvent> {
        let reported = outcome.usage.clone();
        let usage = self.meter.as_ref().map_or(reported, |meter| meter.told(&outcome.usage));
        let finish = outcome.finish.clone().unwrap_or_else(|| FinishReason::Other.into());
        let receipt = Some(self.settle(outcome).await?);
        Ok(StreamEvent::Finish { finish, usage, extras, receipt })
    }

    async fn settle(&mut self, outcome: Outcome) -> Result<Receipt> {
        self.events = None;
        match self.meter.take() {
            // Boxed: most of a stream's life is spent elsewhere, and its state has room for all of this.
            Some(meter) => {
                let tab = std::mem::take(&mut self.tab);
                Box::pin(settle(meter, (tab, self.limits), outcome)).await
            }
            None => Err(late()),
        }
    }
}

/// Settles a call whose answer waits for it, but not longer than a caller would.
pub(super) async fn settle(
    meter: Meter,
    (mut tab, limits): (Tab, CallLimits),
    outcome: Outcome,
) -> Result<Receipt> {
    tab.used(meter.believed(&outcome.usage).total());
    // Before the caller knows that the call is over, and may ask again.
    drop(tab);
    let settled = tokio::time::timeout(SETTLE_PATIENCE, meter.settle(outcome)).await;
    let receipt = settled.map_err(|_| late())?.map_err(|error| late().with_source(error))?;
    Ok(Receipt { limits: Some(limits).filter(|limits| !limits.is_empty()), ..receipt })
}

/// Not to be tried again: the call was made.
fn late() -> Error {
    Error::new(
        ErrorKind::Internal,
        "the answer is complete but could not be booked: the database does not answer",
    )
}

async fn stop(events: Option<EventStream>) -> Option<Usage> {
    tokio::time::timeout(CANCEL_PATIENCE, events?.cancel()).await.ok().flatten()
}

/// The caller left: the upstream is stopped at once, and asked what it had used.
impl Drop for Running {
    fn drop(&mut self) {
        let Some(meter) = self.meter.take() else { return };
        let events = self.events.take();
        let mut tab = std::mem::take(&mut self.tab);
        self.tasks.spawn(async move {
            let usage = stop(events).await.unwrap_or_else(|| meter.used());
            tab.used(meter.believed(&usage).total());
            let cancelled = Outcome::new(Disposition::Cancelled, usage);
            if let Err(error) = meter.settle(cancelled).await {
                tracing::error!(%error, "a cancelled call is not settled yet");
            }
        });
    }
}
