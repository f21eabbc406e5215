//! Everyone above a key pays with it: organisation, team, user, and the keys it was delegated from.

use super::{LEASE, NOW, finished, order};
use crate::{
    access::{Access, Caller, Target, authorize},
    clock::ManualClock,
    config::PriceEntry,
    ledger::{HoldError, Ledger, Meter},
    prices::{Bound, PriceList, Quote, quote},
    store::{
        BudgetRow, KeyRow, OrganisationRow, Store, TeamRow, UserRow,
        testing::{Home, Kind, on_both_engines, store_on},
    },
    tasks::Tasks,
};
use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tollgate_types::Feature;

on_both_engines!(
    everyone_above_a_key_pays_with_it,
    a_filter_holds_what_could_count_and_charges_what_did,
    a_filter_by_feature_counts_only_calls_that_use_it,
    a_raise_that_ends_while_spent_refuses_what_comes_next_and_settles_what_runs,
    a_budget_that_refuses_is_named_and_shortens_nothing,
    a_key_that_refuses_makes_every_key_below_it_refuse,
    each_owner_starts_again_by_its_own_calendar,
    a_soft_budget_refuses_nothing_and_tells_once;
    threads: an_alert_is_noted_once_however_many_calls_pass_it,
);

/// acme (Tokyo) > red (New York) > alice (UTC) > k0 > k1 > k2.
struct Chain {
    store: Store,
    ledger: Ledger,
    tasks: Tasks,
    clock: Arc<ManualClock>,
    callers: Vec<Arc<Caller>>,
    _home: Home,
}

const OWNERS: [(&str, &str); 6] = [
    ("organisation", "acme"),
    ("team", "red"),
    ("user", "alice"),
    ("key", "k0"),
    ("key", "k1"),
    ("key", "k2"),
];

fn budget(owner: (&str, &str), resource: &str, span: &str, cap: i64) -> BudgetRow {
    BudgetRow {
        id: format!("{}-{resource}-{span}", owner.1),
        owner_kind: owner.0.into(),
        owner_id: owner.1.into(),
        resource: resource.into(),
        span: span.into(),
        cap,
        ..BudgetRow::default()
    }
}

async fn chain(kind: Kind, budgets: &[BudgetRow]) -> Chain {
    chain_of(kind, budgets, "clamp").await
}

async fn chain_of(kind: Kind, budgets: &[BudgetRow], overrun_of_k0: &str) -> Chain {
    let (home, store) = store_on(kind).await;
    people(&store, overrun_of_k0).await;
    for row in budgets {
        store.insert_budget(row, NOW).await.unwrap();
    }
    let clock = Arc::new(ManualClock::at(NOW));
    let tasks = Tasks::new();
    let ledger = Ledger::open(store.clone(), clock.clone(), &tasks, LEASE).await.unwrap();
    let access = Access::new(store.clone(), clock.clone()).unwrap();
    let mut callers = Vec::new();
    for key in ["k0", "k1", "k2"] {
        let text = format!("tg_{key}_secret");
        let text = format!("{text}_{:08x}", crc32fast::hash(text.as_bytes()));
        callers.push(access.authenticate(Some(&text)).await.unwrap());
    }
    Chain { store, ledger, tasks, clock, callers, _home: home }
}

async fn people(store: &Store, overrun_of_k0: &str) {
    let mut change = store.change().await.unwrap();
    let acme = OrganisationRow {
        id: "acme".into(),
        name: "Acme".into(),
        time_zone: "Asia/Tokyo".into(),
        ..OrganisationRow::default()
    };
    change.insert_organisation(&acme).await.unwrap();
    let red = TeamRow {
        id: "red".into(),
        organisation_id: Some("acme".into()),
        name: "Red".into(),
        time_zone: "America/New_York".into(),
        ..TeamRow::default()
    };
    change.insert_team(&red).await.unwrap();
    let alice = UserRow {
        id: "alice".into(),
        name: "alice".into(),
        role: "member".into(),
        time_zone: "UTC".into(),
        permissions: "{}".into(),
        team_id: Some("red".into()),
        ..UserRow::default()
    };
    change.insert_user(&alice).await.unwrap();
    let cheap =
        Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
    let hash = cheap.hash_password(b"secret").unwrap().to_string();
    for (depth, id) in ["k0", "k1", "k2"].into_iter().enumerate() {
        let key = KeyRow {
            id: id.into(),
            user_id: "alice".into(),
            parent_id: (depth > 0).then(|| format!("k{}", depth - 1)),
            depth: depth as i64,
            role: "member".into(),
            secret_hash: hash.clone(),
            permissions: "{}".into(),
            overrun: if depth == 0 { overrun_of_k0.into() } else { "clamp".into() },
            ..KeyRow::default()
        };
        change.insert_key(&key).await.unwrap();
    }
    change.commit().await.unwrap();
}

