//! Models in this process: configuration to the local engine, nothing more.

use super::ProviderError;
use crate::config::{GpuLayers, LoadedModel, ProviderEntry};
use std::sync::Arc;
use tollgate_engine::{LoadOptions, LocalProvider};
use tollgate_types::Provider;

/// Loads every model of an entry.
///
/// # Errors
/// When a model file is missing, damaged or too large for its settings.
pub(super) async fn open(entry: &ProviderEntry) -> Result<Arc<dyn Provider>, ProviderError> {
    let provider = entry.name.clone();
    let models = entry.load.iter().map(options).collect();
    tracing::info!(provider, models = entry.load.len(), "loading local models");
    let name = provider.clone();
    let loaded = tokio::task::spawn_blocking(move || LocalProvider::load(&name, models)).await;
    let failed = |message: String| ProviderError::Load { provider, message };
    match loaded {
        Ok(Ok(local)) => Ok(Arc::new(local)),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(stopped) => Err(failed(stopped.to_string())),
    }
}

fn options(load: &LoadedModel) -> LoadOptions {
    let mut options = LoadOptions::new(&load.model, &load.path);
    options.context = load.context;
    options.parallel = load.parallel;
    options.threads = load.threads;
    options.max_output = load.max_output;
    options.gpu_layers = match load.gpu_layers {
        GpuLayers::Auto => tollgate_engine::GpuLayers::Auto,
        GpuLayers::Count(count) => tollgate_engine::GpuLayers::Count(count),
    };
    options
}
