//! Whether the audit trail is whole: no row changed, taken out, or cut off.

use crate::store::{Store, StoreError};
use serde::Serialize;

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
