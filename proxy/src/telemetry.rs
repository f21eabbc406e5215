//! What the operator sees: log lines on standard error, filtered by `TOLLGATE_LOG`.

mod lines;

use crate::config::Environment;
use lines::Lines;
use std::{io, sync::Arc};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// Writes what is left of the log when it is dropped.
#[derive(Debug)]
pub struct Log(Arc<Lines>);

impl Drop for Log {
    fn drop(&mut self) {
        self.0.flush();
    }
}

/// Starts logging: lines for people, or JSON when `TOLLGATE_LOG_FORMAT=json`.
/// A second call does nothing.
pub fn start(environment: &Environment) -> Log {
    let wanted =
        environment.get("TOLLGATE_LOG").unwrap_or("info,sqlx=warn,hyper=warn,llama-cpp-2=warn");
    let filter = EnvFilter::try_new(wanted).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = Lines::to(Box::new(io::stderr()));
    let lines = Shared(Arc::clone(&log));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines);
    let json = environment.get("TOLLGATE_LOG_FORMAT") == Some("json");
    let started = if json { lines.json().try_init() } else { lines.with_ansi(false).try_init() };
    drop(started);
    Log(log)
}

/// The lines of every thread.
struct Shared(Arc<Lines>);

impl<'a> MakeWriter<'a> for Shared {
    type Writer = &'a Lines;

    fn make_writer(&'a self) -> &'a Lines {
        &self.0
    }
}
