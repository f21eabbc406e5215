//! Reports: sums out of the hourly rollups, and single entries, page by page.
//!
//! Sums never read the entries, however many there are: see `sums`. A filter's names are looked up
//! first (`scope`), so that the statements themselves can use an index.

mod rows;
mod scope;
mod sums;

pub use rows::{EntryCursor, NamedEntry};
pub use sums::{Dimension, GroupRow, Grouping, Span};

/// Which calls a report is about; an absent field stands for any.
#[derive(Clone, Debug, Default)]
pub struct UsageFilter {
    /// Only this user's, by name or id.
    pub user: Option<String>,
    /// Only this user's, by id: the bound of a caller who is no administrator.
    pub user_id: Option<String>,
    /// Only of users who were in this team at that time, by name or id.
    pub team: Option<String>,
    /// Only of teams of this organisation, by name or id.
    pub organisation: Option<String>,
    /// Only this key's.
    pub key_id: Option<String>,
    /// With the key's, those of the keys that were delegated from it.
    pub delegated: bool,
    /// Only this provider's.
    pub provider: Option<String>,
    /// Only this model's, bare or as `provider/model`.
    pub model: Option<String>,
    /// Only those that used this feature.
    pub feature: Option<String>,
    /// Only those with this label.
    pub tag: Option<TagFilter>,
    /// Started at or after.
    pub since_ms: Option<i64>,
    /// Started before.
    pub until_ms: Option<i64>,
    /// Only those that ended like this; for single entries alone.
    pub disposition: Option<String>,
    /// Only those behind this one, newest first; for single entries alone.
    pub before: Option<EntryCursor>,
}

/// A label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagFilter {
    /// Its name.
    pub name: String,
    /// Its value; absent for any.
    pub value: Option<String>,
}

#[cfg(test)]
mod tests;
