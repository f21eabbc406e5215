//! What the doctor found, and what was changed.

use crate::store::StoreError;
use serde::Serialize;
use serde_json::Value;

/// More rows than this are counted, and not listed.
pub(super) const LISTED: usize = 1000;

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// Worth a look; nothing is wrong with the books.
    Warning,
    /// Wrong.
    Broken,
    /// Not looked at.
    Skipped,
}

impl State {
    /// The one word for this.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Broken => "broken",
            Self::Skipped => "skipped",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What: `held`, `spent`, `disk` ...
    pub name: &'static str,
    /// How it is.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// The rows that it is about; the first 1000.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
}

/// A row that a check is about.
#[derive(Clone, Debug, Serialize)]
pub struct Detail {
    /// For people.
    pub text: String,
    /// The same for programs.
    #[serde(flatten)]
    pub fields: Value,
}

/// One thing that was changed, or would be.
#[derive(Clone, Debug, Serialize)]
pub struct Repair {
    /// What: `window`, `hold`, `rollups`.
    pub what: &'static str,
    /// Which one.
    pub subject: String,
    /// What it was.
    pub before: Value,
    /// What it is now.
    pub after: Value,
}

/// Everything that was looked at.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// In the order in which it was looked at.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether nothing is broken.
    pub fn is_healthy(&self) -> bool {
        self.checks.iter().all(|check| check.state != State::Broken)
    }

    /// The check of a name.
    pub fn check(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }
}

impl Check {
    fn new(name: &'static str, state: State, found: String) -> Self {
        Self { name, state, found, advice: None, details: Vec::new() }
    }

    pub(super) fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self::new(name, State::Ok, found.into())
    }

    pub(super) fn warning(name: &'static str, found: impl Into<String>) -> Self {
        Self::new(name, State::Warning, found.into())
    }

    pub(super) fn broken(name: &'static str, found: impl Into<String>) -> Self {
        Self::new(name, State::Broken, found.into())
    }

    pub(super) fn skipped(name: &'static str, why: impl Into<String>) -> Self {
        Self::new(name, State::Skipped, why.into())
    }

    /// A look that failed is a finding too.
    pub(super) fn of(name: &'static str, looked: Result<Self, StoreError>) -> Self {
        looked.unwrap_or_else(|error| {
            Self::broken(name, error.to_string()).advise("see whether the database is well")
        })
    }

    pub(super) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    pub(super) fn listing(mut self, details: impl IntoIterator<Item = Detail>) -> Self {
        self.details = details.into_iter().take(LISTED).collect();
        self
    }
}

impl Detail {
    pub(super) fn new(text: impl Into<String>, fields: Value) -> Self {
        Self { text: text.into(), fields }
    }
}

/// `1 window`, `2 windows`.
pub(super) fn several(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A window by its start; that of a budget without an end starts in 1970.
pub(super) fn window_from(start_ms: i64) -> String {
    match start_ms {
        0 => "the window of all time".to_owned(),
        start_ms => format!("the window from {}", moment(start_ms)),
    }
}

/// A moment as people read it, in UTC.
pub(super) fn moment(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map_or_else(|_| ms.to_string(), |moment| moment.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}
