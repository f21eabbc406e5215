//! Budgets: made, changed, deleted.

use super::{
    AdminError, Amount, Gone, Mandate, Office, Start, Work,
    amounts::given,
    names::something,
    terms::{BudgetScope, BudgetTerms, Overrun, check_percent},
    users::living_user,
};
use crate::{
    ledger::budget_statuses,
    store::{BudgetRow, StoreError},
};
use serde::{Deserialize, Serialize};
use tollgate_types::{BudgetStatus, Feature, Resource, Window};

/// A budget to be made. It has one owner.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetOrder {
    /// The user whose keys share it, by name or id.
    #[serde(default)]
    pub user: Option<String>,
    /// Id of the key that it limits.
    #[serde(default)]
    pub key: Option<String>,
    /// The team whose users share it, by name or id.
    #[serde(default)]
    pub team: Option<String>,
    /// The organisation whose teams share it, by name or id.
    #[serde(default)]
    pub organisation: Option<String>,
    /// Nobody's: every new user gets a copy.
    #[serde(default)]
    pub default: bool,
    /// Only new users of this team get the copy, by name or id; with `default`.
    #[serde(default)]
    pub for_team: Option<String>,
    /// What it counts.
    pub resource: Resource,
    /// How long it lasts before it starts again.
    pub window: Window,
    /// The most that may be spent in one window.
    pub cap: Amount,
    /// What happens when it cannot pay for the whole answer.
    #[serde(default)]
    pub overrun: Overrun,
    /// Somebody is told when so many percent are spent.
    #[serde(default)]
    pub alert_percent: Option<u32>,
    /// Only calls to providers that fit this pattern count.
    #[serde(default)]
    pub provider: Option<String>,
    /// Only calls to models that fit this pattern count, as `provider/model`.
    #[serde(default)]
    pub model: Option<String>,
    /// Only calls that use this feature count.
    #[serde(default)]
    pub feature: Option<Feature>,
    /// It limits nothing: somebody is told when it is passed.
    #[serde(default)]
    pub soft: bool,
}

/// What is changed of a budget; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetPatch {
    /// The most that may be spent in one window; what is spent stays spent.
    pub cap: Option<Amount>,
    /// What happens when it cannot pay for the whole answer.
    pub overrun: Option<Overrun>,
    /// It limits nothing, and only tells.
    pub soft: Option<bool>,
    /// Somebody is told when so many percent are spent; `null`: nobody is.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub alert_percent: Option<Option<u32>>,
}

/// A budget's terms as operators see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetView {
    /// ULID.
    pub id: String,
    /// `organisation`, `team`, `user` or `key`; `default` for one that new users get a copy of.
    pub owner_kind: String,
    /// Id of the owner.
    pub owner_id: String,
    /// IANA name of the zone whose calendar it follows.
    pub time_zone: String,
    /// `cost` (nano-dollars), `tokens` or `requests`.
    pub resource: String,
    /// `minute` to `total`.
    pub window: String,
    /// The most that may be spent in one window, in the resource's unit; no raise included.
    pub cap: i64,
    /// Pattern of the providers that count.
    pub provider: String,
    /// Pattern of the models that count, as `provider/model`.
    pub model: String,
    /// The feature that counts, or `*`.
    pub feature: String,
    /// It limits nothing and only tells.
    pub soft: bool,
    /// `clamp` or `refuse`.
    pub overrun: String,
    /// Somebody is told when so many percent are spent.
    pub alert_percent: Option<i64>,
    /// Added to the cap for a time.
    pub raise_amount: i64,
    /// Until when.
    pub raise_until_ms: i64,
}

/// A budget's terms, and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetStanding {
    /// Its terms.
    #[serde(flatten)]
    pub terms: BudgetView,
    /// The window that runs: counters, its end, and the cap with a raise.
    pub now: BudgetStatus,
}

impl BudgetView {
    /// Of a row.
    pub fn of(row: &BudgetRow) -> Self {
        Self {
            id: row.id.clone(),
            owner_kind: row.owner_kind.clone(),
            owner_id: row.owner_id.clone(),
            time_zone: row.time_zone.clone(),
            resource: row.resource.clone(),
            window: row.span.clone(),
            cap: row.cap,
            provider: row.provider.clone(),
            model: row.model.clone(),
            feature: row.feature.clone(),
            soft: row.enforcement == "soft",
            overrun: row.overrun.clone(),
            alert_percent: row.alert_percent,
            raise_amount: row.raise_amount,
            raise_until_ms: row.raise_until_ms,
        }
    }
}

