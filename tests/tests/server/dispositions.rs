//! However a call ends, it leaves one entry that says what was used, and nothing stays held.

use crate::ask::{CHAT, QUESTION, native, openai, typed, with};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tollgate::{
    config::OpenaiApi,
    providers::{http::HttpOptions, openai::OpenAi},
    store::EntryRow,
};
use tollgate_bench::Mock;
use tollgate_tests::server::{
    Key, Reply, SOON, Server, budget, config, config_over, eventually, soon,
};
use tollgate_types::{Error, ErrorKind, Provider, Resource, StreamEvent, Tool, Window, wire::path};

/// A provider is stopped within 100 ms; a busy machine may notice later.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A key whose budgets pay for everything and count all of it.
async fn metered(server: &Server) -> Key {
    let budgets = [Resource::Tokens, Resource::Cost, Resource::Requests];
    server.key_with(budgets.map(|what| budget(what, Window::Day, 1 << 40)).to_vec()).await
}

/// Nothing is held, and every budget has spent what the entries say.
async fn assert_balanced(server: &Server) {
    let entries = server.entries().await;
    let tokens: i64 = entries.iter().map(|entry| entry.tokens.input + entry.tokens.output).sum();
    let cost: i64 = entries.iter().map(|entry| entry.cost_nano_usd.unwrap()).sum();
    let requests = entries.iter().filter(|entry| entry.disposition != "failed").count();
    for standing in server.budgets().await {
        let spent = match standing.resource {
            Resource::Tokens => tokens,
            Resource::Cost => cost,
            Resource::Requests => i64::try_from(requests).unwrap(),
        };
        assert_eq!((standing.spent, standing.held), (spent, 0), "{}", standing.resource);
    }
}

fn assert_mine(entry: &EntryRow, key: &Key, model: &str) {
    assert_eq!(entry.key_id, key.id);
    assert_eq!((entry.provider.as_str(), entry.model.as_str()), ("mock", model));
    assert_eq!(entry.asked_model, format!("mock/{model}"));
    assert!(entry.started_ms > 1_700_000_000_000 && entry.latency_ms >= 0, "{entry:?}");
    assert!(entry.first_token_ms.is_none_or(|first| first <= entry.latency_ms), "{entry:?}");
    let cost = entry.tokens.input * 1_000 + entry.tokens.output * 2_000;
    assert_eq!(entry.cost_nano_usd, Some(cost), "{entry:?}");
}

#[tokio::test]
async fn a_finished_call_has_one_entry_with_exactly_what_the_provider_reported() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let key = metered(&server).await;
    let asked = [
        (path::GENERATE, native("mock/mock-tokens=7"), "native", 0),
        (path::STREAM, native("mock/mock-tokens=7"), "native", 1),
        (CHAT, openai("mock/mock-tokens=7"), "openai", 0),
        (CHAT, with(openai("mock/mock-tokens=7"), json!({"stream": true})), "openai", 1),
        (CHAT, openai("mock/mock-tokens=7,nodone"), "openai", 0),
    ];
    for (count, (path, body, dialect, streamed)) in asked.into_iter().enumerate() {
        let reply = server.post(path, &key, &body).await;
        assert_eq!(reply.status, 200, "{path} {}", reply.text);
        let entry = server.settled(count + 1).await.remove(count);
        assert_mine(&entry, &key, body["model"].as_str().unwrap().trim_start_matches("mock/"));
        assert_eq!(entry.request_id, reply.header("x-request-id"));
        assert_eq!(
            (entry.disposition.as_str(), entry.finish.as_deref()),
            ("settled", Some("stop"))
        );
        assert_eq!(
            (entry.tokens.input, entry.tokens.output, entry.estimated, entry.clamped),
            (3, 7, 0, 0)
        );
        assert_eq!((entry.dialect.as_str(), entry.streamed), (dialect, streamed));
        assert!(entry.first_token_ms.is_some() && entry.error.is_none(), "{entry:?}");
        if streamed == 0 {
            assert_eq!(reply.header("x-tollgate-cost-nano-usd"), "17000");
        }
    }
    assert_balanced(&server).await;
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_stops_the_provider_and_pays_for_what_came() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let key = metered(&server).await;
    let remote = server.remote(&key);
    // One provider talks on, one has gone silent, one has said all but the end, one calls a tool.
    let tool = Tool::function("f", "", json!({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}));
    let models = [
        "mock-tokens=5000,delay=5",
        "mock-tokens=9,stall=3",
        "mock-tokens=2,stall=3",
        "mock-tool,stall=4",
    ];
    for (count, model) in models.into_iter().enumerate() {
        let request = typed(&format!("mock/{model}")).tools(vec![tool.clone()]);
        let mut events = remote.stream(request).await.unwrap();
        soon("the first words", async {
            while !matches!(events.next().await.unwrap().unwrap(), StreamEvent::PartDelta { .. }) {}
        })
        .await;
        let left = Instant::now();
        drop(events);
        assert!(mock.saw_aborts(count + 1, SOON).await, "{model}: the provider goes on");
        let after = mock.aborted()[count].at.saturating_duration_since(left);
        assert!(after < AT_ONCE, "{model}: stopped after {after:?}");
        let entry = server.settled(count + 1).await.remove(count);
        assert_mine(&entry, &key, model);
        assert_eq!((entry.disposition.as_str(), entry.estimated), ("cancelled", 1));
        assert!(entry.tokens.input > 0 && (1..5000).contains(&entry.tokens.output), "{entry:?}");
        assert!(entry.first_token_ms.is_some());
    }
    assert_balanced(&server).await;
}

