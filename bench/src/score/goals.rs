//! What is promised, and whether it was kept this time.

use super::{
    board::{Board, Outcome, p50, p99},
    round::Round,
    systems::Kind,
    table::{per_stream, start_ms},
};

/// A promise: a figure that shall not be larger.
#[derive(Clone, Debug)]
pub struct Goal {
    /// What it is.
    pub what: &'static str,
    /// The largest figure that keeps the promise.
    pub most: f64,
    /// What was measured; not a number when it was not.
    pub seen: f64,
}

impl Goal {
    /// Whether it was kept; none where nothing was measured.
    pub fn is_kept(&self) -> Option<bool> {
        self.seen.is_finite().then_some(self.seen <= self.most)
    }
}

/// A figure of one round of a system.
type Figure = fn(&Outcome, Kind, usize) -> f64;

/// All promises about Tollgate with everything on, on SQLite.
pub fn goals(board: &Board) -> Vec<Goal> {
    let processor: Figure = |o, kind, round| o.at(kind, round, |round| round.processor_us);
    let added_p50: Figure = |o, kind, round| o.added(kind, round, p50(|round| round.answer));
    let added_p99: Figure = |o, kind, round| o.added(kind, round, p99(|round| round.answer));
    let far: Figure = |o, kind, round| o.added(kind, round, p99(|round| round.delay));
    let nginx = |name, figure| versus(board, name, figure);
    let own = |name, figure: Figure| by_itself(board, name, figure);
    let idle: Figure = |o, kind, round| o.at(kind, round, idle_mb);
    let memory: Figure = |o, kind, round| {
        let streams = o.scenario.streams().unwrap_or(1).max(1);
        o.at(kind, round, |round| per_stream(round, streams))
    };
    let goal = |what, most, seen| Goal { what, most, seen };
    vec![
        goal("CPU a call, 1 KB, 64 connections, x nginx", 1.6, nginx("unary-1k-64", processor)),
        goal("CPU a call, 100 KB, 64 connections, x nginx", 1.6, nginx("unary-100k-64", processor)),
        goal("CPU a chunk, 1000 streams, x nginx", 1.25, nginx("streams-1000", processor)),
        goal("added p50, 1 connection, x nginx", 2.5, nginx("unary-1k-1", added_p50)),
        goal("added p99, 1 connection, x nginx", 2.5, nginx("unary-1k-1", added_p99)),
        goal(
            "added to the first chunk, p50, 200 streams, us",
            500.0,
            own("streams-200", added_p50),
        ),
        goal("added to a chunk, p99, 200 streams, us", 1000.0, own("streams-200", far)),
        goal("memory when idle, MB", 20.0, own("fresh-1000", idle)),
        goal("memory for an open stream, KiB", 45.0, own("fresh-1000", memory)),
        goal(
            "start to first answer, ms",
            50.0,
            own("fresh-1000", |o, kind, round| o.at(kind, round, start_ms)),
        ),
        goal("calls that failed of 10,000 streams", 0.0, failures(board)),
        goal("CPU a call, cross-dialect, x same dialect", 2.0, cross(board)),
        goal("CPU a call with its database, PostgreSQL, x SQLite", 2.0, engines(board)),
    ]
}

/// The goals as a table.
pub fn goals_table(goals: &[Goal]) -> String {
    let mut text = String::from("| goal | at most | seen | kept |\n|---|---:|---:|---|\n");
    for goal in goals {
        let kept = match goal.is_kept() {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "not measured",
        };
        let seen = if goal.seen.is_finite() { format!("{:.2}", goal.seen) } else { "-".to_owned() };
        text.push_str(&format!("| {} | {} | {seen} | {kept} |\n", goal.what, goal.most));
    }
    text
}

fn outcome<'a>(board: &'a Board, name: &str) -> Option<&'a Outcome> {
    board.results.iter().find(|outcome| outcome.scenario.name == name)
}

fn versus(board: &Board, name: &str, figure: Figure) -> f64 {
    let outcome = outcome(board, name);
    outcome.map_or(f64::NAN, |outcome| outcome.ratio(Kind::Sqlite, Kind::Nginx, figure))
}

fn by_itself(board: &Board, name: &str, figure: Figure) -> f64 {
    let Some(outcome) = outcome(board, name) else { return f64::NAN };
    let rounds = outcome.rounds(Kind::Sqlite).unwrap_or_default().len();
    super::samples::median((0..rounds).map(|round| figure(outcome, Kind::Sqlite, round)))
}

#[expect(clippy::float_arithmetic, reason = "a figure for people")]
fn idle_mb(round: &Round) -> f64 {
    if round.idle == 0 { f64::NAN } else { round.idle as f64 / 1e6 }
}

fn failures(board: &Board) -> f64 {
    let rounds = outcome(board, "streams-10000").and_then(|outcome| outcome.rounds(Kind::Sqlite));
    rounds.map_or(f64::NAN, |rounds| rounds.iter().map(|round| round.failed as f64).sum())
}

/// Calls of one dialect against calls that are translated; rounds of two scenarios are no pairs.
#[expect(clippy::float_arithmetic, reason = "a ratio")]
fn cross(board: &Board) -> f64 {
    let processor = |name| {
        let outcome = outcome(board, name);
        outcome.map_or(f64::NAN, |one| one.median(Kind::Sqlite, |round| round.processor_us))
    };
    processor("cross-1k-64") / processor("unary-1k-64")
}

#[expect(clippy::float_arithmetic, reason = "a ratio")]
fn engines(board: &Board) -> f64 {
    let whole: Figure =
        |o, kind, round| o.at(kind, round, |round| round.processor_us + round.database_us);
    let outcome = outcome(board, "unary-1k-64");
    outcome.map_or(f64::NAN, |outcome| outcome.ratio(Kind::Postgres, Kind::Sqlite, whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::Scenario;

    #[test]
    fn what_was_not_measured_is_not_kept() {
        let goals = goals(&Board::default());
        assert!(goals.iter().all(|goal| goal.is_kept().is_none()));
        assert!(goals_table(&goals).contains("| - | not measured |"));
    }

    #[test]
    fn a_goal_is_kept_or_is_not() {
        let round = |processor_us| Round { processor_us, ..Round::default() };
        let scenario = Scenario::ALL.into_iter().find(|one| one.name == "unary-1k-64").unwrap();
        let rows = vec![
            (Kind::Nginx, vec![round(10.0), round(20.0)]),
            (Kind::Sqlite, vec![round(15.0), round(34.0)]),
        ];
        let board = Board { results: vec![Outcome { scenario, rows }], ..Board::default() };
        let goals = goals(&board);
        // 1.5 and 1.7.
        assert!((goals[0].seen - 1.6).abs() < 1e-9, "{goals:?}");
        let table = goals_table(&goals);
        assert!(table.contains("x nginx | 1.6 | 1.60 | "), "{table}");
    }
}
