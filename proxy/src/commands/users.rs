//! `tollgate users`.

use super::{Failure, amounts::BudgetSpec, output};
use crate::{
    access::{Pattern, Permissions, Role},
    clock::{Clock, SystemClock},
    ids::new_id,
    store::{Store, StoreError, UserRow},
};
use clap::{Args, Subcommand};
use serde_json::json;
use tollgate_types::Feature;

#[derive(Debug, Subcommand)]
pub(super) enum Users {
    /// Add a user.
    Create(Create),
    /// List users.
    #[command(after_help = "Example:
  tollgate users list --json")]
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Delete a user: its keys stop working within a second, its usage stays.
    #[command(after_help = "Example:
  tollgate users delete alice")]
    Delete {
        /// The user.
        name: String,
        #[command(flatten)]
        format: output::Format,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  tollgate users create alice --time-zone Europe/Berlin --budget 'cost=20usd/month'")]
pub(super) struct Create {
    /// A name that no other user has.
    name: String,
    /// member calls models; admin sees everything and calls none.
    #[arg(long, default_value = "member", value_parser = |text: &str| text.parse::<Role>())]
    role: Role,
    /// IANA name; the user's budgets start again by its calendar.
    #[arg(long, default_value = "UTC")]
    time_zone: String,
    #[command(flatten)]
    may: May,
    /// Budget shared by all of the user's keys: cost=5usd/month, tokens=100000/day, requests=10/minute. Can be repeated.
    #[arg(long = "budget", value_name = "BUDGET", value_parser = |text: &str| text.parse::<BudgetSpec>())]
    budgets: Vec<BudgetSpec>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What a user or a key may. An option that is not given permits everything.
#[derive(Debug, Args)]
pub(super) struct May {
    /// Provider that may be used. Can be repeated.
    #[arg(long = "provider", value_name = "NAME")]
    providers: Vec<String>,
    /// Model that may be used, as provider/model; a * at the end stands for any rest. Can be repeated.
    #[arg(long = "model", value_name = "PATTERN")]
    models: Vec<String>,
    /// Feature that may be used: chat, stream, tools, embeddings. Can be repeated.
    #[arg(long = "feature", value_name = "FEATURE", value_parser = |text: &str| text.parse::<Feature>())]
    features: Vec<Feature>,
}

impl May {
    pub(super) fn permissions(&self) -> Permissions {
        let patterns = |names: &[String]| {
            (!names.is_empty()).then(|| names.iter().cloned().map(Pattern).collect())
        };
        Permissions {
            providers: patterns(&self.providers),
            models: patterns(&self.models),
            features: (!self.features.is_empty()).then(|| self.features.clone()),
        }
    }
}

pub(super) async fn run(command: Users, store: &Store) -> Result<(), Failure> {
    match command {
        Users::Create(order) => create(order, store).await,
        Users::List { json } => list(json, store).await,
        Users::Delete { name, format } => {
            if store.delete_user(&name, SystemClock.now_ms()).await? {
                return format.tell(&format!("deleted {name}"), &json!({"deleted": name}));
            }
            Err(unknown(&name))
        }
    }
}

pub(super) fn unknown(name: &str) -> Failure {
    Failure::new(format!("no user is called {name:?}; `tollgate users list` shows all"))
}

async fn create(order: Create, store: &Store) -> Result<(), Failure> {
    let name = order.name;
    if name.is_empty() || name.contains('#') || name.chars().any(char::is_control) {
        return Err(Failure::new(format!("{name:?} cannot be a name")));
    }
    if jiff::tz::TimeZone::get(&order.time_zone).is_err() {
        let zone = order.time_zone;
        return Err(Failure::new(format!(
            "{zone:?} is no time zone, use a name like Europe/Berlin"
        )));
    }
    let user = UserRow {
        id: new_id(&SystemClock),
        name: name.clone(),
        role: order.role.as_str().to_owned(),
        time_zone: order.time_zone,
        permissions: serde_json::to_string(&order.may.permissions())?,
        team_id: None,
        created_ms: SystemClock.now_ms(),
        deleted_ms: None,
    };
    let budgets: Vec<_> =
        order.budgets.iter().map(|spec| spec.row(&SystemClock, "user", &user.id)).collect();
    store.insert_user(&user, &budgets).await.map_err(|error| match error {
        StoreError::Taken => Failure::new(format!("there is a user called {name:?} already")),
        error => error.into(),
    })?;
    if order.json {
        return output::json(&json!({"id": user.id, "name": user.name, "role": user.role}));
    }
    output::line(&format!("created the user {name}"))
}

async fn list(json: bool, store: &Store) -> Result<(), Failure> {
    let users = store.users().await?;
    if json {
        let users: Vec<_> = users
            .iter()
            .map(|user| {
                json!({"id": user.id, "name": user.name, "role": user.role,
                       "time_zone": user.time_zone, "created_ms": user.created_ms})
            })
            .collect();
        return output::json(&users);
    }
    let rows = users
        .into_iter()
        .map(|user| [user.name, user.role, user.time_zone, output::moment(user.created_ms)])
        .collect();
    output::table(
        ["name", "role", "time zone", "created"],
        rows,
        "no users yet: tollgate users create NAME",
    )
}
