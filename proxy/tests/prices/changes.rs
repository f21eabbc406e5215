//! Prices that change while a server runs, on both databases: what counts from when, and that no
//! entry is ever priced again.

use crate::desk::{Books, Desk};
use reqwest::StatusCode;
use std::{sync::Arc, time::Duration};
use tollgate::{
    access::Target,
    admin::{Actor, AdminError, Mandate, Office, RemovedPrices, SetPrices, audit},
    clock::{Clock, ManualClock, SystemClock},
    config::PriceEntry,
    prices::{
        PriceList,
        changes::{self, PriceState, PriceVersion},
        recompute::{RecomputeBy, recompute},
    },
    store::{EntryRow, Store},
};

const WRITTEN: &str = "[[prices]]\nmodel = \"gpt/*\"\ninput = \"1\"\noutput = \"1\"\n";
const BOTH: [Books; 2] = [Books::Sqlite, Books::Postgres];

fn price(model: &str, amount: &str) -> PriceEntry {
    PriceEntry {
        model: model.to_owned(),
        input: amount.to_owned(),
        output: amount.to_owned(),
        ..PriceEntry::default()
    }
}

async fn set(
    store: &Store,
    clock: impl Clock,
    (prices, from_ms): (&[PriceEntry], Option<i64>),
) -> Result<Vec<PriceVersion>, AdminError> {
    let order = SetPrices { prices: prices.to_vec(), from_ms };
    Office::new(store.clone(), Arc::new(clock)).set_prices(&mandate(), &order).await
}

async fn remove(
    store: &Store,
    clock: impl Clock,
    model: &str,
) -> Result<RemovedPrices, AdminError> {
    Office::new(store.clone(), Arc::new(clock)).remove_prices(&mandate(), model).await
}

fn mandate() -> Mandate {
    Mandate::of(Actor::shell("tester"))
}

fn tokens(entry: &EntryRow) -> i64 {
    entry.tokens.input + entry.tokens.output
}

/// Nano-dollars a token.
fn rate(list: &PriceList, model: &str) -> Option<i64> {
    let target = Target { provider: "gpt".to_owned(), model: model.to_owned() };
    list.of(&target).map(|rates| rates.input / 1_000_000)
}