#[tokio::test]
async fn a_client_that_hangs_up_before_a_whole_answer_stops_the_provider_and_is_metered() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let key = metered(&server).await;
    let cases = [
        (path::GENERATE, native("mock/mock-headers_delay=60000"), 0),
        (path::GENERATE, native("mock/mock-tokens=9,stall=5"), 1),
        (path::STREAM, native("mock/mock-headers_delay=60000"), 0),
        (CHAT, openai("mock/mock-headers_delay=60000"), 0),
    ];
    for (count, (path, body, output)) in cases.into_iter().enumerate() {
        let call = Reply::to(server.request("POST", path, &key).json(&body));
        let reached =
            eventually("the provider is asked", async || (mock.served() > count).then_some(()));
        tokio::select! {
            reply = call => panic!("an answer came: {reply:?}"),
            () = async {
                reached.await;
                if output > 0 {
                    delivered(&server).await;
                }
            } => {}
        }
        assert!(mock.saw_aborts(count + 1, SOON).await, "{body}: the provider goes on");
        let entry = server.settled(count + 1).await.remove(count);
        assert_eq!((entry.disposition.as_str(), entry.estimated), ("cancelled", 1), "{body}");
        assert!(entry.tokens.input > 0 && entry.tokens.output >= output, "{entry:?}");
    }
    assert_balanced(&server).await;
}

