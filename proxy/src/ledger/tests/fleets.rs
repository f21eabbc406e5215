//! Several servers on one PostgreSQL: as many ledgers over the same books.

use super::{
    LEASE, NOW, finished, order,
    people::{FirmBudget, People, quoted},
};
use crate::{
    clock::ManualClock,
    ledger::{HoldError, Ledger},
    store::{
        Store,
        testing::{Home, Kind, open_again},
    },
    tasks::Tasks,
};
use futures_util::future::join_all;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tollgate_types::StreamEvent;

/// What a run of many calls came to.
#[derive(Debug, Default)]
struct Tally {
    settled: AtomicUsize,
    given_back: AtomicUsize,
    cancelled: AtomicUsize,
    refused: AtomicUsize,
    /// The database did not answer in time.
    unanswered: AtomicUsize,
}

impl Tally {
    fn count(&self, what: &AtomicUsize) {
        what.fetch_add(1, Ordering::SeqCst);
    }

    fn entries(&self) -> i64 {
        let count = |what: &AtomicUsize| what.load(Ordering::SeqCst);
        i64::try_from(count(&self.settled) + count(&self.cancelled)).unwrap()
    }
}

/// Servers of one installation, and the callers of all of them.
struct Fleet {
    people: People,
    ledgers: Vec<Ledger>,
    tasks: Tasks,
    tally: Tally,
}

impl Fleet {
    async fn of(servers: usize, users: usize, budgets: &[FirmBudget]) -> Self {
        let home = Home::fresh(Kind::Postgres).await.unwrap();
        let store = open_again(&home).await;
        // Whoever waits for each other shall be found out before anybody gives up waiting.
        store
            .tamper(
                "do $$ begin execute format('alter database %I set deadlock_timeout = ''20ms''',
                 current_database()); end $$",
            )
            .await;
        store.close().await;
        let store = open_again(&home).await;
        let people = People::firm_in(home, store, users, budgets).await;
        let tasks = Tasks::new();
        let clock = Arc::new(ManualClock::at(NOW));
        let opened =
            (0..servers).map(|_| Ledger::open(people.store.clone(), clock.clone(), &tasks, LEASE));
        let ledgers = join_all(opened).await.into_iter().map(Result::unwrap).collect();
        Self { people, ledgers, tasks, tally: Tally::default() }
    }

    /// One call of the `n`th kind through one of the servers.
    async fn call(&self, n: usize) {
        let (ledger, caller) =
            (&self.ledgers[n % self.ledgers.len()], &self.people.callers[n % 7 % self.users()]);
        let (input, output) = (10 + n as u64 % 17, 20 + n as u64 % 83);
        let mut meter = match ledger.hold(quoted(caller, input, output), order()).await {
            Ok(hold) if n.is_multiple_of(5) => {
                drop(hold);
                return self.tally.count(&self.tally.given_back);
            }
            Ok(hold) => hold.sent(),
            Err(HoldError::Exhausted(_)) => return self.tally.count(&self.tally.refused),
            Err(HoldError::Store(_)) => return self.tally.count(&self.tally.unanswered),
            Err(error) => panic!("{error}"),
        };
        for _ in 0..n % 40 {
            meter.note(&StreamEvent::delta(0, "word"));
        }
        if n.is_multiple_of(7) {
            drop(meter);
            return self.tally.count(&self.tally.cancelled);
        }
        meter.settle(finished(input, output.min(n as u64 % 30))).await.unwrap();
        self.tally.count(&self.tally.settled);
    }

    fn users(&self) -> usize {
        self.people.callers.len()
    }

    /// All calls, so many at a time, while the books are watched.
    async fn run(&self, calls: usize, at_once: usize) {
        let next = AtomicUsize::new(0);
        let worker = async || {
            loop {
                let n = next.fetch_add(1, Ordering::SeqCst);
                if n >= calls {
                    return;
                }
                self.call(n).await;
            }
        };
        let working = join_all((0..at_once).map(|_| worker()));
        let mut seen = 0;
        let watching = async {
            loop {
                assert_eq!(self.store().overspent().await, 0, "after {seen} observations");
                seen += 1;
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = working => {}
            () = watching => {}
        }
        assert!(seen > 10, "the books were looked at {seen} times");
    }

    fn store(&self) -> &Store {
        &self.people.store
    }

    /// After everything has ended: the books agree, and nobody ever waited for anybody who waited
    /// for him.
    async fn finish(self) -> Tally {
        assert!(self.tasks.drain(Duration::from_secs(20)).await);
        assert_eq!(self.store().number("select count(*) from holds").await, 0);
        self.store().assert_agrees("after all").await;
        let entries = self.store().number("select count(*) from usage_entries").await;
        assert_eq!(entries, self.tally.entries(), "{:?}", self.tally);
        assert_eq!(deadlocks(self.people).await, 0);
        self.tally
    }
}

