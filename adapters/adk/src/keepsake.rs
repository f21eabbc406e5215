//! The part at the end of an answer that holds what adk's own parts cannot.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tollgate_types::{Origin, Part};

/// The name under which it travels.
const NAME: &str = "tollgate";

/// The provider's parts and who made them: signatures and native items are replayed only to the API
/// that made them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Keepsake {
    pub(crate) origin: Origin,
    pub(crate) parts: Vec<Part>,
}

impl Keepsake {
    /// As adk keeps it.
    pub(crate) fn into_part(self) -> Result<adk_core::Part, serde_json::Error> {
        let server_tool_call = json!({NAME: serde_json::to_value(self)?});
        Ok(adk_core::Part::ServerToolCall { server_tool_call })
    }

    /// Reads one; `None` for another part.
    pub(crate) fn of(part: &adk_core::Part) -> Option<Result<Self, serde_json::Error>> {
        Self::value(part).map(Self::deserialize)
    }

    fn value(part: &adk_core::Part) -> Option<&Value> {
        match part {
            adk_core::Part::ServerToolCall { server_tool_call } => server_tool_call.get(NAME),
            _ => None,
        }
    }
}