/// Until some of the answer has passed the server: it is then counted, sent or not.
async fn delivered(server: &Server) {
    eventually("a hold is open", async || {
        server.budgets().await.iter().any(|budget| budget.held > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_call_that_fails_before_it_begins_costs_nothing_and_has_its_entry() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let key = metered(&server).await;
    let cases = [
        ("mock-status=500", 502, "upstream"),
        ("mock-status=503", 503, "overloaded"),
        ("mock-status=429,retry_after=7", 429, "rate_limited"),
        ("mock-status=400", 400, "invalid_request"),
        ("mock-status=404", 404, "not_found"),
        ("mock-status=401", 502, "authentication"),
        ("mock-status=402", 502, "quota_exceeded"),
        ("mock-html", 502, "protocol"),
    ];
    for (count, (model, status, kind)) in cases.into_iter().enumerate() {
        let reply = server.post(path::GENERATE, &key, &native(&format!("mock/{model}"))).await;
        reply.assert_error(status, model);
        let entry = server.settled(count + 1).await.remove(count);
        assert_mine(&entry, &key, model);
        assert_eq!((entry.disposition.as_str(), entry.error.as_deref()), ("failed", Some(kind)));
        assert_eq!(
            (entry.tokens.input, entry.tokens.output, entry.first_token_ms),
            (0, 0, None),
            "{model}"
        );
        assert_eq!(entry.request_id, reply.header("x-request-id"));
    }
    assert_balanced(&server).await;
    assert!(server.budgets().await.iter().all(|budget| budget.spent == 0));
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_a_failure_and_an_alias_goes_on_to_the_next() {
    let mock = Mock::start().await.unwrap();
    // A port that was free a moment ago and that nobody listens on.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let alias = "[[models]]\nname = \"fast\"\ntargets = [\"down/x\", \"mock/mock-tokens=2\"]\n";
    let text = format!(
        "[[providers]]\nname = \"down\"\nkind = \"openai\"\nbase_url = \"http://{closed}/v1\"\n\
         [[providers]]\nname = \"mock\"\nkind = \"openai\"\nbase_url = \"{}\"\n{alias}",
        mock.base_url()
    );
    let server = Server::start(config(&text)).await;
    let key = server.any_key().await;
    server.post(CHAT, &key, &openai("down/x")).await.assert_error(502, "down");
    let reply = server.post(CHAT, &key, &openai("fast")).await;
    assert_eq!((reply.status, reply.header("x-tollgate-provider")), (200, "mock"));
    let entries = server.settled(2).await;
    let told: Vec<_> = entries
        .iter()
        .map(|e| {
            (
                e.provider.as_str(),
                e.disposition.as_str(),
                e.error.as_deref(),
                e.asked_model.as_str(),
            )
        })
        .collect();
    let expected =
        [("down", "failed", Some("connection"), "down/x"), ("mock", "settled", None, "fast")];
    assert_eq!(told, expected);
    assert_eq!(entries[1].tokens.output, 2);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_to_the_client_and_charged_as_far_as_it_came() {
    let mock = Mock::start().await.unwrap();
    let mut options = HttpOptions::new("mock", mock.base_url());
    options.idle_timeout = Duration::from_millis(300);
    let provider = Arc::new(OpenAi::new(options, OpenaiApi::Chat).unwrap());
    let server = Server::around(config_over(&mock, ""), vec![provider]).await;
    let key = metered(&server).await;
    let remote = server.remote(&key);
    let mut count = 0;
    for (model, kind, status) in [
        ("mock-tokens=9,reset=4", ErrorKind::StreamInterrupted, 502),
        ("mock-tokens=9,cut=4", ErrorKind::StreamInterrupted, 502),
        ("mock-tokens=9,malformed=4", ErrorKind::Protocol, 502),
        ("mock-tokens=9,stall=4", ErrorKind::Timeout, 504),
    ] {
        let asked = format!("mock/{model}");
        let streamed: Error =
            remote.stream(typed(&asked)).await.unwrap().collect().await.unwrap_err();
        let whole = server.post(path::GENERATE, &key, &native(&asked)).await;
        let body = with(openai(&asked), json!({"stream": true}));
        let chunks = server.post(CHAT, &key, &body).await;

        assert_eq!(streamed.kind(), kind, "{model}");
        whole.assert_error(status, model);
        assert!(!chunks.text.contains("[DONE]"), "{model}: a broken stream looks whole");
        let last = chunks.text.trim_end().rsplit("data: ").next().unwrap();
        assert!(last.starts_with(r#"{"error""#), "{model}: {last}");

        let entries = server.settled(count + 3).await;
        assert_eq!(streamed.request_id(), Some(entries[count].request_id.as_str()), "{model}");
        for entry in entries.iter().skip(count) {
            assert_mine(entry, &key, model);
            let ended = (entry.disposition.as_str(), entry.error.as_deref());
            assert_eq!(ended, ("interrupted", Some(kind.as_str())), "{model}");
            assert!(entry.tokens.input > 0 && (1..9).contains(&entry.tokens.output), "{entry:?}");
            assert_eq!(entry.estimated, 1, "{model}");
        }
        count += 3;
    }
    assert_balanced(&server).await;
}

#[tokio::test]
async fn labels_of_a_call_are_kept_with_its_entry() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let key = server.any_key().await;
    let mut request = typed("mock/mock-echo");
    request.options = request.options.tag("project", "apollo").tag("agent", "7");
    let answer = server.remote(&key).generate(request).await.unwrap();
    assert_eq!(answer.text(), QUESTION);
    let entry = server.settled(1).await.remove(0);
    assert_eq!(entry.tags, r#"{"agent":"7","project":"apollo"}"#);
    let receipt = answer.receipt.unwrap();
    assert_eq!((receipt.request_id, receipt.cost.map(|c| c.0)), (entry.request_id, Some(9_000)));
}