impl Chain {
    /// One dollar a million tokens: 1000 nano-dollars a token.
    fn quote(&self, key: usize, targets: &[&str], features: &[Feature], output: u64) -> Quote {
        let price = PriceEntry {
            model: "*".into(),
            input: "1".into(),
            output: "1".into(),
            ..PriceEntry::default()
        };
        let targets = targets
            .iter()
            .map(|name| {
                let (provider, model) = name.split_once('/').unwrap();
                Target { provider: provider.into(), model: model.into() }
            })
            .collect();
        let permit = authorize(&self.callers[key], targets, features).unwrap();
        let bound = Bound {
            input_tokens: 10,
            max_output: output,
            min_output: 1,
            likely_input: 10,
            in_process: false,
        };
        quote(&PriceList::new(&[price]).unwrap(), permit, bound)
    }

    async fn call(&self, key: usize, output: u64) -> Result<Meter, HoldError> {
        let quote = self.quote(key, &["p/m"], &[], output);
        Ok(self.ledger.hold(quote, order()).await?.sent())
    }

    /// Spent and held of every budget, by its id.
    async fn counters(&self) -> BTreeMap<String, (i64, i64)> {
        let budgets = self.ledger.budgets().await.unwrap();
        budgets.into_iter().map(|b| (b.budget, (b.spent, b.held))).collect()
    }
}

async fn everyone_above_a_key_pays_with_it(kind: Kind) {
    let budgets = OWNERS.map(|owner| budget(owner, "tokens", "total", 1000));
    let chain = chain(kind, &budgets).await;
    for (key, output) in [(2, 5), (1, 20), (0, 50)] {
        let meter = chain.call(key, 100).await.unwrap();
        meter.settle(finished(10, output)).await.unwrap();
    }
    let spent: Vec<_> = {
        let counters = chain.counters().await;
        OWNERS.map(|(_, id)| counters[&format!("{id}-tokens-total")]).into()
    };
    assert_eq!(spent, [(105, 0), (105, 0), (105, 0), (105, 0), (45, 0), (15, 0)]);
    // What is left above limits what is below, whatever stands below.
    assert!(chain.store.set_cap("acme-tokens-total", 130).await.unwrap());
    let meter = chain.call(2, 100).await.unwrap();
    let receipt = meter.settle(finished(10, 15)).await.unwrap();
    let owners: Vec<_> = receipt.budgets.iter().map(|budget| budget.owner.as_str()).collect();
    assert_eq!(
        owners,
        ["organisation:Acme", "team:Red", "user:alice", "key:k0", "key:k1", "key:k2"]
    );
    let Err(HoldError::Exhausted(by)) = chain.call(2, 100).await else { panic!("over the cap") };
    assert_eq!((by.owner.as_str(), by.cap, by.spent), ("organisation:Acme", 130, 130));
}

async fn a_filter_holds_what_could_count_and_charges_what_did(kind: Kind) {
    let of = |id: &str, provider: &str, model: &str| BudgetRow {
        id: id.into(),
        provider: provider.into(),
        model: model.into(),
        ..budget(("team", "red"), "cost", "day", 1_000_000)
    };
    let chain = chain(
        kind,
        &[
            of("a", "a", "*"),
            of("a-big", "*", "a/big*"),
            of("b", "b", "*"),
            of("c", "c", "*"),
            of("all", "*", "*"),
        ],
    )
    .await;
    let quote = chain.quote(0, &["a/big-1", "b/small"], &[], 90);
    let mut meter = chain.ledger.hold(quote, order()).await.unwrap().sent();
    let held = (0, 100_000);
    let expected = [("a", held), ("a-big", held), ("all", held), ("b", held), ("c", (0, 0))];
    assert_eq!(chain.counters().await, expected.map(|(id, n)| (id.to_owned(), n)).into());
    meter.reaches(&Target { provider: "b".into(), model: "small".into() }, 2);
    meter.settle(finished(10, 5)).await.unwrap();
    let spent = (15_000, 0);
    let expected = [("a", (0, 0)), ("a-big", (0, 0)), ("all", spent), ("b", spent), ("c", (0, 0))];
    assert_eq!(chain.counters().await, expected.map(|(id, n)| (id.to_owned(), n)).into());
    // A budget that is used up stops only calls that could count in it.
    assert!(chain.store.set_cap("a", 0).await.unwrap());
    let quote = chain.quote(0, &["a/big-1", "b/small"], &[], 90);
    assert!(
        matches!(chain.ledger.hold(quote, order()).await, Err(HoldError::Exhausted(by)) if by.budget == "a")
    );
    let quote = chain.quote(0, &["b/small"], &[], 90);
    drop(chain.ledger.hold(quote, order()).await.unwrap());
}

