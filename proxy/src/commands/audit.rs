//! `tollgate audit`.

use super::{Failure, output};
use crate::{
    admin::audit::{self, Query, Verdict},
    clock::{Clock, SystemClock},
    store::{AuditRow, Store},
};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// List changes, the newest first: who, when, what, before and after.
    List(List),
    /// Check that no row of the trail was changed, taken out or cut off; says the first that was.
    #[command(after_help = "Example:
  tollgate audit verify")]
    Verify(output::Format),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate audit list --since 7d
  tollgate audit list --subject budget --actor cli --json")]
pub(super) struct List {
    /// From then on: 24h, 7d, 2026-01-31 or 2026-01-31T08:00:00Z.
    #[arg(long)]
    since: Option<String>,
    /// Only changes of this thing (user:<id>) or of this kind (user).
    #[arg(long)]
    subject: Option<String>,
    /// Only changes by this actor (key:<id>, cli:<name>) or of this kind (cli).
    #[arg(long)]
    actor: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: Audit, store: &Store) -> Result<(), Failure> {
    match command {
        Audit::List(order) => list(order, store).await,
        Audit::Verify(format) => {
            let verdict = audit::verify(store).await?;
            format.tell(&sentence(&verdict), &verdict)?;
            match verdict.broken {
                Some(_) => Err(Failure::new("the audit trail is broken")),
                None => Ok(()),
            }
        }
    }
}

fn sentence(verdict: &Verdict) -> String {
    match &verdict.broken {
        Some(broken) => format!("row {}: {}", broken.seq, broken.reason),
        None => format!("all {} rows are whole; the last one is {}", verdict.rows, verdict.hash),
    }
}

async fn list(order: List, store: &Store) -> Result<(), Failure> {
    let query = Query {
        since: order.since,
        subject: order.subject,
        actor: order.actor,
        before: None,
        limit: Some(order.limit),
    };
    let rows = audit::list(store, &query, SystemClock.now_ms()).await?;
    if order.json {
        return output::json(&rows.iter().map(audit::shown).collect::<Vec<_>>());
    }
    let rows = rows.into_iter().map(row).collect();
    let header = ["seq", "when", "actor", "action", "subject", "before", "after"];
    output::table(header, rows, "no changes yet")
}

fn row(row: AuditRow) -> [String; 7] {
    let AuditRow { seq, at_ms, actor, action, subject, before, after, .. } = row;
    [seq.to_string(), output::moment(at_ms), actor, action, subject, before, after]
}
