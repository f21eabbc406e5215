//! How one call is made, apart from what it asks: never part of a body, always headers.

use crate::Secret;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Per-call options. A direct provider uses what applies to it; `RemoteProvider` turns them into
/// headers and client behaviour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallOptions {
    /// One key per logical call, reused by every retry. Absent: the client makes one.
    pub idempotency_key: Option<String>,
    /// Deadline of the whole call, retries included.
    pub timeout: Option<Duration>,
    /// How often a failed call is tried again. Absent: the client's default.
    pub max_retries: Option<u32>,
    /// The call outlives a connection that breaks: the client joins it again by itself, and drops
    /// and timeouts tell the server to cancel it. Absent: the client's default.
    pub resumable: Option<bool>,
    /// Free labels for metering (project, session, agent, end user).
    pub tags: BTreeMap<String, String>,
    /// A credential for this call instead of the provider's own.
    pub credential: Option<Secret<String>>,
    /// The body that the caller's own client wrote. An upstream of the same wire format passes it
    /// on, changed only where it must be, and hands its answer out as it came.
    pub original: Option<Arc<Original>>,
    /// The most tokens that the model gives, where that is known: for upstreams that want a limit
    /// with every request. No limit by itself.
    pub model_max_output: Option<u32>,
}

/// A request as an unmodified client wrote it. The [`crate::GenerateRequest`] beside it says the
/// same in common words, and whatever the proxy changed since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// Wire format of the body, for example `anthropic.messages`.
    pub api: &'static str,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// Headers that belong to the wire format and are passed on (`anthropic-beta` ...).
    pub headers: Vec<(&'static str, String)>,
    /// The client asked for a stream.
    pub streamed: bool,
}

impl CallOptions {
    /// Sets the deadline of the whole call.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the idempotency key.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Sets how often a failed call is tried again.
    #[must_use]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = Some(retries);
        self
    }

    /// Sets whether the call outlives a connection that breaks.
    #[must_use]
    pub fn resumable(mut self, resumable: bool) -> Self {
        self.resumable = Some(resumable);
        self
    }

    /// Adds a label for metering.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }
}
