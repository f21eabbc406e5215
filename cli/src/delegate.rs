//! `toll delegate`: keys below the caller's own, for an agent or a task.

use crate::{failure::Result, output, show};
use clap::Subcommand;
use serde_json::json;
use tollgate_client::RemoteProvider;
use tollgate_types::{
    DelegateRequest, DelegatedKey, DelegatedPermissions, Feature, SubBudget, wire::DelegatedKeyList,
};

/// Makes, lists and revokes keys below one's own, which may less and live shorter
#[derive(Subcommand)]
pub(crate) enum Delegate {
    /// Make a key; its text is printed once and never again
    #[command(after_help = "\
Examples:
  toll delegate create --model 'local/*' --budget cost=5usd/day --expires-in 600
  AGENT_KEY=$(toll delegate create --name agent --json | jq -r .key)")]
    Create(Box<Create>),
    /// List the keys in force that one's own delegated to; never their text
    #[command(after_help = "Example:\n  toll delegate list --json | jq -r '.keys[].id'")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key, and every key below it
    #[command(after_help = "Example:\n  toll delegate revoke 01kaj0v3m8z4x5q7r9t1w2y3b6")]
    Revoke {
        /// Id of the key
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(clap::Args)]
pub(crate) struct Create {
    /// Label for people
    #[arg(long)]
    name: Option<String>,

    /// How long it works: 3600 unless given, at most 86400
    #[arg(long, value_name = "SECONDS")]
    expires_in: Option<u32>,

    /// Only this provider; may be repeated, a * at the end stands for any rest
    #[arg(long, value_name = "NAME")]
    provider: Vec<String>,

    /// Only this model, as PROVIDER/MODEL; may be repeated, a * at the end stands for any rest
    #[arg(long, value_name = "MODEL")]
    model: Vec<String>,

    /// Only this feature: chat, stream, tools, embeddings; may be repeated
    #[arg(long, value_name = "NAME")]
    feature: Vec<Feature>,

    /// A budget of its own, such as cost=5usd/day or requests=100/hour; may be repeated
    #[arg(long, value_name = "BUDGET")]
    budget: Vec<SubBudget>,

    /// The most requests a minute
    #[arg(long, value_name = "N")]
    rate: Option<u32>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(remote: RemoteProvider, command: Delegate) -> Result<()> {
    match command {
        Delegate::Create(order) => create(remote, *order).await,
        Delegate::List { json } => list(remote, json).await,
        Delegate::Revoke { id, json } => {
            remote.revoke_delegated(&id).await?;
            if json {
                return output::json(&json!({"revoked": id}));
            }
            output::text(&format!("{id} works no more, and neither do the keys below it\n"))
        }
    }
}

async fn create(remote: RemoteProvider, order: Create) -> Result<()> {
    let some = |names: Vec<String>| Some(names).filter(|names| !names.is_empty());
    let request = DelegateRequest {
        name: order.name,
        expires_in_seconds: order.expires_in,
        permissions: DelegatedPermissions {
            providers: some(order.provider),
            models: some(order.model),
            features: Some(order.feature).filter(|features| !features.is_empty()),
        },
        budgets: order.budget,
        rate_per_minute: order.rate,
    };
    let made = remote.delegate(&request).await?;
    if order.json {
        return output::json(&made);
    }
    let (key, until) = (made.key.as_deref().unwrap_or_default(), show::local_time(made.expires_ms));
    output::text(&format!("{key}\n{} works until {until}; the key is not shown again\n", made.id))
}

async fn list(remote: RemoteProvider, json: bool) -> Result<()> {
    let keys = remote.delegated().await?;
    if json {
        return output::json(&DelegatedKeyList { keys });
    }
    if keys.is_empty() {
        return output::text("this key has delegated to none that is in force\n");
    }
    let names = ["id", "name", "works until", "budgets left"];
    output::text(&output::table(names, keys.iter().map(row).collect()))
}

fn row(key: &DelegatedKey) -> [String; 4] {
    let left = key.budgets.iter().map(|budget| {
        format!("{} a {}", show::amount(budget.resource, budget.remaining()), budget.window)
    });
    let left = left.collect::<Vec<_>>().join(", ");
    [key.id.clone(), key.name.clone(), show::local_time(key.expires_ms), left]
}
