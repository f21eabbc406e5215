//! `[access]`: what holders of keys may do with them.

use serde::{Deserialize, Serialize};

/// Keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessSettings {
    /// How many keys can stand in a line below a key that an operator made: 0 forbids delegation.
    pub max_delegation_depth: u8,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self { max_delegation_depth: 3 }
    }
}

impl AccessSettings {
    pub(super) fn validate(&self) -> Result<(), String> {
        if self.max_delegation_depth <= 8 {
            return Ok(());
        }
        Err(format!("access.max_delegation_depth is {}, use 0 to 8", self.max_delegation_depth))
    }
}
