//! Events to answer, and answer to events: one implementation for server, client, adapters, tests.

use crate::{
    Citation, Error, ErrorKind, Extras, Finish, GenerateResponse, Origin, Part, Receipt, Result,
    StreamEvent, TokenLogprob, Usage, Warning,
};
use std::collections::BTreeMap;

/// Folds events into the answer that a unary call gives.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    origin: Option<Origin>,
    warnings: Vec<Warning>,
    parts: BTreeMap<u32, Part>,
    usage: Usage,
    end: Option<(Finish, Extras, Option<Receipt>)>,
}

impl Fold {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the `finish` event has come.
    pub fn is_finished(&self) -> bool {
        self.end.is_some()
    }

    /// The latest cumulative usage.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// A part as far as it has come, by its number.
    pub fn part_so_far(&self, index: u32) -> Option<&Part> {
        self.parts.get(&index)
    }

    /// Takes one event in.
    ///
    /// # Errors
    /// `protocol` when the event cannot follow those before it; the carried error of an `error` event.
    pub fn push(&mut self, event: StreamEvent) -> Result<()> {
        if self.end.is_some() {
            return Err(protocol(format!("a {} event came after the end", event.name())));
        }
        match event {
            StreamEvent::Start { origin, warnings, .. } => {
                // A provider may begin anew: what it said before does not count any more.
                if self.origin.replace(origin).is_some() {
                    self.parts.clear();
                    self.usage = Usage::default();
                }
                self.warnings.extend(warnings);
            }
            StreamEvent::PartStart { index, part } => {
                if self.parts.insert(index, part).is_some() {
                    return Err(protocol(format!("part {index} started twice")));
                }
            }
            StreamEvent::PartDelta { index, delta, logprobs } => {
                append(self.part(index)?, index, &delta, logprobs)?;
            }
            StreamEvent::PartEnd { index, signature, citations, extras } => {
                complete(self.part(index)?, signature, citations, extras);
            }
            StreamEvent::Usage { usage } => self.usage = usage,
            StreamEvent::Finish { finish, usage, extras, receipt } => {
                self.usage = usage;
                self.end = Some((finish, extras, receipt));
            }
            StreamEvent::Raw { .. } | StreamEvent::Verbatim { .. } => {}
            StreamEvent::Error { error } => return Err(error),
        }
        Ok(())
    }

    fn part(&mut self, index: u32) -> Result<&mut Part> {
        self.parts.get_mut(&index).ok_or_else(|| protocol(format!("part {index} never started")))
    }

    /// The answer.
    ///
    /// # Errors
    /// `stream_interrupted` when no `finish` came, `protocol` when no `start` came.
    pub fn finish(self) -> Result<GenerateResponse> {
        let (finish, extras, receipt) = self.end.ok_or_else(|| {
            Error::new(ErrorKind::StreamInterrupted, "the stream ended without a finish event")
        })?;
        let origin = self.origin.ok_or_else(|| protocol("the stream never started"))?;
        Ok(GenerateResponse {
            content: self.parts.into_values().collect(),
            finish,
            usage: self.usage,
            origin,
            warnings: self.warnings,
            extras,
            receipt,
        })
    }
}

fn protocol(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Protocol, message)
}

fn append(part: &mut Part, index: u32, delta: &str, logprobs: Vec<TokenLogprob>) -> Result<()> {
    let Some(text) = part.growing() else {
        return Err(protocol(format!("part {index} does not stream, yet a delta came")));
    };
    text.push_str(delta);
    if let Part::Text(text) = part {
        text.logprobs.extend(logprobs);
    }
    Ok(())
}

fn complete(part: &mut Part, signature: Option<String>, citations: Vec<Citation>, extras: Extras) {
    match part {
        Part::Text(text) => text.citations.extend(citations),
        Part::Reasoning(reasoning) if signature.is_some() => reasoning.signature = signature,
        _ => {}
    }
    if let Some(mine) = part.extras_mut() {
        for (provider, more) in extras {
            mine.entry(provider).or_default().extend(more);
        }
    }
}

