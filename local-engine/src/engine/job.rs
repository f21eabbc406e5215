//! What goes into the thread of a model, and what comes out of it.

use crate::{
    backend::Token,
    sampler::Sampler,
    text::{Assembler, Piece},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use tokio::sync::mpsc;
use tollgate_types::{Error, Usage};

/// A request that needs nothing but computing.
pub(crate) struct Job {
    /// The prompt; never empty.
    pub(crate) prompt: Vec<Token>,
    /// The most tokens to sample; at least one.
    pub(crate) max_output: usize,
    pub(crate) sampler: Sampler,
    pub(crate) text: Assembler,
    /// When the caller stops waiting.
    pub(crate) deadline: Option<Instant>,
    /// Has room for everything that can come, so that the thread never waits for a reader.
    pub(crate) outputs: mpsc::Sender<Output>,
    pub(crate) cancelled: Arc<AtomicBool>,
}

/// What comes back, in this order: one `Started`, pieces, and one of the others.
#[derive(Debug)]
pub(crate) enum Output {
    Started,
    Piece(Piece),
    Done(End, Usage),
    Failed(Error, Usage),
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The model was done, or met a stop string.
    Stop,
    /// The output limit was reached.
    Length,
    /// The caller went away.
    Cancelled,
}

impl Job {
    /// A channel that holds every output of an answer of this length.
    pub(crate) fn channel(max_output: usize) -> (mpsc::Sender<Output>, mpsc::Receiver<Output>) {
        // One piece per token, the text held back until the end, `Started`, and the last word.
        mpsc::channel(max_output + 3)
    }

    /// Cells that the request may come to occupy.
    pub(super) fn cells(&self) -> usize {
        self.prompt.len() + self.max_output
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || self.outputs.is_closed()
    }

    pub(super) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Says something to the reader; a reader that left is noticed by `is_cancelled`.
    pub(super) fn say(&self, output: Output) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.outputs.try_send(output) {
            tracing::error!("an answer is longer than its channel");
        }
    }
}
