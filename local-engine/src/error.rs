//! Why a model cannot be loaded. Every message names the file and says what to do.

use std::path::PathBuf;

/// Why a model cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There is no file.
    #[error("model file {path} does not exist: check the path, or download the model first")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("model file {path} cannot be read: check its owner and permissions")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is something else.
    #[error("{path} is not a GGUF model: convert it, or point to a .gguf file")]
    NotGguf {
        /// The file.
        path: PathBuf,
    },
    /// The file begins like a model but llama.cpp refuses it.
    #[error("model file {path} is cut short, corrupt or of an unknown kind: download it again")]
    Corrupt {
        /// The file.
        path: PathBuf,
    },
    /// The chat template in the file cannot be used.
    #[error("the chat template of {path} cannot be used ({reason}): use another conversion of it")]
    Template {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An option is out of range.
    #[error("{option} = {value} for model {path} is out of range: use {allowed}")]
    Option {
        /// The file.
        path: PathBuf,
        /// The option.
        option: &'static str,
        /// Its value.
        value: u32,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The context could not be made, usually for lack of memory.
    #[error("model {path} cannot run with {context} cells ({reason}): lower `context`")]
    Context {
        /// The file.
        path: PathBuf,
        /// The cells asked for.
        context: u32,
        /// What llama.cpp said.
        reason: String,
    },
    /// Two models have one id.
    #[error("model id {model:?} is given twice, the second time for {path}: rename one")]
    Duplicate {
        /// The id.
        model: String,
        /// The second file.
        path: PathBuf,
    },
    /// llama.cpp cannot start in this process.
    #[error("llama.cpp cannot start for model {path} ({reason}): load models in one place only")]
    Backend {
        /// The file.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
    /// This program was built without llama.cpp.
    #[error("model {path} cannot be loaded by this build: build it with the feature `llama`")]
    NotBuilt {
        /// The file.
        path: PathBuf,
    },
}
