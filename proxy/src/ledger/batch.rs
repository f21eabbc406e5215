//! One batch of messages, one transaction, a handful of statements.

use super::{
    alert,
    known::{Known, Windows, reason},
    page::{Answer, Page},
    writer::Message,
};
use crate::store::{Books, Owner, StoreError, WindowKey};
use std::collections::BTreeSet;

/// Writes the messages, in their order; returns an answer to each once they are durable.
///
/// # Errors
/// Any database failure; then nothing of the batch counts, and the books must
/// [recover](Books::recover).
pub(super) async fn write(
    books: &mut Books,
    messages: &[Message],
    now_ms: i64,
) -> Result<Vec<Answer>, StoreError> {
    write_knowing(books, &mut Known::default(), messages, now_ms).await
}

/// As [`write`], with what was remembered of the batch before.
///
/// # Errors
/// As [`write`]; then nothing is remembered any more.
pub(super) async fn write_knowing(
    books: &mut Books,
    known: &mut Known,
    messages: &[Message],
    now_ms: i64,
) -> Result<Vec<Answer>, StoreError> {
    let written = attempt(books, known, messages, now_ms).await;
    if written.is_err() {
        known.forget();
    }
    written
}

/// Windows are opened in a transaction of their own before the one that locks them: two servers
/// that open and lock at once would wait for each other.
async fn attempt(
    books: &mut Books,
    known: &mut Known,
    messages: &[Message],
    now_ms: i64,
) -> Result<Vec<Answer>, StoreError> {
    books.reconnect().await?;
    let mut opened = false;
    loop {
        books.begin().await?;
        known.refresh(books).await?;
        let owners = payers(messages);
        known.learn(books, owners.clone(), now_ms).await?;
        let taken = books.take_holds(&ended(messages)).await?;
        let mut page = Page::new(now_ms, taken);
        let mut current = Windows::new();
        for owner in owners {
            page.add_chain(owner.clone(), known.chain(owner, now_ms, &mut current));
        }
        let new = fill(books, known, &mut page, &current).await?;
        if new.is_empty() || opened {
            return commit(books, known, page, messages).await;
        }
        books.rollback().await?;
        books.open_windows(&new).await?;
        opened = true;
    }
}

async fn commit<'m>(
    books: &mut Books,
    known: &mut Known,
    mut page: Page<'m>,
    messages: &'m [Message],
) -> Result<Vec<Answer>, StoreError> {
    let now_ms = page.now_ms();
    let answers = messages.iter().map(|message| page.apply(message)).collect();
    let changes = page.into_changes();
    books.change_windows(&changes.windows, now_ms).await?;
    books.insert_holds(&changes.holds).await?;
    books.insert_entries(&changes.bookings).await?;
    books.add_rollups(&changes.sums).await?;
    books.note_delivered(&changes.notes).await?;
    let alerts = alert::unheard(changes.alerts, known);
    let new = books.insert_alerts(&alerts).await?;
    books.commit().await?;
    known.keep(changes.lines, books.commits());
    known.keep_alerts(&alerts);
    alert::log(&alerts, &new);
    Ok(answers)
}

/// Puts onto the page every window that the batch touches. Returns those that are not open yet.
async fn fill(
    books: &mut Books,
    known: &Known,
    page: &mut Page<'_>,
    current: &Windows,
) -> Result<Vec<(WindowKey, Option<i64>)>, StoreError> {
    let mut wanted = page.charged();
    wanted.extend(current.keys().cloned());
    let mut unknown = Vec::new();
    for window in wanted {
        match known.line(&window) {
            Some(line) => page.add_line(window, Ok(line.clone())),
            None => unknown.push(window),
        }
    }
    let missing = add_lines(books, page, unknown).await?;
    // What was charged before but has no window any more was lost to somebody else's hand.
    let new = missing
        .into_iter()
        .filter_map(|window| current.get(&window).map(|end_ms| (window, *end_ms)));
    Ok(new.collect())
}

fn ended(messages: &[Message]) -> Vec<&str> {
    let ended = messages.iter().filter_map(|message| match message {
        Message::Close(close) => Some(close.hold_id.as_str()),
        _ => None,
    });
    ended.collect()
}

/// Everyone who is to pay for a hold.
fn payers(messages: &[Message]) -> BTreeSet<&Owner> {
    let payers = messages.iter().filter_map(|message| match message {
        Message::Place(place) => Some(place.quote.permit().caller().owners()),
        _ => None,
    });
    payers.flatten().collect()
}

/// Puts windows onto the page; returns those that are not open.
async fn add_lines(
    books: &mut Books,
    page: &mut Page<'_>,
    wanted: Vec<WindowKey>,
) -> Result<Vec<WindowKey>, StoreError> {
    let found = books.windows(&wanted).await?;
    let mut wanted: Vec<_> = wanted.into_iter().map(Some).collect();
    for found in found {
        if let Some(window) = wanted.get_mut(found.asked).and_then(Option::take) {
            page.add_line(window, found.row.map(Into::into).map_err(reason));
        }
    }
    Ok(wanted.into_iter().flatten().collect())
}
