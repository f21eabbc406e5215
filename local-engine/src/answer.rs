//! The stream of events of one answer.

use crate::{
    ask::Reading,
    engine::{End, Output},
    text::Piece,
    toolcall::{Forced, Found, Tagged},
};
use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};
use tokio::sync::mpsc;
use tollgate_types::{
    BoxFuture, Error, ErrorKind, EventSource, Extras, Finish, FinishReason, Origin, Part, Result,
    StreamEvent, Usage, Warning,
};

/// Turns what comes from the engine into events. Dropping it cancels the request.
pub(crate) struct Answer {
    outputs: mpsc::Receiver<Output>,
    cancelled: Arc<AtomicBool>,
    parts: Parts,
    /// Handed out when the engine begins.
    opening: Option<(Origin, Vec<Warning>)>,
    usage: Option<Usage>,
    ready: VecDeque<Result<StreamEvent>>,
}

impl Answer {
    pub(crate) fn new(
        outputs: mpsc::Receiver<Output>,
        cancelled: Arc<AtomicBool>,
        parts: Parts,
        opening: (Origin, Vec<Warning>),
    ) -> Self {
        let opening = Some(opening);
        Self { outputs, cancelled, parts, opening, usage: None, ready: VecDeque::new() }
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Started => {
                if let Some((origin, warnings)) = self.opening.take() {
                    self.push(StreamEvent::Start { origin, request_id: None, warnings });
                }
            }
            Output::Piece(piece) => {
                self.parts.piece(piece);
                self.pass_on();
            }
            Output::Done(end, usage) => {
                self.usage = Some(usage.clone());
                let finish = self.parts.finish(end);
                self.pass_on();
                let (extras, receipt) = (Extras::new(), None);
                self.push(StreamEvent::Finish { finish, usage, extras, receipt });
            }
            Output::Failed(error, usage) => {
                self.usage = Some(usage.clone());
                self.push(StreamEvent::Usage { usage });
                self.ready.push_back(Err(error));
            }
        }
    }

    fn push(&mut self, event: StreamEvent) {
        self.ready.push_back(Ok(event));
    }

    fn pass_on(&mut self) {
        self.ready.extend(self.parts.events.drain(..).map(Ok));
    }
}

impl futures_core::Stream for Answer {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Some(event));
            }
            match ready!(self.outputs.poll_recv(cx)) {
                Some(output) => self.take(output),
                None if self.usage.is_some() => return Poll::Ready(None),
                None => return Poll::Ready(Some(Err(gone()))),
            }
        }
    }
}

impl EventSource for Answer {
    /// Waits for the engine's last word, which comes at the next token boundary.
    fn cancel(mut self: Pin<Box<Self>>) -> BoxFuture<'static, Option<Usage>> {
        self.cancelled.store(true, Ordering::Relaxed);
        Box::pin(async move {
            while self.usage.is_none() {
                match self.outputs.recv().await? {
                    Output::Done(_, usage) | Output::Failed(_, usage) => self.usage = Some(usage),
                    Output::Started | Output::Piece(_) => {}
                }
            }
            self.usage.take()
        })
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// The engine's thread ended in the middle.
pub(crate) fn gone() -> Error {
    Error::new(ErrorKind::Internal, "the local model stopped working; see the server's log")
}

/// Numbers the parts of an answer.
pub(crate) struct Parts {
    reader: Reader,
    next: u32,
    open: Option<(u32, Kind)>,
    calls: usize,
    most_calls: usize,
    /// What waits for more text: white space around calls is no text of its own.
    gap: Piece,
    events: Vec<StreamEvent>,
}

enum Reader {
    Text,
    Tagged(Tagged),
    Forced(Forced),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Call,
}

impl Parts {
    pub(crate) fn new(reading: Reading, tools: Vec<String>, parallel: Option<bool>) -> Self {
        let reader = match reading {
            Reading::Text => Reader::Text,
            Reading::Tagged => Reader::Tagged(Tagged::new(tools)),
            Reading::Forced => Reader::Forced(Forced::default()),
        };
        let most_calls = if parallel == Some(false) { 1 } else { usize::MAX };
        let (gap, events) = (Piece::default(), Vec::new());
        Self { reader, next: 0, open: None, calls: 0, most_calls, gap, events }
    }

    fn piece(&mut self, piece: Piece) {
        let found = match &mut self.reader {
            Reader::Text => return self.text(piece),
            Reader::Tagged(reader) => reader.push(&piece.text),
            Reader::Forced(reader) => reader.push(&piece.text),
        };
        self.gap.logprobs.extend(piece.logprobs);
        self.found(found);
    }

    fn found(&mut self, found: Vec<Found>) {
        for found in found {
            match found {
                // After the one call that was allowed, a second one ends what is wanted.
                _ if self.calls > self.most_calls => {}
                Found::Call(_) if self.calls == self.most_calls => self.calls += 1,
                Found::Call(name) => self.call(name),
                Found::Arguments(text) => self.delta(Piece { text, logprobs: Vec::new() }),
                Found::Text(text) => {
                    self.gap.text.push_str(&text);
                    if !self.gap.text.trim().is_empty() {
                        let piece = std::mem::take(&mut self.gap);
                        self.text(piece);
                    }
                }
            }
        }
    }

    fn text(&mut self, piece: Piece) {
        if self.open.is_none_or(|(_, kind)| kind != Kind::Text) {
            self.start(Kind::Text, Part::text(""));
        }
        self.delta(piece);
    }

    fn call(&mut self, name: String) {
        self.gap = Piece::default();
        self.calls += 1;
        self.start(Kind::Call, Part::tool_call(call_id(), name, ""));
    }

    fn start(&mut self, kind: Kind, part: Part) {
        self.end();
        let index = self.next;
        self.next += 1;
        self.open = Some((index, kind));
        self.events.push(StreamEvent::PartStart { index, part });
    }

    fn delta(&mut self, Piece { text, logprobs }: Piece) {
        if let Some((index, _)) = self.open {
            self.events.push(StreamEvent::PartDelta { index, delta: text, logprobs });
        }
    }

    fn end(&mut self) {
        self.events.extend(self.open.take().map(|(index, _)| StreamEvent::part_end(index)));
    }

    fn finish(&mut self, end: End) -> Finish {
        let rest = match &mut self.reader {
            Reader::Text => Vec::new(),
            Reader::Tagged(reader) => reader.finish(),
            Reader::Forced(reader) => reader.finish(),
        };
        self.found(rest);
        if self.calls == 0 {
            let piece = std::mem::take(&mut self.gap);
            if self.next == 0 || !piece.text.is_empty() {
                self.text(piece);
            }
        }
        self.end();
        match end {
            End::Length => FinishReason::Length.into(),
            End::Cancelled => FinishReason::Cancelled.into(),
            End::Stop if self.calls > 0 => FinishReason::ToolCalls.into(),
            End::Stop => FinishReason::Stop.into(),
        }
    }
}

/// An id that no other call has; it says nothing.
fn call_id() -> String {
    let letters = std::iter::repeat_with(fastrand::alphanumeric);
    format!("call_{}", letters.take(24).collect::<String>())
}
