//! Models of the Ollama servers that are configured: fetched by them, and loaded in them.

use super::{Failure, output};
use crate::{
    config::{Config, Environment, ProviderEntry, ProviderKind},
    dialects::ollama::{PullProgress, RunningModel},
    providers::{self, ollama::Ollama},
};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

/// Has the Ollama server of that name fetch a model.
pub(super) async fn pull(
    provider: &str,
    model: &str,
    (config, environment): (&Config, &Environment),
    format: &output::Format,
) -> Result<(), Failure> {
    let ollama: Vec<&ProviderEntry> = of_kind_ollama(config).collect();
    let entry = ollama.iter().find(|entry| entry.name == provider).ok_or_else(|| {
        let names: Vec<&str> = ollama.iter().map(|entry| entry.name.as_str()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let kind = "provider of the kind \"ollama\"";
        Failure::new(format!(
            "no {kind} is called {provider:?}; those that are configured: {names}"
        ))
    })?;
    let bar = ProgressBar::no_length();
    let pulled = open(entry, environment)?.pull(model, |step| show(&bar, step)).await;
    bar.finish_and_clear();
    pulled?;
    let name = format!("{provider}/{model}");
    format.tell(&format!("{name} is there"), &json!({"model": name}))
}

/// A bar on standard error; nothing where that is no terminal.
fn show(bar: &ProgressBar, step: &PullProgress) {
    bar.set_message(step.status.clone());
    let template = match step.total {
        Some(bytes) => {
            bar.set_length(bytes);
            bar.set_position(step.completed.unwrap_or_default());
            "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}"
        }
        None => "{msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.tick();
}

/// Lists what every Ollama server has loaded. One that does not answer hides no other.
pub(super) async fn list(
    config: &Config,
    environment: &Environment,
    format: &output::Format,
) -> Result<(), Failure> {
    let mut running = Vec::new();
    let mut silent = Vec::new();
    for entry in of_kind_ollama(config) {
        match open(entry, environment)?.running().await {
            Ok(models) => running.extend(models.into_iter().map(|model| (&entry.name, model))),
            Err(error) => silent.push(error.to_string()),
        }
    }
    if format.is_json() {
        let models: Vec<Value> = running.iter().map(|(name, model)| as_json(name, model)).collect();
        output::json(&json!({"models": models}))?;
    } else {
        let rows = running.iter().map(|(name, model)| as_row(name, model)).collect();
        let header = ["model", "size", "on GPU", "context", "until"];
        output::table(header, rows, "no Ollama server has a model loaded")?;
    }
    if silent.is_empty() { Ok(()) } else { Err(Failure::new(silent.join("; "))) }
}

fn as_json(provider: &str, model: &RunningModel) -> Value {
    json!({
        "model": format!("{provider}/{}", model.name),
        "size_bytes": model.size,
        "gpu_bytes": model.size_vram,
        "context": model.context_length,
        "expires_at": model.expires_at,
    })
}

fn as_row(provider: &str, model: &RunningModel) -> [String; 5] {
    let unknown = || "-".to_owned();
    let bytes = |bytes: Option<u64>| bytes.map_or_else(unknown, |n| HumanBytes(n).to_string());
    [
        format!("{provider}/{}", model.name),
        bytes(model.size),
        bytes(model.size_vram),
        model.context_length.map_or_else(unknown, |tokens| tokens.to_string()),
        model.expires_at.clone().unwrap_or_else(unknown),
    ]
}

fn of_kind_ollama(config: &Config) -> impl Iterator<Item = &ProviderEntry> {
    config.providers.iter().filter(|entry| entry.kind == ProviderKind::Ollama)
}

fn open(entry: &ProviderEntry, environment: &Environment) -> Result<Ollama, Failure> {
    Ok(providers::open_ollama(entry, environment)?)
}
