//! One round: a scenario, once, against one system.

use super::{
    accounting,
    request::Wish,
    samples::{Spread, Tally},
    scenario::{Load, Scenario},
    streams::Readers,
    systems::System,
    unary::Callers,
};
use std::time::{Duration, Instant};

/// How often the memory of a system is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// What a system puts off until it has answered, it does within this.
const AFTERMATH: Duration = Duration::from_millis(300);

const PROMPT_OF_STREAMS: usize = 1_000;

/// The figures of a round. A unit is a call, or a chunk of a stream.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// Calls or chunks that came.
    pub units: u64,
    /// Units a second.
    pub per_second: f64,
    /// Processor time of the system's own processes for a unit; the upstream's, where it is asked
    /// directly.
    pub processor_us: f64,
    /// Processor time of its database for a unit.
    pub database_us: f64,
    /// Processor time of the upstream for a unit.
    pub upstream_us: f64,
    /// Until a whole answer, or the first chunk of a stream, was there.
    pub answer: Spread,
    /// From the sending of a chunk to its arrival.
    pub delay: Spread,
    /// Bytes of memory before the round.
    pub idle: u64,
    /// Most bytes of memory during the round.
    pub peak: u64,
    /// From the start of the system's program to its first answer.
    pub started_in: Duration,
    /// Calls that did not end as they should.
    pub failed: u64,
    /// What the first of them said.
    pub trouble: Option<String>,
}

impl Round {
    /// One whose system did not start: hours of other rounds are not lost for it.
    pub(super) fn failed(error: &std::io::Error) -> Self {
        let none = f64::NAN;
        let nothing = Spread { p50_us: none, p99_us: none };
        Self {
            per_second: none,
            processor_us: none,
            database_us: none,
            upstream_us: none,
            answer: nothing,
            delay: nothing,
            failed: 1,
            trouble: Some(error.to_string()),
            ..Self::default()
        }
    }
}

/// What is looked at.
pub(super) struct Subject<'a> {
    pub(super) system: &'a System,
    pub(super) upstream: Vec<u32>,
    /// How long calls are made; streams last as long as they last.
    pub(super) lasting: Duration,
}

/// Plays a scenario.
pub(super) async fn play(scenario: &Scenario, subject: &Subject<'_>) -> Round {
    let (mut own, database) = (subject.system.processes(), subject.system.database());
    if own.is_empty() {
        // Asked directly, the upstream is the system.
        own.clone_from(&subject.upstream);
    }
    let groups = [&own, &database, &subject.upstream];
    let idle = accounting::resident(&own);
    let mut peak = idle;
    let before = groups.map(|processes| accounting::processor(processes));
    let started = Instant::now();
    let mut looks = tokio::time::interval(LOOK);
    let mut driving = std::pin::pin!(drive(scenario, subject));
    let tally = loop {
        tokio::select! {
            tally = &mut driving => break tally,
            _ = looks.tick() => peak = peak.max(accounting::resident(&own)),
        }
    };
    let took = started.elapsed();
    // What was put off while calls were answered belongs to them too.
    tokio::time::sleep(AFTERMATH).await;
    let after = groups.map(|processes| accounting::processor(processes));
    let mut round = figures(tally, took, scenario.streams().is_some());
    let units = round.units;
    let [own, database, upstream] = std::array::from_fn(|group| {
        let at = |times: &[Duration; 3]| times.get(group).copied().unwrap_or_default();
        micros_each(at(&after).saturating_sub(at(&before)), units)
    });
    (round.processor_us, round.database_us, round.upstream_us) = (own, database, upstream);
    (round.idle, round.peak, round.started_in) = (idle, peak, subject.system.started_in);
    round
}

async fn drive(scenario: &Scenario, subject: &Subject<'_>) -> Tally {
    let address = subject.system.address();
    let wish = |prompt, pace| Wish { dialect: scenario.from, prompt, pace };
    let request = |wish| subject.system.request(wish, scenario).into();
    match scenario.load {
        Load::Calls { connections, prompt } => {
            let (request, lasting) = (request(wish(prompt, None)), subject.lasting);
            let expected = scenario.key.expected();
            Callers { address, request, connections, lasting, expected, every: None }.call().await
        }
        Load::Streams { streams, pace, within } => {
            let request = request(wish(PROMPT_OF_STREAMS, Some(pace)));
            let lasting = pace.gap * pace.chunks;
            Readers { address, request, streams, within, chunks: pace.chunks, lasting }.read().await
        }
    }
}

#[expect(clippy::float_arithmetic, reason = "figures for people")]
fn figures(tally: Tally, took: Duration, streamed: bool) -> Round {
    let units = if streamed { tally.chunks } else { tally.calls };
    Round {
        units,
        per_second: units as f64 / took.as_secs_f64(),
        answer: Spread::of(tally.times),
        delay: Spread::of(tally.delays),
        failed: tally.failed,
        trouble: tally.trouble,
        ..Round::default()
    }
}

/// Not a number when there was none.
#[expect(clippy::float_arithmetic, reason = "a figure for people")]
fn micros_each(time: Duration, units: u64) -> f64 {
    time.as_secs_f64() * 1e6 / units as f64
}
