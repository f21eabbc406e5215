//! What can be typed after the name of each program.

mod chat;
mod session;
mod team;

use crate::Agent;
use clap::{Parser, ValueEnum};
use std::sync::Arc;
use tollgate_types::{Provider, ToolChoice};

pub use chat::ChatArgs;
pub use session::SessionArgs;
pub use team::TeamArgs;

/// The demo model, as a server and this process call it.
const DEMO: &str = "local/smollm2-135m-instruct";

/// Asks a model that may use a calculator and a unit converter, and shows what it did
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  agent_local 'What is 12.5 * 7?'
  agent_local --tool-choice auto 'How many miles are 42 km?'
  TOLLGATE_URL=http://127.0.0.1:8787 TOLLGATE_API_KEY=tg_... agent_remote

agent_local runs the model in this process; it reads the file TOLLGATE_MODEL_PATH, by default
$HOME/.cache/tollgate/models/SmolLM2-135M-Instruct.Q4_1.gguf.
agent_remote asks the server TOLLGATE_URL with the key TOLLGATE_API_KEY.")]
pub struct AgentArgs {
    /// What to ask
    #[arg(default_value = "What is 12.5 * 7?")]
    pub question: String,

    /// Model to ask
    #[arg(long, default_value = DEMO)]
    pub model: String,

    /// `required` forces tool calls in the first round and an answer in the second, which even a
    /// tiny model can do; `auto` leaves both to the model
    #[arg(long, value_enum, default_value_t = Choice::Required)]
    pub tool_choice: Choice,

    /// The most times the model is asked
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=32))]
    pub max_rounds: u32,

    /// The most tokens of one round
    #[arg(long, default_value_t = 128)]
    pub max_output: u32,
}

/// How freely the model may choose to call tools.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Choice {
    /// It decides.
    Auto,
    /// It must, in the first round.
    Required,
}

impl AgentArgs {
    /// The agent that these arguments describe, over any provider.
    pub fn agent(&self, provider: Arc<dyn Provider>) -> Agent {
        let mut agent = Agent::new(provider, &self.model);
        agent.first_choice = match self.tool_choice {
            Choice::Auto => ToolChoice::Auto,
            Choice::Required => ToolChoice::Required,
        };
        agent.max_rounds = self.max_rounds;
        agent.max_output = self.max_output;
        agent
    }
}
