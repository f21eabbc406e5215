//! What became of the checks.

use std::fmt;

/// What became of a check, or why it failed.
pub type Outcome = Result<Verdict, String>;

/// What became of a check that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Passed,
    /// The subject does not play its scene.
    Skipped,
}

/// What became of all checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Those that hold.
    pub passed: Vec<&'static str>,
    /// Those whose scenes the subject does not play.
    pub skipped: Vec<&'static str>,
    /// Those that do not hold, and why.
    pub failed: Vec<(&'static str, String)>,
}

impl Report {
    /// Whether no check failed, and only these could not be made.
    pub fn is_good_without(&self, skipped: &[&str]) -> bool {
        self.failed.is_empty() && !self.passed.is_empty() && self.skipped == skipped
    }

    pub(super) fn add(&mut self, name: &'static str, outcome: Outcome) {
        match outcome {
            Ok(Verdict::Passed) => self.passed.push(name),
            Ok(Verdict::Skipped) => self.skipped.push(name),
            Err(why) => self.failed.push((name, why)),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (passed, skipped, failed) = (self.passed.len(), self.skipped.len(), self.failed.len());
        write!(f, "{passed} passed, {skipped} skipped, {failed} failed")?;
        for name in &self.skipped {
            write!(f, "\n  skipped: {name}")?;
        }
        for (name, why) in &self.failed {
            write!(f, "\n  FAILED: {name}: {why}")?;
        }
        Ok(())
    }
}
