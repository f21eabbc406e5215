//! The task that makes a call whose events are kept, from its claim to its end.

use super::{
    Shared,
    live::{End, Live, Opening, Stage},
    work::Work,
};
use crate::{
    access::Caller,
    gateway::{Answer, Refusal},
    store::{RunEnd, RunRow, StoreError},
};
use futures_util::FutureExt;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::sync::oneshot;
use tollgate_types::{Error, ErrorKind, EventStream, Result as Outcome, StreamEvent};

/// How long the row of a run stands that nobody ended.
const LONGEST_RUN_MS: i64 = 24 * 3_600_000;

/// What became of a call before its first event.
#[derive(Debug)]
pub(super) enum Started {
    /// The provider answers.
    Open,
    /// The call was not made, or failed at once.
    Refused(Refusal),
    /// Another call has the key.
    Theirs,
    /// It was cancelled before.
    Cancelled,
    /// It could not be written down.
    Unwritten(StoreError),
}

/// A call that is being made.
#[derive(Debug)]
pub(super) struct Drive {
    pub(super) shared: Arc<Shared>,
    pub(super) live: Arc<Live>,
    pub(super) caller: Arc<Caller>,
}

impl Drive {
    /// Makes the call and keeps its events; returns when it has ended. A defect on the way ends the
    /// run for everybody who reads it.
    pub(super) async fn run_to_its_end(self, work: Work, started: oneshot::Sender<Started>) {
        let Self { shared, live, caller } = &self;
        let (shared, live, caller) = (Arc::clone(shared), Arc::clone(live), Arc::clone(caller));
        let rest = Self { shared, live, caller };
        if AssertUnwindSafe(self.run(work, started)).catch_unwind().await.is_ok() {
            return;
        }
        tracing::error!(request_id = %rest.live.terms.id, "a call panicked");
        let message = "the server has a defect here; it is logged";
        rest.live.push(Err(Error::new(ErrorKind::Internal, message)));
        rest.ended(End::Failed).await;
        if rest.live.target().is_none() {
            rest.live.set_stage(Stage::Refused);
        }
    }

    async fn run(self, work: Work, started: oneshot::Sender<Started>) {
        let opened = tokio::select! {
            biased;
            end = self.stopped() => Err((Started::Cancelled, Some(end))),
            opened = self.open(work) => opened.map_err(|started| (started, None)),
        };
        let answer = match opened {
            Ok(answer) => answer,
            Err((why, end)) => {
                self.not_made(end, &why).await;
                drop(started.send(why));
                return;
            }
        };
        let Answer { target, clamped_to, rates, events } = answer;
        self.live.set_stage(Stage::Open(Opening { target, clamped_to, rates }));
        drop(started.send(Started::Open));
        let end = self.follow(events).await;
        self.ended(end).await;
    }

    /// Resolves when a caller cancels the run, or everybody has left it.
    async fn stopped(&self) -> End {
        let grace =
            if self.live.terms.resumable { self.shared.settings.grace() } else { Duration::ZERO };
        tokio::select! {
            biased;
            () = self.live.cancel.cancelled() => End::Cancelled,
            () = self.live.abandoned(grace, || self.shared.clock.now_ms()) => End::Abandoned,
        }
    }

    async fn open(&self, work: Work) -> Result<Answer, Started> {
        if let (Some(claims), Some(run)) = (&self.shared.claims, self.row()) {
            match claims.claim(run).await {
                Ok(true) => {}
                Ok(false) => return Err(Started::Theirs),
                Err(error) => return Err(Started::Unwritten(error)),
            }
        }
        work.run(&self.shared.gateway, &self.caller).await.map_err(Started::Refused)
    }

    /// The run as other servers see it; only what has a key is seen.
    fn row(&self) -> Option<RunRow> {
        let terms = &self.live.terms;
        let key = terms.key.as_ref()?;
        Some(RunRow {
            key_id: key.key_id.clone(),
            key_hash: super::hash(&key.idempotency_key),
            user_id: terms.user_id.clone(),
            fingerprint: super::hex(&terms.fingerprint),
            request_id: terms.id.clone(),
            node: self.shared.gateway.ledger.node().to_owned(),
            state: "running".to_owned(),
            started_ms: terms.started_ms,
            expires_ms: terms.started_ms.saturating_add(LONGEST_RUN_MS),
            ..RunRow::default()
        })
    }

