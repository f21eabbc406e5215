//! What an operator types. Commands work on the database directly, so that a fresh install can be
//! set up before a server runs, and beside one that does.

mod audit;
mod behalf;
mod budgets;
mod config;
mod doctor;
mod holds;
mod keys;
mod limits;
pub mod models;
mod organisations;
mod output;
mod prices;
mod pull;
mod running;
mod serve;
mod teams;
mod tokens;
mod usage;
mod users;

use crate::{
    app::open_store,
    config::{Config, Environment, masked_url},
    store::{Patience, Store},
    telemetry,
};
use clap::{Parser, Subcommand};
use output::Format;
use serde_json::json;
use std::path::PathBuf;

/// Why a command failed; the text is for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

impl Failure {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

macro_rules! failure_of {
    ($($error:ty),+ $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        }
    )+};
}
failure_of!(
    crate::app::StartError,
    crate::config::ConfigError,
    crate::ledger::report::ReportError,
    crate::providers::ProviderError,
    crate::store::StoreError,
    models::PullError,
    serde_json::Error,
    std::io::Error,
    tollgate_types::Error,
);

/// The Tollgate server: real provider keys and local models behind it, Tollgate keys in front.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, propagate_version = true, after_help = EXAMPLES)]
pub struct Cli {
    /// Configuration file; without it ./tollgate.toml is read if there is one.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  tollgate users create alice
  tollgate keys create --user alice --model 'local/*' --budget 'cost=5usd/month'
  tollgate serve
  tollgate usage --since 7d --group-by model

Every setting of the file can be overridden: TOLLGATE_SERVER__LISTEN=0.0.0.0:8080 tollgate serve";

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server; SIGTERM or Ctrl-C stops it without breaking running requests.
    #[command(after_help = "Examples:
  tollgate serve
  tollgate --config /etc/tollgate.toml serve
  TOLLGATE_SERVER__LISTEN=127.0.0.1:0 tollgate serve   a free port, which is printed")]
    Serve,
    /// Create, list, show, change and delete organisations: teams that pay together.
    #[command(subcommand)]
    Organisations(organisations::Organisations),
    /// Create, list, show, change and delete teams: users who pay together.
    #[command(subcommand)]
    Teams(teams::Teams),
    /// Create, list, show, change and delete users.
    #[command(subcommand)]
    Users(users::Users),
    /// Create, list, show, change, rotate and revoke API keys.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// End the keys that sign short-lived tokens.
    #[command(subcommand)]
    Tokens(tokens::Tokens),
    /// Create, list, show, change and delete budgets.
    #[command(subcommand)]
    Budgets(budgets::Budgets),
    /// Show the requests whose money is set aside.
    #[command(subcommand)]
    Holds(holds::Holds),
    /// Create, list, change and delete rate limits and places.
    #[command(subcommand)]
    Limits(limits::Limits),
    /// Show and set what models cost.
    #[command(subcommand)]
    Prices(prices::Prices),
    /// Show what was used, by whom, and what it cost.
    Usage(usage::UsageArgs),
    /// Show who changed what, and check the record of it.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Fetch models, and see which ones are loaded.
    #[command(subcommand)]
    Models(pull::Models),
    /// Check the configuration.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Check the books, the database, the clock, the disk and the configuration.
    Doctor(doctor::DoctorArgs),
    /// Bring the database's tables up to date; `serve` does this by itself.
    #[command(after_help = "Example:
  tollgate migrate")]
    Migrate(Format),
    /// Show the version.
    #[command(after_help = "Example:
  tollgate version --json")]
    Version(Format),
}

/// Runs a command.
///
/// # Errors
/// Why it failed.
pub async fn run(cli: Cli, environment: &Environment) -> Result<(), Failure> {
    if let Command::Version(format) = cli.command {
        let version = env!("CARGO_PKG_VERSION");
        return format.tell(&format!("tollgate {version}"), &json!({"version": version}));
    }
    if let Command::Models(models) = cli.command {
        return pull::run(models, cli.config.as_deref(), environment).await;
    }
    if let Command::Doctor(arguments) = cli.command {
        return doctor::run(arguments, cli.config.as_deref(), environment).await;
    }
    let config = Config::load(cli.config.as_deref(), environment)?;
    match cli.command {
        Command::Serve => {
            let _log = telemetry::start(environment);
            serve::run(&config, environment).await
        }
        Command::Organisations(command) => {
            organisations::run(command, &store(&config).await?).await
        }
        Command::Teams(command) => teams::run(command, &store(&config).await?).await,
        Command::Users(command) => users::run(command, &store(&config).await?).await,
        Command::Keys(command) => keys::run(command, &store(&config).await?).await,
        Command::Tokens(command) => tokens::run(command, &store(&config).await?).await,
        Command::Budgets(command) => budgets::run(command, &store(&config).await?).await,
        Command::Holds(command) => holds::run(command, &store(&config).await?).await,
        Command::Prices(command) => prices::run(command, &config, &store(&config).await?).await,
        Command::Limits(command) => limits::run(command, &store(&config).await?).await,
        Command::Usage(arguments) => usage::run(arguments, &store(&config).await?).await,
        Command::Audit(command) => audit::run(command, &store(&config).await?).await,
        Command::Config(command) => config::check(&command, &config),
        Command::Migrate(format) => migrate(&config, &format).await,
        Command::Doctor(_) | Command::Models(_) | Command::Version(_) => Ok(()),
    }
}

async fn migrate(config: &Config, format: &Format) -> Result<(), Failure> {
    let store = store(config).await?;
    let steps = store.migrations().await?;
    let name = masked_url(&config.store.url);
    let (made, newer) = (steps.applied.len(), steps.newer.len());
    let more = match newer {
        0 => String::new(),
        newer => format!(", and {newer} of a newer version"),
    };
    let sentence = format!("{name} is up to date: {made} migrations made{more}");
    format.tell(&sentence, &json!({"migrated": name, "migrations": made, "newer": newer}))
}

async fn store(config: &Config) -> Result<Store, Failure> {
    Ok(open_store(config, Patience::Command).await?)
}
