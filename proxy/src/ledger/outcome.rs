//! How a call ended, and the entry that says so.

use crate::{
    prices::{FeeBounds, Rates},
    store::{Charge, Kind, NewEntry, Tokens},
};
use std::{collections::BTreeMap, sync::Arc};
use tollgate_types::{ErrorKind, Finish, GPU_MS, NanoUsd, Usage};

/// What ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The provider finished and said what was used.
    Settled,
    /// The caller left; the provider was stopped.
    Cancelled,
    /// The provider broke in the middle.
    Interrupted,
    /// The provider refused before it produced anything.
    Failed,
    /// The hold was used up.
    Cut,
    /// The server died.
    Unknown,
}

impl Disposition {
    /// The one word for this in SQL, JSON and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
            Self::Cut => "cut",
            Self::Unknown => "unknown",
        }
    }
}

/// How a call ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What ended it.
    pub disposition: Disposition,
    /// What it used.
    pub usage: Usage,
    /// Why the model stopped, if it did.
    pub finish: Option<Finish>,
    /// The error that ended it, if one did.
    pub error: Option<ErrorKind>,
}

impl Outcome {
    /// An end that is neither a finish nor an error.
    pub fn new(disposition: Disposition, usage: Usage) -> Self {
        Self { disposition, usage, finish: None, error: None }
    }

    /// An end that comes with an error.
    pub fn broken(disposition: Disposition, usage: Usage, error: ErrorKind) -> Self {
        Self { error: Some(error), ..Self::new(disposition, usage) }
    }
}

/// The most that a call was allowed to use: what its hold covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ceiling<'q> {
    /// Prompt tokens.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Nano-dollars.
    pub cost: i64,
    /// Calls of the provider's tools, where a budget limits the call.
    pub fees: Option<&'q FeeBounds>,
}

/// Where nothing limits a call, more calls of a tool than this are not believed: hundreds of times
/// what any request is published to have made.
const BELIEVABLE_CALLS: u64 = 10_000;

/// Writes the outcome into the entry that was planned, never above the ceiling: what a provider
/// reports beyond it is cut and flagged. Returns what the budgets are charged.
pub(super) fn record(
    entry: &mut NewEntry,
    outcome: &Outcome,
    rates: Option<&Arc<Rates>>,
    ceiling: Ceiling<'_>,
) -> Charge {
    let (usage, absurd) = within(&outcome.usage, ceiling);
    let exact =
        rates.map(|rates| if usage.is_empty() { NanoUsd::ZERO } else { rates.cost(&usage) });
    let cost = exact.map(|cost| cost.0.min(ceiling.cost));
    let planned = &*entry.kind;
    let mut kind = Kind {
        clamped: i64::from(absurd || exact.map(|cost| cost.0) != cost),
        disposition: outcome.disposition.as_str().into(),
        finish: outcome.finish.as_ref().map(|finish| finish.reason.as_str().into()),
        error: outcome.error.map(|kind| kind.as_str().into()),
        estimated: i64::from(usage.estimated),
        ..planned.borrowed()
    };
    if planned.price_version.as_deref() != rates.map(|rates| rates.version.as_str()) {
        kind.price = rates.map(|rates| rates.json().into());
        kind.price_version = rates.map(|rates| rates.version.as_str().into());
    }
    if !usage.tool_fees.is_empty() {
        kind.tool_fees = serde_json::to_string(&usage.tool_fees).unwrap_or_default().into();
    }
    let kind = kind.shared();
    entry.kind = kind;
    entry.cost_nano_usd = cost;
    entry.tokens = Tokens::from(&usage);
    let counts = outcome.disposition != Disposition::Failed || !usage.is_empty();
    Charge {
        cost: cost.unwrap_or_default(),
        tokens: i64::try_from(usage.total()).unwrap_or(i64::MAX),
        requests: i64::from(counts),
    }
}

/// Usage as reported; cut to the hold when a provider reports more than that in all.
pub(super) fn within(usage: &Usage, ceiling: Ceiling<'_>) -> (Usage, bool) {
    let tool_fees = fees_within(&usage.tool_fees, ceiling);
    let cut = tool_fees != usage.tool_fees;
    if usage.total() <= ceiling.input.saturating_add(ceiling.output) {
        let estimated = usage.estimated || cut;
        return (Usage { tool_fees, estimated, ..usage.clone() }, cut);
    }
    let input = usage.total_input().min(ceiling.input);
    let output = usage.total_output().min(ceiling.output);
    (Usage { tool_fees, estimated: true, ..Usage::tokens(input, output) }, true)
}

