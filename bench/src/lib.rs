//! The mock upstream that Tollgate is tested and measured against: a real HTTP server that speaks
//! OpenAI's chat completions, embeddings and models, and misbehaves on request.
//!
//! What it does is told per request, see [`Script`]. One word is one token, so usage can be
//! compared exactly.

mod mock;
mod script;

pub use mock::{Abort, Mock, Seen};
pub use script::{Script, UsageReport};
