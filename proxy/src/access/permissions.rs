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

/// Whether everything that fits one pattern fits another one too.
pub fn covers(wide: &str, narrow: &str) -> bool {
    match wide.strip_suffix('*') {
        Some(beginning) => narrow.strip_suffix('*').unwrap_or(narrow).starts_with(beginning),
        None => wide == narrow,
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

    /// The first permission that is listed here and is not within what `wider` permits:
    /// `provider:openai`, `model:openai/*`, `feature:tools`.
    pub fn beyond(&self, wider: &Self) -> Option<String> {
        let listed = |list: &Option<Vec<Pattern>>| list.clone().unwrap_or_default();
        let provider = |name: &str| !within(wider.providers.as_deref(), name);
        let model = |name: &str| {
            // A model of a provider that is not permitted is not permitted either.
            let by = name.split_once('/').map(|(by, _)| by).filter(|by| !by.contains('*'));
            !within(wider.models.as_deref(), name) || by.is_some_and(provider)
        };
        let providers = listed(&self.providers).into_iter();
        let models = listed(&self.models).into_iter();
        let mut features = self.features.clone().unwrap_or_default().into_iter();
        providers
            .map(|Pattern(name)| (provider(&name), format!("provider:{name}")))
            .chain(models.map(|Pattern(name)| (model(&name), format!("model:{name}"))))
            .find_map(|(beyond, permission)| beyond.then_some(permission))
            .or_else(|| features.find(|f| !wider.allow_feature(*f)).map(|f| format!("feature:{f}")))
    }

    /// Whether every call that these permissions let through is to a provider and a model that fit.
    pub fn lie_within(&self, provider: &str, model: &str) -> bool {
        let all = |list: &Option<Vec<Pattern>>, wide: &str| {
            let fits = |patterns: &Vec<Pattern>| patterns.iter().all(|p| covers(wide, &p.0));
            wide == "*" || list.as_ref().is_some_and(fits)
        };
        let by_model = |wide: &str| {
            let wide = format!("{wide}/");
            self.models.as_ref().is_some_and(|list| list.iter().all(|p| p.0.starts_with(&wide)))
        };
        (all(&self.providers, provider) || by_model(provider)) && all(&self.models, model)
    }
}

fn within(list: Option<&[Pattern]>, name: &str) -> bool {
    list.is_none_or(|list| list.iter().any(|wide| covers(&wide.0, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Permissions {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_goes_beyond_is_named() {
        for (wider, narrower, expected) in [
            ("{}", r#"{"models":["*"],"features":["chat"]}"#, None),
            (r#"{"models":["local/*"]}"#, "{}", None),
            (r#"{"models":["local/*"]}"#, r#"{"models":["local/a*","local/b"]}"#, None),
            (r#"{"models":["local/*"]}"#, r#"{"models":["local/a","loc*"]}"#, Some("model:loc*")),
            (r#"{"models":["local/a"]}"#, r#"{"models":["local/a*"]}"#, Some("model:local/a*")),
            (r#"{"models":["local/*"]}"#, r#"{"models":["*"]}"#, Some("model:*")),
            (r#"{"models":[]}"#, r#"{"models":["x/y"]}"#, Some("model:x/y")),
            (r#"{"models":[]}"#, r#"{"models":[]}"#, None),
            (r#"{"providers":["a"]}"#, r#"{"providers":["a","b"]}"#, Some("provider:b")),
            (r#"{"providers":["a"]}"#, r#"{"models":["b/m"]}"#, Some("model:b/m")),
            (r#"{"providers":["a"]}"#, r#"{"models":["*"]}"#, None),
            (r#"{"features":["chat"]}"#, r#"{"features":["chat","tools"]}"#, Some("feature:tools")),
        ] {
            let beyond = parse(narrower).beyond(&parse(wider));
            assert_eq!(beyond.as_deref(), expected, "{narrower} in {wider}");
        }
    }

    #[test]
    fn a_filter_holds_everything_only_when_the_permissions_say_so() {
        for (permissions, provider, model, expected) in [
            ("{}", "*", "*", true),
            ("{}", "openai", "*", false),
            (r#"{"providers":["openai"]}"#, "openai", "*", true),
            (r#"{"providers":["openai","local"]}"#, "openai", "*", false),
            (r#"{"models":["openai/gpt-5"]}"#, "openai", "*", true),
            (r#"{"models":["openai-eu/gpt-5"]}"#, "openai", "*", false),
            (r#"{"models":["openai/gpt-5"]}"#, "*", "openai/*", true),
            (r#"{"models":["openai/gpt-5","local/*"]}"#, "*", "openai/*", false),
        ] {
            let found = parse(permissions).lie_within(provider, model);
            assert_eq!(found, expected, "{permissions} in {provider} {model}");
        }
    }
}
