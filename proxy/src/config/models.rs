//! `[[models]]`: names of the operator's own, and what the operator knows about models.
//!
//! An entry whose name has no slash is an alias. One that is called `<provider>/<model>` adds to
//! the built-in registry, or corrects it.

use super::{ProviderEntry, ProviderKind};
use serde::{Deserialize, Serialize};
use tollgate_types::Capability;

/// An alias, or facts about a model.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// An alias that callers ask for, or `provider/model`.
    pub name: String,
    /// Of an alias: `provider/model`, tried in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// Of a model: other names that callers may ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Of a model: the `vendor/model` of the registry that it is: its limits, capabilities and
    /// list price are taken over, except where they are set here or in `[[prices]]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub like: Option<String>,
    /// Of a model: most tokens of prompt and answer together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u32>,
    /// Of a model: most tokens of one answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// Of a model: what it can do; absent: what the registry says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<Capability>>,
}

impl ModelEntry {
    /// Whether the entry is about a model, and is no alias.
    pub fn is_model(&self) -> bool {
        self.name.contains('/')
    }

    /// Every name that this entry gives to callers, each with what it stands for.
    pub fn names(&self) -> impl Iterator<Item = (&String, &[String])> {
        let own = (!self.is_model()).then_some((&self.name, self.targets.as_slice()));
        let model = std::slice::from_ref(&self.name);
        own.into_iter().chain(self.aliases.iter().map(move |alias| (alias, model)))
    }

    fn says_nothing(&self) -> bool {
        self.aliases.is_empty()
            && self.like.is_none()
            && self.context_window.is_none()
            && self.max_output_tokens.is_none()
            && self.capabilities.is_none()
    }
}

pub(super) fn validate(entries: &[ModelEntry], providers: &[ProviderEntry]) -> Result<(), String> {
    for (index, entry) in entries.iter().enumerate() {
        let name = &entry.name;
        let wrong = |what: &str| Err(format!("models: {name:?}: {what}"));
        let earlier = entries.iter().take(index);
        if earlier.clone().any(|earlier| earlier.name == *name) {
            return Err(format!("models: the name {name:?} is there twice"));
        }
        for (alias, _) in entry.names() {
            if alias.is_empty() || alias.contains('/') {
                return wrong(&format!("the alias {alias:?} must be a name without a slash"));
            }
            let taken =
                earlier.clone().flat_map(ModelEntry::names).any(|(known, _)| known == alias);
            if taken || entry.names().filter(|(known, _)| *known == alias).count() > 1 {
                return Err(format!("models: the alias {alias:?} is there twice"));
            }
        }
        if entry.is_model() {
            validate_model(entry, providers)
        } else {
            validate_alias(entry, providers)
        }
        .or_else(|what| wrong(&what))?;
    }
    Ok(())
}

fn validate_alias(entry: &ModelEntry, providers: &[ProviderEntry]) -> Result<(), String> {
    if !entry.says_nothing() {
        return Err("an alias takes targets only; what is known about a model goes to an entry \
                    whose name is <provider>/<model>"
            .to_owned());
    }
    if entry.targets.is_empty() {
        return Err("an alias needs targets; an entry about a model is called \
                    <provider>/<model>"
            .to_owned());
    }
    for target in &entry.targets {
        provider_of(target, providers).ok_or_else(|| {
            format!("its target {target:?} is not <provider>/<model> of a configured provider")
        })?;
    }
    Ok(())
}

