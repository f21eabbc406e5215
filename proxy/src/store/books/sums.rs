//! The sums of an hour that an entry belongs to.

use super::{Booking, RollupKey, RollupRow};
use crate::store::{Kind, NewEntry};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

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
    // Entries that share a kind are most of them, and the key of a row is many texts.
    let mut alike: HashMap<_, (&Kind<'_>, RollupRow)> = HashMap::new();
    for Booking { entry, .. } in bookings {
        let of = (hour_of(entry.started_ms), Arc::as_ptr(&entry.kind));
        alike.entry(of).or_insert_with(|| (&entry.kind, RollupRow::default())).1.count(entry);
    }
    let mut sums = Sums::new();
    for ((hour_ms, _), (kind, row)) in &alike {
        add_row(&mut sums, (*hour_ms, kind), row);
    }
    sums
}

/// Adds an entry: once by itself, and once for each of its tags.
pub fn add_entry(sums: &mut Sums, entry: &NewEntry) {
    let mut row = RollupRow::default();
    row.count(entry);
    add_row(sums, (hour_of(entry.started_ms), &entry.kind), &row);
}

fn add_row(sums: &mut Sums, (hour_ms, kind): (i64, &Kind<'_>), row: &RollupRow) {
    let key = RollupKey {
        hour_ms,
        tag: String::new(),
        user_id: kind.user_id.to_string(),
        key_id: kind.key_id.to_string(),
        team_id: kind.team_id.as_deref().unwrap_or_default().to_owned(),
        provider: kind.provider.to_string(),
        model: kind.model.to_string(),
        features: kind.features.to_string(),
    };
    if kind.tags != "{}" {
        let tags: BTreeMap<String, String> = serde_json::from_str(&kind.tags).unwrap_or_default();
        let short = |(name, value): &(String, String)| name.len() + value.len() < LONGEST_TAG;
        for (name, value) in tags.into_iter().take(SUMMED_TAGS).filter(short) {
            let tag = format!("{name}={value}");
            sums.entry(RollupKey { tag, ..key.clone() }).or_default().add(row);
        }
    }
    sums.entry(key).or_default().add(row);
}

impl RollupRow {
    fn count(&mut self, entry: &NewEntry) {
        let add = |sum: &mut i64, more: i64| *sum = sum.saturating_add(more);
        add(&mut self.requests, 1);
        add(&mut self.failed, i64::from(entry.kind.error.is_some()));
        add(&mut self.unpriced, i64::from(entry.cost_nano_usd.is_none()));
        add(&mut self.estimated, i64::from(entry.kind.estimated != 0));
        self.tokens.add(&entry.tokens);
        add(&mut self.cost_nano_usd, entry.cost_nano_usd.unwrap_or_default());
        add(&mut self.latency_ms, entry.latency_ms);
        add(&mut self.first_token_ms, entry.first_token_ms.unwrap_or_default());
        add(&mut self.first_tokens, i64::from(entry.first_token_ms.is_some()));
    }
}