impl Office {
    /// Makes a budget.
    ///
    /// # Errors
    /// When a value makes no sense, there is no such owner, or one of its budgets limits the same;
    /// any database failure.
    pub async fn create_budget(
        &self,
        mandate: &Mandate,
        order: BudgetOrder,
    ) -> Result<BudgetView, AdminError> {
        let terms = order.terms();
        terms.check()?;
        let mut work = match self.begin(mandate, "budget.create", &order).await? {
            Start::First(work) => work,
            Start::Again(answer) => return Ok(answer),
        };
        let (kind, owner) = owner_of(&mut work, &order).await?;
        let view = self.add_budget(&mut work, (kind, &owner), &terms).await?;
        let answer = view.clone();
        work.finish(format!("budget:{}", view.id), None::<&()>, Some(&view), answer).await
    }

    /// Adds budgets of an owner that is made or changed in the same work.
    ///
    /// # Errors
    /// As [`Office::create_budget`].
    pub(super) async fn add_budgets(
        &self,
        work: &mut Work,
        owner: (&str, &str),
        budgets: &[BudgetTerms],
    ) -> Result<Vec<BudgetView>, AdminError> {
        let mut views = Vec::with_capacity(budgets.len());
        for (index, terms) in budgets.iter().enumerate() {
            let below = |error: AdminError| error.below(&format!("budgets[{index}]"));
            terms.check().map_err(below)?;
            views.push(self.add_budget(work, owner, terms).await.map_err(below)?);
        }
        Ok(views)
    }

    async fn add_budget(
        &self,
        work: &mut Work,
        (kind, owner): (&str, &str),
        terms: &BudgetTerms,
    ) -> Result<BudgetView, AdminError> {
        let row = terms.row(self.clock(), kind, owner)?;
        refuse_double(work, &row).await?;
        work.change.insert_budget(&row, work.now_ms).await?;
        // Name and zone of the owner are the owner's own.
        let row = work.change.budget(&row.id).await?;
        let row = row.ok_or_else(|| StoreError::Row("a new budget is not there".to_owned()))?;
        Ok(BudgetView::of(&row))
    }

    /// A living budget, and how it stands.
    ///
    /// # Errors
    /// When there is none; any database failure.
    pub async fn budget(&self, id: &str) -> Result<BudgetStanding, AdminError> {
        let row =
            self.store().budget(id).await?.ok_or_else(|| AdminError::unknown("budget", id))?;
        let standing = self.standings(vec![row]).await?.into_iter().next();
        standing.ok_or_else(|| AdminError::unknown("budget", id))
    }

    /// All living budgets, or those of one user and of its keys.
    ///
    /// # Errors
    /// When there is no such user; any database failure.
    pub async fn budgets(&self, user: Option<&str>) -> Result<Vec<BudgetStanding>, AdminError> {
        let mut rows = self.store().budgets().await?;
        if let Some(named) = user {
            let user = self.user(named).await?;
            let keys = self.store().keys(Some(&user.id)).await?;
            rows.retain(|row| {
                row.owner_id == user.id || keys.iter().any(|key| key.id == row.owner_id)
            });
        }
        self.standings(rows).await
    }

    async fn standings(&self, rows: Vec<BudgetRow>) -> Result<Vec<BudgetStanding>, AdminError> {
        let terms: Vec<_> = rows.iter().map(BudgetView::of).collect();
        let now = budget_statuses(self.store(), rows, self.clock().now_ms()).await?;
        let standings = terms.into_iter().zip(now);
        Ok(standings.map(|(terms, now)| BudgetStanding { terms, now }).collect())
    }

    /// Changes a budget. What is spent stays spent, also where that is above the new cap.
    ///
    /// # Errors
    /// When a value makes no sense or there is no such budget; any database failure.
    pub async fn update_budget(
        &self,
        mandate: &Mandate,
        id: &str,
        patch: BudgetPatch,
    ) -> Result<BudgetView, AdminError> {
        something(&patch)?;
        let mut work = match self.begin(mandate, "budget.update", &(id, &patch)).await? {
            Start::First(work) => work,
            Start::Again(answer) => return Ok(answer),
        };
        let before = work.change.budget(id).await?;
        let before = before.ok_or_else(|| AdminError::unknown("budget", id))?;
        let row = patched(before.clone(), &patch)?;
        let (before, after) = (BudgetView::of(&before), BudgetView::of(&row));
        if before == after {
            return work.keep(after).await;
        }
        work.change.update_budget(&row).await?;
        let answer = after.clone();
        work.finish(format!("budget:{id}"), Some(&before), Some(&after), answer).await
    }

