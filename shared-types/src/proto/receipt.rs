//! Usage, and what was charged for it.

use super::{
    field::{all, read_json, write_json},
    v1,
};
use crate::{BudgetStatus, CallLimits, Error, NanoUsd, RateLimit, Receipt, Result, Usage};
use serde::de::DeserializeOwned;

impl From<Usage> for v1::Usage {
    fn from(usage: Usage) -> Self {
        Self {
            input: usage.input,
            cache_read: usage.cache_read,
            cache_write_5m: usage.cache_write_5m,
            cache_write_1h: usage.cache_write_1h,
            audio_in: usage.audio_in,
            image_in: usage.image_in,
            output: usage.output,
            reasoning: usage.reasoning,
            audio_out: usage.audio_out,
            tool_fees: usage.tool_fees,
            estimated: usage.estimated,
        }
    }
}

impl From<v1::Usage> for Usage {
    fn from(usage: v1::Usage) -> Self {
        Self {
            input: usage.input,
            cache_read: usage.cache_read,
            cache_write_5m: usage.cache_write_5m,
            cache_write_1h: usage.cache_write_1h,
            audio_in: usage.audio_in,
            image_in: usage.image_in,
            output: usage.output,
            reasoning: usage.reasoning,
            audio_out: usage.audio_out,
            tool_fees: usage.tool_fees,
            estimated: usage.estimated,
        }
    }
}

impl From<Receipt> for v1::Receipt {
    fn from(receipt: Receipt) -> Self {
        let Receipt { request_id, upstream_request_id, cost, budgets, limits } = receipt;
        let (cost_nano_usd, budgets) = (cost.map(|NanoUsd(cost)| cost), all(budgets));
        let limits = limits.map(Into::into);
        Self { request_id, upstream_request_id, cost_nano_usd, budgets, limits }
    }
}

/// A budget that says a word of a newer server is left out.
impl From<v1::Receipt> for Receipt {
    fn from(receipt: v1::Receipt) -> Self {
        let v1::Receipt { request_id, upstream_request_id, cost_nano_usd, budgets, limits } =
            receipt;
        let budgets = budgets.into_iter().filter_map(|budget| budget.try_into().ok()).collect();
        let (cost, limits) = (cost_nano_usd.map(NanoUsd), limits.map(Into::into));
        Self { request_id, upstream_request_id, cost, budgets, limits }
    }
}

impl From<CallLimits> for v1::CallLimits {
    fn from(CallLimits { requests, tokens, max_output_tokens }: CallLimits) -> Self {
        let rate = |rate: Option<RateLimit>| {
            rate.map(|RateLimit { limit, remaining, reset_ms }| v1::RateLimit {
                limit,
                remaining,
                reset_ms,
            })
        };
        Self { requests: rate(requests), tokens: rate(tokens), max_output_tokens }
    }
}

impl From<v1::CallLimits> for CallLimits {
    fn from(v1::CallLimits { requests, tokens, max_output_tokens }: v1::CallLimits) -> Self {
        let rate = |rate: Option<v1::RateLimit>| {
            rate.map(|v1::RateLimit { limit, remaining, reset_ms }| RateLimit {
                limit,
                remaining,
                reset_ms,
            })
        };
        Self { requests: rate(requests), tokens: rate(tokens), max_output_tokens }
    }
}

impl From<BudgetStatus> for v1::Budget {
    fn from(status: BudgetStatus) -> Self {
        Self {
            budget: status.budget,
            owner: status.owner,
            resource: status.resource.as_str().to_owned(),
            window: status.window.as_str().to_owned(),
            cap: status.cap,
            spent: status.spent,
            held: status.held,
            resets_at_ms: status.resets_at_ms,
            provider: status.provider,
            model: status.model,
            feature: status.feature,
            soft: status.soft,
        }
    }
}

impl TryFrom<v1::Budget> for BudgetStatus {
    type Error = Error;

    fn try_from(budget: v1::Budget) -> Result<Self> {
        Ok(Self {
            resource: word(&budget.resource, "resource")?,
            window: word(&budget.window, "window")?,
            budget: budget.budget,
            owner: budget.owner,
            cap: budget.cap,
            spent: budget.spent,
            held: budget.held,
            resets_at_ms: budget.resets_at_ms,
            provider: budget.provider,
            model: budget.model,
            feature: budget.feature,
            soft: budget.soft,
        })
    }
}

/// Reads a word as JSON would, so that both ways in know the same words.
fn word<T: DeserializeOwned>(text: &str, field: &str) -> Result<T> {
    read_json(&write_json(&text), field)
}
