//! `tollgate budgets`.

use super::{
    Failure,
    behalf::{Once, office},
    output,
};
use crate::{
    admin::{self, Amount, BudgetOrder, BudgetPatch, BudgetTerms, Office, Overrun},
    clock::{Clock, SystemClock},
    ledger::budget_statuses,
    store::{Owner, Store},
};
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum Budgets {
    /// Give a user or a key a budget.
    Create(Create),
    /// List budgets with what is spent and held.
    #[command(after_help = "Examples:
  tollgate budgets list
  tollgate budgets list --user alice --json")]
    List {
        /// Only this user's own budgets, not those of its keys.
        #[arg(long)]
        user: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one budget and how it stands, as JSON.
    #[command(after_help = "Example:
  tollgate budgets show 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6")]
    Show {
        /// Id of the budget.
        id: String,
        /// As it is without.
        #[arg(long, hide = true)]
        json: bool,
    },
    /// Change a budget; what is not named stays, and what is spent stays spent.
    Update(Update),
    /// Delete a budget: it no longer limits anything.
    #[command(after_help = "Example:
  tollgate budgets delete 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6")]
    Delete {
        /// Id of the budget.
        id: String,
        #[command(flatten)]
        once: Once,
        #[command(flatten)]
        format: output::Format,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  tollgate budgets create --user alice cost=5usd/month")]
pub(super) struct Create {
    /// cost=5usd/month, tokens=100000/day, requests=10/minute.
    #[arg(value_parser = |text: &str| text.parse::<BudgetTerms>())]
    budget: BudgetTerms,
    /// The user whose keys share it.
    #[arg(long, required_unless_present = "key", conflicts_with = "key")]
    user: Option<String>,
    /// Id of the key that it limits.
    #[arg(long)]
    key: Option<String>,
    /// When it cannot pay for the whole answer: clamp shortens it, refuse refuses the call.
    #[arg(long, default_value = "clamp", value_parser = |text: &str| text.parse::<Overrun>())]
    overrun: Overrun,
    /// Tell somebody when so many percent are spent.
    #[arg(long, value_name = "PERCENT")]
    alert: Option<u32>,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    format: output::Format,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate budgets update 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6 --cap 10usd
  tollgate budgets update 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6 --overrun refuse --alert 80
  tollgate budgets update 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6 --alert none")]
pub(super) struct Update {
    /// Id of the budget.
    id: String,
    /// The new cap: 10usd, 100000.
    #[arg(long)]
    cap: Option<String>,
    /// When it cannot pay for the whole answer: clamp shortens it, refuse refuses the call.
    #[arg(long, value_parser = |text: &str| text.parse::<Overrun>())]
    overrun: Option<Overrun>,
    /// Tell somebody when so many percent are spent; none for nobody.
    #[arg(long, value_name = "PERCENT")]
    alert: Option<String>,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    format: output::Format,
}

pub(super) async fn run(command: Budgets, store: &Store) -> Result<(), Failure> {
    let office = office(store);
    match command {
        Budgets::Create(order) => create(order, &office).await,
        Budgets::List { user, json } => list(user.as_deref(), json, &office).await,
        Budgets::Show { id, json: _ } => output::json(&office.budget(&id).await?),
        Budgets::Update(order) => update(order, &office).await,
        Budgets::Delete { id, once, format } => {
            let changed = office.delete_budget(&once.mandate()?, &id).await?.changed;
            let sentence = match changed {
                true => format!("deleted {id}"),
                false => format!("{id} was deleted before"),
            };
            format.tell(&sentence, &json!({"deleted": id, "changed": changed}))
        }
    }
}

async fn create(order: Create, office: &Office) -> Result<(), Failure> {
    let mandate = order.once.mandate()?;
    let new = BudgetOrder {
        user: order.user,
        key: order.key,
        resource: order.budget.resource,
        window: order.budget.window,
        cap: order.budget.cap,
        overrun: order.overrun,
        alert_percent: order.alert,
    };
    let made = office.create_budget(&mandate, new).await?;
    order.format.tell(&format!("created the budget {}", made.id), &made)
}

async fn update(order: Update, office: &Office) -> Result<(), Failure> {
    let mandate = order.once.mandate()?;
    let alert = order.alert.as_deref().map(|text| match text {
        "none" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            Failure::new(format!("{text:?} is no percentage, write it like 80, or none"))
        }),
    });
    let patch = BudgetPatch {
        cap: order.cap.map(Amount::Text),
        overrun: order.overrun,
        alert_percent: alert.transpose()?,
    };
    let budget = office.update_budget(&mandate, &order.id, patch).await?;
    let resource = budget.resource.parse().map_err(Failure::new)?;
    let cap = admin::shown(resource, budget.cap);
    order.format.tell(&format!("the cap of {} is {cap} now", budget.id), &budget)
}

async fn list(user: Option<&str>, json: bool, office: &Office) -> Result<(), Failure> {
    let rows = match user {
        Some(name) => {
            let id = office.user(name).await?.id;
            office.store().budgets_of(&[Owner { kind: "user", id }]).await?
        }
        None => office.store().budgets().await?,
    };
    let budgets = budget_statuses(office.store(), rows, SystemClock.now_ms()).await?;
    if json {
        return output::json(&budgets);
    }
    let rows = budgets
        .into_iter()
        .map(|budget| {
            let amount = |n| admin::shown(budget.resource, n);
            let resets = budget.resets_at_ms.map_or_else(|| "never".to_owned(), output::moment);
            let limits = format!("{} a {}", budget.resource, budget.window);
            let (cap, spent, held, left) = (
                amount(budget.cap),
                amount(budget.spent),
                amount(budget.held),
                amount(budget.remaining()),
            );
            [budget.budget, budget.owner, limits, cap, spent, held, left, resets]
        })
        .collect();
    let header = ["id", "owner", "limits", "cap", "spent", "held", "left", "starts again"];
    output::table(
        header,
        rows,
        "no budgets yet: tollgate budgets create --user NAME cost=5usd/month",
    )
}
