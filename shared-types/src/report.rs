//! Usage as the person who pays reads it.

use crate::{NanoUsd, Usage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// 1 for the first attempt of the request.
    #[serde(default)]
    pub attempt: u32,
    /// Name of the user's team at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Model as the caller named it.
    #[serde(default)]
    pub asked_model: String,
    /// Wire format of the caller: `native`, `openai` ...
    #[serde(default)]
    pub dialect: String,
    /// The features that the call used.
    #[serde(default)]
    pub features: Vec<String>,
    /// Why the model stopped, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<String>,
    /// Whether the provider reported more than was set aside, and the charge was cut to that.
    #[serde(default, skip_serializing_if = "is_false")]
    pub clamped: bool,
    /// Where the price came from, and which of its versions it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_version: Option<String>,
    /// The provider's own id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_request_id: Option<String>,
    /// The caller's labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// `skip_serializing_if` hands over a reference.
fn is_false(flag: &bool) -> bool {
    !flag
}

/// One line of a usage report: the calls that share the group's value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageGroup {
    /// The value grouped by (a user, a model, a day ...); empty when nothing was grouped, and for
    /// the calls that have no such value.
    pub group: String,
    /// The second value, when grouped by two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subgroup: Option<String>,
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
    /// How many ended with an error.
    #[serde(default)]
    pub failed: u64,
    /// How many have tokens that Tollgate counted itself.
    #[serde(default)]
    pub estimated: u64,
    /// From admission to the end, milliseconds, on average; absent without requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_latency_ms: Option<u64>,
    /// From admission to the first token, milliseconds, on average of the requests that had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_ttft_ms: Option<u64>,
}

/// Usage of a span of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageReport {
    /// What `groups` is grouped by: one or two of `user`, `team`, `organisation`, `key`, `provider`,
    /// `model`, `feature`, `tag`, `hour`, `day`, `week` and `month`, with a comma between; absent for
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
    /// The first hour that is covered, milliseconds since 1970 UTC; absent: since the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// The end of the last hour that is covered; absent: until now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
    /// IANA name of the time zone of hours, days, weeks and months; absent for UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// One line per group, the most expensive first. A request with several features or tags
    /// counts under each of them.
    pub groups: Vec<UsageGroup>,
    /// Whether there are more groups than one report tells, all of them cheaper.
    #[serde(default, skip_serializing_if = "is_false")]
    pub more_groups: bool,
    /// Everything together.
    pub total: UsageGroup,
    /// The newest requests themselves, when asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<UsageRow>,
    /// Where the next page of rows begins, as `before` of the next query; absent behind the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
