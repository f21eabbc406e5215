//! The books: counters against what proves them, holds, caps, budgets.

use super::{
    Depth, Patient,
    calls::{self, OpenCall, open_calls},
    report::{Check, Detail, LISTED, moment, several, window_from},
    sums::{Comparison, Difference, Pair, Seen},
};
use crate::{
    clock::Clock,
    store::{Overdrawn, Store, StoreError},
};
use serde_json::json;
use std::collections::HashMap;

/// What sets counters right.
const REPAIR: &str = "`tollgate doctor --repair` sets them to what proves them";

pub(super) async fn check(patient: &Patient<'_>, store: &Store) -> Vec<Check> {
    let mut checks = sums(patient, store).await.unwrap_or_else(|error| {
        vec![Check::of("held", Err(error)), Check::skipped("spent", "the books cannot be read")]
    });
    match open_calls(store, patient.clock).await {
        Ok(open) => {
            // What is explained at once needs no second explanation.
            held_by(&mut checks, &open);
            checks.extend(calls::check(&open));
        }
        Err(error) => checks.push(Check::of("orphans", Err(error))),
    }
    checks.push(Check::of("caps", caps(store, patient.clock).await));
    checks.push(Check::of("budgets", budgets(store).await));
    checks
}

async fn sums(patient: &Patient<'_>, store: &Store) -> Result<Vec<Check>, StoreError> {
    let mut comparison = Comparison::begin(store, patient.depth).await?;
    let (mut held, mut spent) = (Findings::default(), Findings::default());
    let mut known = KnownBudgets { store, budgets: HashMap::new() };
    let mut lost = 0_usize;
    while let Some(differences) = comparison.next(patient.progress).await? {
        for difference in differences {
            if !difference.is_there && !known.has(&difference.window.budget_id).await? {
                lost += 1;
                continue;
            }
            if difference.in_held() {
                held.add(&difference, "held", Some(difference.held));
            }
            if difference.in_spent() {
                spent.add(&difference, "spent", difference.spent);
            }
        }
    }
    let seen = comparison.seen;
    let holds = several(seen.holds, "open hold");
    let windows = several(seen.windows, "window");
    let held = held.check("held", &format!("{windows}, {holds}"));
    let spent = match patient.depth {
        Depth::Quick => Check::skipped("spent", "entries are not read with --quick"),
        Depth::Whole if !seen.unreadable_entries.is_empty() => unreadable_entries(&seen),
        Depth::Whole => spent.check("spent", &format!("{windows}, {}", entries(seen.entries))),
    };
    let mut checks = vec![held, spent];
    checks.extend(unreadable_holds(&seen));
    if lost > 0 {
        let found = format!("{} that no budget is left for", several(lost, "charged window"));
        checks.push(Check::warning("lost windows", found).advise(
            "somebody removed budgets by hand: what holds and entries charged to them counts nowhere",
        ));
    }
    if seen.overflowed {
        let found = "more windows are missing than can be told at once";
        checks.push(
            Check::broken("missing windows", found).advise(
                "`tollgate doctor --repair` makes those that it can tell; then run it again",
            ),
        );
    }
    Ok(checks)
}

fn entries(count: u64) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") }
}

/// Which budgets are there, asked once each.
struct KnownBudgets<'s> {
    store: &'s Store,
    budgets: HashMap<String, bool>,
}

impl KnownBudgets<'_> {
    async fn has(&mut self, id: &str) -> Result<bool, StoreError> {
        if let Some(known) = self.budgets.get(id) {
            return Ok(*known);
        }
        let known = self.store.budget_ever(id).await?.is_some();
        self.budgets.insert(id.to_owned(), known);
        Ok(known)
    }
}

/// Windows that differ; the first of them in full.
#[derive(Default)]
struct Findings {
    count: usize,
    details: Vec<Detail>,
}

impl Findings {
    fn add(&mut self, difference: &Difference, what: &str, pair: Option<Pair>) {
        self.count += 1;
        if self.details.len() < LISTED {
            self.details.push(detail(difference, what, pair));
        }
    }

    fn check(self, name: &'static str, read: &str) -> Check {
        if self.count == 0 {
            return Check::ok(name, format!("right in all: {read}"));
        }
        let found = format!("wrong in {} of {read}", self.count);
        Check::broken(name, found).advise(REPAIR).listing(self.details)
    }
}

