//! A model name, resolved.

use super::{Catalog, Upstream};
use crate::access::Target;
use std::sync::Arc;
use tollgate_types::Provider;

/// An upstream that could serve the request.
#[derive(Clone)]
pub struct Candidate {
    /// Provider and model.
    pub target: Target,
    /// The upstream.
    pub provider: Arc<dyn Provider>,
    /// Whether the model runs in this process.
    pub in_process: bool,
    /// Most tokens of prompt and answer together, where known.
    pub context_window: Option<u32>,
    /// Most tokens of one answer, where known.
    pub max_output: Option<u32>,
}

/// What a model name stands for; candidates in order of preference, at least one.
#[derive(Clone)]
pub struct Plan {
    /// The upstreams.
    pub candidates: Vec<Candidate>,
}

/// No model's name has more bytes.
const LONGEST_NAME: usize = 1024;

/// Nothing serves the name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UnknownModel {
    message: String,
}

impl Plan {
    /// Provider and model of every candidate.
    pub fn targets(&self) -> Vec<Target> {
        self.candidates.iter().map(|candidate| candidate.target.clone()).collect()
    }

    /// The candidate of a target.
    pub fn candidate(&self, target: &Target) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.target == *target)
    }
}

impl Catalog {
    /// Resolves an alias, `provider/model`, or the bare id of a model that one upstream serves.
    /// Where several would pass any id on, the one at the address of the model's vendor is meant:
    /// `claude-...` goes to Anthropic even if another host takes every name.
    ///
    /// # Errors
    /// When nothing serves the name, or several do.
    pub fn plan(&self, name: &str) -> Result<Plan, UnknownModel> {
        // Names are written to logs and reports, where a line break would begin a forged line.
        if name.contains(char::is_control) || name.len() > LONGEST_NAME {
            return plan_of(Vec::new(), || unknown(name, &[]));
        }
        if let Some(alias) = self.aliases.iter().find(|alias| alias.name == name) {
            let candidates: Vec<_> =
                alias.targets.iter().filter_map(|target| self.exact(target)).collect();
            return plan_of(candidates, || {
                format!("none of the targets of the alias {name:?} can be reached")
            });
        }
        if let Some(candidate) = self.exact(name) {
            return Ok(Plan { candidates: vec![candidate] });
        }
        let knowing: Vec<_> =
            self.upstreams.iter().filter(|upstream| upstream.knows(name).is_some()).collect();
        // Who names a provider means that one: a slip must not send the prompt to another.
        let names_provider =
            name.split_once('/').is_some_and(|(provider, _)| self.upstream(provider).is_some());
        let serving = if knowing.is_empty() && !names_provider {
            self.upstreams.iter().filter(|upstream| upstream.serves(name)).collect()
        } else {
            knowing
        };
        match (serving.as_slice(), self.of_vendor(name, &serving).as_slice()) {
            ([only], _) | (_, [only]) => Ok(Plan { candidates: vec![self.candidate(only, name)] }),
            (several, _) => plan_of(Vec::new(), || unknown(name, several)),
        }
    }

    /// The upstreams that take any name and are at the address of this model's vendor.
    fn of_vendor<'u>(&self, model: &str, serving: &[&'u Upstream]) -> Vec<&'u Upstream> {
        let passes_on = |upstream: &&&Upstream| upstream.knows(model).is_none();
        let of_vendor = |upstream: &&Upstream| self.registry.is_of_vendor(&upstream.name, model);
        serving.iter().filter(passes_on).copied().filter(of_vendor).collect()
    }

    /// `provider/model`.
    fn exact(&self, name: &str) -> Option<Candidate> {
        let (provider, model) = name.split_once('/')?;
        let upstream = self.upstream(provider)?;
        upstream.serves(model).then(|| self.candidate(upstream, model))
    }

    fn candidate(&self, upstream: &Upstream, model: &str) -> Candidate {
        let told = upstream.knows(model).cloned().unwrap_or_default();
        let known = self.registry.complete(&upstream.name, model, told);
        Candidate {
            target: Target { provider: upstream.name.clone(), model: model.to_owned() },
            provider: Arc::clone(&upstream.provider),
            in_process: upstream.in_process,
            context_window: known.context_window,
            max_output: known.max_output_tokens,
        }
    }
}

fn plan_of(
    candidates: Vec<Candidate>,
    otherwise: impl FnOnce() -> String,
) -> Result<Plan, UnknownModel> {
    if candidates.is_empty() {
        return Err(UnknownModel { message: otherwise() });
    }
    Ok(Plan { candidates })
}

fn unknown(name: &str, several: &[&Upstream]) -> String {
    let shown: String = name.chars().take(200).collect();
    if several.is_empty() {
        return format!("no model is called {shown:?}; GET /v1/models lists what there is");
    }
    let names: Vec<_> = several.iter().map(|up| format!("{}/{shown}", up.name)).collect();
    format!("several providers could serve {shown:?}, ask for one of: {}", names.join(", "))
}
