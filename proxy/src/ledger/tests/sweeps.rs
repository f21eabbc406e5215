//! Servers that die, servers that were taken for dead, and the holds that they leave.

use super::{
    Books, NOW, books, finished, order,
    people::{People, quoted},
};
use crate::{
    clock::ManualClock,
    ledger::{Ledger, sweep},
    store::{
        EntryRow, Store, UsageFilter,
        testing::{Kind, on_both_engines},
    },
    tasks::Tasks,
};
use std::{sync::Arc, time::Duration};
use tollgate_types::StreamEvent;

on_both_engines!(
    a_hold_whose_plan_cannot_be_read_still_leaves_a_row,
    a_hold_whose_caller_left_while_it_was_placed_is_given_back,
);

/// So short that a test need not wait: it says that it lives every 50 ms.
const SHORT: Duration = Duration::from_millis(300);

async fn entries(store: &Store) -> Vec<EntryRow> {
    let rows = store.usage_rows(&UsageFilter::default(), 1_000).await.unwrap();
    rows.into_iter().map(|row| row.entry).collect()
}

async fn held(store: &Store) -> i64 {
    store.number("select cast(coalesce(sum(held), 0) as bigint) from budget_windows").await
}

/// Another server over the same books.
async fn other(store: &Store, lease: Duration) -> Ledger {
    let clock = Arc::new(ManualClock::at(NOW));
    Ledger::open(store.clone(), clock, &Tasks::new(), lease).await.unwrap()
}

/// A dead server's meters: the calls run, and nobody hears of them any more.
async fn running(books: &Books, calls: usize) -> Vec<crate::ledger::Meter> {
    let mut meters = Vec::new();
    for _ in 0..calls {
        let mut meter = books.hold(10, 90).await.unwrap().sent();
        for _ in 0..20 {
            meter.note(&StreamEvent::delta(0, "word"));
        }
        meters.push(meter);
    }
    meters
}

/// `PAINS 2` and 7.
#[tokio::test(flavor = "multi_thread")]
async fn two_servers_that_sweep_a_dead_one_at_once_settle_each_hold_once() {
    let dead = books(Kind::Postgres, &[("tokens", "total", 100_000)]).await;
    let meters = running(&dead, 40).await;
    dead.store.declare_dead(&dead.ledger.node).await;
    let clock = ManualClock::at(NOW);
    let mut one = dead.store.books().await.unwrap();
    let mut two = dead.store.books().await.unwrap();
    let (first, second) =
        tokio::join!(sweep::sweep_dead(&mut one, &clock), sweep::sweep_dead(&mut two, &clock));
    assert!(first.unwrap() + second.unwrap() >= 40);
    let swept = entries(&dead.store).await;
    assert_eq!(swept.len(), 40);
    assert!(swept.iter().all(|entry| entry.disposition == "unknown" && entry.estimated == 1));
    assert_eq!(held(&dead.store).await, 0);
    dead.store.assert_agrees("swept").await;
    // They end after all, and that is too late.
    let before = dead.store.all_windows().await;
    for meter in meters {
        assert!(meter.settle(finished(10, 80)).await.unwrap().budgets.is_empty());
    }
    assert_eq!(dead.store.all_windows().await, before);
    assert_eq!(entries(&dead.store).await, swept);
    dead.store.assert_agrees("ended late").await;
}

/// More than one transaction can hold. `PAINS 7`.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_server_left_open_is_settled_by_one_that_lives() {
    let dead = books(Kind::Postgres, &[("tokens", "total", 100_000)]).await;
    let holds = (0..300).map(|_| dead.hold(10, 90));
    let holds = futures_util::future::join_all(holds).await;
    let meters: Vec<_> = holds.into_iter().map(|hold| hold.unwrap().sent()).collect();
    assert_eq!(held(&dead.store).await, 30_000);
    dead.store.declare_dead(&dead.ledger.node).await;
    let alive = other(&dead.store, SHORT).await;
    while held(&dead.store).await > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(entries(&dead.store).await.len(), 300);
    dead.store.assert_agrees("swept").await;
    drop((meters, alive));
}

