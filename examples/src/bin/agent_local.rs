//! Runs the agent. `agent_local` and `agent_remote` differ in the line that builds the provider.

use clap::Parser;
use std::{
    error::Error,
    io::{Write, stderr, stdout},
    process::ExitCode,
    sync::Arc,
};
use tollgate_examples::{AgentArgs, AgentRun};
use tollgate_types::Provider;

#[tokio::main]
async fn main() -> ExitCode {
    let (told, code) = match run(AgentArgs::parse()).await {
        Ok(run) => (write!(stdout(), "{run}"), ExitCode::SUCCESS),
        Err(error) => (writeln!(stderr(), "error: {error}"), ExitCode::FAILURE),
    };
    // Whoever read the output may have left.
    if told.is_ok() { code } else { ExitCode::FAILURE }
}

async fn run(args: AgentArgs) -> Result<AgentRun, Box<dyn Error>> {
    let provider: Arc<dyn Provider> = Arc::new(tollgate_examples::local_provider()?);
    Ok(args.agent(provider).run(&args.question).await?)
}
