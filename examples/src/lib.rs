//! Agents to copy from, written only against `Arc<dyn Provider>`: whether their models run in this
//! process or behind a Tollgate server is decided by one line of the program that starts them.
//! Compare `src/bin/agent_local.rs` with `src/bin/agent_remote.rs`, and so on.

mod tools;
mod bill;
mod agent;
mod session;
mod employer;
mod team;
mod chat;
mod args;
mod report;
#[cfg(feature = "local")]
mod local;

pub use agent::{Agent, AgentRun, ToolRun};
pub use args::{AgentArgs, ChatArgs, SessionArgs, TeamArgs};
pub use bill::Bill;
pub use chat::{Chat, Terminal};
pub use employer::Employer;
#[cfg(feature = "local")]
pub use local::local_provider;
pub use report::report;
pub use session::{Answer, Session};
pub use team::{Task, Team, TeamRun};
pub use tools::Toolbox;
