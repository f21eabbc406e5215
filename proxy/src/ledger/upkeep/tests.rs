//! Old usage, months of it, on real databases.

use super::{MOVED, Round, months, round};
use crate::{
    config::Retention,
    ledger::{
        rollups_differ,
        tests::entries::{HOUR, nth, people, write},
    },
    store::{
        BudgetRow, Made, Share, Store, WindowKey,
        testing::{Home, Kind, on_both_engines, open_again, store_on},
    },
};
use jiff::Timestamp;
use tollgate_bench::private::Kind as Engine;

on_both_engines!(
    what_deleted_entries_charged_stays_in_the_books,
    sums_stay_until_their_own_time_is_over,
    nothing_is_deleted_unless_it_was_asked_for,
);

const DAY: i64 = 24 * HOUR;

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn now() -> i64 {
    ms("2026-11-21T12:00:00Z")
}

fn keep(entries_days: Option<u32>, rollups_days: Option<u32>) -> Retention {
    Retention { entries_days, rollups_days }
}

/// Entries of 100 days, ten a day; each charges 7 to a budget without end and 1 to one of its day.
async fn books(kind: Kind) -> (Home, Store) {
    let (home, store) = store_on(kind).await;
    people(&store).await;
    for (id, span) in [("total", "total"), ("month", "month")] {
        let budget = BudgetRow {
            id: id.into(),
            owner_kind: "user".into(),
            owner_id: "u1".into(),
            resource: "tokens".into(),
            span: span.into(),
            cap: 1_000_000,
            ..BudgetRow::default()
        };
        store.insert_budget(&budget, 1).await.unwrap();
    }
    store.tamper("insert into budget_windows (budget_id, start_ms, end_ms, spent, held) values ('total', 0, null, 7000, 0)").await;
    store.tamper("insert into budget_windows (budget_id, start_ms, end_ms, spent, held) values ('month', 5, 6, 1000, 0)").await;
    let share = |budget: &str, start_ms, amount| Share {
        window: WindowKey { budget_id: budget.into(), start_ms },
        amount,
    };
    let entries: Vec<_> = (0..1_000).map(|n| nth(n, now() - n * DAY / 10)).collect();
    write(&store, &entries, &[share("total", 0, 7), share("month", 5, 1)]).await;
    (home, store)
}

/// What the books hold: archived, and the entries with what they charge.
async fn balance(store: &Store) -> (i64, i64) {
    let entries = store.number("select count(*) from usage_entries").await;
    for (window, each, spent) in [("total", 7, 7_000), ("month", 1, 1_000)] {
        let archived = format!("select archived from budget_windows where budget_id = '{window}'");
        let archived = store.number(&archived).await;
        assert_eq!(archived + each * entries, spent, "{window}");
    }
    (
        entries,
        store
            .number("select cast(sum(requests) as bigint) from usage_rollups where tag = ''")
            .await,
    )
}

async fn what_deleted_entries_charged_stays_in_the_books(kind: Kind) {
    let (_home, store) = books(kind).await;
    assert_eq!(balance(&store).await, (1_000, 1_000));
    let done = round(&store, &keep(Some(30), None), now()).await.unwrap();
    let (entries, summed) = balance(&store).await;
    assert_eq!(summed, 1_000, "sums stay");
    assert_eq!(rollups_differ(&store, (0, i64::MAX)).await.unwrap(), []);
    // The month of the entry in the middle is not over on PostgreSQL, whose months go whole; here
    // they were in no partition but the default one, and go one by one.
    assert_eq!(entries, 301);
    assert_eq!(done.entries, 699);
    let again = round(&store, &keep(Some(30), None), now()).await.unwrap();
    assert_eq!(again, Round::default(), "a second round finds nothing to do");
    balance(&store).await;
}

async fn sums_stay_until_their_own_time_is_over(kind: Kind) {
    let (_home, store) = books(kind).await;
    let done = round(&store, &keep(Some(10), Some(20)), now()).await.unwrap();
    let (entries, summed) = balance(&store).await;
    // On PostgreSQL this month has a partition, and goes when it is over.
    let left = if kind == Kind::Postgres { 206 } else { 101 };
    assert_eq!((entries, summed), (left, 201));
    assert!(done.rollups > 800);
}

async fn nothing_is_deleted_unless_it_was_asked_for(kind: Kind) {
    let (_home, store) = books(kind).await;
    let done = round(&store, &Retention::default(), now() + 3_650 * DAY).await.unwrap();
    assert_eq!((done.dropped, done.entries, done.rollups), (0, 0, 0));
    assert_eq!(balance(&store).await, (1_000, 1_000));
}

async fn partitions(store: &Store) -> Vec<String> {
    let all = store.books().await.unwrap().partitions().await.unwrap();
    all.into_iter().map(|partition| partition.name).collect()
}

