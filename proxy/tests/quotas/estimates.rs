//! Estimates: what is told before a call is what the call then is held for and comes to.

use crate::{SOON, gate, gate::Gate};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Instant;
use tollgate_bench::{on_both_engines, private::Kind};
use tollgate_types::{
    BudgetEstimate, ErrorKind, Estimate, GenerateResponse, NanoUsd, Resource, wire::ErrorEnvelope,
};

on_both_engines!(
    what_is_told_is_what_is_held_and_nothing_is_held_for_telling,
    a_budget_that_cannot_pay_is_named_and_one_that_shortens_too,
);

const PRICE: &str = "[[prices]]\nmodel = \"openai/*\"\ninput = \"1\"\noutput = \"2\"\n";

fn request(model: &str, most: u32) -> Value {
    json!({
        "model": format!("openai/{model}"),
        "messages": [{"role": "user", "content": [{"type": "text", "text": "one two three"}]}],
        "sampling": {"max_output_tokens": most},
    })
}

async fn estimate(gate: &Gate, request: &Value) -> Estimate {
    let reply = gate.post("/api/v1/estimate", request).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    serde_json::from_str(&reply.body).unwrap()
}

async fn what_is_told_is_what_is_held_and_nothing_is_held_for_telling(kind: Kind) {
    let budgets =
        [("cost", "day", 1_000_000_000), ("tokens", "day", 100_000), ("requests", "day", 9)];
    let gate = gate(kind, &budgets, PRICE).await;
    let slow = request("mock-tokens=20,delay=30000", 50);
    let told = estimate(&gate, &slow).await;
    assert!(told.fits && told.clamped_to.is_none(), "{told:?}");
    assert_eq!(told.targets, ["openai/mock-tokens=20,delay=30000"]);
    assert_eq!((told.max_output_tokens, told.likely_output_tokens), (50, 50));
    let (input, likely) = (told.max_input_tokens, told.likely_input_tokens);
    assert!(0 < likely && likely < input, "{told:?}");
    // A dollar a million tokens in, two out: in nano-dollars a token.
    let cost = |input: u64| NanoUsd(i64::try_from(input * 1000 + 50 * 2000).unwrap());
    assert_eq!((told.max_cost, told.likely_cost), (Some(cost(input)), Some(cost(likely))));
    assert!(gate.mock.requests().is_empty(), "no model is asked");
    assert!(gate.budgets().await.iter().all(|budget| budget.held == 0 && budget.spent == 0));

    let call = gate.client.post(format!("{}/api/v1/stream", gate.url)).bearer_auth(&gate.key);
    let running = call.body(slow.to_string()).send();
    let held = async {
        let started = Instant::now();
        loop {
            let budgets = gate.budgets().await;
            if budgets.iter().all(|budget| budget.held > 0) {
                return budgets;
            }
            assert!(started.elapsed() < SOON, "nothing is held: {budgets:?}");
        }
    };
    let held = tokio::select! {
        answer = running => panic!("it should still run: {answer:?}"),
        held = held => held,
    };
    for (told, held) in told.budgets.iter().zip(&held) {
        assert_eq!((&told.budget.budget, told.amount), (&held.budget, held.held), "{told:?}");
    }
    assert_eq!(told.budgets.len(), 3);

    let short = request("mock-tokens=20", 50);
    let told = estimate(&gate, &short).await;
    let answer = gate.post("/api/v1/generate", &short).await;
    let answer: GenerateResponse = serde_json::from_str(&answer.body).unwrap();
    let receipt = answer.receipt.unwrap();
    assert!(receipt.cost <= told.max_cost && receipt.cost > Some(NanoUsd(0)), "{receipt:?}");
    assert!(answer.usage.total_input() <= told.max_input_tokens);
    assert!(receipt.limits.is_none(), "nothing limited it: {receipt:?}");
}

fn of(estimate: &Estimate, resource: Resource) -> &BudgetEstimate {
    estimate.budgets.iter().find(|estimate| estimate.budget.resource == resource).unwrap()
}

async fn a_budget_that_cannot_pay_is_named_and_one_that_shortens_too(kind: Kind) {
    let gate = gate(kind, &[("tokens", "day", 3_000), ("requests", "day", 2)], "").await;
    let greedy = request("mock-tokens=5", 40_000);
    let told = estimate(&gate, &greedy).await;
    let clamped = told.clamped_to.unwrap();
    assert!(told.fits && clamped < 3_000, "{told:?}");
    assert_eq!((told.max_output_tokens, told.max_cost), (clamped, None));
    assert_eq!(of(&told, Resource::Tokens).max_output_tokens, Some(clamped));
    assert_eq!(of(&told, Resource::Requests).max_output_tokens, None, "they limit no length");
    // The call is shortened to the same length, and its receipt says so.
    let answer = gate.post("/api/v1/generate", &greedy).await;
    let answer: GenerateResponse = serde_json::from_str(&answer.body).unwrap();
    let limits = answer.receipt.unwrap().limits.unwrap();
    assert_eq!(limits.max_output_tokens.map(u64::from), Some(clamped));

    let long = json!({"model": "openai/mock-echo", "messages": [
        {"role": "user", "content": [{"type": "text", "text": "x".repeat(9_000)}]}]});
    let told = estimate(&gate, &long).await;
    assert!(!told.fits && told.clamped_to.is_none(), "{told:?}");
    let refusal = of(&told, Resource::Tokens).refusal.as_deref().unwrap();
    assert!(refusal.contains("tokens budget") && refusal.contains("cannot pay"), "{refusal}");
    assert!(of(&told, Resource::Requests).refusal.is_none());
    let refused = gate.post("/api/v1/generate", &long).await;
    assert_eq!(refused.status, StatusCode::PAYMENT_REQUIRED, "{}", refused.body);
}

#[tokio::test]
async fn what_would_not_be_run_is_refused_as_the_call_would_be() {
    let gate = gate(Kind::Sqlite, &[("cost", "day", 1_000_000_000)], "").await;
    let told = estimate(&gate, &request("mock-echo", 5)).await;
    let refusal = told.budgets[0].refusal.as_deref().unwrap();
    assert!(!told.fits && refusal.contains("has no price"), "{refusal}");
    let broken = [
        (
            json!({"model": "nowhere/x", "messages": [{"role": "user", "content": []}]}),
            ErrorKind::NotFound,
        ),
        (json!({"model": "openai/mock-echo", "messages": []}), ErrorKind::InvalidRequest),
        (json!({"model": 7}), ErrorKind::InvalidRequest),
        (json!([]), ErrorKind::InvalidRequest),
        (
            json!({"model": "openai/mock-echo", "messages": [], "colour": 1}),
            ErrorKind::InvalidRequest,
        ),
    ];
    for (body, kind) in broken {
        let reply = gate.post("/api/v1/estimate", &body).await;
        let refused: ErrorEnvelope = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(refused.error.kind(), kind, "{body}: {}", reply.body);
    }
    let stranger = gate.stranger(Method::POST, "/api/v1/estimate").await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    assert!(gate.mock.requests().is_empty(), "no model is asked");
}
