//! What entries would cost at other prices. Nothing is changed: entries keep what they cost.

use super::PriceList;
use crate::{
    access::Target,
    store::{CostRow, Store, StoreError},
};
use serde::Serialize;
use std::{collections::BTreeMap, ops::Range};
use tollgate_types::{NanoUsd, Usage};

/// Entries that are read at once.
const PAGE: u32 = 2_000;

/// What entries are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecomputeBy {
    /// The name of the user.
    User,
    /// The id of the key.
    Key,
    /// The provider.
    Provider,
    /// `provider/model`.
    Model,
    /// The day, in UTC.
    Day,
}

/// What a group of entries cost, and what it would.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recomputed {
    /// The value grouped by.
    pub group: String,
    /// How many entries.
    pub requests: u64,
    /// What they cost.
    pub old_nano_usd: NanoUsd,
    /// What they would.
    pub new_nano_usd: NanoUsd,
    /// How many had no price.
    pub unpriced_before: u64,
    /// How many would have none.
    pub unpriced_now: u64,
}

impl Recomputed {
    /// How much more, or less, they would cost.
    pub fn difference(&self) -> NanoUsd {
        self.new_nano_usd.saturating_sub(self.old_nano_usd)
    }

    fn add(&mut self, old: Option<NanoUsd>, new: Option<NanoUsd>) {
        self.requests = self.requests.saturating_add(1);
        let sum = |all: &mut NanoUsd, one: Option<NanoUsd>, without: &mut u64| match one {
            Some(cost) => *all = all.saturating_add(cost),
            None => *without = without.saturating_add(1),
        };
        sum(&mut self.old_nano_usd, old, &mut self.unpriced_before);
        sum(&mut self.new_nano_usd, new, &mut self.unpriced_now);
    }
}

/// Prices the entries of a span of time again, by group.
///
/// # Errors
/// Any database failure.
pub async fn recompute(
    store: &Store,
    prices: &PriceList,
    span_ms: Range<i64>,
    by: RecomputeBy,
) -> Result<Vec<Recomputed>, StoreError> {
    let mut groups: BTreeMap<String, Recomputed> = BTreeMap::new();
    let mut place = None;
    loop {
        let span = (span_ms.start, span_ms.end);
        let rows = store.costs_after(span, place.as_ref(), PAGE).await?;
        let Some(last) = rows.last() else { break };
        place = Some(last.place());
        for row in &rows {
            let group = groups.entry(value(row, by)).or_default();
            group.add(row.cost_nano_usd.map(NanoUsd), again(row, prices));
        }
    }
    Ok(groups.into_iter().map(|(group, sums)| Recomputed { group, ..sums }).collect())
}

/// What an entry would cost. One that used nothing costs nothing, as in the ledger; one that was
/// answered from a cache keeps what it cost.
fn again(row: &CostRow, prices: &PriceList) -> Option<NanoUsd> {
    if row.disposition == "cached" {
        return row.cost_nano_usd.map(NanoUsd);
    }
    let target = Target { provider: row.provider.clone(), model: row.model.clone() };
    let rates = prices.of(&target)?;
    let tool_fees = serde_json::from_str(&row.tool_fees).unwrap_or_default();
    let usage = Usage { tool_fees, ..row.tokens.into() };
    Some(if usage.is_empty() { NanoUsd::ZERO } else { rates.cost(&usage) })
}

fn value(row: &CostRow, by: RecomputeBy) -> String {
    match by {
        RecomputeBy::User => row.user_name.clone(),
        RecomputeBy::Key => row.key_id.clone(),
        RecomputeBy::Provider => row.provider.clone(),
        RecomputeBy::Model => format!("{}/{}", row.provider, row.model),
        RecomputeBy::Day => jiff::Timestamp::from_millisecond(row.started_ms)
            .map_or_else(|_| row.started_ms.to_string(), |t| t.strftime("%Y-%m-%d").to_string()),
    }
}