/// `PAINS 7`.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_taken_for_dead_goes_on() {
    let people = People::firm(Kind::Postgres, 1, &[("user", "u0", ("tokens", "day", 500))]).await;
    let (store, caller) = (&people.store, &people.callers[0]);
    let ledger = other(store, SHORT).await;
    let lost = ledger.hold(quoted(caller, 10, 90), order()).await.unwrap().sent();
    // As if it had stood still for longer than its lease, and the others had forgotten it.
    let gone = format!("delete from nodes where id = '{}'", ledger.node);
    store.tamper(&gone).await;
    let mut others = store.books().await.unwrap();
    let clock = ManualClock::at(NOW);
    let mut swept = sweep::sweep_dead(&mut others, &clock).await.unwrap();
    while swept == 0 {
        // It had said that it lives meanwhile.
        store.tamper(&gone).await;
        swept = sweep::sweep_dead(&mut others, &clock).await.unwrap();
    }
    let is_known = async || store.nodes().await.unwrap().iter().any(|n| n.id == *ledger.node);
    while !is_known().await {
        tokio::task::yield_now().await;
    }
    let hold = ledger.hold(quoted(caller, 10, 90), order()).await.unwrap();
    assert_eq!(sweep::sweep_dead(&mut others, &clock).await.unwrap(), 0);
    hold.sent().settle(finished(10, 20)).await.unwrap();
    drop(lost);
    while held(store).await > 0 {
        tokio::task::yield_now().await;
    }
    let mut ends: Vec<_> = entries(store).await.into_iter().map(|e| e.disposition).collect();
    ends.sort();
    assert_eq!(ends, ["settled", "unknown"]);
    store.assert_agrees("both ended").await;
}

/// A server that lives is left alone, however long its calls run.
#[tokio::test(flavor = "multi_thread")]
async fn holds_of_a_living_server_are_never_swept() {
    let books = books(Kind::Postgres, &[("tokens", "total", 1_000)]).await;
    let hold = books.hold(10, 90).await.unwrap();
    let alive = other(&books.store, SHORT).await;
    let mut others = books.store.books().await.unwrap();
    for _ in 0..20 {
        assert_eq!(sweep::sweep_dead(&mut others, &*books.clock).await.unwrap(), 0);
    }
    let receipt = hold.sent().settle(finished(10, 20)).await.unwrap();
    assert_eq!(receipt.budgets[0].spent, 30);
    drop(alive);
}

/// `PAINS 8`: a degraded row, never none.
async fn a_hold_whose_plan_cannot_be_read_still_leaves_a_row(kind: Kind) {
    let books = books(kind, &[("tokens", "total", 1_000), ("requests", "day", 9)]).await;
    let _lost = running(&books, 3).await;
    while books.store.number("select count(*) from holds where delivered_tokens > 0").await < 3 {
        tokio::task::yield_now().await;
    }
    let changed = books.store.tamper("update holds set draft = '{\"half\": '").await;
    assert_eq!(changed, 3);
    let mut sweeper = books.store.books().await.unwrap();
    assert_eq!(sweep::sweep_all(&mut sweeper, &*books.clock).await.unwrap(), 3);
    let rows = "select count(*) from usage_entries
                where disposition = 'unknown' and output > 0 and request_id <> ''";
    assert_eq!(books.store.number(rows).await, 3);
    assert_eq!(held(&books.store).await, 0);
    assert_eq!(books.status().await[1].spent, 3);
    books.store.assert_agrees("swept").await;
}

/// `PAINS 2`: nobody is there any more to give it back.
async fn a_hold_whose_caller_left_while_it_was_placed_is_given_back(kind: Kind) {
    let books = books(kind, &[("tokens", "total", 10_000)]).await;
    for turns in 0..60 {
        let placing = std::pin::pin!(books.hold(10, 90));
        let mut placing = Some(placing);
        for _ in 0..turns % 20 {
            let Some(future) = &mut placing else { break };
            if futures_util::poll!(future.as_mut()).is_ready() {
                placing = None;
            }
            tokio::task::yield_now().await;
        }
    }
    while held(&books.store).await > 0 || books.store.number("select count(*) from holds").await > 0
    {
        tokio::task::yield_now().await;
    }
    assert!(entries(&books.store).await.is_empty());
    // All of it can be had again.
    assert_eq!(books.hold(10, 100_000).await.unwrap().max_output(), 9_990);
}
