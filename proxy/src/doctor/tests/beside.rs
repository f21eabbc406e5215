//! The doctor beside a server that works.

use super::{Kind, Mode, Ward, broken};
use crate::ledger::{Disposition, Outcome};
use crate::store::{Patience, Store, testing::place_of};
use futures_util::future::join_all;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tollgate_bench::on_both_engines;
use tollgate_types::Usage;

on_both_engines!(
    an_open_hold_of_a_living_server_is_left_alone;
    threads:
        beside_fifty_running_calls_nothing_is_wrong,
        a_repair_beside_running_calls_restores_exactly_the_sums,
);

const CAP: i64 = 1_000_000_000;

async fn an_open_hold_of_a_living_server_is_left_alone(kind: Kind) {
    let ward = Ward::with(kind, &[("tokens", "total", CAP)]).await;
    let open = ward.hold(5, 50).await.unwrap().sent();
    assert!(ward.repair(Mode::Apply).await.is_empty());
    open.settle(Outcome::new(Disposition::Settled, Usage::tokens(1, 2))).await.unwrap();
    assert_eq!(ward.counters().await, [("b0".to_owned(), 0, 3, 0)]);
}

/// Fifty callers that call until they are told to stop; then their calls are over.
async fn crowd(kind: Kind) -> (Arc<Ward>, Arc<AtomicBool>, tokio::sync::oneshot::Receiver<u64>) {
    let budgets = [("tokens", "total", CAP), ("requests", "day", CAP), ("cost", "month", i64::MAX)];
    let ward = Arc::new(Ward::with(kind, &budgets).await);
    let stop = Arc::new(AtomicBool::new(false));
    let (told, done) = tokio::sync::oneshot::channel();
    let (of_crowd, until) = (Arc::clone(&ward), Arc::clone(&stop));
    ward.tasks.spawn(async move {
        let callers = (0..50_u64).map(async |n| {
            let mut used = 0;
            while !until.load(Ordering::Relaxed) {
                // One who waits for a lock too long is refused; the others go on.
                let Ok(hold) = of_crowd.hold(10 + n, 50).await else { continue };
                let meter = hold.sent();
                tokio::task::yield_now().await;
                if n % 5 == 0 {
                    drop(meter);
                    continue;
                }
                let outcome = Outcome::new(Disposition::Settled, Usage::tokens(n, 7));
                meter.settle(outcome).await.unwrap();
                used += n + 7;
            }
            used
        });
        let used = join_all(callers).await.into_iter().sum();
        told.send(used).unwrap();
    });
    while ward.store.number("select count(*) from usage_entries").await < 50 {
        tokio::task::yield_now().await;
    }
    (ward, stop, done)
}

/// All calls of the crowd are over and written.
async fn over(ward: &Ward, stop: &AtomicBool, done: tokio::sync::oneshot::Receiver<u64>) {
    stop.store(true, Ordering::Relaxed);
    let used = tokio::time::timeout(Duration::from_secs(60), done).await.unwrap().unwrap();
    assert!(used > 0, "nobody called");
    while ward.store.number("select count(*) from holds").await > 0 {
        tokio::task::yield_now().await;
    }
}

async fn beside_fifty_running_calls_nothing_is_wrong(kind: Kind) {
    let (ward, stop, done) = crowd(kind).await;
    for _ in 0..8 {
        let report = ward.examine().await;
        assert_eq!(broken(&report), Vec::<&str>::new(), "{report:?}");
    }
    assert!(ward.repair(Mode::Apply).await.is_empty());
    over(&ward, &stop, done).await;
    assert_eq!(broken(&ward.examine().await), Vec::<&str>::new());
}

async fn a_repair_beside_running_calls_restores_exactly_the_sums(kind: Kind) {
    let (ward, stop, done) = crowd(kind).await;
    let hand = Store::open(place_of(&ward.home), Patience::Command).await.unwrap();
    for damage in [
        "update budget_windows set held = held + 1000000",
        "update budget_windows set spent = spent + 12345, held = 0",
        "update budget_windows set spent = 0 where budget_id = 'b0'",
        "update budget_windows set spent = spent / 2, held = held * 2",
    ] {
        hand.tamper(damage).await;
        let repairs = ward.repair(Mode::Apply).await;
        assert!(!repairs.is_empty(), "{damage}");
        let report = ward.examine().await;
        assert_eq!(broken(&report), Vec::<&str>::new(), "{damage}: {report:?}");
        let least = "select min(held) from budget_windows";
        assert!(ward.store.number(least).await >= 0, "{damage}");
    }
    over(&ward, &stop, done).await;
    assert_eq!(broken(&ward.examine().await), Vec::<&str>::new());
    let counters = ward.counters().await;
    let requests = ward.store.number("select count(*) from usage_entries").await;
    assert!(counters.iter().all(|(.., held)| *held == 0), "{counters:?}");
    let spent: Vec<_> =
        counters.iter().map(|(budget, _, spent, _)| (budget.as_str(), *spent)).collect();
    assert_eq!(spent[1], ("b1", requests));
    let tokens = "select cast(sum(input + output) as bigint) from usage_entries";
    assert_eq!(spent[0], ("b0", ward.store.number(tokens).await));
}
