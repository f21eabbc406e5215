//! `tollgate keys`.

use super::{
    Failure,
    behalf::{Once, office},
    output,
    users::{May, MayNow},
};
use crate::{
    access::Role,
    admin::{BudgetTerms, Issued, KeyPatch, NewKey, Office, Overrun, Rotation},
    store::Store,
};
use clap::{Args, Subcommand};
use serde_json::json;

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
    /// Change a key; what is not named stays. Its secret stays too.
    Update(Update),
    /// Give a key a new secret, which is printed once; id, budgets and permissions stay.
    #[command(after_help = "Examples:
  tollgate keys rotate 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6
  tollgate keys rotate 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6 --overlap 24h")]
    Rotate {
        /// Id of the key.
        id: String,
        /// How long the secret before goes on working: 10m, 24h, at most 30d. Without it, not at all.
        #[arg(long)]
        overlap: Option<String>,
        #[command(flatten)]
        once: Once,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key: it stops working within a second.
    #[command(after_help = "Example:
  tollgate keys revoke 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6")]
    Revoke {
        /// Id of the key.
        id: String,
        #[command(flatten)]
        once: Once,
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
    #[arg(long = "budget", value_name = "BUDGET", value_parser = |text: &str| text.parse::<BudgetTerms>())]
    budgets: Vec<BudgetTerms>,
    /// Most requests: 60/minute.
    #[arg(long, value_parser = per_minute)]
    rate: Option<u32>,
    /// When it stops working: 90d, 12h or 2027-01-31T00:00:00Z.
    #[arg(long)]
    expires: Option<String>,
    /// When a budget cannot pay for the whole answer: clamp shortens it, refuse refuses the call.
    #[arg(long, default_value = "clamp", value_parser = |text: &str| text.parse::<Overrun>())]
    overrun: Overrun,
    #[command(flatten)]
    once: Once,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate keys update 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6 --rate 10/minute --expires 30d
  tollgate keys update 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6 --model 'local/*' --overrun refuse
  tollgate keys update 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6 --rate none --expires never --everything")]
pub(super) struct Update {
    /// Id of the key.
    id: String,
    /// Label for people.
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    may: MayNow,
    /// Most requests: 60/minute; none for no limit.
    #[arg(long, value_parser = rate)]
    rate: Option<Rate>,
    /// When it stops working: 90d, 12h, 2027-01-31T00:00:00Z or never.
    #[arg(long)]
    expires: Option<String>,
    /// When a budget cannot pay for the whole answer: clamp shortens it, refuse refuses the call.
    #[arg(long, value_parser = |text: &str| text.parse::<Overrun>())]
    overrun: Option<Overrun>,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    format: output::Format,
}

/// A rate, or none.
#[derive(Clone, Copy, Debug)]
struct Rate(Option<u32>);

/// `N/minute` or `none`.
fn rate(text: &str) -> Result<Rate, String> {
    if text == "none" { Ok(Rate(None)) } else { per_minute(text).map(|rate| Rate(Some(rate))) }
}

/// `N/minute`.
fn per_minute(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix("/minute").and_then(|number| number.parse().ok());
    number
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("{text:?} is no rate, write it like 60/minute"))
}

pub(super) async fn run(command: Keys, store: &Store) -> Result<(), Failure> {
    let office = office(store);
    match command {
        Keys::Create(order) => create(order, &office).await,
        Keys::List { user, json } => list(user.as_deref(), json, &office).await,
        Keys::Show { id, json: _ } => output::json(&office.key(&id).await?),
        Keys::Update(order) => update(order, &office).await,
        Keys::Rotate { id, overlap, once, json } => {
            let issued = office.rotate_key(&once.mandate()?, &id, Rotation { overlap }).await?;
            print(&issued, json)
        }
        Keys::Revoke { id, once, format } => {
            if office.revoke_key(&once.mandate()?, &id).await?.changed {
                return format.tell(&format!("revoked {id}"), &json!({"revoked": id}));
            }
            Err(Failure::new(format!("the key {id} was revoked before")))
        }
    }
}

async fn create(order: Create, office: &Office) -> Result<(), Failure> {
    let mandate = order.once.mandate()?;
    let new = NewKey {
        permissions: order.may.permissions(),
        user: order.user,
        name: order.name,
        role: order.role,
        rate_per_minute: order.rate,
        expires: order.expires,
        overrun: order.overrun,
        budgets: order.budgets,
    };
    print(&office.create_key(&mandate, new).await?, order.json)
}

/// The only time that a key's text is shown.
fn print(issued: &Issued, json: bool) -> Result<(), Failure> {
    if json {
        return output::json(&issued.shown()?);
    }
    let id = &issued.made.view.id;
    match &issued.key {
        Some(key) => output::line(&format!(
            "{}\n\nThis is the only time the key is shown. Its id is {id}.",
            key.expose()
        )),
        None => output::line(&format!("{} Its id is {id}.", Issued::HINT)),
    }
}

async fn update(order: Update, office: &Office) -> Result<(), Failure> {
    let mandate = order.once.mandate()?;
    let patch = KeyPatch {
        permissions: order.may.permissions(),
        name: order.name,
        rate_per_minute: order.rate.map(|Rate(rate)| rate),
        expires: order.expires.map(|text| (text != "never").then_some(text)),
        overrun: order.overrun,
    };
    let key = office.update_key(&mandate, &order.id, patch).await?;
    order.format.tell(&format!("changed the key {}", key.id), &key)
}

async fn list(user: Option<&str>, json: bool, office: &Office) -> Result<(), Failure> {
    let keys = office.keys(user).await?;
    if json {
        return output::json(&keys);
    }
    let rows = keys
        .into_iter()
        .map(|key| {
            let expires = key.expires_ms.map_or_else(|| "never".to_owned(), output::moment);
            let below = key.parent_id.unwrap_or_default();
            [key.id, key.user, key.name, key.role, key.state, expires, below]
        })
        .collect();
    let header = ["id", "user", "name", "role", "state", "expires", "delegated from"];
    output::table(header, rows, "no keys yet: tollgate keys create --user NAME")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_that_make_no_sense_are_refused() {
        assert_eq!(per_minute("60/minute"), Ok(60));
        for wrong in ["0/minute", "60", "60/hour", "-1/minute", "1.5/minute", "5000000000/minute"] {
            assert!(per_minute(wrong).is_err(), "{wrong}");
        }
    }
}
