//! Sums against entries, whatever happens to both.

use super::{rebuild_rollups, rollups_differ};
use crate::{
    clock::ManualClock,
    ledger::{
        batch, sweep,
        tests::{
            NOW,
            entries::{HOUR, nth, people, write},
            people::{People, quoted, tokens},
        },
        writer::{Close, Message, PlaceHold},
    },
    store::{
        Books, EntryRow, Store,
        testing::{Kind, on_both_engines, open_again, store_on},
    },
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokio::sync::oneshot;

on_both_engines!(
    sums_that_were_changed_are_found_and_made_again,
    hours_whose_entries_may_be_gone_are_left_alone;
    threads:
    sums_equal_entries_after_any_batches_of_two_writers,
);

const ALWAYS: (i64, i64) = (0, i64::MAX);

#[derive(Clone, Debug)]
enum Step {
    Place,
    /// The same end may come twice, also in one batch.
    Close(usize),
    /// The batch is written.
    Commit,
    /// The batch is written, and its ends are written again.
    Retry,
    /// What is open is settled for a server that died.
    Sweep,
    /// Time passes.
    Later,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Place),
        8 => (0..12usize).prop_map(Step::Close),
        3 => Just(Step::Commit),
        1 => Just(Step::Retry),
        1 => Just(Step::Sweep),
        1 => Just(Step::Later),
    ];
    prop::collection::vec(step, 1..50)
}

/// One writer's part: its holds have names of their own.
struct Writer<'p> {
    name: String,
    people: &'p People,
    books: Books,
    now_ms: i64,
    /// When each of its holds was placed.
    placed: Vec<i64>,
    batch: Vec<Message>,
    /// Those that the batch ends.
    ends: Vec<usize>,
}

impl Writer<'_> {
    fn id(&self, n: usize) -> String {
        format!("{}-{n}", self.name)
    }

    fn entry(&self, n: usize) -> EntryRow {
        EntryRow { request_id: self.id(n), ..nth(i64::try_from(n).unwrap(), self.placed[n]) }
    }

    fn place(&mut self) -> Message {
        self.placed.push(self.now_ms);
        let n = self.placed.len() - 1;
        let quote = quoted(&self.people.callers[0], 1, 9).into();
        let draft = self.entry(n).into();
        let (hold_id, reply) = (self.id(n).into(), oneshot::channel().0);
        Message::Place(Box::new(PlaceHold {
            hold_id,
            node: std::sync::Arc::new("n".into()),
            quote,
            draft,
            reply,
        }))
    }

    fn close(&self, n: usize) -> Message {
        let entry = Some(self.entry(n).into());
        let (hold_id, charge, reply) = (self.id(n).into(), tokens(3), None);
        Message::Close(Box::new(Close { hold_id, charge, entry, reply }))
    }

    /// Until it is written, as the ledger's writer does.
    async fn write(&mut self, batch: &[Message]) {
        while let Err(error) = batch::write(&mut self.books, batch, self.now_ms).await {
            assert!(!error.blames_a_row(), "{error}");
            self.books.recover().await;
        }
    }

    async fn commit(&mut self) {
        self.ends.clear();
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            self.write(&batch).await;
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Place => {
                let place = self.place();
                self.batch.push(place);
            }
            Step::Close(of) if !self.placed.is_empty() => {
                let n = of % self.placed.len();
                self.batch.push(self.close(n));
                self.ends.push(n);
            }
            Step::Close(_) => {}
            Step::Commit => self.commit().await,
            Step::Retry => {
                // A server that was not told of its commit writes its ends again.
                let again: Vec<_> = self.ends.iter().map(|n| self.close(*n)).collect();
                self.commit().await;
                self.write(&again).await;
            }
            Step::Sweep => {
                self.commit().await;
                let clock = ManualClock::at(self.now_ms);
                while sweep::sweep_dead(&mut self.books, &clock).await.is_err() {
                    self.books.recover().await;
                }
            }
            Step::Later => self.now_ms += HOUR / 3,
        }
    }
}

