//! Requests that are odd, or that a provider cannot honour.

use super::{
    Check, Outcome, Scene, Subject, Verdict,
    answers::{holds, same_both_ways},
    listen, within,
};
use crate::{
    Error, ErrorKind, GenerateRequest, GenerateResponse, Message, NativeItem, OnUnsupported,
    Origin, Part, Reasoning, Result, Role,
};
use serde_json::json;

/// An API that nobody speaks.
const FOREIGN: &str = "brand.new";

/// Bytes of a huge prompt.
const HUGE: usize = 400_000;

pub(super) fn checks(subject: &dyn Subject) -> Vec<Check<'_>> {
    vec![
        (
            "what cannot be honoured is refused by name",
            Box::pin(refused(subject, lacking(subject))),
        ),
        ("what cannot be honoured is warned of", Box::pin(warned(subject, lacking(subject)))),
        ("another API's item is refused by name", Box::pin(refused(subject, native(subject)))),
        ("another API's item is warned of", Box::pin(warned(subject, native(subject)))),
        ("another API's extras change nothing or are refused", Box::pin(foreign_extras(subject))),
        ("another API's thoughts are no obstacle", Box::pin(foreign_thoughts(subject))),
        ("no messages are an error or an answer", Box::pin(odd(subject, |_| Vec::new()))),
        (
            "an empty message is an error or an answer",
            Box::pin(odd(subject, |_| vec![Message::user("")])),
        ),
        (
            "a message without parts is an error or an answer",
            Box::pin(odd(subject, |_| vec![Message::new(Role::User, Vec::new())])),
        ),
        (
            "a huge prompt is an error or an answer",
            Box::pin(odd(subject, |mut messages| {
                messages.insert(0, Message::system("word ".repeat(HUGE / 5)));
                messages
            })),
        ),
    ]
}

fn lacking(subject: &dyn Subject) -> Option<GenerateRequest> {
    subject.request(&Scene::Lacking)
}

fn native(subject: &dyn Subject) -> Option<GenerateRequest> {
    let mut request = subject.request(&Scene::Text)?;
    let item = json!({"type": "brand_new", "x": [1.5]});
    let item = Part::Native(NativeItem { api: FOREIGN.to_owned(), item });
    request.messages.first_mut()?.content.push(item);
    Some(request)
}

/// The answers to a request, streamed and whole.
async fn both(
    subject: &dyn Subject,
    request: GenerateRequest,
) -> std::result::Result<[Result<GenerateResponse>; 2], String> {
    let streamed = listen(subject, request.clone()).await?.and_then(super::Heard::answer);
    let asking = subject.provider().generate(request);
    Ok([streamed, within(subject, subject.patience(), asking).await?])
}

async fn refused(subject: &dyn Subject, request: Option<GenerateRequest>) -> Outcome {
    let Some(mut request) = request else { return Ok(Verdict::Skipped) };
    request.on_unsupported = OnUnsupported::Fail;
    let said = both(subject, request).await?.map(|answer| {
        let error = answer.err()?;
        Some((error.kind(), error.body().param.clone()?, error.is_retryable()))
    });
    let [streamed, whole] = &said;
    let named = |said: &Option<(ErrorKind, String, bool)>| matches!(said, Some((ErrorKind::Unsupported, param, false)) if !param.is_empty());
    holds(named(streamed) && streamed == whole, || format!("{said:?}"))
}

async fn warned(subject: &dyn Subject, request: Option<GenerateRequest>) -> Outcome {
    let Some(mut request) = request else { return Ok(Verdict::Skipped) };
    request.on_unsupported = OnUnsupported::Warn;
    let answer = same_both_ways(subject, request).await?;
    let named = answer.warnings.iter().any(|warning| {
        warning.param.as_ref().is_some_and(|param| !param.is_empty()) && !warning.code.is_empty()
    });
    holds(named, || format!("no warning names a field: {answer:?}"))
}

async fn foreign_extras(subject: &dyn Subject) -> Outcome {
    let Some(request) = subject.request(&Scene::Text) else { return Ok(Verdict::Skipped) };
    let plain = same_both_ways(subject, request.clone()).await?;
    let mut dressed = request;
    let extra = || json!({"colour": "red"}).as_object().cloned().unwrap_or_default();
    dressed.extras.insert(FOREIGN.to_owned(), extra());
    for message in &mut dressed.messages {
        message.extras.insert(FOREIGN.to_owned(), extra());
    }
    let named = |answer: &Result<GenerateResponse>| {
        answer.as_ref().is_err_and(|error| {
            let param = error.body().param.as_deref();
            error.kind() == ErrorKind::Unsupported
                && param.is_some_and(|param| param.contains(FOREIGN))
        })
    };
    if both(subject, dressed.clone()).await?.iter().all(named) {
        return Ok(Verdict::Passed);
    }
    let dressed = same_both_ways(subject, dressed).await?;
    holds(plain == dressed, || format!("{dressed:?} instead of {plain:?}"))
}

async fn foreign_thoughts(subject: &dyn Subject) -> Outcome {
    let Some(mut request) = subject.request(&Scene::Text) else { return Ok(Verdict::Skipped) };
    let thought = Reasoning {
        text: "Hm.".to_owned(),
        signature: Some("c2lnbmVk".to_owned()),
        ..Reasoning::default()
    };
    let mut turn =
        Message::new(Role::Assistant, vec![Part::Reasoning(thought), Part::text("Yes.")]);
    let (api, provider, model) = (FOREIGN.to_owned(), "p".to_owned(), "m".to_owned());
    turn.origin = Some(Origin { api, provider, model, response_id: None });
    request.messages.splice(0..0, [Message::user("Is it?"), turn]);
    let answer = same_both_ways(subject, request).await?;
    holds(!answer.text().is_empty(), || format!("{answer:?}"))
}

/// An odd request is answered, or fails with an error that blames the request; the same both ways.
async fn odd(subject: &dyn Subject, change: impl Fn(Vec<Message>) -> Vec<Message>) -> Outcome {
    let Some(mut request) = subject.request(&Scene::Text) else { return Ok(Verdict::Skipped) };
    request.messages = change(request.messages);
    let answers = both(subject, request).await?;
    let [streamed, whole] = answers.map(|answer| answer.map_err(|error: Error| error.kind()));
    match (streamed, whole) {
        (Ok(_), Ok(_)) => Ok(Verdict::Passed),
        (Err(streamed), Err(whole)) => {
            let typed = matches!(
                whole,
                ErrorKind::InvalidRequest | ErrorKind::ContextLength | ErrorKind::TooLarge
            );
            holds(typed && streamed == whole, || format!("{streamed} streamed, {whole} whole"))
        }
        (streamed, whole) => Err(format!("{streamed:?} streamed, {whole:?} whole")),
    }
}
