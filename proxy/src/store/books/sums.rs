//! The sums of an hour that an entry belongs to.

use super::{Booking, RollupKey, RollupRow};
use crate::store::EntryRow;
use std::collections::BTreeMap;

/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 3_600_000;
/// More tags of one call are in its entry, but are not summed.
const SUMMED_TAGS: usize = 8;
/// So is a longer one: PostgreSQL's indexes take 2704 bytes in all, and a sum that it refuses would
/// keep its call from ending for ever.
const LONGEST_TAG: usize = 512;

/// Sums by what their entries have in common.
pub type Sums = BTreeMap<RollupKey, RollupRow>;

/// When the hour of a moment begins.
pub fn hour_of(ms: i64) -> i64 {
    ms.saturating_sub(ms.rem_euclid(HOUR_MS))
}

/// What entries add to the sums.
pub(super) fn sums_of(bookings: &[Booking]) -> Sums {
    let mut sums = Sums::new();
    bookings.iter().for_each(|booking| add_entry(&mut sums, &booking.entry));
    sums
}

/// Adds an entry: once by itself, and once for each of its tags.
pub fn add_entry(sums: &mut Sums, entry: &EntryRow) {
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
            sums.entry(RollupKey { tag, ..key.clone() }).or_default().count(entry);
        }
    }
    sums.entry(key).or_default().count(entry);
}

impl RollupRow {
    fn count(&mut self, entry: &EntryRow) {
        let add = |sum: &mut i64, more: i64| *sum = sum.saturating_add(more);
        add(&mut self.requests, 1);
        add(&mut self.failed, i64::from(entry.error.is_some()));
        add(&mut self.unpriced, i64::from(entry.cost_nano_usd.is_none()));
        add(&mut self.estimated, i64::from(entry.estimated != 0));
        self.tokens.add(&entry.tokens);
        add(&mut self.cost_nano_usd, entry.cost_nano_usd.unwrap_or_default());
        add(&mut self.latency_ms, entry.latency_ms);
        add(&mut self.first_token_ms, entry.first_token_ms.unwrap_or_default());
        add(&mut self.first_tokens, i64::from(entry.first_token_ms.is_some()));
    }
}
