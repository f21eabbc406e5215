//! The doctor before books that are well, books that somebody damaged, and books in use.

mod beside;
mod damage;
mod looks;

use super::{Check, Depth, Mode, Patient, Repair, Report, State, examine, repair};
use crate::{
    access::{Caller, Permissions, Role, Target, authorize},
    admin::Actor,
    clock::ManualClock,
    config::{Config, Environment, PriceEntry},
    ids::new_id,
    ledger::{Disposition, Hold, HoldError, Ledger, Order, Outcome},
    prices::{Bound, PriceList, quote},
    store::{
        BudgetRow, Place, ServerLock, Store, UserRow,
        testing::{Home, Kind, place_of, store_on},
    },
    tasks::Tasks,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tollgate_types::Usage;

const NOW: i64 = 1_795_000_000_000;
/// Long enough that a server that was declared dead does not say otherwise within a test.
const LEASE: Duration = Duration::from_secs(3600);

/// A user with budgets, a server's ledger over them, and a doctor.
struct Ward {
    home: Home,
    store: Store,
    ledger: Ledger,
    tasks: Tasks,
    clock: Arc<ManualClock>,
    caller: Arc<Caller>,
    config: Config,
    environment: Environment,
    depth: Depth,
    /// Another database than that of the ledger.
    elsewhere: Option<Place>,
    /// That a server has the file; none on PostgreSQL, and when it died.
    lock: Option<ServerLock>,
}

impl Ward {
    async fn with(kind: Kind, budgets: &[(&str, &str, i64)]) -> Self {
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
        let lock = store.lock().unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        let tasks = Tasks::new();
        let ledger = Ledger::open(store.clone(), clock.clone(), &tasks, LEASE).await.unwrap();
        let caller = Arc::new(Caller::for_tests(Role::Member, [Permissions::default()]));
        Self {
            home,
            store,
            ledger,
            tasks,
            clock,
            caller,
            config: Config::default(),
            environment: Environment::default(),
            depth: Depth::Whole,
            elsewhere: None,
            lock,
        }
    }

    /// A call that may use so many tokens, at 1000 nano-dollars each.
    async fn hold(&self, input_tokens: u64, max_output: u64) -> Result<Hold, HoldError> {
        let price = PriceEntry {
            model: "p/m".into(),
            input: "1".into(),
            output: "1".into(),
            ..PriceEntry::default()
        };
        let target = Target { provider: "p".into(), model: "m".into() };
        let permit = authorize(&self.caller, vec![target], &[]).unwrap();
        let bound = Bound {
            input_tokens,
            max_output,
            min_output: 1,
            likely_input: input_tokens,
            in_process: false,
        };
        let order = Order {
            request_id: new_id(&*self.clock),
            asked_model: "p/m".into(),
            dialect: "native",
            streamed: false,
            tags: BTreeMap::new(),
        };
        self.ledger.hold(quote(&PriceList::new(&[price]).unwrap(), permit, bound), order).await
    }

    /// A call that used so many tokens.
    async fn call(&self, input: u64, output: u64) {
        let meter = self.hold(input, output).await.unwrap().sent();
        let outcome = Outcome::new(Disposition::Settled, Usage::tokens(input, output));
        meter.settle(outcome).await.unwrap();
    }

    /// The server dies with a call open: nobody will end it.
    async fn killed_amid(&mut self, input: u64, output: u64) {
        let meter = self.hold(input, output).await.unwrap().sent();
        std::mem::forget(meter);
        self.lock = None;
        for node in self.store.nodes().await.unwrap() {
            self.store.declare_dead(&node.id).await;
        }
    }

    async fn ask<T>(&self, ask: impl AsyncFnOnce(&Patient<'_>) -> T) -> T {
        let place = self.elsewhere.clone().unwrap_or_else(|| place_of(&self.home));
        let actor = Actor::shell("doctor");
        let patient = Patient {
            config: &self.config,
            environment: &self.environment,
            place: &place,
            clock: &*self.clock,
            actor: &actor,
            depth: self.depth,
            progress: &|_, _| {},
        };
        ask(&patient).await
    }

    async fn examine(&self) -> Report {
        self.ask(async |patient| examine(patient).await).await
    }

    async fn check(&self, name: &str) -> Check {
        let report = self.examine().await;
        report.check(name).unwrap_or_else(|| panic!("no {name}: {report:?}")).clone()
    }

    #[track_caller]
    fn assert_is(check: &Check, state: State, words: &[&str]) {
        assert_eq!(check.state, state, "{check:?}");
        let details = check.details.iter().map(|detail| detail.text.as_str());
        let said: Vec<_> = [check.found.as_str()].into_iter().chain(details).collect();
        for word in words {
            assert!(said.iter().any(|text| text.contains(word)), "{word:?} is not in {check:?}");
        }
    }

    async fn repair(&self, mode: Mode) -> Vec<Repair> {
        let repairs = self.ask(async |patient| repair(patient, mode).await).await;
        assert!(repairs.stopped.is_none(), "{repairs:?}");
        repairs.made
    }

    /// Spent and held of every window, by budget and start.
    async fn counters(&self) -> Vec<(String, i64, i64, i64)> {
        let mut rows = Vec::new();
        let mut snapshot = self.store.snapshot().await.unwrap();
        snapshot
            .each_window(|row| {
                assert_eq!(row.whole, 1, "{row:?}");
                rows.push((row.budget_id, row.start_ms, row.spent, row.held));
            })
            .await
            .unwrap();
        rows.sort();
        rows
    }
}

/// Names of the checks that found something broken.
fn broken(report: &Report) -> Vec<&'static str> {
    let broken = report.checks.iter().filter(|check| check.state == State::Broken);
    broken.map(|check| check.name).collect()
}
