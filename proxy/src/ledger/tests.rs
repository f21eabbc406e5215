//! Holds, meters and sweeps against a real database: after every test the books must balance.

mod batches;
mod chains;
mod crowds;
mod edges;
mod fleets;
mod journal;
mod interleavings;
mod sweeps;
pub(super) mod entries;
pub(super) mod people;

use super::{Disposition, HoldError, Ledger, Order, Outcome};
use crate::{
    access::{Caller, Permissions, Role, Target, authorize},
    clock::ManualClock,
    config::PriceEntry,
    prices::{Bound, PriceList, Quote, quote},
    store::{
        BudgetRow, Grouping, Store, UsageFilter, UserRow, WindowKey,
        testing::{Home, Kind, on_both_engines, open_again, store_on},
    },
    tasks::Tasks,
};
use std::{collections::BTreeMap, os::unix::fs::PermissionsExt, sync::Arc, time::Duration};
use tollgate_types::{BudgetStatus, StreamEvent, Usage};

on_both_engines!(
    a_settled_call_costs_exactly_what_it_used,
    a_dropped_hold_gives_everything_back_and_leaves_no_entry,
    a_dropped_meter_is_charged_as_cancelled,
    several_answers_that_nobody_counted_are_charged_as_often_as_they_came,
    an_answer_is_shortened_to_what_the_budget_affords_and_then_refused,
    a_model_without_a_price_is_refused_where_cost_is_limited,
    a_hold_belongs_to_the_window_in_which_it_was_placed,
    a_locked_database_refuses_holds_and_still_writes_every_end,
    what_a_call_has_delivered_is_written_though_nobody_else_calls,
    shutdown_waits_for_open_calls_to_settle;
    threads: two_hundred_calls_at_once_never_pass_a_budget_that_fits_ten,
);

struct Books {
    store: Store,
    ledger: Ledger,
    tasks: Tasks,
    clock: Arc<ManualClock>,
    caller: Arc<Caller>,
    home: Home,
}

pub(super) const NOW: i64 = 1_795_000_000_000;
const LEASE: Duration = Duration::from_secs(30);

async fn books(kind: Kind, budgets: &[(&str, &str, i64)]) -> Books {
    let (home, store) = store_on(kind).await;
    let user = UserRow {
        id: "user".into(),
        name: "alice".into(),
        role: "member".into(),
        time_zone: "UTC".into(),
        permissions: "{}".into(),
        created_ms: NOW,
        ..UserRow::default()
    };
    store.insert_user(&user, &[]).await.unwrap();
    for (index, (resource, span, cap)) in budgets.iter().enumerate() {
        let row = BudgetRow {
            id: format!("b{index}"),
            owner_kind: "user".into(),
            owner_id: "user".into(),
            resource: (*resource).into(),
            span: (*span).into(),
            cap: *cap,
            ..BudgetRow::default()
        };
        store.insert_budget(&row, NOW).await.unwrap();
    }
    on(home, store).await
}

/// A ledger over books that are there already.
async fn on(home: Home, store: Store) -> Books {
    let clock = Arc::new(ManualClock::at(NOW));
    let tasks = Tasks::new();
    let ledger = Ledger::open(store.clone(), clock.clone(), &tasks, LEASE).await.unwrap();
    let caller = Arc::new(Caller::for_tests(Role::Member, [Permissions::default()]));
    Books { store, ledger, tasks, clock, caller, home }
}

impl Books {
    /// One dollar a million tokens: 1000 nano-dollars a token.
    fn quote(&self, model: &str, input_tokens: u64, max_output: u64) -> Quote {
        self.quote_several(model, (input_tokens, max_output), 1)
    }

    fn quote_several(
        &self,
        model: &str,
        (input_tokens, max_output): (u64, u64),
        answers: u64,
    ) -> Quote {
        let prices = PriceList::new(&[PriceEntry {
            model: "p/m".into(),
            input: "1".into(),
            output: "1".into(),
            ..PriceEntry::default()
        }])
        .unwrap();
        let target = Target { provider: "p".into(), model: model.into() };
        let permit = authorize(&self.caller, vec![target], &[]).unwrap();
        let bound = Bound {
            input_tokens,
            max_output,
            min_output: answers,
            likely_input: input_tokens,
            in_process: false,
        };
        quote(&prices, permit, bound)
    }

    async fn hold(&self, input: u64, output: u64) -> Result<super::Hold, HoldError> {
        self.ledger.hold(self.quote("m", input, output), order()).await
    }

    async fn status(&self) -> Vec<BudgetStatus> {
        self.ledger.budgets_of(&self.caller).await.unwrap()
    }

    /// spent + held <= cap, and spent is the sum of the entries.
    async fn assert_balanced(&self) {
        let (all, any) = (Grouping::default(), UsageFilter::default());
        let sums = self.store.usage_sums(&all, &any).await.unwrap();
        let sum = sums.first().map(|all| all.sums).unwrap_or_default();
        for budget in self.status().await {
            assert!(budget.spent + budget.held <= budget.cap, "{budget:?}");
            let entries = match budget.resource.as_str() {
                "cost" => sum.cost_nano_usd,
                "tokens" => sum.tokens.input + sum.tokens.output,
                _ => sum.requests,
            };
            assert_eq!(budget.spent, entries, "{budget:?}");
        }
    }

