//! A thousand calls and conversations through a network that fails and a server that is killed: each
//! ends in the right answer or in a typed error, in time; the upstream saw each logical call once at
//! most, and the books have what it saw once.
//!
//! A seed that failed is printed; `TOLLGATE_CHAOS_SEED=<seed>` makes its run again, alone.
#![cfg(test)]
#![expect(clippy::print_stdout, reason = "what was measured is for people to see")]

mod books;
mod conversation;
mod world;

use conversation::{Conversation, Told};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};
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

async fn converse(world: &Arc<World>, seeds: Vec<u64>) -> Vec<(u64, Result<Told, String>)> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let (ended, over) = watch::channel(0_u64);
    let dying = seeds.len() > 1;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_conversations_survive_the_network_and_the_death_of_the_server() {
    let started = Instant::now();
    let world = Arc::new(World::start().await);
    world.serve().await;
    let alone = wanted();
    let seeds = alone.map_or_else(|| (0..RUNS).collect(), |seed| vec![seed]);
    let told = converse(&world, seeds).await;

    let mut wrong = Vec::new();
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    let (mut calls, mut connections) = (Vec::new(), 0);
    for (seed, told) in told {
        match told {
            Ok(told) => {
                for call in &told.calls {
                    let kind =
                        call.error.as_ref().map_or("answered", |error| error.kind().as_str());
                    *kinds.entry(kind.to_owned()).or_default() += 1;
                }
                if alone.is_some() {
                    println!("{told:?}");
                }
                connections += told.connections;
                calls.extend(told.calls);
            }
            Err(why) => wrong.push(format!("TOLLGATE_CHAOS_SEED={seed}: {why}")),
        }
    }
    let longest = calls.iter().map(|call| call.took).max().unwrap_or_default();
    println!("{} calls over {connections} connections in {:?}", calls.len(), started.elapsed());
    println!("the longest took {longest:?}; {kinds:?}");
    wrong.extend(world.books_are_wrong(&calls).await);
    println!("everything is checked after {:?}", started.elapsed());
    let answered = kinds.get("answered").copied().unwrap_or_default();
    let count = u64::try_from(calls.len()).unwrap();
    assert!(wrong.is_empty(), "{} wrong:\n{}\n{}", wrong.len(), wrong.join("\n"), world.log());
    // Only the calls that a death or a silence hit may fail.
    assert!(alone.is_some() || answered * 100 >= count * 85, "{answered} of {count} were answered");
}

/// How long a call may take.
const LIMIT: Duration = Duration::from_secs(10);
