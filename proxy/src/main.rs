//! The server's program: arguments in, exit code out.
#![expect(clippy::print_stderr, reason = "a program tells its user what went wrong")]

use clap::Parser;
use mimalloc::MiMalloc;
use std::process::ExitCode;
use tollgate::{commands, config::Environment};

/// A call's pieces are made by one thread and often dropped by another, where the C library's
/// allocator waits for locks.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = commands::Cli::parse();
    match commands::run(cli, &Environment::of_process()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tollgate: {failure}");
            ExitCode::FAILURE
        }
    }
}
