//! Runs of another server, live: whoever wants one asks its server through Redis, and that one
//! writes the events into a stream of the asker's own.
//!
//! The asker's stream is the asker's place among the readers of the run: while it is there the run
//! is read. The asker deletes it when leaving, and it expires when the asker dies. Nothing is sent
//! for a run that nobody elsewhere reads.

mod ask;
mod serve;

use crate::{config::Redis, tasks::Tasks};
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult, aio::MultiplexedConnection};
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};
use tollgate_types::StreamEvent;

/// How long an asker's stream outlives an asker that dies.
const EXPIRES: Duration = Duration::from_secs(10);
/// How often either side makes sure that the other is still there.
const LOOK: Duration = Duration::from_secs(2);
/// How long a server may take to answer an asker.
const PATIENCE: Duration = Duration::from_secs(3);
/// Events that stand in a stream before its server waits for the asker.
const AHEAD: usize = 512;
/// The field of an entry that holds a [`Said`].
const FIELD: &str = "said";

/// The way to the other servers.
#[derive(Clone)]
pub(super) struct Relay {
    client: Client,
    prefix: String,
    tasks: Tasks,
}

/// Without the address, which may hold a password.
impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// What an asker wants.
#[derive(Debug, Serialize, Deserialize)]
struct Wish {
    /// Id of the run.
    run: String,
    /// Number of the first event.
    next: u64,
    /// The asker's stream.
    to: String,
}

/// What the server of a run writes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    /// The run is here, and who answers it.
    Here { provider: String, model: String, clamped_to: Option<u32> },
    /// It is not, or its events are not kept any more.
    Gone,
    /// There is nothing new, and the server lives.
    Still,
    /// An event, or as [`StreamEvent::Error`] the failure that ends the run.
    Event { number: u64, event: Box<StreamEvent> },
}

impl Relay {
    /// The way to the other servers, where a Redis is named.
    pub(super) fn new(settings: &Redis, tasks: &Tasks) -> Option<Self> {
        let client = settings.client().ok().flatten()?;
        Some(Self { client, prefix: settings.prefix.clone(), tasks: tasks.clone() })
    }

    /// The list that a server takes its wishes from.
    fn wishes_of(&self, node: &str) -> String {
        format!("{}:run-wishes:{node}", self.prefix)
    }

    /// A connection of its own: some commands wait.
    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(None);
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        tokio::time::timeout(PATIENCE, connecting).await.unwrap_or_else(|_| Err(silent()))
    }
}

fn silent() -> RedisError {
    RedisError::from((redis::ErrorKind::Io, "no answer"))
}
