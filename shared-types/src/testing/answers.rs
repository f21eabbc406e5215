//! Answers that end well.

use super::{Check, Outcome, Scene, Subject, Verdict, all, listen, within};
use crate::{
    BoxFuture, ErrorKind, FinishReason, GenerateRequest, GenerateResponse, Part, StreamEvent,
};

/// Text that many programs spoil: several bytes a letter, line ends, quotes, what looks like the
/// ends of events, spaces at both ends.
const ODD_TEXT: &str = " zażółć gęślą 🦀🇵🇱 \u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467} \"q\\u0041\" \t<|end|> data: [DONE]\n\ndata: x\r\n\u{2028}\u{FEFF} . ";

/// Calls at once.
const AT_ONCE: usize = 8;

pub(super) fn checks(subject: &dyn Subject) -> Vec<Check<'_>> {
    vec![
        ("a stream folds to the unary answer", Box::pin(text(subject))),
        ("thinking folds to the unary answer", Box::pin(thinks(subject))),
        ("an answer that the limit ends says so", Box::pin(length(subject))),
        ("an odd text arrives byte for byte", Box::pin(odd_text(subject))),
        ("what nobody knows spoils nothing", Box::pin(news(subject))),
        ("the answer says who gave it and what it took", Box::pin(origin_and_usage(subject))),
        ("prompt tokens are counted as they are used", Box::pin(counted(subject))),
        ("calls at once do not mix", Box::pin(at_once(subject))),
        ("one vector comes for each text", Box::pin(vectors(subject))),
        ("the list of models is in order", Box::pin(models(subject))),
    ]
}

/// The answer to a request, which is the same whole and streamed.
pub(super) async fn same_both_ways(
    subject: &dyn Subject,
    request: GenerateRequest,
) -> Result<GenerateResponse, String> {
    let [streamed, whole] = both_answers(subject, request).await?;
    if streamed == whole {
        Ok(whole)
    } else {
        Err(format!("streamed {streamed:?}\n    but whole {whole:?}"))
    }
}

/// The answer to a request, streamed and whole.
async fn both_answers(
    subject: &dyn Subject,
    request: GenerateRequest,
) -> Result<[GenerateResponse; 2], String> {
    let heard = listen(subject, request.clone()).await?.map_err(|error| format!("{error:?}"))?;
    let streamed = heard.answer().map_err(|error| format!("streamed: {error:?}"))?;
    let whole = within(subject, subject.patience(), subject.provider().generate(request)).await?;
    let whole = whole.map_err(|error| format!("whole: {error:?}"))?;
    Ok([streamed, whole].map(|mut answer| {
        subject.forget(&mut answer);
        answer
    }))
}

/// Whether something that must hold does.
pub(super) fn holds(what: bool, why: impl FnOnce() -> String) -> Outcome {
    if what { Ok(Verdict::Passed) } else { Err(why()) }
}

async fn text(subject: &dyn Subject) -> Outcome {
    let Some(request) = subject.request(&Scene::Text) else { return Ok(Verdict::Skipped) };
    let answer = same_both_ways(subject, request).await?;
    holds(!answer.text().is_empty(), || format!("nothing was said: {answer:?}"))
}

/// What nobody knows may be another thing in a stream than in a whole answer: what is known is not.
async fn news(subject: &dyn Subject) -> Outcome {
    let Some(request) = subject.request(&Scene::News) else { return Ok(Verdict::Skipped) };
    let [streamed, whole] = both_answers(subject, request).await?;
    let same = streamed.content == whole.content && streamed.finish == whole.finish;
    let good = same && streamed.usage == whole.usage && !whole.text().is_empty();
    holds(good, || format!("streamed {streamed:?}\n    but whole {whole:?}"))
}

async fn thinks(subject: &dyn Subject) -> Outcome {
    let Some(request) = subject.request(&Scene::Thinks) else { return Ok(Verdict::Skipped) };
    let answer = same_both_ways(subject, request).await?;
    let thought = answer.content.iter().any(|part| match part {
        Part::Reasoning(thought) => !thought.text.is_empty(),
        _ => false,
    });
    holds(thought && !answer.text().is_empty(), || format!("no thinking: {answer:?}"))
}

