//! `[websocket]`: connections that carry many calls.

use serde::{Deserialize, Serialize};

/// Connections that carry many calls.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebSocketSettings {
    /// How often a client is asked whether it is there, seconds. One that says nothing for three
    /// times as long, or for `server.read_seconds` where that is longer, is given up.
    pub ping_seconds: u64,
    /// Calls that one connection can have open.
    pub max_calls: usize,
}

impl Default for WebSocketSettings {
    fn default() -> Self {
        Self { ping_seconds: 15, max_calls: 1024 }
    }
}

impl WebSocketSettings {
    pub(super) fn validate(&self) -> Result<(), String> {
        if !(1..=3600).contains(&self.ping_seconds) {
            return Err("websocket.ping_seconds must be 1 to 3600".to_owned());
        }
        if !(1..=1_000_000).contains(&self.max_calls) {
            return Err("websocket.max_calls must be 1 to 1000000".to_owned());
        }
        Ok(())
    }
}
