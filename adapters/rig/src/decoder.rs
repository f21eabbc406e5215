//! Events of a provider as rig's blocks.
#![expect(clippy::result_large_err, reason = "the error that rig's traits ask for")]

use crate::{failure::failed, item::Item, media};
use rig_core::{
    ProviderError,
    completion::{Cost, FinishReason, Usage},
    message::{CallId, Source, SourceLocation, ToolName},
    operation::{Block, Completion, Finish as End},
    wire::{Decoder, Flow, Out, SpanUnit, WireCitation, WireEvent, WireSpan},
};
use serde_json::Value;
use std::collections::BTreeSet;
use tollgate_types::{
    Citation, Finish, FinishReason as Reason, Fold, NanoUsd, Origin, Part, Receipt, StreamEvent,
    Usage as Used,
};

/// From here on rig gives out numbers itself.
const FIRST_OF_RIGS: usize = 1 << 30;

/// Reads one reply.
#[derive(Debug, Default)]
pub struct Events {
    fold: Fold,
    origin: Option<Origin>,
    open: BTreeSet<u32>,
    any: bool,
}

type Step = Result<(), ProviderError>;

impl<'id> Decoder<'id, Completion, StreamEvent> for Events {
    type Event = StreamEvent;

    fn classify(&self, event: StreamEvent) -> WireEvent<StreamEvent> {
        WireEvent::Known(event)
    }

    fn decode(
        &mut self,
        event: StreamEvent,
        mut out: Out<'id, Completion>,
    ) -> Result<Flow, ProviderError> {
        self.fold.push(event.clone()).map_err(|error| failed(&error))?;
        match event {
            StreamEvent::Start { origin, .. } => self.start(origin, &mut out)?,
            StreamEvent::PartStart { index, part } => self.begin(index, &part, &mut out)?,
            StreamEvent::PartDelta { index, delta, .. } => self.grow(index, &delta, &mut out)?,
            StreamEvent::PartEnd { index, .. } => self.end(index, &mut out)?,
            StreamEvent::Raw { value, .. } => out.unknown(value.into()),
            StreamEvent::Finish { finish, usage, receipt, .. } => {
                for index in self.open.clone() {
                    self.end(index, &mut out)?;
                }
                return Ok(out.end(self.finish(finish, &usage, receipt.as_ref())));
            }
            _ => {}
        }
        Ok(Flow::More)
    }
}

impl Events {
    fn start(&mut self, origin: Origin, out: &mut Out<'_, Completion>) -> Step {
        // What rig has shown cannot be taken back.
        if self.any {
            return Err(ProviderError::Response("the provider began its answer anew".to_owned()));
        }
        self.origin = Some(origin);
        out.order_by_index();
        Ok(())
    }

    fn begin(&mut self, index: u32, part: &Part, out: &mut Out<'_, Completion>) -> Step {
        self.any = true;
        self.open.insert(index);
        let at = place(index)?;
        out.open(at, block(part)?, Value::Null)?;
        match shown(part) {
            Some(text) => out.push(at, text),
            None => Ok(()),
        }
    }

    fn grow(&mut self, index: u32, delta: &str, out: &mut Out<'_, Completion>) -> Step {
        match self.fold.part_so_far(index).and_then(shown) {
            Some(_) => out.push(place(index)?, delta),
            None => Ok(()),
        }
    }

    /// The part goes along whole, so that the next turn sends what the provider said.
    fn end(&mut self, index: u32, out: &mut Out<'_, Completion>) -> Step {
        let Some(part) = self.fold.part_so_far(index).filter(|_| self.open.remove(&index)) else {
            return Ok(());
        };
        let at = place(index)?;
        if let Part::Text(text) = part {
            for citation in &text.citations {
                out.cite(at, cited(citation));
            }
        }
        let item = Item { part: part.clone(), origin: self.origin.clone() }.into_json()?;
        out.edit(at, |native| *native = item)?;
        out.finish(at)
    }

