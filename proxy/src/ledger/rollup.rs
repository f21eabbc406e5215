//! The sums of an hour that an entry belongs to.

mod check;

pub use check::{RollupDifference, rebuild_rollups, rollups_differ};

use crate::store::{EntryRow, RollupKey, RollupRow};
use std::collections::BTreeMap;

/// Milliseconds of an hour.
pub(super) const HOUR_MS: i64 = 3_600_000;
/// More tags of one call are in its entry, but are not summed.
const SUMMED_TAGS: usize = 8;
/// So is a longer one: PostgreSQL's indexes take 2704 bytes in all, and a sum that it refuses would
/// keep its call from ending for ever.
const LONGEST_TAG: usize = 512;

/// Sums by what their entries have in common.
pub(super) type Sums = BTreeMap<RollupKey, RollupRow>;

/// When the hour of a moment begins.
pub(super) fn hour_of(ms: i64) -> i64 {
    ms.saturating_sub(ms.rem_euclid(HOUR_MS))
}

/// Adds an entry: once by itself, and once for each of its tags.
pub(super) fn add(sums: &mut Sums, entry: &EntryRow) {
    let key = RollupKey {
        hour_ms: hour_of(entry.started_ms),
        tag: String::new(),
        user_id: entry.user_id.clone(),
        key_id: entry.key_id.clone(),
        team_id: entry.team_id.clone().unwrap_or_default(),
        provider: entry.provider.clone(),
        model: entry.model.clone(),
        features: entry.features.clone(),
    };
    if entry.tags != "{}" {
        let tags: BTreeMap<String, String> = serde_json::from_str(&entry.tags).unwrap_or_default();
        let short = |(name, value): &(String, String)| name.len() + value.len() < LONGEST_TAG;
        for (name, value) in tags.into_iter().take(SUMMED_TAGS).filter(short) {
            let tag = format!("{name}={value}");
            count(sums.entry(RollupKey { tag, ..key.clone() }).or_default(), entry);
        }
    }
    count(sums.entry(key).or_default(), entry);
}

fn count(row: &mut RollupRow, entry: &EntryRow) {
    let add = |sum: &mut i64, more: i64| *sum = sum.saturating_add(more);
    add(&mut row.requests, 1);
    add(&mut row.failed, i64::from(entry.error.is_some()));
    add(&mut row.unpriced, i64::from(entry.cost_nano_usd.is_none()));
    add(&mut row.estimated, i64::from(entry.estimated != 0));
    row.tokens.add(&entry.tokens);
    add(&mut row.cost_nano_usd, entry.cost_nano_usd.unwrap_or_default());
    add(&mut row.latency_ms, entry.latency_ms);
    add(&mut row.first_token_ms, entry.first_token_ms.unwrap_or_default());
    add(&mut row.first_tokens, i64::from(entry.first_token_ms.is_some()));
}

#[cfg(test)]
mod tests;
