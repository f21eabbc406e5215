//! Edges of windows, clocks that step, and budgets that change while calls run.

use super::{
    Books, NOW, books, finished, order,
    people::{People, quoted},
};
use crate::{
    ledger::{HoldError, Ledger},
    store::testing::{Kind, on_both_engines},
    tasks::Tasks,
};
use futures_util::future::join_all;
use std::{sync::Arc, time::Duration};

on_both_engines!(
    a_clock_that_steps_back_spends_no_window_twice,
    a_window_follows_the_calendar_of_the_budgets_owner,
    a_cap_that_is_lowered_below_what_runs_refuses_and_lets_everything_end,
    a_raise_counts_until_it_ends,
    a_soft_budget_counts_and_never_refuses,
    a_soft_budget_takes_any_amount,
    a_soft_budget_counts_an_answer_that_is_longer_than_was_thought,
    calls_of_a_user_that_is_deleted_end_as_if_it_were_there,
    a_user_that_is_deleted_is_not_without_budgets_while_servers_still_know_it;
    threads: the_edge_of_a_window_under_load,
    a_budget_that_is_deleted_under_load_loses_nothing,
    caps_that_change_under_load_are_never_passed,
);

const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;

fn is_exhausted<T>(held: &Result<T, HoldError>) -> bool {
    matches!(held, Err(HoldError::Exhausted(_)))
}

/// Spent and held of the first budget in the window that begins at `start_ms`.
async fn at(books: &Books, start_ms: i64) -> (i64, i64) {
    let counters = books.store.counters("b0", start_ms).await.unwrap();
    (counters.spent, counters.held)
}

/// `PAINS 4`.
async fn a_clock_that_steps_back_spends_no_window_twice(kind: Kind) {
    let books = books(kind, &[("requests", "day", 2)]).await;
    let (today, tomorrow) = (NOW - NOW % DAY, NOW - NOW % DAY + DAY);
    let call = async || books.hold(1, 1).await;
    call().await.unwrap().sent().settle(finished(1, 1)).await.unwrap();
    books.clock.set(tomorrow + 1);
    let spans = call().await.unwrap().sent();
    // Back into a window that was over already: what it has counted still counts.
    books.clock.set(tomorrow - 1);
    let late = call().await.unwrap().sent();
    assert!(is_exhausted(&call().await));
    // The end of the other one goes to the window of its hold, which now lies ahead.
    spans.settle(finished(1, 1)).await.unwrap();
    assert_eq!((at(&books, today).await, at(&books, tomorrow).await), ((1, 1), (1, 0)));
    books.clock.set(tomorrow);
    call().await.unwrap().sent().settle(finished(1, 1)).await.unwrap();
    assert!(is_exhausted(&call().await), "the window ahead was opened once");
    late.settle(finished(1, 1)).await.unwrap();
    assert_eq!((at(&books, today).await, at(&books, tomorrow).await), ((2, 0), (2, 0)));
    books.store.assert_agrees("stepped").await;
}

/// `PAINS 4`.
async fn a_window_follows_the_calendar_of_the_budgets_owner(kind: Kind) {
    let books = books(kind, &[("requests", "day", 1)]).await;
    books.store.tamper("update budgets set time_zone = 'Asia/Tokyo'").await;
    // Midnight in Tokyo is 15:00 in UTC.
    let midnight = NOW - NOW % DAY + 15 * 60 * MINUTE;
    books.clock.set(midnight - 1);
    books.hold(1, 1).await.unwrap().sent().settle(finished(1, 1)).await.unwrap();
    let Err(HoldError::Exhausted(budget)) = books.hold(1, 1).await else { panic!("a second one") };
    assert_eq!(budget.resets_at_ms, Some(midnight));
    books.clock.set(midnight);
    books.hold(1, 1).await.unwrap().sent().settle(finished(1, 1)).await.unwrap();
    assert_eq!((at(&books, midnight - DAY).await, at(&books, midnight).await), ((1, 0), (1, 0)));
}

/// `PAINS 1` and 4: a hundred calls run while one minute after the other begins.
async fn the_edge_of_a_window_under_load(kind: Kind) {
    const CAP: i64 = 1_000;
    let books = books(kind, &[("tokens", "minute", CAP), ("tokens", "total", 1_000_000)]).await;
    let mut settled = 0;
    for round in 0..10_u64 {
        let calls = (0..10_u64).map(|n| {
            let books = &books;
            async move {
                let n = 10 * round + n;
                let Ok(hold) = books.hold(10 + n % 7, 90).await else { return 0 };
                let meter = hold.sent();
                if n % 5 == 0 {
                    books.clock.advance(Duration::from_secs(10));
                }
                meter.settle(finished(10, n % 90)).await.unwrap();
                1
            }
        });
        settled += join_all(calls).await.into_iter().sum::<i64>();
    }
    let windows = books.store.all_windows().await;
    let minutes: Vec<_> = windows.iter().filter(|((id, _), _)| id == "b0").collect();
    assert!(minutes.len() > 2 && settled > 50, "{minutes:?}");
    assert!(minutes.iter().all(|(_, counters)| counters.0 <= CAP && counters.1 == 0));
    assert_eq!(books.store.number("select count(*) from usage_entries").await, settled);
    books.store.assert_agrees("over").await;
}

