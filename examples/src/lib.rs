//! An agent with tools, written only against `Arc<dyn Provider>`: whether its model runs in this
//! process or behind a Tollgate server is decided by one line of the program that starts it.
//! Compare `src/bin/agent_local.rs` with `src/bin/agent_remote.rs`.

mod tools;
mod agent;
mod args;
#[cfg(feature = "local")]
mod local;

pub use agent::{Agent, AgentRun, ToolRun};
pub use args::AgentArgs;
#[cfg(feature = "local")]
pub use local::local_provider;
pub use tools::Toolbox;
