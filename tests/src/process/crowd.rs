//! Many callers at once, each with chance of its own, and what each of them was told.

use super::{Api, Entry, Events, Fleet, fleet::Doors, question};
use fastrand::Rng;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinSet};
use tollgate_bench::Mock;

/// Callers that ask one question after the other until they are told to stop.
#[derive(Debug)]
pub struct Crowd {
    stop: watch::Sender<bool>,
    callers: JoinSet<Vec<Told>>,
    told: Arc<AtomicU64>,
}

/// What a caller was told to one question.
#[derive(Debug)]
pub struct Told {
    /// The question's number, which is in its text and its tags.
    pub number: u64,
    /// Tollgate's id of the request, where the answer began.
    pub request_id: Option<String>,
    /// Pieces of the answer that came.
    pub pieces: u64,
    /// How it ended.
    pub end: End,
    /// From the question to the end.
    pub took: Duration,
}

/// How an answer ended for its caller.
#[derive(Debug)]
pub enum End {
    /// With the finish event, or as a whole.
    Finished(Value),
    /// With an error within the stream.
    Failed(Value),
    /// With a status and no answer; whether it said when to come back.
    Refused(u16, bool),
    /// The connection broke, or could not be made.
    Broken,
    /// The caller left.
    Left,
}

/// What a question is to be.
struct Plan {
    text: String,
    max_output: u32,
    streamed: bool,
    /// The caller leaves after so many pieces.
    leaves_after: Option<u64>,
}

impl Plan {
    fn by_chance(rng: &mut Rng, number: u64) -> Self {
        let tokens = rng.u32(1..60);
        let (delay, kind) = (rng.u32(0..12), rng.u8(0..10));
        let misfortune = match kind {
            0 => format!(" reset={}", rng.u32(1..9)),
            1 => " status=500".to_owned(),
            _ => String::new(),
        };
        Self {
            text: format!("[[mock tokens={tokens} delay={delay}{misfortune}]] number={number}"),
            max_output: tokens + rng.u32(0..40),
            streamed: kind % 3 != 2,
            leaves_after: (kind == 3).then(|| rng.u64(0..6)),
        }
    }
}

impl Crowd {
    /// So many callers of a fleet, with this seed.
    pub fn of(fleet: &Fleet, callers: usize, seed: u64) -> Self {
        let (stop, numbers, told) = (watch::Sender::new(false), Arc::default(), Arc::default());
        let mut crowd = JoinSet::new();
        for nth in 0..callers {
            let caller = Caller {
                rng: Rng::with_seed(seed.wrapping_mul(1_000).wrapping_add(nth as u64)),
                doors: fleet.doors(),
                numbers: Arc::clone(&numbers),
                told: Arc::clone(&told),
                stop: stop.subscribe(),
            };
            crowd.spawn(caller.ask_on());
        }
        Self { stop, callers: crowd, told }
    }

    /// How many questions have come to their ends so far.
    pub fn told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// Lets everybody finish; returns what they were told.
    pub async fn end(self) -> Vec<Told> {
        self.stop.send_replace(true);
        self.callers.join_all().await.into_iter().flatten().collect()
    }
}

struct Caller {
    rng: Rng,
    doors: Doors,
    numbers: Arc<AtomicU64>,
    told: Arc<AtomicU64>,
    stop: watch::Receiver<bool>,
}

impl Caller {
    async fn ask_on(mut self) -> Vec<Told> {
        let mut all = Vec::new();
        while !*self.stop.borrow() {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            let api = {
                let doors = self.doors.read().unwrap_or_else(PoisonError::into_inner);
                let door = &doors[self.rng.usize(0..doors.len())];
                door[self.rng.usize(0..door.len())].numbered(number)
            };
            let plan = Plan::by_chance(&mut self.rng, number);
            let asked = Instant::now();
            let mut told = Told {
                number,
                request_id: None,
                pieces: 0,
                end: End::Broken,
                took: asked.elapsed(),
            };
            told.listen(&api, &plan).await;
            told.took = asked.elapsed();
            let waits = matches!(told.end, End::Broken | End::Refused(..));
            all.push(told);
            self.told.fetch_add(1, Ordering::Relaxed);
            if waits {
                // As every client does, or refusals would be all there is.
                let pause = Duration::from_millis(self.rng.u64(10..80));
                drop(tokio::time::timeout(pause, self.stop.wait_for(|stop| *stop)).await);
            }
        }
        all
    }
}

