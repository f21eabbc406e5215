//! What a run is to do: have a model answer, or turn texts into vectors.

use super::{RunError, RunEvents};
use crate::{
    access::Caller,
    gateway::{Answer, Call, Embedded, Gateway, Refusal},
    ledger::Order,
    limits::Rates,
};
use serde_json::Value;
use std::sync::Arc;
use tollgate_types::{
    EmbedRequest, EmbedResponse, Error, ErrorKind, EventStream, Extras, FinishReason, StreamEvent,
};

/// The wire format of the one event that holds vectors.
const VECTORS: &str = "tollgate.vectors";

/// What a run is to do.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// A model answers.
    Answer(Box<Call>),
    /// Texts become vectors.
    Embed(Box<(Order, EmbedRequest)>),
}

impl Work {
    /// Tollgate's id of the request.
    pub(super) fn request_id(&self) -> &str {
        match self {
            Self::Answer(call) => &call.request_id,
            Self::Embed(texts) => &texts.0.request_id,
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// Why it was not done, or how the upstream failed before its first event.
    pub(super) async fn run(
        self,
        gateway: &Gateway,
        caller: &Arc<Caller>,
    ) -> Result<Answer, Refusal> {
        match self {
            Self::Answer(call) => gateway.run(caller, *call).await,
            Self::Embed(texts) => {
                let (order, request) = *texts;
                as_answer(gateway.embed(caller, order, request).await?)
            }
        }
    }

    /// Whether a caller may do again what was done before, and how it stands to its rates then.
    ///
    /// # Errors
    /// Why not.
    pub(super) async fn permitted(
        &self,
        gateway: &Gateway,
        caller: &Arc<Caller>,
    ) -> Result<Rates, Refusal> {
        match self {
            Self::Answer(call) => gateway.permits(caller, call).await,
            Self::Embed(texts) => gateway.permits_vectors(caller, &texts.1).await,
        }
    }
}

/// Vectors as events, so that they are kept, shown and given again like every answer. They travel
/// as text: as a tree of numbers they would take many times the room.
fn as_answer(embedded: Embedded) -> Result<Answer, Refusal> {
    let Embedded { target, rates, response } = embedded;
    let text = serde_json::to_string(&response).map_err(|error| {
        Refusal::Provider(defect("the vectors cannot be written").with_source(error))
    })?;
    let EmbedResponse { usage, receipt, .. } = response;
    let finish = FinishReason::Stop.into();
    let events = EventStream::of_events(vec![
        StreamEvent::Raw { api: VECTORS.to_owned(), value: Value::String(text) },
        StreamEvent::Finish { finish, usage, extras: Extras::new(), receipt },
    ]);
    Ok(Answer { target, clamped_to: None, rates, events })
}

/// The vectors out of a run's events.
///
/// # Errors
/// What ended the run instead.
pub(super) async fn vectors(mut events: RunEvents) -> Result<EmbedResponse, RunError> {
    let mut told = None;
    while let Some((_, event)) = events.next().await {
        if let StreamEvent::Raw { api, value: Value::String(text) } = event.map_err(provider)?
            && api == VECTORS
        {
            told = Some(text);
        }
    }
    let text = told.ok_or_else(|| provider(defect("a run of vectors holds none")))?;
    serde_json::from_str(&text)
        .map_err(|error| provider(defect("kept vectors cannot be read").with_source(error)))
}

fn provider(error: Error) -> RunError {
    RunError::Refused(Refusal::Provider(error))
}

fn defect(message: &str) -> Error {
    Error::new(ErrorKind::Internal, message)
}