fn detail(difference: &Difference, what: &str, pair: Option<Pair>) -> Detail {
    let Difference { window, is_there, is_readable, .. } = difference;
    let place = format!("budget {} in {}", window.budget_id, window_from(window.start_ms));
    let proof = if what == "held" { "its open holds come to" } else { "its entries come to" };
    let text = match pair {
        _ if !is_readable => format!("{place}: its counters are no whole numbers"),
        Some(Pair { proven, .. }) if !is_there => {
            format!("{place}: the window is missing, {proof} {proven}")
        }
        Some(Pair { counted, proven: 0 }) if what == "held" => {
            format!("{place}: {counted} held by nobody: no open hold accounts for it")
        }
        Some(Pair { counted, proven }) => format!("{place}: {what} is {counted}, {proof} {proven}"),
        None => place,
    };
    let fields = json!({
        "budget": &*window.budget_id, "start_ms": window.start_ms, "is_there": is_there,
        "is_readable": is_readable, "counted": pair.map(|pair| pair.counted),
        "proven": pair.map(|pair| pair.proven),
    });
    Detail::new(text, fields)
}

fn unreadable_entries(seen: &Seen) -> Check {
    let requests = &seen.unreadable_entries;
    let found = format!("the charges of {} cannot be read", entries(requests.len() as u64));
    Check::broken("spent", found)
        .advise("correct the column `charges` of these entries: until then spent cannot be proven, and is not repaired")
        .listing(requests.iter().map(|id| {
            Detail::new(format!("request {id}"), json!({"request_id": id}))
        }))
}

fn unreadable_holds(seen: &Seen) -> Option<Check> {
    let holds = &seen.unreadable_holds;
    if holds.is_empty() {
        return None;
    }
    let found = format!("the shares of {} cannot be read", several(holds.len(), "hold"));
    let details = holds.iter().map(|id| Detail::new(format!("hold {id}"), json!({"hold": id})));
    Some(
        Check::broken("shares", found)
            .advise("these calls end without a charge; `tollgate doctor --repair` gives back what they held")
            .listing(details),
    )
}

/// Says in the finding about `held` that orphans are behind what looks spent.
fn held_by(checks: &mut [Check], open: &[OpenCall]) {
    let orphans = open.iter().filter(|call| call.is_orphan()).count();
    if orphans == 0 {
        return;
    }
    if let Some(held) = checks.iter_mut().find(|check| check.name == "held") {
        let more = format!("; {} held for servers that died", several(orphans, "call"));
        held.found.push_str(&more);
    }
}

async fn caps(store: &Store, clock: &dyn Clock) -> Result<Check, StoreError> {
    let now_ms = clock.now_ms();
    let found = store.overdrawn(now_ms, i64::try_from(LISTED).unwrap_or(i64::MAX)).await?;
    if found.is_empty() {
        return Ok(Check::ok("caps", "spent and held are within the cap of every open window"));
    }
    let text = format!("{} above the cap", several(found.len(), "window"));
    Ok(Check::warning("caps", text)
        .advise("a cap that was lowered or a raise that ended explains this: nothing new is admitted there until the window ends, or the cap is raised")
        .listing(found.iter().map(|window| overdrawn(window, now_ms))))
}

fn overdrawn(window: &Overdrawn, now_ms: i64) -> Detail {
    let Overdrawn { budget, counters, start_ms } = window;
    let (id, cap) = (&budget.id, budget.cap_at(now_ms));
    let owner = format!("{} {}", budget.owner_kind, budget.owner_name);
    let ended = match budget.raise_amount {
        0 => String::new(),
        amount if now_ms >= budget.raise_until_ms => {
            format!("; a raise by {amount} ended at {}", moment(budget.raise_until_ms))
        }
        amount => format!("; a raise by {amount} is in force"),
    };
    let text = format!(
        "budget {id} of {owner}, {} a {}: {} spent and {} held, of a cap of {cap}{ended}",
        budget.resource, budget.span, counters.spent, counters.held
    );
    let fields = json!({
        "budget": id, "start_ms": start_ms, "spent": counters.spent, "held": counters.held,
        "cap": cap, "raise": budget.raise_amount, "raise_until_ms": budget.raise_until_ms,
    });
    Detail::new(text, fields)
}

async fn budgets(store: &Store) -> Result<Check, StoreError> {
    let lost = usize::try_from(store.windows_of_no_budget().await?).unwrap_or(usize::MAX);
    let ownerless = store.ownerless(i64::try_from(LISTED).unwrap_or(i64::MAX)).await?;
    if lost == 0 && ownerless.is_empty() {
        return Ok(Check::ok("budgets", "every one has its owner, every window its budget"));
    }
    let found = format!(
        "{} without an owner, {} without a budget",
        several(ownerless.len(), "budget"),
        several(lost, "window")
    );
    let details = ownerless.into_iter().map(|budget| {
        let (id, kind, owner) = (budget.id, budget.owner_kind, budget.owner_id);
        let text = format!("budget {id}: there is no {kind} {owner:?}");
        Detail::new(text, json!({"budget": id, "owner_kind": kind, "owner_id": owner}))
    });
    Ok(Check::warning("budgets", found)
        .advise("somebody removed rows by hand; `tollgate budgets delete ID` removes a budget that limits nobody")
        .listing(details))
}
