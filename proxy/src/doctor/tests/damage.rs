//! Books that a careless hand, or a killed server, left wrong.

use super::{Kind, Mode, State, Ward, broken};
use crate::{
    doctor::{Depth, sums::Comparison},
    ledger::{Disposition, Outcome},
    store::{StoreError, UsageFilter},
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use serde_json::json;
use tollgate_bench::on_both_engines;
use tollgate_types::Usage;

on_both_engines!(
    books_that_are_well_are_left_as_they_are,
    a_reservation_that_leaked_is_found_and_repaired,
    whatever_was_done_to_the_counters_repair_restores_the_sums,
    what_a_killed_server_left_open_is_found_and_settled_once,
    a_dry_run_says_the_same_and_changes_nothing,
    sums_of_hours_are_made_again_out_of_their_entries,
    holds_of_a_dead_server_end_also_where_counters_cannot_be_added_to,
    windows_that_were_removed_are_made_again,
    what_was_archived_still_counts,
    charges_that_cannot_be_read_keep_spent_as_it_is,
    a_hold_that_cannot_be_read_gives_back_what_it_held,
    a_quick_repair_sets_held_and_leaves_spent,
    sums_come_out_alike_in_one_part_and_in_many,
    two_repairs_do_not_run_at_once,
    budgets_that_were_removed_are_told_and_stop_nothing,
);

/// Two budgets, two ended calls and an open one.
async fn used(kind: Kind) -> (Ward, crate::ledger::Meter) {
    let ward = Ward::with(kind, &[("tokens", "total", 1_000), ("cost", "month", 10_000_000)]).await;
    ward.call(10, 20).await;
    ward.call(1, 2).await;
    let open = ward.hold(5, 50).await.unwrap().sent();
    (ward, open)
}

async fn books_that_are_well_are_left_as_they_are(kind: Kind) {
    let (ward, _open) = used(kind).await;
    let report = ward.examine().await;
    assert_eq!(broken(&report), Vec::<&str>::new(), "{report:?}");
    for (name, words) in [
        ("held", "right in all: 2 windows, 1 open hold"),
        ("spent", "right in all: 2 windows, 2 entries"),
        ("orphans", "1 open hold, none of a server that died"),
        ("audit", "0 changes, unbroken"),
        ("caps", "within the cap"),
    ] {
        Ward::assert_is(report.check(name).unwrap(), State::Ok, &[words]);
    }
    let before = ward.counters().await;
    assert!(ward.repair(Mode::Apply).await.is_empty());
    assert_eq!(ward.counters().await, before);
    assert_eq!(ward.store.number("select count(*) from audit").await, 0);
}

/// PAINS 2: a reservation that leaked made "budget exceeded" at half the budget.
async fn a_reservation_that_leaked_is_found_and_repaired(kind: Kind) {
    let ward = Ward::with(kind, &[("tokens", "total", 100)]).await;
    ward.call(5, 5).await;
    ward.store.tamper("update budget_windows set held = held + 90").await;
    assert!(ward.hold(1, 10).await.is_err(), "nothing is left, it seems");
    let held = ward.check("held").await;
    Ward::assert_is(
        &held,
        State::Broken,
        &["wrong in 1 of 1 window", "budget b0", "90 held by nobody: no open hold accounts for it"],
    );
    assert_eq!(held.details[0].fields["proven"], 0);
    assert!(held.advice.unwrap().contains("tollgate doctor --repair"));
    let repairs = ward.repair(Mode::Apply).await;
    assert_eq!(repairs.len(), 1);
    assert_eq!(repairs[0].before, json!({"spent": 10, "held": 90}));
    assert_eq!(repairs[0].after, json!({"spent": 10, "held": 0}));
    assert_eq!(broken(&ward.examine().await), Vec::<&str>::new());
    ward.call(1, 89).await;
    assert!(ward.repair(Mode::Apply).await.is_empty(), "a second repair finds nothing");
}

/// What a person may have typed.
fn damages() -> impl Strategy<Value = Vec<String>> {
    let column = prop_oneof![Just("spent"), Just("held")];
    let value = prop_oneof![
        (-2_000i64..2_000).prop_map(|n| n.to_string()),
        Just(i64::MAX.to_string()),
        Just((-i64::MAX).to_string()),
        Just("spent / 2".to_owned()),
        Just("held / 2 + 7".to_owned()),
        Just("held".to_owned()),
        Just("-spent".to_owned()),
        Just("archived".to_owned()),
    ];
    let place = prop_oneof![Just(""), Just(" where budget_id = 'b0'"), Just(" where held = 0")];
    let damage = (column, value, place).prop_map(|(column, value, place)| {
        format!("update budget_windows set {column} = {value}{place}")
    });
    prop::collection::vec(damage, 1..4)
}

async fn whatever_was_done_to_the_counters_repair_restores_the_sums(kind: Kind) {
    let (ward, open) = used(kind).await;
    let right = ward.counters().await;
    let damages = {
        let mut runner = TestRunner::new(Config::default());
        let tree = |_| damages().new_tree(&mut runner).unwrap().current();
        let mut all: Vec<_> = (0..24).map(tree).collect();
        if kind == Kind::Sqlite {
            // SQLite stores what it is given.
            all.extend(
                ["'lots'", "spent * 1.5", "x'ff'", "''", "1e300"]
                    .map(|value| vec![format!("update budget_windows set spent = {value}")]),
            );
        }
        all
    };
    for damages in damages {
        for damage in &damages {
            ward.store.tamper(damage).await;
        }
        let found = broken(&ward.examine().await);
        let repairs = ward.repair(Mode::Apply).await;
        assert_eq!(ward.counters().await, right, "{damages:?}");
        assert_eq!(repairs.is_empty(), found.is_empty(), "{damages:?}: {found:?} {repairs:?}");
        assert_eq!(broken(&ward.examine().await), Vec::<&str>::new(), "{damages:?}");
    }
    let outcome = Outcome::new(Disposition::Settled, Usage::tokens(5, 6));
    open.settle(outcome).await.unwrap();
    assert_eq!(ward.counters().await[0].2, right[0].2 + 11, "the open call ends as if nothing was");
}

async fn what_a_killed_server_left_open_is_found_and_settled_once(kind: Kind) {
    let mut ward = Ward::with(kind, &[("tokens", "total", 1_000)]).await;
    ward.call(1, 1).await;
    ward.killed_amid(10, 90).await;
    let report = ward.examine().await;
    assert_eq!(broken(&report), ["orphans"], "{report:?}");
    let orphans = report.check("orphans").unwrap();
    Ward::assert_is(orphans, State::Broken, &["1 hold of servers that died", "user user", "p/m"]);
    Ward::assert_is(
        report.check("held").unwrap(),
        State::Ok,
        &["1 call held for servers that died"],
    );
    let repairs = ward.repair(Mode::Apply).await;
    assert_eq!(repairs.iter().map(|repair| repair.what).collect::<Vec<_>>(), ["hold"]);
    let rows = ward.store.usage_rows(&UsageFilter::default(), 9).await.unwrap();
    let mut ends: Vec<_> = rows.iter().map(|row| row.entry.disposition.as_str()).collect();
    ends.sort_unstable();
    assert_eq!(ends, ["settled", "unknown"]);
    assert_eq!(ward.counters().await, [("b0".to_owned(), 0, 2 + 10, 0)]);
    assert_eq!(broken(&ward.examine().await), Vec::<&str>::new());
    assert!(ward.repair(Mode::Apply).await.is_empty());
    let text = "select count(*) from audit where action = 'doctor.settle' and actor = 'cli:doctor'";
    assert_eq!(ward.store.number(text).await, 1);
}

async fn holds_of_a_dead_server_end_also_where_counters_cannot_be_added_to(kind: Kind) {
    let mut ward = Ward::with(kind, &[("tokens", "total", 1_000)]).await;
    ward.call(1, 2).await;
    ward.killed_amid(10, 90).await;
    let most = i64::MAX;
    ward.store.tamper(&format!("update budget_windows set spent = {most}, held = {most}")).await;
    let repairs = ward.repair(Mode::Apply).await;
    assert_eq!(repairs.iter().map(|repair| repair.what).collect::<Vec<_>>(), ["window", "hold"]);
    assert_eq!(ward.counters().await, [("b0".to_owned(), 0, 3 + 10, 0)]);
    assert_eq!(broken(&ward.examine().await), Vec::<&str>::new());
}

async fn a_dry_run_says_the_same_and_changes_nothing(kind: Kind) {
    let mut ward = Ward::with(kind, &[("tokens", "total", 1_000)]).await;
    ward.call(7, 8).await;
    ward.killed_amid(10, 90).await;
    ward.store.tamper("update budget_windows set spent = 3, held = 4").await;
    let planned = ward.repair(Mode::DryRun).await;
    let what: Vec<_> = planned.iter().map(|repair| repair.what).collect();
    assert_eq!(what, ["window", "hold"]);
    assert_eq!(planned[0].before, json!({"spent": 3, "held": 4}));
    assert_eq!(planned[0].after, json!({"spent": 15, "held": 100}));
    assert_eq!(ward.counters().await, [("b0".to_owned(), 0, 3, 4)]);
    assert_eq!(ward.store.number("select count(*) from audit").await, 0);
    let made = ward.repair(Mode::Apply).await;
    assert_eq!(json!(made), json!(planned));
    assert_eq!(ward.counters().await, [("b0".to_owned(), 0, 15 + 10, 0)]);
    assert_eq!(ward.store.number("select count(*) from audit").await, 2);
    assert_eq!(ward.check("audit").await.state, State::Ok);
}

async fn sums_of_hours_are_made_again_out_of_their_entries(kind: Kind) {
    let (ward, _open) = used(kind).await;
    let sum = "select cast(sum(requests * 1000 + output) as bigint) from usage_rollups";
    let right = ward.store.number(sum).await;
    ward.store.tamper("update usage_rollups set requests = requests + 7, output = 1").await;
    let report = ward.examine().await;
    assert_eq!(broken(&report), ["rollups"]);
    let rollups = report.check("rollups").unwrap();
    let said = ["the sums say 9 calls", "its entries 2 calls"];
    Ward::assert_is(rollups, State::Broken, &said);
    let planned = ward.repair(Mode::DryRun).await;
    assert_ne!(ward.store.number(sum).await, right);
    let made = ward.repair(Mode::Apply).await;
    assert_eq!(json!(made), json!(planned));
    assert_eq!((made.len(), made[0].what), (1, "rollups"));
    assert_eq!(ward.store.number(sum).await, right);
    assert_eq!(ward.store.number("select count(*) from audit").await, 1);
    assert_eq!(broken(&ward.examine().await), Vec::<&str>::new());
    assert!(ward.repair(Mode::Apply).await.is_empty());
}

async fn windows_that_were_removed_are_made_again(kind: Kind) {
    let (ward, _open) = used(kind).await;
    let right = ward.counters().await;
    let ends = "select coalesce(sum(end_ms), 0) from budget_windows";
    let ends_before = ward.store.number(&format!("select cast(({ends}) as bigint)")).await;
    ward.store.tamper("delete from budget_windows").await;
    let report = ward.examine().await;
    assert_eq!(broken(&report), ["held", "spent"]);
    Ward::assert_is(report.check("spent").unwrap(), State::Broken, &["the window is missing"]);
    assert_eq!(ward.repair(Mode::Apply).await.len(), 2);
    assert_eq!(ward.counters().await, right);
    assert_eq!(ward.store.number(&format!("select cast(({ends}) as bigint)")).await, ends_before);
}

async fn what_was_archived_still_counts(kind: Kind) {
    let (ward, _open) = used(kind).await;
    let right = ward.counters().await;
    // As retention does it.
    ward.store.tamper("update budget_windows set archived = spent").await;
    ward.store.tamper("delete from usage_entries").await;
    ward.store.tamper("delete from usage_rollups").await;
    assert_eq!(broken(&ward.examine().await), Vec::<&str>::new());
    ward.store.tamper("update budget_windows set spent = 0").await;
    assert_eq!(broken(&ward.examine().await), ["spent"]);
    ward.repair(Mode::Apply).await;
    assert_eq!(ward.counters().await, right);
}

async fn charges_that_cannot_be_read_keep_spent_as_it_is(kind: Kind) {
    let (ward, _open) = used(kind).await;
    let right = ward.counters().await;
    ward.store.tamper("update usage_entries set charges = '[[\"b0\",' where output = 2").await;
    ward.store.tamper("update budget_windows set held = 1").await;
    let report = ward.examine().await;
    assert_eq!(broken(&report), ["held", "spent"]);
    let spent = report.check("spent").unwrap();
    Ward::assert_is(spent, State::Broken, &["charges of 1 entry", "request "]);
    ward.repair(Mode::Apply).await;
    assert_eq!(ward.counters().await, right, "spent is not lowered to what can be read");
    assert_eq!(broken(&ward.examine().await), ["spent"]);
}

async fn a_hold_that_cannot_be_read_gives_back_what_it_held(kind: Kind) {
    let (ward, _open) = used(kind).await;
    ward.store.tamper("update holds set shares = 'nonsense'").await;
    assert_eq!(broken(&ward.examine().await), ["held", "shares"]);
    assert_eq!(ward.repair(Mode::Apply).await.len(), 2);
    assert!(ward.counters().await.iter().all(|(.., held)| *held == 0));
    assert_eq!(broken(&ward.examine().await), ["shares"]);
}

async fn a_quick_repair_sets_held_and_leaves_spent(kind: Kind) {
    let (mut ward, _open) = used(kind).await;
    let right = ward.counters().await;
    ward.depth = Depth::Quick;
    ward.store.tamper("update budget_windows set held = 0, spent = spent + 1").await;
    let report = ward.examine().await;
    assert_eq!(broken(&report), ["held"]);
    assert_eq!(report.check("spent").unwrap().state, State::Skipped);
    ward.repair(Mode::Apply).await;
    let mut expected = right.clone();
    expected.iter_mut().for_each(|(_, _, spent, _)| *spent += 1);
    assert_eq!(ward.counters().await, expected);
}

async fn sums_come_out_alike_in_one_part_and_in_many(kind: Kind) {
    let budgets: Vec<_> = (0..23).map(|n| ("tokens", "total", 10_000 + n)).collect();
    let ward = Ward::with(kind, &budgets).await;
    ward.call(10, 20).await;
    ward.store.tamper("update budget_windows set spent = spent - 1 where budget_id > 'b2'").await;
    ward.store.tamper("delete from budget_windows where budget_id in ('b1', 'b7')").await;
    let mut all = Vec::new();
    for at_once in [1, 2, 5, 1_000] {
        let mut comparison =
            Comparison::in_parts_of(&ward.store, Depth::Whole, at_once).await.unwrap();
        let mut found = Vec::new();
        let mut parts = 0;
        while let Some(some) = comparison.next(&|_, _| {}).await.unwrap() {
            found.extend(some);
            parts += 1;
        }
        assert_eq!((parts, comparison.seen.windows), (21 / at_once + 1, 21));
        found.sort_by(|a, b| a.window.cmp(&b.window));
        all.push(found);
    }
    let missing = all[0].iter().filter(|difference| !difference.is_there).count();
    assert!(missing == 2 && all[0].len() > 5, "{:?}", all[0]);
    assert!(all.iter().all(|found| *found == all[0]));
}

async fn two_repairs_do_not_run_at_once(kind: Kind) {
    let (ward, _open) = used(kind).await;
    ward.store.tamper("update budget_windows set held = 0").await;
    let claim = ward.store.claim_repair().await.unwrap();
    let refused = ward.ask(async |patient| crate::doctor::repair(patient, Mode::Apply).await).await;
    assert!(matches!(refused.stopped, Some(StoreError::Repairing)), "{refused:?}");
    assert!(refused.made.is_empty());
    assert_eq!(ward.repair(Mode::DryRun).await.len(), 2, "looking is always possible");
    drop(claim);
    // PostgreSQL notices a moment later that a connection is gone.
    let claimed = async {
        while let Err(error) = ward.store.claim_repair().await {
            assert!(matches!(error, StoreError::Repairing), "{error}");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), claimed).await.unwrap();
}

async fn budgets_that_were_removed_are_told_and_stop_nothing(kind: Kind) {
    let (ward, open) = used(kind).await;
    ward.store.tamper("delete from budget_windows where budget_id = 'b1'").await;
    ward.store.tamper("delete from budgets where id = 'b1'").await;
    ward.store.tamper("update budgets set owner_id = 'nobody'").await;
    let report = ward.examine().await;
    assert_eq!(broken(&report), Vec::<&str>::new());
    Ward::assert_is(report.check("lost windows").unwrap(), State::Warning, &["1 charged window"]);
    let budgets = report.check("budgets").unwrap();
    Ward::assert_is(budgets, State::Warning, &["1 budget without", "there is no user \"nobody\""]);
    assert!(ward.repair(Mode::Apply).await.is_empty());
    open.settle(Outcome::new(Disposition::Settled, Usage::tokens(5, 6))).await.unwrap();
    assert_eq!(ward.counters().await, [("b0".to_owned(), 0, 44, 0)]);
    assert_eq!(broken(&ward.examine().await), Vec::<&str>::new());
}
