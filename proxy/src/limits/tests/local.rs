//! Limits of one process.

use super::{at_once, call, key, model, refusal, requests, team, tokens};
use crate::{
    limits::{Limited, Limits, Measure, RateState, Slot},
    tasks::Tasks,
};
use proptest::prelude::*;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// The answer of an admission that does not wait.
fn now<T>(admission: impl Future<Output = T>) -> T {
    futures_util::FutureExt::now_or_never(admission).expect("it waits")
}

#[test]
fn a_full_server_refuses_and_a_dropped_slot_frees_its_place() {
    let limits = Limits::local(1);
    let slot = now(limits.admit(&call([]), 0)).unwrap();
    let refused = now(limits.admit(&call([]), 0)).unwrap_err();
    assert_eq!(refused, Limited::Full { running: 1 });
    drop(slot);
    now(limits.admit(&call([]), 0)).unwrap();
}

#[test]
fn the_limit_that_is_used_up_is_named_with_its_owner_its_number_and_the_wait() {
    let limits = Limits::local(9);
    let caller = call([requests(2, key("k")), tokens(1000, team()), at_once(2, model("p/*"))]);
    for _ in 0..2 {
        now(limits.admit(&caller, 10)).unwrap();
    }
    let refused = now(limits.admit(&caller, 10)).unwrap_err();
    assert_eq!(refused.to_string(), "the key k is limited to 2 requests a minute (limit of-key-k)");
    let (measure, _, wait) = refusal::<Slot>(Err(refused));
    assert_eq!(measure, Measure::Requests);
    assert!(wait > Duration::from_secs(29) && wait <= Duration::from_secs(30), "{wait:?}");
    let large = now(limits.admit(&call([tokens(1000, team())]), 900)).unwrap();
    let (measure, of, _) = refusal(now(limits.admit(&call([tokens(1000, team())]), 110)));
    drop(large);
    assert_eq!((measure, of.as_str()), (Measure::Tokens, "of-team-t"));
    let others = call([at_once(2, model("p/*"))]);
    let running = [0, 1].map(|_| now(limits.admit(&others, 0)).unwrap());
    let (measure, of, wait) = refusal(now(limits.admit(&others, 0)));
    assert_eq!((measure, of.as_str()), (Measure::Concurrent, "of-model-p/*"));
    assert_eq!(wait, Duration::from_secs(1));
    drop(running);
}

#[test]
fn a_limit_of_another_model_counts_nothing() {
    let limits = Limits::local(9);
    let caller = call([requests(0, model("q/*"))]);
    now(limits.admit(&caller, 0)).unwrap();
}

#[test]
fn a_refusal_consumes_nothing_of_any_limit() {
    let limits = Limits::local(9);
    let mine = || tokens(100, requests(5, key("k")));
    let spent = requests(1, team());
    now(limits.admit(&call([spent.clone()]), 0)).unwrap();
    for _ in 0..20 {
        refusal(now(limits.admit(&call([mine(), spent.clone()]), 50)));
    }
    let full = at_once(0, model("p/m"));
    for _ in 0..20 {
        refusal(now(limits.admit(&call([mine(), full.clone()]), 50)));
    }
    let rates = now(limits.admit(&call([mine()]), 50)).unwrap().rates();
    assert_eq!(rates.requests.unwrap().remaining, 4);
    assert_eq!(rates.tokens.unwrap().remaining, 50);
}

#[test]
fn tokens_that_a_call_used_beyond_what_it_took_are_paid_by_the_next() {
    let limits = Limits::local(9);
    let caller = call([tokens(600, key("k"))]);
    let mut slot = now(limits.admit(&caller, 100)).unwrap();
    slot.tab().used(1300);
    let (measure, _, wait) = refusal(now(limits.admit(&caller, 1)));
    // 700 of 1300 are owed, at 10 a second, and the one that is asked for.
    assert_eq!(measure, Measure::Tokens);
    assert!(wait > Duration::from_secs(69) && wait < Duration::from_secs(71), "{wait:?}");
}

#[test]
fn tokens_that_a_call_took_and_did_not_use_are_there_again() {
    let limits = Limits::local(9);
    let caller = call([tokens(600, key("k"))]);
    for _ in 0..50 {
        let mut slot = now(limits.admit(&caller, 500)).unwrap();
        slot.tab().used(1);
    }
    // A call that ended without a word has used nothing.
    drop(now(limits.admit(&caller, 550)).unwrap());
    drop(now(limits.admit(&caller, 550)).unwrap());
}

#[test]
fn a_request_larger_than_a_minute_of_tokens_is_refused_for_good() {
    let limits = Limits::local(9);
    let caller = call([tokens(100, key("k"))]);
    let refused = now(limits.admit(&caller, 101)).unwrap_err();
    assert!(matches!(refused, Limited::TooLarge { tokens: 101, .. }), "{refused}");
    assert!(refused.to_string().contains("100 tokens a minute"), "{refused}");
    now(limits.admit(&caller, 100)).unwrap();
}

#[test]
fn the_tightest_of_several_rates_is_told() {
    let limits = Limits::local(9);
    let caller = call([requests(100, key("k")), requests(7, team()), tokens(90, model("p/m"))]);
    let rates = now(limits.admit(&caller, 30)).unwrap().rates();
    let requests = rates.requests.unwrap();
    assert_eq!((requests.limit, requests.remaining), (7, 6));
    let tokens = rates.tokens.unwrap();
    assert_eq!((tokens.limit, tokens.remaining), (90, 60));
    assert!(tokens.reset.as_millis() <= 20_000 && tokens.reset.as_millis() > 19_000);
}

