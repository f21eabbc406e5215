//! Usage: two counts on the last line.

use serde_json::{Map, Value};
use tollgate_types::Usage;

use crate::dialects::{counts::count, merge::object};

const PROMPT: &str = "prompt_eval_count";
const ANSWER: &str = "eval_count";

/// Takes the counts out of a line. A number that cannot be a count stays where it is.
///
/// A prompt that is in the cache already is not counted: then the prompt's tokens are unknown, not
/// zero, and the usage is marked as estimated.
pub(super) fn take(line: &mut Map<String, Value>) -> Usage {
    let mut take = |key: &str| {
        let number = line.get(key).and_then(count)?;
        line.shift_remove(key);
        Some(number)
    };
    let (prompt, answer) = (take(PROMPT), take(ANSWER));
    Usage {
        estimated: prompt.is_none() && answer.is_some_and(|tokens| tokens > 0),
        ..Usage::tokens(prompt.unwrap_or_default(), answer.unwrap_or_default())
    }
}

/// Writes the counts; like Ollama, one that is zero or unknown is left out.
pub(super) fn encode(usage: &Usage) -> Map<String, Value> {
    let known = |tokens: u64| Some(tokens).filter(|tokens| *tokens > 0).map(Value::from);
    object([(PROMPT, known(usage.total_input())), (ANSWER, known(usage.total_output()))])
}
