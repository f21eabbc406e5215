//! What a request would cost, told without running it.

use crate::{BudgetStatus, NanoUsd, lenient};
use serde::{Deserialize, Serialize};

/// What a request could come to: the bound that is set aside when it is run, and what is likely.
/// Nothing is set aside by asking, so a call made afterwards may find the budgets changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Model as the caller named it.
    pub model: String,
    /// The models that may answer, as `provider/model`, the first choice first.
    pub targets: Vec<String>,
    /// No prompt of this request has more tokens than this, whatever provider counts them.
    pub max_input_tokens: u64,
    /// The likely number of prompt tokens; exact for models in the server's own process.
    pub likely_input_tokens: u64,
    /// The longest answer: what the caller and the model allow and the budgets can pay for.
    pub max_output_tokens: u64,
    /// The length that is assumed of a likely answer: [`Estimate::USUAL_OUTPUT`] tokens, unless no
    /// answer can be so long.
    pub likely_output_tokens: u64,
    /// The most that the call can cost, answered by the dearest model; absent when a model that may
    /// answer has no price.
    #[serde(rename = "max_cost_nano_usd", default, skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<NanoUsd>,
    /// What the likely tokens cost, answered by the first choice; absent when it has no price.
    #[serde(rename = "likely_cost_nano_usd", default, skip_serializing_if = "Option::is_none")]
    pub likely_cost: Option<NanoUsd>,
    /// Whether every budget would let the call begin.
    pub fits: bool,
    /// The most output tokens that the budgets can pay for, where that is less than the caller and
    /// the model allow: the call would be run with this limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clamped_to: Option<u64>,
    /// Every budget that the call would be charged to.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "lenient::readable"
    )]
    pub budgets: Vec<BudgetEstimate>,
}

impl Estimate {
    /// Output tokens that a likely answer is assumed to have.
    pub const USUAL_OUTPUT: u64 = 500;
}

/// What a request means to one budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetEstimate {
    /// The budget as it stands.
    pub budget: BudgetStatus,
    /// What would be set aside in it, in its unit, for the longest answer that every budget can pay
    /// for.
    pub amount: i64,
    /// The longest answer that this budget can pay for; absent when it limits no length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// Why this budget would refuse the call; absent when it would not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}
