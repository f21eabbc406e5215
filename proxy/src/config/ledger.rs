//! `[ledger]`: how servers that share a database take each other for dead.

use serde::{Deserialize, Serialize};

/// The books.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LedgerSettings {
    /// A server that has not been seen for so long is dead: the others settle its open calls. Only
    /// where several share a database.
    pub lease_seconds: u64,
}

impl Default for LedgerSettings {
    fn default() -> Self {
        Self { lease_seconds: 30 }
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