#[tokio::test]
async fn months_go_whole_and_come_ahead() {
    let (home, store) = store_on(Engine::Postgres).await;
    people(&store).await;
    // A server runs for a while: partitions come month by month.
    for day in (0..300).step_by(20) {
        let now_ms = ms("2026-01-10T00:00:00Z") + day * DAY;
        round(&store, &Retention::default(), now_ms).await.unwrap();
        write(&store, &[nth(day, now_ms), nth(day + 1, now_ms + DAY)], &[]).await;
    }
    let all = partitions(&store).await;
    assert_eq!(all.first().unwrap(), "usage_entries_2026_01");
    assert_eq!(all.last().unwrap(), "usage_entries_2026_12");
    assert_eq!(all.len(), 12);
    assert_eq!(store.number("select count(*) from usage_entries_default").await, 0);
    let before = store.number("select count(*) from usage_entries").await;
    let later = ms("2026-11-05T00:00:00Z");
    let done = round(&store, &keep(Some(60), None), later).await.unwrap();
    assert_eq!((done.dropped, done.entries, done.made), (8, 0, 1));
    assert_eq!(partitions(&store).await.first().unwrap(), "usage_entries_2026_09");
    let left = store.number("select count(*) from usage_entries").await;
    assert!(left > 0 && left < before);
    let summed = "select cast(sum(requests) as bigint) from usage_rollups where tag = ''";
    assert_eq!(store.number(summed).await, before);
    assert_eq!(rollups_differ(&store, (0, i64::MAX)).await.unwrap(), []);
    // A second server finds everything done.
    let other = open_again(&home).await;
    assert_eq!(round(&other, &keep(Some(60), None), later).await.unwrap(), Round::default());
}

#[tokio::test]
async fn a_month_that_is_dropped_leaves_what_it_charged() {
    let (_home, store) = books(Engine::Postgres).await;
    // They are in the default partition; the months of the past are made by hand.
    for days in [90, 60, 30, 0] {
        let mut hand = store.books().await.unwrap();
        for month in months(now() - days * DAY) {
            hand.begin().await.unwrap();
            hand.make_partition(&month, MOVED).await.unwrap();
            hand.commit().await.unwrap();
        }
    }
    assert_eq!(store.number("select count(*) from usage_entries_default").await, 0);
    assert_eq!(balance(&store).await, (1_000, 1_000));
    let done = round(&store, &keep(Some(30), None), now()).await.unwrap();
    assert_eq!((done.dropped, done.entries), (2, 0), "August and September");
    let (entries, _) = balance(&store).await;
    assert_eq!(entries, 516, "October is not over yet");
    // One whose charges nobody can read stops nothing.
    store.tamper("update usage_entries set charges = 'junk' where request_id = 'r000400'").await;
    let done = round(&store, &keep(Some(10), None), now()).await.unwrap();
    assert_eq!(done.dropped, 1);
}

#[tokio::test]
async fn entries_that_came_before_their_month_are_moved_or_left_and_told_of() {
    let (_home, store) = store_on(Engine::Postgres).await;
    people(&store).await;
    let entries: Vec<_> = (0..50).map(|n| nth(n, now() + n)).collect();
    write(&store, &entries, &[]).await;
    let mut books = store.books().await.unwrap();
    let month = months(now()).remove(0);
    books.begin().await.unwrap();
    assert_eq!(books.make_partition(&month, 49).await.unwrap(), Made::TooMany);
    books.commit().await.unwrap();
    assert_eq!(store.number("select count(*) from usage_entries_default").await, 50);
    books.begin().await.unwrap();
    assert_eq!(books.make_partition(&month, 50).await.unwrap(), Made::New { moved: 50 });
    books.commit().await.unwrap();
    assert_eq!(store.number("select count(*) from usage_entries_default").await, 0);
    assert_eq!(store.number("select count(*) from usage_entries").await, 50);
    // Whatever is in the way of its time, it is not made twice.
    books.begin().await.unwrap();
    assert_eq!(books.make_partition(&month, 50).await.unwrap(), Made::Taken);
    books.rollback().await.unwrap();
    assert_eq!(rollups_differ(&store, (0, i64::MAX)).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_servers_one_makes_the_months() {
    let (home, store) = store_on(Engine::Postgres).await;
    let others = [open_again(&home).await, open_again(&home).await, store];
    let keep = keep(Some(30), None);
    let rounds = others.iter().map(|store| round(store, &keep, now()));
    let made: u64 = futures_util::future::join_all(rounds)
        .await
        .into_iter()
        .map(|done| done.unwrap().made)
        .sum();
    assert_eq!(made, 3);
    assert_eq!(partitions(&others[0]).await.len(), 3);
}
