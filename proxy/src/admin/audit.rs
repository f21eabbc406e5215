//! The audit trail: what it says, and whether it is whole.

use super::AdminError;
use crate::{
    ledger::report,
    store::{AuditFilter, AuditRow, Store, StoreError},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Most rows of one answer.
const MAX_ROWS: u32 = 1000;

/// Which rows are asked for; names as in the query of `GET /api/v1/admin/audit`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// Done at or after: RFC 3339, a date, or a span back from now (`7d`).
    pub since: Option<String>,
    /// Only to this subject (`user:<id>`), or to any of its kind (`user`).
    pub subject: Option<String>,
    /// Only by this actor (`key:<id>`), or by any of its kind (`cli`).
    pub actor: Option<String>,
    /// Only rows with smaller numbers: the next page.
    pub before: Option<i64>,
    /// Most rows; 100 unless given, at most 1000.
    pub limit: Option<u32>,
}

/// The newest rows first.
///
/// # Errors
/// When the query makes no sense; any database failure.
pub async fn list(store: &Store, query: &Query, now_ms: i64) -> Result<Vec<AuditRow>, AdminError> {
    let since = query.since.as_deref().map(|text| report::moment(text, now_ms)).transpose();
    let since_ms = since.map_err(|error| AdminError::invalid("since", error.to_string()))?;
    let filter =
        AuditFilter { since_ms, subject: query.subject.clone(), actor: query.actor.clone() };
    let limit = query.limit.unwrap_or(100).min(MAX_ROWS);
    let before = query.before.unwrap_or(i64::MAX);
    Ok(store.audit(&filter, before, i64::from(limit)).await?)
}

/// A row as JSON.
pub fn shown(row: &AuditRow) -> Value {
    let json_of =
        |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    json!({
        "seq": row.seq, "at_ms": row.at_ms, "actor": row.actor, "action": row.action,
        "subject": row.subject, "before": json_of(&row.before), "after": json_of(&row.after),
        "hash": row.hash,
    })
}

/// Rows read at once.
const PAGE: i64 = 1000;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Rows that are whole, from the first on.
    pub rows: i64,
    /// Hash of the last of them. Written down elsewhere, it also proves later that nobody wrote
    /// the whole trail anew.
    pub hash: String,
    /// The first row that is not as it was written.
    pub broken: Option<Break>,
}

/// Where the trail is broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Break {
    /// Number of the row.
    pub seq: i64,
    /// What is wrong there.
    pub reason: &'static str,
}

/// Walks the whole trail, also while rows are added.
///
/// # Errors
/// Any database failure.
pub async fn verify(store: &Store) -> Result<Verdict, StoreError> {
    let mut whole = Verdict { rows: 0, hash: String::new(), broken: None };
    loop {
        let page = store.audit_after(whole.rows, PAGE).await?;
        // Read after the rows: it is never behind a row that was added properly.
        let head = store.audit_head().await?;
        let end = page.is_empty();
        for row in page {
            let reason = if row.seq != whole.rows.saturating_add(1) {
                Some("the row is missing")
            } else if row.hash != row.chained(&whole.hash) {
                Some("the row is not what was written")
            } else if head.as_ref().is_some_and(|head| head.seq < row.seq) {
                Some("the row was added past the end of the trail")
            } else {
                None
            };
            if reason.is_some() {
                return Ok(broken(whole, reason));
            }
            whole = Verdict { rows: row.seq, hash: row.hash, broken: None };
        }
        if !end {
            continue;
        }
        let reason = match head {
            None => Some("the record of the trail's end is missing"),
            // Rows that were added since the page was read are read now.
            Some(head) if head.seq > whole.rows => {
                if !store.audit_after(whole.rows, 1).await?.is_empty() {
                    continue;
                }
                Some("the row is missing: the end of the trail was cut off")
            }
            Some(head) if head.seq == whole.rows && head.hash != whole.hash => {
                Some("the row before is not the one that the trail ended with")
            }
            Some(_) => None,
        };
        return Ok(broken(whole, reason));
    }
}

fn broken(whole: Verdict, reason: Option<&'static str>) -> Verdict {
    let seq = whole.rows.saturating_add(1);
    Verdict { broken: reason.map(|reason| Break { seq, reason }), ..whole }
}
