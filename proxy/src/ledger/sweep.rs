//! Holds of a server that died: charged with what is known, never forgotten and never left open.

use super::{
    Disposition, Outcome, batch,
    outcome::{Ceiling, record},
    writer::{BATCH, Close, Message},
};
use crate::{
    clock::Clock,
    prices::Rates,
    store::{Books, EntryRow, OpenHold, StoreError},
};
use std::sync::Arc;
use tollgate_types::Usage;

/// Settles every hold that is open before the writer starts. Returns how many there were.
///
/// One server owns a SQLite database (see `ServerLock`), so at its start every open hold belongs
/// to one that died.
pub(super) async fn sweep(books: &mut Books, clock: &dyn Clock) -> Result<usize, StoreError> {
    let open = books.open_holds().await?;
    let now_ms = clock.now_ms();
    for some in open.chunks(BATCH) {
        let ends: Vec<_> =
            some.iter().map(|hold| Message::Close(Box::new(end_of(hold, now_ms)))).collect();
        batch::write(books, &ends, now_ms).await?;
    }
    Ok(open.len())
}

/// The end of a hold that nobody else will end.
fn end_of(hold: &OpenHold, now_ms: i64) -> Close {
    // A draft that cannot be read still must not keep money: a degraded row, never none.
    let mut entry = serde_json::from_str::<EntryRow>(&hold.draft).unwrap_or_else(|_| EntryRow {
        request_id: hold.id.clone(),
        tool_fees: "{}".to_owned(),
        tags: "{}".to_owned(),
        started_ms: now_ms,
        ..EntryRow::default()
    });
    let tokens = |n: i64| u64::try_from(n).unwrap_or_default();
    let usage = Usage {
        estimated: true,
        ..Usage::tokens(tokens(entry.tokens.input), tokens(hold.delivered_tokens))
    };
    let rates = entry.price.as_deref().and_then(|json| serde_json::from_str::<Rates>(json).ok());
    let outcome = Outcome::new(Disposition::Unknown, usage);
    // The budgets' own amounts bound the charge.
    let ceiling = Ceiling { input: u64::MAX, output: u64::MAX, cost: i64::MAX };
    let charge = record(&mut entry, &outcome, rates.map(Arc::new).as_ref(), ceiling);
    entry.latency_ms = now_ms.saturating_sub(entry.started_ms).max(0);
    Close { hold_id: hold.id.clone(), charge, entry: Some(entry), reply: None }
}
