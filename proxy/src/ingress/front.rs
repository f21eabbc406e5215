//! What the ways in need from the floors below.

use super::problem;
use crate::{
    access::{Access, Caller},
    clock::Clock,
    gateway::Gateway,
    runs::Runs,
    store::Store,
};
use axum::http::{HeaderMap, header::AUTHORIZATION};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::Semaphore;
use tollgate_types::Result;

/// Whether new work is welcome.
#[derive(Debug, Default)]
pub struct Readiness(AtomicBool);

impl Readiness {
    /// From now on it is not.
    pub fn close(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it is.
    pub fn is_open(&self) -> bool {
        !self.0.load(Ordering::Acquire)
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
    /// How long a body may take.
    pub read_patience: Duration,
    /// How many keys can stand in a line below a key that an operator made.
    pub max_delegation_depth: u8,
    /// Whether new work is welcome.
    pub readiness: Readiness,
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

fn credential_of(headers: &HeaderMap) -> Option<&str> {
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
