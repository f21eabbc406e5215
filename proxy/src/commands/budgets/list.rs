//! `tollgate budgets list`.

use crate::{
    admin::{self, BudgetStanding, Office},
    commands::{Failure, output},
};
use clap::{ArgGroup, Args};
use serde::Serialize;
use tollgate_types::{BudgetStatus, Window};

#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("owner")),
    after_help = "Examples:
  tollgate budgets list
  tollgate budgets list --user alice --json
  tollgate budgets list --default"
)]
pub(in crate::commands) struct List {
    /// Only this organisation's own budgets, by its name.
    #[arg(long, group = "owner")]
    organisation: Option<String>,
    /// Only this team's own budgets, by its name.
    #[arg(long, group = "owner")]
    team: Option<String>,
    /// Only this user's own budgets, not those of its keys.
    #[arg(long, group = "owner")]
    user: Option<String>,
    /// Only this key's own budgets, by its id.
    #[arg(long, group = "owner")]
    key: Option<String>,
    /// Only those that new users get a copy of.
    #[arg(long, group = "owner")]
    default: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A budget as it stands, and its other terms.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    now: &'a BudgetStatus,
    overrun: &'a str,
    alert_percent: Option<i64>,
    /// Part of the cap until then.
    raise_amount: i64,
    raise_until_ms: Option<i64>,
}

pub(super) async fn list(order: List, office: &Office) -> Result<(), Failure> {
    let only = owner(&order, office).await?;
    let mut budgets = office.budgets(None).await?;
    budgets.retain(|BudgetStanding { terms, .. }| match &only {
        Some((kind, id)) => {
            terms.owner_kind == *kind && id.as_ref().is_none_or(|id| terms.owner_id == *id)
        }
        None => true,
    });
    if order.json {
        return output::json(&budgets.iter().map(listed).collect::<Vec<_>>());
    }
    let rows = budgets.iter().map(row).collect();
    let header = ["id", "owner", "limits", "cap", "spent", "held", "left", "starts again"];
    output::table(
        header,
        rows,
        "no budgets yet: tollgate budgets create --user NAME cost=5usd/month",
    )
}

/// Kind and id of the owner that was named.
async fn owner(
    order: &List,
    office: &Office,
) -> Result<Option<(&'static str, Option<String>)>, Failure> {
    let of = |kind, id: String| Ok(Some((kind, Some(id))));
    if let Some(name) = &order.organisation {
        return of("organisation", office.organisation(name).await?.organisation.id);
    }
    if let Some(name) = &order.team {
        return of("team", office.team(name).await?.team.id);
    }
    if let Some(name) = &order.user {
        return of("user", office.user(name).await?.id);
    }
    if let Some(id) = &order.key {
        return of("key", office.key(id).await?.id);
    }
    Ok(order.default.then_some(("default", None)))
}

fn listed(BudgetStanding { terms, now }: &BudgetStanding) -> Listed<'_> {
    Listed {
        now,
        overrun: &terms.overrun,
        alert_percent: terms.alert_percent,
        raise_amount: terms.raise_amount,
        raise_until_ms: (terms.raise_until_ms > 0).then_some(terms.raise_until_ms),
    }
}

fn row(BudgetStanding { terms, now }: &BudgetStanding) -> [String; 8] {
    let amount = |n| admin::shown(now.resource, n);
    let resets = now.resets_at_ms.map_or_else(|| "never".to_owned(), output::moment);
    let cap = match now.cap > terms.cap {
        true => format!("{} until {}", amount(now.cap), output::moment(terms.raise_until_ms)),
        false => amount(now.cap),
    };
    let (spent, held, left) = (amount(now.spent), amount(now.held), amount(now.remaining()));
    [now.budget.clone(), now.owner.clone(), limits(now), cap, spent, held, left, resets]
}

/// `cost a month of openai/* by tools, soft`.
fn limits(budget: &BudgetStatus) -> String {
    let mut text = match budget.window {
        Window::Total => format!("{} in all", budget.resource),
        window => format!("{} a {window}", budget.resource),
    };
    for pattern in [&budget.provider, &budget.model].into_iter().flatten() {
        text.push_str(" of ");
        text.push_str(pattern);
    }
    if let Some(feature) = &budget.feature {
        text.push_str(" by ");
        text.push_str(feature);
    }
    if budget.soft {
        text.push_str(", soft");
    }
    text
}
