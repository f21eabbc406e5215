//! The statements of the books on a real database.

use super::{
    Booking, Books, Changes, NewHold, Owner, Share, WindowChange, WindowKey,
    holds::{NOTE, TAKE},
};
use crate::store::{
    BudgetRow, EntryRow, Store, StoreError, Tokens, UsageFilter, UserRow,
    engine::Engine,
    testing::{Home, Kind, on_both_engines, store_on},
};
use sqlx::{AssertSqlSafe, Row};
use std::{sync::Arc, time::Duration};

on_both_engines!(
    no_change_passes_a_cap_whatever_was_decided_before,
    a_window_that_is_not_there_cannot_be_charged,
    a_hold_is_taken_once_with_all_that_it_set_aside,
    an_entry_is_read_back_as_it_was_written,
    the_largest_numbers_there_are_do_not_break_the_books,
    a_batch_is_written_with_everything_that_it_changes,
);

async fn store(kind: Kind) -> (Home, Store) {
    let (home, store) = store_on(kind).await;
    let user = UserRow {
        id: "user".into(),
        name: "alice".into(),
        role: "member".into(),
        time_zone: "UTC".into(),
        permissions: "{}".into(),
        created_ms: 1,
        ..UserRow::default()
    };
    store.insert_user(&user, &[budget("b", 100)]).await.unwrap();
    (home, store)
}

fn budget(id: &str, cap: i64) -> BudgetRow {
    BudgetRow {
        id: id.into(),
        owner_kind: "user".into(),
        owner_id: "user".into(),
        resource: "tokens".into(),
        span: "total".into(),
        cap,
        ..BudgetRow::default()
    }
}

fn window(budget_id: &str) -> WindowKey {
    WindowKey { budget_id: budget_id.into(), start_ms: 0 }
}

fn change(budget_id: &str, spent: i64, held: i64) -> WindowChange {
    WindowChange { window: window(budget_id), spent, held }
}

async fn no_change_passes_a_cap_whatever_was_decided_before(kind: Kind) {
    let (_home, store) = store(kind).await;
    let mut books = store.books().await.unwrap();
    books.open_windows(&[(window("b"), None)]).await.unwrap();
    books.change_windows(&[change("b", 10, 90)], 1).await.unwrap();
    for (spent, held) in [(0, 1), (1, 0), (2, -1), (i64::MAX / 2, 0)] {
        let refused = books.change_windows(&[change("b", spent, held)], 1).await;
        let Err(StoreError::Unbalanced { expected: 1, changed: 0 }) = refused else {
            panic!("{refused:?}");
        };
    }
    // A cap below what is spent and held keeps nothing from being released.
    assert!(store.set_cap("b", 5).await.unwrap());
    books.change_windows(&[change("b", 40, -50)], 1).await.unwrap();
    books.change_windows(&[change("b", 40, -40)], 1).await.unwrap();
    assert!(books.change_windows(&[change("b", 0, 1)], 1).await.is_err());
    let counters = store.counters("b", 0).await.unwrap();
    assert_eq!((counters.spent, counters.held), (90, 0));
}

async fn a_window_that_is_not_there_cannot_be_charged(kind: Kind) {
    let (_home, store) = store(kind).await;
    let mut books = store.books().await.unwrap();
    let refused = books.change_windows(&[change("b", 0, 1)], 1).await;
    assert!(matches!(refused, Err(StoreError::Unbalanced { .. })), "{refused:?}");
}

/// Only SQLite takes a word for a number.
#[tokio::test]
async fn a_budget_that_cannot_be_read_spoils_only_itself() {
    let (_home, store) = store(Kind::Sqlite).await;
    store.insert_budget(&budget("c", 7), 1).await.unwrap();
    store.tamper("update budgets set cap = 'much' where id = 'b'").await;
    let mut books = store.books().await.unwrap();
    books.open_windows(&[(window("b"), None), (window("c"), None)]).await.unwrap();
    let owner = Owner { kind: "user", id: "user".into() };
    let found = books.budgets_of(&[owner]).await.unwrap();
    let caps: Vec<_> = found.iter().map(|found| found.row.as_ref().ok().map(|b| b.cap)).collect();
    assert_eq!(caps, [None, Some(7)]);
    let found = books.windows(&[window("c"), window("b")]).await.unwrap();
    let read: Vec<_> = found.iter().map(|found| (found.asked, found.row.is_ok())).collect();
    assert_eq!(read, [(1, false), (0, true)]);
    // Its holds still end.
    books.change_windows(&[change("b", 3, -5), change("c", 1, 1)], 1).await.unwrap();
}

