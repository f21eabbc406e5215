//! How a run stands.

use super::{
    field::{read_json, write_json},
    v1,
};
use crate::{
    Error, Result,
    wire::{RunState, RunStatus},
};

impl From<RunStatus> for v1::Run {
    fn from(status: RunStatus) -> Self {
        let state = match status.state {
            RunState::Running => v1::RunState::Running,
            RunState::Finished => v1::RunState::Finished,
            RunState::Failed => v1::RunState::Failed,
            RunState::Cancelled => v1::RunState::Cancelled,
            RunState::Other => v1::RunState::Unspecified,
        };
        Self {
            id: status.id,
            state: state.into(),
            resumable: status.resumable,
            first_event: status.first_event,
            next_event: status.next_event,
            started_ms: status.started_ms,
            finished_ms: status.finished_ms,
            usage: status.usage.map(Into::into),
            receipt: status.receipt.map(Into::into),
            error_json: status.error.as_ref().map(write_json).unwrap_or_default(),
        }
    }
}

impl TryFrom<v1::Run> for RunStatus {
    type Error = Error;

    fn try_from(run: v1::Run) -> Result<Self> {
        let state = match run.state() {
            v1::RunState::Running => RunState::Running,
            v1::RunState::Finished => RunState::Finished,
            v1::RunState::Failed => RunState::Failed,
            v1::RunState::Cancelled => RunState::Cancelled,
            v1::RunState::Unspecified => RunState::Other,
        };
        let error = Some(run.error_json).filter(|json| !json.is_empty());
        Ok(Self {
            id: run.id,
            state,
            resumable: run.resumable,
            first_event: run.first_event,
            next_event: run.next_event,
            started_ms: run.started_ms,
            finished_ms: run.finished_ms,
            usage: run.usage.map(Into::into),
            receipt: run.receipt.map(Into::into),
            error: error.map(|json| read_json(&json, "error_json")).transpose()?,
        })
    }
}
