//! Budgets, rates and places that are used up: what a client is told, and what is never sent.

use crate::ask::{CHAT, ask, ask_openai, openai, typed, with};
use serde_json::{Value, json};
use tollgate::{
    clock::{Clock, SystemClock},
    ledger,
};
use tollgate_bench::Mock;
use tollgate_tests::server::{SOON, Server, Terms, budget, config, config_over};
use tollgate_types::{ErrorKind, FinishReason, NanoUsd, Provider, Resource, StreamEvent, Window};

const DEAR: &str = "mock/mock-tokens=200";

/// Calls until a budget refuses, then looks at the refusal and at the books.
async fn use_up(resource: Resource, window: Window, cap: i64) {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let key = server.key_with(vec![budget(resource, window, cap)]).await;
    let mut answered = 0;
    let refused = loop {
        let reply = ask(&server, &key, DEAR).await;
        if reply.status != 200 {
            break reply;
        }
        answered += 1;
        assert!(answered < 100, "the {resource} budget is never used up");
    };
    assert!(answered > 0, "the {resource} budget pays for nothing");

    let entries = server.settled(answered).await;
    let spent: i64 = match resource {
        Resource::Requests => i64::try_from(entries.len()).unwrap(),
        Resource::Tokens => {
            entries.iter().map(|entry| entry.tokens.input + entry.tokens.output).sum()
        }
        Resource::Cost => entries.iter().map(|entry| entry.cost_nano_usd.unwrap()).sum(),
    };
    let standing = server.budgets().await.remove(0);
    assert_eq!((standing.spent, standing.held), (spent, 0), "{resource}");

    let resets_at_ms = ledger::bounds(window, SystemClock.now_ms(), "UTC").end_ms;
    let openai = ask_openai(&server, &key, DEAR).await;
    for (reply, quota) in [(&refused, "/error/quota"), (&openai, "/error/budget")] {
        reply.assert_error(402, quota);
        let told: Value = reply.at(quota);
        let expected = json!({
            "budget": standing.budget, "owner": format!("key:{}", key.id),
            "resource": resource.as_str(), "window": window.as_str(), "cap": cap,
            "spent": spent, "held": 0, "resets_at_ms": resets_at_ms,
        });
        assert_eq!(told, expected, "{resource}");
        assert!(reply.headers.get("retry-after").is_none(), "a client would sleep until then");
        assert_eq!(reply.header("x-should-retry"), "false");
        let message = reply.at("/error/message").to_string();
        // For people: dollars rather than nano-dollars.
        let amount = |amount: i64| match resource {
            Resource::Cost => NanoUsd(amount).to_string(),
            Resource::Tokens | Resource::Requests => amount.to_string(),
        };
        for part in [&standing.budget, &amount(cap), &amount(spent)] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
    }
    assert_eq!(openai.at("/error/type"), "insufficient_quota");
    let error = server.remote(&key).generate(typed(DEAR)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    assert!(!error.is_retryable());
    assert_eq!(error.body().quota, Some(standing));
    assert_eq!(mock.served(), answered, "what is refused never reaches the provider");
    assert_eq!(server.entries().await.len(), answered);
}

#[tokio::test]
async fn a_used_up_budget_for_requests_a_day_tells_the_client_everything() {
    use_up(Resource::Requests, Window::Day, 3).await;
}

#[tokio::test]
async fn a_used_up_budget_for_tokens_a_month_tells_the_client_everything() {
    use_up(Resource::Tokens, Window::Month, 2_000).await;
}

#[tokio::test]
async fn a_used_up_budget_for_cost_tells_the_client_everything() {
    use_up(Resource::Cost, Window::Month, 3_000_000).await;
}

#[tokio::test]
async fn an_answer_that_a_budget_cannot_pay_for_is_shortened_and_the_client_is_told() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let limits = [(Resource::Cost, 2_000_000), (Resource::Tokens, 1_500)];
    for (resource, cap) in limits {
        let key = server.key_with(vec![budget(resource, Window::Month, cap)]).await;
        let before = mock.served();
        let replies = [
            ask(&server, &key, "mock/mock-echo").await,
            ask_openai(&server, &key, "mock/mock-echo").await,
        ];
        for (reply, seen) in replies.iter().zip(mock.requests().iter().skip(before)) {
            assert_eq!(reply.status, 200, "{}", reply.text);
            let limit: u64 = reply.header("x-tollgate-max-output").parse().unwrap();
            assert!((1..1_000).contains(&limit), "{resource}: {limit}");
            let sent = seen.body.get("max_completion_tokens").or(seen.body.get("max_tokens"));
            assert_eq!(sent, Some(&json!(limit)), "{resource}: the provider is told");
        }
        let mut events = server.remote(&key).stream(typed("mock/mock-echo")).await.unwrap();
        let Some(Ok(StreamEvent::Start { warnings, .. })) = events.next().await else {
            panic!("the stream does not begin with start");
        };
        assert_eq!(warnings[0].code, "max_output_clamped");
        while events.next().await.transpose().unwrap().is_some() {}

        let greedy = with(openai("mock/mock-echo"), json!({"max_completion_tokens": 1_000_000}));
        let reply = server.post(CHAT, &key, &greedy).await;
        assert!(!reply.header("x-tollgate-max-output").is_empty(), "asking for more is no help");
        let modest = with(openai("mock/mock-echo"), json!({"max_completion_tokens": 5}));
        let reply = server.post(CHAT, &key, &modest).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.header("x-tollgate-max-output"), "", "what fits is not shortened");
    }
}