impl Told {
    async fn listen(&mut self, api: &Api, plan: &Plan) {
        let path = if plan.streamed { "/api/v1/stream" } else { "/api/v1/generate" };
        let Ok(answer) = api.send(path, &question("mock/echo", &plan.text, plan.max_output)).await
        else {
            return;
        };
        if answer.status() != 200 {
            let retry = answer.headers().contains_key("retry-after");
            self.end = End::Refused(answer.status().as_u16(), retry);
        } else if plan.streamed {
            self.listen_to_stream(Events::of(answer), plan).await;
        } else if let Ok(whole) = answer.json::<Value>().await {
            self.request_id = whole["receipt"]["request_id"].as_str().map(str::to_owned);
            self.end = End::Finished(whole);
        }
    }

    async fn listen_to_stream(&mut self, mut events: Events, plan: &Plan) {
        self.request_id = Some(events.request_id.clone());
        loop {
            if plan.leaves_after.is_some_and(|pieces| self.pieces >= pieces) {
                self.end = End::Left;
                return;
            }
            let Some(event) = events.next().await else { return };
            match event["type"].as_str() {
                Some("part_delta") => self.pieces += 1,
                Some("finish") => self.end = End::Finished(event),
                Some("error") => self.end = End::Failed(event),
                _ => {}
            }
        }
    }
}

/// The numbers of the questions that reached the upstream.
fn served(mock: &Mock) -> BTreeSet<u64> {
    let requests = mock.requests();
    assert_eq!(requests.len(), mock.served(), "the mock has forgotten some");
    let number = |text: &str| text.rsplit_once("number=")?.1.parse().ok();
    let last = |body: &Value| {
        let messages = body["messages"].as_array()?;
        number(messages.last()?["content"].as_str()?)
    };
    requests
        .iter()
        .map(|seen| last(&seen.body).unwrap_or_else(|| panic!("{}", seen.body)))
        .collect()
}

/// Asserts that entries, answers and the upstream agree: every question that the upstream was asked
/// has exactly one entry, no other has been charged for, and who was told an end finds it in the
/// books as it was told. `rows` are the entries as the operator sees them.
pub fn agrees(mock: &Mock, told: &[Told], entries: &[Entry], rows: &[Value]) {
    let served = served(mock);
    let mut by_number: BTreeMap<u64, &Entry> = BTreeMap::new();
    for entry in entries {
        let number = entry.number.unwrap_or_else(|| panic!("whose is {entry:?}?"));
        let twice = by_number.insert(number, entry);
        assert!(twice.is_none(), "two entries for one question: {entry:?} {twice:?}");
        let unsent = matches!(entry.disposition.as_str(), "unknown" | "cancelled" | "failed");
        assert!(unsent || served.contains(&number), "nobody was asked: {entry:?}");
    }
    for number in &served {
        assert!(by_number.contains_key(number), "no entry for {number}");
    }
    let rows: BTreeMap<&str, &Value> =
        rows.iter().map(|row| (row["request_id"].as_str().unwrap(), row)).collect();
    assert_eq!(rows.len(), entries.len(), "the report leaves some out");
    for told in told {
        let entry = by_number.get(&told.number);
        match &told.end {
            End::Finished(end) => {
                let entry = entry.unwrap_or_else(|| panic!("no entry for {told:?}"));
                assert_eq!(told.request_id.as_ref(), Some(&entry.request_id), "{told:?}");
                is_as_told(rows[entry.request_id.as_str()], end);
            }
            End::Refused(402, _) => {
                assert!(!served.contains(&told.number), "refused and yet sent: {told:?}");
            }
            End::Left => {
                let known = entry.map(|entry| entry.disposition.as_str());
                let fits = matches!(
                    known,
                    None | Some("cancelled" | "settled" | "cut" | "interrupted" | "unknown")
                );
                assert!(fits, "{told:?} {entry:?}");
            }
            End::Refused(..) | End::Failed(_) | End::Broken => {}
        }
    }
}

/// The row is what the caller was told.
fn is_as_told(row: &Value, end: &Value) {
    assert!(row["disposition"] == "settled" || row["disposition"] == "cut", "{row} {end}");
    assert_eq!(row["usage"], end["usage"], "{row} {end}");
    assert_eq!(row["cost_nano_usd"], end["receipt"]["cost_nano_usd"], "{row} {end}");
}
