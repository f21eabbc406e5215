//! `tollgate models`.

use super::{Failure, models, output};
use crate::config::Environment;
use clap::Subcommand;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum Models {
    /// Fetch a model file; a file that is there and whole is kept.
    #[command(after_help = "Example:
  tollgate models pull smollm2-135m-instruct --dir models")]
    Pull {
        /// Name of the model; a wrong one lists those that can be pulled.
        name: String,
        /// Folder for the file.
        #[arg(long, default_value = "models")]
        dir: PathBuf,
        #[command(flatten)]
        format: output::Format,
    },
}

pub(super) async fn run(command: Models, environment: &Environment) -> Result<(), Failure> {
    let Models::Pull { name, dir, format } = command;
    let index = environment.get("PIP_INDEX_URL").unwrap_or(models::DEFAULT_INDEX);
    let path = models::pull(&name, &dir, index).await?;
    format.tell(&path.display().to_string(), &json!({"path": path}))
}
