//! `[server]`: the listener, bodies and shutdown.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The listener, bodies and shutdown.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port; port 0 takes a free one, which is printed.
    pub listen: String,
    /// Largest request body, bytes.
    pub max_body_bytes: usize,
    /// Bytes of request bodies that are received at once, all together; more are answered 503 with
    /// Retry-After.
    pub max_intake_bytes: usize,
    /// Connections at once; further ones are answered 503 with Retry-After and closed.
    pub max_connections: usize,
    /// How long running requests may take to finish after SIGTERM, seconds.
    pub drain_seconds: u64,
    /// How long a client may take to send a request's head, and its body, seconds.
    pub read_seconds: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8787".to_owned(),
            max_body_bytes: 32 * 1024 * 1024,
            max_intake_bytes: 256 * 1024 * 1024,
            max_connections: 10_000,
            drain_seconds: 30,
            read_seconds: 60,
        }
    }
}

impl Server {
    pub(super) fn validate(&self) -> Result<(), String> {
        self.address()?;
        if self.max_body_bytes < 1024 {
            return Err("server.max_body_bytes must be at least 1024".to_owned());
        }
        if self.max_intake_bytes < self.max_body_bytes {
            return Err("server.max_intake_bytes must be at least server.max_body_bytes".to_owned());
        }
        if self.max_connections == 0 {
            return Err("server.max_connections must be at least 1".to_owned());
        }
        if self.read_seconds == 0 {
            return Err("server.read_seconds must be at least 1".to_owned());
        }
        Ok(())
    }

    /// The address to listen on.
    ///
    /// # Errors
    /// When it is not `ip:port`.
    pub fn address(&self) -> Result<SocketAddr, String> {
        self.listen.parse().map_err(|_| {
            let listen = &self.listen;
            format!("server.listen is {listen:?}, write it like \"127.0.0.1:8787\"")
        })
    }
}
