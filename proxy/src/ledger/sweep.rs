//! Holds of a server that died: charged with what is known, never forgotten and never left open.

use super::{
    Disposition, Outcome, batch,
    outcome::{Ceiling, record},
    writer::{BATCH, Close, Message},
};
use crate::{
    clock::Clock,
    prices::Rates,
    store::{Books, EntryRow, NewEntry, OpenHold, Store, StoreError},
};
use serde_json::{Map, Value};
use std::sync::Arc;
use tollgate_types::Usage;

/// Settles what servers that died left open, as the next start or another server would: nothing
/// that a server which runs may still end. Returns how many holds there were.
///
/// # Errors
/// Any database failure.
pub async fn settle_orphans(store: &Store, clock: &dyn Clock) -> Result<usize, StoreError> {
    let mut books = store.books().await?;
    if store.is_shared() {
        let mut settled = 0_usize;
        loop {
            match sweep_dead(&mut books, clock).await? {
                0 => return Ok(settled),
                some => settled = settled.saturating_add(some),
            }
        }
    }
    // Kept until all is settled, so that no server begins in the middle.
    let _alone = match store.lock() {
        Err(StoreError::InUse { .. }) => return Ok(0),
        claimed => claimed?,
    };
    sweep_all(&mut books, clock).await
}

/// Settles every hold that is open before the writer starts. Returns how many there were.
///
/// One server owns a SQLite database (see `ServerLock`), so at its start every open hold belongs
/// to one that died.
pub(super) async fn sweep_all(books: &mut Books, clock: &dyn Clock) -> Result<usize, StoreError> {
    books.catch_up().await?;
    let open = books.open_holds().await?;
    for some in open.chunks(BATCH) {
        settle(books, some, clock.now_ms()).await?;
    }
    Ok(open.len())
}

/// Settles some of the holds whose server is dead. Several servers may do so at once: whoever takes
/// a hold out of the books settles it. Returns how many there were.
pub(super) async fn sweep_dead(books: &mut Books, clock: &dyn Clock) -> Result<usize, StoreError> {
    books.catch_up().await?;
    let orphans = books.orphans(i64::try_from(BATCH).unwrap_or(i64::MAX)).await?;
    if orphans.is_empty() {
        return Ok(0);
    }
    let open = books.holds(&orphans).await?;
    settle(books, &open, clock.now_ms()).await?;
    Ok(open.len())
}

async fn settle(books: &mut Books, open: &[OpenHold], now_ms: i64) -> Result<(), StoreError> {
    let ends: Vec<_> =
        open.iter().map(|hold| Message::Close(Box::new(end_of(hold, now_ms)))).collect();
    batch::write(books, &ends, now_ms).await.map(drop)
}

/// The entry as it was planned. What of it cannot be read still must not keep money: a degraded
/// row, never none.
fn draft_of(hold: &OpenHold, now_ms: i64) -> EntryRow {
    if let Ok(entry) = serde_json::from_str(&hold.draft) {
        return entry;
    }
    let mut entry = EntryRow {
        request_id: hold.id.clone(),
        attempt: 1,
        tool_fees: "{}".to_owned(),
        tags: "{}".to_owned(),
        started_ms: now_ms,
        ..EntryRow::default()
    };
    let fields: Map<String, Value> = serde_json::from_str(&hold.draft).unwrap_or_default();
    for (name, value) in fields {
        let Ok(Value::Object(mut whole)) = serde_json::to_value(&entry) else { break };
        whole.insert(name, value);
        if let Ok(more) = serde_json::from_value(Value::Object(whole)) {
            entry = more;
        }
    }
    entry
}

/// The end of a hold that nobody else will end.
fn end_of(hold: &OpenHold, now_ms: i64) -> Close {
    let mut entry = NewEntry::from(draft_of(hold, now_ms));
    let tokens = |n: i64| u64::try_from(n).unwrap_or_default();
    let usage = Usage {
        estimated: true,
        ..Usage::tokens(tokens(entry.tokens.input), tokens(hold.delivered_tokens))
    };
    let rates =
        entry.kind.price.as_deref().and_then(|json| serde_json::from_str::<Rates>(json).ok());
    let outcome = Outcome::new(Disposition::Unknown, usage);
    // The budgets' own amounts bound the charge.
    let ceiling = Ceiling { input: u64::MAX, output: u64::MAX, cost: i64::MAX, fees: None };
    let charge = record(&mut entry, &outcome, rates.map(Arc::new).as_ref(), ceiling);
    entry.latency_ms = now_ms.saturating_sub(entry.started_ms).max(0);
    Close { hold_id: hold.id.as_str().into(), charge, entry: Some(Arc::new(entry)), reply: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_plan_that_cannot_be_read_every_field_that_can_be_is_kept() {
        let draft = r#"{"request_id": "r", "user_id": "u", "key_id": 7, "model": "m",
            "input": 12, "output": "many", "started_ms": 5, "from a newer version": {}}"#;
        let hold = OpenHold {
            id: "h".to_owned(),
            node: "n".to_owned(),
            draft: draft.to_owned(),
            delivered_tokens: 3,
        };
        let entry = draft_of(&hold, 99);
        assert_eq!((entry.request_id.as_str(), entry.user_id.as_str()), ("r", "u"));
        assert_eq!((entry.key_id.as_str(), entry.model.as_str()), ("", "m"));
        assert_eq!((entry.tokens.input, entry.tokens.output, entry.started_ms), (12, 0, 5));
        let nothing = draft_of(&OpenHold { draft: "junk".to_owned(), ..hold }, 99);
        assert_eq!((nothing.request_id.as_str(), nothing.started_ms), ("h", 99));
    }
}
