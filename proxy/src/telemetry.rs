//! What the operator sees: log lines on standard error, filtered by `TOLLGATE_LOG`.

use crate::config::Environment;
use tracing_subscriber::EnvFilter;

/// Starts logging: lines for people, or JSON when `TOLLGATE_LOG_FORMAT=json`.
/// A second call does nothing.
pub fn start(environment: &Environment) {
    let wanted =
        environment.get("TOLLGATE_LOG").unwrap_or("info,sqlx=warn,hyper=warn,llama-cpp-2=warn");
    let filter = EnvFilter::try_new(wanted).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let json = environment.get("TOLLGATE_LOG_FORMAT") == Some("json");
    let started = if json { lines.json().try_init() } else { lines.with_ansi(false).try_init() };
    drop(started);
}
