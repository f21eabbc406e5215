//! Callers who leave: whatever they drop, the upstream stops.

use super::{Check, Outcome, Scene, Subject, Verdict, polled, within};
use crate::{BoxFuture, EventStream, GenerateRequest, Result, StreamEvent};
use std::time::Duration;

/// How often a future is polled before it is dropped, at most.
const MOST_POLLS: usize = 6;

/// How long a future that is not woken is left alone.
const IDLE: Duration = Duration::from_millis(15);

pub(super) fn checks(subject: &dyn Subject) -> Vec<Check<'_>> {
    vec![
        ("a stream that is not waited for stops", Box::pin(future_dropped(subject, opened))),
        ("an answer that is not waited for stops", Box::pin(future_dropped(subject, asked))),
        ("a call dropped at any point stops", Box::pin(dropped_anywhere(subject))),
        ("a stream that is dropped stops", Box::pin(stream_left(subject, false))),
        ("a stream that is cancelled stops", Box::pin(stream_left(subject, true))),
        ("a stream dropped at any event stops", Box::pin(dropped_at_any_event(subject))),
    ]
}

fn opened(subject: &dyn Subject, request: GenerateRequest) -> BoxFuture<'_, Result<()>> {
    Box::pin(async move { subject.provider().stream(request).await.map(drop) })
}

fn asked(subject: &dyn Subject, request: GenerateRequest) -> BoxFuture<'_, Result<()>> {
    Box::pin(async move { subject.provider().generate(request).await.map(drop) })
}

type Ask = fn(&dyn Subject, GenerateRequest) -> BoxFuture<'_, Result<()>>;

async fn at_rest(subject: &dyn Subject) -> std::result::Result<(), String> {
    let rest = within(subject, subject.patience(), subject.at_rest()).await;
    rest.map_err(|late| format!("the upstream still works: {late}"))
}

/// A scene that lasts, as silent as can be had.
fn lasting(subject: &dyn Subject) -> Option<GenerateRequest> {
    subject.request(&Scene::Silent).or_else(|| subject.request(&Scene::Slow))
}

async fn future_dropped(subject: &dyn Subject, ask: Ask) -> Outcome {
    let Some(request) = lasting(subject) else { return Ok(Verdict::Skipped) };
    at_rest(subject).await?;
    let call = ask(subject, request);
    let working = within(subject, subject.patience(), until_work(subject, call)).await?;
    // Answered before anything was seen to work: there was nothing to leave.
    drop(working);
    at_rest(subject).await?;
    Ok(Verdict::Passed)
}

/// Goes on with a call until the upstream works on it; the call, unless it has ended.
async fn until_work<'a>(
    subject: &'a dyn Subject,
    mut call: BoxFuture<'a, Result<()>>,
) -> Option<BoxFuture<'a, Result<()>>> {
    let mut at_work = subject.at_work();
    let ended = std::future::poll_fn(|cx| {
        if at_work.as_mut().poll(cx).is_ready() {
            return std::task::Poll::Ready(false);
        }
        call.as_mut().poll(cx).map(|_| true)
    })
    .await;
    (!ended).then_some(call)
}

async fn dropped_anywhere(subject: &dyn Subject) -> Outcome {
    for ask in [opened as Ask, asked] {
        for polls in 0..=MOST_POLLS {
            let Some(request) = lasting(subject) else { return Ok(Verdict::Skipped) };
            let mut call = ask(subject, request);
            drop(polled(subject, call.as_mut(), polls, IDLE).await);
            drop(call);
        }
    }
    at_rest(subject).await?;
    Ok(Verdict::Passed)
}

/// Opens a stream of a model that talks and talks.
async fn open_slow(subject: &dyn Subject) -> std::result::Result<Option<EventStream>, String> {
    let Some(request) = subject.request(&Scene::Slow) else { return Ok(None) };
    let opening = subject.provider().stream(request);
    let stream = within(subject, subject.patience(), opening).await?;
    stream.map(Some).map_err(|error| format!("{error:?}"))
}

async fn stream_left(subject: &dyn Subject, cancel: bool) -> Outcome {
    at_rest(subject).await?;
    let Some(mut stream) = open_slow(subject).await? else { return Ok(Verdict::Skipped) };
    loop {
        match within(subject, subject.patience(), stream.next()).await? {
            Some(Ok(StreamEvent::PartDelta { .. })) => break,
            Some(Ok(_)) => {}
            other => return Err(format!("{other:?} before the first words")),
        }
    }
    within(subject, subject.patience(), subject.at_work()).await?;
    if cancel {
        within(subject, subject.patience(), stream.cancel()).await?;
    } else {
        drop(stream);
    }
    at_rest(subject).await?;
    Ok(Verdict::Passed)
}

async fn dropped_at_any_event(subject: &dyn Subject) -> Outcome {
    for events in 0..=MOST_POLLS {
        let Some(mut stream) = open_slow(subject).await? else { return Ok(Verdict::Skipped) };
        for _ in 0..events {
            match within(subject, subject.patience(), stream.next()).await? {
                Some(Ok(_)) => {}
                other => return Err(format!("{other:?} from a model that talks")),
            }
        }
        // Within an event, too: one that has been asked for and has not come.
        let mut next = Box::pin(stream.next());
        drop(polled(subject, next.as_mut(), 1, IDLE).await);
        drop(next);
        drop(stream);
    }
    at_rest(subject).await?;
    Ok(Verdict::Passed)
}