async fn a_filter_by_feature_counts_only_calls_that_use_it(kind: Kind) {
    let tools = BudgetRow {
        id: "tools".into(),
        feature: "tools".into(),
        ..budget(("user", "alice"), "requests", "day", 1)
    };
    let chain = chain(kind, &[tools]).await;
    let call = async |features: &[Feature]| {
        let quote = chain.quote(0, &["p/m"], features, 9);
        let meter = chain.ledger.hold(quote, order()).await?.sent();
        Ok::<_, HoldError>(meter.settle(finished(1, 1)).await.unwrap())
    };
    call(&[Feature::Chat]).await.unwrap();
    call(&[Feature::Chat, Feature::Tools]).await.unwrap();
    let refused = call(&[Feature::Chat, Feature::Tools]).await;
    assert!(
        matches!(refused, Err(HoldError::Exhausted(by)) if by.feature.as_deref() == Some("tools"))
    );
    call(&[Feature::Chat]).await.unwrap();
    assert_eq!(chain.counters().await["tools"], (1, 0));
}

async fn a_raise_that_ends_while_spent_refuses_what_comes_next_and_settles_what_runs(kind: Kind) {
    let raised = BudgetRow {
        raise_amount: 100,
        raise_until_ms: NOW + 60_000,
        ..budget(("team", "red"), "tokens", "total", 100)
    };
    let id = raised.id.clone();
    let chain = chain(kind, &[raised]).await;
    chain.call(0, 110).await.unwrap().settle(finished(10, 110)).await.unwrap();
    let running = chain.call(0, 50).await.unwrap();
    assert_eq!(chain.counters().await[&id], (120, 60));
    chain.clock.advance(Duration::from_secs(60));
    let Err(HoldError::Exhausted(by)) = chain.call(0, 50).await else { panic!("it is over") };
    assert_eq!((by.cap, by.spent, by.held), (100, 120, 60));
    running.settle(finished(10, 50)).await.unwrap();
    assert_eq!(chain.counters().await[&id], (180, 0));
}

async fn a_budget_that_refuses_is_named_and_shortens_nothing(kind: Kind) {
    let strict = BudgetRow {
        id: "strict".into(),
        overrun: "refuse".into(),
        ..budget(("organisation", "acme"), "tokens", "month", 100)
    };
    let chain = chain(kind, &[strict]).await;
    let Err(HoldError::Exhausted(by)) = chain.call(2, 91).await else { panic!("it was clamped") };
    assert_eq!((by.budget.as_str(), by.owner.as_str()), ("strict", "organisation:Acme"));
    assert_eq!((by.cap, by.spent, by.held), (100, 0, 0));
    let quote = chain.quote(2, &["p/m"], &[], 90);
    let hold = chain.ledger.hold(quote, order()).await.unwrap();
    assert_eq!((hold.max_output(), hold.is_clamped()), (90, false));
}

async fn a_key_that_refuses_makes_every_key_below_it_refuse(kind: Kind) {
    let budgets = [budget(("user", "alice"), "tokens", "total", 100)];
    let chain = chain_of(kind, &budgets, "refuse").await;
    for key in 0..3 {
        assert!(matches!(chain.call(key, 91).await, Err(HoldError::Exhausted(_))), "k{key}");
        drop(chain.call(key, 90).await.unwrap());
        while chain.counters().await.values().any(|(_, held)| *held > 0) {
            tokio::task::yield_now().await;
        }
        chain.store.tamper("update budget_windows set spent = 0").await;
    }
}

