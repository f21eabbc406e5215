//! A thousand calls and conversations through a network that fails and a server that is killed: each
//! ends in the right answer or in a typed error, in time; the upstream saw each logical call once at
//! most, and the books have what it saw once.
//!
//! A seed that failed is printed; `TOLLGATE_CHAOS_SEED=<seed>` makes its run again, alone.
#![cfg(test)]
#![expect(clippy::print_stdout, reason = "what was measured is for people to see")]

mod books;
mod conversation;
#[path = "../proof/transports.rs"]
mod transports;
mod world;

use conversation::{Called, Conversation, Told};
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tollgate_types::{Error, ErrorKind};
use world::World;

/// Conversations of the whole test.
const RUNS: u64 = 1_000;

/// Conversations at once.
const AT_ONCE: usize = 48;

/// How often the server dies while they go on; the last time it is asked to.
const DEATHS: u64 = 4;

/// The seed that is wanted alone.
#[expect(clippy::disallowed_methods, reason = "a test has no configuration to read from")]
fn wanted() -> Option<u64> {
    std::env::var("TOLLGATE_CHAOS_SEED").ok()?.parse().ok()
}

/// Kills the server and starts it again, each time a share of the conversations is over.
async fn die_now_and_then(world: Arc<World>, mut over: watch::Receiver<u64>) {
    for death in 1..=DEATHS {
        let share = RUNS * death / (DEATHS + 1);
        if over.wait_for(|count| *count >= share).await.is_err() {
            return;
        }
        if death < DEATHS {
            world.kill().await
        } else {
            world.terminate().await
        }
        world.serve().await;
    }
}

async fn converse(
    world: &Arc<World>,
    seeds: Vec<u64>,
    dying: bool,
) -> Vec<(u64, Result<Told, String>)> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let (ended, over) = watch::channel(0_u64);
    let mut runs = JoinSet::new();
    for seed in seeds {
        let (world, places, ended) = (Arc::clone(world), Arc::clone(&places), ended.clone());
        runs.spawn(async move {
            let _place = places.acquire().await.unwrap();
            let told = Conversation::of(&world, seed).await.run().await;
            ended.send_modify(|count| *count += 1);
            (seed, told)
        });
    }
    let deaths = die_now_and_then(Arc::clone(world), over);
    let talk = runs.join_all();
    if dying { tokio::join!(talk, deaths).0 } else { talk.await }
}

/// What became of many conversations.
#[derive(Default)]
struct Toll {
    calls: Vec<Called>,
    connections: u64,
    wrong: Vec<String>,
}

impl Toll {
    fn of(told: Vec<(u64, Result<Told, String>)>) -> Self {
        let mut toll = Self::default();
        for (seed, told) in told {
            match told {
                Ok(told) => {
                    toll.connections += told.connections;
                    toll.calls.extend(told.calls);
                }
                Err(why) => toll.wrong.push(format!("TOLLGATE_CHAOS_SEED={seed}: {why}")),
            }
        }
        toll
    }

    /// How many calls were answered, of a hundred.
    fn answered(&self) -> usize {
        let answered = self.calls.iter().filter(|call| call.error.is_none()).count();
        (answered * 100).checked_div(self.calls.len()).unwrap_or_default()
    }

    /// What was counted, and an example of every kind of failure.
    fn print(&self, took: Duration) {
        let longest = self.calls.iter().map(|call| call.took).max().unwrap_or_default();
        let (calls, connections) = (self.calls.len(), self.connections);
        println!(
            "{calls} calls over {connections} connections in {took:?}, one of them {longest:?}"
        );
        let mut failures: BTreeMap<(&str, &str, bool), (u64, &Called)> = BTreeMap::new();
        for call in &self.calls {
            if let Some(error) = &call.error {
                let kind = (error.kind().as_str(), call.way, call.streamed);
                failures.entry(kind).or_insert((0, call)).0 += 1;
            }
        }
        for ((kind, way, streamed), (count, call)) in failures {
            println!("{count} {kind} over {way}, streamed: {streamed}, for example {call:?}");
        }
    }
}

/// Makes conversations, and checks all of them against the upstream and the books.
async fn survive(seeds: Range<u64>, dying: bool) -> Toll {
    let started = Instant::now();
    let world = Arc::new(World::start().await);
    world.serve().await;
    let alone = wanted();
    let seeds = alone.map_or_else(|| seeds.collect(), |seed| vec![seed]);
    let mut toll = Toll::of(converse(&world, seeds, dying && alone.is_none()).await);
    toll.print(started.elapsed());
    let wrong = world.books_are_wrong(&toll.calls).await;
    toll.wrong.extend(wrong);
    println!("everything is checked after {:?}", started.elapsed());
    let wrong = &toll.wrong;
    assert!(wrong.is_empty(), "{} wrong:\n{}\n{}", wrong.len(), wrong.join("\n"), world.log());
    toll
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_conversations_survive_the_network_and_the_death_of_the_server() {
    let toll = survive(0..RUNS, true).await;
    // Only calls that a death or a silence hit may fail.
    assert!(wanted().is_some() || toll.answered() >= 85, "{} of 100", toll.answered());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_lives_every_call_is_answered_whatever_the_network_does() {
    let toll = survive(RUNS..RUNS + 200, false).await;
    // Whoever waits for the head of an answer over HTTP cannot tell a network that has gone silent
    // from a model that thinks.
    let lost = |call: &&Called| {
        let kind = call.error.as_ref().map(Error::kind);
        kind.is_some_and(|kind| call.way != "http" || kind != ErrorKind::Timeout)
    };
    let lost: Vec<&Called> = toll.calls.iter().filter(lost).collect();
    assert!(lost.is_empty(), "{} are lost: {lost:?}", lost.len());
    assert!(wanted().is_some() || toll.answered() >= 95, "{} of 100", toll.answered());
}

/// How long a call may take.
const LIMIT: Duration = Duration::from_secs(10);