async fn length(subject: &dyn Subject) -> Outcome {
    let Some(request) = subject.request(&Scene::Length) else { return Ok(Verdict::Skipped) };
    let answer = same_both_ways(subject, request).await?;
    holds(answer.finish.reason == FinishReason::Length, || format!("{:?}", answer.finish))
}

async fn odd_text(subject: &dyn Subject) -> Outcome {
    let scene = Scene::Says(ODD_TEXT.to_owned());
    let Some(request) = subject.request(&scene) else { return Ok(Verdict::Skipped) };
    let text = same_both_ways(subject, request).await?.text();
    holds(text == ODD_TEXT, || format!("{text:?} came instead of {ODD_TEXT:?}"))
}

async fn origin_and_usage(subject: &dyn Subject) -> Outcome {
    let Some(request) = subject.request(&Scene::Text) else { return Ok(Verdict::Skipped) };
    let heard = listen(subject, request).await?.map_err(|error| format!("{error:?}"))?;
    let finish = heard.events.iter().find_map(|event| match event {
        StreamEvent::Finish { usage, .. } => Some(usage.clone()),
        _ => None,
    });
    let answer = heard.answer().map_err(|error| format!("{error:?}"))?;
    let (origin, usage) = (&answer.origin, &answer.usage);
    if [&origin.api, &origin.provider, &origin.model].iter().any(|name| name.is_empty()) {
        return Err(format!("nobody knows who answered: {origin:?}"));
    }
    let counted = usage.total_input() > 0 && usage.total_output() > 0;
    holds(counted && finish.as_ref() == Some(usage), || format!("{usage:?}, {finish:?}"))
}

async fn counted(subject: &dyn Subject) -> Outcome {
    let Some(request) = subject.request(&Scene::Text) else { return Ok(Verdict::Skipped) };
    let counting = subject.provider().count_tokens(request.clone());
    let count = match within(subject, subject.patience(), counting).await? {
        Ok(count) => count,
        Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(Verdict::Skipped),
        Err(error) => return Err(format!("{error:?}")),
    };
    let used = same_both_ways(subject, request).await?.usage.total_input();
    holds(count == used, || format!("{count} were counted and {used} used"))
}

async fn at_once(subject: &dyn Subject) -> Outcome {
    let texts: Vec<String> = (0..AT_ONCE).map(|n| format!("answer {n} of many")).collect();
    let mut calls: Vec<BoxFuture<'_, Result<bool, String>>> = Vec::new();
    for text in &texts {
        let Some(request) = subject.request(&Scene::Says(text.clone())) else {
            return Ok(Verdict::Skipped);
        };
        calls.push(Box::pin(async move {
            let heard = listen(subject, request).await?.map_err(|error| format!("{error:?}"))?;
            Ok(heard.text() == *text)
        }));
    }
    let heard = all(calls).await.into_iter().collect::<Result<Vec<bool>, String>>()?;
    holds(heard.iter().all(|right| *right), || format!("{heard:?}"))
}

async fn vectors(subject: &dyn Subject) -> Outcome {
    let Some(request) = subject.embed_request() else { return Ok(Verdict::Skipped) };
    let asking = || subject.provider().embed(request.clone());
    let first = within(subject, subject.patience(), asking()).await?;
    let mut first = first.map_err(|error| format!("{error:?}"))?;
    let again = within(subject, subject.patience(), asking()).await?;
    let mut again = again.map_err(|error| format!("{error:?}"))?;
    (first.receipt, again.receipt) = (None, None);
    let length = first.vectors.first().map_or(0, Vec::len);
    let even = first.vectors.iter().all(|vector| vector.len() == length);
    let good = even && length > 0 && first.vectors.len() == request.input.len();
    holds(good && first == again, || format!("{first:?}, {again:?}"))
}

async fn models(subject: &dyn Subject) -> Outcome {
    let list = match within(subject, subject.patience(), subject.provider().models()).await? {
        Ok(list) => list,
        Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(Verdict::Skipped),
        Err(error) => return Err(format!("{error:?}")),
    };
    let mut ids: Vec<&str> = list.iter().map(|model| model.id.as_str()).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    holds(count > 0 && ids.len() == count && !ids.contains(&""), || format!("{ids:?}"))
}
