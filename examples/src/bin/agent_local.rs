//! Runs the agent. `agent_local` and `agent_remote` differ in the line that builds the provider.

use clap::Parser;
use std::{error::Error, process::ExitCode, sync::Arc};
use tollgate_examples::{AgentArgs, AgentRun};
use tollgate_types::Provider;

#[tokio::main]
async fn main() -> ExitCode {
    tollgate_examples::report(run(AgentArgs::parse()).await)
}

async fn run(args: AgentArgs) -> Result<AgentRun, Box<dyn Error>> {
    let provider: Arc<dyn Provider> = Arc::new(tollgate_examples::local_provider()?);
    Ok(args.agent(provider).run(&args.question).await?)
}