    async fn settled(&self) {
        while self.status().await.iter().any(|budget| budget.held != 0) {
            tokio::task::yield_now().await;
        }
        self.assert_balanced().await;
    }
}

fn order() -> Order {
    Order {
        request_id: crate::ids::new_id(&ManualClock::at(NOW)),
        asked_model: "p/m".into(),
        dialect: "native",
        streamed: false,
        tags: BTreeMap::new(),
    }
}

fn finished(input: u64, output: u64) -> Outcome {
    Outcome::new(Disposition::Settled, Usage::tokens(input, output))
}

#[tokio::test]
async fn the_database_is_readable_by_its_owner_alone() {
    let books = books(Kind::Sqlite, &[]).await;
    drop(books.hold(1, 1).await.unwrap());
    let Home::Sqlite(folder) = &books.home else { panic!("no folder") };
    for file in std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
    }
}

async fn a_settled_call_costs_exactly_what_it_used(kind: Kind) {
    let books = books(kind, &[("cost", "month", 1_000_000), ("tokens", "day", 500)]).await;
    let hold = books.hold(10, 90).await.unwrap();
    assert_eq!(books.status().await[0].held, 100_000);
    let receipt = hold.sent().settle(finished(10, 5)).await.unwrap();
    assert_eq!(receipt.cost.unwrap().0, 15_000);
    assert_eq!(receipt.budgets.iter().map(|b| b.spent).collect::<Vec<_>>(), [15_000, 15]);
    books.settled().await;
}

async fn a_dropped_hold_gives_everything_back_and_leaves_no_entry(kind: Kind) {
    let books = books(kind, &[("tokens", "total", 100), ("requests", "day", 1)]).await;
    drop(books.hold(10, 90).await.unwrap());
    books.settled().await;
    assert_eq!(books.status().await.iter().map(|b| b.spent).sum::<i64>(), 0);
    books.hold(10, 90).await.unwrap();
}

async fn a_dropped_meter_is_charged_as_cancelled(kind: Kind) {
    let books = books(kind, &[("tokens", "total", 1000)]).await;
    let mut meter = books.hold(10, 90).await.unwrap().sent();
    meter.note(&StreamEvent::delta(0, "some"));
    meter.note(&StreamEvent::delta(0, "words"));
    drop(meter);
    books.settled().await;
    let rows = books.store.usage_rows(&UsageFilter::default(), 9).await.unwrap();
    let entry = &rows[0].entry;
    assert_eq!((entry.disposition.as_str(), entry.estimated), ("cancelled", 1));
    assert_eq!((entry.tokens.input, entry.tokens.output), (10, 3));
}

async fn several_answers_that_nobody_counted_are_charged_as_often_as_they_came(kind: Kind) {
    let books = books(kind, &[("tokens", "total", 1000)]).await;
    let quote = books.quote_several("m", (10, 90), 8);
    let mut meter = books.ledger.hold(quote, order()).await.unwrap().sent();
    meter.note(&StreamEvent::delta(0, "some"));
    meter.note(&StreamEvent::delta(0, "words"));
    drop(meter);
    books.settled().await;
    let rows = books.store.usage_rows(&UsageFilter::default(), 9).await.unwrap();
    assert_eq!((rows[0].entry.tokens.input, rows[0].entry.tokens.output), (10, 24));
}

async fn an_answer_is_shortened_to_what_the_budget_affords_and_then_refused(kind: Kind) {
    let books = books(kind, &[("tokens", "total", 100)]).await;
    let hold = books.hold(10, 1000).await.unwrap();
    assert_eq!((hold.max_output(), hold.is_clamped()), (90, true));
    let Err(HoldError::Exhausted(budget)) = books.hold(10, 1000).await else {
        panic!("a full budget gave a second hold");
    };
    assert_eq!((budget.cap, budget.spent, budget.held), (100, 0, 100));
    hold.sent().settle(finished(10, 20)).await.unwrap();
    assert_eq!(books.hold(10, 1000).await.unwrap().max_output(), 60);
}

async fn a_model_without_a_price_is_refused_where_cost_is_limited(kind: Kind) {
    let limited = books(kind, &[("cost", "total", 1_000_000_000)]).await;
    let refused = limited.ledger.hold(limited.quote("free", 1, 1), order()).await;
    assert!(matches!(refused, Err(HoldError::Unpriced { .. })));
    let free = books(kind, &[("tokens", "total", 1_000)]).await;
    let hold = free.ledger.hold(free.quote("free", 1, 1), order()).await.unwrap();
    let receipt = hold.sent().settle(finished(1, 1)).await.unwrap();
    assert_eq!(receipt.cost, None);
}

