//! `GetRun`, `ResumeRun` and `CancelRun`: calls that were made before.

use super::{
    call::{Asked, Problem, Reply},
    relay::Running,
};
use crate::access::Caller;
use std::sync::Arc;
use tollgate_types::proto::v1;

pub(super) async fn resume(mut asked: Asked, caller: Arc<Caller>) -> Result<Running, Problem> {
    let v1::ResumeRunRequest { id, after } = asked.message().await?;
    let run = asked.front.runs.attach(&caller, &id, after).await?;
    Ok(Running::joined(run))
}

pub(super) async fn cancel(
    mut asked: Asked,
    caller: Arc<Caller>,
) -> Result<Reply<v1::CancelRunResponse>, Problem> {
    let v1::CancelRunRequest { id } = asked.message().await?;
    asked.front.runs.cancel(&caller, &id).await?;
    Ok(v1::CancelRunResponse {}.into())
}

pub(super) async fn get(mut asked: Asked, caller: Arc<Caller>) -> Result<Reply<v1::Run>, Problem> {
    let v1::GetRunRequest { id } = asked.message().await?;
    Ok(v1::Run::from(asked.front.runs.status(&caller, &id).await?).into())
}
