//! A provider in the server's own process that answers at once and remembers nothing: what is
//! measured over it is Tollgate alone.

use tollgate_types::{
    BoxFuture, EventStream, Extras, FinishReason, GenerateRequest, Origin, Part, Provider, Result,
    StreamEvent, Usage,
};

/// Answers every request with one short text.
#[derive(Debug)]
pub struct AtOnce;

impl Provider for AtOnce {
    fn name(&self) -> &'static str {
        "mock"
    }

    fn stream(&self, request: GenerateRequest) -> BoxFuture<'_, Result<EventStream>> {
        let origin = Origin {
            api: "bench".to_owned(),
            provider: "mock".to_owned(),
            model: request.model,
            response_id: None,
        };
        let events = vec![
            StreamEvent::Start { origin, request_id: None, warnings: Vec::new() },
            StreamEvent::PartStart { index: 0, part: Part::text("") },
            StreamEvent::delta(0, "sixteen tokens of text, more or less, as a model writes them"),
            StreamEvent::part_end(0),
            StreamEvent::Finish {
                finish: FinishReason::Stop.into(),
                usage: Usage::tokens(200, 16),
                extras: Extras::new(),
                receipt: None,
            },
        ];
        Box::pin(async move { Ok(EventStream::of_events(events)) })
    }
}