async fn each_owner_starts_again_by_its_own_calendar(kind: Kind) {
    let owners = [("organisation", "acme"), ("team", "red"), ("user", "alice")];
    let chain = chain(kind, &owners.map(|owner| budget(owner, "requests", "day", 9))).await;
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let spent = async || {
        let counters = chain.counters().await;
        owners.map(|(_, id)| counters[&format!("{id}-requests-day")].0)
    };
    chain.clock.set(at("2026-11-20T14:59:00Z"));
    chain.call(0, 9).await.unwrap().settle(finished(1, 1)).await.unwrap();
    assert_eq!(spent().await, [1, 1, 1]);
    // Midnight in Tokyo, in Greenwich, in New York.
    for (moment, expected) in [
        ("2026-11-20T15:00:00Z", [1, 2, 2]),
        ("2026-11-21T00:00:00Z", [2, 3, 1]),
        ("2026-11-21T05:00:00Z", [3, 1, 2]),
    ] {
        chain.clock.set(at(moment));
        chain.call(0, 9).await.unwrap().settle(finished(1, 1)).await.unwrap();
        assert_eq!(spent().await, expected, "{moment}");
    }
}

async fn a_soft_budget_refuses_nothing_and_tells_once(kind: Kind) {
    let soft = BudgetRow {
        id: "soft".into(),
        enforcement: "soft".into(),
        ..budget(("team", "red"), "tokens", "day", 100)
    };
    let watched = BudgetRow {
        id: "watched".into(),
        alert_percent: Some(80),
        ..budget(("user", "alice"), "tokens", "total", 1000)
    };
    let chain = chain(kind, &[soft, watched]).await;
    let told = async || {
        let mut alerts: Vec<_> = chain
            .store
            .alerts(99)
            .await
            .unwrap()
            .into_iter()
            .map(|alert| (alert.budget_id, alert.percent, alert.spent, alert.cap))
            .collect();
        alerts.sort();
        alerts
    };
    chain.call(0, 89).await.unwrap().settle(finished(10, 89)).await.unwrap();
    assert_eq!(told().await, []);
    chain.call(0, 500).await.unwrap().settle(finished(10, 200)).await.unwrap();
    assert_eq!(told().await, [("soft".to_owned(), 100, 309, 100)]);
    chain.call(0, 500).await.unwrap().settle(finished(10, 481)).await.unwrap();
    let both = [("soft".to_owned(), 100, 309, 100), ("watched".to_owned(), 80, 800, 1000)];
    assert_eq!(told().await, both);
    chain.call(0, 100).await.unwrap().settle(finished(10, 90)).await.unwrap();
    assert_eq!(told().await, both, "once a window");
    chain.clock.advance(Duration::from_secs(86_400));
    chain.call(0, 90).await.unwrap().settle(finished(10, 90)).await.unwrap();
    assert_eq!(told().await.len(), 3, "the soft budget began a new day");
}

async fn an_alert_is_noted_once_however_many_calls_pass_it(kind: Kind) {
    let soft = BudgetRow {
        enforcement: "soft".into(),
        ..budget(("organisation", "acme"), "requests", "total", 10)
    };
    let chain = chain(kind, &[soft]).await;
    // A second server, where one may use the books too.
    let second = match kind {
        Kind::Sqlite => chain.ledger.clone(),
        Kind::Postgres => {
            let (store, clock) = (chain.store.clone(), chain.clock.clone());
            Ledger::open(store, clock, &chain.tasks, LEASE).await.unwrap()
        }
    };
    let ledgers = [&chain.ledger, &second];
    let calls = (0..100).map(async |n: usize| {
        let quote = chain.quote(n % 3, &["p/m"], &[], 9);
        let meter = ledgers[n % 2].hold(quote, order()).await.unwrap().sent();
        meter.settle(finished(1, 1)).await.unwrap();
    });
    futures_util::future::join_all(calls).await;
    let alerts = chain.store.alerts(99).await.unwrap();
    assert_eq!(alerts.len(), 1);
    assert_eq!((alerts[0].spent, alerts[0].percent), (10, 100), "by the call that passed it");
    assert_eq!(chain.counters().await["acme-requests-total"], (100, 0));
}
