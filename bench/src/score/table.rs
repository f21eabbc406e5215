//! Tables of figures, as Markdown that also reads well in a terminal.

use super::{
    board::{Outcome, p50, p99},
    round::Round,
    systems::Kind,
};

/// The table of a scenario.
pub fn markdown(outcome: &Outcome) -> String {
    let streamed = outcome.scenario.streams();
    let columns = match (outcome.scenario.fresh, streamed.is_some()) {
        (true, _) => fresh(outcome),
        (false, true) => streams(),
        (false, false) => calls(),
    };
    let mut rows = vec![columns.iter().map(|column| column.title.to_owned()).collect()];
    for (kind, _) in &outcome.rows {
        rows.push(columns.iter().map(|column| (column.cell)(outcome, *kind)).collect());
    }
    let count = streamed.map(|streams| format!(": {streams} streams")).unwrap_or_default();
    let mut text = format!("### {}{count}\n\n{}", outcome.scenario.name, aligned(&rows));
    for (kind, rounds) in &outcome.rows {
        if let Some(trouble) = rounds.iter().find_map(|round| round.trouble.as_ref()) {
            text.push_str(&format!("\n{}: {trouble}\n", kind.name()));
        }
    }
    text
}

struct Column {
    title: &'static str,
    cell: Box<Cell>,
}

type Cell = dyn Fn(&Outcome, Kind) -> String;

impl Column {
    fn new(title: &'static str, cell: impl Fn(&Outcome, Kind) -> String + 'static) -> Self {
        Self { title, cell: Box::new(cell) }
    }

    /// A median.
    fn figure(title: &'static str, digits: usize, figure: fn(&Round) -> f64) -> Self {
        Self::new(title, move |outcome, kind| number(outcome.median(kind, figure), digits))
    }

    /// The ratio to nginx in the same round.
    fn ratio(figure: impl Fn(&Outcome, Kind, usize) -> f64 + Copy + 'static) -> Self {
        Self::new("x nginx", move |outcome, kind| {
            number(outcome.ratio(kind, Kind::Nginx, figure), 2)
        })
    }

    /// What is added to the upstream's own.
    fn added(
        title: &'static str,
        figure: impl Fn(&Outcome, Kind, usize) -> f64 + Copy + 'static,
    ) -> Self {
        Self::new(title, move |outcome, kind| {
            let rounds = outcome.rounds(kind).unwrap_or_default().len();
            number(super::samples::median((0..rounds).map(|round| figure(outcome, kind, round))), 0)
        })
    }
}

fn calls() -> Vec<Column> {
    let added_p50 = |o: &Outcome, kind, round| o.added(kind, round, p50(|round| round.answer));
    let added_p99 = |o: &Outcome, kind, round| o.added(kind, round, p99(|round| round.answer));
    let mut columns = common("calls/s", "CPU us/call");
    columns.extend([
        Column::figure("p50 us", 0, |round| round.answer.p50_us),
        Column::figure("p99 us", 0, |round| round.answer.p99_us),
        Column::added("added p50", added_p50),
        Column::ratio(added_p50),
        Column::added("added p99", added_p99),
        Column::ratio(added_p99),
    ]);
    columns.extend(ends());
    columns
}

fn streams() -> Vec<Column> {
    let first = |o: &Outcome, kind, round| o.added(kind, round, p50(|round| round.answer));
    let middle = |o: &Outcome, kind, round| o.added(kind, round, p50(|round| round.delay));
    let far = |o: &Outcome, kind, round| o.added(kind, round, p99(|round| round.delay));
    let mut columns = common("chunks/s", "CPU us/chunk");
    columns.extend([
        Column::figure("first p50 us", 0, |round| round.answer.p50_us),
        Column::added("added", first),
        Column::figure("chunk p50 us", 0, |round| round.delay.p50_us),
        Column::added("added", middle),
        Column::figure("chunk p99 us", 0, |round| round.delay.p99_us),
        Column::added("added", far),
    ]);
    columns.extend(ends());
    columns
}

fn fresh(outcome: &Outcome) -> Vec<Column> {
    let streams = outcome.scenario.streams().unwrap_or(1).max(1);
    let mut columns = vec![
        Column::new("system", |_, kind| kind.name().to_owned()),
        Column::figure("start to answer ms", 1, start_ms),
    ];
    columns.extend(ends());
    let per_stream = move |outcome: &Outcome, kind| {
        number(outcome.median(kind, |round| per_stream(round, streams)), 1)
    };
    columns.push(Column::new("KiB/stream", per_stream));
    columns
}

