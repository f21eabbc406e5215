//! Runs that this server did not make, or has forgotten: as they stand in the database.

use super::{KEY, Run, RunError, RunEvents, Runs, live::Terms, log, roll::EARLY, work::Work};
use crate::{
    access::{Caller, Target},
    ids::new_id,
    limits::Rates,
    store::{RunRow, StoreError, promptly},
};
use futures_util::stream;
use std::sync::Arc;

impl Runs {
    /// The row of a run, if the caller may know of it.
    pub(super) async fn written(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Option<RunRow>, StoreError> {
        let Some(_) = &self.0.claims else { return Ok(None) };
        let store = &self.0.store;
        let run = promptly(async {
            match name.strip_prefix(KEY) {
                Some(key) => store.run_of_key(caller.key_id(), &super::hash(key)).await,
                None if name.contains('\0') => Ok(None),
                None => store.run_of_request(name).await,
            }
        });
        let now_ms = self.0.clock.now_ms();
        let known = |run: &RunRow| run.user_id == caller.user_id() && run.expires_ms >= now_ms;
        let Some(run) = run.await?.filter(known) else { return Ok(None) };
        Ok(self.may_know(caller, &run).await?.then_some(run))
    }

    /// Whether a run of the caller's user is one that its key may know of.
    async fn may_know(&self, caller: &Caller, run: &RunRow) -> Result<bool, StoreError> {
        if !caller.is_delegated() || run.key_id == caller.key_id() {
            return Ok(true);
        }
        let account = promptly(self.0.store.account(&run.key_id)).await?;
        let keys = account.iter().flat_map(|account| account.ancestors.iter());
        Ok(keys.map(|key| key.id.as_str()).any(|id| id == caller.key_id()))
    }

    /// Another call has the key: its answer, if it is the same call.
    pub(super) async fn begun_elsewhere(
        &self,
        caller: &Arc<Caller>,
        work: &Work,
        terms: &Terms,
    ) -> Result<Run, RunError> {
        let Some(key) = &terms.key else { return Err(RunError::Elsewhere) };
        let name = format!("{KEY}{}", key.idempotency_key);
        // It ended in between: the caller comes again.
        let Some(run) = self.written(caller, &name).await? else {
            return Err(RunError::Elsewhere);
        };
        if run.state != "cancelled" && run.fingerprint != super::hex(&terms.fingerprint) {
            return Err(RunError::OtherRequest);
        }
        let rates = work.permitted(&self.0.gateway, caller).await?;
        Ok(Run { rates, ..self.read_elsewhere(&run, 0).await? })
    }

    /// A run of the database from the event `next` on.
    pub(super) async fn read_elsewhere(&self, run: &RunRow, next: u64) -> Result<Run, RunError> {
        match (run.state.as_str(), &run.events) {
            ("finished", Some(lines)) => replay(run, lines, next),
            ("finished", None) => Err(RunError::NotKept),
            ("cancelled", _) => Err(RunError::Cancelled),
            _ if self.lives(run).await? => self.read_live(run, next).await,
            _ => Err(RunError::Interrupted(run.request_id.clone())),
        }
    }

    /// A run that another server makes, where the two can reach each other.
    async fn read_live(&self, run: &RunRow, next: u64) -> Result<Run, RunError> {
        match &self.0.relay {
            Some(relay) if run.node != self.0.gateway.ledger.node() => {
                relay.follow(run, next).await.ok_or(RunError::Elsewhere)
            }
            _ => Err(RunError::Elsewhere),
        }
    }

    /// Whether the server of a run lives.
    pub(super) async fn lives(&self, run: &RunRow) -> Result<bool, StoreError> {
        let ledger = &self.0.gateway.ledger;
        if run.node == ledger.node() {
            return Ok(true);
        }
        if !self.0.store.is_shared() {
            return Ok(false);
        }
        // Without its ledger no server says that it lives.
        Ok(!ledger.is_on() || promptly(self.0.store.node_lives(&run.node)).await?)
    }

    /// Remembers that a call which has not come yet is cancelled, here and for the others.
    pub(super) async fn cancel_early(&self, caller: &Caller, key: &str) {
        if let Some(live) = self.0.roll.cancel_early(super::call_key(caller, key.to_owned())) {
            return live.cancel.cancel();
        }
        let Some(claims) = &self.0.claims else { return };
        let now_ms = self.0.clock.now_ms();
        let early_ms = i64::try_from(EARLY.as_millis()).unwrap_or(i64::MAX);
        let run = RunRow {
            key_id: caller.key_id().to_owned(),
            key_hash: super::hash(key),
            user_id: caller.user_id().to_owned(),
            request_id: new_id(self.0.clock.as_ref()),
            node: self.0.gateway.ledger.node().to_owned(),
            state: "cancelled".to_owned(),
            started_ms: now_ms,
            expires_ms: now_ms.saturating_add(early_ms),
            ..RunRow::default()
        };
        let told = match claims.claim(run).await {
            Ok(true) => Ok(()),
            // The call came to another server in between.
            Ok(false) => self.cancel_written(caller, key, now_ms).await,
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            tracing::warn!(%error, "a cancellation is not known to other servers");
        }
    }

    async fn cancel_written(
        &self,
        caller: &Caller,
        key: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let Some(run) = self.written(caller, &format!("{KEY}{key}")).await? else { return Ok(()) };
        self.0.store.ask_to_cancel(&run.request_id, now_ms).await
    }
}

/// A finished run out of its row.
fn replay(run: &RunRow, lines: &str, next: u64) -> Result<Run, RunError> {
    let events = log::of_lines(lines).map_err(StoreError::from)?;
    let count = events.len() as u64;
    if next >= count {
        return Err(RunError::NothingFollows { events: count });
    }
    let (provider, model) = (run.provider.clone(), run.model.clone());
    let target =
        Target { provider: provider.unwrap_or_default(), model: model.unwrap_or_default() };
    let skipped = usize::try_from(next).unwrap_or(usize::MAX);
    let numbered = (0..).zip(events).skip(skipped);
    Ok(Run {
        id: run.request_id.clone(),
        target,
        clamped_to: None,
        rates: Rates::default(),
        events: RunEvents::of_stream(next, stream::iter(numbered)),
    })
}
