//! Sums as the person who pays reads them.

use super::{calendar, query::Terms};
use crate::store::{GroupRow, RollupRow};
use tollgate_types::{NanoUsd, Usage, UsageGroup};

pub(super) fn of_row(terms: &Terms, row: &GroupRow) -> UsageGroup {
    let Some((first, second)) = terms.group_by else { return of_sums(&row.sums) };
    let label = |dimension, value| calendar::label(dimension, value, &terms.zone);
    UsageGroup {
        group: label(first, &row.group_value),
        subgroup: second.map(|second| label(second, &row.subgroup_value)),
        ..of_sums(&row.sums)
    }
}

/// Groups that share no request, together.
pub(super) fn total(rows: &[GroupRow]) -> UsageGroup {
    let mut total = RollupRow::default();
    rows.iter().for_each(|row| total.add(&row.sums));
    of_sums(&total)
}

fn of_sums(sums: &RollupRow) -> UsageGroup {
    UsageGroup {
        group: String::new(),
        subgroup: None,
        requests: count(sums.requests),
        usage: Usage { estimated: sums.estimated != 0, ..sums.tokens.into() },
        cost: NanoUsd(sums.cost_nano_usd),
        unpriced: count(sums.unpriced),
        failed: count(sums.failed),
        estimated: count(sums.estimated),
        average_latency_ms: average(sums.latency_ms, sums.requests),
        average_ttft_ms: average(sums.first_token_ms, sums.first_tokens),
    }
}

fn average(sum: i64, of: i64) -> Option<u64> {
    sum.checked_div(of).map(count)
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
