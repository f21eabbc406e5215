//! Many callers at once.

use crate::{chat, gate, gate::Gate};
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;
use tollgate_bench::{on_both_engines, private::Kind};

on_both_engines!(
    ; threads: two_hundred_requests_at_once_of_any_size_never_pass_a_budget,
);

const CAP: i64 = 20_000;

/// One of the two hundred; `n` tells its size. Returns how it was answered.
async fn ask(gate: &Gate, n: usize) -> StatusCode {
    let (words, tokens) = (1 + fastrand::usize(..40), 1 + fastrand::usize(..60));
    let text = format!("<call {n}> {}", "word ".repeat(words));
    let mut body = chat(&format!("mock-tokens={tokens},delay=2"), &text);
    body["max_tokens"] = json!(1 + fastrand::u32(..100));
    body["stream"] = json!(n.is_multiple_of(2));
    gate.post("/v1/chat/completions", &body).await.status
}

/// `PAINS 1`. `LEDGER.md`'s first proof.
async fn two_hundred_requests_at_once_of_any_size_never_pass_a_budget(kind: Kind) {
    let gate = gate(kind, &[("tokens", "total", CAP), ("requests", "day", 150)], "").await;
    let asking = join_all((0..200).map(|n| ask(&gate, n)));
    let mut observations = Vec::new();
    let watching = async {
        loop {
            for budget in gate.budgets().await {
                assert!(budget.spent + budget.held <= budget.cap, "{budget:?}");
                observations.push(budget.held);
            }
        }
    };
    let answers = tokio::select! {
        answers = asking => answers,
        () = watching => unreachable!("it watches for ever"),
    };
    assert!(observations.iter().any(|held| *held > 0), "{} observations", observations.len());
    let count = |status| answers.iter().filter(|answer| **answer == status).count();
    let (served, refused) = (count(StatusCode::OK), count(StatusCode::PAYMENT_REQUIRED));
    // A database that is slow to answer refuses, too: what counts is that nothing was sent then.
    let unanswered = count(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(served + refused + unanswered, 200, "{answers:?}");
    assert!(served > 10 && refused > 10, "{served} served, {refused} refused");

    let seen: Vec<_> = gate.mock.requests().iter().map(|seen| seen.raw.clone()).collect();
    for (n, answer) in answers.iter().enumerate() {
        let mark = format!("<call {n}>");
        let reached = seen.iter().filter(|raw| String::from_utf8_lossy(raw).contains(&mark));
        assert_eq!(reached.count(), usize::from(*answer == StatusCode::OK), "call {n}: {answer}");
    }
    let budgets = gate.settled().await;
    let total = gate.report().await.total;
    assert_eq!(usize::try_from(total.requests).unwrap(), served);
    for budget in budgets {
        let entries = if budget.cap == CAP { total.usage.total() } else { total.requests };
        assert_eq!(u64::try_from(budget.spent).unwrap(), entries, "{budget:?}");
        assert!(budget.spent <= budget.cap);
    }
}
