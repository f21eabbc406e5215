//! `tollgate organisations`.

use super::{
    Failure,
    behalf::{Once, office},
    output,
};
use crate::{
    admin::{Office, OrganisationOrder, OrganisationPatch},
    store::Store,
};
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum Organisations {
    /// Add an organisation.
    #[command(after_help = "Examples:
  tollgate organisations create acme --time-zone Europe/Berlin
  tollgate budgets create --organisation acme cost=1000usd/month
  tollgate teams create red --organisation acme")]
    Create {
        /// A name that no other organisation has.
        name: String,
        /// IANA name; the organisation's budgets start again by its calendar.
        #[arg(long, default_value = "UTC")]
        time_zone: String,
        #[command(flatten)]
        once: Once,
        #[command(flatten)]
        format: output::Format,
    },
    /// List organisations.
    #[command(after_help = "Example:
  tollgate organisations list --json")]
    List(output::Format),
    /// Show one organisation, as JSON.
    #[command(after_help = "Example:
  tollgate organisations show acme")]
    Show {
        /// The organisation, by name or id.
        organisation: String,
        /// As it is without.
        #[arg(long, hide = true)]
        json: bool,
    },
    /// Change an organisation; what is not named stays.
    Update(Update),
    /// Delete an organisation that has no teams, with its budgets.
    #[command(after_help = "Example:
  tollgate organisations delete acme")]
    Delete {
        /// The organisation, by name or id.
        organisation: String,
        #[command(flatten)]
        once: Once,
        #[command(flatten)]
        format: output::Format,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate organisations update acme --name 'Acme Ltd'
  tollgate organisations update acme --time-zone Europe/Berlin")]
pub(super) struct Update {
    /// The organisation, by name or id.
    organisation: String,
    /// A new name.
    #[arg(long)]
    name: Option<String>,
    /// IANA name; the organisation's budgets follow at once.
    #[arg(long)]
    time_zone: Option<String>,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    format: output::Format,
}

pub(super) async fn run(command: Organisations, store: &Store) -> Result<(), Failure> {
    let office = office(store);
    match command {
        Organisations::Create { name, time_zone, once, format } => {
            let order = OrganisationOrder { name, time_zone };
            let made = office.create_organisation(&once.mandate()?, &order).await?;
            format.tell(&format!("created the organisation {}", made.name), &made)
        }
        Organisations::List(format) => list(&format, &office).await,
        Organisations::Show { organisation, json: _ } => {
            output::json(&office.organisation(&organisation).await?)
        }
        Organisations::Update(order) => update(order, &office).await,
        Organisations::Delete { organisation, once, format } => {
            let gone = office.delete_organisation(&once.mandate()?, &organisation).await?;
            let sentence = format!("deleted the organisation {}", gone.name);
            format.tell(&sentence, &json!({"deleted": gone.name, "id": gone.id}))
        }
    }
}

async fn update(order: Update, office: &Office) -> Result<(), Failure> {
    let mandate = order.once.mandate()?;
    let patch = OrganisationPatch { name: order.name, time_zone: order.time_zone };
    let row = office.update_organisation(&mandate, &order.organisation, &patch).await?;
    order.format.tell(&format!("changed the organisation {}", row.name), &row)
}

async fn list(format: &output::Format, office: &Office) -> Result<(), Failure> {
    let organisations = office.organisations().await?;
    if format.is_json() {
        return output::json(&organisations);
    }
    let rows = organisations
        .into_iter()
        .map(|row| {
            let created = output::moment(row.organisation.created_ms);
            let (name, zone) = (row.organisation.name, row.organisation.time_zone);
            [name, row.teams.to_string(), zone, created]
        })
        .collect();
    let header = ["name", "teams", "time zone", "created"];
    output::table(header, rows, "no organisations yet: tollgate organisations create NAME")
}
