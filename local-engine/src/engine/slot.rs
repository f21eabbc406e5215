//! A request that runs: how far its prompt is computed, what it has sampled, what it has said.

use super::job::{End, Job, Output};
use crate::{
    backend::{Model, Row, Token},
    sampler::{Logprobs, SampleError},
    text::Piece,
};
use std::time::Instant;
use tollgate_types::{GPU_MS, TokenLogprob, TopLogprob, Usage};

/// A request that runs. Its sequence starts empty: no cell is taken over from another request, so
/// an answer does not depend on what was asked before.
pub(super) struct Slot {
    pub(super) job: Job,
    /// When it left the queue.
    began: Instant,
    /// Prompt tokens computed.
    pub(super) evaluated: usize,
    /// Tokens sampled, the one that ended the answer included.
    pub(super) sampled: usize,
    /// Sampled but not computed yet.
    next: Option<Token>,
    /// Rows of the running step: how many, and which of them gives logits.
    pub(super) in_step: usize,
    wanted: Option<usize>,
}

impl Slot {
    pub(super) fn new(job: Job) -> Self {
        Self {
            job,
            began: Instant::now(),
            evaluated: 0,
            sampled: 0,
            next: None,
            in_step: 0,
            wanted: None,
        }
    }

    pub(super) fn is_decoding(&self) -> bool {
        self.next.is_some()
    }

    /// What it has used so far: tokens, and the time since it left the queue. Time is nothing that
    /// a request has used for which nothing was computed.
    pub(super) fn usage(&self) -> Usage {
        let mut usage = Usage::tokens(self.evaluated as u64, self.sampled as u64);
        if self.evaluated > 0 {
            let worked = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
            usage.tool_fees.insert(GPU_MS.to_owned(), worked);
        }
        usage
    }

    /// Adds the sampled token, or up to `room` prompt tokens, to the step.
    pub(super) fn add_rows(&mut self, seq: usize, room: usize, batch: &mut Vec<Row>) {
        let before = batch.len();
        if let Some(token) = self.next {
            let position = self.evaluated + self.sampled - 1;
            batch.push(Row { seq, position, token, wanted: true });
        } else {
            let last = self.job.prompt.len() - 1;
            let tokens = self.job.prompt.iter().copied().enumerate();
            batch.extend(tokens.skip(self.evaluated).take(room).map(|(position, token)| Row {
                seq,
                position,
                token,
                wanted: position == last,
            }));
        }
        self.in_step = batch.len() - before;
        self.wanted =
            batch.last().filter(|row| self.in_step > 0 && row.wanted).map(|_| batch.len() - 1);
    }

    /// The step is computed: counts its prompt tokens and tells which row to sample from.
    pub(super) fn computed(&mut self) -> (usize, Option<usize>) {
        let prompt = if self.is_decoding() { 0 } else { self.in_step };
        self.evaluated += prompt;
        self.in_step = 0;
        (prompt, self.wanted.take())
    }

    /// Samples a token and says its text. `Some`: the answer has ended.
    pub(super) fn advance(
        &mut self,
        model: &dyn Model,
        logits: &[f32],
    ) -> Result<Option<End>, SampleError> {
        let token = self.job.sampler.sample(logits)?;
        self.sampled += 1;
        if model.is_end(token) {
            return Ok(Some(End::Stop));
        }
        self.job.sampler.accept(token)?;
        self.next = Some(token);
        let logprob = self.job.sampler.logprobs(logits, token);
        let logprob = logprob.map(|found| describe(model, token, &found));
        let (piece, stopped) = self.job.text.push(&model.piece(token), logprob);
        self.say(piece);
        if stopped {
            return Ok(Some(End::Stop));
        }
        Ok((self.sampled >= self.job.max_output).then_some(End::Length))
    }

    /// Says the last word.
    pub(super) fn finish(mut self, end: End) {
        if end != End::Cancelled {
            let rest = self.job.text.finish();
            self.say(rest);
        }
        self.job.say(Output::Done(end, self.usage()));
    }

    fn say(&self, piece: Piece) {
        if !piece.text.is_empty() {
            self.job.say(Output::Piece(piece));
        }
    }
}

fn describe(model: &dyn Model, token: Token, found: &Logprobs) -> TokenLogprob {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let top = found.top.iter().map(|(token, logprob)| {
        let bytes = model.piece(*token);
        TopLogprob { token: text(&bytes), logprob: *logprob, bytes: Some(bytes) }
    });
    let bytes = model.piece(token);
    TokenLogprob {
        token: text(&bytes),
        logprob: found.chosen,
        top: top.collect(),
        bytes: Some(bytes),
    }
}
