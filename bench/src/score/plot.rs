//! The picture of a board: processor time, a bar for each system, a group for each scenario.

use super::{board::Board, systems::Kind};

const WIDTH: f64 = 860.0;
const BAR: f64 = 13.0;
const GAP: f64 = 3.0;
const LEFT: f64 = 170.0;
const RIGHT: f64 = 110.0;
const TOP: f64 = 56.0;

/// Bars as an SVG. Each group has a scale of its own, for a call costs far more than a chunk; the
/// figure stands beside its bar.
#[expect(clippy::float_arithmetic, reason = "places in a picture")]
pub fn svg(board: &Board) -> String {
    let (mut body, mut y) = (String::new(), TOP);
    for outcome in board.results.iter().filter(|outcome| !outcome.scenario.fresh) {
        let used = |kind| outcome.median(kind, |round| round.processor_us);
        let bars: Vec<(Kind, f64)> = outcome
            .rows
            .iter()
            .map(|(kind, _)| (*kind, used(*kind)))
            .filter(|(kind, used)| *kind != Kind::Direct && used.is_finite())
            // What failed has done something else.
            .filter(|(kind, _)| outcome.median(*kind, |round| round.failed as f64) < 0.5)
            .collect();
        let longest = bars.iter().map(|(_, used)| *used).fold(f64::MIN_POSITIVE, f64::max);
        let (name, height) = (outcome.scenario.name, bars.len() as f64 * (BAR + GAP));
        text(&mut body, [LEFT - 12.0, y + height / 2.0 + 1.0], "end", name);
        for (kind, used) in bars {
            let length = used / longest * (WIDTH - LEFT - RIGHT);
            bar(&mut body, [LEFT, y, length], kind, used);
            y += BAR + GAP;
        }
        y += 14.0;
    }
    let title = "Processor time of each system, microseconds for a call or for a chunk of a stream";
    let mut head = String::new();
    text(&mut head, [12.0, 20.0], "start", title);
    legend(&mut head, board);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" \
         font-family=\"sans-serif\" font-size=\"12\">\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>{head}{body}</svg>\n"
    )
}

#[expect(clippy::float_arithmetic, reason = "places in a picture")]
fn legend(head: &mut String, board: &Board) {
    let mut kinds: Vec<Kind> = board
        .results
        .iter()
        .flat_map(|outcome| outcome.rows.iter().map(|(kind, _)| *kind))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut x = 12.0;
    for kind in kinds.into_iter().filter(|kind| *kind != Kind::Direct) {
        rectangle(head, [x, 30.0, 12.0], colour(kind));
        text(head, [x + 16.0, 41.0], "start", kind.name());
        x += 28.0 + 7.0 * kind.name().len() as f64;
    }
}

#[expect(clippy::float_arithmetic, reason = "places in a picture")]
fn bar(body: &mut String, [x, y, length]: [f64; 3], kind: Kind, used: f64) {
    rectangle(body, [x, y, length], colour(kind));
    text(body, [x + length + 5.0, y + BAR - 2.0], "start", &format!("{used:.1}"));
}

fn rectangle(body: &mut String, [x, y, length]: [f64; 3], colour: &str) {
    body.push_str(&format!(
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>"
    ));
}

fn text(body: &mut String, [x, y]: [f64; 2], anchor: &str, text: &str) {
    body.push_str(&format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    ));
}

/// Greys for others, one hue for Tollgate.
fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::Direct => "#dddddd",
        Kind::Nginx => "#555555",
        Kind::Haproxy => "#9a9a9a",
        Kind::Off => "#9cc9f0",
        Kind::Sqlite => "#1f77d0",
        Kind::Postgres => "#0b3d78",
        Kind::Other => "#e08a1e",
        Kind::Litellm => "#c0392b",
        Kind::Portkey => "#8e44ad",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::{Outcome, Scenario, round::Round};

    #[test]
    fn every_system_has_its_bar_and_its_figure() {
        let round = |processor_us| vec![Round { processor_us, ..Round::default() }];
        let rows = vec![
            (Kind::Direct, round(5.0)),
            (Kind::Nginx, round(20.0)),
            (Kind::Sqlite, round(40.0)),
            (Kind::Postgres, round(f64::NAN)),
        ];
        let results = vec![Outcome { scenario: Scenario::ALL[0], rows }];
        let picture = svg(&Board { results, ..Board::default() });
        assert!(picture.contains(">20.0</text>") && picture.contains(">40.0</text>"), "{picture}");
        assert!(picture.contains(Scenario::ALL[0].name) && !picture.contains("NaN"), "{picture}");
        assert!(!picture.contains(">5.0</text>"), "{picture}");
    }
}
