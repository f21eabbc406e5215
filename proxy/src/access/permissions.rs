//! What a user or a key may: providers, models and features.

use super::Target;
use serde::{Deserialize, Serialize};
use tollgate_types::Feature;

/// A name, or the beginning of names when it ends in `*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(pub String);

impl Pattern {
    /// Whether a name fits.
    pub fn matches(&self, name: &str) -> bool {
        fits(&self.0, name)
    }
}

/// Whether a name fits the text of a pattern.
pub fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => pattern == name,
    }
}

/// An absent list permits everything; an empty one nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permissions {
    /// Providers by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub providers: Option<Vec<Pattern>>,
    /// Models as `provider/model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<Pattern>>,
    /// Features.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<Feature>>,
}

impl Permissions {
    pub(super) fn allow_provider(&self, provider: &str) -> bool {
        self.providers.as_ref().is_none_or(|list| list.iter().any(|p| p.matches(provider)))
    }

    pub(super) fn allow_model(&self, target: &Target) -> bool {
        let name = target.to_string();
        self.models.as_ref().is_none_or(|list| list.iter().any(|p| p.matches(&name)))
    }

    pub(super) fn allow_feature(&self, feature: Feature) -> bool {
        self.features.as_ref().is_none_or(|list| list.contains(&feature))
    }
}
