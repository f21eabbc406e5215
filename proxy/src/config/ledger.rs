//! `[ledger]`: whether calls are booked, and when a server among several is dead.

use serde::{Deserialize, Serialize};

/// The books.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LedgerSettings {
    /// Off: no call is held, counted or recorded, and no budget is kept. A server with budgets
    /// does not start so.
    pub enabled: bool,
    /// A server that has not been seen for so long is dead: the others settle its open calls. Only
    /// where several share a database.
    pub lease_seconds: u64,
}

impl Default for LedgerSettings {
    fn default() -> Self {
        Self { enabled: true, lease_seconds: 30 }
    }
}

impl LedgerSettings {
    pub(super) fn validate(&self) -> Result<(), String> {
        if (3..=3600).contains(&self.lease_seconds) {
            return Ok(());
        }
        Err(format!("ledger.lease_seconds is {}, use 3 to 3600", self.lease_seconds))
    }
}
