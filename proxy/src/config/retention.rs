//! `[retention]`: how long usage is kept. What is not set is kept for ever; the audit trail always is.

use serde::{Deserialize, Serialize};

/// How long usage is kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Days for which single requests are kept; on PostgreSQL whole months of them go together.
    pub entries_days: Option<u32>,
    /// Days for which hourly sums are kept.
    pub rollups_days: Option<u32>,
}

impl Retention {
    pub(super) fn validate(&self) -> Result<(), String> {
        let days = [("entries_days", self.entries_days), ("rollups_days", self.rollups_days)];
        for (name, days) in days {
            if days.is_some_and(|days| !(1..=36_500).contains(&days)) {
                return Err(format!(
                    "retention.{name} must be from 1 to 36500, or absent to keep all"
                ));
            }
        }
        match (self.entries_days, self.rollups_days) {
            (None, Some(_)) => Err(
                "retention.rollups_days needs entries_days: sums are kept as long as what they sum"
                    .to_owned(),
            ),
            (Some(entries), Some(rollups)) if rollups < entries => Err(format!(
                "retention.rollups_days is {rollups}, less than entries_days ({entries}): sums are kept at least as long as what they sum"
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_outlive_what_they_sum() {
        let valid = |entries_days, rollups_days| {
            Retention { entries_days, rollups_days }.validate().is_ok()
        };
        assert!(valid(None, None) && valid(Some(30), None) && valid(Some(30), Some(30)));
        assert!(!valid(None, Some(30)) && !valid(Some(31), Some(30)));
        assert!(!valid(Some(0), None) && !valid(Some(36_501), None));
    }
}
