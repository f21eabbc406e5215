//! One batch of messages, one transaction, a handful of statements.

use super::{
    alert,
    known::{Known, Windows, payers, reason},
    page::{Answer, Lines, Page},
    writer::Message,
};
use crate::store::{Books, Changes, StoreError, WindowKey};

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
    if let Some(answers) = journal(books, known, messages, now_ms).await? {
        return Ok(answers);
    }
    let mut opened = false;
    loop {
        begin(books, known).await?;
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
            return commit(books, known, page, messages).await;
        }
        books.rollback().await?;
        books.open_windows(&new).await?;
        opened = true;
    }
}

/// Decides a batch from memory and writes it into the journal; nothing where not everything about
/// it is remembered, or where that may not be true any more.
async fn journal(
    books: &mut Books,
    known: &mut Known,
    messages: &[Message],
    now_ms: i64,
) -> Result<Option<Vec<Answer>>, StoreError> {
    let Some(version) = known.version(books) else { return Ok(None) };
    let Some(page) = known.page(messages, now_ms) else { return Ok(None) };
    let (answers, changes, lines) = decide(page, messages, known);
    let is_true = match changes.is_empty() {
        true => books.version().await? == Some(version),
        false => books.journal(&changes, version).await?,
    };
    if !is_true {
        return Ok(None);
    }
    known.keep(&changes, lines, books.commits());
    known.keep_journaled(changes);
    Ok(Some(answers))
}

/// Applies the messages to the page.
fn decide<'m>(
    mut page: Page<'m>,
    messages: &'m [Message],
    known: &Known,
) -> (Vec<Answer>, Changes, Lines) {
    let answers = messages.iter().map(|message| page.apply(message)).collect();
    let (mut changes, lines, alerts) = page.into_changes();
    changes.alerts = alert::unheard(alerts, known);
    (answers, changes, lines)
}

async fn commit(
    books: &mut Books,
    known: &mut Known,
    page: Page<'_>,
    messages: &[Message],
) -> Result<Vec<Answer>, StoreError> {
    let now_ms = page.now_ms();
    let (answers, changes, lines) = decide(page, messages, known);
    books.write(&changes, now_ms).await?;
    let new = books.insert_alerts(&changes.alerts).await?;
    books.commit().await?;
    known.keep(&changes, lines, books.commits());
    alert::log(&changes.alerts, &new);
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
        Message::Close(close) => Some(&*close.hold_id),
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
