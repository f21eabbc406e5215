//! Sums of hours against the entries that they sum.

mod check;

pub use check::{RollupDifference, rebuild_rollups, rollups_differ};

#[cfg(test)]
mod tests;
