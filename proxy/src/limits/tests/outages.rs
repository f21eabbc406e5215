//! A Redis that is not there, goes away, says nothing, and comes back.

use super::{
    at_once, call, key, refusal, requests,
    shared::{Replica, settings},
    tokens,
};
use crate::{
    config::{OnFailure, Redis as Settings},
    limits::{Limited, Limits},
};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::time::Instant;
use tollgate_bench::private::Redis;

/// More than the configured 100 ms and less than anybody would call a hang.
const SOON: Duration = Duration::from_secs(1);

fn patient(redis: &Redis) -> Settings {
    Settings { timeout_ms: 100, ..settings(redis.url()) }
}

/// Asks until it is so: Redis is reached again in the background.
async fn until<F: Future<Output = bool>>(mut so: impl FnMut() -> F) {
    let asking = async {
        while !so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asking).await.expect("it never came about");
}

async fn reached(limits: &Arc<Limits>, up: bool) {
    until(|| async { limits.shared_is_up() == Some(up) }).await;
}

/// How long an admission took.
async fn timed<T>(admission: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    (admission.await, began.elapsed())
}

#[tokio::test]
async fn pains_14_a_paused_redis_costs_one_bounded_wait_and_then_nothing() {
    let mut redis = Redis::start().await.unwrap();
    let replica = Replica::of(&patient(&redis)).await;
    let limits = &replica.limits;
    let caller = call([requests(100_000, key("k"))]);
    limits.admit(&caller, 0).await.unwrap();
    redis.pause().await.unwrap();
    // Those who are under way when it happens wait, together.
    let crowd = futures_util::future::join_all((0..50).map(|_| limits.admit(&caller, 0)));
    let (answers, took) = timed(crowd).await;
    assert!(answers.iter().all(Result::is_ok));
    assert!(took >= Duration::from_millis(90) && took < SOON, "{took:?}");
    // From then on nobody does.
    let (_, took) = timed(async {
        for _ in 0..1000 {
            limits.admit(&caller, 0).await.unwrap();
        }
    })
    .await;
    assert!(took < SOON, "a thousand calls took {took:?}");
    redis.resume().unwrap();
    reached(limits, true).await;
    limits.admit(&caller, 0).await.unwrap();
}

#[tokio::test]
async fn while_redis_is_gone_each_server_keeps_its_limits_alone() {
    let mut redis = Redis::start().await.unwrap();
    let replica = Replica::of(&patient(&redis)).await;
    let limits = &replica.limits;
    let rate = call([requests(5, key("rate"))]);
    let places = call([at_once(2, key("places"))]);
    for _ in 0..3 {
        limits.admit(&rate, 0).await.unwrap();
    }
    let running = limits.admit(&places, 0).await.unwrap();
    redis.stop().await.unwrap();
    // What was admitted before counts.
    for _ in 0..2 {
        limits.admit(&rate, 0).await.unwrap();
    }
    refusal(limits.admit(&rate, 0).await);
    let second = limits.admit(&places, 0).await.unwrap();
    refusal(limits.admit(&places, 0).await);
    // Redis comes back empty: calls that run take their places again.
    redis.start_again().await.unwrap();
    reached(limits, true).await;
    let other = Replica::of(&patient(&redis)).await;
    until(|| async { other.limits.admit(&places, 0).await.is_err() }).await;
    drop((running, second));
    until(|| async { other.limits.admit(&places, 0).await.is_ok() }).await;
}

#[tokio::test]
async fn what_was_taken_without_redis_is_not_given_back_to_it() {
    let mut redis = Redis::start().await.unwrap();
    let replica = Replica::of(&patient(&redis)).await;
    let limits = &replica.limits;
    let caller = call([tokens(1_000, key("k"))]);
    let first = limits.admit(&caller, 600).await.unwrap();
    redis.pause().await.unwrap();
    limits.admit(&caller, 0).await.unwrap();
    let alone = limits.admit(&caller, 400).await.unwrap();
    redis.resume().unwrap();
    reached(limits, true).await;
    drop(alone);
    let other = Replica::of(&patient(&redis)).await;
    for _ in 0..50 {
        // What this server has to say is said before.
        limits.admit(&caller, 0).await.unwrap();
        refusal(other.limits.admit(&caller, 500).await);
    }
    drop(first);
}

#[tokio::test]
async fn where_the_operator_wants_it_calls_are_refused_while_redis_is_gone() {
    let mut redis = Redis::start().await.unwrap();
    let refuse = Settings { on_failure: OnFailure::Refuse, ..patient(&redis) };
    let replica = Replica::of(&refuse).await;
    let caller = call([requests(100, key("k"))]);
    replica.limits.admit(&caller, 0).await.unwrap();
    redis.stop().await.unwrap();
    for _ in 0..3 {
        let (answer, took) = timed(replica.limits.admit(&caller, 0)).await;
        assert_eq!(answer.unwrap_err(), Limited::Unchecked);
        assert!(took < SOON, "{took:?}");
    }
    // Who has no limit needs no Redis.
    replica.limits.admit(&call([]), 0).await.unwrap();
    redis.start_again().await.unwrap();
    until(|| async { replica.limits.admit(&caller, 0).await.is_ok() }).await;
}

#[tokio::test]
async fn a_redis_that_is_not_there_at_the_start_is_found_when_it_is() {
    let mut redis = Redis::start().await.unwrap();
    redis.stop().await.unwrap();
    let replica = Replica::of(&patient(&redis)).await;
    assert_eq!(replica.limits.shared_is_up(), Some(false));
    let caller = call([requests(1, key("k"))]);
    replica.limits.admit(&caller, 0).await.unwrap();
    refusal(replica.limits.admit(&caller, 0).await);
    redis.start_again().await.unwrap();
    reached(&replica.limits, true).await;
}

#[tokio::test]
async fn a_redis_that_goes_away_under_load_stops_no_call() {
    let mut redis = Redis::start().await.unwrap();
    let replica = Replica::of(&patient(&redis)).await;
    let mut calls = tokio::task::JoinSet::new();
    let (tell, told) = tokio::sync::watch::channel(false);
    for number in 0..8 {
        let (limits, told) = (Arc::clone(&replica.limits), told.clone());
        calls.spawn(async move {
            let mut longest = Duration::ZERO;
            let caller = call([at_once(4, requests(1_000_000, key(&number.to_string())))]);
            while !*told.borrow() {
                let (slot, took) = timed(limits.admit(&caller, 0)).await;
                slot.unwrap();
                longest = longest.max(took);
                tokio::task::yield_now().await;
            }
            longest
        });
    }
    for _ in 0..2 {
        redis.stop().await.unwrap();
        reached(&replica.limits, false).await;
        redis.start_again().await.unwrap();
        reached(&replica.limits, true).await;
    }
    tell.send(true).unwrap();
    for longest in calls.join_all().await {
        assert!(longest < SOON, "{longest:?}");
    }
}
