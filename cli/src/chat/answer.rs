//! One answer: printed while it grows, accounted for at its end.

use crate::{failure::Result, output, show};
use std::{collections::BTreeSet, io::Write};
use tollgate_client::RemoteProvider;
use tollgate_types::{
    EventStream, FinishReason, Fold, GenerateRequest, GenerateResponse, Message, Part, Provider,
    StreamEvent,
};

pub(super) struct Answer(GenerateResponse);

impl Answer {
    /// Waits for the answer and prints it as one line of JSON.
    pub(super) async fn whole(remote: &RemoteProvider, request: GenerateRequest) -> Result<Self> {
        let response = remote.generate(request).await?;
        output::json(&response)?;
        Ok(Self(response))
    }

    /// Prints the answer's text as it comes.
    pub(super) async fn streamed(
        remote: &RemoteProvider,
        request: GenerateRequest,
    ) -> Result<Self> {
        let stream = remote.stream(request).await?;
        let spoken = speak(stream).await;
        // What follows, an error too, begins on a line of its own.
        output::text("\n")?;
        Ok(Self(spoken?))
    }

    /// Says what the answer cost, what is left, and what was not as asked.
    pub(super) fn tell_spending(&self, out: &mut impl Write) -> Result<()> {
        let response = &self.0;
        for warning in &response.warnings {
            writeln!(out, "warning: {}", warning.message)?;
        }
        if let Some(why) = shortened(response.finish.reason) {
            writeln!(out, "warning: {why}")?;
        }
        writeln!(out, "{}", show::spending(&response.usage, response.receipt.as_ref()))?;
        for budget in response.receipt.iter().flat_map(|receipt| &receipt.budgets) {
            writeln!(out, "{}", show::budget(budget))?;
        }
        Ok(())
    }

    /// The turn to put into the conversation.
    pub(super) fn into_message(self) -> Message {
        self.0.into_message()
    }
}

async fn speak(mut stream: EventStream) -> Result<GenerateResponse> {
    let mut fold = Fold::new();
    let mut spoken = Spoken::default();
    while let Some(event) = stream.next().await {
        let event = event?;
        if let Some(text) = spoken.text_of(&event) {
            output::text(text)?;
        }
        fold.push(event)?;
    }
    Ok(fold.finish()?)
}

fn shortened(reason: FinishReason) -> Option<&'static str> {
    match reason {
        FinishReason::Length => Some("the answer was cut at the output limit"),
        FinishReason::BudgetExhausted => Some("the answer was cut because a budget is used up"),
        FinishReason::ContentFilter => Some("the provider withheld content"),
        FinishReason::Pause => Some("the provider paused the answer"),
        _ => None,
    }
}

/// Tells the answer's own words from reasoning and the like.
#[derive(Default)]
struct Spoken(BTreeSet<u32>);

impl Spoken {
    fn text_of<'e>(&mut self, event: &'e StreamEvent) -> Option<&'e str> {
        match event {
            StreamEvent::PartStart { index, part } => {
                let text = match part {
                    Part::Text(part) => &part.text,
                    Part::Refusal(part) => &part.text,
                    _ => return None,
                };
                self.0.insert(*index);
                Some(text)
            }
            StreamEvent::PartDelta { index, delta, .. } if self.0.contains(index) => Some(delta),
            _ => None,
        }
    }
}
