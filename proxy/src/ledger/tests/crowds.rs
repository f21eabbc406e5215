//! Calls that share a transaction: what one of them does to the others.

use super::{
    NOW, books, finished, order,
    people::{People, budget, close, place, quoted, tokens},
};
use crate::{
    clock::ManualClock,
    ledger::{
        HoldError, Ledger, batch,
        page::Answer,
        writer::{Message, PlaceHold},
    },
    store::{
        StoreError, UsageFilter,
        testing::{Kind, on_both_engines},
    },
    tasks::Tasks,
};
use std::sync::Arc;
use tokio::sync::oneshot;

on_both_engines!(
    an_end_makes_room_for_the_hold_behind_it_in_the_same_batch,
    a_budget_that_makes_no_sense_stops_only_its_own_calls,
    a_message_that_cannot_be_written_harms_no_other_of_its_batch;
    threads: hundreds_of_calls_on_thousands_of_budgets_never_pass_one,
);

async fn an_end_makes_room_for_the_hold_behind_it_in_the_same_batch(kind: Kind) {
    let people = People::with_keys(kind, 1, &[("tokens", "total", 100)]).await;
    let mut books = people.store.books().await.unwrap();
    let quote = |output| quoted(&people.callers[0], 10, output);
    let messages = [
        place("a", quote(90)),
        place("b", quote(90)),
        close("a", tokens(30)),
        place("c", quote(90)),
        close("c", tokens(70)),
        close("c", tokens(70)),
    ];
    let answers = batch::write(&mut books, &messages, NOW).await.unwrap();
    let told: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Answer::Placed(Ok(placed)) => format!("placed {}", placed.max_output),
            Answer::Placed(Err(HoldError::Exhausted(by))) => format!("held {}", by.held),
            Answer::Closed(budgets) => {
                let counters = budgets.iter().map(|b| b.charged.counters);
                let counters = counters.map(|c| format!("{} {}", c.spent, c.held));
                format!("closed {}", counters.collect::<String>())
            }
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told,
        ["placed 90", "held 100", "closed 30 0", "placed 60", "closed 100 0", "closed "]
    );
    assert!(books.open_holds().await.unwrap().is_empty());
    let rows = people.store.usage_rows(&UsageFilter::default(), 9).await.unwrap();
    assert_eq!(rows.len(), 2, "one entry for each hold that was open");
}

async fn a_budget_that_makes_no_sense_stops_only_its_own_calls(kind: Kind) {
    let people = People::with_keys(kind, 2, &[("tokens", "total", 100)]).await;
    let nonsense = budget("key", "k1", ("gold", "total", 1));
    people.store.insert_budget(&nonsense, NOW).await.unwrap();
    let mut books = people.store.books().await.unwrap();
    let [one, other] = [0, 1].map(|n| quoted(&people.callers[n], 1, 9));
    let messages = [place("a", other), place("b", one)];
    let answers = batch::write(&mut books, &messages, NOW).await.unwrap();
    assert!(
        matches!(
            answers[..],
            [Answer::Placed(Err(HoldError::Store(StoreError::Row(_)))), Answer::Placed(Ok(_))]
        ),
        "{answers:?}"
    );
}

async fn a_message_that_cannot_be_written_harms_no_other_of_its_batch(kind: Kind) {
    let books = books(kind, &[("tokens", "total", 100)]).await;
    let kept = books.hold(10, 10).await.unwrap();
    let open = books.store.books().await.unwrap().open_holds().await.unwrap();
    let quote = || books.quote("m", 1, 9);
    let first = books.hold(10, 20).await.unwrap();
    let (reply, refused) = oneshot::channel();
    let again = PlaceHold {
        hold_id: open[0].id.as_str().into(),
        node: Arc::new("n".into()),
        quote: quote().into(),
        draft: Arc::default(),
        reply,
    };
    // Nothing else runs until all three wait together.
    let queue = books.ledger.queue.as_ref().unwrap();
    queue.try_send(Message::Place(Box::new(again))).unwrap();
    let (placed, receipt) =
        tokio::join!(books.ledger.hold(quote(), order()), first.sent().settle(finished(10, 5)));
    assert!(matches!(refused.await.unwrap(), Err(HoldError::Store(_))));
    assert_eq!(placed.unwrap().max_output(), 9);
    assert_eq!(receipt.unwrap().budgets[0].spent, 15);
    drop(kept);
    books.settled().await;
}

async fn hundreds_of_calls_on_thousands_of_budgets_never_pass_one(kind: Kind) {
    let mut budgets = vec![("tokens", "day", 1_000_000); 99];
    budgets.push(("requests", "day", 2));
    // A database over the network takes longer, and does not make ten times as much better.
    let keys = if kind == Kind::Sqlite { 100 } else { 20 };
    let people = People::with_keys(kind, keys, &budgets).await;
    let tasks = Tasks::new();
    let clock = Arc::new(ManualClock::at(NOW));
    let ledger = Ledger::open(people.store.clone(), clock, &tasks, super::LEASE).await.unwrap();
    // A server that has not answered in a second refuses, and thousands of rows take a slow one long.
    let at_once = if kind == Kind::Sqlite { 400 } else { 10 };
    let callers: Vec<_> = people.callers.iter().cycle().take(4 * keys).collect();
    let mut holds = Vec::new();
    for callers in callers.chunks(at_once) {
        let asked = callers.iter().map(|caller| ledger.hold(quoted(caller, 10, 50), order()));
        holds.extend(futures_util::future::join_all(asked).await);
    }
    let (placed, refused): (Vec<_>, Vec<_>) = holds.into_iter().partition(Result::is_ok);
    assert_eq!((placed.len(), refused.len()), (2 * keys, 2 * keys));
    let ends = placed.into_iter().map(|hold| hold.unwrap().sent().settle(finished(5, 5)));
    for receipt in futures_util::future::join_all(ends).await {
        assert_eq!(receipt.unwrap().budgets.len(), 100);
    }
    let budgets = ledger.budgets().await.unwrap();
    assert_eq!(budgets.len(), 100 * keys);
    for budget in budgets {
        let expected = if budget.cap == 2 { 2 } else { 20 };
        assert_eq!((budget.spent, budget.held), (expected, 0), "{budget:?}");
    }
}
