//! `[store]`: where the books are kept.

use serde::{Deserialize, Serialize};

/// Where users, keys, budgets and usage are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// `sqlite:PATH`; missing folders are made.
    pub url: String,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { url: "sqlite:data/tollgate.db".to_owned() }
    }
}

impl StoreSettings {
    pub(super) fn validate(&self) -> Result<(), String> {
        self.sqlite_path().map(drop)
    }

    /// Path of the SQLite file.
    ///
    /// # Errors
    /// When the URL names no SQLite file.
    pub fn sqlite_path(&self) -> Result<&str, String> {
        let path = self.url.strip_prefix("sqlite://").or_else(|| self.url.strip_prefix("sqlite:"));
        path.filter(|path| !path.is_empty()).ok_or_else(|| {
            let scheme = self.url.split(':').next().unwrap_or_default();
            format!(
                "store.url has the scheme {scheme:?}, write it like \"sqlite:data/tollgate.db\""
            )
        })
    }
}
