//! What was used, told the same by the HTTP API, the client and the books.

use crate::ask::{CHAT, ask, ask_openai, openai, typed, with};
use serde_json::{Value, json};
use tollgate::{
    access::Role,
    clock::{Clock, SystemClock},
    ledger::report::{self, Query},
};
use tollgate_bench::Mock;
use tollgate_client::{GroupBy, UsageQuery};
use tollgate_tests::server::{Key, Server, Terms, budget, config_over};
use tollgate_types::{ErrorKind, Provider, Resource, UsageReport, Window, wire::path};

const TODAY: i64 = 86_400_000;

/// Two users, three keys, two providers, and every kind of end.
struct Books {
    _mock: Mock,
    server: Server,
    alice: Key,
    bob: Key,
    admin: Key,
}

async fn books() -> Books {
    let mock = Mock::start().await.unwrap();
    let more = format!(
        "[[providers]]\nname = \"free\"\nkind = \"openai\"\nbase_url = \"{}\"\n",
        mock.base_url()
    );
    let server = Server::start(config_over(&mock, &more)).await;
    let budgets = vec![budget(Resource::Cost, Window::Month, 1_000_000_000)];
    let alice = server.key_with(budgets).await;
    let other = server.any_key().await;
    let bob = server.key("bob", Terms::default()).await;
    let admin = server.key("root", Terms { role: Role::Admin, ..Terms::default() }).await;
    for (key, model) in [
        (&alice, "mock/mock-tokens=5"),
        (&alice, "mock/mock-tokens=7"),
        (&other, "mock/mock-tokens=5"),
        (&bob, "mock/mock-tokens=2"),
        (&bob, "free/mock-tokens=9"),
    ] {
        assert_eq!(ask(&server, key, model).await.status, 200);
    }
    ask_openai(&server, &bob, "mock/mock-status=500").await.assert_error(502, "failed");
    let body = with(openai("mock/mock-tokens=3"), json!({"stream": true}));
    assert_eq!(server.post(CHAT, &alice, &body).await.status, 200);
    server.settled(7).await;
    Books { _mock: mock, server, alice, bob, admin }
}

impl Books {
    async fn usage(&self, key: &Key, query: &str) -> UsageReport {
        let reply = self.server.get(&format!("{}?{query}", path::USAGE), key).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.text);
        serde_json::from_str(&reply.text).unwrap()
    }
}

#[tokio::test]
async fn groups_add_up_to_the_total_whatever_they_are_grouped_by() {
    let books = books().await;
    let today = SystemClock.now_ms() / TODAY;
    for (by, expected) in [
        ("user", vec![("alice", 4), ("bob", 3)]),
        ("provider", vec![("free", 1), ("mock", 6)]),
        (
            "model",
            vec![
                ("free/mock-tokens=9", 1),
                ("mock/mock-status=500", 1),
                ("mock/mock-tokens=2", 1),
                ("mock/mock-tokens=3", 1),
                ("mock/mock-tokens=5", 2),
                ("mock/mock-tokens=7", 1),
            ],
        ),
    ] {
        let report = books.usage(&books.admin, &format!("group_by={by}")).await;
        let mut groups: Vec<_> =
            report.groups.iter().map(|g| (g.group.as_str(), g.requests)).collect();
        groups.sort_unstable();
        assert_eq!(groups, expected, "{by}");
    }
    for by in ["user", "provider", "model", "key", "day"] {
        let report = books.usage(&books.admin, &format!("group_by={by}")).await;
        assert_eq!(report.group_by.as_deref(), Some(by));
        assert_eq!(report.groups.iter().map(|g| g.requests).sum::<u64>(), 7, "{by}");
        let tokens = |of: fn(&tollgate_types::Usage) -> u64| {
            report.groups.iter().map(|group| of(&group.usage)).sum::<u64>()
        };
        // Six calls of three words; the failed one used nothing.
        assert_eq!((tokens(|u| u.input), tokens(|u| u.output)), (18, 31), "{by}");
        assert_eq!((report.total.usage.input, report.total.usage.output), (18, 31));
        let cost: i64 = report.groups.iter().map(|group| group.cost.0).sum();
        assert_eq!((cost, report.total.cost.0), (15_000 + 44_000, 59_000), "{by}");
        assert_eq!(report.total.unpriced, 1, "a call without a price is told apart");
        assert!(report.groups.is_sorted_by(|a, b| a.cost >= b.cost), "the dearest first");
    }
    let days = books.usage(&books.admin, "group_by=day").await;
    assert_eq!(days.groups[0].group.len(), "2026-01-31".len(), "{today}");
}

