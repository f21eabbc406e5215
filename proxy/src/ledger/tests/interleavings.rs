//! Random interleavings of everything that can happen to the books, by two servers at once where
//! two can share them: whatever comes, nothing is added above a cap, and nothing is lost.

use super::{
    NOW,
    people::{FirmBudget, People, budget, close, place, quoted, tokens},
};
use crate::{
    clock::{Clock, ManualClock},
    ids::new_id,
    ledger::{
        batch,
        known::Known,
        sweep,
        writer::{Close, Message},
    },
    store::{
        Books, BudgetRow, StoreError,
        testing::{Kind, Windows},
    },
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use std::collections::BTreeMap;

/// What a server is asked for.
#[derive(Clone, Debug)]
enum Ask {
    Place { caller: usize, input: u64, output: u64 },
    Note { of: usize, delivered: u64 },
    Settle { of: usize, used: i64 },
    Release { of: usize },
}

/// What somebody else does at the same time.
#[derive(Clone, Debug)]
enum Event {
    Nothing,
    /// Both servers settle what they find, as if its server were dead.
    Sweep,
    /// The clock goes on, or is set back.
    Clock(i64),
    Cap {
        budget: usize,
        cap: i64,
    },
    Raise {
        budget: usize,
        amount: i64,
        minutes: i64,
    },
    Enforce {
        budget: usize,
        hard: bool,
    },
    Delete {
        budget: usize,
    },
}

/// A batch for each server, and what happens meanwhile.
type Round = (Vec<Ask>, Vec<Ask>, Event);

const BUDGETS: [FirmBudget; 6] = [
    ("organisation", "org", ("tokens", "total", 900)),
    ("team", "team", ("cost", "day", 500_000)),
    ("team", "team", ("requests", "hour", 12)),
    ("user", "u0", ("tokens", "minute", 250)),
    ("key", "k0", ("tokens", "month", 400)),
    ("key", "k1", ("requests", "week", 9)),
];

fn rounds() -> impl Strategy<Value = Vec<Round>> {
    let ask = prop_oneof![
        6 => (0..2_usize, 0..30_u64, 1..80_u64)
            .prop_map(|(caller, input, output)| Ask::Place { caller, input, output }),
        4 => (0..30_usize, 0..120_i64).prop_map(|(of, used)| Ask::Settle { of, used }),
        2 => (0..30_usize).prop_map(|of| Ask::Release { of }),
        2 => (0..30_usize, 0..90_u64).prop_map(|(of, delivered)| Ask::Note { of, delivered }),
    ];
    let which = || 0..BUDGETS.len();
    let event = prop_oneof![
        6 => Just(Event::Nothing),
        2 => Just(Event::Sweep),
        3 => (-90_000_000..200_000_000_i64).prop_map(Event::Clock),
        2 => (which(), 0..600_i64).prop_map(|(budget, cap)| Event::Cap { budget, cap }),
        1 => (which(), 0..300_i64, 0..3_000_i64)
            .prop_map(|(budget, amount, minutes)| Event::Raise { budget, amount, minutes }),
        1 => (which(), any::<bool>()).prop_map(|(budget, hard)| Event::Enforce { budget, hard }),
        1 => which().prop_map(|budget| Event::Delete { budget }),
    ];
    let batch = || prop::collection::vec(ask.clone(), 0..8);
    prop::collection::vec((batch(), batch(), event), 1..14)
}

/// Every budget that was ever in force, by id: what it may hold at most, or nothing when it is soft.
type Caps = BTreeMap<String, Option<i64>>;

/// A server's own connection, and what it remembers.
type Server = (Books, Known);

struct Run<'p> {
    people: &'p People,
    servers: [Server; 2],
    kind: Kind,
    ids: Vec<String>,
    clock: ManualClock,
    holds: Vec<String>,
    before: Windows,
}

