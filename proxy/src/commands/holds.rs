//! `tollgate holds`.

use super::{Failure, output};
use crate::{
    admin::shown,
    clock::SystemClock,
    doctor::{Amount, OpenCall, Server, open_calls},
    store::Store,
};
use clap::Subcommand;
use serde_json::json;
use std::collections::HashMap;
use tollgate_types::Resource;

#[derive(Debug, Subcommand)]
pub(super) enum Holds {
    /// List the requests whose money is set aside, the oldest first.
    #[command(after_help = "Example:
  tollgate holds list --json")]
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(command: Holds, store: &Store) -> Result<(), Failure> {
    let Holds::List { json } = command;
    let calls = open_calls(store, &SystemClock).await?;
    if json {
        return output::json(&json!({"holds": calls}));
    }
    let names = Names::read(store).await?;
    let header = ["hold", "request", "user", "key", "model", "seconds", "server", "held"];
    let rows = calls.iter().map(|call| names.row(call)).collect();
    output::table(header, rows, "no request is running")
}

/// What ids stand for.
struct Names {
    users: HashMap<String, String>,
    resources: HashMap<String, Resource>,
}

impl Names {
    async fn read(store: &Store) -> Result<Self, Failure> {
        let users = store.users().await?.into_iter().map(|user| (user.id, user.name)).collect();
        let budgets = store.budgets().await?.into_iter();
        let resources = budgets.filter_map(|b| Some((b.id, b.resource.parse().ok()?))).collect();
        Ok(Self { users, resources })
    }

    fn row(&self, call: &OpenCall) -> [String; 8] {
        let user = self.users.get(&call.user_id).unwrap_or(&call.user_id);
        let host = call.host.as_deref().unwrap_or("this machine");
        let server = match call.server {
            Server::Alive => host.to_owned(),
            Server::Dead => format!("{host}, dead"),
        };
        let held: Vec<_> = call.amounts.iter().map(|amount| self.amount(amount)).collect();
        [
            call.id.clone(),
            call.request_id.clone(),
            user.clone(),
            call.key_id.clone(),
            call.model.clone(),
            (call.age_ms / 1000).to_string(),
            server,
            held.join(", "),
        ]
    }

    fn amount(&self, amount: &Amount) -> String {
        match self.resources.get(&amount.budget) {
            Some(resource) => {
                format!("{} of {}", shown(*resource, amount.amount), amount.budget)
            }
            None => format!("{} of {}", amount.amount, amount.budget),
        }
    }
}