/// From the start of a program to the end of its first answer; none where it did not start.
#[expect(clippy::float_arithmetic, reason = "a figure for people")]
pub(super) fn start_ms(round: &Round) -> f64 {
    if round.started_in.is_zero() { f64::NAN } else { round.started_in.as_secs_f64() * 1e3 }
}

/// What a fresh process has taken for its streams, each.
#[expect(clippy::float_arithmetic, reason = "a figure for people")]
pub(super) fn per_stream(round: &Round, streams: u32) -> f64 {
    if round.idle == 0 {
        return f64::NAN;
    }
    round.peak.saturating_sub(round.idle) as f64 / 1024.0 / f64::from(streams)
}

fn common(rate: &'static str, processor: &'static str) -> Vec<Column> {
    let used = |o: &Outcome, kind, round| o.at(kind, round, |round| round.processor_us);
    vec![
        Column::new("system", |_, kind| kind.name().to_owned()),
        Column::figure(rate, 0, |round| round.per_second),
        Column::figure(processor, 1, |round| round.processor_us),
        Column::ratio(used),
        Column::figure("database us", 1, |round| round.database_us),
    ]
}

#[expect(clippy::float_arithmetic, reason = "figures for people")]
fn ends() -> Vec<Column> {
    const MIB: f64 = 1024.0 * 1024.0;
    vec![
        Column::figure("idle MiB", 1, |round| round.idle as f64 / MIB),
        Column::figure("peak MiB", 1, |round| round.peak as f64 / MIB),
        Column::new("failed", |outcome, kind| {
            let rounds = outcome.rounds(kind).unwrap_or_default();
            rounds.iter().map(|round| round.failed).sum::<u64>().to_string()
        }),
    ]
}

/// A dash where there is none.
fn number(figure: f64, digits: usize) -> String {
    if figure.is_finite() { format!("{figure:.digits$}") } else { "-".to_owned() }
}

/// A Markdown table; the first row is its head, the first column its names.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0).max(3)).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let cell =
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
            text.push_str(&format!("| {cell} "));
        }
        text.push_str("|\n");
        if index == 0 {
            for (column, width) in widths.iter().enumerate() {
                let line = "-".repeat(width + 1);
                text.push_str(&if column == 0 { format!("|{line}-") } else { format!("|{line}:") });
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::{Scenario, samples::Spread};

    fn round(processor_us: f64, p50_us: f64) -> Round {
        let answer = Spread { p50_us, p99_us: p50_us };
        Round { units: 1, processor_us, answer, ..Round::default() }
    }

    #[test]
    fn ratios_are_those_of_rounds_and_not_of_medians() {
        let outcome = Outcome {
            scenario: Scenario::ALL[0],
            rows: vec![
                (Kind::Direct, vec![round(1.0, 10.0), round(1.0, 10.0), round(1.0, 10.0)]),
                (Kind::Nginx, vec![round(10.0, 30.0), round(20.0, 20.0), round(30.0, 20.0)]),
                (Kind::Sqlite, vec![round(20.0, 60.0), round(20.0, 40.0), round(90.0, 50.0)]),
            ],
        };
        let text = markdown(&outcome);
        let row = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(&format!("| {name} "))).unwrap();
            let cells: Vec<String> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
            cells
        };
        // CPU 2.00, 1.00 and 3.00 times that of nginx; added 50, 30 and 40 to its 20, 10 and 10.
        assert_eq!(row("tollgate")[3..5], ["20.0", "2.00"]);
        assert_eq!(row("tollgate")[8..10], ["40", "3.00"]);
        assert_eq!(row("nginx")[8..10], ["10", "1.00"]);
        assert_eq!(row("direct")[9], "0.00");
    }

    #[test]
    fn what_there_is_not_is_a_dash() {
        let rows = vec![(Kind::Sqlite, vec![round(20.0, 60.0)])];
        let text = markdown(&Outcome { scenario: Scenario::ALL[0], rows });
        assert!(text.contains("| 20.0 |") || text.contains("20.0 |"), "{text}");
        assert!(!text.contains("NaN"), "{text}");
    }
}