impl<'p> Run<'p> {
    async fn of(people: &'p People, kind: Kind) -> Self {
        let run = new_id(&ManualClock::at(NOW));
        let mut ids = Vec::new();
        for (n, (owner_kind, owner_id, terms)) in BUDGETS.into_iter().enumerate() {
            let row = BudgetRow { id: format!("{run}-{n}"), ..budget(owner_kind, owner_id, terms) };
            people.store.insert_budget(&row, NOW).await.unwrap();
            ids.push(row.id);
        }
        let server = async || (people.store.books().await.unwrap(), Known::default());
        let servers = [server().await, server().await];
        let before = people.store.all_windows().await;
        let (clock, holds) = (ManualClock::at(NOW), Vec::new());
        Self { people, servers, kind, ids, clock, holds, before }
    }

    async fn caps(&self) -> Caps {
        let now_ms = self.clock.now_ms();
        let rows = self.people.store.budgets().await.unwrap().into_iter();
        let living = rows.map(|row| {
            let hard = row.enforcement == "hard";
            let cap = row.cap_at(now_ms);
            (row.id, hard.then_some(cap))
        });
        let mut caps: Caps = living.collect();
        for id in &self.ids {
            // What was soft counts in full to its last call's end.
            let row = self.people.store.budget_ever(id).await.unwrap().unwrap();
            if row.enforcement == "soft" {
                caps.insert(row.id, None);
            }
        }
        caps
    }

    fn message(&mut self, ask: &Ask) -> Option<Message> {
        Some(match ask {
            Ask::Place { caller, input, output } => {
                let id = new_id(&self.clock);
                self.holds.push(id.clone());
                place(&id, quoted(&self.people.callers[*caller], *input, *output))
            }
            Ask::Note { of, delivered } => Message::Note {
                hold_id: self.holds.get(*of)?.as_str().into(),
                delivered: *delivered,
            },
            Ask::Settle { of, used } => close(self.holds.get(*of)?, tokens(*used)),
            Ask::Release { of } => {
                Message::Close(Box::new(Close::release(self.holds.get(*of)?.as_str().into())))
            }
        })
    }

    /// A change of the terms, as an administrator makes it while servers work.
    fn change(&self, event: &Event) -> Option<String> {
        let set = |budget: usize, text: String| {
            let id = &self.ids[budget];
            Some(format!("update budgets set {text} where id = '{id}' and deleted_ms is null"))
        };
        match *event {
            Event::Cap { budget, cap } => set(budget, format!("cap = {cap}")),
            Event::Raise { budget, amount, minutes } => {
                let until = self.clock.now_ms() + minutes * 60_000;
                set(budget, format!("raise_amount = {amount}, raise_until_ms = {until}"))
            }
            Event::Enforce { budget, hard } => {
                let word = if hard { "hard" } else { "soft" };
                set(budget, format!("enforcement = '{word}'"))
            }
            Event::Delete { budget } => set(budget, "deleted_ms = 7".to_owned()),
            Event::Nothing | Event::Sweep | Event::Clock(_) => None,
        }
    }

    async fn round(&mut self, (one, other, event): &Round) {
        if let Event::Clock(step) = event {
            self.clock.set(self.clock.now_ms() + step);
        }
        let before = self.caps().await;
        let first: Vec<_> = one.iter().filter_map(|ask| self.message(ask)).collect();
        let second: Vec<_> = other.iter().filter_map(|ask| self.message(ask)).collect();
        let (change, now_ms) = (self.change(event), self.clock.now_ms());
        let store = &self.people.store;
        let changing = async {
            if let Some(change) = &change {
                store.tamper(change).await;
            }
        };
        let [a, b] = &mut self.servers;
        match self.kind {
            Kind::Postgres => {
                tokio::join!(write(a, &first, now_ms), write(b, &second, now_ms), changing);
            }
            // Only one server may use a file: the other one is the next.
            Kind::Sqlite => {
                write(a, &first, now_ms).await;
                changing.await;
                write(b, &second, now_ms).await;
            }
        }
        if matches!(event, Event::Sweep) {
            let (one, other) = match self.kind {
                Kind::Postgres => tokio::join!(
                    sweep::sweep_dead(&mut a.0, &self.clock),
                    sweep::sweep_dead(&mut b.0, &self.clock)
                ),
                Kind::Sqlite => (sweep::sweep_dead(&mut a.0, &self.clock).await, Ok(0)),
            };
            one.unwrap();
            other.unwrap();
            assert_eq!(store.number("select count(*) from holds").await, 0);
        }
        let after = self.caps().await;
        self.check(&before, &after, event).await;
    }

