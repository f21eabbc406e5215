//! `[store]`: where the books are kept.

use serde::{Deserialize, Serialize};

/// Where users, keys, budgets and usage are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// `sqlite:PATH`, missing folders are made; or `postgres://user@host/database`.
    pub url: String,
    /// The most connections that this server opens to PostgreSQL.
    pub connections: u32,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { url: "sqlite:data/tollgate.db".to_owned(), connections: 16 }
    }
}

impl StoreSettings {
    pub(super) fn validate(&self) -> Result<(), String> {
        if !(2..=1000).contains(&self.connections) {
            return Err("store.connections must be from 2 to 1000".to_owned());
        }
        if self.is_postgres() { Ok(()) } else { self.sqlite_path().map(drop) }
    }

    /// Whether the URL names a PostgreSQL database.
    pub fn is_postgres(&self) -> bool {
        ["postgres://", "postgresql://"].iter().any(|scheme| self.url.starts_with(scheme))
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
                "store.url has the scheme {scheme:?}, write it like \"sqlite:data/tollgate.db\" or \"postgres://user@host/database\""
            )
        })
    }
}
