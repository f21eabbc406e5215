//! Waiting for a place or for a rate: in order, with a bound, and not for ever.

use super::{at_once, call, key, queued, refusal, requests, team};
use crate::limits::{Limited, Limits, Measure, Slot, turn};
use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::Instant;

/// Longer than any test.
const LONG: u64 = 60_000;

type Waiting = Pin<Box<dyn Future<Output = Result<Slot, Limited>>>>;

/// A call that has joined the queue.
fn waiting(limits: &Arc<Limits>, limit: crate::access::Limit) -> Waiting {
    let limits = Arc::clone(limits);
    let mut waiting: Waiting = Box::pin(async move { limits.admit(&call([limit]), 0).await });
    let polled = waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending), "it does not wait: {polled:?}");
    waiting
}

#[tokio::test]
async fn who_came_first_is_served_first() {
    let limits = Arc::new(Limits::local(100));
    let mine = || queued(LONG, at_once(1, key("k")));
    let mut slot = limits.admit(&call([mine()]), 0).await.unwrap();
    let queue: Vec<_> = (0..20).map(|_| waiting(&limits, mine())).collect();
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut calls = tokio::task::LocalSet::new();
    for (number, place) in queue.into_iter().enumerate().rev() {
        let served = Arc::clone(&served);
        calls.spawn_local(async move {
            let slot = place.await.unwrap();
            served.lock().unwrap().push(number);
            drop(slot);
        });
    }
    slot.tab().used(0);
    drop(slot);
    (&mut calls).await;
    assert_eq!(*served.lock().unwrap(), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn nobody_passes_those_who_wait() {
    let limits = Arc::new(Limits::local(100));
    let mine = || queued(LONG, at_once(1, key("k")));
    let slot = limits.admit(&call([mine()]), 0).await.unwrap();
    let first = waiting(&limits, mine());
    drop(slot);
    // The place is free, and belongs to the first, who has not been told yet.
    let second = waiting(&limits, mine());
    let slot = first.await.unwrap();
    drop(slot);
    second.await.unwrap();
}

#[tokio::test]
async fn who_leaves_the_queue_does_not_stop_it() {
    let limits = Arc::new(Limits::local(100));
    let mine = || queued(LONG, at_once(1, key("k")));
    let slot = limits.admit(&call([mine()]), 0).await.unwrap();
    let first = waiting(&limits, mine());
    let second = waiting(&limits, mine());
    let third = waiting(&limits, mine());
    drop(second);
    drop(slot);
    // Told that a place is free, it leaves without taking it.
    drop(first);
    third.await.unwrap();
    assert_eq!(limits.book.running(&mine()), 0);
}

#[tokio::test]
async fn the_wait_has_an_end() {
    let limits = Arc::new(Limits::local(100));
    let mine = || queued(50, at_once(1, key("k")));
    let slot = limits.admit(&call([mine()]), 0).await.unwrap();
    let (began, caller) = (Instant::now(), call([mine()]));
    let (first, second) = tokio::join!(limits.admit(&caller, 0), limits.admit(&caller, 0));
    let waited = began.elapsed();
    assert_eq!(refusal(first).0, Measure::Concurrent);
    assert_eq!(refusal(second).0, Measure::Concurrent);
    assert!(waited >= Duration::from_millis(50) && waited < Duration::from_secs(5), "{waited:?}");
    drop(slot);
    limits.admit(&call([mine()]), 0).await.unwrap();
}

#[tokio::test]
async fn the_queue_has_a_length() {
    let limits = Arc::new(Limits::local(10_000));
    let mine = || queued(LONG, at_once(1, key("k")));
    let slot = limits.admit(&call([mine()]), 0).await.unwrap();
    let queue: Vec<_> = (0..turn::LONGEST).map(|_| waiting(&limits, mine())).collect();
    refusal(limits.admit(&call([mine()]), 0).await);
    drop((queue, slot));
    limits.admit(&call([mine()]), 0).await.unwrap();
}

#[tokio::test]
async fn all_queues_together_hold_no_more_than_the_server_runs() {
    let limits = Arc::new(Limits::local(3));
    let of = |n: u32| queued(LONG, at_once(0, key(&n.to_string())));
    let queue: Vec<_> = (0..3).map(|n| waiting(&limits, of(n))).collect();
    refusal(limits.admit(&call([of(4)]), 0).await);
    // Those who wait take nothing from those who run.
    let running = [0, 1, 2].map(|_| ());
    for () in running {
        limits.admit(&call([]), 0).await.unwrap();
    }
    drop(queue);
}

#[tokio::test]
async fn a_call_that_waits_for_its_own_limit_is_in_nobodys_way() {
    let limits = Arc::new(Limits::local(100));
    let everybody = || queued(LONG, at_once(2, team()));
    let of = |who: &str| call([queued(LONG, at_once(1, key(who))), everybody()]);
    let caller = of("a");
    let slot = limits.admit(&caller, 0).await.unwrap();
    let mut second = Box::pin(limits.admit(&caller, 0));
    assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    limits.admit(&of("b"), 0).await.unwrap();
    drop(slot);
    second.await.unwrap();
}

#[tokio::test]
async fn a_call_may_wait_for_its_rate() {
    let limits = Arc::new(Limits::local(100));
    // One in 10 ms.
    let mine = || queued(LONG, requests(6000, key("k")));
    let began = Instant::now();
    for _ in 0..6010 {
        limits.admit(&call([mine()]), 0).await.unwrap();
    }
    assert!(began.elapsed() >= Duration::from_millis(95), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_wait_that_would_be_too_long_is_refused_at_once() {
    let limits = Arc::new(Limits::local(100));
    let mine = || queued(5_000, requests(1, key("k")));
    limits.admit(&call([mine()]), 0).await.unwrap();
    let began = Instant::now();
    let (measure, _, wait) = refusal(limits.admit(&call([mine()]), 0).await);
    assert_eq!(measure, Measure::Requests);
    assert!(wait > Duration::from_secs(50), "{wait:?}");
    assert!(began.elapsed() < Duration::from_secs(4));
}

/// Under load from many threads no place is lost, none is given twice, and everybody is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_passes_through_a_narrow_gate() {
    let limits = Arc::new(Limits::local(10_000));
    let everybody = || queued(LONG, at_once(3, team()));
    let running = Arc::new(std::sync::atomic::AtomicI32::new(0));
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..200_u32 {
        let (limits, running) = (Arc::clone(&limits), Arc::clone(&running));
        calls.spawn(async move {
            let mine = queued(LONG, at_once(1, key(&(number % 5).to_string())));
            let slot = limits.admit(&call([mine, everybody()]), 0).await.unwrap();
            let before = running.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            tokio::task::yield_now().await;
            running.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            drop(slot);
            before
        });
    }
    while let Some(before) = calls.join_next().await {
        assert!(before.unwrap() < 3);
    }
    assert_eq!(limits.book.running(&everybody()), 0);
}
