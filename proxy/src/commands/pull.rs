//! `tollgate models`.

use super::{Failure, models, output, running};
use crate::config::{Config, Environment};
use clap::Subcommand;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum Models {
    /// Fetch a model file, or have an Ollama server fetch a model; what is there is kept.
    #[command(after_help = "Examples:
  tollgate models pull smollm2-135m-instruct --dir models
  tollgate models pull ollama/qwen3:4b   the provider named \"ollama\" fetches it")]
    Pull {
        /// Name of the model; a wrong one lists those that can be pulled. With a slash: provider
        /// and model.
        name: String,
        /// Folder for the file; an Ollama server has its own.
        #[arg(long, default_value = "models")]
        dir: PathBuf,
        #[command(flatten)]
        format: output::Format,
    },
    /// List the models that the configured Ollama servers have loaded.
    #[command(after_help = "Example:
  tollgate models ps --json")]
    Ps {
        #[command(flatten)]
        format: output::Format,
    },
}

pub(super) async fn run(
    command: Models,
    file: Option<&Path>,
    environment: &Environment,
) -> Result<(), Failure> {
    let (name, dir, format) = match command {
        Models::Pull { name, dir, format } => (name, dir, format),
        Models::Ps { format } => {
            let config = Config::load(file, environment)?;
            return running::list(&config, environment, &format).await;
        }
    };
    if let Some((provider, model)) = name.split_once('/') {
        let config = Config::load(file, environment)?;
        return running::pull(provider, model, (&config, environment), &format).await;
    }
    let index = environment.get("PIP_INDEX_URL").unwrap_or(models::DEFAULT_INDEX);
    let path = models::pull(&name, &dir, index).await?;
    format.tell(&path.display().to_string(), &json!({"path": path}))
}
