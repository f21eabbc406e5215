//! One answer before it is written in a dialect.

use serde_json::Value;

use super::{
    asked::{Asked, count},
    fill::sample,
};
use crate::script::{Because, Script, UsageReport};

/// What signs thinking and calls.
pub(super) const SIGNATURE: &str = "bW9jay1zaWduYXR1cmU=";

/// The most calls in one answer.
const MOST_CALLS: usize = 1_000;

/// The most choices of one answer.
const MOST_CHOICES: u64 = 128;

/// One answer.
pub(super) struct Turn {
    pub(super) model: String,
    /// What it thinks, word by word with the spaces between them; empty where hidden.
    pub(super) thoughts: Vec<String>,
    /// Whether it thought, shown or not.
    pub(super) thinks: bool,
    /// What it says, word by word with the spaces between them.
    pub(super) words: Vec<String>,
    pub(super) calls: Vec<Call>,
    pub(super) because: Because,
    pub(super) usage: Tally,
    /// How often the answer is given.
    pub(super) choices: usize,
    /// Whether the last sign of a stream comes.
    pub(super) done: bool,
    /// Whether calls have ids where old versions gave none.
    pub(super) ids: bool,
}

/// One call of a tool.
pub(super) struct Call {
    pub(super) name: String,
    /// JSON, cut off where the output limit ended the answer.
    pub(super) arguments: String,
    /// The arguments as JSON; empty where they are cut off.
    pub(super) input: Value,
}

/// What was used. One word is one token.
pub(super) struct Tally {
    pub(super) report: UsageReport,
    /// Input tokens that the cache had no part in.
    pub(super) fresh: u64,
    pub(super) cached: u64,
    pub(super) cache_write: u64,
    pub(super) searches: u64,
    /// Tokens of all thinking.
    pub(super) thought: u64,
    /// Tokens of everything said and called.
    pub(super) said: u64,
}

impl Turn {
    /// The answer that a script wants to a request.
    pub(super) fn of(script: &Script, asked: &Asked<'_>, choices: Option<u64>) -> Self {
        let result = script.once.then(|| asked.tool_result()).flatten();
        let wanted = if result.is_some() { 0 } else { script.tools };
        let calls: Vec<Call> =
            (0..wanted.min(MOST_CALLS)).map_while(|n| Call::of(asked, n, script)).collect();
        let words = match (script.tokens, result) {
            _ if !calls.is_empty() => made_up('p', script.preface),
            (Some(count), _) => made_up('w', count),
            (None, Some(result)) => split(&result),
            (None, None) => split(&asked.said),
        };
        let choices = choices.unwrap_or(1).clamp(1, MOST_CHOICES);
        let called: u64 = calls.iter().map(Call::tokens).sum();
        let usage = Tally {
            report: script.usage,
            fresh: long(asked.words()),
            cached: script.cached,
            cache_write: script.cache_write,
            searches: script.searches,
            thought: long(script.think).saturating_mul(choices),
            said: long(words.len()).saturating_add(called).saturating_mul(choices),
        };
        Self {
            model: asked.model.clone().into_owned(),
            thoughts: if script.hidden { Vec::new() } else { made_up('t', script.think) },
            thinks: script.think > 0,
            words,
            calls,
            because: script.because,
            usage,
            choices: usize::try_from(choices).unwrap_or(1),
            done: !script.nodone,
            ids: !script.noids,
        }
    }

    /// All it says.
    pub(super) fn text(&self) -> String {
        self.words.concat()
    }

    /// The calls where arguments are objects: what the output limit cut off is none.
    pub(super) fn whole_calls(&self) -> &[Call] {
        if self.because == Because::Length { &[] } else { &self.calls }
    }

    /// All it thinks.
    pub(super) fn thinking(&self) -> String {
        self.thoughts.concat()
    }
}

impl Call {
    fn of(asked: &Asked<'_>, n: usize, script: &Script) -> Option<Self> {
        let (name, schema) = asked.tool(n)?;
        let said = |schema: &Value| if script.fill { sample(schema) } else { schema.clone() };
        let mut input = schema.map_or_else(|| Value::Object(serde_json::Map::new()), said);
        let mut arguments = input.to_string();
        if script.because == Because::Length {
            let half = arguments.chars().count() / 2;
            arguments = arguments.chars().take(half).collect();
            input = Value::Object(serde_json::Map::new());
        }
        Some(Self { name: name.to_owned(), arguments, input })
    }

    /// The arguments in pieces, as a stream sends them.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &str> {
        self.arguments.split_inclusive(',')
    }

    /// Its tokens.
    pub(super) fn tokens(&self) -> u64 {
        long(count(&self.arguments).max(1))
    }
}

impl Tally {
    /// All input tokens.
    pub(super) fn read(&self) -> u64 {
        self.fresh.saturating_add(self.cached).saturating_add(self.cache_write)
    }

    /// All output tokens.
    pub(super) fn written(&self) -> u64 {
        self.thought.saturating_add(self.said)
    }

    /// All tokens.
    pub(super) fn total(&self) -> u64 {
        self.read().saturating_add(self.written())
    }
}

/// A count of things in memory as a number of JSON.
pub(super) fn long(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// A text in JSON.
pub(super) fn quoted(text: &str) -> String {
    // A text is always JSON.
    serde_json::to_string(text).unwrap_or_default()
}

fn made_up(letter: char, count: usize) -> Vec<String> {
    let last = count.saturating_sub(1);
    (0..count).map(|n| format!("{letter}{n}{}", if n == last { "" } else { " " })).collect()
}

fn split(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}