/// Counted fees. Those of tools that the request did not offer cost nothing by themselves or come
/// out of the hold as a whole: they are believed. Time is bounded by the price.
fn fees_within(fees: &BTreeMap<String, u64>, ceiling: Ceiling<'_>) -> BTreeMap<String, u64> {
    let most = |fee: &str| match fee {
        GPU_MS => u64::MAX,
        fee => ceiling.fees.and_then(|fees| fees.most(fee)).unwrap_or(BELIEVABLE_CALLS),
    };
    fees.iter().map(|(fee, count)| (fee.clone(), (*count).min(most(fee)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CEILING: Ceiling<'_> = Ceiling { input: 60, output: 40, cost: 1_000, fees: None };

    fn recorded(usage: Usage, per_million: i64) -> (NewEntry, Charge) {
        let mut entry = NewEntry::default();
        let rates = Arc::new(Rates { input: per_million, output: per_million, ..Rates::default() });
        let outcome = Outcome::new(Disposition::Settled, usage);
        let charge = record(&mut entry, &outcome, Some(&rates), CEILING);
        (entry, charge)
    }

    #[test]
    fn what_a_provider_reports_within_the_hold_is_charged_exactly() {
        let (entry, charge) = recorded(Usage::tokens(30, 20), 2_000_000);
        assert_eq!(charge, Charge { cost: 100, tokens: 50, requests: 1 });
        assert_eq!((entry.tokens.input, entry.tokens.output, entry.kind.clamped), (30, 20, 0));
    }

    #[test]
    fn absurd_usage_is_cut_to_the_hold_and_flagged() {
        let (entry, charge) = recorded(Usage::tokens(u64::MAX, u64::MAX), 1_000_000_000);
        assert_eq!((charge.tokens, charge.cost), (100, 1_000));
        assert_eq!((entry.kind.clamped, entry.kind.estimated), (1, 1));
    }

    #[test]
    fn calls_of_a_tool_beyond_the_hold_are_cut_to_it_and_flagged() {
        let searched = |count: u64| {
            let tool_fees = [("web_search".to_owned(), count)].into();
            Outcome::new(Disposition::Settled, Usage { tool_fees, ..Usage::tokens(1, 1) })
        };
        let mut fees = FeeBounds::default();
        fees.add(&[("web_search", 3)]);
        // A thousand nano-dollars a search.
        let tools = [("web_search".to_owned(), 1_000_000)].into();
        let rates = Arc::new(Rates { tools, version: "file:x".into(), ..Rates::default() });
        let limited = Ceiling { cost: 3_000, fees: Some(&fees), ..CEILING };
        let unlimited = Ceiling { cost: i64::MAX, ..CEILING };
        for (count, ceiling, believed, clamped) in [
            (2, limited, 2, 0),
            (9, limited, 3, 1),
            (u64::MAX, limited, 3, 1),
            (9, unlimited, 9, 0),
            (u64::MAX, unlimited, BELIEVABLE_CALLS, 1),
        ] {
            let mut entry = NewEntry::default();
            let charge = record(&mut entry, &searched(count), Some(&rates), ceiling);
            assert_eq!(entry.kind.tool_fees, format!("{{\"web_search\":{believed}}}"));
            assert_eq!((entry.kind.clamped, entry.kind.estimated), (clamped, clamped), "{count}");
            assert_eq!(charge.cost, 1_000 * i64::try_from(believed).unwrap());
            assert_eq!(entry.kind.price_version.as_deref(), Some("file:x"));
        }
    }

    #[test]
    fn a_call_that_failed_before_it_produced_anything_costs_nothing() {
        let mut entry = NewEntry::default();
        let outcome = Outcome::new(Disposition::Failed, Usage::default());
        let rates = Arc::new(Rates { per_request: 7, ..Rates::default() });
        let charge = record(&mut entry, &outcome, Some(&rates), CEILING);
        assert_eq!(charge, Charge::default());
        assert_eq!(entry.cost_nano_usd, Some(0));
    }
}
