//! Batches against a simple model: many messages in one transaction come to what they would one by
//! one.

use super::{
    NOW,
    people::{People, budget, close, place, quoted, tokens},
};
use crate::{
    clock::ManualClock,
    ids::new_id,
    ledger::{HoldError, batch, known::Known, page::Answer, writer::Message},
    store::{Books, BudgetRow, Charge, UsageFilter, testing::Kind},
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use std::collections::BTreeMap;

const DAY: i64 = 86_400_000;

/// What may happen to the books.
#[derive(Clone, Debug)]
enum Step {
    Place {
        caller: usize,
        input: u64,
        output: u64,
    },
    Note {
        of: usize,
        delivered: u64,
    },
    Close {
        of: usize,
        used: i64,
    },
    /// Another process changes a cap between two transactions.
    Cap {
        budget: usize,
        cap: i64,
    },
    /// The next day begins.
    Midnight,
    /// Everything since the last one is one transaction.
    Commit,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..2usize, 0..30u64, 1..80u64)
            .prop_map(|(caller, input, output)| Step::Place { caller, input, output }),
        8 => (0..40usize, 0..90i64).prop_map(|(of, used)| Step::Close { of, used }),
        2 => (0..40usize, 0..90u64).prop_map(|(of, delivered)| Step::Note { of, delivered }),
        1 => (0..BUDGETS.len(), 0..300i64).prop_map(|(budget, cap)| Step::Cap { budget, cap }),
        1 => Just(Step::Midnight),
        3 => Just(Step::Commit),
    ];
    prop::collection::vec(step, 1..60)
}

/// Owner, resource, window and cap; both callers share the user's.
const BUDGETS: [(&str, &str, (&str, &str, i64)); 5] = [
    ("user", "user", ("tokens", "total", 300)),
    ("user", "user", ("requests", "day", 9)),
    ("key", "k0", ("cost", "day", 150_000)),
    ("key", "k0", ("tokens", "day", 200)),
    ("key", "k1", ("tokens", "total", 120)),
];

/// What a hold sets aside: budget, day and amount.
type Shares = Vec<(usize, i64, i64)>;

/// The same books, kept one message at a time in plain numbers.
#[derive(Default)]
struct Model {
    caps: Vec<i64>,
    /// By budget and day: spent and held.
    counters: BTreeMap<(usize, i64), (i64, i64)>,
    /// Open holds, and what each has delivered.
    open: BTreeMap<usize, (Shares, i64)>,
    entries: usize,
}

fn day_of(budget: usize, now_ms: i64) -> i64 {
    if BUDGETS[budget].2.1 == "day" { now_ms / DAY * DAY } else { 0 }
}

fn amount(budget: usize, tokens: i64) -> i64 {
    match BUDGETS[budget].2.0 {
        "cost" => tokens * 1000,
        "tokens" => tokens,
        _ => 1,
    }
}

impl Model {
    fn free(&self, budget: usize, day: i64) -> i64 {
        let (spent, held) = self.counters.get(&(budget, day)).copied().unwrap_or_default();
        self.caps[budget] - spent - held
    }

    /// The longest answer, or the budget that refuses.
    fn place(
        &mut self,
        hold: usize,
        (caller, input, output): (usize, u64, u64),
        now_ms: i64,
    ) -> Result<u64, usize> {
        let key = format!("k{caller}");
        let chain = (0..BUDGETS.len()).filter(|n| BUDGETS[*n].1 == "user" || BUDGETS[*n].1 == key);
        let chain: Vec<_> = chain.map(|budget| (budget, day_of(budget, now_ms))).collect();
        let fits = |budget, day, output: u64| {
            amount(budget, i64::try_from(input + output).unwrap()) <= self.free(budget, day)
        };
        let mut longest = output;
        for (budget, day) in &chain {
            let affordable = (1..=output).rev().find(|output| fits(*budget, *day, *output));
            longest = longest.min(affordable.ok_or(*budget)?);
        }
        let total = i64::try_from(input + longest).unwrap();
        let shares: Vec<_> =
            chain.into_iter().map(|(budget, day)| (budget, day, amount(budget, total))).collect();
        for (budget, day, amount) in &shares {
            self.counters.entry((*budget, *day)).or_default().1 += amount;
        }
        self.open.insert(hold, (shares, 0));
        Ok(longest)
    }

    /// Spent and held of its budgets after a hold's end, in their order.
    fn close(&mut self, hold: usize, used: i64) -> Shares {
        let Some((shares, _)) = self.open.remove(&hold) else { return Vec::new() };
        self.entries += 1;
        let mut after = Vec::new();
        for (budget, day, held) in shares {
            let counters = self.counters.get_mut(&(budget, day)).unwrap();
            counters.0 += amount(budget, used).min(held);
            counters.1 -= held;
            after.push((budget, counters.0, counters.1));
        }
        after
    }
}

/// One run of steps against both.
struct Race<'p> {
    people: &'p People,
    books: Books,
    known: Known,
    ids: Vec<String>,
    model: Model,
    now_ms: i64,
    /// Which message goes with which step.
    waiting: Vec<(Step, usize, Message)>,
    holds: Vec<String>,
}

