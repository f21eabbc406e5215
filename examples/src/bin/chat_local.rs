//! Chats in the terminal. `chat_local` and `chat_remote` differ in the line that builds the provider.

use clap::Parser;
use std::{error::Error, process::ExitCode, sync::Arc};
use tollgate_examples::ChatArgs;
use tollgate_types::Provider;

#[tokio::main]
async fn main() -> ExitCode {
    tollgate_examples::report(run(ChatArgs::parse()).await)
}

async fn run(args: ChatArgs) -> Result<String, Box<dyn Error>> {
    let provider: Arc<dyn Provider> = Arc::new(tollgate_examples::local_provider()?);
    args.chat(provider).await
}
