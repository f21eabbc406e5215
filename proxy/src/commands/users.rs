//! `tollgate users`.

use super::{
    Failure,
    behalf::{Once, office},
    output,
};
use crate::{
    access::{Pattern, Permissions, Role},
    admin::{BudgetTerms, Office, UserOrder, UserPatch},
    store::Store,
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
    /// Show one user, as JSON.
    #[command(after_help = "Example:
  tollgate users show alice")]
    Show {
        /// The user, by name or id.
        name: String,
        /// As it is without.
        #[arg(long, hide = true)]
        json: bool,
    },
    /// Change a user; what is not named stays.
    Update(Update),
    /// Delete a user with its budgets: its keys stop working within a second, its usage stays.
    #[command(after_help = "Example:
  tollgate users delete alice")]
    Delete {
        /// The user.
        name: String,
        #[command(flatten)]
        once: Once,
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
    /// The team that it belongs to, by name or id.
    #[arg(long)]
    team: Option<String>,
    #[command(flatten)]
    may: May,
    /// Budget shared by all of the user's keys: cost=5usd/month, tokens=100000/day, requests=10/minute. Can be repeated.
    #[arg(long = "budget", value_name = "BUDGET", value_parser = |text: &str| text.parse::<BudgetTerms>())]
    budgets: Vec<BudgetTerms>,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    format: output::Format,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate users update alice --time-zone Europe/Berlin
  tollgate users update alice --model 'local/*' --model 'openai/gpt-4o-mini'
  tollgate users update alice --everything
  tollgate users update alice --team red --apply-defaults")]
pub(super) struct Update {
    /// The user, by name or id.
    user: String,
    /// A new name.
    #[arg(long)]
    name: Option<String>,
    /// member calls models; admin sees everything and calls none.
    #[arg(long, value_parser = |text: &str| text.parse::<Role>())]
    role: Option<Role>,
    /// IANA name; the budgets of the user and of its keys follow at once.
    #[arg(long)]
    time_zone: Option<String>,
    /// Another team, by name or id. It brings its own budgets, but not its defaults: see
    /// --apply-defaults.
    #[arg(long)]
    team: Option<String>,
    /// It belongs to no team.
    #[arg(long, conflicts_with = "team")]
    no_team: bool,
    /// Give it the default budgets that a new user of its team would get now, except those that
    /// limit the same as a budget it has.
    #[arg(long)]
    apply_defaults: bool,
    #[command(flatten)]
    may: MayNow,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    format: output::Format,
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

/// What a user or a key may from now on. One of these takes the place of all that was said before.
#[derive(Debug, Args)]
pub(super) struct MayNow {
    #[command(flatten)]
    may: May,
    /// Everything may be used again.
    #[arg(long, conflicts_with_all = ["providers", "models", "features"])]
    everything: bool,
}

impl MayNow {
    /// `None` when it stays as it is.
    pub(super) fn permissions(&self) -> Option<Permissions> {
        let permissions = self.may.permissions();
        (self.everything || permissions != Permissions::default()).then_some(permissions)
    }
}

pub(super) async fn run(command: Users, store: &Store) -> Result<(), Failure> {
    let office = office(store);
    match command {
        Users::Create(order) => create(order, &office).await,
        Users::List { json } => list(json, &office).await,
        Users::Show { name, json: _ } => output::json(&office.user(&name).await?),
        Users::Update(order) => update(order, &office).await,
        Users::Delete { name, once, format } => {
            let gone = office.delete_user(&once.mandate()?, &name).await?;
            let sentence = match gone.changed {
                true => format!("deleted {name}"),
                false => format!("{name} was deleted before"),
            };
            let changed = gone.changed;
            format.tell(&sentence, &json!({"deleted": name, "id": gone.id, "changed": changed}))
        }
    }
}

async fn create(order: Create, office: &Office) -> Result<(), Failure> {
    let mandate = order.once.mandate()?;
    let new = UserOrder {
        permissions: order.may.permissions(),
        name: order.name,
        role: order.role,
        time_zone: order.time_zone,
        team: order.team,
        budgets: order.budgets,
    };
    let made = office.create_user(&mandate, new).await?;
    order.format.tell(&format!("created the user {}", made.user.name), &made)
}

async fn update(order: Update, office: &Office) -> Result<(), Failure> {
    let mandate = order.once.mandate()?;
    let patch = UserPatch {
        permissions: order.may.permissions(),
        name: order.name,
        role: order.role,
        time_zone: order.time_zone,
        team: if order.no_team { Some(None) } else { order.team.map(Some) },
        apply_defaults: order.apply_defaults,
    };
    let user = office.update_user(&mandate, &order.user, patch).await?;
    order.format.tell(&format!("changed the user {}", user.name), &user)
}

async fn list(json: bool, office: &Office) -> Result<(), Failure> {
    let users = office.users().await?;
    if json {
        return output::json(&users);
    }
    let teams = office.teams().await?;
    let team = |id: &str| teams.iter().find(|known| known.team.id == id);
    let rows = users
        .into_iter()
        .map(|user| {
            let team = user.team_id.as_deref().and_then(team);
            let team = team.map_or_else(String::new, |known| known.team.name.clone());
            [user.name, user.role, team, user.time_zone, output::moment(user.created_ms)]
        })
        .collect();
    output::table(
        ["name", "role", "team", "time zone", "created"],
        rows,
        "no users yet: tollgate users create NAME",
    )
}
