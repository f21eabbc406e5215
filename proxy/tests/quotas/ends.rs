//! One call and how it ends.

use crate::{chat, gate, gate::Gate};
use futures_util::{StreamExt, future::join_all};
use reqwest::StatusCode;
use serde_json::json;
use std::time::{Duration, Instant};
use tollgate_bench::{on_both_engines, private::Kind};

on_both_engines!(
    a_model_without_a_price_is_refused_where_cost_is_limited_and_never_counted_as_nothing,
    a_caller_that_leaves_pays_for_what_it_got_and_no_more,
    what_comes_from_a_cache_is_counted_once,
    usage_that_cannot_be_is_neither_credit_nor_more_than_was_held;
    threads: places_and_money_are_free_again_however_calls_end,
);

/// `PAINS 3`.
async fn a_model_without_a_price_is_refused_where_cost_is_limited_and_never_counted_as_nothing(
    kind: Kind,
) {
    let gate = gate(kind, &[("cost", "month", 1_000_000_000)], "").await;
    let reply = gate.post("/v1/chat/completions", &chat("mock-tokens=3", "go")).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "{}", reply.body);
    assert!(reply.body.contains("has no price"), "{}", reply.body);
    assert!(gate.mock.requests().is_empty());
    assert_eq!(gate.report().await.total.requests, 0);

    let priced = "[[prices]]\nmodel = \"openai/*\"\ninput = \"1\"\noutput = \"2\"\n";
    let gate = crate::gate(kind, &[("cost", "month", 1_000_000_000)], priced).await;
    let reply = gate.post("/v1/chat/completions", &chat("mock-tokens=3", "go on")).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    // Two words in, three out.
    assert_eq!(gate.settled().await[0].spent, 2 * 1_000 + 3 * 2_000);
}

/// `PAINS 6`.
async fn a_caller_that_leaves_pays_for_what_it_got_and_no_more(kind: Kind) {
    let gate = gate(kind, &[("tokens", "total", 100_000)], "").await;
    let mut body = chat("mock-tokens=5000,delay=20", "one two three");
    (body["stream"], body["max_tokens"]) = (json!(true), json!(5_000));
    let request = gate.client.post(format!("{}/v1/chat/completions", gate.url));
    let reply = request.bearer_auth(&gate.key).body(body.to_string()).send().await.unwrap();
    let mut stream = reply.bytes_stream();
    let mut got = 0;
    while got < 3 {
        let bytes = stream.next().await.unwrap().unwrap();
        got += String::from_utf8_lossy(&bytes).matches("\"content\":\"w").count();
    }
    drop(stream);
    assert!(gate.mock.saw_aborts(1, crate::SOON).await);
    let spent = gate.settled().await[0].spent;
    let report = gate.report().await;
    let [row] = &report.rows[..] else { panic!("{report:?}") };
    assert_eq!((row.disposition.as_str(), row.usage.estimated), ("cancelled", true));
    assert_eq!(u64::try_from(spent).unwrap(), row.usage.total());
    assert!((3..2_000).contains(&row.usage.output), "{row:?}");
}

/// `PAINS 9`: whatever way a vendor has of counting, the kinds have no token in common.
async fn what_comes_from_a_cache_is_counted_once(kind: Kind) {
    let gate = gate(kind, &[("tokens", "total", 1_000_000)], "").await;
    let mut spent = 0;
    for upstream in ["openai", "responses", "anthropic", "google"] {
        let mut body = chat("mock", "one two three");
        body["model"] = json!(format!("{upstream}/mock-tokens=4,cached=70"));
        let reply = gate.post("/v1/chat/completions", &body).await;
        assert_eq!(reply.status, StatusCode::OK, "{upstream}: {}", reply.body);
        let now = gate.settled().await[0].spent;
        let row = gate.report().await.rows.remove(0);
        assert_eq!(
            (row.usage.input, row.usage.cache_read, row.usage.output),
            (3, 70, 4),
            "{upstream}: {row:?}"
        );
        assert_eq!(now - spent, 77, "{upstream}");
        spent = now;
    }
}

/// `PAINS 11`.
async fn usage_that_cannot_be_is_neither_credit_nor_more_than_was_held(kind: Kind) {
    let gate = gate(kind, &[("tokens", "total", 20_000)], "").await;
    let mut before = 0;
    for lie in ["negative", "absurd", "absent"] {
        for streamed in [false, true] {
            let mut body = chat(&format!("mock-tokens=4,usage={lie}"), "one two three");
            body["stream"] = json!(streamed);
            let reply = gate.post("/v1/chat/completions", &body).await;
            assert_eq!(reply.status, StatusCode::OK, "{lie}: {}", reply.body);
            let budget = gate.settled().await.remove(0);
            let row = gate.report().await.rows.remove(0);
            assert!(row.usage.estimated, "{lie}: {row:?}");
            assert!(budget.spent > before && budget.spent <= budget.cap, "{lie}: {budget:?}");
            // Bytes that were sent, the output limit, and what the format itself may cost.
            assert!(budget.spent - before < 2_500, "{lie}: {budget:?}");
            before = budget.spent;
        }
    }
}

/// `PAINS 2` and 15.
async fn places_and_money_are_free_again_however_calls_end(kind: Kind) {
    let settings = "[limits]\nmax_concurrent = 4\n";
    let gate = gate(kind, &[("tokens", "total", 1_000_000)], settings).await;
    let models = [
        "mock-tokens=3",
        "mock-tokens=300,delay=20",
        "mock-reset=1",
        "mock-cut=1",
        "mock-malformed=1",
        "mock-status=500",
        "mock-status=429",
        "mock-html",
        "mock-headers_delay=10000",
        "mock-stall=2",
    ];
    for round in 0..6 {
        let calls = models.iter().enumerate().map(|(n, model)| leave(&gate, model, round + n));
        join_all(calls).await;
    }
    gate.settled().await;
    // All places can be taken at once, which is only so when none was lost.
    let started = Instant::now();
    loop {
        let body = chat("mock-tokens=3,headers_delay=100", "go");
        let calls = (0..4).map(|_| gate.post("/v1/chat/completions", &body));
        let answers = join_all(calls).await;
        if answers.iter().all(|reply| reply.status == StatusCode::OK) {
            break;
        }
        assert!(started.elapsed() < crate::SOON, "{answers:?}");
    }
    gate.settled().await;
}

/// Asks, reads a little of the answer, and leaves: earlier or later, as `patience` has it.
async fn leave(gate: &Gate, model: &str, patience: usize) {
    let mut body = chat(model, "go");
    body["stream"] = json!(!patience.is_multiple_of(3));
    let request = gate.client.post(format!("{}/v1/chat/completions", gate.url));
    let asking = request.bearer_auth(&gate.key).body(body.to_string()).send();
    let reading = async {
        let Ok(reply) = asking.await else { return };
        let mut stream = reply.bytes_stream();
        for _ in 0..patience {
            if stream.next().await.is_none() {
                return;
            }
        }
    };
    let patience = Duration::from_millis(20) * u32::try_from(patience).unwrap();
    drop(tokio::time::timeout(patience, reading).await);
}
