//! `tollgate audit`.

use super::{Failure, output};
use crate::{
    admin::audit::{self, Query, Verdict},
    clock::{Clock, SystemClock},
    store::{AuditRow, Store},
};
use clap::{Args, Subcommand};
use serde_json::Value;

/// Longest description of a change in a table, in letters.
const LONGEST: usize = 100;

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// List changes, the newest first: who, when, what. JSON has all of before and after.
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
    let header = ["seq", "when", "actor", "action", "subject", "what"];
    output::table(header, rows, "no changes yet")
}

fn row(row: AuditRow) -> [String; 6] {
    let AuditRow { seq, at_ms, actor, action, subject, before, after, .. } = row;
    [seq.to_string(), output::moment(at_ms), actor, action, subject, change(&before, &after)]
}

/// The fields that differ, as far as they fit into a line; `--json` has all of them.
fn change(before: &str, after: &str) -> String {
    let [before, after] = [before, after].map(|text| serde_json::from_str(text).ok());
    let told = match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let differs = after.iter().filter(|(name, now)| before.get(*name) != Some(*now));
            let told = differs.map(|(name, now)| {
                let was = before.get(name).unwrap_or(&Value::Null);
                format!("{name}: {} -> {}", brief(was), brief(now))
            });
            told.collect::<Vec<_>>().join(", ")
        }
        (_, Some(Value::Object(made))) => {
            let said = made.iter().filter(|(name, value)| !is_dull(name, value));
            let told = said.map(|(name, value)| format!("{name}: {}", brief(value)));
            told.collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    };
    if told.chars().count() <= LONGEST {
        told
    } else {
        told.chars().take(LONGEST).chain(['…']).collect()
    }
}

/// Ids, moments, and what says nothing, which the line can do without.
fn is_dull(name: &str, value: &Value) -> bool {
    name == "id"
        || name.ends_with("_ms")
        || matches!(value, Value::Null | Value::Bool(false))
        || value.as_str().is_some_and(|text| text.is_empty() || text == "*")
        || value.as_i64() == Some(0)
        || value.as_object().is_some_and(serde_json::Map::is_empty)
}

fn brief(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_in_a_line() {
        let before = r#"{"id": "b", "cap": 5, "soft": false}"#;
        assert_eq!(change(before, r#"{"id": "b", "cap": 7, "soft": false}"#), "cap: 5 -> 7");
        let made = r#"{"id": "b", "name": "red", "model": "*", "created_ms": 5, "cap": 7}"#;
        assert_eq!(change("null", made), "name: red, cap: 7");
        assert_eq!(change(before, "null"), "");
        assert_eq!(change("not JSON", "[1]"), "");
        let long = change("null", &format!(r#"{{"name": "{}"}}"#, "ä".repeat(500)));
        assert_eq!(long.chars().count(), LONGEST + 1);
    }
}
