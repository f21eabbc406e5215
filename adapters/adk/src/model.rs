//! A provider as adk's model.

use crate::{failure::failed, request, response};
use adk_core::{Llm, LlmRequest, LlmResponse, LlmResponseStream};
use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use std::{fmt, sync::Arc};
use tollgate_types::{
    Error, ErrorKind, EventStream, Fold, GenerateRequest, Provider, Result, StreamEvent,
};

/// A model of a provider, for adk. Dropping a response stream cancels its call.
#[derive(Clone)]
pub struct Model {
    provider: Arc<dyn Provider>,
    model: String,
}

impl Model {
    /// The model of this name: `provider/model`, or an alias that the server resolves.
    pub fn new(provider: Arc<dyn Provider>, model: impl Into<String>) -> Self {
        Self { provider, model: model.into() }
    }

    async fn whole(&self, request: GenerateRequest) -> Result<LlmResponseStream> {
        let answer = response::whole(self.provider.generate(request).await?)?;
        Ok(stream::iter([Ok(answer)]).boxed())
    }

    async fn streamed(&self, request: GenerateRequest) -> Result<LlmResponseStream> {
        let events = self.provider.stream(request).await?;
        let pieces = stream::try_unfold(Reading::of(events), Reading::next);
        Ok(pieces.map(|piece| piece.map_err(failed)).boxed())
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let provider = self.provider.name();
        f.debug_struct("Model").field("provider", &provider).field("model", &self.model).finish()
    }
}

#[async_trait]
impl Llm for Model {
    fn name(&self) -> &str {
        &self.model
    }

    async fn generate_content(
        &self,
        request: LlmRequest,
        stream: bool,
    ) -> adk_core::Result<LlmResponseStream> {
        let request = request::encode(request, &self.model)
            .map_err(|refusal| failed(Error::from(refusal)))?;
        let opened = if stream { self.streamed(request).await } else { self.whole(request).await };
        opened.map_err(failed)
    }
}

/// A stream that is being read.
struct Reading {
    events: EventStream,
    fold: Fold,
    shown: bool,
}

impl Reading {
    fn of(events: EventStream) -> Option<Self> {
        Some(Self { events, fold: Fold::new(), shown: false })
    }

    /// Reads on to the next piece; `None` is left after the whole answer.
    async fn next(reading: Option<Self>) -> Result<Option<(LlmResponse, Option<Self>)>> {
        let Some(mut reading) = reading else { return Ok(None) };
        while let Some(event) = reading.events.next().await {
            let piece = reading.take(event?)?;
            if reading.fold.is_finished() {
                let answer = response::whole(reading.fold.finish()?)?;
                return Ok(Some((answer, None)));
            }
            if let Some(piece) = piece {
                reading.shown = true;
                return Ok(Some((piece, Some(reading))));
            }
        }
        Err(Error::new(ErrorKind::StreamInterrupted, "the stream ended without a finish event"))
    }

    fn take(&mut self, event: StreamEvent) -> Result<Option<LlmResponse>> {
        let grown = match &event {
            StreamEvent::Start { .. } if self.shown => {
                return Err(Error::new(
                    ErrorKind::StreamInterrupted,
                    "the provider began its answer anew, and what was shown cannot be taken back",
                ));
            }
            StreamEvent::PartStart { index, part } => {
                let mut part = part.clone();
                part.growing().map(|text| (*index, std::mem::take(text)))
            }
            StreamEvent::PartDelta { index, delta, .. } => Some((*index, delta.clone())),
            _ => None,
        };
        self.fold.push(event)?;
        let Some((index, text)) = grown.filter(|(_, text)| !text.is_empty()) else {
            return Ok(None);
        };
        Ok(self.fold.part_so_far(index).and_then(|part| response::piece(part, text)))
    }
}
