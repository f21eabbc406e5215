//! Tool calls that wait for their results: found by id or by name without a look at the others,
//! because a caller decides how many there are.

use std::collections::{HashMap, VecDeque};

/// Calls of a conversation that have no result yet.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// Ids in their order; absent once the result has come.
    calls: Vec<Option<String>>,
    by_id: HashMap<String, VecDeque<usize>>,
    by_name: HashMap<String, VecDeque<usize>>,
    /// All calls before this one have their results.
    first: usize,
}

impl Waiting {
    /// A call begins to wait.
    pub(crate) fn push(&mut self, id: &str, name: &str) {
        let at = self.calls.len();
        self.calls.push(Some(id.to_owned()));
        self.by_id.entry(id.to_owned()).or_default().push_back(at);
        self.by_name.entry(name.to_owned()).or_default().push_back(at);
    }

    /// The first waiting call with an id gets its result.
    pub(crate) fn take_id(&mut self, id: &str) -> Option<String> {
        take(&mut self.calls, self.by_id.get_mut(id)?)
    }

    /// The first waiting call of a tool gets its result; its id.
    pub(crate) fn take_name(&mut self, name: &str) -> Option<String> {
        take(&mut self.calls, self.by_name.get_mut(name)?)
    }

    /// The first waiting call gets its result; its id.
    pub(crate) fn take_first(&mut self) -> Option<String> {
        loop {
            let call = self.calls.get_mut(self.first)?;
            self.first += 1;
            if let Some(id) = call.take() {
                return Some(id);
            }
        }
    }
}

fn take(calls: &mut [Option<String>], places: &mut VecDeque<usize>) -> Option<String> {
    loop {
        let at = places.pop_front()?;
        if let Some(id) = calls.get_mut(at)?.take() {
            return Some(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_gets_one_result() {
        let mut waiting = Waiting::default();
        for (id, name) in [("1", "add"), ("2", "sub"), ("3", "add"), ("3", "add")] {
            waiting.push(id, name);
        }
        assert_eq!(waiting.take_name("sub").as_deref(), Some("2"));
        assert_eq!(waiting.take_id("3").as_deref(), Some("3"));
        assert_eq!(waiting.take_first().as_deref(), Some("1"));
        assert_eq!(waiting.take_name("add").as_deref(), Some("3"), "the second of that id");
        assert_eq!((waiting.take_name("add"), waiting.take_id("2")), (None, None));
        assert_eq!(waiting.take_first(), None);
    }
}
