//! The process's environment, read once.

use std::collections::BTreeMap;

/// A snapshot of environment variables.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

/// Names only: values may be keys.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// `TOLLGATE_<SECTION>__<KEY>=value`, taken apart.
pub(super) struct Override<'e> {
    pub name: &'e str,
    pub section: String,
    pub key: String,
    pub value: &'e str,
}

impl Environment {
    /// The process's own.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
    pub fn of_process() -> Self {
        Self(std::env::vars().collect())
    }

    /// Made up, for tests.
    pub fn of<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    /// One variable; an empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Every variable that overrides the configuration.
    pub(super) fn overrides(&self) -> impl Iterator<Item = Override<'_>> {
        self.0.iter().filter_map(|(name, value)| {
            let (section, key) = name.strip_prefix("TOLLGATE_")?.split_once("__")?;
            let (section, key) = (section.to_ascii_lowercase(), key.to_ascii_lowercase());
            Some(Override { name, section, key, value })
        })
    }
}
