//! The models that can be asked for, as lists show them.

use super::{Catalog, Upstream};
use crate::access::Target;
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tollgate_types::ModelInfo;

/// How long an upstream's own list is believed.
const FRESH: Duration = Duration::from_secs(300);
/// How long a list may take: a slow upstream is left out rather than waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The list that an upstream gave last.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Option<(Instant, Vec<ModelInfo>)>>);

/// A model in a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Provider and model.
    pub target: Target,
    /// What is known about it.
    pub info: ModelInfo,
}

impl Catalog {
    /// Every model that can be reached, sorted by name. Upstreams that cannot say are left out.
    pub async fn list(&self) -> Vec<Listed> {
        let asked = self.upstreams.iter().map(|upstream| self.list_one(upstream));
        let mut listed: Vec<_> =
            futures_util::future::join_all(asked).await.into_iter().flatten().collect();
        listed.sort_by_key(|model| model.target.to_string());
        listed
    }

    async fn list_one(&self, upstream: &Upstream) -> Vec<Listed> {
        let infos = upstream.models().await;
        infos
            .into_iter()
            .filter(|info| upstream.serves(&info.id))
            .map(|info| self.listed(upstream, info))
            .collect()
    }

    fn listed(&self, upstream: &Upstream, info: ModelInfo) -> Listed {
        let target = Target { provider: upstream.name.clone(), model: info.id.clone() };
        let id = target.to_string();
        let aliases = self.aliases.iter().filter(|alias| alias.targets.contains(&id));
        let info = ModelInfo {
            aliases: aliases.map(|alias| alias.name.clone()).collect(),
            provider: Some(upstream.name.clone()),
            id,
            ..info
        };
        let info = self.registry.complete(&target.provider, &target.model, info);
        Listed { target, info }
    }
}

impl Upstream {
    async fn models(&self) -> Vec<ModelInfo> {
        let open_ended = self.reachable.iter().any(|pattern| pattern.0.ends_with('*'));
        if self.in_process || !open_ended {
            return self.known.clone();
        }
        if let Some(models) = self.recent.get() {
            return models;
        }
        match tokio::time::timeout(PATIENCE, self.provider.models()).await {
            Ok(Ok(models)) => self.recent.put(models),
            Ok(Err(error)) => self.unlisted(error.message()),
            Err(_) => self.unlisted("it did not answer in time"),
        }
    }

    fn unlisted(&self, why: &str) -> Vec<ModelInfo> {
        tracing::warn!(provider = %self.name, why, "the provider's models cannot be listed");
        self.known.clone()
    }
}

impl Recent {
    fn get(&self) -> Option<Vec<ModelInfo>> {
        let recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.as_ref().filter(|(when, _)| when.elapsed() < FRESH).map(|(_, models)| models.clone())
    }

    fn put(&self, models: Vec<ModelInfo>) -> Vec<ModelInfo> {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *recent = Some((Instant::now(), models.clone()));
        models
    }
}
