//! Continuous batching: requests join and leave at token boundaries, and every step computes one
//! token for each request that writes and a chunk of the prompts that are still being read.

use super::{
    Counters, Worker,
    job::{End, Output},
    queue::{Next, Queue, When},
    slot::Slot,
};
use crate::backend::{Backend, BackendError, Model, Row};
use std::sync::atomic::Ordering;
use tollgate_types::{Error, ErrorKind};

/// Runs the requests of one model. A request is admitted only when its whole prompt and its whole
/// allowance of output fit beside those of the others, so cells cannot run out in the middle.
pub(super) struct Scheduler<'a, B> {
    backend: B,
    model: &'a dyn Model,
    queue: &'a Queue,
    counters: &'a Counters,
    /// The index is the sequence id. Oldest first is kept in `order`.
    slots: Vec<Option<Slot>>,
    order: Vec<usize>,
    batch: Vec<Row>,
}

impl<'a, B: Backend> Scheduler<'a, B> {
    pub(super) fn new(backend: B, model: &'a dyn Model, worker: &'a Worker) -> Self {
        let slots = (0..worker.places).map(|_| None).collect();
        let counters = &worker.counters;
        counters.cells.store(backend.cells() as u64, Ordering::Relaxed);
        counters.cells_reserved.store(0, Ordering::Relaxed);
        let queue = &worker.queue;
        Self { backend, model, queue, counters, slots, order: Vec::new(), batch: Vec::new() }
    }

    /// Works until the queue is closed, or a step fails: then every running request has failed
    /// with it, and the backend must be made anew.
    pub(super) fn run(mut self) -> Result<(), BackendError> {
        loop {
            if !self.admit() {
                let gone = Error::new(ErrorKind::Internal, "the local model was unloaded");
                self.fail_all(&gone);
                return Ok(());
            }
            self.reap();
            if let Err(error) = self.step() {
                let broken = Error::new(ErrorKind::Internal, "the local model failed to compute");
                self.fail_all(&broken.with_source(error.clone()));
                return Err(error);
            }
        }
    }

    /// Ends requests whose callers went away or ran out of time, running or waiting.
    fn reap(&mut self) {
        for seq in self.order.clone() {
            let job = self.slot(seq).map(|slot| &slot.job);
            match job.map(|job| (job.is_cancelled(), job.is_late())) {
                Some((true, _)) => self.finish(seq, End::Cancelled),
                Some((false, true)) => self.fail(seq, late()),
                _ => {}
            }
        }
        for job in self.queue.given_up() {
            let slot = Slot::new(job);
            if slot.job.is_cancelled() {
                slot.finish(End::Cancelled);
            } else {
                slot.job.say(Output::Failed(late(), slot.usage()));
            }
        }
    }

    /// Lets requests in while they fit. `false`: the queue is closed.
    fn admit(&mut self) -> bool {
        loop {
            let when = if self.order.is_empty() { When::Idle } else { When::Now };
            let free = self.slots.iter().position(Option::is_none);
            let room = self.backend.cells().saturating_sub(self.reserved());
            match self.queue.next(when, |job| free.is_some() && job.cells() <= room) {
                Next::Closed => return false,
                Next::Nothing => return true,
                Next::Job(job) => {
                    job.say(Output::Started);
                    let place = free.and_then(|seq| Some((seq, self.slots.get_mut(seq)?)));
                    if let Some((seq, place)) = place {
                        *place = Some(Slot::new(*job));
                        self.order.push(seq);
                    }
                    self.publish_reserved();
                }
            }
        }
    }

    fn step(&mut self) -> Result<(), BackendError> {
        self.batch.clear();
        let mut chunk = self.backend.chunk();
        for seq in self.order.clone() {
            if let Some(slot) = self.slots.get_mut(seq).and_then(Option::as_mut) {
                slot.add_rows(seq, chunk, &mut self.batch);
                if !slot.is_decoding() {
                    chunk -= slot.in_step;
                }
            }
        }
        if self.batch.is_empty() {
            return Ok(());
        }
        self.backend.decode(&self.batch)?;
        for seq in self.order.clone() {
            self.after(seq);
        }
        Ok(())
    }

    /// Takes one request on after a step.
    fn after(&mut self, seq: usize) {
        let Some(slot) = self.slots.get_mut(seq).and_then(Option::as_mut) else { return };
        let (prompt, wanted) = slot.computed();
        self.counters.prompt_tokens.fetch_add(prompt as u64, Ordering::Relaxed);
        let Some(row) = wanted else { return };
        let Some(logits) = self.backend.logits(row) else {
            return self.fail(seq, Error::new(ErrorKind::Internal, "the model gave no logits"));
        };
        let before = slot.sampled;
        let outcome = slot.advance(self.model, logits);
        let sampled = slot.sampled - before;
        self.counters.output_tokens.fetch_add(sampled as u64, Ordering::Relaxed);
        match outcome {
            Ok(None) => {}
            Ok(Some(end)) => self.finish(seq, end),
            Err(error) => {
                let message = format!("the local model could not go on: {error}");
                self.fail(seq, Error::new(ErrorKind::Internal, message).with_source(error));
            }
        }
    }

    fn slot(&self, seq: usize) -> Option<&Slot> {
        self.slots.get(seq).and_then(Option::as_ref)
    }

    /// Frees the place and the cells of a request.
    fn take(&mut self, seq: usize) -> Option<Slot> {
        let slot = self.slots.get_mut(seq)?.take()?;
        self.order.retain(|other| *other != seq);
        self.backend.clear(seq);
        self.publish_reserved();
        self.queue.release();
        Some(slot)
    }

    fn finish(&mut self, seq: usize, end: End) {
        if let Some(slot) = self.take(seq) {
            slot.finish(end);
        }
    }

    fn fail(&mut self, seq: usize, error: Error) {
        if let Some(slot) = self.take(seq) {
            slot.job.say(Output::Failed(error, slot.usage()));
        }
    }

    fn fail_all(&mut self, error: &Error) {
        for seq in self.order.clone() {
            self.fail(seq, error.clone());
        }
    }

    fn reserved(&self) -> usize {
        self.slots.iter().flatten().map(|slot| slot.job.cells()).sum()
    }

    fn publish_reserved(&self) {
        self.counters.cells_reserved.store(self.reserved() as u64, Ordering::Relaxed);
    }
}

fn late() -> Error {
    Error::new(ErrorKind::Timeout, "the deadline of the call passed before the answer was complete")
}
