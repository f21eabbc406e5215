//! What a request would come to, by the same steps as when it is run, up to the hold.

use super::{Gateway, Refusal, bound, call};
use crate::{
    access::{self, Caller},
    prices,
};
use std::sync::Arc;
use tollgate_types::{Estimate, GenerateRequest, NanoUsd, Resource, Usage};

impl Gateway {
    /// Tells what a request would cost and whether the caller's budgets would pay for it. Nothing is
    /// set aside and no model is asked; the caller's rate of requests counts it.
    ///
    /// # Errors
    /// Why the request would not be run, budgets apart.
    pub async fn estimate(
        &self,
        caller: &Arc<Caller>,
        request: GenerateRequest,
    ) -> Result<Estimate, Refusal> {
        let plan = self.catalog.plan(&request.model)?;
        let permit = access::authorize(caller, plan.targets(), &call::features(&request, false))?;
        let _slot = self.limits.admit(&permit, 0).await?;
        let targets = permit.targets().to_vec();
        let bound = bound::of_request(&plan, &targets, &request).await?;
        let fees = bound::fees::of_request(&request);
        let quote = prices::quote(&self.prices.current(), permit, bound).with_fees(fees);
        let forecast = self.ledger.forecast(&quote).await?;

        let is_priced =
            quote.unpriced().next().is_none() && quote.unpriced_tools().next().is_none();
        let max_cost = is_priced.then(|| quote.amount(Resource::Cost, forecast.max_output));
        let likely_output = Estimate::USUAL_OUTPUT.min(forecast.max_output);
        let rates = targets.first().and_then(|first| quote.rates_of(first));
        let likely = Usage::tokens(bound.likely_input, likely_output);
        let fits = forecast.budgets.iter().all(|budget| budget.refusal.is_none());
        Ok(Estimate {
            model: request.model,
            targets: targets.iter().map(ToString::to_string).collect(),
            max_input_tokens: bound.input_tokens,
            likely_input_tokens: bound.likely_input,
            max_output_tokens: forecast.max_output,
            likely_output_tokens: likely_output,
            max_cost: max_cost.map(NanoUsd),
            likely_cost: rates.map(|rates| rates.cost(&likely)),
            fits,
            clamped_to: (fits && forecast.max_output < bound.max_output)
                .then_some(forecast.max_output),
            budgets: forecast.budgets,
        })
    }
}
