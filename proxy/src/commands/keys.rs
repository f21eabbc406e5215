//! `tollgate keys`.

use super::{
    Failure,
    amounts::{self, BudgetSpec},
    output,
    users::{May, unknown},
};
use crate::{
    access::{KeyOrder, Role, issue_key},
    clock::{Clock, SystemClock},
    store::{KeyRow, Store},
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Make a key; its text is printed once and never again.
    Create(Create),
    /// List keys; never their secrets.
    #[command(after_help = "Examples:
  tollgate keys list
  tollgate keys list --user alice --json")]
    List {
        /// Only this user's.
        #[arg(long)]
        user: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one key, as JSON: its permissions and state.
    #[command(after_help = "Example:
  tollgate keys show 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6")]
    Show {
        /// Id of the key.
        id: String,
        /// As it is without.
        #[arg(long, hide = true)]
        json: bool,
    },
    /// Revoke a key: it stops working within a second.
    #[command(after_help = "Example:
  tollgate keys revoke 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6")]
    Revoke {
        /// Id of the key.
        id: String,
        #[command(flatten)]
        format: output::Format,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  tollgate keys create --user alice --model 'local/*' --feature chat --feature stream \\
      --budget 'cost=5usd/month' --budget 'tokens=100000/month' --budget 'requests=1000/day' \\
      --rate 60/minute --expires 90d")]
pub(super) struct Create {
    /// Whose key it is.
    #[arg(long)]
    user: String,
    /// Label for people.
    #[arg(long, default_value = "")]
    name: String,
    /// member calls models; admin sees everything and calls none.
    #[arg(long, default_value = "member", value_parser = |text: &str| text.parse::<Role>())]
    role: Role,
    #[command(flatten)]
    may: May,
    /// Budget of this key: cost=5usd/month, tokens=100000/day, requests=10/minute. Can be repeated.
    #[arg(long = "budget", value_name = "BUDGET", value_parser = |text: &str| text.parse::<BudgetSpec>())]
    budgets: Vec<BudgetSpec>,
    /// Most requests: 60/minute.
    #[arg(long, value_parser = amounts::per_minute)]
    rate: Option<u32>,
    /// When it stops working: 90d, 12h or 2027-01-31T00:00:00Z.
    #[arg(long)]
    expires: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: Keys, store: &Store) -> Result<(), Failure> {
    match command {
        Keys::Create(order) => create(order, store).await,
        Keys::List { user, json } => list(user.as_deref(), json, store).await,
        Keys::Show { id, json: _ } => {
            let account = store.account(&id).await?.ok_or_else(|| no_key(&id))?;
            output::json(&described(&account.key, &account.user.name))
        }
        Keys::Revoke { id, format } => {
            if store.revoke_key(&id, SystemClock.now_ms()).await? {
                return format.tell(&format!("revoked {id}"), &json!({"revoked": id}));
            }
            Err(match store.account(&id).await? {
                Some(_) => Failure::new(format!("the key {id} was revoked before")),
                None => no_key(&id),
            })
        }
    }
}

fn no_key(id: &str) -> Failure {
    Failure::new(format!("no key has the id {id:?}; `tollgate keys list` shows all"))
}

async fn create(order: Create, store: &Store) -> Result<(), Failure> {
    let user = store.user_named(&order.user).await?.ok_or_else(|| unknown(&order.user))?;
    if order.role == Role::Admin && user.role != Role::Admin.as_str() {
        return Err(Failure::new(format!(
            "{} is no administrator: create one with `tollgate users create NAME --role admin`",
            user.name
        )));
    }
    let now_ms = SystemClock.now_ms();
    let expires_ms = order.expires.as_deref().map(|text| amounts::expiry_ms(text, now_ms));
    let expires_ms = expires_ms.transpose().map_err(Failure::new)?;
    let budgets = order.budgets.iter().map(|spec| spec.row(&SystemClock, "key", "")).collect();
    let issued = issue_key(
        store,
        &SystemClock,
        &user,
        KeyOrder {
            name: order.name,
            role: order.role,
            permissions: order.may.permissions(),
            rate_per_minute: order.rate,
            expires_ms,
            budgets,
        },
    )
    .await?;
    let key = issued.key.expose();
    if order.json {
        return output::json(&json!({
            "id": issued.id, "key": key, "user": user.name, "role": order.role.as_str(),
            "expires_ms": expires_ms,
        }));
    }
    output::line(&format!(
        "{key}\n\nThis is the only time the key is shown. Its id is {}.",
        issued.id
    ))
}

fn state(key: &KeyRow) -> &'static str {
    match (key.revoked_ms, key.expires_ms) {
        (Some(_), _) => "revoked",
        (None, Some(expires_ms)) if expires_ms <= SystemClock.now_ms() => "expired",
        _ => "in force",
    }
}

fn described(key: &KeyRow, user: &str) -> Value {
    json!({
        "id": key.id, "name": key.name, "user": user, "role": key.role, "state": state(key),
        "permissions": serde_json::from_str::<Value>(&key.permissions).unwrap_or_default(),
        "rate_per_minute": key.rate_per_minute, "created_ms": key.created_ms,
        "expires_ms": key.expires_ms, "revoked_ms": key.revoked_ms,
    })
}

async fn list(user: Option<&str>, json: bool, store: &Store) -> Result<(), Failure> {
    let users = store.users().await?;
    let wanted = match user {
        Some(name) => Some(users.iter().find(|u| u.name == name).ok_or_else(|| unknown(name))?),
        None => None,
    };
    let keys = store.keys(wanted.map(|user| user.id.as_str())).await?;
    let name_of = |key: &KeyRow| {
        let owner = users.iter().find(|user| user.id == key.user_id);
        owner.map_or_else(|| "(deleted)".to_owned(), |user| user.name.clone())
    };
    if json {
        let keys: Vec<_> = keys.iter().map(|key| described(key, &name_of(key))).collect();
        return output::json(&keys);
    }
    let rows = keys
        .iter()
        .map(|key| {
            let expires = key.expires_ms.map_or_else(|| "never".to_owned(), output::moment);
            let owner = name_of(key);
            [
                key.id.clone(),
                owner,
                key.name.clone(),
                key.role.clone(),
                state(key).to_owned(),
                expires,
            ]
        })
        .collect();
    let header = ["id", "user", "name", "role", "state", "expires"];
    output::table(header, rows, "no keys yet: tollgate keys create --user NAME")
}