/// Asks until an entry has the price that is waited for. Only a failing test waits that long.
async fn asked_until(desk: &Desk, fits: impl Fn(&EntryRow) -> bool) -> EntryRow {
    let asking = async {
        loop {
            assert_eq!(desk.chat("tokens=3").await.0, StatusCode::OK);
            let entry = desk.entry().await;
            if fits(&entry) {
                return entry;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asking).await.unwrap()
}

#[tokio::test]
async fn a_price_that_is_set_while_the_server_runs_counts_and_old_entries_keep_theirs() {
    for books in BOTH {
        let desk = Desk::start(books, WRITTEN, None).await;
        assert_eq!(desk.chat("tokens=3").await.0, StatusCode::OK);
        let first = desk.entry().await;
        assert_eq!(first.cost_nano_usd, Some(tokens(&first) * 1_000), "{books:?}");
        let written = first.price_version.clone().unwrap();
        let set = set(&desk.store, SystemClock, (&[price("gpt/m", "3")], None)).await;
        let version = set.unwrap().pop().unwrap().version;
        let named = |entry: &EntryRow| entry.price_version.as_ref() == Some(&version);
        let second = asked_until(&desk, named).await;
        assert_eq!(second.cost_nano_usd, Some(tokens(&second) * 3_000), "{books:?}");
        assert_eq!(desk.entries().await[0], first, "{books:?}");
        assert_eq!(remove(&desk.store, SystemClock, "gpt/m").await.unwrap().ended, 1);
        let back = |entry: &EntryRow| entry.price_version.as_ref() == Some(&written);
        asked_until(&desk, back).await;
        assert_eq!(desk.entries().await[0], first, "{books:?}");
    }
}

#[tokio::test]
async fn prices_have_a_history_and_begin_at_their_moment() {
    for books in BOTH {
        let desk = Desk::start(books, "", None).await;
        let now = SystemClock.now_ms();
        let clock = ManualClock::at(now);
        let at_clock = || ManualClock::at(clock.now_ms());
        let set = async |amount: &str, from: Option<i64>| {
            set(&desk.store, at_clock(), (&[price("gpt/m", amount)], from)).await
        };
        set("1", None).await.unwrap();
        set("2", Some(now + 10_000)).await.unwrap();
        let base = PriceList::new(&[price("gpt/*", "9")]).unwrap();
        let at = async |moment: i64| {
            rate(&changes::list_at(&desk.store, &base, moment).await.unwrap(), "m")
        };
        assert_eq!((at(now - 1).await, at(now).await), (Some(9_000), Some(1_000)), "{books:?}");
        assert_eq!(at(now + 10_000).await, Some(2_000), "{books:?}");
        let past = set("3", Some(now - 1)).await;
        assert!(
            matches!(&past, Err(AdminError::Invalid { field, .. }) if field == "from_ms"),
            "{past:?}"
        );
        clock.advance(Duration::from_secs(5));
        set("4", None).await.unwrap();
        assert_eq!(at(now + 5_000).await, Some(4_000));
        assert_eq!(at(now + 10_000).await, Some(2_000), "the price of then is not forgotten");
        clock.advance(Duration::from_secs(10));
        assert_eq!(remove(&desk.store, at_clock(), "gpt/m").await.unwrap().ended, 3);
        assert_eq!(at(now + 14_999).await, Some(2_000), "what was stays as it was");
        assert_eq!(at(now + 15_000).await, Some(9_000));
        let again = remove(&desk.store, at_clock(), "gpt/m").await;
        assert!(matches!(again, Err(AdminError::Unknown { kind: "price", .. })), "{again:?}");
        set("5", None).await.unwrap();
        let history = changes::history(&desk.store, &clock, Some("gpt/m")).await.unwrap();
        let told: Vec<_> = history
            .iter()
            .map(|version| (version.price.as_ref().unwrap().input.as_str(), version.state))
            .collect();
        assert_eq!(told[0], ("5", PriceState::InForce));
        assert_eq!(told.len(), 4);
        assert!(told[1..].iter().all(|(_, state)| *state == PriceState::Ended), "{told:?}");
        assert!(changes::history(&desk.store, &clock, Some("gpt/x")).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn of_several_prices_with_one_wrong_none_is_set() {
    for books in BOTH {
        let desk = Desk::start(books, "", None).await;
        let wrong = [price("gpt/a", "1"), price("gpt/b", "0,5"), price("gpt/c", "1")];
        let refused = set(&desk.store, SystemClock, (&wrong, None)).await.unwrap_err();
        for part in ["gpt/b", "input", "0,5"] {
            assert!(refused.to_string().contains(part), "{part} is not in: {refused}");
        }
        let twice = [price("gpt/a", "1"), price("gpt/a", "2")];
        let refused = set(&desk.store, SystemClock, (&twice, None)).await;
        assert!(matches!(refused, Err(AdminError::Invalid { .. })), "{refused:?}");
        let nothing = set(&desk.store, SystemClock, (&[], None)).await;
        assert!(matches!(nothing, Err(AdminError::Invalid { .. })), "{nothing:?}");
        assert!(desk.store.price_history(None, 10).await.unwrap().is_empty(), "{books:?}");
    }
}

#[tokio::test]
async fn recompute_tells_what_it_would_be_and_changes_nothing() {
    for books in BOTH {
        let desk = Desk::start(books, WRITTEN, None).await;
        for _ in 0..3 {
            assert_eq!(desk.chat("tokens=3").await.0, StatusCode::OK);
        }
        let before = desk.entries().await;
        let all: i64 = before.iter().map(tokens).sum();
        let list = PriceList::new(&[price("gpt/m", "2.5")]).unwrap();
        let (from, to) = (before[1].started_ms, i64::MAX);
        let told = recompute(&desk.store, &list, i64::MIN..to, RecomputeBy::Model).await.unwrap();
        assert_eq!(told.len(), 1, "{books:?}");
        assert_eq!((told[0].group.as_str(), told[0].requests), ("gpt/m", 3));
        assert_eq!((told[0].old_nano_usd.0, told[0].new_nano_usd.0), (all * 1_000, all * 2_500));
        assert_eq!(told[0].difference().0, all * 1_500);
        let by_user = recompute(&desk.store, &list, from..to, RecomputeBy::User).await.unwrap();
        let later = before.iter().filter(|entry| entry.started_ms >= from).count();
        assert_eq!((by_user[0].group.as_str(), by_user[0].requests), ("alice", later as u64));
        let nothing = PriceList::default();
        let told = recompute(&desk.store, &nothing, i64::MIN..to, RecomputeBy::Day).await.unwrap();
        assert_eq!((told[0].unpriced_before, told[0].unpriced_now), (0, 3));
        assert_eq!(told[0].new_nano_usd.0, 0);
        assert!(recompute(&desk.store, &list, 0..1, RecomputeBy::Key).await.unwrap().is_empty());
        assert_eq!(desk.entries().await, before, "{books:?}");
    }
}

#[tokio::test]
async fn every_change_of_a_price_is_on_record_and_a_repetition_changes_nothing() {
    for books in BOTH {
        let desk = Desk::start(books, "", None).await;
        let office = Office::new(desk.store.clone(), Arc::new(SystemClock));
        let once = Mandate::once(Actor::shell("tester"), "the-key").unwrap();
        let prices = vec![price("gpt/a", "1"), price("gpt/b", "2")];
        let order = SetPrices { prices, from_ms: None };
        let first = office.set_prices(&once, &order).await.unwrap();
        assert_eq!(office.set_prices(&once, &order).await.unwrap(), first, "{books:?}");
        assert_eq!(desk.store.price_history(None, 10).await.unwrap().len(), 2, "{books:?}");
        office.remove_prices(&mandate(), "gpt/a").await.unwrap();
        let verdict = audit::verify(&desk.store).await.unwrap();
        assert_eq!((verdict.rows, verdict.broken), (3, None), "{books:?}");
        let told = desk.store.audit_after(0, 10).await.unwrap();
        let told: Vec<_> =
            told.iter().map(|row| (row.action.as_str(), row.subject.as_str())).collect();
        let expected = [
            ("price.set", "price:gpt/a"),
            ("price.set", "price:gpt/b"),
            ("price.remove", "price:gpt/a"),
        ];
        assert_eq!(told, expected, "{books:?}");
    }
}