    /// Deletes a budget: it no longer limits anything; calls that run are settled. Deleting it once
    /// more changes nothing.
    ///
    /// # Errors
    /// When there never was such a budget; any database failure.
    pub async fn delete_budget(&self, mandate: &Mandate, id: &str) -> Result<Gone, AdminError> {
        let mut work = match self.begin(mandate, "budget.delete", &id).await? {
            Start::First(work) => work,
            Start::Again(answer) => return Ok(answer),
        };
        let answer = |changed| Gone { id: id.to_owned(), changed };
        let Some(row) = work.change.budget(id).await? else {
            if work.change.budget_was_deleted(id).await? {
                return work.keep(answer(false)).await;
            }
            return Err(AdminError::unknown("budget", id));
        };
        work.change.delete_budget(id, work.now_ms).await?;
        let before = BudgetView::of(&row);
        work.finish(format!("budget:{id}"), Some(&before), None::<&()>, answer(true)).await
    }
}

impl BudgetOrder {
    fn terms(&self) -> BudgetTerms {
        BudgetTerms {
            resource: self.resource,
            window: self.window,
            cap: self.cap.clone(),
            overrun: self.overrun,
            alert_percent: self.alert_percent,
            scope: BudgetScope {
                provider: self.provider.clone(),
                model: self.model.clone(),
                feature: self.feature,
            },
            soft: self.soft,
        }
    }
}

/// Kind and id of the one owner.
async fn owner_of(
    work: &mut Work,
    order: &BudgetOrder,
) -> Result<(&'static str, String), AdminError> {
    let BudgetOrder { organisation, team, user, key, default, for_team, .. } = order;
    let named = [organisation, team, user, key].into_iter().flatten().count();
    if named + usize::from(*default) != 1 || (for_team.is_some() && !default) {
        let message = "name one owner: an organisation, a team, a user, a key, or default, which \
                       alone takes for_team";
        return Err(AdminError::invalid("user", message));
    }
    if let Some(named) = user {
        return Ok(("user", living_user(work, named).await?.id));
    }
    if let Some(named) = organisation {
        let found = work.change.organisation(named).await?;
        let found = found.ok_or_else(|| AdminError::unknown("organisation", named))?;
        return Ok(("organisation", found.id));
    }
    if let Some(id) = key {
        let key = work.change.key(id).await?;
        let key = key.ok_or_else(|| AdminError::unknown("key", id))?;
        if key.revoked_ms.is_some() {
            return Err(AdminError::InTheWay(format!("the key {id} was revoked")));
        }
        return Ok(("key", key.id));
    }
    let kind = if *default { "default" } else { "team" };
    let Some(named) = team.as_ref().or(for_team.as_ref()) else { return Ok((kind, String::new())) };
    let found = work.change.team(named).await?;
    Ok((kind, found.ok_or_else(|| AdminError::unknown("team", named))?.id))
}

/// Two budgets that limit the same are one of them and a mistake.
async fn refuse_double(work: &mut Work, row: &BudgetRow) -> Result<(), AdminError> {
    let Some(id) = work.change.budget_like(row).await? else { return Ok(()) };
    Err(AdminError::InTheWay(format!(
        "the budget {id} limits {} a {} of this {} already; change its cap instead",
        row.resource, row.span, row.owner_kind
    )))
}

fn patched(mut row: BudgetRow, patch: &BudgetPatch) -> Result<BudgetRow, AdminError> {
    if let Some(cap) = &patch.cap {
        let resource: Resource = row.resource.parse().map_err(StoreError::Row)?;
        row.cap = cap.of(resource).map_err(|message| AdminError::invalid("cap", message))?;
    }
    if let Some(overrun) = patch.overrun {
        overrun.as_str().clone_into(&mut row.overrun);
    }
    if let Some(soft) = patch.soft {
        if soft { "soft" } else { "hard" }.clone_into(&mut row.enforcement);
    }
    if row.enforcement == "soft" && row.overrun == Overrun::Refuse.as_str() {
        return Err(AdminError::invalid("overrun", "a soft budget refuses nothing"));
    }
    if let Some(percent) = patch.alert_percent {
        check_percent(percent)?;
        row.alert_percent = percent.map(i64::from);
    }
    Ok(row)
}