#[tokio::test]
async fn a_provider_that_ignores_the_limit_is_cut_off_and_what_came_is_kept() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let cap = 1_300;
    let key = server.key_with(vec![budget(Resource::Tokens, Window::Month, cap)]).await;
    let answer = server.remote(&key).generate(typed("mock/mock-tokens=5000")).await.unwrap();
    assert_eq!(answer.finish.reason, FinishReason::BudgetExhausted);
    assert!(answer.text().starts_with("w0 w1 "), "{}", answer.text());
    let entry = server.settled(1).await.remove(0);
    assert_eq!(entry.disposition, "cut");
    let standing = server.budgets().await.remove(0);
    assert!(
        standing.spent <= cap && standing.spent == entry.tokens.input + entry.tokens.output,
        "{standing:?}"
    );
    assert!(mock.saw_aborts(1, SOON).await, "the provider is stopped");
}

#[tokio::test]
async fn a_model_without_a_price_is_refused_where_cost_is_limited_and_only_there() {
    let mock = Mock::start().await.unwrap();
    let url = mock.base_url();
    let provider =
        format!("[[providers]]\nname = \"mock\"\nkind = \"openai\"\nbase_url = \"{url}\"\n");
    let server = Server::start(config(&provider)).await;
    let limited = server.key_with(vec![budget(Resource::Cost, Window::Month, 1_000_000_000)]).await;
    for reply in
        [ask(&server, &limited, "mock/mock-echo").await, ask_openai(&server, &limited, DEAR).await]
    {
        reply.assert_error(403, "unpriced");
        assert!(reply.text.contains("no price"), "{}", reply.text);
    }
    assert_eq!(ask(&server, &limited, DEAR).await.at("/error/code"), "unpriced_model");
    assert_eq!(mock.served(), 0);
    let free = server.key_with(vec![budget(Resource::Requests, Window::Day, 5)]).await;
    let reply = ask(&server, &free, "mock/mock-echo").await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(server.settled(1).await[0].cost_nano_usd, None, "no price is not a price of zero");
}

#[tokio::test]
async fn keys_of_one_user_share_the_users_budget() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let budgets = vec![budget(Resource::Requests, Window::Day, 3)];
    server.user("alice", tollgate::access::Role::Member, budgets).await;
    let (first, second) = (server.any_key().await, server.any_key().await);
    for key in [&first, &second, &first] {
        assert_eq!(ask(&server, key, "mock/mock-echo").await.status, 200);
    }
    for key in [&first, &second] {
        let reply = ask(&server, key, "mock/mock-echo").await;
        reply.assert_error(402, "the user's budget");
        assert_eq!(reply.at("/error/quota/owner"), "user:alice");
    }
    let bob = server.key("bob", Terms::default()).await;
    assert_eq!(ask(&server, &bob, "mock/mock-echo").await.status, 200, "bob has none");
    assert_eq!(mock.served(), 4);
}

#[tokio::test]
async fn what_one_budget_refuses_is_held_in_none() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let wide = vec![budget(Resource::Tokens, Window::Day, 100_000)];
    server.user("alice", tollgate::access::Role::Member, wide).await;
    let key = server.key_with(vec![budget(Resource::Requests, Window::Day, 1)]).await;
    assert_eq!(ask(&server, &key, "mock/mock-tokens=4").await.status, 200);
    for _ in 0..3 {
        ask(&server, &key, "mock/mock-tokens=4").await.assert_error(402, "the key's budget");
    }
    let spent: Vec<_> = server.budgets().await.iter().map(|b| (b.spent, b.held)).collect();
    assert_eq!(spent, [(7, 0), (1, 0)], "the user's, then the key's");
}

#[tokio::test]
async fn a_key_over_its_rate_is_told_when_to_come_back() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let key = server.key("alice", Terms { rate_per_minute: Some(2), ..Terms::default() }).await;
    for _ in 0..2 {
        assert_eq!(ask(&server, &key, "mock/mock-echo").await.status, 200);
    }
    for reply in [ask(&server, &key, "mock/mock-echo").await, ask_openai(&server, &key, DEAR).await]
    {
        reply.assert_error(429, "rate");
        let seconds: u64 = reply.header("retry-after").parse().unwrap();
        assert!((1..=30).contains(&seconds), "one every 30 s, not {seconds}");
        assert_eq!(reply.header("x-should-retry"), "", "trying again helps");
    }
    assert_eq!(mock.served(), 2);
}

#[tokio::test]
async fn a_server_that_is_full_says_so_and_takes_the_next_call_when_one_ends() {
    let mock = Mock::start().await.unwrap();
    let server = Server::start(config_over(&mock, "[limits]\nmax_concurrent = 1\n")).await;
    let key = server.any_key().await;
    let mut running = server.remote(&key).stream(typed("mock/mock-stall=3")).await.unwrap();
    assert!(running.next().await.unwrap().is_ok());
    let reply = ask(&server, &key, "mock/mock-echo").await;
    reply.assert_error(503, "full");
    assert_eq!(reply.header("retry-after"), "1");
    drop(running);
    server.settled(1).await;
    assert_eq!(ask(&server, &key, "mock/mock-echo").await.status, 200);
}
