//! Holds a conversation that is kept within what its model can read. `session_local` and `session_remote` differ in the line that builds the provider.

use clap::Parser;
use std::{error::Error, process::ExitCode, sync::Arc};
use tollgate_examples::SessionArgs;
use tollgate_types::Provider;

#[tokio::main]
async fn main() -> ExitCode {
    tollgate_examples::report(run(SessionArgs::parse()).await)
}

async fn run(args: SessionArgs) -> Result<String, Box<dyn Error>> {
    let provider: Arc<dyn Provider> = Arc::new(tollgate_client::RemoteProvider::from_env()?);
    args.converse(provider).await
}
