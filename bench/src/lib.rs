//! The mock upstream that Tollgate is tested and measured against: a real HTTP server that speaks
//! the APIs of OpenAI, Anthropic, Google and Ollama on one port, and misbehaves on request.
//!
//! What it does is told per request, see [`Script`]. One word is one token, so usage can be
//! compared exactly. Databases are not mocked: [`private`] starts real ones. [`AtOnce`] is for where
//! even the mock would be too slow. [`faults`] is a network that fails as it is told. [`score`] measures
//! Tollgate beside other proxies.

mod at_once;
pub mod faults;
mod mock;
pub mod private;
pub mod score;
mod script;

pub use at_once::AtOnce;
pub use mock::{Abort, Mock, MockOptions, Seen};
pub use script::{Because, End, Script, UsageReport};
