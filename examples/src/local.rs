//! The demo model in this process.

use std::path::PathBuf;
use tollgate_engine::{LoadError, LoadOptions, LocalProvider};

/// The id under which a server offers the same model, so that one request fits both.
const MODEL: &str = "local/smollm2-135m-instruct";
const FILE: &str = ".cache/tollgate/models/SmolLM2-135M-Instruct.Q4_1.gguf";

/// Loads the demo model from `TOLLGATE_MODEL_PATH`, by default from the cache folder. Blocks while
/// it does.
///
/// # Errors
/// When the file is missing or no model.
pub fn local_provider() -> Result<LocalProvider, LoadError> {
    LocalProvider::load("local", vec![LoadOptions::new(MODEL, model_path())])
}

#[expect(clippy::disallowed_methods, reason = "an example has no configuration file")]
fn model_path() -> PathBuf {
    let from_home = || std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default().join(FILE);
    std::env::var_os("TOLLGATE_MODEL_PATH").map_or_else(from_home, PathBuf::from)
}
