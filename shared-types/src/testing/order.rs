//! The order that the events of every stream keep.

use super::{Subject, within};
use crate::{
    Error, EventStream, Fold, GenerateRequest, GenerateResponse, Part, Result, StreamEvent, Usage,
};
use std::collections::BTreeSet;

/// Watches that events come in the order that was promised: a start before everything, parts
/// numbered without gaps, deltas for open parts only, usage that never shrinks, exactly one finish,
/// with every part closed, and nothing behind it.
#[derive(Clone, Debug, Default)]
pub struct Order {
    started: bool,
    finished: bool,
    parts: u32,
    open: BTreeSet<u32>,
    used: Usage,
}

impl Order {
    /// Nothing was heard yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event in.
    ///
    /// # Errors
    /// Why it must not come now.
    pub fn hear(&mut self, event: &StreamEvent) -> std::result::Result<(), String> {
        let wrong = |why: &str| Err(format!("{why}: {event:?}"));
        if self.finished {
            return wrong("an event after the finish");
        }
        if !self.started && !matches!(event, StreamEvent::Start { .. }) {
            return wrong("an event before the start");
        }
        match event {
            // Said anew: what was said before does not count any more.
            StreamEvent::Start { .. } => *self = Self { started: true, ..Self::default() },
            StreamEvent::PartStart { index, .. } if *index != self.parts => {
                return wrong("a part out of turn");
            }
            StreamEvent::PartStart { index, .. } => {
                self.parts += 1;
                self.open.insert(*index);
            }
            StreamEvent::PartDelta { index, .. } if !self.open.contains(index) => {
                return wrong("a delta of a part that is not open");
            }
            StreamEvent::PartEnd { index, .. } if !self.open.remove(index) => {
                return wrong("the end of a part that is not open");
            }
            StreamEvent::Usage { usage } => return self.count(usage),
            StreamEvent::Finish { usage, .. } => {
                self.finished = true;
                if !self.open.is_empty() {
                    return wrong("a finish while parts are open");
                }
                return self.count(usage);
            }
            StreamEvent::Error { .. } => return wrong("an error as an event"),
            StreamEvent::Verbatim { .. } => return wrong("bytes that nobody asked for"),
            StreamEvent::PartDelta { .. }
            | StreamEvent::PartEnd { .. }
            | StreamEvent::Raw { .. } => {}
        }
        Ok(())
    }

    /// Whether the finish has come.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    fn count(&mut self, usage: &Usage) -> std::result::Result<(), String> {
        let shrunk = usage.total_output() < self.used.total_output();
        let before = std::mem::replace(&mut self.used, usage.clone());
        if shrunk { Err(format!("usage shrinks from {before:?} to {usage:?}")) } else { Ok(()) }
    }
}

/// A stream, heard to its end.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Its events.
    pub events: Vec<StreamEvent>,
    /// The error that ended it.
    pub error: Option<Error>,
}

impl Heard {
    /// The answer that the events fold to.
    ///
    /// # Errors
    /// The error that ended the stream.
    pub fn answer(self) -> Result<GenerateResponse> {
        let mut fold = Fold::new();
        for event in self.events {
            fold.push(event)?;
        }
        match self.error {
            Some(error) => Err(error),
            None => fold.finish(),
        }
    }

    /// All text that was said.
    pub fn text(&self) -> String {
        let said = self.events.iter().filter_map(|event| match event {
            StreamEvent::PartStart { part: Part::Text(text), .. } => Some(text.text.as_str()),
            StreamEvent::PartDelta { delta, .. } => Some(delta.as_str()),
            _ => None,
        });
        said.collect()
    }

    /// Hears a stream to its end, and asks twice for more.
    ///
    /// # Errors
    /// Where it breaks the order.
    pub async fn of(mut stream: EventStream) -> std::result::Result<Self, String> {
        let mut order = Order::new();
        let mut heard = Self { events: Vec::new(), error: None };
        while let Some(item) = stream.next().await {
            match item {
                Ok(event) => {
                    order.hear(&event)?;
                    heard.events.push(event);
                }
                Err(error) if heard.error.is_some() => {
                    return Err(format!("a second error: {error:?}"));
                }
                Err(error) => heard.error = Some(error),
            }
        }
        if stream.next().await.is_some() || stream.next().await.is_some() {
            return Err("the stream goes on after its end".to_owned());
        }
        match (order.is_finished(), &heard.error) {
            (true, Some(error)) => Err(format!("a finish and then an error: {error:?}")),
            (false, None) => Err("the stream ends without a finish and without an error".into()),
            _ => Ok(heard),
        }
    }
}

/// Asks for a stream and hears it to its end; the error that came instead of a stream is `Ok(Err)`.
///
/// # Errors
/// Where the stream breaks the order or does not end.
pub async fn listen(
    subject: &dyn Subject,
    request: GenerateRequest,
) -> std::result::Result<Result<Heard>, String> {
    let opening = subject.provider().stream(request);
    let stream = match within(subject, subject.patience(), opening).await? {
        Ok(stream) => stream,
        Err(error) => return Ok(Err(error)),
    };
    within(subject, subject.patience(), Heard::of(stream)).await?.map(Ok)
}
