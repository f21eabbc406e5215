//! The sums of an hour against the entries that they sum.

use super::{
    Patient,
    report::{Check, Detail, Repair, moment, several},
};
use crate::{
    ledger::{RollupDifference, rebuild_rollups, rollups_differ},
    store::{RollupRow, Store, StoreError},
};
use serde_json::{Value, json};

/// From the first hour to the last.
const ALWAYS: (i64, i64) = (0, i64::MAX);

pub(super) async fn check(store: &Store) -> Result<Check, StoreError> {
    let differences = rollups_differ(store, ALWAYS).await?;
    if differences.is_empty() {
        return Ok(Check::ok("rollups", "every hour's sums are those of its entries"));
    }
    let found = format!("{} not those of the entries", several(differences.len(), "sum"));
    Ok(Check::broken("rollups", found)
        .advise("`tollgate doctor --repair` makes the sums of these hours again; budgets do not depend on them")
        .listing(differences.iter().map(detail)))
}

fn detail(difference: &RollupDifference) -> Detail {
    let RollupDifference { key, found, expected } = difference;
    let hour = moment(key.hour_ms);
    let text = format!(
        "the hour of {hour}, user {}, key {}, {}/{}, tag {:?}: the sums say {}, its entries {}",
        key.user_id,
        key.key_id,
        key.provider,
        key.model,
        key.tag,
        in_words(found.as_ref()),
        in_words(expected.as_ref())
    );
    let fields = json!({
        "hour_ms": key.hour_ms, "user_id": key.user_id, "key_id": key.key_id,
        "provider": key.provider, "model": key.model, "tag": key.tag,
        "found": as_json(found.as_ref()), "expected": as_json(expected.as_ref()),
    });
    Detail::new(text, fields)
}

fn in_words(row: Option<&RollupRow>) -> String {
    row.map_or_else(
        || "nothing".to_owned(),
        |row| {
            format!(
                "{} for {} nano-dollars",
                several(count(row.requests), "call"),
                row.cost_nano_usd
            )
        },
    )
}

fn as_json(row: Option<&RollupRow>) -> Value {
    let Some(row) = row else { return Value::Null };
    json!({
        "requests": row.requests, "failed": row.failed, "cost_nano_usd": row.cost_nano_usd,
        "tokens": row.tokens,
    })
}

fn count(number: i64) -> usize {
    usize::try_from(number).unwrap_or_default()
}

/// What would be made again.
pub(super) async fn plan(store: &Store) -> Result<Option<Repair>, StoreError> {
    let differences = rollups_differ(store, ALWAYS).await?;
    let rows: Vec<_> = differences.iter().map(|difference| detail(difference).fields).collect();
    let first = differences.iter().map(|difference| difference.key.hour_ms).min();
    Ok(first.map(|first_ms| Repair {
        what: "rollups",
        subject: format!("hours from {}", moment(first_ms)),
        before: json!({"wrong_rows": differences.len(), "rows": rows}),
        after: json!({"wrong_rows": 0}),
    }))
}

/// Makes the sums of every hour that is wrong again, and records that.
pub(super) async fn rebuild(
    patient: &Patient<'_>,
    store: &Store,
    repair: &Repair,
) -> Result<(), StoreError> {
    rebuild_rollups(store, ALWAYS).await?;
    let mut change = store.change().await?;
    let deed = super::repair::deed(patient, "doctor.rebuild", "rollups".to_owned(), repair);
    change.record(deed).await?;
    change.commit().await
}
