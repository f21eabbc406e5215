//! `Generate`, `Stream` and `CountTokens`: a model is asked.

use super::{
    call::{Asked, Problem, Reply},
    relay::Running,
};
use crate::{
    access::Caller,
    gateway::Call,
    ingress::{body, native, reply},
    runs::{Run, RunOptions},
};
use std::sync::Arc;
use tollgate_types::{GenerateRequest, Result, proto::v1, wire::header::REQUEST_ID};

pub(super) async fn generate(
    asked: Asked,
    caller: Arc<Caller>,
) -> Result<Reply<v1::GenerateResponse>, Problem> {
    let (mut answer, id) = begin(asked, caller, false).await?.into_answer();
    let mut headers = reply::description(&mut answer).await;
    reply::put(&mut headers, REQUEST_ID, &id);
    let response = answer.events.collect().await?;
    reply::charge(&mut headers, response.receipt.as_ref());
    Ok(Reply { message: response.into(), headers })
}

pub(super) async fn stream(asked: Asked, caller: Arc<Caller>) -> Result<Running, Problem> {
    Ok(Running::begun(begin(asked, caller, true).await?).await)
}

pub(super) async fn count_tokens(
    mut asked: Asked,
    caller: Arc<Caller>,
) -> Result<Reply<v1::CountTokensResponse>, Problem> {
    let request = request(&mut asked).await?;
    let input_tokens = asked.front.gateway.count_tokens(&caller, request).await?;
    Ok(v1::CountTokensResponse { input_tokens }.into())
}

async fn begin(mut asked: Asked, caller: Arc<Caller>, streamed: bool) -> Result<Run, Problem> {
    let options = body::options(&asked.headers)?;
    let key = body::idempotency_key(&asked.headers)?;
    let resumable = body::resumable(&asked.headers)?;
    let mut request = request(&mut asked).await?;
    // The same request has the same hash whatever way it came: a retry may take another one.
    let fingerprint =
        || *blake3::hash(&serde_json::to_vec(&request).unwrap_or_default()).as_bytes();
    let key = key.map(|key| (key, fingerprint()));
    request.options = options;
    let request_id = asked.request_id.clone();
    let call = Call { request, request_id, dialect: "native", streamed };
    Ok(asked.front.runs.begin(&caller, call, RunOptions { key, resumable }).await?)
}

async fn request(asked: &mut Asked) -> Result<GenerateRequest> {
    let on_unsupported = body::on_unsupported_said(&asked.headers)?;
    let request: GenerateRequest = asked.message::<v1::GenerateRequest>().await?.try_into()?;
    let on_unsupported = on_unsupported.unwrap_or(request.on_unsupported);
    native::complete(GenerateRequest { on_unsupported, ..request })
}
