//! A call as it enters the gateway, and the answer as it leaves.

use super::{bound::unseen, metered::Running};
use crate::{
    access::Target,
    ledger::{Hold, Order},
    limits::Rates,
};
use tollgate_types::{EmbedResponse, EventStream, Feature, GenerateRequest, StreamEvent, Warning};

/// What a way in hands over.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is asked.
    pub request: GenerateRequest,
    /// Tollgate's id of the request.
    pub request_id: String,
    /// Wire format of the caller.
    pub dialect: &'static str,
    /// Whether the answer goes to the caller as a stream.
    pub streamed: bool,
}

impl Call {
    /// What the caller must be permitted to do.
    pub(super) fn features(&self) -> Vec<Feature> {
        features(&self.request, self.streamed)
    }

    pub(super) fn order(&self) -> Order {
        Order {
            request_id: self.request_id.clone(),
            asked_model: self.request.model.clone(),
            dialect: self.dialect,
            streamed: self.streamed,
            tags: self.request.options.tags.clone(),
        }
    }
}

/// What a request's caller must be permitted to do.
pub(super) fn features(request: &GenerateRequest, streamed: bool) -> Vec<Feature> {
    let mut features = vec![Feature::Chat];
    if streamed {
        features.push(Feature::Stream);
    }
    if !request.tools.is_empty() || unseen::brings_tools(request) {
        features.push(Feature::Tools);
    }
    features
}

/// The limit that was imposed on an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Imposed {
    /// What budgets can pay for.
    max_output: Option<u32>,
    /// What the model can write at most, where the caller asked for more and a budget counts.
    possible: Option<u32>,
}

impl Imposed {
    /// Puts the hold's limit into the request: what a budget cannot pay for is not asked for.
    pub(super) fn by(hold: &Hold, mut request: GenerateRequest) -> (GenerateRequest, Self) {
        let asked = request.sampling.max_output_tokens;
        // The hold covers all choices together, the request limits each of them.
        let choices = u64::from(request.choices.unwrap_or(1).max(1));
        let limit = u32::try_from(hold.max_output() / choices).unwrap_or(u32::MAX);
        if hold.is_limited() {
            request.sampling.max_output_tokens = Some(limit);
        }
        let lowered = hold.is_limited() && asked.is_some_and(|asked| asked > limit);
        let possible = (lowered && !hold.is_clamped()).then_some(limit);
        (request, Self { max_output: hold.is_clamped().then_some(limit), possible })
    }

    fn warning(self) -> Option<Warning> {
        let (code, message) = match (self.max_output, self.possible) {
            (Some(limit), _) => (
                "max_output_clamped",
                format!("a budget can pay for no more than {limit} output tokens"),
            ),
            (None, Some(limit)) => (
                "max_output_limited",
                format!("the model has room for no more than {limit} output tokens"),
            ),
            (None, None) => return None,
        };
        Some(Warning {
            code: code.to_owned(),
            message,
            param: Some("sampling.max_output_tokens".to_owned()),
        })
    }
}

/// An answer that has begun.
#[derive(Debug)]
pub struct Answer {
    /// Who answers.
    pub target: Target,
    /// The output limit that budgets imposed, if they did.
    pub clamped_to: Option<u32>,
    /// How the caller stands to its rates.
    pub rates: Rates,
    /// The events. Dropping them stops the upstream and settles the call.
    pub events: EventStream,
}

/// Texts that were turned into vectors.
#[derive(Debug)]
pub struct Embedded {
    /// Who did it.
    pub target: Target,
    /// How the caller stands to its rates.
    pub rates: Rates,
    /// The vectors, and what was charged.
    pub response: EmbedResponse,
}

impl Answer {
    pub(super) fn new(target: Target, imposed: Imposed, running: Running) -> Self {
        let (clamped_to, rates) = (imposed.max_output, running.rates());
        let limits = rates.told(clamped_to);
        let events = running.with(limits, imposed.warning()).into_events();
        Self { target, clamped_to, rates, events }
    }

    /// What is not honoured as asked. Waits for the first event, which says so.
    pub async fn warnings(&mut self) -> Vec<Warning> {
        match self.events.peek().await {
            Some(Ok(StreamEvent::Start { warnings, .. })) => warnings.clone(),
            _ => Vec::new(),
        }
    }
}