#[test]
fn a_changed_rate_starts_afresh_and_changed_places_count_at_once() {
    let limits = Limits::local(9);
    let running = now(limits.admit(&call([at_once(1, requests(1, key("k")))]), 0)).unwrap();
    refusal(now(limits.admit(&call([at_once(2, requests(1, key("k")))]), 0)));
    let second = now(limits.admit(&call([at_once(2, requests(5, key("k")))]), 0)).unwrap();
    refusal(now(limits.admit(&call([at_once(2, requests(5, key("k")))]), 0)));
    drop((running, second));
}

#[test]
fn idle_limits_are_forgotten_and_busy_ones_are_not() {
    let limits = Limits::local(10_000);
    let running = now(limits.admit(&call([at_once(1, key("busy"))]), 0)).unwrap();
    now(limits.admit(&call([requests(1, key("spent"))]), 0)).unwrap();
    for n in 0..10_000 {
        now(limits.admit(&call([at_once(1, key(&n.to_string()))]), 0)).unwrap();
    }
    assert!(limits.book.remembered() <= 1100, "{}", limits.book.remembered());
    refusal(now(limits.admit(&call([at_once(1, key("busy"))]), 0)));
    refusal(now(limits.admit(&call([requests(1, key("spent"))]), 0)));
    drop(running);
}

/// Slots that never come back are what users of other gateways restart them for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pains_15_slots_are_released_by_a_thousand_aborted_calls() {
    let limits = Arc::new(Limits::local(10_000));
    let mine = || super::queued(60_000, at_once(5, key("k")));
    let (most, running) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let started = Arc::new(tokio::sync::Semaphore::new(0));
    let tasks = Tasks::new();
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..1000_u32 {
        let (limits, most, running) =
            (Arc::clone(&limits), Arc::clone(&most), Arc::clone(&running));
        let started = Arc::clone(&started);
        calls.spawn(async move {
            started.add_permits(1);
            let Ok(slot) = limits.admit(&call([mine(), at_once(7, team())]), 0).await else {
                return;
            };
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // It may be aborted from here on, and then leaves before its place is free.
            let leaving = scopeguard(&running);
            for _ in 0..number % 7 {
                tokio::task::yield_now().await;
            }
            if number % 3 == 0 {
                return;
            }
            // Until it is aborted.
            std::future::pending::<()>().await;
            drop((leaving, slot));
        });
    }
    drop(started.acquire_many(1000).await.unwrap());
    calls.abort_all();
    while calls.join_next().await.is_some() {}
    assert!(most.load(Ordering::SeqCst) >= 1);
    assert!(most.load(Ordering::SeqCst) <= 5, "{most:?} ran at once");
    assert_eq!(limits.book.running(&mine()), 0);
    assert_eq!(limits.book.running(&team()), 0);
    let all: Vec<_> = (0..5).map(|_| now(limits.admit(&call([mine()]), 0)).unwrap()).collect();
    assert_eq!(all.len(), 5);
    assert_eq!(tasks.running(), 0);
}

/// Counts down when the call is aborted.
fn scopeguard(running: &Arc<AtomicU32>) -> impl Sized + use<> {
    struct Leaving(Arc<AtomicU32>);
    impl Drop for Leaving {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    Leaving(Arc::clone(running))
}

#[derive(Clone, Debug)]
enum Step {
    Admit { who: usize, tokens: u64 },
    End { which: usize, used: u64 },
    Abandon { which: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0usize..3, 0u64..2000).prop_map(|(who, tokens)| Step::Admit { who, tokens }),
        1 => (0usize..9, 0u64..3000).prop_map(|(which, used)| Step::End { which, used }),
        1 => (0usize..9).prop_map(|which| Step::Abandon { which }),
    ];
    proptest::collection::vec(step, 1..120)
}

proptest! {
    /// Whatever calls do, every limit counts exactly those that run, and never more than it allows.
    #[test]
    fn every_limit_counts_exactly_the_calls_that_run(steps in steps()) {
        let limits = Limits::local(1000);
        let keys = [0, 1, 2].map(|n: u32| {
            tokens(1000, requests(40, at_once(n + 1, key(&n.to_string()))))
        });
        let everybody = tokens(100_000, requests(50, at_once(4, team())));
        let mut running: Vec<(usize, Slot)> = Vec::new();
        let mut admitted = [0_u32; 3];
        for step in steps {
            match step {
                Step::Admit { who, tokens } => {
                    let caller = call([keys[who].clone(), everybody.clone()]);
                    if let Ok(slot) = now(limits.admit(&caller, tokens)) {
                        admitted[who] += 1;
                        running.push((who, slot));
                    }
                }
                Step::End { which, used } if which < running.len() => {
                    running.swap_remove(which).1.tab().used(used);
                }
                Step::Abandon { which } if which < running.len() => {
                    drop(running.swap_remove(which));
                }
                _ => {}
            }
            for (who, limit) in keys.iter().enumerate() {
                let mine = running.iter().filter(|(by, _)| *by == who).count();
                prop_assert_eq!(limits.book.running(limit) as usize, mine);
                prop_assert!(mine <= who + 1);
            }
            prop_assert_eq!(limits.book.running(&everybody) as usize, running.len());
            prop_assert!(running.len() <= 4);
        }
        // One more may flow in while the test runs.
        prop_assert!(admitted.iter().all(|count| *count <= 41), "{:?}", admitted);
        prop_assert!(admitted.iter().sum::<u32>() <= 51, "{:?}", admitted);
        let state = now(limits.admit(&call([requests(50, at_once(9, team()))]), 0));
        let Ok(slot) = state else { return Ok(()) };
        let RateState { limit, remaining, .. } = slot.rates().requests.unwrap();
        prop_assert!(u64::from(admitted.iter().sum::<u32>()) <= limit - remaining);
    }
}
