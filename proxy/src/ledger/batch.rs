//! One batch of messages, one transaction, a handful of statements.

use super::{
    alert,
    known::{Known, Windows, payers, reason},
    page::{Answer, Page},
    writer::Message,
};
use crate::store::{Books, StoreError, WindowKey};

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

/// Applies to the tables what batches before have only journaled.
///
/// # Errors
/// As [`write_knowing`].
pub(super) async fn apply_journal(books: &mut Books, known: &mut Known) -> Result<(), StoreError> {
    let applied = async {
        begin(books, known).await?;
        if !catch_up(books, known).await? {
            books.rollback().await?;
        }
        Ok(())
    };
    let applied = applied.await;
    if applied.is_err() {
        known.forget();
    }
    applied
}

async fn begin(books: &mut Books, known: &mut Known) -> Result<(), StoreError> {
    books.begin().await?;
    known.refresh(books).await
}

/// Brings the tables up to date, and ends the transaction if there was anything to do.
async fn catch_up(books: &mut Books, known: &mut Known) -> Result<bool, StoreError> {
    if !books.has_journal() {
        return Ok(false);
    }
    let Some(pending) = known.take_pending(books).await? else { return Ok(false) };
    let alerts = pending.alerts().to_vec();
    let new = books.apply(pending).await?;
    books.commit().await?;
    known.committed(books.commits());
    alert::log(&alerts, &new);
    Ok(true)
}

/// Windows are opened in a transaction of their own before the one that locks them: two servers
/// that open and lock at once would wait for each other.
async fn attempt(
    books: &mut Books,
    known: &mut Known,
    messages: &[Message],
    now_ms: i64,
) -> Result<Vec<Answer>, StoreError> {
    let mut opened = false;
    loop {
        begin(books, known).await?;
        if let Some(page) = known.page(messages, now_ms) {
            return commit(books, known, page, messages, Way::Journal).await;
        }
        if catch_up(books, known).await? {
            begin(books, known).await?;
        }
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
            return commit(books, known, page, messages, Way::Tables).await;
        }
        books.rollback().await?;
        books.open_windows(&new).await?;
        opened = true;
    }
}

/// Where a batch is written.
#[derive(Clone, Copy)]
enum Way {
    Journal,
    Tables,
}

async fn commit<'m>(
    books: &mut Books,
    known: &mut Known,
    mut page: Page<'m>,
    messages: &'m [Message],
    way: Way,
) -> Result<Vec<Answer>, StoreError> {
    let now_ms = page.now_ms();
    let answers = messages.iter().map(|message| page.apply(message)).collect();
    let (mut changes, lines, alerts) = page.into_changes();
    changes.alerts = alert::unheard(alerts, known);
    let new = match way {
        Way::Journal if changes.is_empty() => Vec::new(),
        Way::Journal => {
            books.append(&changes).await?;
            Vec::new()
        }
        Way::Tables => {
            books.write(&changes, now_ms).await?;
            books.insert_alerts(&changes.alerts).await?
        }
    };
    books.commit().await?;
    known.keep(&changes, lines, books.commits());
    known.keep_alerts(&changes.alerts);
    alert::log(&changes.alerts, &new);
    if let Way::Journal = way {
        known.keep_journaled(changes);
    }
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