async fn a_hold_is_taken_once_with_all_that_it_set_aside(kind: Kind) {
    let (_home, store) = store(kind).await;
    let mut books = store.books().await.unwrap();
    books.open_windows(&[(window("b"), None)]).await.unwrap();
    let hold = |id: &str, shares: Vec<Share>| NewHold {
        delivered_tokens: 3,
        draft: EntryRow { model: "a\0b".into(), ..EntryRow::default() }.into(),
        shares: shares.into(),
        ..self::hold(id)
    };
    let share = Share { window: window("b"), amount: i64::MAX };
    books.insert_holds(&[hold("free", vec![]), hold("h", vec![share.clone()])]).await.unwrap();
    books.note_delivered(&[("h".into(), 16), ("gone".into(), 2)]).await.unwrap();
    let open = books.open_holds().await.unwrap();
    assert_eq!(open.iter().map(|hold| hold.delivered_tokens).collect::<Vec<_>>(), [3, 16]);
    let draft: EntryRow = serde_json::from_str(&open[0].draft).unwrap();
    assert_eq!(draft.model, "a\0b");
    let taken = books.take_holds(&["h", "free", "never"]).await.unwrap();
    assert_eq!(taken.len(), 2);
    assert_eq!((&*taken["h"], &*taken["free"]), (&[share][..], &[][..]));
    assert!(books.take_holds(&["h", "free"]).await.unwrap().is_empty());
}

async fn an_entry_is_read_back_as_it_was_written(kind: Kind) {
    let (_home, store) = store(kind).await;
    let mut books = store.books().await.unwrap();
    let full = EntryRow {
        request_id: "r1".into(),
        attempt: 2,
        user_id: "user".into(),
        key_id: "k".into(),
        team_id: Some("t".into()),
        provider: "p".into(),
        model: "123".into(),
        asked_model: "\"quoted\"\n\u{1f980}".into(),
        dialect: "native".into(),
        features: "chat,stream".into(),
        streamed: 1,
        disposition: "settled".into(),
        finish: Some("stop".into()),
        error: Some("null".into()),
        estimated: 3,
        clamped: 4,
        tokens: Tokens {
            input: 5,
            cache_read: 6,
            cache_write_5m: 7,
            cache_write_1h: 8,
            audio_in: 9,
            image_in: 10,
            output: 11,
            reasoning: 12,
            audio_out: 13,
        },
        tool_fees: r#"{"search":2}"#.into(),
        cost_nano_usd: Some(i64::MAX),
        price: Some("{}".into()),
        price_version: Some("list:2026-01-01".into()),
        started_ms: 14,
        first_token_ms: Some(15),
        latency_ms: 16,
        upstream_request_id: Some("up".into()),
        tags: r#"{"a":"b"}"#.into(),
    };
    let bare = EntryRow { request_id: "r0".into(), user_id: "user".into(), ..EntryRow::default() };
    let again = EntryRow { model: "other".into(), ..full.clone() };
    let share = Share { window: window("b"), amount: 7 };
    let booking = |entry: &EntryRow, charges| Booking { entry: entry.clone().into(), charges };
    let all = [booking(&full, vec![share]), booking(&bare, vec![]), booking(&again, vec![])];
    books.insert_entries(&all).await.unwrap();
    books.insert_entries(&[booking(&again, vec![])]).await.unwrap();
    let rows = store.usage_rows(&UsageFilter::default(), 9).await.unwrap();
    let rows: Vec<_> = rows.into_iter().map(|row| row.entry).collect();
    assert_eq!(rows, [full, bare]);
}