    fn finish(&self, finish: Finish, usage: &Used, receipt: Option<&Receipt>) -> End {
        let reason = reason(finish);
        let origin = self.origin.as_ref();
        let model = origin.map(|origin| origin.model.clone());
        End {
            usage: used(usage, receipt.and_then(|receipt| receipt.cost)),
            reason: Some(reason),
            response_id: origin.and_then(|origin| origin.response_id.clone()),
            model: model.filter(|model| !model.is_empty()),
            error: None,
        }
    }
}

fn place(index: u32) -> Result<usize, ProviderError> {
    let at = usize::try_from(index).unwrap_or(usize::MAX);
    if at < FIRST_OF_RIGS {
        Ok(at)
    } else {
        Err(ProviderError::Response(format!("the reply has a part number {index}")))
    }
}

/// What rig makes of a part. Tools that the provider ran, and media that rig does not know, are kept
/// without being looked into.
fn block(part: &Part) -> Result<Block, ProviderError> {
    Ok(match part {
        Part::Text(_) | Part::Refusal(_) => Block::Text,
        Part::Reasoning(thought) => {
            Block::Reasoning { redacted: thought.text.is_empty() && thought.encrypted.is_some() }
        }
        Part::ToolCall(call) if !call.hosted => Block::Call {
            id: CallId::from_wire(&call.id),
            name: ToolName::new(&call.name)
                .map_err(|error| ProviderError::Response(error.to_string()))?,
        },
        Part::Media(media) => match media::as_image(media) {
            Some(image) => Block::Image(image),
            None => Block::Opaque { replay: true },
        },
        Part::ToolCall(_) | Part::ToolResult(_) | Part::Native(_) => Block::Opaque { replay: true },
    })
}

/// The text of a part that rig shows as it grows.
fn shown(part: &Part) -> Option<&str> {
    match part {
        Part::Text(text) => Some(&text.text),
        Part::Refusal(refusal) => Some(&refusal.text),
        Part::Reasoning(thought) => Some(&thought.text),
        Part::ToolCall(call) if !call.hosted => Some(&call.arguments),
        Part::Media(media) => match &media.source {
            tollgate_types::MediaSource::Base64(data) => media::as_image(media).map(|_| &**data),
            _ => None,
        },
        _ => None,
    }
}

fn cited(citation: &Citation) -> WireCitation {
    let span = citation
        .span
        .map(|(start, end)| WireSpan::new(u64::from(start), u64::from(end), SpanUnit::Bytes));
    let sources = citation.url.iter().map(|url| {
        let mut source = Source::new(SourceLocation::Url { url: url.clone() });
        source.title.clone_from(&citation.title);
        source
    });
    WireCitation::new(span, sources.collect())
}

/// An answer that a budget cut short is kept, as one that a limit of tokens cut short.
fn reason(finish: Finish) -> FinishReason {
    match finish.reason {
        Reason::Stop => FinishReason::Stop,
        Reason::Length | Reason::BudgetExhausted => FinishReason::Length,
        Reason::ToolCalls => FinishReason::ToolCalls,
        Reason::ContentFilter => FinishReason::ContentFilter,
        Reason::Pause => FinishReason::Other("pause".to_owned()),
        Reason::Cancelled => FinishReason::Other("cancelled".to_owned()),
        _ => FinishReason::Other(finish.raw.unwrap_or_else(|| "other".to_owned())),
    }
}

fn used(usage: &Used, cost: Option<NanoUsd>) -> Usage {
    let some = |tokens: u64| Some(tokens).filter(|tokens| *tokens > 0);
    Usage::new()
        .input_tokens(usage.total_input())
        .output_tokens(usage.total_output())
        .total_tokens(usage.total())
        .cached_input_tokens(some(usage.cache_read))
        .cache_creation_input_tokens(some(
            usage.cache_write_5m.saturating_add(usage.cache_write_1h),
        ))
        .reasoning_tokens(some(usage.reasoning))
        .cost(cost.map(|cost| Cost::from_total(dollars(cost))))
}

#[expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "rig tells people what a call cost as a float; nothing is counted with it"
)]
fn dollars(NanoUsd(nanos): NanoUsd) -> f64 {
    nanos as f64 / 1e9
}
