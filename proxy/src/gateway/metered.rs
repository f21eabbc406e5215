//! Events on their way to the caller: counted, cut when the hold is used up, and settled, durably,
//! before the last of them is released.

use crate::{
    ledger::{Disposition, Flow, Meter, Outcome},
    limits::{Rates, Slot, Tab},
    tasks::Tasks,
};
use std::{pin::Pin, time::Duration};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tollgate_types::{
    CallLimits, Error, ErrorKind, EventStream, Extras, Finish, FinishReason, Receipt, Result,
    StreamEvent, Usage, Warning,
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
    /// Resolves when the server stops.
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    tab: Tab,
    slot: Slot,
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

    pub(super) fn into_events(self) -> EventStream {
        // Boxed: the state moves with every event.
        let events = futures_util::stream::unfold(Box::new(self), |mut running| async move {
            let item = running.next().await?;
            Some((item, running))
        });
        EventStream::new(events)
    }

    async fn next(&mut self) -> Option<Result<StreamEvent>> {
        if std::mem::take(&mut self.over) {
            return Some(self.cut().await);
        }
        let deadline = self.meter.as_ref().and_then(Meter::deadline);
        let events = self.events.as_mut()?;
        let item = tokio::select! {
            biased;
            item = events.next() => item?,
            () = until(deadline) => return Some(self.cut().await),
            () = self.stopped.as_mut() => return Some(self.shut_down().await),
        };
        let event = match item {
            Ok(event) => event,
            Err(error) => return Some(Err(self.interrupted(error).await)),
        };
        let meter = self.meter.as_mut()?;
        let over = meter.note(&event) == Flow::Cut;
        if over && !self.told {
            return Some(self.cut().await);
        }
        // The ending must not deny what was told.
        self.over = over;
        self.told |= matches!(event, StreamEvent::Verbatim { .. });
        Some(match event {
            StreamEvent::Start { origin, mut warnings, .. } => {
                warnings.extend(self.warning.take());
                let request_id = Some(meter.request_id().to_owned());
                Ok(StreamEvent::Start { origin, request_id, warnings })
            }
            StreamEvent::Finish { finish, usage, extras, .. } => {
                self.finished(finish, usage, extras).await
            }
            event => Ok(event),
        })
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
            Some(meter) => {
                settle(meter, (std::mem::take(&mut self.tab), self.limits), outcome).await
            }
            None => Err(late()),
        }
    }
}

/// Never, where there is no deadline.
async fn until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
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
