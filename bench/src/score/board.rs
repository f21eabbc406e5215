//! Rounds in turn, and what they come to.

use super::{
    round::{self, Round, Subject},
    samples::{Spread, median},
    scenario::Scenario,
    systems::{Ground, Kind, Programs, System},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{io, time::Duration};

/// After this a program that has been started is idle.
const CALM: Duration = Duration::from_secs(1);

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The systems, compared with nginx where it is among them.
    pub kinds: Vec<Kind>,
    /// What callers do to each of them.
    pub scenarios: Vec<Scenario>,
    /// Rounds that count; one more warms up.
    pub rounds: u32,
    /// How long calls are made in a round.
    pub lasting: Duration,
    /// What is measured.
    pub programs: Programs,
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Board {
    /// The machine, and under which conditions it measured.
    pub conditions: Vec<String>,
    /// Scenario by scenario.
    pub results: Vec<Outcome>,
}

/// What a scenario came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What callers did, as many of them as there could be.
    pub scenario: Scenario,
    /// The rounds of each system, in the order in which they were played.
    pub rows: Vec<(Kind, Vec<Round>)>,
}

impl Outcome {
    /// The rounds of a system.
    pub fn rounds(&self, kind: Kind) -> Option<&[Round]> {
        let row = self.rows.iter().find(|(row, _)| *row == kind);
        row.map(|(_, rounds)| rounds.as_slice()).filter(|rounds| !rounds.is_empty())
    }

    /// The median of a figure.
    pub fn median(&self, kind: Kind, figure: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds(kind).unwrap_or_default().iter().map(figure))
    }

    /// The median of the ratios of a figure to that of another system in the same round. A round in
    /// which the other's is nothing, or less, says nothing.
    #[expect(clippy::float_arithmetic, reason = "a ratio")]
    pub fn ratio(&self, kind: Kind, to: Kind, figure: impl Fn(&Self, Kind, usize) -> f64) -> f64 {
        let rounds = self.rounds(kind).unwrap_or_default().len();
        median((0..rounds).filter_map(|round| {
            let other = figure(self, to, round);
            (other > 0.0).then(|| figure(self, kind, round) / other)
        }))
    }

    /// A figure of one round; not a number where it was not played.
    pub fn at(&self, kind: Kind, round: usize, figure: impl Fn(&Round) -> f64) -> f64 {
        self.rounds(kind).and_then(|rounds| rounds.get(round)).map_or(f64::NAN, figure)
    }

    /// A figure of one round, less what the upstream itself takes.
    #[expect(clippy::float_arithmetic, reason = "a difference")]
    pub fn added(&self, kind: Kind, round: usize, figure: impl Fn(&Round) -> f64) -> f64 {
        self.at(kind, round, &figure) - self.at(Kind::Direct, round, figure)
    }
}

/// Plays all scenarios; `told` hears what each of them came to as soon as it is known.
///
/// # Errors
/// When a system cannot be started.
pub async fn play(plan: Plan, mut told: impl FnMut(&Outcome)) -> io::Result<Board> {
    let descriptors = raise_descriptors()?;
    let ground = Ground::prepare(&plan.kinds, plan.programs.clone()).await?;
    let (mut systems, mut absent) = (Vec::new(), Vec::new());
    for kind in &plan.kinds {
        match ground.start(*kind).await {
            Err(error) if kind.is_peer() => absent.push(error.to_string()),
            started => systems.push(started?),
        }
    }
    let mut board = Board { conditions: conditions(&plan, &systems), results: Vec::new() };
    board.conditions.extend(absent);
    for scenario in &plan.scenarios {
        let scenario = scenario.within(descriptors);
        let outcome = measure(scenario, &plan, &ground, &systems).await;
        if !outcome.rows.is_empty() {
            told(&outcome);
            board.results.push(outcome);
        }
    }
    board.conditions.push(format!("load of the machine at the end: {}", load()));
    Ok(board)
}

async fn measure(scenario: Scenario, plan: &Plan, ground: &Ground, all: &[System]) -> Outcome {
    let systems: Vec<&System> = all.iter().filter(|system| system.kind.can(&scenario)).collect();
    let mut rows: Vec<_> = systems.iter().map(|system| (system.kind, Vec::new())).collect();
    for round in 0..=plan.rounds {
        for (system, (_, rounds)) in systems.iter().zip(&mut rows) {
            let (upstream, lasting) = (ground.upstream(), plan.lasting);
            let figures = if scenario.fresh {
                match ground.start(system.kind).await {
                    Ok(system) => {
                        tokio::time::sleep(CALM).await;
                        let system = &system;
                        round::play(&scenario, &Subject { system, upstream, lasting }).await
                    }
                    Err(error) => Round::failed(&error),
                }
            } else {
                round::play(&scenario, &Subject { system, upstream, lasting }).await
            };
            // The first round warms up.
            if round > 0 {
                rounds.push(figures);
            }
        }
    }
    Outcome { scenario, rows }
}

/// As many descriptors as this process may have; what it starts inherits them.
pub(super) fn raise_descriptors() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

fn conditions(plan: &Plan, systems: &[System]) -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let model = first_line("/proc/cpuinfo", "model name");
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut all = vec![
        format!("{cores} cores ({model}), {} of memory, Linux {}", memory(), kernel.trim()),
        format!(
            "medians of {} rounds in turn after one that warms up, {:?} of calls in each; callers \
             (one thread) and upstream (one thread) run on the same cores",
            plan.rounds, plan.lasting
        ),
        format!("load of the machine at the start: {}", load()),
    ];
    all.extend(systems.iter().map(|system| format!("{}: {}", system.kind.name(), system.version)));
    all
}

fn memory() -> String {
    let kilobytes = first_line("/proc/meminfo", "MemTotal");
    let number = kilobytes.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
    format!("{} GiB", number.unwrap_or_default() / 1024 / 1024)
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// What stands after a word and a colon.
fn first_line(file: &str, word: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(word)).unwrap_or_default();
    line.split_once(':').map(|(_, rest)| rest.trim().to_owned()).unwrap_or_default()
}

/// Figures that are compared.
pub(super) fn p50(spread: fn(&Round) -> Spread) -> impl Fn(&Round) -> f64 {
    move |round| spread(round).p50_us
}

/// The far end of them.
pub(super) fn p99(spread: fn(&Round) -> Spread) -> impl Fn(&Round) -> f64 {
    move |round| spread(round).p99_us
}
