//! Any Tollgate provider as a model of [adk](https://docs.rs/adk-core/2.3.0): an agent of adk's
//! runs over it as over adk's own models, whether the provider is in this process or behind a
//! Tollgate server.
//!
//! ```no_run
//! use std::sync::Arc;
//! use adk_core::Llm;
//! use tollgate_types::Provider;
//! # fn remote() -> Arc<dyn Provider> { unimplemented!() }
//!
//! let provider: Arc<dyn Provider> = remote();
//! let model: Arc<dyn Llm> = Arc::new(tollgate_adk::Model::new(provider, "openai/gpt-4o-mini"));
//! ```
//!
//! Adk's parts have no place for everything that a provider wants back: the text of arguments as
//! the model wrote it, encrypted reasoning, items of one vendor. So an answer that has any of these
//! ends with one more part, a server tool call named `tollgate`, which adk keeps without looking
//! into it. As long as the parts before it stand as they were, the next turn sends what the
//! provider said, byte for byte.
//!
//! What a Tollgate request has no place for is refused. `extensions` are
//! [`Extras`](tollgate_types::Extras): `{"openai": {"service_tier": "flex"}}`. The provider's whole
//! error is [`cause`] of adk's.
#![warn(missing_docs)]

mod failure;
mod keepsake;
mod media;
mod turn;
mod request;
mod response;
mod model;

pub use failure::cause;
pub use model::Model;
