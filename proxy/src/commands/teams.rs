//! `tollgate teams`.

use super::{
    Failure,
    behalf::{Once, office},
    output,
};
use crate::{
    admin::{Office, TeamOrder, TeamPatch},
    store::Store,
};
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum Teams {
    /// Add a team.
    #[command(after_help = "Examples:
  tollgate teams create red --organisation acme --time-zone Europe/Berlin
  tollgate budgets create --team red cost=100usd/month
  tollgate users create alice --team red")]
    Create {
        /// A name that no other team has.
        name: String,
        /// The organisation that it belongs to, by name or id.
        #[arg(long)]
        organisation: Option<String>,
        /// IANA name; the team's budgets start again by its calendar.
        #[arg(long, default_value = "UTC")]
        time_zone: String,
        #[command(flatten)]
        once: Once,
        #[command(flatten)]
        format: output::Format,
    },
    /// List teams.
    #[command(after_help = "Example:
  tollgate teams list --json")]
    List(output::Format),
    /// Show one team, as JSON.
    #[command(after_help = "Example:
  tollgate teams show red")]
    Show {
        /// The team, by name or id.
        team: String,
        /// As it is without.
        #[arg(long, hide = true)]
        json: bool,
    },
    /// Change a team; what is not named stays.
    Update(Update),
    /// Delete a team that has no users, with its budgets.
    #[command(after_help = "Example:
  tollgate teams delete red")]
    Delete {
        /// The team, by name or id.
        team: String,
        #[command(flatten)]
        once: Once,
        #[command(flatten)]
        format: output::Format,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate teams update red --name crimson
  tollgate teams update red --organisation acme
  tollgate teams update red --no-organisation")]
pub(super) struct Update {
    /// The team, by name or id.
    team: String,
    /// A new name.
    #[arg(long)]
    name: Option<String>,
    /// IANA name; the team's budgets follow at once.
    #[arg(long)]
    time_zone: Option<String>,
    /// Another organisation, by name or id.
    #[arg(long)]
    organisation: Option<String>,
    /// It belongs to no organisation.
    #[arg(long, conflicts_with = "organisation")]
    no_organisation: bool,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    format: output::Format,
}

pub(super) async fn run(command: Teams, store: &Store) -> Result<(), Failure> {
    let office = office(store);
    match command {
        Teams::Create { name, organisation, time_zone, once, format } => {
            let order = TeamOrder { name, organisation, time_zone };
            let team = office.create_team(&once.mandate()?, &order).await?;
            format.tell(&format!("created the team {}", team.name), &team)
        }
        Teams::List(format) => list(&format, &office).await,
        Teams::Show { team, json: _ } => output::json(&office.team(&team).await?),
        Teams::Update(order) => update(order, &office).await,
        Teams::Delete { team, once, format } => {
            let gone = office.delete_team(&once.mandate()?, &team).await?;
            let sentence = format!("deleted the team {}", gone.name);
            format.tell(&sentence, &json!({"deleted": gone.name, "id": gone.id}))
        }
    }
}

async fn update(order: Update, office: &Office) -> Result<(), Failure> {
    let mandate = order.once.mandate()?;
    let patch = TeamPatch {
        name: order.name,
        time_zone: order.time_zone,
        organisation: match order.no_organisation {
            true => Some(None),
            false => order.organisation.map(Some),
        },
    };
    let team = office.update_team(&mandate, &order.team, &patch).await?;
    order.format.tell(&format!("changed the team {}", team.name), &team)
}

async fn list(format: &output::Format, office: &Office) -> Result<(), Failure> {
    let teams = office.teams().await?;
    if format.is_json() {
        return output::json(&teams);
    }
    let rows = teams
        .into_iter()
        .map(|row| {
            let organisation = row.organisation.unwrap_or_else(|| "-".to_owned());
            let created = output::moment(row.team.created_ms);
            [row.team.name, organisation, row.users.to_string(), row.team.time_zone, created]
        })
        .collect();
    let header = ["name", "organisation", "users", "time zone", "created"];
    output::table(header, rows, "no teams yet: tollgate teams create NAME")
}