/// `PAINS 1`.
async fn a_budget_that_is_deleted_under_load_loses_nothing(kind: Kind) {
    let books = books(kind, &[("tokens", "total", 500), ("tokens", "day", 1_000_000)]).await;
    let mut running = Vec::new();
    while let Ok(hold) = books.hold(10, 40).await {
        if hold.max_output() < 40 {
            break;
        }
        running.push(hold.sent());
    }
    let delete = async {
        assert!(books.store.delete_budget("b0", NOW).await.unwrap());
    };
    let ends = running.into_iter().map(|meter| meter.settle(finished(10, 20)));
    let calls = (0..100).map(|_| async {
        match books.hold(10, 40).await {
            Ok(hold) => drop(hold.sent().settle(finished(10, 5)).await.unwrap()),
            Err(error) => assert!(matches!(error, HoldError::Exhausted(_)), "{error}"),
        }
    });
    let (ends, (), _) = tokio::join!(join_all(ends), delete, join_all(calls));
    assert!(ends.iter().all(Result::is_ok));
    // It limits nothing any more.
    books.hold(10, 40_000).await.unwrap().sent().settle(finished(10, 30_000)).await.unwrap();
    assert!(at(&books, 0).await.0 <= 500);
    books.store.assert_agrees("deleted").await;
}

/// What is held when a cap is lowered stays held; nothing is added above the new cap.
async fn a_cap_that_is_lowered_below_what_runs_refuses_and_lets_everything_end(kind: Kind) {
    let books = books(kind, &[("tokens", "total", 1_000)]).await;
    let meter = books.hold(100, 700).await.unwrap().sent();
    assert!(books.store.set_cap("b0", 500).await.unwrap());
    assert!(is_exhausted(&books.hold(1, 1).await));
    meter.settle(finished(100, 350)).await.unwrap();
    assert_eq!(at(&books, 0).await, (450, 0));
    assert_eq!(books.hold(10, 1_000).await.unwrap().max_output(), 40);
}

async fn a_raise_counts_until_it_ends(kind: Kind) {
    let books = books(kind, &[("tokens", "total", 100)]).await;
    let until = NOW + MINUTE;
    let raise = format!("update budgets set raise_amount = 50, raise_until_ms = {until}");
    books.store.tamper(&raise).await;
    let raised = books.hold(10, 1_000).await.unwrap();
    assert_eq!(raised.max_output(), 140);
    let meter = raised.sent();
    books.clock.set(until);
    // What was set aside with its help still ends, with all that it may cost.
    meter.settle(finished(10, 120)).await.unwrap();
    let Err(HoldError::Exhausted(budget)) = books.hold(1, 1).await else { panic!("overspent") };
    assert_eq!((budget.cap, budget.spent), (100, 130));
    books.store.assert_agrees("after the raise").await;
}

async fn a_soft_budget_counts_and_never_refuses(kind: Kind) {
    let books = books(kind, &[("tokens", "total", 10), ("requests", "day", 1)]).await;
    books.store.tamper("update budgets set enforcement = 'soft'").await;
    for _ in 0..3 {
        let hold = books.hold(10, 90).await.unwrap();
        assert_eq!((hold.max_output(), hold.is_limited()), (90, false));
        hold.sent().settle(finished(10, 50)).await.unwrap();
    }
    assert_eq!(at(&books, 0).await, (180, 0));
    books.store.assert_agrees("soft").await;
    // From now on it is hard, and what it has counted is far above it.
    books.store.tamper("update budgets set enforcement = 'hard'").await;
    assert!(is_exhausted(&books.hold(1, 1).await));
}

/// Where nobody limits an answer its length is only assumed, and nothing cuts it off.
async fn a_soft_budget_counts_an_answer_that_is_longer_than_was_thought(kind: Kind) {
    let books = books(kind, &[("tokens", "total", 10), ("cost", "total", 10)]).await;
    books.store.tamper("update budgets set enforcement = 'soft'").await;
    books.hold(10, 90).await.unwrap().sent().settle(finished(10, 5_000)).await.unwrap();
    assert_eq!(at(&books, 0).await, (5_010, 0));
    let cost = books.store.counters("b1", 0).await.unwrap();
    assert_eq!((cost.spent, cost.held), (5_010_000, 0));
    books.store.assert_agrees("longer").await;
}

