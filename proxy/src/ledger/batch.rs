//! One batch of messages, one transaction, a handful of statements.

use super::{
    alert,
    page::{Answer, Chain, Page},
    status,
    window::bounds,
    writer::Message,
};
use crate::store::{Books, BudgetRow, Owner, StoreError, WindowKey};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Windows that a batch may open, each with its end.
type Windows = BTreeMap<WindowKey, Option<i64>>;

/// Writes the messages, in their order; returns an answer to each once they are durable.
///
/// Windows are opened in a transaction of their own before the one that locks them: two servers
/// that open and lock at once would wait for each other.
///
/// # Errors
/// Any database failure; then nothing of the batch counts, and the books must
/// [recover](Books::recover).
pub(super) async fn write(
    books: &mut Books,
    messages: &[Message],
    now_ms: i64,
) -> Result<Vec<Answer>, StoreError> {
    books.reconnect().await?;
    let mut current = Windows::new();
    let chains = chains(books, messages, now_ms, &mut current).await?;
    let mut opened = false;
    loop {
        books.begin().await?;
        let taken = books.take_holds(&ended(messages)).await?;
        let mut page = Page::new(now_ms, taken);
        let new = fill(books, &mut page, &current).await?;
        if !new.is_empty() && !opened {
            books.rollback().await?;
            books.open_windows(&new).await?;
            opened = true;
            continue;
        }
        for (owner, chain) in chains {
            page.add_chain(owner, chain);
        }
        return commit(books, page, messages).await;
    }
}

async fn commit<'m>(
    books: &mut Books,
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
    let new = books.insert_alerts(&changes.alerts).await?;
    books.commit().await?;
    alert::log(&changes.alerts, &new);
    Ok(answers)
}

/// Puts onto the page every window that the batch touches. Returns those that are not open yet.
async fn fill(
    books: &mut Books,
    page: &mut Page<'_>,
    current: &Windows,
) -> Result<Vec<(WindowKey, Option<i64>)>, StoreError> {
    let mut wanted = page.charged();
    wanted.extend(current.keys().cloned());
    let missing = add_lines(books, page, wanted.into_iter().collect()).await?;
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

/// The windows of everyone whose holds are to be placed, as of now.
async fn chains(
    books: &mut Books,
    messages: &[Message],
    now_ms: i64,
    current: &mut Windows,
) -> Result<HashMap<Owner, Chain>, StoreError> {
    let asked: BTreeSet<Owner> = messages
        .iter()
        .filter_map(|message| match message {
            Message::Place(place) => Some(place.quote.permit().caller().owners()),
            _ => None,
        })
        .flatten()
        .cloned()
        .collect();
    let asked: Vec<_> = asked.into_iter().collect();
    let mut chains: HashMap<Owner, Chain> = HashMap::new();
    for found in books.budgets_of(&asked).await? {
        let Some(owner) = asked.get(found.asked) else { continue };
        let chain = chains.entry(owner.clone()).or_insert_with(|| Ok(Vec::new()));
        match found.row.and_then(|row| window_of(&row, now_ms)) {
            Ok((window, end_ms)) => {
                if let Ok(windows) = chain {
                    windows.push(window.clone());
                }
                current.insert(window, end_ms);
            }
            Err(error) => *chain = Err(reason(error)),
        }
    }
    Ok(chains)
}

fn window_of(row: &BudgetRow, now_ms: i64) -> Result<(WindowKey, Option<i64>), StoreError> {
    let (_, window) = status::terms(row)?;
    let bounds = bounds(window, now_ms, &row.time_zone);
    Ok((WindowKey { budget_id: row.id.clone(), start_ms: bounds.start_ms }, bounds.end_ms))
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
            page.add_line(window, found.row.map_err(reason));
        }
    }
    Ok(wanted.into_iter().flatten().collect())
}

/// Several calls may run into the same row: each is told the same.
fn reason(error: StoreError) -> String {
    match error {
        StoreError::Row(text) => text,
        other => other.to_string(),
    }
}