fn hold(id: &str) -> NewHold {
    NewHold {
        id: id.into(),
        node: Arc::new("n".into()),
        draft: Arc::default(),
        delivered_tokens: 0,
        created_ms: 1,
        shares: Arc::default(),
    }
}

/// A commit that is under way when its server gives up waiting would bring a hold later that was
/// released before. `PAINS 2`.
#[tokio::test]
async fn what_a_lost_connection_was_told_is_over_before_the_next_one_begins() {
    let (_home, store) = store(Kind::Postgres).await;
    let mut books = store.books().await.unwrap();
    books.begin().await.unwrap();
    books.insert_holds(&[hold("h")]).await.unwrap();
    // A server that is busy does not see that its client is gone.
    let busy = books.tamper("select pg_sleep(60)");
    assert!(tokio::time::timeout(Duration::from_millis(200), busy).await.is_err());
    let own = "select count(*) from pg_stat_activity
               where datname = current_database() and query like 'select pg_sleep%'";
    assert_eq!(store.number(own).await, 1);
    books.abandon();
    while let Err(error) = books.begin().await {
        assert!(matches!(error, StoreError::Unreachable(_)), "{error}");
    }
    assert_eq!(store.number(own).await, 0);
    assert!(books.take_holds(&["h"]).await.unwrap().is_empty());
}

/// While one server ends holds of another that it takes for dead, that one notes what their answers
/// have delivered, with the windows locked that the first one waits for.
#[tokio::test]
async fn a_note_to_a_hold_that_is_being_ended_waits_for_nobody() {
    let (_home, store) = store(Kind::Postgres).await;
    let [mut sweeper, mut owner] = [store.books().await.unwrap(), store.books().await.unwrap()];
    owner.insert_holds(&[hold("h"), hold("other")]).await.unwrap();
    sweeper.begin().await.unwrap();
    assert_eq!(sweeper.take_holds(&["h"]).await.unwrap().len(), 1);
    owner.begin().await.unwrap();
    owner.note_delivered(&[("h".into(), 5), ("other".into(), 7)]).await.unwrap();
    owner.commit().await.unwrap();
    sweeper.commit().await.unwrap();
    let open = owner.open_holds().await.unwrap();
    let open: Vec<_> = open.iter().map(|hold| (hold.id.as_str(), hold.delivered_tokens)).collect();
    assert_eq!(open, [("other", 7)]);
}

/// Two servers that end the same holds do so in the same order, whatever order they name them in
/// and whatever order they lie in.
#[tokio::test]
async fn two_servers_that_end_the_same_holds_never_wait_for_each_other() {
    let (_home, store) = store(Kind::Postgres).await;
    let [mut one, mut two] = [store.books().await.unwrap(), store.books().await.unwrap()];
    one.insert_holds(&[hold("b"), hold("a")]).await.unwrap();
    one.begin().await.unwrap();
    assert_eq!(one.take_holds(&["a"]).await.unwrap().len(), 1);
    let first = async {
        let waits = "select count(*) from pg_stat_activity
                     where datname = current_database() and wait_event_type = 'Lock'";
        while store.number(waits).await == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(one.take_holds(&["b"]).await.unwrap().len(), 1);
        one.commit().await.unwrap();
    };
    let (second, ()) = tokio::join!(two.take_holds(&["b", "a"]), first);
    assert!(second.unwrap().is_empty());
}

/// The most that a budget may have is no reason to add numbers up that have no sum. `PAINS 11`.
async fn the_largest_numbers_there_are_do_not_break_the_books(kind: Kind) {
    let (_home, store) = store(kind).await;
    let most = BudgetRow { raise_amount: i64::MAX, raise_until_ms: 9, ..budget("most", i64::MAX) };
    store.insert_budget(&most, 1).await.unwrap();
    let mut books = store.books().await.unwrap();
    books.open_windows(&[(window("most"), None)]).await.unwrap();
    books.change_windows(&[change("most", 0, i64::MAX)], 1).await.unwrap();
    books.change_windows(&[change("most", i64::MAX, -i64::MAX)], 1).await.unwrap();
    let counters = store.counters("most", 0).await.unwrap();
    assert_eq!((counters.spent, counters.held), (i64::MAX, 0));
}

