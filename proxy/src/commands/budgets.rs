//! `tollgate budgets`.

mod alerts;
mod create;
mod list;
mod update;

use super::{
    Failure,
    behalf::{Once, office},
    output,
};
use crate::store::Store;
use clap::Subcommand;
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum Budgets {
    /// Give an organisation, a team, a user, a key, or every new user a budget.
    Create(create::Create),
    /// List budgets with what is spent and held.
    List(list::List),
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
    Update(update::Update),
    /// Add to a budget's cap for a time.
    Raise(update::Raise),
    /// List the budgets that passed the percentage at which somebody is told, the newest first.
    Alerts(alerts::Alerts),
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

pub(super) async fn run(command: Budgets, store: &Store) -> Result<(), Failure> {
    let office = office(store);
    match command {
        Budgets::Create(order) => create::create(order, &office).await,
        Budgets::List(order) => list::list(order, &office).await,
        Budgets::Show { id, json: _ } => output::json(&office.budget(&id).await?),
        Budgets::Update(order) => update::update(order, &office).await,
        Budgets::Raise(order) => update::raise(order, &office).await,
        Budgets::Alerts(order) => alerts::list(order, store).await,
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
