//! The path of a request, start to end: this is the product.
//!
//! Each step returns the proof that the next one needs. Whatever way in a request came, from here
//! on it looks the same.

mod bound;
mod call;
mod estimate;
mod metered;
mod refusal;

pub use call::{Answer, Call, Embedded};
pub use refusal::Refusal;

use crate::{
    access::{self, Caller},
    catalog::Catalog,
    ledger::{Disposition, Ledger, Meter, Order, Outcome},
    limits::{Limits, Rates, Tab},
    prices::{self, Prices},
    routing,
    tasks::Tasks,
};
use call::Imposed;
use metered::Running;
use std::sync::Arc;
use tollgate_types::{EmbedRequest, Error, ErrorKind, Feature, GenerateRequest};

/// Everything between the ways in and the upstreams.
#[derive(Debug)]
pub struct Gateway {
    /// Upstreams and aliases.
    pub catalog: Catalog,
    /// Rates and places.
    pub limits: Limits,
    /// What models cost.
    pub prices: Arc<Prices>,
    /// Budgets and entries.
    pub ledger: Ledger,
    /// Where calls end that their callers left.
    pub tasks: Tasks,
}

impl Gateway {
    /// Asks a model on behalf of a caller.
    ///
    /// # Errors
    /// Why the call was not made, or how the upstream failed before its first event.
    pub async fn run(&self, caller: &Arc<Caller>, call: Call) -> Result<Answer, Refusal> {
        let plan = self.catalog.plan(&call.request.model)?;
        let permit = access::authorize(caller, plan.targets(), &call.features())?;
        let targets = permit.targets().to_vec();
        let bound = bound::of_request(&plan, &targets, &call.request).await?;
        let fees = bound::fees::of_request(&call.request);
        let mut slot = self.limits.admit(&permit, bound.likely_input.max(1)).await?;
        let quote = prices::quote(&self.prices.current(), permit, bound).with_fees(fees);
        let hold = self.ledger.hold(quote, call.order()).await?;
        let (request, imposed) = Imposed::by(&hold, call.request);
        let mut meter = hold.sent();
        let opened = tokio::select! {
            opened = routing::open(&plan, &targets, &mut meter, request) => opened,
            () = self.tasks.stopping() => Err(stopped()),
        };
        match opened {
            Ok((events, target)) => {
                let running = Running::new(events, meter, slot, self.tasks.clone());
                Ok(Answer::new(target, imposed, running))
            }
            Err(error) => Err(unanswered(meter, slot.tab(), error)),
        }
    }

    /// Whether a caller may make a call that was made before, and how it stands to its rates then:
    /// for a caller who is given an answer again.
    ///
    /// # Errors
    /// Why not.
    pub async fn permits(&self, caller: &Arc<Caller>, call: &Call) -> Result<Rates, Refusal> {
        self.permits_to(caller, &call.request.model, &call.features()).await
    }

    /// The same, for texts that were turned into vectors before.
    ///
    /// # Errors
    /// Why not.
    pub async fn permits_vectors(
        &self,
        caller: &Arc<Caller>,
        request: &EmbedRequest,
    ) -> Result<Rates, Refusal> {
        self.permits_to(caller, &request.model, &[Feature::Embeddings]).await
    }

    async fn permits_to(
        &self,
        caller: &Arc<Caller>,
        model: &str,
        features: &[Feature],
    ) -> Result<Rates, Refusal> {
        let plan = self.catalog.plan(model)?;
        let permit = access::authorize(caller, plan.targets(), features)?;
        Ok(self.limits.admit(&permit, 0).await?.rates())
    }

    /// Turns texts into vectors on behalf of a caller: the same path without a stream.
    ///
    /// # Errors
    /// Why the call was not made, or how the upstream failed.
    pub async fn embed(
        &self,
        caller: &Arc<Caller>,
        order: Order,
        request: EmbedRequest,
    ) -> Result<Embedded, Refusal> {
        let plan = self.catalog.plan(&request.model)?;
        let permit = access::authorize(caller, plan.targets(), &[Feature::Embeddings])?;
        let bound = bound::of_texts(&request);
        let mut slot = self.limits.admit(&permit, bound.likely_input).await?;
        let targets = permit.targets().to_vec();
        let quote = prices::quote(&self.prices.current(), permit, bound);
        let mut meter = self.ledger.hold(quote, order).await?.sent();
        let Some(candidate) = routing::candidates(&plan, &targets).next() else {
            return Err(Error::unsupported("embeddings").into());
        };
        meter.reaches(&candidate.target, 1);
        let model = candidate.target.model.clone();
        let embedded = tokio::select! {
            embedded = candidate.provider.embed(EmbedRequest { model, ..request }) => embedded,
            () = self.tasks.stopping() => Err(stopped()),
        };
        match embedded {
            Ok(mut response) => {
                let used = if response.usage.is_empty() { meter.used() } else { response.usage };
                response.usage = meter.told(&used);
                let settled = Outcome::new(Disposition::Settled, used);
                let (limits, rates) = (slot.rates().told(None), slot.rates());
                let receipt = metered::settle(meter, (slot.tab(), limits), settled).await?;
                response.receipt = Some(receipt);
                Ok(Embedded { target: candidate.target.clone(), rates, response })
            }
            Err(error) => Err(unanswered(meter, slot.tab(), error)),
        }
    }

    /// Counts the prompt tokens of a request, for a caller who may chat with the model.
    ///
    /// # Errors
    /// Why it was not counted.
    pub async fn count_tokens(
        &self,
        caller: &Arc<Caller>,
        mut request: GenerateRequest,
    ) -> Result<u64, Refusal> {
        let plan = self.catalog.plan(&request.model)?;
        let permit = access::authorize(caller, plan.targets(), &[Feature::Chat])?;
        let _slot = self.limits.admit(&permit, 0).await?;
        let Some(candidate) = routing::candidates(&plan, permit.targets()).next() else {
            return Err(Error::unsupported("token counting").into());
        };
        request.model.clone_from(&candidate.target.model);
        candidate.provider.count_tokens(request).await.map_err(Refusal::Provider)
    }
}

/// The provider was asked, or about to be: whether it works on the call is not known.
fn stopped() -> Error {
    let message =
        "the server stopped before the provider answered. What it may have cost is charged";
    Error::new(ErrorKind::StreamInterrupted, message)
}

/// Ends a call that failed before its first event.
fn unanswered(meter: Meter, mut tab: Tab, error: Error) -> Refusal {
    if routing::was_taken(&error) {
        tab.used(meter.used().total());
        meter.interrupt(error.kind());
    } else {
        meter.fail(error.kind());
    }
    Refusal::Provider(error)
}
