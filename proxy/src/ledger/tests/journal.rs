//! What a batch has decided, durably, before the tables say so.

use super::{
    NOW,
    people::{People, close, place, quoted, tokens},
};
use crate::{
    clock::ManualClock,
    ledger::{batch, known::Known, page::Answer, sweep, writer::Message},
    store::{Books, StoreError, UsageFilter, testing::Kind},
};

/// A writer that knows the books by now: one hold of 10 tokens, `a`, was placed in the tables.
async fn warm() -> (People, Books, Known) {
    let people = People::with_keys(Kind::Sqlite, 1, &[("tokens", "total", 100)]).await;
    let (mut books, mut known) = (people.store.books().await.unwrap(), Known::default());
    told(&mut books, &mut known, &[place("a", quoted(&people.callers[0], 1, 9))]).await;
    assert_eq!(journaled(&mut books).await, 0);
    (people, books, known)
}

async fn told(books: &mut Books, known: &mut Known, messages: &[Message]) -> Vec<Answer> {
    batch::write_knowing(books, known, messages, NOW).await.unwrap()
}

async fn journaled(books: &mut Books) -> i64 {
    books.number("select count(*) from journal").await
}

/// Places `b`, ends `a` and asks for more than there is: all of it from memory.
async fn go_on(people: &People, books: &mut Books, known: &mut Known) {
    let quote = |output| quoted(&people.callers[0], 1, output);
    let messages = [place("b", quote(9)), close("a", tokens(7)), place("c", quote(99))];
    let answers = told(books, known, &messages).await;
    assert!(matches!(answers[0], Answer::Placed(Ok(placed)) if placed.max_output == 9));
    assert!(matches!(answers[2], Answer::Placed(Ok(placed)) if placed.max_output == 82));
    assert_eq!(journaled(books).await, 1);
    assert_eq!(books.number("select count(*) from usage_entries").await, 0);
}

async fn counters(books: &mut Books) -> (i64, i64) {
    let spent = books.number("select spent from budget_windows").await;
    (spent, books.number("select held from budget_windows").await)
}

#[tokio::test]
async fn what_was_only_journaled_is_in_the_books_after_a_kill() {
    let (people, mut books, mut known) = warm().await;
    go_on(&people, &mut books, &mut known).await;
    assert_eq!(counters(&mut books).await, (0, 10), "the tables are of an earlier moment");
    drop((books, known));
    let mut books = people.store.books().await.unwrap();
    let swept = sweep::sweep_all(&mut books, &ManualClock::at(NOW)).await.unwrap();
    assert_eq!((swept, journaled(&mut books).await), (2, 0));
    let rows = people.store.usage_rows(&UsageFilter::default(), 9).await.unwrap();
    let ids: Vec<_> = rows.iter().map(|row| row.entry.request_id.as_str()).collect();
    assert_eq!(ids.len(), 3, "{ids:?}");
    assert_eq!(counters(&mut books).await.1, 0);
    people.store.assert_agrees("after the kill").await;
}

#[tokio::test]
async fn whoever_reads_sees_the_present_and_nothing_is_applied_twice() {
    let (people, mut books, mut known) = warm().await;
    go_on(&people, &mut books, &mut known).await;
    assert_eq!(people.store.usage_rows(&UsageFilter::default(), 9).await.unwrap().len(), 1);
    assert_eq!(counters(&mut books).await, (7, 93));
    let ends = [close("b", tokens(3)), close("c", tokens(4)), close("a", tokens(50))];
    told(&mut books, &mut known, &ends).await;
    assert_eq!(counters(&mut books).await, (14, 0), "somebody else wrote: the tables, at once");
    told(&mut books, &mut known, &[place("d", quoted(&people.callers[0], 1, 5))]).await;
    told(&mut books, &mut known, &[close("d", tokens(6))]).await;
    assert_eq!((journaled(&mut books).await, counters(&mut books).await), (1, (14, 6)));
    batch::apply_journal(&mut books, &mut known).await.unwrap();
    assert_eq!((journaled(&mut books).await, counters(&mut books).await), (0, (20, 0)));
    people.store.assert_agrees("at the end").await;
}

#[tokio::test]
async fn what_was_promised_counts_even_if_the_cap_is_lowered_before_the_tables_say_so() {
    let (people, mut books, mut known) = warm().await;
    go_on(&people, &mut books, &mut known).await;
    let hand = people.store.books().await.unwrap();
    let mut hand = hand;
    hand.tamper("update budgets set cap = 1").await;
    let refused = [place("d", quoted(&people.callers[0], 1, 1))];
    let answers = told(&mut books, &mut known, &refused).await;
    assert!(matches!(answers[0], Answer::Placed(Err(_))), "{answers:?}");
    assert_eq!(counters(&mut books).await, (7, 93));
    told(&mut books, &mut known, &[close("b", tokens(3)), close("c", tokens(83))]).await;
    batch::apply_journal(&mut books, &mut known).await.unwrap();
    assert_eq!(counters(&mut books).await, (93, 0));
    people.store.assert_agrees("a lowered cap").await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_stops_the_books_and_loses_nothing() {
    let (people, mut books, mut known) = warm().await;
    go_on(&people, &mut books, &mut known).await;
    let mut hand = people.store.books().await.unwrap();
    hand.tamper("insert into journal values (999, '{\"of a newer version\": 1}')").await;
    let end = [close("b", tokens(3))];
    let refused = batch::write_knowing(&mut books, &mut known, &end, NOW).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Row(why) if why.contains("newer version")), "{refused}");
    books.recover().await;
    assert_eq!((journaled(&mut books).await, counters(&mut books).await), (2, (0, 10)));
    hand.tamper("delete from journal where seq = 999").await;
    told(&mut books, &mut known, &end).await;
    assert_eq!(counters(&mut books).await, (10, 83));
    people.store.assert_agrees("mended").await;
}
