//! `toll`: asks models and reads usage and budgets, through a Tollgate server.

mod args;
mod failure;
mod show;
mod output;
mod chat;
mod estimate;
mod models;
mod usage;
mod budgets;
mod delegate;

use args::{Args, Command};
use clap::Parser;
use failure::{Failure, Result};
use std::process::ExitCode;
use tollgate_client::RemoteProvider;

fn main() -> ExitCode {
    match start(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn start(args: Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(run(args));
    // A read of the keyboard that is still waiting must not hold up the exit.
    runtime.shutdown_background();
    outcome
}

async fn run(args: Args) -> Result<()> {
    let remote = connect(&args)?;
    match args.command {
        Command::Chat(args) => chat::run(remote, args).await,
        Command::Estimate(args) => estimate::run(remote, args).await,
        Command::Models(args) => models::run(remote, args).await,
        Command::Usage(args) => usage::run(remote, args).await,
        Command::Delegate(command) => delegate::run(remote, command).await,
        Command::Budgets(args) => budgets::run(remote, args).await,
    }
}

fn connect(args: &Args) -> Result<RemoteProvider> {
    let Some(key) = &args.api_key else {
        return Err(Failure::Usage(
            "no API key: set TOLLGATE_API_KEY or give --api-key".to_owned(),
        ));
    };
    let builder = RemoteProvider::builder().env();
    let provider = builder.and_then(|builder| builder.server(&args.url).api_key(key).build());
    provider.map_err(|error| Failure::Usage(error.to_string()))
}
