//! Runs the built programs as an operator would: files, arguments, signals, HTTP.
//!
//! Nothing here links the server: what is proven is what a person gets. Waiting is polling a
//! condition with a deadline.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail there, in its helper functions too"
)]

mod books;
mod crowd;
mod firm;
mod fleet;
mod install;
mod relay;
mod server;
mod wire;

pub use books::{Books, Entry};
pub use crowd::{Crowd, End, Told, agrees};
pub use firm::{Firm, Witness, seed};
pub use fleet::Fleet;
pub use install::{Install, Key, Ran};
pub use relay::Relay;
pub use server::Server;
pub use wire::{Api, Events, question, text_of};

use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tollgate_bench::Mock;

/// No step of a test takes longer than this, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The real model, as callers name it.
pub const REAL_MODEL: &str = "local/smol";

/// A program of the workspace, built in the same profile as the tests.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is not built: cargo build --workspace --all-targets, or run make test",
        path.display()
    );
    path
}

/// The real model's file.
#[expect(clippy::disallowed_methods, reason = "a test has no configuration to read from")]
pub fn model_file() -> PathBuf {
    let usual = || cache().join("models/SmolLM2-135M-Instruct.Q4_1.gguf");
    let path = std::env::var("TOLLGATE_TEST_MODEL").map_or_else(|_| usual(), PathBuf::from);
    assert!(path.exists(), "{} is missing: run make setup", path.display());
    path
}

/// The Python that has the official SDKs.
#[expect(clippy::disallowed_methods, reason = "a test has no configuration to read from")]
pub fn python() -> PathBuf {
    let usual = || cache().join("venv/bin/python");
    let path = std::env::var("TOLLGATE_TEST_PYTHON").map_or_else(|_| usual(), PathBuf::from);
    assert!(path.exists(), "{} is missing: run make setup", path.display());
    path
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration to read from")]
fn cache() -> PathBuf {
    let home = || std::env::var("HOME").map(|home| Path::new(&home).join(".cache"));
    let base = || std::env::var("XDG_CACHE_HOME").map(PathBuf::from).or_else(|_| home()).unwrap();
    std::env::var("TOLLGATE_CACHE").map_or_else(|_| base().join("tollgate"), PathBuf::from)
}

/// Configuration of the mock upstream as provider `mock`, with prices.
pub fn mock_provider(mock: &Mock) -> String {
    format!(
        "[[providers]]\nname = \"mock\"\nkind = \"openai\"\nbase_url = \"{}\"\n\n\
         [[prices]]\nmodel = \"mock/*\"\ninput = \"1\"\noutput = \"2\"\n\n",
        mock.base_url()
    )
}

/// Configuration of the real model as [`REAL_MODEL`], with prices.
pub fn real_provider() -> String {
    local_provider(&model_file())
}

/// Configuration of a model file as [`REAL_MODEL`], with prices.
pub fn local_provider(file: &Path) -> String {
    format!(
        "[[providers]]\nname = \"local\"\nkind = \"llama\"\n\n[[providers.load]]\n\
         model = \"smol\"\npath = \"{}\"\ncontext = 1024\nparallel = 2\nthreads = 1\n\n\
         [[prices]]\nmodel = \"local/*\"\ninput = \"0.02\"\noutput = \"0.06\"\n\n",
        file.display()
    )
}

/// Polls until the condition holds.
///
/// # Panics
/// When it still does not hold after `within`; the message says what was awaited.
pub async fn until(what: &str, within: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + within;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