/// Amounts that have no sum in 64 bits. `PAINS 11`.
async fn a_soft_budget_takes_any_amount(kind: Kind) {
    let books = books(kind, &[("cost", "total", i64::MAX), ("tokens", "total", 1)]).await;
    books.store.tamper("update budgets set enforcement = 'soft'").await;
    let mut holds = Vec::new();
    for _ in 0..3 {
        holds.push(books.hold(u64::MAX, u64::MAX).await.unwrap());
    }
    let meter = holds.pop().unwrap().sent();
    drop(holds);
    meter.settle(finished(1, 1)).await.unwrap();
    books.settled_as("dropped").await;
    let hold = books.hold(1, 9).await.unwrap();
    assert_eq!(hold.sent().settle(finished(1, 1)).await.unwrap().budgets.len(), 2);
}

/// A server believes a key for up to a second. Its budgets must not be gone before it is.
async fn a_user_that_is_deleted_is_not_without_budgets_while_servers_still_know_it(kind: Kind) {
    let books = books(kind, &[("tokens", "total", 100)]).await;
    let of_the_key = crate::store::BudgetRow {
        id: "k".into(),
        owner_kind: "key".into(),
        owner_id: "key".into(),
        resource: "tokens".into(),
        span: "total".into(),
        cap: 60,
        ..crate::store::BudgetRow::default()
    };
    let key = crate::store::KeyRow {
        id: "key".into(),
        user_id: "user".into(),
        role: "member".into(),
        permissions: "{}".into(),
        overrun: "clamp".into(),
        ..crate::store::KeyRow::default()
    };
    books.store.insert_key(&key, &[of_the_key]).await.unwrap();
    assert_eq!(books.hold(10, 1_000).await.unwrap().max_output(), 50);
    books.settled_as("dropped").await;
    assert!(books.store.delete_user("alice", NOW).await.unwrap());
    let hold = books.hold(10, 1_000).await.unwrap();
    assert_eq!(hold.max_output(), 50);
    hold.sent().settle(finished(10, 50)).await.unwrap();
    assert!(is_exhausted(&books.hold(1, 1).await));
    assert_eq!(at(&books, 0).await, (60, 0));
    books.store.assert_agrees("deleted user").await;
}

/// An entry, an end and a charge, whatever has become of the user.
async fn calls_of_a_user_that_is_deleted_end_as_if_it_were_there(kind: Kind) {
    let budgets =
        [("team", "team", ("tokens", "total", 1_000)), ("user", "u0", ("tokens", "day", 500))];
    let people = People::firm(kind, 1, &budgets).await;
    let clock = Arc::new(crate::clock::ManualClock::at(NOW));
    let tasks = Tasks::new();
    let ledger = Ledger::open(people.store.clone(), clock, &tasks, super::LEASE).await.unwrap();
    let hold = ledger.hold(quoted(&people.callers[0], 10, 90), order()).await.unwrap();
    let gone = "update users set deleted_ms = 5, name = name || '#' || id where id = 'u0'";
    assert_eq!(people.store.tamper(gone).await, 1);
    let receipt = hold.sent().settle(finished(10, 20)).await.unwrap();
    assert_eq!(receipt.budgets.iter().map(|b| b.spent).collect::<Vec<_>>(), [30, 30]);
    people.store.assert_agrees("ended").await;
}

/// Caps go up and down while calls of many sizes run; whatever was added was added below a cap that
/// was in force. `PAINS 1`.
async fn caps_that_change_under_load_are_never_passed(kind: Kind) {
    let books = books(kind, &[("tokens", "total", 1_000_000), ("tokens", "day", 5_000)]).await;
    let change = async {
        for n in 0..40_i64 {
            assert!(books.store.set_cap("b1", 3_000 + n % 5 * 500).await.unwrap());
            tokio::task::yield_now().await;
        }
        assert!(books.store.set_cap("b1", 5_000).await.unwrap());
    };
    let calls = (0..150_u64).map(|n| {
        let books = &books;
        async move {
            match books.hold(10 + n % 13, 60 + n % 50).await {
                Ok(hold) if n % 4 == 0 => drop(hold),
                Ok(hold) => drop(hold.sent().settle(finished(10, n % 60)).await.unwrap()),
                Err(HoldError::Exhausted(_) | HoldError::Store(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    let (_, ()) = tokio::join!(join_all(calls), change);
    books.settled_as("changed").await;
    let windows = books.store.all_windows().await;
    assert!(windows.values().all(|(spent, held)| *spent <= 5_000 && *held == 0), "{windows:?}");
}

impl Books {
    /// Waits until nothing is held; then the books must agree.
    async fn settled_as(&self, case: &str) {
        while self.store.number("select count(*) from holds").await > 0 {
            tokio::task::yield_now().await;
        }
        self.store.assert_agrees(case).await;
    }
}
