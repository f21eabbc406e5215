//! The names under which Redis counts.

use crate::access::Limit;

/// Names of what is counted. All of them are in one slot of a cluster, for a script touches several.
#[derive(Debug)]
pub(super) struct Keys(String);

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self(prefix.to_owned())
    }

    fn name(&self, what: &str, id: &str) -> String {
        format!("{{{}}}:{what}:{id}", self.0)
    }

    /// The five keys of a limit that admission reads. A changed rate has a name of its own, so it
    /// starts afresh.
    pub(super) fn of(&self, limit: &Limit) -> [String; 5] {
        let requests = limit.requests_per_minute.unwrap_or_default();
        [
            self.name("requests", &format!("{requests}:{}", limit.id)),
            self.tokens(limit),
            self.running(limit),
            self.name("waiting", &limit.id),
            self.name("seen", &limit.id),
        ]
    }

    /// What is owed of the tokens of a limit.
    pub(super) fn tokens(&self, limit: &Limit) -> String {
        let tokens = limit.tokens_per_minute.unwrap_or_default();
        self.name("tokens", &format!("{tokens}:{}", limit.id))
    }

    /// Who runs.
    pub(super) fn running(&self, limit: &Limit) -> String {
        self.name("running", &limit.id)
    }
}
