//! Models that run in this process: llama.cpp behind a scheduler that serves many requests at once.
//!
//! [`LocalProvider`] is a [`tollgate_types::Provider`] like any other. Each loaded model has one
//! thread that owns its KV cache and computes; requests are checked, written out through the
//! model's own chat template and split into tokens before they reach it, and join the others at
//! the next token boundary.
//!
//! Read on in the order of a request: `provider`, `ask` (what is refused, and why), `chat` (prompt),
//! `engine` (queue, scheduler), `sampler` and `text` (tokens to words), `answer` (events).
//! `backend` is the seam to llama.cpp; it has a fake for tests, so all but that seam is built and
//! tested without the feature `llama`.
//!
//! Not here: embeddings, images, sharing of prompt prefixes between requests.
#![warn(missing_docs)]
#![cfg_attr(
    not(any(feature = "llama", test)),
    expect(dead_code, reason = "without llama.cpp there is no backend, so nothing runs the rest")
)]

mod options;
mod error;
mod backend;
mod sampler;
mod text;
mod toolcall;
mod engine;
mod chat;
mod ask;
mod grammar;
mod answer;
mod provider;
mod load;

pub use engine::EngineStats;
pub use error::LoadError;
pub use options::{GpuLayers, Grammars, LoadOptions};
pub use provider::LocalProvider;
