//! How a run stands, for whoever asks.

use super::{
    RunError, Runs,
    live::{End, Live},
    log,
};
use crate::{access::Caller, store::RunRow};
use std::sync::Arc;
use tollgate_types::{
    Error, ErrorKind, Result as Outcome, StreamEvent,
    wire::{RunState, RunStatus},
};

impl Runs {
    /// How a run stands.
    ///
    /// # Errors
    /// When the caller has no such run.
    pub async fn status(&self, caller: &Arc<Caller>, name: &str) -> Result<RunStatus, RunError> {
        if let Some(live) = self.find(caller, name) {
            return Ok(of_live(&live));
        }
        let run = self.written(caller, name).await?.ok_or_else(|| super::unknown(name))?;
        let lives = run.state != "running" || self.lives(&run).await?;
        Ok(of_row(&run, lives))
    }
}

fn of_live(live: &Live) -> RunStatus {
    let (first_event, next_event) = live.numbers();
    let (state, finished_ms) = match live.end() {
        None => (RunState::Running, None),
        Some((End::Finished, at_ms)) => (RunState::Finished, Some(at_ms)),
        Some((End::Failed, at_ms)) => (RunState::Failed, Some(at_ms)),
        Some((End::Cancelled | End::Abandoned, at_ms)) => (RunState::Cancelled, Some(at_ms)),
    };
    let status = RunStatus {
        id: live.terms.id.clone(),
        state,
        resumable: live.terms.resumable,
        first_event,
        next_event,
        started_ms: live.terms.started_ms,
        finished_ms,
        ..RunStatus::default()
    };
    with_last(status, live.last())
}

fn of_row(run: &RunRow, lives: bool) -> RunStatus {
    let events = run.events.as_deref().and_then(|lines| log::of_lines(lines).ok());
    let events = events.unwrap_or_default();
    let state = match run.state.as_str() {
        "finished" => RunState::Finished,
        "cancelled" => RunState::Cancelled,
        _ if lives => RunState::Running,
        _ => RunState::Failed,
    };
    let status = RunStatus {
        id: run.request_id.clone(),
        state,
        next_event: events.len() as u64,
        started_ms: run.started_ms,
        finished_ms: run.finished_ms,
        ..RunStatus::default()
    };
    let last = match state {
        RunState::Failed => Some(Err(interrupted(run))),
        RunState::Cancelled => Some(Err(super::cancelled())),
        _ => events.into_iter().next_back(),
    };
    with_last(status, last)
}

/// What a run's last event says of it.
fn with_last(status: RunStatus, last: Option<Outcome<StreamEvent>>) -> RunStatus {
    match last {
        Some(Ok(StreamEvent::Finish { usage, receipt, .. })) => {
            RunStatus { usage: Some(usage), receipt, ..status }
        }
        Some(Err(error)) => RunStatus { error: Some(error), ..status },
        _ => status,
    }
}

fn interrupted(run: &RunRow) -> Error {
    let text = RunError::Interrupted(run.request_id.clone()).to_string();
    Error::new(ErrorKind::StreamInterrupted, text)
}
