//! Delegated keys: narrower than the key that makes them, shorter, and paid for by it too.
//!
//! Nothing is moved from the budgets above: a call of a delegated key is charged to every key above
//! it, so its own budgets lock nothing that is not spent, and however many there are, the budgets
//! above hold.

use super::{AdminError, Amount, BudgetTerms, KeyView, Mandate, Office, Start, Work, names, shown};
use crate::{
    access::{Pattern, Permissions, draw_secret},
    ids::new_id,
    ledger::{budget_statuses, new_budget_status},
    store::{Account, BudgetRow, KeyRow, Owner},
};
use serde_json::Value;
use std::collections::BTreeSet;
use tollgate_types::{
    BudgetStatus, DelegateRequest, DelegatedKey, DelegatedPermissions, SubBudget,
};

/// How long a key works when nobody says.
const USUAL_SECONDS: u32 = 3_600;
/// No delegated key works longer.
const MAX_SECONDS: u32 = 86_400;
/// Keys that one key may have delegated to at once.
const MAX_CHILDREN: i64 = 1_000;

/// How far delegation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DelegationBounds {
    /// How many keys can stand in a line below one that an operator made.
    pub max_depth: u8,
    /// No key lives longer than this; absent: than those above it.
    pub until_ms: Option<i64>,
}

impl Office {
    /// Makes a key below another one, within bounds. The answer holds its text, but for a
    /// repetition.
    ///
    /// # Errors
    /// `Denied` when the key would be wider than the one above it; `NotEnough` when a budget above
    /// has less left than is asked for; when a value makes no sense; any database failure.
    pub async fn delegate(
        &self,
        mandate: &Mandate,
        parent_id: &str,
        bounds: DelegationBounds,
        order: &DelegateRequest,
    ) -> Result<DelegatedKey, AdminError> {
        let asked = &(parent_id, order);
        // A repetition is recognised before anything that may have changed meanwhile is checked.
        if mandate.idempotency_key().is_some()
            && let Start::Again(answer) = self.begin(mandate, "key.delegate", asked).await?
        {
            return Ok(answer);
        }
        let account = self.store().account(parent_id).await?;
        let account = account.ok_or_else(|| AdminError::unknown("key", parent_id))?;
        let mut row = planned(&account, order, (self.clock().now_ms(), bounds))?;
        let budgets = self.carved(&account, order).await?;
        row.id = new_id(self.clock());
        let (key, secret_hash) = draw_secret(&row.id).await?;
        row.secret_hash = secret_hash;
        let mut work = match self.begin(mandate, "key.delegate", asked).await? {
            Start::First(work) => work,
            Start::Again(answer) => return Ok(answer),
        };
        let made = self.write(&mut work, &row, &budgets).await?;
        let after = KeyView::of(&row, &account.user, work.now_ms);
        let subject = format!("key:{}", row.id);
        let made = work.finish(subject, None::<&()>, Some(&after), made).await?;
        Ok(DelegatedKey { key: Some(key.expose().clone()), ..made })
    }

    async fn write(
        &self,
        work: &mut Work,
        row: &KeyRow,
        budgets: &[BudgetTerms],
    ) -> Result<DelegatedKey, AdminError> {
        let parent_id = row.parent_id.as_deref().unwrap_or_default();
        if work.change.children_in_force(parent_id, work.now_ms).await? >= MAX_CHILDREN {
            return Err(AdminError::InTheWay(format!(
                "this key has delegated to {MAX_CHILDREN} keys that are in force: revoke some"
            )));
        }
        work.change.insert_key(row).await?;
        let mut standing = Vec::with_capacity(budgets.len());
        for terms in budgets {
            let budget = terms.row(self.clock(), "key", &row.id)?;
            work.change.insert_budget(&budget, work.now_ms).await?;
            if let Some(budget) = work.change.budget(&budget.id).await? {
                standing.push(new_budget_status(&budget, work.now_ms)?);
            }
        }
        Ok(described(row, standing))
    }

