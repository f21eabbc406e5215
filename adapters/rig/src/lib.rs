//! Any Tollgate provider as a model of [rig](https://docs.rs/rig-core/0.44.0): an agent of rig's
//! runs over it as over rig's own models, whether the provider is in this process or behind a
//! Tollgate server.
//!
//! ```no_run
//! use std::sync::Arc;
//! use tollgate_types::Provider;
//! # fn remote() -> Arc<dyn Provider> { unimplemented!() }
//!
//! # async fn ask() -> Result<(), rig_core::ProviderError> {
//! let provider: Arc<dyn Provider> = remote();
//! let model = tollgate_rig::model(provider, "openai/gpt-4o-mini");
//! let answer = model.call("Hello").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Nothing is lost on the way back: every block of an answer keeps the provider's part beside what
//! rig makes of it, so the next turn sends signatures and argument text byte for byte. The whole
//! answer, receipt and warnings included, is [`answer`] of rig's response, and the whole error is
//! [`cause`] of rig's.
//!
//! What a Tollgate request has no place for is refused. `additional_params` are
//! [`Extras`](tollgate_types::Extras): `{"openai": {"service_tier": "flex"}}`.
#![warn(missing_docs)]

mod failure;
mod item;
mod media;
mod options;
mod request;
mod decoder;
mod transport;
mod wire;

pub use failure::cause;
pub use transport::Backend;
pub use wire::{Answer, Tollgate, answer};

use rig_core::Model;
use std::sync::Arc;
use tollgate_types::Provider;

/// A model of this provider, for rig: `provider/model`, or an alias that the server resolves.
pub fn model(provider: Arc<dyn Provider>, model: impl Into<String>) -> Model<Tollgate, Backend> {
    Model::new(Tollgate::new(model), Backend::new(provider))
}
