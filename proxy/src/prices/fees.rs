//! How often the tools that a provider runs can be called for one request.

use super::Rates;
use std::collections::BTreeMap;

/// Bounds of counted fees: calls at most, by the name of the fee.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeeBounds {
    calls: BTreeMap<String, u64>,
    /// For every tool the fees that vendors charge for it: one of them needs a price.
    tools: Vec<Vec<String>>,
}

impl FeeBounds {
    /// Adds a tool that is charged by one of several fees, each with the most that it can count.
    pub fn add(&mut self, fees: &[(&str, u64)]) {
        for (fee, calls) in fees {
            let most = self.calls.entry((*fee).to_owned()).or_default();
            *most = most.saturating_add(*calls);
        }
        self.tools.push(fees.iter().map(|(fee, _)| (*fee).to_owned()).collect());
    }

    /// The most calls of a tool that the request offers, by its fee.
    pub fn most(&self, fee: &str) -> Option<u64> {
        self.calls.get(fee).copied()
    }

    /// Calls at most, by the name of the fee.
    pub(super) fn calls(&self) -> &BTreeMap<String, u64> {
        &self.calls
    }

    /// The first tool that has no price among these rates.
    pub(super) fn unpriced(&self, rates: &Rates) -> Option<&str> {
        let priced = |fee: &String| rates.tools.contains_key(fee);
        let tool = self.tools.iter().find(|fees| !fees.iter().any(priced))?;
        tool.first().map(String::as_str)
    }
}