impl<'p> Race<'p> {
    async fn of(people: &'p People) -> Self {
        // Budgets of one owner are charged in the order of their ids.
        let (run, mut ids) = (new_id(&ManualClock::at(NOW)), Vec::new());
        for (n, (kind, owner, terms)) in BUDGETS.into_iter().enumerate() {
            let row = BudgetRow { id: format!("{run}-{n}"), ..budget(kind, owner, terms) };
            people.store.insert_budget(&row, NOW).await.unwrap();
            ids.push(row.id);
        }
        let caps = BUDGETS.iter().map(|(.., terms)| terms.2).collect();
        let model = Model { caps, ..Model::default() };
        let (books, now_ms) = (people.store.books().await.unwrap(), NOW);
        Self {
            people,
            books,
            known: Known::default(),
            ids,
            model,
            now_ms,
            waiting: Vec::new(),
            holds: Vec::new(),
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Place { caller, input, output } => {
                let hold_id = new_id(&ManualClock::at(NOW));
                let quote = quoted(&self.people.callers[caller], input, output);
                let message = place(&hold_id, quote);
                self.holds.push(hold_id);
                self.waiting.push((step, self.holds.len() - 1, message));
            }
            Step::Note { of, delivered } if of < self.holds.len() => {
                let hold_id = self.holds[of].as_str().into();
                self.waiting.push((step, of, Message::Note { hold_id, delivered }));
            }
            Step::Close { of, used } if of < self.holds.len() => {
                let message = close(&self.holds[of], tokens(used));
                self.waiting.push((step, of, message));
            }
            Step::Note { .. } | Step::Close { .. } => {}
            Step::Cap { budget, cap } => {
                self.commit().await;
                assert!(self.people.store.set_cap(&self.ids[budget], cap).await.unwrap());
                self.model.caps[budget] = cap;
            }
            Step::Midnight => {
                self.commit().await;
                self.now_ms += DAY;
            }
            Step::Commit => self.commit().await,
        }
    }

    async fn commit(&mut self) {
        let mut steps = Vec::new();
        let mut messages = Vec::new();
        for (step, hold, message) in self.waiting.drain(..) {
            steps.push((step, hold));
            messages.push(message);
        }
        let answers =
            batch::write_knowing(&mut self.books, &mut self.known, &messages, self.now_ms).await;
        let answers = answers.unwrap();
        assert_eq!(answers.len(), steps.len());
        for ((step, hold), answer) in steps.into_iter().zip(answers) {
            self.compare(&step, hold, answer);
        }
    }

    fn compare(&mut self, step: &Step, hold: usize, answer: Answer) {
        match (step, answer) {
            (Step::Place { caller, input, output }, Answer::Placed(told)) => {
                match (self.model.place(hold, (*caller, *input, *output), self.now_ms), told) {
                    (Ok(longest), Ok(placed)) => assert_eq!(placed.max_output, longest),
                    (Err(budget), Err(HoldError::Exhausted(standing))) => {
                        let free = self.model.free(budget, day_of(budget, self.now_ms));
                        assert_eq!(standing.budget, self.ids[budget]);
                        assert_eq!(standing.cap - standing.spent - standing.held, free);
                    }
                    (expected, told) => panic!("{step:?}: {expected:?}, not {told:?}"),
                }
            }
            (Step::Note { delivered, .. }, Answer::Noted) => {
                if let Some((_, noted)) = self.model.open.get_mut(&hold) {
                    *noted = i64::try_from(*delivered).unwrap();
                }
            }
            (Step::Close { used, .. }, Answer::Closed(budgets)) => {
                let expected = self.model.close(hold, *used);
                let expected: Vec<_> = expected
                    .into_iter()
                    .map(|(budget, spent, held)| (self.ids[budget].clone(), spent, held))
                    .collect();
                let told: Vec<_> = budgets
                    .into_iter()
                    .map(|b| b.charged)
                    .map(|b| (b.budget.id.clone(), b.counters.spent, b.counters.held))
                    .collect();
                assert_eq!(told, expected);
            }
            (step, answer) => panic!("{answer:?} to {step:?}"),
        }
    }

    async fn finish(mut self) {
        self.commit().await;
        for ((budget, day), (spent, held)) in &self.model.counters {
            let counters = self.people.store.counters(&self.ids[*budget], *day).await.unwrap();
            assert_eq!((counters.spent, counters.held), (*spent, *held), "{budget} on {day}");
        }
        let open = self.books.open_holds().await.unwrap();
        let open: BTreeMap<_, _> =
            open.into_iter().map(|hold| (hold.id, hold.delivered_tokens)).collect();
        let expected: BTreeMap<_, _> = self
            .model
            .open
            .iter()
            .map(|(n, (_, noted))| (self.holds[*n].clone(), *noted))
            .collect();
        assert_eq!(open, expected);
        let rows = self.people.store.usage_rows(&UsageFilter::default(), u32::MAX).await.unwrap();
        let mine = rows.iter().filter(|row| self.holds.contains(&row.entry.request_id)).count();
        assert_eq!(mine, self.model.entries);
        // Nothing is left for the next run.
        let ends: Vec<_> = open.keys().map(|id| close(id, Charge::default())).collect();
        batch::write(&mut self.books, &ends, self.now_ms).await.unwrap();
        for id in &self.ids {
            assert!(self.people.store.delete_budget(id, NOW).await.unwrap());
        }
    }
}

mod sqlite {
    #[test]
    fn a_batch_comes_to_what_its_messages_would_one_by_one() {
        super::batches_match_the_model(super::Kind::Sqlite);
    }
}

mod postgres {
    #[test]
    fn a_batch_comes_to_what_its_messages_would_one_by_one() {
        super::batches_match_the_model(super::Kind::Postgres);
    }
}

fn batches_match_the_model(kind: Kind) {
    let cases = if kind == Kind::Sqlite { 96 } else { 32 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let people = runtime.block_on(People::with_keys(kind, 2, &[]));
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let ran = TestRunner::new(config).run(&steps(), |steps| {
        runtime.block_on(async {
            let mut race = Race::of(&people).await;
            for step in steps {
                race.take(step).await;
            }
            race.finish().await;
        });
        Ok(())
    });
    ran.unwrap();
}
