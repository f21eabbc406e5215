//! What rig keeps beside each block of an answer: the provider's part, and who made it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tollgate_types::{Origin, Part};

/// Where the id of a tool call is in an item.
pub(crate) const CALL_ID: &str = "/part/id";

/// A part with its origin: signatures and native items are replayed only to the API that made them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) part: Part,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<Origin>,
}

impl Item {
    /// As rig keeps it.
    pub(crate) fn into_json(self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(self)
    }

    pub(crate) fn read(item: &Value) -> Result<Self, serde_json::Error> {
        Self::deserialize(item)
    }
}