fn validate_model(entry: &ModelEntry, providers: &[ProviderEntry]) -> Result<(), String> {
    let provider = provider_of(&entry.name, providers)
        .ok_or("the part before the slash is no configured provider")?;
    if !entry.targets.is_empty() {
        return Err("targets are for aliases, whose names have no slash".to_owned());
    }
    if entry.says_nothing() {
        return Err("the entry says nothing: set aliases, like, context_window, \
                    max_output_tokens or capabilities"
            .to_owned());
    }
    let limits =
        [("context_window", entry.context_window), ("max_output_tokens", entry.max_output_tokens)];
    for (key, limit) in limits {
        if limit == Some(0) {
            return Err(format!("{key} must be at least 1 token"));
        }
        if limit.is_some() && provider.kind == ProviderKind::Llama {
            return Err(format!(
                "{key} of a model in this process is set in [[providers.load]], as context and max_output"
            ));
        }
    }
    match (entry.context_window, entry.max_output_tokens) {
        (Some(window), Some(output)) if output > window => {
            Err(format!("max_output_tokens is {output}, more than its context_window of {window}"))
        }
        _ => Ok(()),
    }
}

/// The provider of a `provider/model`.
fn provider_of<'p>(name: &str, providers: &'p [ProviderEntry]) -> Option<&'p ProviderEntry> {
    let (provider, model) = name.split_once('/')?;
    providers.iter().find(|entry| entry.name == provider && !model.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Environment};
    use std::path::Path;

    fn parse(models: &str) -> Result<Config, String> {
        let text = format!(
            "[[providers]]\nname = \"o\"\nkind = \"openai\"\n\
             [[providers]]\nname = \"l\"\nkind = \"llama\"\n\
             [[providers.load]]\nmodel = \"m\"\npath = \"m.gguf\"\n{models}"
        );
        Config::parse(Path::new("t.toml"), &text, &Environment::default())
            .map_err(|error| error.to_string())
    }

    fn entry(rest: &str) -> String {
        format!("[[models]]\n{rest}\n")
    }

    #[test]
    fn an_alias_and_a_model_are_told_apart_by_the_slash() {
        let text = entry("name = \"fast\"\ntargets = [\"o/a\"]")
            + &entry(
                "name = \"o/a\"\naliases = [\"x\"]\ncontext_window = 8\ncapabilities = [\"vision\"]",
            );
        let config = parse(&text).unwrap();
        let names: Vec<_> = config.models.iter().flat_map(|entry| entry.names()).collect();
        assert_eq!(names.len(), 2);
        assert!(!config.models[0].is_model() && config.models[1].is_model());
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        for (entries, expected) in [
            (entry("name = \"fast\""), "needs targets"),
            (entry("name = \"\"\ntargets = [\"o/a\"]"), "without a slash"),
            (
                entry("name = \"fast\"\ntargets = [\"o/a\"]\ncontext_window = 5"),
                "alias takes targets only",
            ),
            (entry("name = \"fast\"\ntargets = [\"o/\"]"), "o/"),
            (entry("name = \"x/a\"\ncontext_window = 5"), "no configured provider"),
            (entry("name = \"o/a\"\ntargets = [\"o/b\"]"), "no slash"),
            (entry("name = \"o/a\""), "says nothing"),
            (entry("name = \"o/a\"\ncontext_window = 0"), "at least 1"),
            (entry("name = \"o/a\"\ncontext_window = -1"), "line"),
            (entry("name = \"o/a\"\ncontext_window = 5\nmax_output_tokens = 6"), "more than its"),
            (entry("name = \"l/m\"\nmax_output_tokens = 6"), "providers.load"),
            (entry("name = \"o/a\"\ncapabilities = [\"visoin\"]"), "did you mean `vision`?"),
            (entry("name = \"o/a\"\ncontext = 5"), "did you mean `context_window`?"),
            (entry("name = \"o/a\"\naliases = [\"b/c\"]"), "without a slash"),
            (entry("name = \"o/a\"\naliases = [\"b\", \"b\"]"), "twice"),
            (entry("name = \"o/a\"\naliases = [\"b\"]").repeat(2), "twice"),
            (
                entry("name = \"b\"\ntargets = [\"o/a\"]")
                    + &entry("name = \"o/a\"\naliases = [\"b\"]"),
                "the alias \"b\" is there twice",
            ),
        ] {
            let error = parse(&entries).unwrap_err();
            assert!(error.contains(expected), "{expected} is not in: {error}");
        }
    }
}
