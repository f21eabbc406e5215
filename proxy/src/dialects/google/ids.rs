//! Ids of tool calls, which most of Google's models do not give: made up when an answer or a
//! request is read, left out again when they go back, and tied together by name and order.

use crate::dialects::waiting::Waiting;

pub(super) const PREFIX: &str = "gcall_";

/// An id for the n-th call of something: the same each time it is read, another one elsewhere.
/// Short and plain enough for every provider's rule.
pub(super) fn made_up(of: &str, n: usize) -> String {
    let digest: String = blake3::hash(of.as_bytes()).to_hex().chars().take(12).collect();
    format!("{PREFIX}{digest}_{n}")
}

/// Whether an id was made up here, so that Google never saw it.
pub(super) fn is_made_up(id: &str) -> bool {
    id.strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('_'))
        .is_some_and(|(digest, n)| digest.len() == 12 && !n.is_empty())
}

/// The calls of a conversation that have no result yet.
#[derive(Debug, Default)]
pub(super) struct Unanswered {
    calls: Waiting,
    seen: usize,
}

impl Unanswered {
    /// The model speaks again: results belong to what it asks from now on.
    pub(super) fn begin_turn(&mut self) {
        self.calls = Waiting::default();
    }

    /// A call, and the id it has from now on.
    pub(super) fn call(&mut self, name: &str, id: Option<String>) -> String {
        let id = id.unwrap_or_else(|| made_up("request", self.seen));
        self.seen += 1;
        self.calls.push(&id, name);
        id
    }

    /// The id of the call that a result belongs to: its own, else that of the first call of the
    /// same name that has none.
    pub(super) fn answer(&mut self, name: &str, id: Option<String>) -> String {
        let call = match &id {
            Some(id) => self.calls.take_id(id),
            None => self.calls.take_name(name),
        };
        id.or(call).unwrap_or_else(|| {
            self.seen += 1;
            made_up("orphan", self.seen)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_find_their_calls_by_name_and_order() {
        let mut calls = Unanswered::default();
        let first = calls.call("add", None);
        let other = calls.call("sub", None);
        let second = calls.call("add", None);
        let given = calls.call("add", Some("x7".into()));
        assert_eq!(given, "x7");
        assert_eq!(calls.answer("sub", None), other);
        assert_eq!(calls.answer("add", None), first);
        assert_eq!(calls.answer("add", Some("x7".into())), "x7");
        assert_eq!(calls.answer("add", None), second);
        let orphan = calls.answer("add", None);
        assert!(is_made_up(&orphan) && orphan != first && orphan != second);
        assert!(!is_made_up("gcall_") && !is_made_up("call_1") && is_made_up(&first));
        calls.begin_turn();
        assert_ne!(calls.call("add", None), first, "ids differ within a conversation");
    }
}
