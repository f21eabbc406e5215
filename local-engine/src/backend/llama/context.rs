//! One llama.cpp context: the KV cache and the steps of one model.

use crate::backend::{Backend, BackendError, Row};
use llama_cpp_2::{
    context::{LlamaContext, params::LlamaContextParams},
    llama_backend::LlamaBackend,
    llama_batch::LlamaBatch,
    model::LlamaModel,
    token::LlamaToken,
};
use std::num::NonZeroU32;

/// The sizes of a context.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) cells: u32,
    pub(super) places: u32,
    pub(super) threads: u32,
    /// Prompt tokens of one step.
    pub(super) chunk: usize,
}

/// Computes steps. Borrows its model, so it is made on the thread that uses it.
pub(super) struct LlamaSteps<'m> {
    context: LlamaContext<'m>,
    batch: LlamaBatch<'static>,
    shape: Shape,
    /// Which rows of the last step have logits: asking for another one panics.
    wanted: Vec<bool>,
}

impl<'m> LlamaSteps<'m> {
    pub(super) fn open(
        backend: &LlamaBackend,
        model: &'m LlamaModel,
        shape: Shape,
    ) -> Result<Self, BackendError> {
        let rows = shape.chunk + shape.places as usize;
        let size = u32::try_from(rows).unwrap_or(u32::MAX);
        let threads = i32::try_from(shape.threads).unwrap_or(1);
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(shape.cells))
            .with_n_seq_max(shape.places)
            .with_n_batch(size)
            .with_n_ubatch(size)
            .with_n_threads(threads)
            .with_n_threads_batch(threads)
            .with_kv_unified(true)
            .with_no_perf(true);
        let context =
            model.new_context(backend, params).map_err(|error| BackendError(error.to_string()))?;
        Ok(Self { context, batch: LlamaBatch::new(rows, 1), shape, wanted: Vec::new() })
    }
}

impl Backend for LlamaSteps<'_> {
    fn cells(&self) -> usize {
        self.context.n_ctx() as usize
    }

    fn chunk(&self) -> usize {
        self.shape.chunk
    }

    fn decode(&mut self, rows: &[Row]) -> Result<(), BackendError> {
        let wrong = |error: &dyn std::fmt::Display| BackendError(error.to_string());
        self.batch.clear();
        for row in rows {
            let seq = i32::try_from(row.seq).map_err(|error| wrong(&error))?;
            let position = i32::try_from(row.position).map_err(|error| wrong(&error))?;
            // `add` refuses what does not fit: a batch that is too large ends the process.
            self.batch
                .add(LlamaToken(row.token), position, &[seq], row.wanted)
                .map_err(|error| wrong(&error))?;
        }
        self.wanted.clear();
        self.context.decode(&mut self.batch).map_err(|error| wrong(&error))?;
        self.wanted.extend(rows.iter().map(|row| row.wanted));
        Ok(())
    }

    fn logits(&self, row: usize) -> Option<&[f32]> {
        let wanted = *self.wanted.get(row)?;
        let row = i32::try_from(row).ok()?;
        wanted.then(|| self.context.get_logits_ith(row))
    }

    fn clear(&mut self, seq: usize) {
        // A sequence id outside the context ends the process.
        let seq = u32::try_from(seq).ok().filter(|seq| *seq < self.shape.places);
        if let Some(seq) = seq.and_then(|seq| i32::try_from(seq).ok())
            && let Err(error) = self.context.kv_cache_seq_rm(seq, None, None)
        {
            tracing::error!(%error, seq, "cells of a finished request were not freed");
        }
    }
}
