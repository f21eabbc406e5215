//! What calls cost whose price is more than tokens, over real sockets.

use crate::desk::{Books, Desk};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A thousand nano-dollars a token, a cent a search.
const SEARCHED: &str = "[[prices]]\nmodel = \"claude/*\"\ninput = \"1\"\noutput = \"1\"\n\
    cache_read = \"0.1\"\ntools = { web_search = \"10\" }\n\
    [[models]]\nname = \"claude/m\"\ncontext_window = 2000\n";
/// As much without the search.
const PLAIN: &str = "[[prices]]\nmodel = \"claude/*\"\ninput = \"1\"\noutput = \"1\"\n";
/// A millionth of a dollar for a millisecond, at most one second of them; tokens are free.
const TIMED: &str = "[[prices]]\nmodel = \"gpt/*\"\ninput = \"0\"\noutput = \"0\"\n\
    gpu_second = \"0.001\"\nmax_seconds = 1\n";
const SEARCH: i64 = 10_000_000;
const DOLLAR: i64 = 1_000_000_000;

fn fee(fees: &str, name: &str) -> Option<i64> {
    serde_json::from_str::<Value>(fees).unwrap()[name].as_i64()
}

#[tokio::test]
async fn a_search_of_the_provider_is_charged_and_the_entry_names_its_price() {
    let desk = Desk::start(Books::Sqlite, SEARCHED, Some(DOLLAR)).await;
    let (status, body) = desk.search("tokens=4 searches=2").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let entry = desk.entry().await;
    assert_eq!(fee(&entry.tool_fees, "web_search"), Some(2));
    let tokens = (entry.tokens.input + entry.tokens.output) * 1_000;
    assert_eq!(entry.cost_nano_usd, Some(2 * SEARCH + tokens));
    assert_eq!((entry.clamped, entry.estimated), (0, 0));
    let version = entry.price_version.unwrap();
    assert!(version.starts_with("file:"), "{version}");
    let price: Value = serde_json::from_str(&entry.price.unwrap()).unwrap();
    assert_eq!(
        (&price["version"], &price["tools"]["web_search"]),
        (&json!(version), &json!(10 * DOLLAR))
    );
}

#[tokio::test]
async fn pain_3_a_tool_without_a_price_is_refused_where_cost_is_limited_and_nothing_is_sent() {
    let desk = Desk::start(Books::Sqlite, PLAIN, Some(DOLLAR)).await;
    let (status, body) = desk.search("tokens=4 searches=2").await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
    for part in ["web_search", "claude/m", "no price"] {
        assert!(body.contains(part), "{part} is not in: {body}");
    }
    assert_eq!(desk.mock.served(), 0);
    let unlimited = Desk::start(Books::Sqlite, PLAIN, None).await;
    assert_eq!(unlimited.search("tokens=4 searches=2").await.0, StatusCode::OK);
    assert_eq!(fee(&unlimited.entry().await.tool_fees, "web_search"), Some(2));
}

#[tokio::test]
async fn a_budget_that_cannot_pay_for_the_searches_refuses_them() {
    let desk = Desk::start(Books::Sqlite, SEARCHED, Some(3 * SEARCH)).await;
    let (status, body) = desk.search("tokens=4").await;
    assert_eq!(status, StatusCode::PAYMENT_REQUIRED, "three searches and no token: {body}");
    assert_eq!(desk.mock.served(), 0);
    // Two thousand tokens of results fit the prompt, and some hold the request itself.
    let desk = Desk::start(Books::Sqlite, SEARCHED, Some(3 * SEARCH + 5_000_000)).await;
    assert_eq!(desk.search("tokens=4").await.0, StatusCode::OK);
}

#[tokio::test]
async fn pain_9_tokens_from_a_cache_are_billed_once_and_at_their_own_price() {
    let desk = Desk::start(Books::Sqlite, SEARCHED, Some(DOLLAR)).await;
    let (status, body) = desk.search("tokens=4 cached=100 searches=0").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let entry = desk.entry().await;
    assert_eq!((entry.tokens.cache_read, entry.tokens.output), (100, 4));
    let expected = entry.tokens.input * 1_000 + 100 * 100 + 4 * 1_000;
    assert_eq!(entry.cost_nano_usd, Some(expected));
}

#[tokio::test]
async fn pain_11_absurd_usage_is_cut_to_the_hold_and_flagged_never_credited() {
    let desk = Desk::start(Books::Sqlite, SEARCHED, Some(DOLLAR)).await;
    assert_eq!(desk.search("tokens=4 searches=18446744073709551615").await.0, StatusCode::OK);
    let entry = desk.entry().await;
    assert_eq!((fee(&entry.tool_fees, "web_search"), entry.clamped), (Some(3), 1));
    assert_eq!(
        entry.cost_nano_usd,
        Some(3 * SEARCH + (entry.tokens.input + entry.tokens.output) * 1_000)
    );
    for lie in ["negative", "absurd"] {
        assert_eq!(desk.search(&format!("tokens=4 usage={lie}")).await.0, StatusCode::OK);
        let cost = desk.entry().await.cost_nano_usd.unwrap();
        assert!((0..DOLLAR).contains(&cost), "{lie}: {cost}");
    }
    let spent: i64 = desk.entries().await.iter().filter_map(|entry| entry.cost_nano_usd).sum();
    assert!(spent > 3 * SEARCH && spent <= DOLLAR, "{spent}");
}

#[tokio::test]
async fn time_is_charged_by_the_millisecond() {
    let desk = Desk::start(Books::Sqlite, TIMED, Some(DOLLAR)).await;
    let (status, body) = desk.chat("tokens=3 delay=20").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let entry = desk.entry().await;
    let worked = fee(&entry.tool_fees, "gpu_ms").unwrap();
    assert!((60..=entry.latency_ms).contains(&worked), "{worked} of {}", entry.latency_ms);
    assert_eq!((entry.cost_nano_usd, entry.clamped), (Some(worked * 1_000), 0));
    assert_eq!(entry.disposition, "settled");
}

#[tokio::test]
async fn an_answer_is_cut_off_when_its_time_is_used_up_whether_it_speaks_or_not() {
    let desk = Desk::start(Books::Sqlite, TIMED, Some(DOLLAR)).await;
    for words in ["tokens=50 delay=200", "tokens=50 stall=2"] {
        let begun = Instant::now();
        let (status, body) = desk.chat(words).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert!(body.contains("\"length\"") && body.contains("[DONE]"), "{words}: {body}");
        assert!(begun.elapsed() < Duration::from_secs(6), "{words}: {:?}", begun.elapsed());
        let entry = desk.entry().await;
        assert_eq!(entry.disposition, "cut", "{words}");
        assert_eq!(fee(&entry.tool_fees, "gpu_ms"), Some(1_000), "{words}");
        assert_eq!(entry.cost_nano_usd, Some(1_000_000), "{words}");
    }
}