    /// Reads the provider as far as there is room, until the end.
    async fn follow(&self, mut events: EventStream) -> End {
        let stopped = self.stopped();
        tokio::pin!(stopped);
        loop {
            let item = tokio::select! {
                biased;
                end = &mut stopped => {
                    // This stops the provider, and settles the call.
                    drop(events);
                    self.live.push(Err(self.cancelled()));
                    return end;
                }
                item = self.next(&mut events) => item,
            };
            let end = match &item {
                Ok(StreamEvent::Finish { .. }) => Some(End::Finished),
                Ok(_) => None,
                Err(_) => Some(End::Failed),
            };
            self.live.push(item);
            if let Some(end) = end {
                return end;
            }
        }
    }

    async fn next(&self, events: &mut EventStream) -> Outcome<StreamEvent> {
        let Shared { roll, settings, .. } = &*self.shared;
        let own =
            if self.live.terms.resumable { settings.buffer_bytes } else { settings.replay_bytes };
        tokio::select! {
            () = self.live.room(|total| roll.limit(own, total)) => {}
            // The stream says so itself.
            () = self.shared.gateway.tasks.stopping() => {}
        }
        events.next().await.unwrap_or_else(|| {
            let message = "the stream ended without a finish event";
            Err(Error::new(ErrorKind::StreamInterrupted, message))
        })
    }

    fn cancelled(&self) -> Error {
        super::cancelled().with(|body| body.request_id = Some(self.live.terms.id.clone()))
    }

    /// The call gave no answer. One that was cancelled keeps its key, so that it is not made after
    /// all.
    async fn not_made(&self, end: Option<End>, why: &Started) {
        let was_asked = matches!(why, Started::Refused(Refusal::Provider(_)));
        match end {
            Some(end) => {
                self.live.push(Err(self.cancelled()));
                self.ended(end).await;
            }
            None => {
                self.shared.roll.strike(&self.live);
                if !(was_asked && self.is_broken_off()) {
                    self.release().await;
                }
            }
        }
        self.live.set_stage(Stage::Refused);
    }

    async fn ended(&self, end: End) {
        let now_ms = self.shared.clock.now_ms();
        self.live.close(end, now_ms);
        let frees_key = match end {
            End::Failed => true,
            End::Abandoned => !self.live.terms.resumable,
            End::Finished | End::Cancelled => false,
        };
        self.shared.roll.ended(&self.live, frees_key);
        let Some(claims) = self.shared.claims.as_ref().filter(|_| self.live.terms.key.is_some())
        else {
            return;
        };
        if frees_key {
            if end != End::Failed || !self.is_broken_off() {
                self.release().await;
            }
            return;
        }
        let settings = &self.shared.settings;
        let keep_ms = i64::try_from(settings.keep().as_millis()).unwrap_or(i64::MAX);
        let finished = end == End::Finished;
        let run = RunEnd {
            request_id: self.live.terms.id.clone(),
            state: if finished { "finished" } else { "cancelled" },
            finished_ms: now_ms,
            expires_ms: now_ms.saturating_add(keep_ms),
            target: self.live.target().map(|target| (target.provider, target.model)),
            events: self.live.lines(settings.replay_bytes).filter(|_| finished),
        };
        claims.end(run).await;
    }

    /// Whether this server ends the call by stopping. Its key stays taken, as if the server had died:
    /// a caller who did not hear of it any more would pay for the call a second time.
    fn is_broken_off(&self) -> bool {
        self.shared.gateway.tasks.is_stopping()
    }

    async fn release(&self) {
        if let (Some(claims), Some(_)) = (&self.shared.claims, &self.live.terms.key) {
            claims.release(&self.live.terms.id).await;
        }
    }
}