    /// A window has grown only below a cap that was in force, and spent only grows.
    async fn check(&mut self, caps: &Caps, changed: &Caps, event: &Event) {
        let windows = self.people.store.all_windows().await;
        for (key, (spent, held)) in &windows {
            let (was_spent, was_held) = self.before.get(key).copied().unwrap_or_default();
            let case = format!("{key:?} after {event:?}: {was_spent} {was_held}, {spent} {held}");
            assert!(*spent >= was_spent && *held >= 0, "{case}");
            let caps = [caps.get(&key.0), changed.get(&key.0)].into_iter().flatten();
            // A soft budget, or one that was soft for a moment, may be anywhere.
            let most = caps.copied().collect::<Option<Vec<_>>>().map(|caps| caps.into_iter().max());
            let (sum, was) = (spent + held, was_spent + was_held);
            if let Some(most) = most {
                assert!(sum <= was.max(most.unwrap_or(was)), "{case}, cap {most:?}");
            }
        }
        self.people.store.assert_agrees(&format!("after {event:?}")).await;
        self.before = windows;
    }

    async fn finish(mut self) {
        let ends: Vec<_> = self.holds.iter().map(|id| close(id, tokens(5))).collect();
        let now_ms = self.clock.now_ms();
        write(&mut self.servers[0], &ends, now_ms).await;
        assert_eq!(self.people.store.number("select count(*) from holds").await, 0);
        let windows = self.people.store.all_windows().await;
        assert!(windows.values().all(|(_, held)| *held == 0), "{windows:?}");
        self.people.store.assert_agrees("after all").await;
        // Nothing is left for the next run.
        let store = &self.people.store;
        store.tamper("update budgets set deleted_ms = 9 where deleted_ms is null").await;
    }
}

/// What cannot be written because a cap was changed at that very moment is written one by one, and
/// what is refused then is not tried again: as the writer does it.
async fn write(server: &mut Server, messages: &[Message], now_ms: i64) {
    if let Err(error) = batch::write_knowing(&mut server.0, &mut server.1, messages, now_ms).await {
        assert!(matches!(error, StoreError::Unbalanced { .. }), "{error}");
        server.0.recover().await;
        for message in messages.chunks(1) {
            write_one(server, message, now_ms).await;
        }
    }
}

async fn write_one(server: &mut Server, message: &[Message], now_ms: i64) {
    loop {
        match batch::write_knowing(&mut server.0, &mut server.1, message, now_ms).await {
            Ok(answers) => return assert!(!matches!(answers[..], [] | [_, _, ..]), "{answers:?}"),
            Err(StoreError::Unbalanced { .. }) => server.0.recover().await,
            Err(error) => panic!("{error}"),
        }
        if let [Message::Place(_)] = message {
            return;
        }
    }
}

mod sqlite {
    /// `PAINS 1`, 2 and 4.
    #[test]
    fn whatever_happens_in_any_order_nothing_is_overspent_or_lost() {
        super::run(super::Kind::Sqlite, 48);
    }
}

mod postgres {
    /// `PAINS 1`, 2 and 4.
    #[test]
    fn whatever_happens_at_once_on_two_servers_nothing_is_overspent_or_lost() {
        super::run(super::Kind::Postgres, 24);
    }
}

fn run(kind: Kind, cases: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let people = runtime.block_on(People::firm(kind, 2, &[]));
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let ran = TestRunner::new(config).run(&rounds(), |rounds| {
        runtime.block_on(async {
            let mut run = Run::of(&people, kind).await;
            for round in &rounds {
                run.round(round).await;
            }
            run.finish().await;
        });
        Ok(())
    });
    ran.unwrap();
}