    /// The budgets that are asked for, if every budget above has as much left.
    async fn carved(
        &self,
        account: &Account,
        order: &DelegateRequest,
    ) -> Result<Vec<BudgetTerms>, AdminError> {
        let above = self.store().budgets_of(&account.owners()).await?;
        let standing = budget_statuses(self.store(), above.clone(), self.clock().now_ms()).await?;
        let mut levels = levels_of(account)?;
        levels.push(permissions_of(&order.permissions));
        let above: Vec<_> = above
            .iter()
            .zip(standing)
            .filter(|(row, now)| !now.soft && counts_all(row, &levels))
            .map(|(_, now)| now)
            .collect();
        let mut kinds = BTreeSet::new();
        let mut carved = Vec::with_capacity(order.budgets.len());
        for (index, SubBudget { resource, window, cap }) in order.budgets.iter().enumerate() {
            let field = format!("budgets[{index}]");
            if !kinds.insert((*resource, *window)) {
                let message = format!("there is another budget of {resource} a {window}");
                return Err(AdminError::invalid(field, message));
            }
            let terms = BudgetTerms::new(*resource, *window, Amount::Whole(*cap));
            terms.check().map_err(|error| error.below(&field))?;
            let same = above.iter().filter(|now| now.resource == *resource);
            if let Some(least) = same.min_by_key(|now| now.remaining())
                && least.remaining() < *cap
            {
                return Err(not_enough(field, *cap, least));
            }
            carved.push(terms);
        }
        Ok(carved)
    }

    /// The keys that a key delegated to and that are in force, the newest first.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn delegated_by(&self, key_id: &str) -> Result<Vec<DelegatedKey>, AdminError> {
        let now_ms = self.clock().now_ms();
        let rows = self.store().children_in_force(key_id, now_ms).await?;
        let owner = |row: &KeyRow| Owner { kind: "key", id: row.id.clone() };
        let budgets = self.store().budgets_of(&rows.iter().map(owner).collect::<Vec<_>>()).await?;
        let standing = budget_statuses(self.store(), budgets.clone(), now_ms).await?;
        let keys = rows.iter().map(|row| {
            let own = budgets.iter().zip(&standing).filter(|(b, _)| b.owner_id == row.id);
            described(row, own.map(|(_, now)| now.clone()).collect())
        });
        Ok(keys.collect())
    }

    /// Revokes a key that descends from another one, and so every key below it.
    ///
    /// # Errors
    /// `Unknown` when there is no such key below that one; any database failure.
    pub async fn revoke_delegated(
        &self,
        mandate: &Mandate,
        ancestor_id: &str,
        id: &str,
    ) -> Result<(), AdminError> {
        let account = self.store().account(id).await?;
        let below = account.is_some_and(|a| a.ancestors.iter().any(|key| key.id == ancestor_id));
        if !below {
            return Err(AdminError::unknown("key", id));
        }
        self.revoke_key(mandate, id).await.map(drop)
    }
}

/// The key as it is asked for, if it is no wider than those above it; without id and secret.
fn planned(
    account: &Account,
    order: &DelegateRequest,
    (now_ms, bounds): (i64, DelegationBounds),
) -> Result<KeyRow, AdminError> {
    let above = &account.key;
    if above.role != "member" {
        let message = "administrators' keys do not delegate: they cannot call models".to_owned();
        return Err(AdminError::Denied { permission: "role:member".to_owned(), message });
    }
    let over = |key: &KeyRow| {
        key.revoked_ms.is_some() || key.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms)
    };
    if account.user.deleted_ms.is_some() || line(account).any(over) {
        return Err(AdminError::InTheWay("this key is not in force any more".to_owned()));
    }
    if above.depth >= i64::from(bounds.max_depth) {
        let message =
            format!("keys are delegated at most {} deep, and this one is", bounds.max_depth);
        return Err(AdminError::Denied { permission: "delegate".to_owned(), message });
    }
    let name = order.name.clone().unwrap_or_else(|| "delegated".to_owned());
    names::check_label(&name)?;
    let permissions = permissions_of(&order.permissions);
    names::check_permissions(&permissions)?;
    for level in levels_of(account)? {
        if let Some(permission) = permissions.beyond(&level) {
            let message = format!("this key does not have {permission}, so it cannot give it");
            return Err(AdminError::Denied { permission, message });
        }
    }
    Ok(KeyRow {
        user_id: above.user_id.clone(),
        parent_id: Some(above.id.clone()),
        depth: above.depth.saturating_add(1),
        name,
        role: "member".to_owned(),
        permissions: serde_json::to_string(&permissions)?,
        rate_per_minute: rate(account, order.rate_per_minute)?,
        overrun: above.overrun.clone(),
        created_ms: now_ms,
        expires_ms: Some(expiry(account, order.expires_in_seconds, (now_ms, bounds))?),
        ..KeyRow::default()
    })
}

