//! What a quote would come to in the caller's budgets, decided as a hold would be and without one.

use super::{Ledger, hold::HoldError, known::Charged, page, scope, status};
use crate::{
    prices::Quote,
    store::{StoreError, promptly},
};
use tollgate_types::{BudgetEstimate, Resource};

/// What holding a quote would come to now.
#[derive(Clone, Debug, Default)]
pub struct Forecast {
    /// The longest answer that every budget can pay for.
    pub max_output: u64,
    /// Every budget that the call would be charged to.
    pub budgets: Vec<BudgetEstimate>,
}

pub(super) async fn of_quote(ledger: &Ledger, quote: &Quote) -> Result<Forecast, StoreError> {
    let mut forecast = Forecast { max_output: quote.bound().max_output, budgets: Vec::new() };
    if ledger.queue.is_none() {
        return Ok(forecast);
    }
    let now_ms = ledger.clock.now_ms();
    let mut resources = Vec::new();
    for charged in promptly(counted(ledger, quote, now_ms)).await? {
        let (resource, _) = status::terms(&charged.budget)?;
        let (most, refusal) = match charged.budget.enforcement.as_str() {
            "soft" => (None, None),
            _ => match page::affordable(quote, &charged, (resource, now_ms)) {
                Ok(most) => (Some(most), None),
                Err(HoldError::Store(error)) => return Err(error),
                Err(refusal) => (None, Some(refusal.to_string())),
            },
        };
        forecast.max_output = forecast.max_output.min(most.unwrap_or(u64::MAX));
        resources.push(resource);
        forecast.budgets.push(BudgetEstimate {
            budget: status::of_charged(&charged, now_ms)?,
            amount: 0,
            max_output_tokens: most.filter(|_| resource != Resource::Requests),
            refusal,
        });
    }
    for (budget, resource) in forecast.budgets.iter_mut().zip(resources) {
        budget.amount = quote.amount(resource, forecast.max_output);
    }
    Ok(forecast)
}

/// The caller's budgets that count the call, with the counters of this moment.
async fn counted(ledger: &Ledger, quote: &Quote, now_ms: i64) -> Result<Vec<Charged>, StoreError> {
    let mut rows = ledger.store.budgets_of(quote.permit().caller().owners()).await?;
    rows.retain(|row| scope::could_count(row, quote.permit()));
    status::charged(&ledger.store, rows, now_ms).await
}
