//! Tells the operator's own address that a budget passed its percentage: signed, tried again until
//! it is taken or there were too many tries, and by one server of several.
//!
//! The alerts themselves are rows that the ledger writes together with the charge, so that none is
//! lost when a server dies. Whoever raises the row's counter of tries has the turn. A server that
//! dies between the address's answer and its own note tells twice: `id` says that it is the same.

mod message;
mod webhook;

use crate::{
    clock::Clock,
    config::{AlertSettings, Environment},
    store::{AlertRow, Store, StoreError},
    tasks::Tasks,
};
use std::{sync::Arc, time::Duration};
use webhook::Webhook;

/// How often the database is asked for something to tell.
const PAUSE: Duration = Duration::from_secs(2);
/// Alerts told in one round.
const ROUND: i64 = 16;
/// Tries of one alert: with the pauses between them, about five hours.
const ATTEMPTS: i64 = 16;
/// The longest pause between two tries.
const LONGEST_PAUSE_MS: i64 = 3_600_000;
/// What was noticed longer ago than this is news to nobody.
const NEWS_MS: i64 = 7 * 86_400_000;

/// Why alerts cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// The variable with the secret is not set.
    #[error("alerts.webhook_secret_env names {0}, which is not set")]
    Secret(String),
    /// No client can be made.
    #[error("alerts.webhook cannot be reached: {0}")]
    Client(tollgate_types::Error),
}

/// Tells of alerts.
#[derive(Debug)]
pub struct Alerts {
    webhook: Webhook,
}

impl Alerts {
    /// Reads the settings; nothing when no address is named.
    ///
    /// # Errors
    /// When the secret is missing, or the address cannot be used.
    pub fn of(
        settings: &AlertSettings,
        environment: &Environment,
    ) -> Result<Option<Self>, AlertError> {
        Ok(Webhook::of(settings, environment)?.map(|webhook| Self { webhook }))
    }

    /// Tells until the server stops. What cannot be told now is told later, by this server or the
    /// next one.
    pub fn start(self, (store, clock): (Store, Arc<dyn Clock>), tasks: &Tasks) {
        let stop = tasks.clone();
        tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = stop.stopping() => return,
                    () = self.round(&store, clock.as_ref()) => {}
                }
                tokio::select! {
                    () = stop.stopping() => return,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        });
    }

    async fn round(&self, store: &Store, clock: &dyn Clock) {
        if let Err(error) = self.tell_waiting(store, clock).await {
            tracing::warn!(%error, "alerts cannot be read or noted");
        }
    }

    /// Tells what is to be told now; returns how many were taken.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn tell_waiting(
        &self,
        store: &Store,
        clock: &dyn Clock,
    ) -> Result<usize, StoreError> {
        let now_ms = clock.now_ms();
        let moments = (now_ms, now_ms.saturating_sub(NEWS_MS));
        let mut told = 0;
        for alert in store.waiting_alerts(moments, ATTEMPTS, ROUND).await? {
            let next_ms = clock.now_ms().saturating_add(pause_ms(&alert));
            if !store.claim_alert(&alert, next_ms).await? {
                continue;
            }
            match self.webhook.post(message::of(&alert), clock.now_ms()).await {
                Ok(()) => {
                    store.alert_delivered(&alert, clock.now_ms()).await?;
                    told += 1;
                }
                Err(reason) => log(&alert, &reason),
            }
        }
        Ok(told)
    }
}

fn log(alert: &AlertRow, reason: &str) {
    let (budget, attempt) = (&alert.budget_id, alert.attempts + 1);
    if attempt < ATTEMPTS {
        tracing::warn!(%budget, attempt, reason, "an alert was not taken");
    } else {
        tracing::error!(%budget, attempt, reason, "an alert is given up");
    }
}

/// How long nobody else tries: longer than a try can take, and twice as long after each one.
fn pause_ms(alert: &AlertRow) -> i64 {
    let doubled = 1_i64.checked_shl(u32::try_from(alert.attempts).unwrap_or(u32::MAX));
    let seconds = doubled.unwrap_or(i64::MAX).saturating_mul(1000);
    let longest_try = i64::try_from(webhook::PATIENCE.as_millis()).unwrap_or(i64::MAX);
    seconds.clamp(0, LONGEST_PAUSE_MS).saturating_add(longest_try)
}

#[cfg(test)]
mod tests;
