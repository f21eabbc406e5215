//! Usage as the person who pays reads it.

use crate::{NanoUsd, Usage};
use serde::{Deserialize, Serialize};

/// One request that reached a provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageRow {
    /// Tollgate's id of the request.
    pub request_id: String,
    /// When it began, milliseconds since 1970 UTC.
    pub started_ms: i64,
    /// Name of the user.
    pub user: String,
    /// Id of the key.
    pub key_id: String,
    /// Provider that answered.
    pub provider: String,
    /// Model that answered, as the provider calls it.
    pub model: String,
    /// What ended it: `settled`, `cancelled`, `interrupted`, `failed`, `cut` or `unknown`.
    pub disposition: String,
    /// Tokens by kind.
    pub usage: Usage,
    /// The exact cost; absent when the model had no price.
    #[serde(rename = "cost_nano_usd", default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<NanoUsd>,
    /// From admission to the end, milliseconds.
    pub latency_ms: i64,
    /// From admission to the first token, milliseconds; absent when none came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<i64>,
    /// Whether the answer was streamed to the caller.
    pub streamed: bool,
    /// Kind of the error that ended it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One line of a usage report: the calls that share the group's value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageGroup {
    /// The value grouped by (a user, a model, a day ...); empty when nothing was grouped.
    pub group: String,
    /// How many requests.
    pub requests: u64,
    /// Tokens by kind, summed.
    pub usage: Usage,
    /// Cost, summed over the requests that had a price.
    #[serde(rename = "cost_nano_usd")]
    pub cost: NanoUsd,
    /// How many of the requests had no price.
    #[serde(default)]
    pub unpriced: u64,
}

/// Usage of a span of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageReport {
    /// What `groups` is grouped by: `user`, `key`, `provider`, `model`, `day`; absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
    /// One line per group, the most expensive first.
    pub groups: Vec<UsageGroup>,
    /// Everything together.
    pub total: UsageGroup,
    /// The newest requests themselves, when asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<UsageRow>,
}
