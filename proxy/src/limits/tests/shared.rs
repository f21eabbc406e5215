//! Several servers over one real Redis: together they never admit more than a limit.

use super::{at_once, call, key, limit, queued, refusal, requests, team, tokens};
use crate::{
    access::{Limit, Scope},
    config::Redis as Settings,
    limits::{Limited, Limits, Measure},
    tasks::Tasks,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use tollgate_bench::private;

/// Limits of one server, and its background.
pub(super) struct Replica {
    pub(super) limits: Arc<Limits>,
    pub(super) tasks: Tasks,
}

impl Replica {
    pub(super) async fn of(settings: &Settings) -> Self {
        let tasks = Tasks::new();
        let limits = Limits::open(10_000, settings, &tasks).await.unwrap();
        Self { limits: Arc::new(limits), tasks }
    }

    /// The server dies without a word: its background stops, and what it holds is never given back.
    async fn die(self) {
        assert!(self.tasks.drain(Duration::from_secs(10)).await);
    }
}

pub(super) fn settings(url: String) -> Settings {
    Settings { url: Some(url), timeout_ms: 5_000, ..Settings::default() }
}

/// A Redis database of its own, on the server that all tests share.
async fn fresh() -> Settings {
    settings(private::redis_url().await.unwrap())
}

#[tokio::test]
async fn a_limit_refuses_and_names_itself_as_in_one_process() {
    let replica = Replica::of(&fresh().await).await;
    let limits = &replica.limits;
    let caller = call([requests(2, key("k")), tokens(1000, team())]);
    for left in [1, 0] {
        let rates = limits.admit(&caller, 10).await.unwrap().rates();
        let requests = rates.requests.unwrap();
        assert_eq!((requests.limit, requests.remaining), (2, left));
    }
    let (measure, of, wait) = refusal(limits.admit(&caller, 10).await);
    assert_eq!((measure, of.as_str()), (Measure::Requests, "of-key-k"));
    assert!(wait > Duration::from_secs(28) && wait <= Duration::from_secs(30), "{wait:?}");
    assert_eq!(
        refusal(limits.admit(&call([requests(0, key("no"))]), 0).await).0,
        Measure::Requests
    );
    let large = limits.admit(&caller, 1001).await.unwrap_err();
    assert!(matches!(large, Limited::TooLarge { .. }), "{large}");
}

#[tokio::test]
async fn a_burst_is_exactly_a_minutes_worth_for_any_rate() {
    let replica = Replica::of(&fresh().await).await;
    for rate in [1, 3, 7, 11, 13, 59] {
        let caller = call([requests(rate, key(&rate.to_string()))]);
        for left in (0..rate).rev() {
            let rates = replica.limits.admit(&caller, 0).await.unwrap().rates();
            let remaining = rates.requests.unwrap().remaining;
            assert!(remaining == u64::from(left), "{remaining} and not {left} of {rate}");
        }
        refusal(replica.limits.admit(&caller, 0).await);
    }
    for rate in [1, 3, 1_000_003, crate::access::MOST_TOKENS] {
        let caller = call([tokens(rate, key(&format!("t{rate}")))]);
        let all = replica.limits.admit(&caller, rate).await.unwrap();
        assert_eq!(refusal(replica.limits.admit(&caller, rate).await).0, Measure::Tokens);
        drop(all);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_together_never_exceed_a_rate() {
    let settings = fresh().await;
    let servers = [Replica::of(&settings).await, Replica::of(&settings).await];
    let began = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..400 {
        let limits = Arc::clone(&servers[number % 2].limits);
        calls.spawn(async move {
            let caller = call([requests(120, key("k")), tokens(100_000, team())]);
            limits.admit(&caller, 7).await.is_ok()
        });
    }
    let admitted = calls.join_all().await.into_iter().filter(|admitted| *admitted).count();
    let flowed = usize::try_from(began.elapsed().as_secs() * 2 + 2).unwrap();
    assert!(admitted >= 120 && admitted <= 120 + flowed, "{admitted}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_together_never_run_more_calls_than_a_limit_and_serve_everybody() {
    let settings = fresh().await;
    let servers = [Replica::of(&settings).await, Replica::of(&settings).await];
    let (running, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..60 {
        let limits = Arc::clone(&servers[number % 2].limits);
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        calls.spawn(async move {
            let caller = call([queued(60_000, at_once(3, team()))]);
            let slot = limits.admit(&caller, 0).await.unwrap();
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            running.fetch_sub(1, Ordering::SeqCst);
            drop(slot);
        });
    }
    assert_eq!(calls.join_all().await.len(), 60);
    assert!((1..=3).contains(&most.load(Ordering::SeqCst)), "{most:?}");
}

#[tokio::test]
async fn tokens_used_at_one_server_are_owed_at_the_other() {
    let settings = fresh().await;
    let (one, other) = (Replica::of(&settings).await, Replica::of(&settings).await);
    let caller = call([tokens(600, key("k"))]);
    let mut slot = one.limits.admit(&caller, 100).await.unwrap();
    slot.tab().used(1300);
    // Told in the background.
    assert!(one.tasks.drain(Duration::from_secs(10)).await);
    let (measure, _, wait) = refusal(other.limits.admit(&caller, 1).await);
    assert_eq!(measure, Measure::Tokens);
    assert!(wait > Duration::from_secs(65) && wait < Duration::from_secs(71), "{wait:?}");
    let caller = call([tokens(600, key("unused"))]);
    drop(other.limits.admit(&caller, 600).await.unwrap());
    assert!(other.tasks.drain(Duration::from_secs(10)).await);
    let third = Replica::of(&settings).await;
    third.limits.admit(&caller, 600).await.unwrap();
}

#[tokio::test]
async fn a_refusal_consumes_nothing_of_any_limit_in_redis() {
    let replica = Replica::of(&fresh().await).await;
    let mine = || tokens(100, requests(5, key("k")));
    let spent = requests(1, team());
    replica.limits.admit(&call([spent.clone()]), 0).await.unwrap();
    for _ in 0..20 {
        refusal(replica.limits.admit(&call([mine(), spent.clone()]), 50).await);
    }
    let full = at_once(0, limit(Scope::User("u".to_owned())));
    for _ in 0..20 {
        refusal(replica.limits.admit(&call([mine(), full.clone()]), 50).await);
    }
    let rates = replica.limits.admit(&call([mine()]), 50).await.unwrap().rates();
    assert_eq!(rates.requests.unwrap().remaining, 4);
    assert_eq!(rates.tokens.unwrap().remaining, 50);
}

#[tokio::test]
async fn a_place_that_is_given_back_at_one_server_is_free_at_the_other() {
    let settings = fresh().await;
    let (one, other) = (Replica::of(&settings).await, Replica::of(&settings).await);
    let caller = |ms| call([queued(ms, at_once(1, key("k")))]);
    let slot = one.limits.admit(&caller(0), 0).await.unwrap();
    refusal(other.limits.admit(&caller(0), 0).await);
    let patient = caller(60_000);
    let (theirs, ()) = tokio::join!(other.limits.admit(&patient, 0), async { drop(slot) });
    let slot = theirs.unwrap();
    refusal(one.limits.admit(&caller(0), 0).await);
    drop(slot);
}

#[tokio::test]
async fn calls_that_run_longer_than_a_lease_keep_their_places() {
    let settings = Settings { lease_seconds: 1, ..fresh().await };
    let (one, other) = (Replica::of(&settings).await, Replica::of(&settings).await);
    let slot = one.limits.admit(&call([at_once(1, key("k"))]), 0).await.unwrap();
    // Three leases long the other server waits in vain.
    let (measure, ..) =
        refusal(other.limits.admit(&call([queued(3000, at_once(1, key("k")))]), 0).await);
    assert_eq!(measure, Measure::Concurrent);
    drop(slot);
    other.limits.admit(&call([queued(30_000, at_once(1, key("k")))]), 0).await.unwrap();
}

#[tokio::test]
async fn the_places_of_a_server_that_died_are_free_when_its_lease_is_over() {
    let settings = Settings { lease_seconds: 1, ..fresh().await };
    let (dying, other) = (Replica::of(&settings).await, Replica::of(&settings).await);
    let mine = || queued(30_000, at_once(1, key("k")));
    std::mem::forget(dying.limits.admit(&call([mine()]), 0).await.unwrap());
    dying.die().await;
    refusal(other.limits.admit(&call([at_once(1, key("k"))]), 0).await);
    other.limits.admit(&call([mine()]), 0).await.unwrap();
}

#[tokio::test]
async fn installations_with_another_prefix_do_not_meet() {
    let settings = fresh().await;
    let other = Settings { prefix: "other".to_owned(), ..settings.clone() };
    let (one, other) = (Replica::of(&settings).await, Replica::of(&other).await);
    let caller = call([requests(1, key("k"))]);
    one.limits.admit(&caller, 0).await.unwrap();
    other.limits.admit(&caller, 0).await.unwrap();
    refusal(one.limits.admit(&caller, 0).await);
}

/// The same calls in the same order get the same answers from both: one rule, written twice.
#[tokio::test]
async fn redis_and_one_process_decide_alike() {
    let replica = Replica::of(&fresh().await).await;
    let local = Limits::local(10_000);
    let mut random = fastrand::Rng::with_seed(4);
    let limits: Vec<Limit> = (0..3)
        .map(|n| tokens(500, requests(10 + n, at_once(2 + n, key(&n.to_string())))))
        .chain([tokens(900, requests(25, at_once(4, team())))])
        .collect();
    let mut running = Vec::new();
    let mut refused = 0;
    for number in 0..200 {
        if random.u8(..) < 100 && !running.is_empty() {
            running.swap_remove(random.usize(..running.len()));
        } else {
            let caller = call([limits[random.usize(..3)].clone(), limits[3].clone()]);
            let asked = random.u64(0..60);
            let (here, there) =
                (local.admit(&caller, asked).await, replica.limits.admit(&caller, asked).await);
            match (here, there) {
                (Ok(here), Ok(there)) => running.push((here, there)),
                (Err(here), Err(there)) => {
                    let (here, there) = (refusal::<()>(Err(here)), refusal::<()>(Err(there)));
                    assert_eq!((here.0, here.1), (there.0, there.1), "call {number}");
                    refused += 1;
                }
                (here, there) => panic!("call {number}: {here:?} but {there:?}"),
            }
        }
        // What ended is told in the background.
        replica.settle().await;
    }
    assert!(refused > 20, "{refused}");
}

impl Replica {
    /// Waits until Redis has heard of everything that has ended.
    async fn settle(&self) {
        // The task that keeps the connection runs on.
        while self.tasks.running() > 1 {
            tokio::task::yield_now().await;
        }
    }
}
