//! An answer on its way.

use futures_util::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use std::sync::Arc;
use tollgate_types::{
    Error, ErrorKind, Fold, GenerateRequest, GenerateResponse, Part, Provider, Result, StreamEvent,
};

/// A call that runs. Dropping it cancels the call.
pub(super) struct Answering {
    events: BoxStream<'static, Result<StreamEvent>>,
    fold: Fold,
    said: String,
}

impl Answering {
    pub(super) fn begin(provider: Arc<dyn Provider>, request: GenerateRequest) -> Self {
        let opened = stream::once(async move { provider.stream(request).await });
        Self { events: opened.try_flatten().boxed(), fold: Fold::new(), said: String::new() }
    }

    /// Takes an event in; says what it adds to the visible text.
    pub(super) fn take(&mut self, event: StreamEvent) -> Result<Option<String>> {
        let text = match &event {
            StreamEvent::PartStart { part: Part::Text(text), .. } => Some(text.text.clone()),
            StreamEvent::PartStart { part: Part::Refusal(refusal), .. } => {
                Some(refusal.text.clone())
            }
            StreamEvent::PartDelta { index, delta, .. } => {
                let part = self.fold.part_so_far(*index);
                let visible = matches!(part, Some(Part::Text(_) | Part::Refusal(_)));
                visible.then(|| delta.clone())
            }
            _ => None,
        };
        self.fold.push(event)?;
        self.said.extend(text.as_deref());
        Ok(text.filter(|text| !text.is_empty()))
    }

    pub(super) fn is_finished(&self) -> bool {
        self.fold.is_finished()
    }

    pub(super) fn said(&self) -> &str {
        &self.said
    }

    pub(super) fn finish(self) -> Result<GenerateResponse> {
        self.fold.finish()
    }
}

/// The next event of the answer that runs; never, while none does.
pub(super) async fn next(answering: &mut Option<Answering>) -> Result<StreamEvent> {
    match answering {
        None => std::future::pending().await,
        Some(answering) => answering.events.next().await.unwrap_or_else(|| {
            Err(Error::new(ErrorKind::StreamInterrupted, "the answer ended without its end"))
        }),
    }
}
