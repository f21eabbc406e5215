//! Runs a command beside a private PostgreSQL and a private Redis, which end with it.

use clap::Parser;
use std::{
    ffi::OsString,
    io::{self, Write},
    os::unix::process::ExitStatusExt,
    process::{ExitCode, ExitStatus},
};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};
use tollgate_bench::private::{Durability, POSTGRES, Postgres, REDIS, Redis};

const MORE: &str = "\
The command finds them in TOLLGATE_TEST_POSTGRES and TOLLGATE_TEST_REDIS; what is set there
already is used instead. Its exit code is this program's.

Example:
  with-databases cargo nextest run -p tollgate";

/// Runs a command beside a private PostgreSQL and a private Redis, which end with it.
#[derive(Parser)]
#[command(name = "with-databases", version, after_help = MORE)]
struct Arguments {
    /// PostgreSQL puts what it commits on the disk, as in production; slower.
    #[arg(long)]
    durable: bool,
    /// What to run.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

#[tokio::main]
async fn main() -> ExitCode {
    run(Arguments::parse()).await.unwrap_or_else(|error| {
        // Nobody is left to tell when this fails.
        drop(writeln!(io::stderr(), "error: {error}"));
        ExitCode::FAILURE
    })
}

async fn run(Arguments { durable, command }: Arguments) -> io::Result<ExitCode> {
    let mut words = command.into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    // From here on signals are for the command: the databases stay until it has ended.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let durability = if durable { Durability::Disk } else { Durability::System };
    let _postgres = if is_set(POSTGRES) {
        None
    } else {
        let postgres = Postgres::start(durability).await?;
        command.env(POSTGRES, postgres.url());
        Some(postgres)
    };
    let _redis = if is_set(REDIS) {
        None
    } else {
        let redis = Redis::start().await?;
        command.env(REDIS, redis.url());
        Some(redis)
    };
    let mut child = command.spawn().map_err(|error| {
        let program = command.as_std().get_program().display().to_string();
        io::Error::new(error.kind(), format!("{program}: {error}"))
    })?;
    loop {
        tokio::select! {
            status = child.wait() => return Ok(code(status?)),
            // Ctrl-C reaches the command by itself.
            _ = interrupt.recv() => {}
            _ = terminate.recv() => ask_to_end(&child).await?,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this program is configured by nothing else")]
fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|url| !url.is_empty())
}

async fn ask_to_end(child: &Child) -> io::Result<()> {
    let Some(id) = child.id() else { return Ok(()) };
    let sent = Command::new("sh").args(["-c", "kill -s TERM $0", &id.to_string()]).status().await?;
    if sent.success() || child.id().is_none() { Ok(()) } else { Err(io::Error::other("no kill")) }
}

/// As a shell tells it: 128 and the signal's number for a command that a signal has ended.
fn code(status: ExitStatus) -> ExitCode {
    let signalled = || status.signal().map(|signal| 128 + signal);
    let code = status.code().or_else(signalled).and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}