async fn a_batch_is_written_with_everything_that_it_changes(kind: Kind) {
    let (_home, store) = store(kind).await;
    let mut books = store.books().await.unwrap();
    books.open_windows(&[(window("b"), None)]).await.unwrap();
    books.insert_holds(&[hold("old"), hold("other")]).await.unwrap();
    let entry = EntryRow { request_id: "r".into(), user_id: "user".into(), ..EntryRow::default() };
    let charges = vec![Share { window: window("b"), amount: 7 }];
    let changes = Changes {
        windows: vec![change("b", 7, 20)],
        placed: vec![hold("new")],
        notes: vec![("old".into(), 16), ("gone".into(), 1)],
        bookings: vec![Booking { entry: entry.into(), charges }],
        ..Changes::default()
    };
    let all = [
        changes,
        Changes { notes: vec![("new".into(), 3)], ..Changes::default() },
        Changes::default(),
    ];
    for changes in all {
        books.begin().await.unwrap();
        books.write(&changes, 1).await.unwrap();
        books.commit().await.unwrap();
    }
    let open = [("new".to_owned(), 3), ("old".to_owned(), 16), ("other".to_owned(), 0)];
    assert_eq!(delivered(&mut books).await, open);
    let counters = store.counters("b", 0).await.unwrap();
    assert_eq!((counters.spent, counters.held), (7, 20));
    assert_eq!(store.number("select count(*) from usage_entries").await, 1);
    assert_eq!(store.number("select cast(sum(requests) as bigint) from usage_rollups").await, 1);
    // Nothing of one that would pass a cap counts.
    let (windows, placed) = (vec![change("b", 0, 74)], vec![hold("more")]);
    books.begin().await.unwrap();
    let refused = books.write(&Changes { windows, placed, ..Changes::default() }, 1).await;
    assert!(matches!(refused, Err(StoreError::Unbalanced { expected: 1, changed: 0 })));
    books.recover().await;
    assert_eq!(delivered(&mut books).await, open);
}

async fn delivered(books: &mut Books) -> Vec<(String, i64)> {
    let open = books.open_holds().await.unwrap();
    open.into_iter().map(|hold| (hold.id, hold.delivered_tokens)).collect()
}

/// PostgreSQL keeps a plan that it made when nothing was open, while thousands are: one that goes
/// through all of them, or all of them for each, makes every batch late until the next analysis.
#[tokio::test]
async fn holds_are_looked_up_by_their_ids_however_few_there_were_when_it_was_planned() {
    let (_home, store) = store(Kind::Postgres).await;
    store.tamper("vacuum analyze holds").await;
    let mut books = store.books().await.unwrap();
    books.tamper("set plan_cache_mode = force_generic_plan").await;
    for (name, types, text, values) in [
        ("take", "text[]", TAKE.postgres, "'{}'"),
        ("note", "text[], text", NOTE.postgres, "'{}', '{}'"),
    ] {
        books.tamper(&format!("prepare {name} ({types}) as {text}")).await;
        let plan = explained(&mut books, &format!("{name} ({values})")).await;
        assert_eq!(plan.matches("Index Scan using holds_pkey").count(), 2, "{plan}");
        assert_eq!(plan.matches("Index Cond: (id = ANY").count(), 2, "{plan}");
        assert!(!plan.contains("Join") && !plan.contains("Nested Loop"), "{plan}");
    }
}

/// How PostgreSQL runs a prepared statement.
async fn explained(books: &mut Books, call: &str) -> String {
    let Engine::Postgres(db) = &mut books.link else { panic!("PostgreSQL only") };
    let text = AssertSqlSafe(format!("explain execute {call}"));
    let lines = sqlx::raw_sql(text).fetch_all(db).await.unwrap();
    lines.iter().map(|line| line.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}
