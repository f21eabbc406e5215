//! The turns of a conversation, in exchanges: a question and everything up to the next one.

use std::collections::VecDeque;
use tollgate_types::{GenerateRequest, Message};

/// Instructions, and exchanges, the oldest first. Calls of tools and their results are within one
/// exchange, so that forgetting it never leaves one without the other.
#[derive(Clone, Debug)]
pub(super) struct History {
    instructions: Message,
    exchanges: VecDeque<Vec<Message>>,
}

impl History {
    pub(super) fn new(instructions: Message) -> Self {
        Self { instructions, exchanges: VecDeque::new() }
    }

    /// Begins an exchange.
    pub(super) fn begin(&mut self, question: Message) {
        self.exchanges.push_back(vec![question]);
    }

    /// Adds to the exchange that was begun last.
    pub(super) fn push(&mut self, turn: Message) {
        match self.exchanges.back_mut() {
            Some(exchange) => exchange.push(turn),
            None => self.exchanges.push_back(vec![turn]),
        }
    }

    /// Forgets the oldest exchange, unless it is the only one.
    pub(super) fn forget_oldest(&mut self) -> bool {
        self.exchanges.len() > 1 && self.exchanges.pop_front().is_some()
    }

    pub(super) fn messages(&self) -> Vec<Message> {
        let turns = self.exchanges.iter().flatten();
        std::iter::once(&self.instructions).chain(turns).cloned().collect()
    }
}

/// Three bytes a token and a few tokens a turn: rather too many for most languages.
pub(super) fn guess(request: &GenerateRequest) -> u64 {
    let bytes = serde_json::to_string(&request.messages).map_or(0, |text| text.len())
        + serde_json::to_string(&request.tools).map_or(0, |text| text.len());
    u64::try_from(bytes / 3).unwrap_or(u64::MAX)
}