async fn two_hundred_calls_at_once_never_pass_a_budget_that_fits_ten(kind: Kind) {
    let books = books(kind, &[("requests", "day", 10), ("tokens", "day", 1_000_000)]).await;
    let holds = futures_util::future::join_all((0..200).map(|n| books.hold(10 + n, 50))).await;
    let placed: Vec<_> = holds.into_iter().flatten().collect();
    assert_eq!(placed.len(), 10);
    for hold in placed {
        hold.sent().settle(finished(5, 5)).await.unwrap();
        books.assert_balanced_cap().await;
    }
    books.settled().await;
    assert!(matches!(books.hold(1, 1).await, Err(HoldError::Exhausted(_))));
}

impl Books {
    async fn assert_balanced_cap(&self) {
        for budget in self.status().await {
            assert!(budget.spent + budget.held <= budget.cap, "{budget:?}");
        }
    }
}

async fn a_hold_belongs_to_the_window_in_which_it_was_placed(kind: Kind) {
    let books = books(kind, &[("requests", "day", 1)]).await;
    let meter = books.hold(1, 1).await.unwrap().sent();
    books.clock.advance(Duration::from_secs(86_400));
    let tomorrow = books.hold(1, 1).await.unwrap();
    meter.settle(finished(1, 1)).await.unwrap();
    let status = &books.status().await[0];
    assert_eq!((status.spent, status.held), (0, 1), "yesterday's call is not in today's window");
    drop(tomorrow);
    books.clock.set(NOW);
    assert_eq!(books.status().await[0].spent, 1);
}

async fn what_a_call_has_delivered_is_written_though_nobody_else_calls(kind: Kind) {
    let books = books(kind, &[("tokens", "total", 1000)]).await;
    let mut meter = books.hold(10, 90).await.unwrap().sent();
    for delivered in [16, 32] {
        for _ in 0..16 {
            meter.note(&StreamEvent::delta(0, "word"));
        }
        let noted = async {
            loop {
                let mut eyes = books.store.books().await.unwrap();
                eyes.catch_up().await.unwrap();
                let open = eyes.open_holds().await.unwrap();
                if open.iter().any(|hold| hold.delivered_tokens == delivered) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), noted).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_dead_server_left_open_is_charged_at_the_next_start() {
    let home = Home::fresh(Kind::Sqlite).await.unwrap();
    let Home::Sqlite(folder) = &home else { panic!("no folder") };
    let path = folder.path().join("books.db");
    {
        let dying = books(Kind::Sqlite, &[("tokens", "total", 1000)]).await;
        let mut meter = dying.hold(10, 90).await.unwrap().sent();
        for _ in 0..20 {
            meter.note(&StreamEvent::delta(0, "word"));
        }
        // Notes are written in order before this hold, so they are durable once it is placed.
        let _open = dying.hold(1, 1).await.unwrap();
        dying.store.copy_to(&path).await.unwrap();
    }
    let store = open_again(&home).await;
    let books = on(home, store).await;
    books.settled().await;
    let rows = books.store.usage_rows(&UsageFilter::default(), 9).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.entry.disposition == "unknown"));
    let delivered: i64 = rows.iter().map(|row| row.entry.tokens.output).sum();
    assert_eq!(delivered, 16);
    assert_eq!(books.status().await[0].spent, 10 + 16 + 1);
}

async fn a_locked_database_refuses_holds_and_still_writes_every_end(kind: Kind) {
    let books = books(kind, &[("tokens", "total", 1000)]).await;
    let meter = books.hold(10, 90).await.unwrap().sent();
    let mut blocker = books.store.books().await.unwrap();
    blocker.begin().await.unwrap();
    // SQLite is locked as a whole by now, PostgreSQL row by row.
    let window = WindowKey { budget_id: "b0".into(), start_ms: 0 };
    assert_eq!(blocker.windows(&[window]).await.unwrap().len(), 1);
    assert!(matches!(books.hold(1, 1).await, Err(HoldError::Store(_))));
    let (told, ending) = tokio::sync::oneshot::channel();
    books.tasks.spawn(async move { drop(told.send(meter.settle(finished(8, 4)).await)) });
    assert!(matches!(books.hold(1, 1).await, Err(HoldError::Store(_))));
    blocker.commit().await.unwrap();
    assert!(ending.await.unwrap().is_ok());
    books.settled().await;
    assert_eq!(books.status().await[0].spent, 12);
}

async fn shutdown_waits_for_open_calls_to_settle(kind: Kind) {
    let books = books(kind, &[("tokens", "total", 1000)]).await;
    let meter = books.hold(10, 90).await.unwrap().sent();
    let draining = books.tasks.drain(Duration::from_secs(5));
    let settling = meter.settle(finished(3, 4));
    let (drained, receipt) = tokio::join!(draining, settling);
    assert!(drained && receipt.is_ok());
    assert!(matches!(books.hold(1, 1).await, Err(HoldError::Closed)));
    books.settled().await;
}