#[tokio::test]
async fn reports_are_about_exactly_what_was_asked_for() {
    let books = books().await;
    let key = format!("key={}", books.alice.id);
    for (query, requests) in [
        ("", 7),
        ("user=alice", 4),
        ("user=nobody", 0),
        (key.as_str(), 3),
        ("provider=free", 1),
        ("model=mock-tokens%3D5", 2),
        ("model=mock/mock-tokens%3D5", 2),
        ("user=alice&model=mock-tokens%3D7", 1),
        ("since=1h", 7),
        ("since=2020-01-01", 7),
        ("since=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00%2B02:00", 0),
        ("until=1h", 0),
        ("since=2999-01-01", 0),
    ] {
        let report = books.usage(&books.admin, &format!("{query}&rows=100")).await;
        assert_eq!(report.total.requests, requests, "{query}");
        assert_eq!(u64::try_from(report.rows.len()).unwrap(), requests, "{query}");
        let newest_first = report.rows.is_sorted_by(|a, b| a.started_ms >= b.started_ms);
        assert!(newest_first, "{query}");
    }
    assert_eq!(books.usage(&books.admin, "rows=2").await.rows.len(), 2);
    assert_eq!(books.usage(&books.admin, "rows=4000000000").await.rows.len(), 7);
    let failed = books.usage(&books.bob, "rows=9&model=mock-status%3D500").await.rows.remove(0);
    assert_eq!(
        (failed.disposition.as_str(), failed.error.as_deref()),
        ("failed", Some("upstream"))
    );
}

#[tokio::test]
async fn a_query_that_cannot_be_read_is_400_and_says_what_to_write() {
    let books = books().await;
    for (query, named) in [
        ("group_by=colour", "user, team, organisation, key, provider, model"),
        ("since=yesterday", "24h"),
        ("until=5y", "2026-01-31"),
        ("since=99999999999999999d", "no time"),
        ("rows=-1", ""),
        ("rows=many", ""),
        ("colour=red", "colour"),
        ("user_id=x", "user_id"),
        ("user=a&user=b", "user"),
        ("group_by=day,day", "twice"),
        ("time_zone=Mars", "IANA"),
        ("disposition=failed", "rows"),
        ("before=x&rows=1", "cursor"),
        ("format=xml", "format"),
        ("format=jsonl", "csv"),
        ("since=%ff", ""),
    ] {
        let reply = books.server.get(&format!("{}?{query}", path::USAGE), &books.admin).await;
        reply.assert_error(400, query);
        assert!(reply.text.contains(named), "{query}: {named:?} is not in {}", reply.text);
    }
    let sql = "user=' or 1=1 --".replace(' ', "%20");
    assert_eq!(books.usage(&books.admin, &sql).await.total.requests, 0);
}

#[tokio::test]
async fn the_client_the_http_api_and_the_books_agree() {
    let books = books().await;
    let remote = books.server.remote(&books.admin);
    for group_by in GroupBy::ALL {
        let query =
            UsageQuery { group_by: Some(group_by), rows: Some(99), ..UsageQuery::default() };
        let told = remote.usage(query).await.unwrap();
        let own =
            Query { group_by: Some(group_by.to_string()), rows: Some(99), ..Query::default() };
        let now_ms = SystemClock.now_ms();
        let computed = report::report(&books.server.store, &own, now_ms).await.unwrap();
        assert_eq!(told, computed);
        let raw = books.usage(&books.admin, &format!("group_by={group_by}&rows=99")).await;
        assert_eq!(told, raw);
    }
    let entries = books.server.entries().await;
    let rows = books.usage(&books.admin, "rows=99").await.rows;
    for (entry, row) in entries.iter().rev().zip(&rows) {
        assert_eq!(row.request_id, entry.request_id);
        assert_eq!((row.started_ms, &row.key_id), (entry.started_ms, &entry.key_id));
        assert_eq!((&row.provider, &row.model), (&entry.provider, &entry.model));
        assert_eq!(row.usage.input, u64::try_from(entry.tokens.input).unwrap());
        assert_eq!(row.usage.output, u64::try_from(entry.tokens.output).unwrap());
        assert_eq!(row.cost.map(|cost| cost.0), entry.cost_nano_usd);
        assert_eq!((row.latency_ms, row.ttft_ms), (entry.latency_ms, entry.first_token_ms));
        assert_eq!(row.streamed, entry.streamed == 1);
    }
    let budgets = books.server.remote(&books.alice).budgets().await.unwrap();
    assert_eq!(budgets, books.server.budgets().await);
    let own: i64 =
        rows.iter().filter(|r| r.key_id == books.alice.id).map(|r| r.cost.unwrap().0).sum();
    assert_eq!((budgets[0].spent, budgets[0].held), (own, 0));
    let wrong = UsageQuery { since: Some("soon".to_owned()), ..UsageQuery::default() };
    assert_eq!(remote.usage(wrong).await.unwrap_err().kind(), ErrorKind::InvalidRequest);
    let nothing: Value = books.server.get(path::BUDGETS, &books.bob).await.at("/budgets");
    assert_eq!(nothing, json!([]));
    drop(remote.generate(typed("mock/mock-echo")).await.unwrap_err());
}
