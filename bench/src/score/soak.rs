//! A long time under load, and what becomes of the memory meanwhile.

use super::{
    accounting,
    board::raise_descriptors,
    canned::Dialect,
    request::{Pace, Wish},
    samples::{Tally, median},
    scenario::PLAIN,
    streams::Readers,
    systems::{Ground, Kind, Programs, System},
    unary::Callers,
};
use std::{
    io,
    time::{Duration, Instant},
};

const CONNECTIONS: u32 = 64;

/// As long calls are made as fast as they can, to know how fast that is.
const TRIAL: Duration = Duration::from_secs(10);

/// How often the memory is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Streams that run beside the calls, again and again.
const STREAMS: u32 = 50;
const PACE: Pace = Pace { chunks: 25, gap: Duration::from_millis(200) };

/// A long load.
#[derive(Clone, Debug)]
pub struct Soak {
    /// How long it is.
    pub lasting: Duration,
    /// Percent of the calls that the server can do.
    pub percent: u32,
    /// What is measured.
    pub programs: Programs,
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Soaked {
    /// Calls a second without a pause.
    pub most_per_second: f64,
    /// Calls a second in the long load.
    pub per_second: f64,
    /// Bytes of memory in the second tenth of the time, when the server has warmed up.
    pub early: f64,
    /// Bytes of memory in the last tenth of the time.
    pub late: f64,
    /// Calls and streams that did not end as they should.
    pub failed: u64,
    /// What the first of them said.
    pub trouble: Option<String>,
}

impl Soaked {
    /// By how many percent the memory has grown.
    #[expect(clippy::float_arithmetic, reason = "a figure for people")]
    pub fn growth_percent(&self) -> f64 {
        (self.late / self.early - 1.0) * 100.0
    }
}

impl Soak {
    /// Loads Tollgate, on SQLite, with everything on. `told` hears every minute how many seconds have
    /// gone and how many bytes of memory it has.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn run(self, mut told: impl FnMut(u64, u64)) -> io::Result<Soaked> {
        raise_descriptors()?;
        let ground = Ground::prepare(&[Kind::Sqlite], self.programs.clone()).await?;
        let server = ground.start(Kind::Sqlite).await?;
        let trial = callers(&server, TRIAL, None).call().await;
        let most_per_second = per_second(trial.calls, TRIAL);
        let every = self.pause(most_per_second);
        let mut memory = Vec::new();
        let (started, processes) = (Instant::now(), server.processes());
        let mut looks = tokio::time::interval(LOOK);
        let mut load = std::pin::pin!(load(&server, self.lasting, every));
        let (calls, streams) = loop {
            tokio::select! {
                tallies = &mut load => break tallies,
                _ = looks.tick() => {
                    let now = accounting::resident(&processes);
                    if memory.len() % 60 == 0 {
                        told(started.elapsed().as_secs(), now);
                    }
                    memory.push(now);
                }
            }
        };
        let per_second = per_second(calls.calls, self.lasting);
        let mut all = trial;
        all.add(calls);
        all.add(streams);
        let (early, late) = ends(&memory);
        let (failed, trouble) = (all.failed, all.trouble);
        Ok(Soaked { most_per_second, per_second, early, late, failed, trouble })
    }

    /// How long each connection takes for a call and the pause after it.
    #[expect(clippy::float_arithmetic, reason = "a share of a rate")]
    fn pause(&self, most_per_second: f64) -> Duration {
        let wanted = most_per_second * f64::from(self.percent) / 100.0;
        Duration::try_from_secs_f64(f64::from(CONNECTIONS) / wanted).unwrap_or(TRIAL)
    }
}

/// Calls, and streams beside them.
async fn load(server: &System, lasting: Duration, every: Duration) -> (Tally, Tally) {
    let callers = callers(server, lasting, Some(every));
    let end = Instant::now() + lasting;
    let streams = async {
        let mut all = Tally::default();
        while Instant::now() < end {
            all.add(readers(server).read().await);
            // What they have seen is not told, and would be much.
            all.delays.clear();
        }
        all
    };
    tokio::join!(callers.call(), streams)
}

fn callers(server: &System, lasting: Duration, every: Option<Duration>) -> Callers {
    let wish = Wish { dialect: Dialect::OpenAi, prompt: 1_000, pace: None };
    let (address, request) = (server.address(), server.request(wish, &PLAIN).into());
    let connections = usize::try_from(CONNECTIONS).unwrap_or(1);
    Callers { address, request, connections, lasting, expected: &[200], every }
}

fn readers(server: &System) -> Readers {
    let wish = Wish { dialect: Dialect::OpenAi, prompt: 1_000, pace: Some(PACE) };
    let (address, request) = (server.address(), server.request(wish, &PLAIN).into());
    let lasting = PACE.gap * PACE.chunks;
    let within = Duration::from_secs(1);
    Readers { address, request, streams: STREAMS, within, chunks: PACE.chunks, lasting }
}

#[expect(clippy::float_arithmetic, reason = "a figure for people")]
fn per_second(calls: u64, lasting: Duration) -> f64 {
    calls as f64 / lasting.as_secs_f64()
}

/// The medians of the second and of the last tenth.
fn ends(memory: &[u64]) -> (f64, f64) {
    let tenth = (memory.len() / 10).max(1);
    let middle = |part: &[u64]| median(part.iter().map(|bytes| *bytes as f64));
    let early = memory.get(tenth..2 * tenth).unwrap_or(memory);
    let late = memory.get(memory.len().saturating_sub(tenth)..).unwrap_or(memory);
    (middle(early), middle(late))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_seen_and_warming_up_is_not() {
        let steady: Vec<u64> = (0..100).map(|n| if n < 10 { 1 } else { 1_000 }).collect();
        let growing: Vec<u64> = (0..100).map(|n| 1_000 + n).collect();
        let growth = |memory: &[u64]| {
            let (early, late) = ends(memory);
            let (most_per_second, per_second) = (1.0, 1.0);
            Soaked { most_per_second, per_second, early, late, failed: 0, trouble: None }
                .growth_percent()
        };
        assert!(growth(&steady).abs() < 0.001);
        assert!((growth(&growing) - 7.88).abs() < 0.1, "{}", growth(&growing));
        assert!(growth(&[5]).abs() < 0.001);
    }
}
