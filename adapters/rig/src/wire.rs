//! What rig is told about Tollgate: what it reads, which options it honours, and that a reply is a
//! stream of events.

use crate::{decoder::Events, item, options, request};
use rig_core::{
    completion::{Accepts, CompletionRequest, CompletionResponse, ReplayTarget, options as rigs},
    error::EncodeError,
    message::Api,
    operation::Completion,
    wire::{
        Descriptor, Mode, Wire,
        document::{Reassemble, Serves},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tollgate_types::{Fold, GenerateRequest, GenerateResponse, StreamEvent};

/// One name for every provider: a conversation goes on with its signatures when the provider moves
/// from this process to a server. Who made a turn is kept with its parts.
const NAME: &str = "tollgate";

/// A model as Tollgate knows it, for rig's `Model`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tollgate {
    model: String,
}

impl Tollgate {
    /// The model of this name: `provider/model`, or an alias.
    pub fn new(model: impl Into<String>) -> Self {
        Self { model: model.into() }
    }
}

impl Wire for Tollgate {
    type Op = Completion;
    type Payload = GenerateRequest;
    type Frame = StreamEvent;
    type Decoder<'id> = Events;
    type Reassembler = Answer;

    fn describe(&self) -> Descriptor<'_> {
        Descriptor::new(NAME).replay(self).model(self.model.as_str())
    }

    fn encode(
        &self,
        request: CompletionRequest,
        _mode: Mode,
    ) -> Result<GenerateRequest, EncodeError> {
        Ok(request::encode(request, &self.model)?)
    }

    fn decoder<'id>(&self) -> Self::Decoder<'id> {
        Events::default()
    }
}

impl ReplayTarget for Tollgate {
    fn api(&self) -> Api {
        Api::from_static(NAME)
    }

    fn provider(&self) -> &str {
        NAME
    }

    fn model(&self) -> &str {
        &self.model
    }

    /// What a model cannot read is the provider's to say: it refuses, and nothing is left out
    /// unseen.
    fn accepts(&self, _model: &str) -> Accepts {
        Accepts::ALL
    }

    fn map_options(
        &self,
        _request: &CompletionRequest,
        fields: rigs::OptionFields<'_>,
    ) -> rigs::OptionMap {
        options::answers(fields)
    }

    fn call_id_slot(&self) -> Option<&'static str> {
        Some(item::CALL_ID)
    }

    fn result_parts(&self, _model: &str) -> bool {
        true
    }
}

/// Puts the whole answer together, which becomes the `raw` of rig's response.
#[derive(Debug, Default)]
pub struct Answer(Fold);

impl Serves<Completion> for Answer {}

impl Reassemble<StreamEvent> for Answer {
    fn absorb(&mut self, event: &StreamEvent) {
        // An event that cannot follow those before it fails the reply in its decoder.
        drop(self.0.push(event.clone()));
    }

    fn finish(self) -> Value {
        let answer = self.0.finish().ok();
        answer.and_then(|answer| serde_json::to_value(answer).ok()).unwrap_or_default()
    }
}

/// The provider's whole answer behind rig's: receipt, warnings, citations and all.
pub fn answer(response: &CompletionResponse) -> Option<GenerateResponse> {
    if response.origin.provider != NAME {
        return None;
    }
    GenerateResponse::deserialize(&response.raw).ok()
}
