//! Sets a team to work. `team_local` and `team_remote` differ in the line that builds the provider.

use clap::Parser;
use std::{error::Error, process::ExitCode};
use tollgate_examples::{Employer, TeamArgs, TeamRun};

#[tokio::main]
async fn main() -> ExitCode {
    tollgate_examples::report(run(TeamArgs::parse()).await)
}

async fn run(args: TeamArgs) -> Result<TeamRun, Box<dyn Error>> {
    let employer = Employer::remote(tollgate_client::RemoteProvider::from_env()?);
    let mut team = args.team(&employer).await?;
    Ok(team.run(&args.question).await?)
}