/// How many deadlocks the database has seen. Connections tell when they end.
async fn deadlocks(people: People) -> i64 {
    people.store.close().await;
    let mut books = open_again(&people.home).await.books().await.unwrap();
    let others = "select count(*) from pg_stat_activity
                  where datname = current_database() and backend_type = 'client backend'
                    and pid <> pg_backend_pid()";
    while books.number(others).await > 0 {
        tokio::task::yield_now().await;
    }
    books.number("select deadlocks from pg_stat_database where datname = current_database()").await
}

/// `PAINS 1`: the limits of today's gateways are multiplied by the number of replicas.
#[tokio::test(flavor = "multi_thread")]
async fn four_servers_on_one_hot_budget_never_pass_it() {
    let hot = [("organisation", "org", ("tokens", "total", 6_000))];
    let fleet = Fleet::of(4, 3, &hot).await;
    fleet.run(600, 48).await;
    let spent = fleet.store().all_windows().await.values().map(|(spent, _)| spent).sum::<i64>();
    assert!(spent > 5_000, "{spent} of 6000");
    let tally = fleet.finish().await;
    assert!(tally.refused.load(Ordering::SeqCst) > 100, "{tally:?}");
}

/// Users share their team's and their organisation's budgets, and have their own.
#[tokio::test(flavor = "multi_thread")]
async fn four_servers_on_overlapping_chains_neither_overspend_nor_wait_for_each_other() {
    let budgets = [
        ("organisation", "org", ("cost", "total", 12_000_000)),
        ("team", "team", ("tokens", "day", 10_000)),
        ("team", "team", ("requests", "hour", 300)),
        ("user", "u0", ("tokens", "total", 3_000)),
        ("user", "u1", ("tokens", "month", 2_000)),
        ("user", "u2", ("requests", "day", 40)),
        ("key", "k0", ("cost", "minute", 2_500_000)),
        ("key", "k3", ("tokens", "week", 1_500)),
    ];
    let fleet = Fleet::of(4, 5, &budgets).await;
    fleet.run(600, 48).await;
    let tally = fleet.finish().await;
    assert!(tally.entries() > 50, "{tally:?}");
    assert!(tally.refused.load(Ordering::SeqCst) > 20, "{tally:?}");
}

/// Without this the two before would be satisfied by a count that never counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_would_be_seen() {
    let fleet = Fleet::of(1, 2, &[("user", "u0", ("tokens", "total", 1))]).await;
    let [mut one, mut two] =
        [fleet.store().books().await.unwrap(), fleet.store().books().await.unwrap()];
    let lock = |user: &str| format!("select 1 from users where id = '{user}' for update");
    one.begin().await.unwrap();
    two.begin().await.unwrap();
    one.tamper(&lock("u0")).await;
    two.tamper(&lock("u1")).await;
    let (first, second) = (lock("u1"), lock("u0"));
    let (first, second) = tokio::join!(one.try_to(&first), two.try_to(&second));
    assert!(first.is_err() || second.is_err());
    drop((one, two));
    assert!(fleet.tasks.drain(Duration::from_secs(20)).await);
    assert_eq!(deadlocks(fleet.people).await, 1);
}