/// The inverse of [`Fold`]: a whole answer as the events of its stream, for upstreams that cannot
/// stream and for replays.
pub fn events_of(response: GenerateResponse) -> Vec<StreamEvent> {
    let request_id = response.receipt.as_ref().map(|receipt| receipt.request_id.clone());
    let mut events = vec![StreamEvent::Start {
        origin: response.origin,
        request_id,
        warnings: response.warnings,
    }];
    for (index, part) in (0u32..).zip(response.content) {
        events.push(StreamEvent::PartStart { index, part });
        events.push(StreamEvent::part_end(index));
    }
    events.push(StreamEvent::Finish {
        finish: response.finish,
        usage: response.usage,
        extras: response.extras,
        receipt: response.receipt,
    });
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FinishReason, NanoUsd, Reasoning, ToolCall};
    use proptest::prelude::*;

    fn start() -> StreamEvent {
        StreamEvent::Start { origin: Origin::default(), request_id: None, warnings: vec![] }
    }

    fn finish() -> StreamEvent {
        StreamEvent::Finish {
            finish: FinishReason::Stop.into(),
            usage: Usage::tokens(1, 2),
            extras: Extras::new(),
            receipt: None,
        }
    }

    fn fold(events: Vec<StreamEvent>) -> Result<GenerateResponse> {
        let mut fold = Fold::new();
        for event in events {
            fold.push(event)?;
        }
        fold.finish()
    }

    #[test]
    fn interleaved_parts_come_together_in_order() {
        let answer = fold(vec![
            start(),
            StreamEvent::PartStart { index: 0, part: Part::text("") },
            StreamEvent::PartStart { index: 1, part: Part::tool_call("c1", "add", "") },
            StreamEvent::delta(1, "{\"a\":"),
            StreamEvent::delta(0, "Let me "),
            StreamEvent::delta(1, "1}"),
            StreamEvent::delta(0, "add."),
            StreamEvent::part_end(1),
            StreamEvent::part_end(0),
            finish(),
        ])
        .unwrap();
        assert_eq!(answer.text(), "Let me add.");
        assert_eq!(answer.tool_calls().next().unwrap().arguments, "{\"a\":1}");
    }

    #[test]
    fn a_stream_without_finish_is_an_error_not_a_short_success() {
        let kind = |events| fold(events).unwrap_err().kind();
        assert_eq!(kind(vec![start()]), ErrorKind::StreamInterrupted);
        assert_eq!(kind(vec![finish()]), ErrorKind::Protocol);
        assert_eq!(kind(vec![start(), StreamEvent::delta(0, "x"), finish()]), ErrorKind::Protocol);
        assert_eq!(kind(vec![start(), finish(), finish()]), ErrorKind::Protocol);
    }

    #[test]
    fn a_provider_that_begins_anew_replaces_what_it_had_said() {
        let part = |text: &str| StreamEvent::PartStart { index: 0, part: Part::text(text) };
        let usage = StreamEvent::Usage { usage: Usage::tokens(9, 9) };
        let events = vec![start(), usage, part("lost"), start(), part("kept"), finish()];
        let answer = fold(events).unwrap();
        assert_eq!((answer.text().as_str(), answer.usage), ("kept", Usage::tokens(1, 2)));
    }

    fn part() -> impl Strategy<Value = Part> {
        let text = ".{0,12}";
        prop_oneof![
            text.prop_map(Part::text),
            (text, text, text).prop_map(|(id, name, args)| {
                Part::ToolCall(ToolCall { id, name, arguments: args, ..ToolCall::default() })
            }),
            (text, proptest::option::of(text)).prop_map(|(text, signature)| {
                Part::Reasoning(Reasoning { text, signature, ..Reasoning::default() })
            }),
        ]
    }

    proptest! {
        #[test]
        fn folding_the_events_of_an_answer_gives_the_answer(
            content in proptest::collection::vec(part(), 0..5),
            cost in proptest::option::of(0..i64::MAX),
        ) {
            let response = GenerateResponse {
                content,
                finish: FinishReason::Length.into(),
                usage: Usage::tokens(3, 4),
                origin: Origin { model: "m".into(), ..Origin::default() },
                warnings: vec![],
                extras: Extras::new(),
                receipt: cost.map(|c| Receipt { cost: Some(NanoUsd(c)), ..Receipt::default() }),
            };
            prop_assert_eq!(fold(events_of(response.clone())).unwrap(), response);
        }
    }
}
