//! Calls that fail.

use super::{Break, Check, Outcome, Scene, Subject, Verdict, answers::holds, listen, within};
use crate::{Error, ErrorKind, GenerateRequest};
use std::time::Duration;

/// A limit that is soon over.
const SHORT: Duration = Duration::from_millis(250);

pub(super) fn checks(subject: &dyn Subject) -> Vec<Check<'_>> {
    use ErrorKind as K;
    vec![
        ("a bad request fails the call", Box::pin(refused(subject, 400, &[K::InvalidRequest]))),
        ("an unknown model fails the call", Box::pin(refused(subject, 404, &[K::NotFound]))),
        ("a rate limit fails the call", Box::pin(refused(subject, 429, &[K::RateLimited]))),
        ("a defect fails the call", Box::pin(refused(subject, 500, &[K::Upstream]))),
        (
            "an overload fails the call",
            Box::pin(refused(subject, 503, &[K::Overloaded, K::Upstream])),
        ),
        ("an answer that is cut is an error", Box::pin(broken(subject, Break::Cut))),
        ("an answer that is reset is an error", Box::pin(broken(subject, Break::Reset))),
        ("an answer that is garbage is an error", Box::pin(broken(subject, Break::Malformed))),
        ("an error that is told ends the answer", Box::pin(broken(subject, Break::Told))),
        ("a silent provider is not waited for too long", Box::pin(silent(subject))),
        ("an answer that stalls is not waited for too long", Box::pin(stalled(subject))),
    ]
}

/// What fails before the first event fails the call, with the same words both ways.
async fn refused(subject: &dyn Subject, status: u16, kinds: &[ErrorKind]) -> Outcome {
    let Some(request) = subject.request(&Scene::Refused(status)) else {
        return Ok(Verdict::Skipped);
    };
    let opening = subject.provider().stream(request.clone());
    let Err(streamed) = within(subject, subject.patience(), opening).await? else {
        return Err("a stream came, with the error within".to_owned());
    };
    let asking = subject.provider().generate(request);
    let Err(whole) = within(subject, subject.patience(), asking).await? else {
        return Err("an answer came".to_owned());
    };
    let said = |error: &Error| {
        (error.kind(), error.is_retryable(), error.retry_after(), error.body().blame)
    };
    if said(&streamed) != said(&whole) || !kinds.contains(&whole.kind()) {
        return Err(format!("streamed {streamed:?}\n    but whole {whole:?}"));
    }
    let waits = matches!(status, 429 | 503);
    let wait = if waits { Some(Scene::RETRY_AFTER) } else { None };
    let retryable = waits || status >= 500;
    let signal = whole.is_retryable() == retryable
        && (!waits || whole.retry_after() == wait)
        && !whole.message().is_empty();
    holds(signal, || format!("{whole:?}"))
}

/// An answer that breaks is an error after what came, never a short success.
async fn broken(subject: &dyn Subject, how: Break) -> Outcome {
    let Some(request) = subject.request(&Scene::Breaks(how)) else { return Ok(Verdict::Skipped) };
    let heard = listen(subject, request.clone()).await?;
    let heard = heard.map_err(|error| format!("nothing came before the error: {error:?}"))?;
    let said = heard.text();
    let Some(error) = &heard.error else { return Err(format!("a short success: {said:?}")) };
    if said.is_empty() || !is_broken(error.kind()) {
        return Err(format!("{said:?}, then {error:?}"));
    }
    // Whole, it either fails too or is longer than what came before it broke.
    let asking = subject.provider().generate(request);
    match within(subject, subject.patience(), asking).await? {
        Err(error) => holds(is_broken(error.kind()), || format!("{error:?}")),
        Ok(whole) => holds(whole.text().len() > said.len(), || format!("{whole:?}")),
    }
}

fn is_broken(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::StreamInterrupted
            | ErrorKind::Protocol
            | ErrorKind::Overloaded
            | ErrorKind::Upstream
    )
}

fn limited(mut request: GenerateRequest) -> GenerateRequest {
    let options = std::mem::take(&mut request.options);
    request.options = options.timeout(SHORT).max_retries(0);
    request
}

async fn silent(subject: &dyn Subject) -> Outcome {
    let Some(request) = subject.request(&Scene::Silent) else { return Ok(Verdict::Skipped) };
    let request = limited(request);
    let opening = subject.provider().stream(request.clone());
    let streamed = within(subject, subject.patience(), opening).await?.map(drop);
    let asking = subject.provider().generate(request);
    let whole = within(subject, subject.patience(), asking).await?.map(drop);
    within(subject, subject.patience(), subject.at_rest()).await?;
    let late = |answer: &Result<(), Error>| {
        answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Timeout)
    };
    holds(late(&streamed) && late(&whole), || format!("{streamed:?}, {whole:?}"))
}

async fn stalled(subject: &dyn Subject) -> Outcome {
    let Some(request) = subject.request(&Scene::Stalls) else { return Ok(Verdict::Skipped) };
    // On a busy machine the time is over before the first word.
    let error = match listen(subject, limited(request)).await? {
        Ok(heard) => heard.error,
        Err(error) => Some(error),
    };
    within(subject, subject.patience(), subject.at_rest()).await?;
    let late = error.as_ref().is_some_and(|error| error.kind() == ErrorKind::Timeout);
    holds(late, || format!("{error:?}"))
}
