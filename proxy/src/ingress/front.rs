//! What the ways in need from the floors below.

use super::{body::Intake, problem};
use crate::{
    access::{Access, Caller},
    clock::Clock,
    config::WebSocketSettings,
    gateway::Gateway,
    runs::Runs,
    store::Store,
};
use axum::http::{HeaderMap, header::AUTHORIZATION};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};
use tollgate_types::Result;

/// Whether new work is welcome, and the connections that are open.
#[derive(Debug, Default)]
pub struct Readiness {
    closed: CancellationToken,
    connections: TaskTracker,
}

impl Readiness {
    /// From now on it is not.
    pub fn close(&self) {
        self.closed.cancel();
        self.connections.close();
    }

    /// Whether it is.
    pub fn is_open(&self) -> bool {
        !self.closed.is_cancelled()
    }

    /// Resolves when new work is not welcome any more.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Counts a connection for as long as this is kept.
    pub fn connection(&self) -> TaskTrackerToken {
        self.connections.token()
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Resolves when new work is not welcome and no connection is open any more.
    pub async fn all_left(&self) {
        self.connections.wait().await;
    }
}

/// What the ways in need from the floors below.
#[derive(Debug)]
pub struct Front {
    /// The path of a request.
    pub gateway: Arc<Gateway>,
    /// Calls that can be joined again.
    pub runs: Runs,
    /// Who asks.
    pub access: Access,
    /// Reports.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Largest request body, bytes.
    pub max_body_bytes: usize,
    /// How much of all bodies is received.
    pub intake: Intake,
    /// How long a body may take.
    pub read_patience: Duration,
    /// How many keys can stand in a line below a key that an operator made.
    pub max_delegation_depth: u8,
    /// Whether new work is welcome.
    pub readiness: Readiness,
    /// Connections that carry many calls.
    pub websocket: WebSocketSettings,
    /// The configuration as it may be shown.
    pub config: serde_json::Value,
    /// Turns for reports: they read much, and must not take the database from those who call.
    pub reports: Semaphore,
}

impl Front {
    /// Who sent these headers: `Authorization: Bearer`, or the headers that other vendors' clients
    /// send.
    ///
    /// # Errors
    /// Why the credential is not accepted.
    pub async fn caller(&self, headers: &HeaderMap) -> Result<Arc<Caller>> {
        self.caller_or(headers, None).await
    }

    /// As [`Front::caller`], for clients that may put the key elsewhere: headers come first.
    ///
    /// # Errors
    /// Why the credential is not accepted.
    pub(super) async fn caller_or(
        &self,
        headers: &HeaderMap,
        key: Option<&str>,
    ) -> Result<Arc<Caller>> {
        let credential = credential_of(headers).or(key);
        self.access.authenticate(credential).await.map_err(problem::of_auth)
    }
}

/// The credential that headers hold.
pub(super) fn credential_of(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer
        .or_else(|| text("x-api-key"))
        .or_else(|| text("api-key"))
        .or_else(|| text("x-goog-api-key"))
}