fn line(account: &Account) -> impl Iterator<Item = &KeyRow> {
    std::iter::once(&account.key).chain(&account.ancestors)
}

/// What the user and each key may, from the top down to the key.
fn levels_of(account: &Account) -> Result<Vec<Permissions>, AdminError> {
    let levels = std::iter::once(&account.user.permissions)
        .chain(line(account).map(|key| &key.permissions))
        .map(|json| serde_json::from_str(json));
    Ok(levels.collect::<Result<_, _>>()?)
}

/// As asked for, but never after a key above it or beyond the bounds.
fn expiry(
    account: &Account,
    asked: Option<u32>,
    (now_ms, bounds): (i64, DelegationBounds),
) -> Result<i64, AdminError> {
    let seconds = asked.unwrap_or(USUAL_SECONDS);
    if !(1..=MAX_SECONDS).contains(&seconds) {
        let message = format!("{seconds} is not from 1 to {MAX_SECONDS}");
        return Err(AdminError::invalid("expires_in_seconds", message));
    }
    let own = now_ms.saturating_add(i64::from(seconds).saturating_mul(1000));
    Ok(line(account).filter_map(|key| key.expires_ms).chain(bounds.until_ms).fold(own, i64::min))
}

fn rate(account: &Account, asked: Option<u32>) -> Result<Option<i64>, AdminError> {
    let Some(asked) = asked.map(i64::from) else { return Ok(None) };
    if asked == 0 {
        return Err(AdminError::invalid("rate_per_minute", "a rate is at least 1 a minute"));
    }
    match line(account).filter_map(|key| key.rate_per_minute).min() {
        Some(most) if most < asked => Err(AdminError::Denied {
            permission: format!("rate_per_minute:{asked}"),
            message: format!(
                "this key is limited to {most} requests a minute, so it cannot give more"
            ),
        }),
        _ => Ok(Some(asked)),
    }
}

/// Whether a budget counts every call that these permissions, all of them together, let through.
fn counts_all(budget: &BudgetRow, levels: &[Permissions]) -> bool {
    budget.feature == "*"
        && levels.iter().any(|level| level.lie_within(&budget.provider, "*"))
        && levels.iter().any(|level| level.lie_within("*", &budget.model))
}

fn not_enough(field: String, asked: i64, budget: &BudgetStatus) -> AdminError {
    let amount = |amount| shown(budget.resource, amount);
    let message = format!(
        "{} is more than the {} that the {} budget {} of {} has left in this {}",
        amount(asked),
        amount(budget.remaining()),
        budget.resource,
        budget.budget,
        budget.owner,
        budget.window
    );
    AdminError::NotEnough { field, message, budget: Box::new(budget.clone()) }
}

fn permissions_of(asked: &DelegatedPermissions) -> Permissions {
    let patterns = |names: &Option<Vec<String>>| {
        names.as_ref().map(|names| names.iter().cloned().map(Pattern).collect())
    };
    Permissions {
        providers: patterns(&asked.providers),
        models: patterns(&asked.models),
        features: asked.features.clone(),
    }
}

/// The key as its maker sees it, without its text.
fn described(row: &KeyRow, budgets: Vec<BudgetStatus>) -> DelegatedKey {
    let permissions = serde_json::from_str::<Value>(&row.permissions).unwrap_or_default();
    DelegatedKey {
        id: row.id.clone(),
        name: row.name.clone(),
        key: None,
        depth: u32::try_from(row.depth).unwrap_or_default(),
        created_ms: row.created_ms,
        expires_ms: row.expires_ms.unwrap_or(i64::MAX),
        permissions: serde_json::from_value(permissions).unwrap_or_default(),
        rate_per_minute: row.rate_per_minute.and_then(|rate| u32::try_from(rate).ok()),
        budgets,
    }
}
