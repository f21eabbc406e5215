//! One `tracing` span per call, with the names of OpenTelemetry's conventions for generative AI.
//!
//! What was said never gets into a span: no prompt, no answer, no key, no tag. The names are those of
//! the conventions' version 1.37 and later (`gen_ai.provider.name`), which are not stable yet.

use futures_util::Stream;
use reqwest::Url;
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
};
use tollgate_types::{
    BoxFuture, EmbedResponse, Error, EventSource, EventStream, GenerateRequest, GenerateResponse,
    Origin, Receipt, Result, StreamEvent, Usage,
};
use tracing::{Span, field::Empty};

/// The span of one call. It lasts as long as the call and its stream do.
#[derive(Clone, Debug)]
pub(crate) struct CallSpan(Span);

impl CallSpan {
    /// A call that asks a model to answer.
    pub(crate) fn chat(server: &Url, request: &GenerateRequest, streamed: bool) -> Self {
        let span = Self::new("chat", server, &request.model);
        let sampling = &request.sampling;
        span.0.record("gen_ai.request.stream", streamed);
        span.note("gen_ai.request.max_tokens", sampling.max_output_tokens);
        span.note("gen_ai.request.temperature", sampling.temperature);
        span.note("gen_ai.request.top_p", sampling.top_p);
        span.note("gen_ai.request.top_k", sampling.top_k);
        span.note("gen_ai.request.seed", sampling.seed);
        span.note("gen_ai.request.choice.count", request.choices);
        span
    }

    /// A call of another operation (`embeddings` is the conventions' own).
    pub(crate) fn new(operation: &'static str, server: &Url, model: &str) -> Self {
        let host = server.host_str().unwrap_or_default();
        let name =
            if model.is_empty() { operation.to_owned() } else { format!("{operation} {model}") };
        Self(tracing::info_span!(
            target: "tollgate_client",
            "gen_ai.client",
            otel.name = name,
            otel.kind = "client",
            otel.status_code = Empty,
            gen_ai.operation.name = operation,
            gen_ai.provider.name = "tollgate",
            gen_ai.request.model = model,
            gen_ai.request.stream = Empty,
            gen_ai.request.max_tokens = Empty,
            gen_ai.request.temperature = Empty,
            gen_ai.request.top_p = Empty,
            gen_ai.request.top_k = Empty,
            gen_ai.request.seed = Empty,
            gen_ai.request.choice.count = Empty,
            gen_ai.response.id = Empty,
            gen_ai.response.model = Empty,
            gen_ai.response.finish_reasons = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            gen_ai.usage.cache_read.input_tokens = Empty,
            gen_ai.usage.cache_creation.input_tokens = Empty,
            gen_ai.usage.reasoning.output_tokens = Empty,
            server.address = host,
            server.port = server.port_or_known_default(),
            "error.type" = Empty,
            http.response.status_code = Empty,
            tollgate.request_id = Empty,
            tollgate.provider = Empty,
            tollgate.cost_nano_usd = Empty,
        ))
    }

    /// Runs a call within its span.
    pub(crate) async fn run<T: Told>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let mut call = pin!(call);
        let outcome = poll_fn(|cx| self.0.in_scope(|| call.as_mut().poll(cx))).await;
        match &outcome {
            Ok(answer) => answer.tell(self),
            Err(error) => self.failed(error),
        }
        outcome
    }

    /// A stream whose events come within its call's span.
    pub(crate) fn watch(self, events: EventStream) -> EventStream {
        EventStream::from_source(Watched { events, span: self })
    }

    fn note<V: tracing::Value>(&self, name: &'static str, value: Option<V>) {
        if let Some(value) = value {
            self.0.record(name, value);
        }
    }

    fn failed(&self, error: &Error) {
        self.0.record("error.type", error.kind().as_str());
        self.0.record("otel.status_code", "ERROR");
        self.note("http.response.status_code", error.body().status);
        self.note("tollgate.request_id", error.request_id());
    }

    fn origin(&self, origin: &Origin) {
        self.0.record("gen_ai.response.model", origin.model.as_str());
        self.0.record("tollgate.provider", origin.provider.as_str());
        self.note("gen_ai.response.id", origin.response_id.as_deref());
    }

    fn usage(&self, usage: &Usage) {
        let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
        let some = |count: u64| Some(count).filter(|count| *count > 0);
        self.0.record("gen_ai.usage.input_tokens", usage.total_input());
        self.0.record("gen_ai.usage.output_tokens", usage.total_output());
        self.note("gen_ai.usage.cache_read.input_tokens", some(usage.cache_read));
        self.note("gen_ai.usage.cache_creation.input_tokens", some(written));
        self.note("gen_ai.usage.reasoning.output_tokens", some(usage.reasoning));
    }

    fn receipt(&self, receipt: Option<&Receipt>) {
        let Some(receipt) = receipt else { return };
        self.0.record("tollgate.request_id", receipt.request_id.as_str());
        self.note("tollgate.cost_nano_usd", receipt.cost.map(|cost| cost.0));
    }

    fn event(&self, event: &StreamEvent) {
        match event {
            StreamEvent::Start { origin, request_id, .. } => {
                self.origin(origin);
                self.note("tollgate.request_id", request_id.as_deref());
            }
            StreamEvent::Finish { finish, usage, receipt, .. } => {
                self.0.record("gen_ai.response.finish_reasons", word(finish.reason));
                self.usage(usage);
                self.note(
                    "tollgate.cost_nano_usd",
                    receipt.as_ref().and_then(|r| r.cost).map(|c| c.0),
                );
            }
            _ => {}
        }
    }
}

/// What of an answer is told to its span.
pub(crate) trait Told {
    /// Tells it.
    fn tell(&self, span: &CallSpan);
}

impl Told for GenerateResponse {
    fn tell(&self, span: &CallSpan) {
        span.origin(&self.origin);
        span.0.record("gen_ai.response.finish_reasons", word(self.finish.reason));
        span.usage(&self.usage);
        span.receipt(self.receipt.as_ref());
    }
}

impl Told for EmbedResponse {
    fn tell(&self, span: &CallSpan) {
        span.0.record("gen_ai.response.model", self.model.as_str());
        span.usage(&self.usage);
        span.receipt(self.receipt.as_ref());
    }
}

/// A stream tells of itself while it passes.
impl Told for EventStream {
    fn tell(&self, _: &CallSpan) {}
}

struct Watched {
    events: EventStream,
    span: CallSpan,
}

impl Stream for Watched {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { events, span } = &mut *self;
        let polled = span.0.in_scope(|| Pin::new(events).poll_next(cx));
        match &polled {
            Poll::Ready(Some(Ok(event))) => span.event(event),
            Poll::Ready(Some(Err(error))) => span.failed(error),
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }
}

impl EventSource for Watched {
    fn cancel(self: Pin<Box<Self>>) -> BoxFuture<'static, Option<Usage>> {
        let Self { events, span } = *Pin::into_inner(self);
        Box::pin(async move {
            let used = events.cancel().await;
            if let Some(used) = &used {
                span.usage(used);
            }
            used
        })
    }
}

/// The conventions want a list; a span of `tracing` has none, so this is its JSON.
fn word(reason: tollgate_types::FinishReason) -> String {
    serde_json::to_string(&[reason]).unwrap_or_default()
}