async fn sums_equal_entries_after_any_batches_of_two_writers(kind: Kind) {
    let people = People::with_keys(kind, 1, &[("tokens", "total", 1_000_000)]).await;
    let writers = if kind == Kind::Postgres { 2 } else { 1 };
    let runtime = tokio::runtime::Handle::current();
    let mut runner =
        TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let round = std::cell::Cell::new(0);
    runner
        .run(&(steps(), steps()), |(one, other)| {
            round.set(round.get() + 1);
            let (people, number) = (&people, round.get());
            let work = [one, other].into_iter().take(writers).enumerate();
            let work = work.map(|(n, steps)| async move {
                let name = format!("{number}-{n}");
                let books = people.store.books().await.unwrap();
                let mut writer = Writer {
                    name,
                    people,
                    books,
                    now_ms: NOW,
                    placed: Vec::new(),
                    batch: Vec::new(),
                    ends: Vec::new(),
                };
                for step in steps {
                    writer.step(step).await;
                }
                writer.commit().await;
            });
            tokio::task::block_in_place(|| {
                runtime.block_on(async {
                    futures_util::future::join_all(work).await;
                    let differences = rollups_differ(&people.store, ALWAYS).await.unwrap();
                    prop_assert!(differences.is_empty(), "{differences:?}");
                    Ok(())
                })
            })
        })
        .unwrap();
    let entries = people.store.number("select count(*) from usage_entries").await;
    let summed = "select cast(sum(requests) as bigint) from usage_rollups where tag = ''";
    assert!(entries > 20, "{entries}");
    assert_eq!(people.store.number(summed).await, entries);
}

async fn ten_hours(store: &Store) {
    people(store).await;
    let entries: Vec<_> = (0..2_500).map(|n| nth(n, NOW / HOUR * HOUR + n * HOUR / 250)).collect();
    write(store, &entries, &[]).await;
}

async fn sums_that_were_changed_are_found_and_made_again(kind: Kind) {
    let (home, store) = store_on(kind).await;
    ten_hours(&store).await;
    assert_eq!(rollups_differ(&store, ALWAYS).await.unwrap(), []);
    let hour = NOW / HOUR * HOUR;
    let changed = store
        .tamper(&format!("update usage_rollups set input = input + 1 where hour_ms = {hour}"))
        .await;
    let lost = store
        .tamper(&format!("delete from usage_rollups where hour_ms = {}", hour + 3 * HOUR))
        .await;
    let invented = "insert into usage_rollups select hour_ms + 86400000, tag, user_id, key_id,
            team_id, provider, model, features, requests, failed, unpriced, estimated, input,
            cache_read, cache_write_5m, cache_write_1h, audio_in, image_in, output, reasoning,
            audio_out, cost_nano_usd, latency_ms, first_token_ms, first_tokens
        from usage_rollups where hour_ms =";
    let invented = store.tamper(&format!("{invented} {}", hour + HOUR)).await;
    let other = open_again(&home).await;
    let differences = rollups_differ(&other, ALWAYS).await.unwrap();
    assert_eq!(u64::try_from(differences.len()).unwrap(), changed + lost + invented);
    assert!(changed > 1 && lost > 1 && invented > 1);
    let later = (hour + HOUR, hour + 4 * HOUR);
    assert_eq!(rollups_differ(&store, later).await.unwrap().len() as u64, lost);
    assert_eq!(rebuild_rollups(&store, later).await.unwrap(), 1);
    assert_eq!(rebuild_rollups(&store, ALWAYS).await.unwrap(), 2);
    assert_eq!(rollups_differ(&store, ALWAYS).await.unwrap(), []);
    assert_eq!(rebuild_rollups(&store, ALWAYS).await.unwrap(), 0);
}

async fn hours_whose_entries_may_be_gone_are_left_alone(kind: Kind) {
    let (_home, store) = store_on(kind).await;
    ten_hours(&store).await;
    let hour = NOW / HOUR * HOUR;
    let mut books = store.books().await.unwrap();
    books.begin().await.unwrap();
    // In the middle of the fourth hour.
    let gone = books.forget_entries(hour + 3 * HOUR + 1_800_000, 100_000).await.unwrap();
    books.commit().await.unwrap();
    assert_eq!(gone, 875);
    let before = store.number("select count(*) from usage_rollups").await;
    assert_eq!(rollups_differ(&store, ALWAYS).await.unwrap(), []);
    assert_eq!(rebuild_rollups(&store, ALWAYS).await.unwrap(), 0);
    assert_eq!(store.number("select count(*) from usage_rollups").await, before);
}

/// What an older version let through, or a program that makes its own drafts.
#[test]
fn a_tag_that_no_index_takes_is_in_the_entry_alone() {
    let tags = serde_json::json!({"a": "x".repeat(510), "b": "x".repeat(511)}).to_string();
    let mut sums = crate::store::Sums::new();
    crate::store::add_entry(&mut sums, &EntryRow { tags, ..EntryRow::default() }.into());
    let summed: Vec<_> = sums.keys().map(|key| key.tag.get(..1).unwrap_or_default()).collect();
    assert_eq!(summed, ["", "a"]);
}
