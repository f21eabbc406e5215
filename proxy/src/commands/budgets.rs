//! `tollgate budgets`.

use super::{
    Failure,
    amounts::{self, BudgetSpec},
    output,
    users::unknown,
};
use crate::{
    clock::{Clock, SystemClock},
    ledger::budget_statuses,
    store::{Owner, Store},
};
use clap::{Args, Subcommand};
use serde_json::json;
use tollgate_types::Resource;

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
    /// Change the cap of a budget; what is spent stays spent.
    #[command(after_help = "Example:
  tollgate budgets update 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6 --cap 10usd")]
    Update {
        /// Id of the budget.
        id: String,
        /// The new cap: 10usd, 100000.
        #[arg(long)]
        cap: String,
        #[command(flatten)]
        format: output::Format,
    },
    /// Delete a budget: it no longer limits anything.
    #[command(after_help = "Example:
  tollgate budgets delete 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6")]
    Delete {
        /// Id of the budget.
        id: String,
        #[command(flatten)]
        format: output::Format,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  tollgate budgets create --user alice cost=5usd/month")]
pub(super) struct Create {
    /// cost=5usd/month, tokens=100000/day, requests=10/minute.
    #[arg(value_parser = |text: &str| text.parse::<BudgetSpec>())]
    budget: BudgetSpec,
    /// The user whose keys share it.
    #[arg(long, required_unless_present = "key", conflicts_with = "key")]
    user: Option<String>,
    /// Id of the key that it limits.
    #[arg(long)]
    key: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: Budgets, store: &Store) -> Result<(), Failure> {
    match command {
        Budgets::Create(order) => create(order, store).await,
        Budgets::List { user, json } => list(user.as_deref(), json, store).await,
        Budgets::Update { id, cap, format } => update(&id, &cap, &format, store).await,
        Budgets::Delete { id, format } => {
            if store.delete_budget(&id, SystemClock.now_ms()).await? {
                return format.tell(&format!("deleted {id}"), &json!({"deleted": id}));
            }
            Err(no_budget(&id))
        }
    }
}

fn no_budget(id: &str) -> Failure {
    Failure::new(format!("no budget has the id {id:?}; `tollgate budgets list` shows all"))
}

async fn create(order: Create, store: &Store) -> Result<(), Failure> {
    let (kind, owner) = match (&order.user, &order.key) {
        (Some(name), _) => ("user", store.user_named(name).await?.ok_or_else(|| unknown(name))?.id),
        (None, Some(id)) => match store.account(id).await? {
            Some(account) => ("key", account.key.id),
            None => return Err(Failure::new(format!("no key has the id {id:?}"))),
        },
        (None, None) => return Err(Failure::new("name the owner: --user NAME or --key ID")),
    };
    let row = order.budget.row(&SystemClock, kind, &owner);
    store.insert_budget(&row, SystemClock.now_ms()).await?;
    if order.json {
        return output::json(&json!({"id": row.id, "owner_kind": kind, "owner_id": owner}));
    }
    output::line(&format!("created the budget {}", row.id))
}

async fn update(
    id: &str,
    cap: &str,
    format: &output::Format,
    store: &Store,
) -> Result<(), Failure> {
    let rows = store.budgets().await?;
    let row = rows.iter().find(|row| row.id == id).ok_or_else(|| no_budget(id))?;
    let resource: Resource = row.resource.parse().map_err(Failure::new)?;
    let cap = amounts::cap(resource, cap).map_err(Failure::new)?;
    if !store.set_cap(id, cap).await? {
        return Err(no_budget(id));
    }
    let sentence = format!("the cap of {id} is {} now", amounts::amount(resource, cap));
    format.tell(&sentence, &json!({"id": id, "resource": resource, "cap": cap}))
}

async fn list(user: Option<&str>, json: bool, store: &Store) -> Result<(), Failure> {
    let rows = match user {
        Some(name) => {
            let id = store.user_named(name).await?.ok_or_else(|| unknown(name))?.id;
            store.budgets_of(&[Owner { kind: "user", id }]).await?
        }
        None => store.budgets().await?,
    };
    let budgets = budget_statuses(store, rows, SystemClock.now_ms()).await?;
    if json {
        return output::json(&budgets);
    }
    let rows = budgets
        .into_iter()
        .map(|budget| {
            let amount = |n| amounts::amount(budget.resource, n);
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
