//! `[[models]]`: names of the operator's own for models of providers.

use super::ProviderEntry;
use serde::{Deserialize, Serialize};

/// An alias.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// The name that callers ask for.
    pub name: String,
    /// `provider/model`, tried in this order.
    pub targets: Vec<String>,
}

pub(super) fn validate(aliases: &[Alias], providers: &[ProviderEntry]) -> Result<(), String> {
    for (index, alias) in aliases.iter().enumerate() {
        let name = &alias.name;
        if name.is_empty() || name.contains('/') {
            return Err(format!("models: the alias {name:?} must be a name without a slash"));
        }
        if aliases.iter().take(index).any(|earlier| earlier.name == *name) {
            return Err(format!("models: the alias {name:?} is there twice"));
        }
        if alias.targets.is_empty() {
            return Err(format!("models: the alias {name:?} has no targets"));
        }
        for target in &alias.targets {
            let provider = target.split_once('/').map(|(provider, _)| provider);
            if !providers.iter().any(|entry| Some(entry.name.as_str()) == provider) {
                return Err(format!(
                    "models: {target:?}, a target of {name:?}, is not <provider>/<model> of a configured provider"
                ));
            }
        }
    }
    Ok(())
}
