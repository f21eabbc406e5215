//! What is sent: paths, queries, headers, bodies.

use crate::{
    ANSWER, KEY, builder, provider, request,
    server::{Reply, Server},
};
use tollgate_client::{GroupBy, UsageQuery};
use tollgate_types::{CallOptions, EmbedRequest, ErrorKind, Message, Provider, Secret};

#[tokio::test]
async fn a_request_is_sent_whole_with_its_options_as_headers() {
    let mut server = Server::play(vec![Reply::body(200, ANSWER)]).await;
    let provider = builder(&server.url).tag("team", "red").tag("app", "demo").build().unwrap();
    let mut options = CallOptions::default().idempotency_key("mine-1").tag("team", "blue");
    options.credential = Some(Secret::from("tg_other"));
    provider.generate(request().options(options)).await.unwrap();

    let sent = server.request().await;
    assert_eq!(sent.line, "POST /api/v1/generate HTTP/1.1");
    for (name, value) in [
        ("authorization", "Bearer tg_other"),
        ("content-type", "application/json"),
        ("idempotency-key", "mine-1"),
        ("x-tollgate-tag-team", "blue"),
        ("x-tollgate-tag-app", "demo"),
    ] {
        assert_eq!(sent.header(name), Some(value));
    }
    let mut expected = request();
    expected.model = "mock/echo".to_owned();
    assert_eq!(sent.body, serde_json::to_string(&expected).unwrap());
}

#[tokio::test]
async fn a_request_that_names_a_model_keeps_it() {
    let mut server = Server::play(vec![Reply::body(200, r#"{"input_tokens": 12}"#)]).await;
    let mut request = request();
    request.model = "other/model".to_owned();
    assert_eq!(provider(&server).count_tokens(request).await, Ok(12));
    let sent = server.request().await;
    assert_eq!(sent.line, "POST /api/v1/count_tokens HTTP/1.1");
    assert!(sent.body.contains(r#""model":"other/model""#), "{}", sent.body);
}

#[tokio::test]
async fn a_request_without_any_model_is_refused_here() {
    let provider = tollgate_client::RemoteProvider::builder()
        .server("http://127.0.0.1:9")
        .api_key(KEY)
        .build()
        .unwrap();
    let error = provider.generate(request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!(error.body().param.as_deref(), Some("model"));
}

#[tokio::test]
async fn vectors_are_asked_for() {
    let answer = r#"{"vectors": [[0.5, 1.0]], "usage": {"input": 1, "output": 0}, "model": "m"}"#;
    let mut server = Server::play(vec![Reply::body(200, answer)]).await;
    let embedded = provider(&server).embed(EmbedRequest::new("mock/m", ["a"])).await.unwrap();
    assert_eq!(embedded.vectors, [[0.5, 1.0]]);
    assert_eq!(server.request().await.line, "POST /api/v1/embed HTTP/1.1");
}

#[tokio::test]
async fn lists_are_read_without_an_idempotency_key() {
    let budget = r#"{"budgets": [{"budget": "b", "owner": "user:alice", "resource": "cost",
        "window": "month", "cap": 10, "spent": 3, "held": 2}]}"#;
    let models = r#"{"models": [{"id": "mock/echo"}]}"#;
    let mut server = Server::play(vec![Reply::body(200, models), Reply::body(200, budget)]).await;
    let provider = provider(&server);
    assert_eq!(provider.models().await.unwrap()[0].id, "mock/echo");
    assert_eq!(provider.budgets().await.unwrap()[0].remaining(), 5);
    for line in ["GET /api/v1/models HTTP/1.1", "GET /api/v1/budgets HTTP/1.1"] {
        let sent = server.request().await;
        assert_eq!(sent.line, line);
        assert_eq!(sent.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
        assert_eq!(sent.header("idempotency-key"), None);
    }
}

#[tokio::test]
async fn a_usage_query_is_spelt_into_the_address() {
    let report = r#"{"groups": [], "total": {"group": "", "requests": 2,
        "usage": {"input": 1, "output": 2}, "cost_nano_usd": 5}}"#;
    let mut server = Server::play(vec![Reply::body(200, report), Reply::body(200, report)]).await;
    let provider = provider(&server);
    let query = UsageQuery {
        since: Some("2026-11-01T00:00:00+01:00".to_owned()),
        user: Some("a&b".to_owned()),
        team: Some("red".to_owned()),
        key: Some("01K".to_owned()),
        delegated: true,
        feature: Some("tools".to_owned()),
        tag: Some("project=x".to_owned()),
        time_zone: Some("Europe/Berlin".to_owned()),
        organisation: Some("acme".to_owned()),
        disposition: Some("cut".to_owned()),
        group_by: Some(GroupBy::Day),
        then_by: Some(GroupBy::Model),
        rows: Some(5),
        before: Some("01J".to_owned()),
        ..UsageQuery::default()
    };
    assert_eq!(provider.usage(query).await.unwrap().total.requests, 2);
    assert_eq!(
        server.request().await.line,
        "GET /api/v1/usage?since=2026-11-01T00%3A00%3A00%2B01%3A00&user=a%26b&team=red\
         &organisation=acme&key=01K&delegated=true&feature=tools&tag=project%3Dx&disposition=cut\
         &time_zone=Europe%2FBerlin&group_by=day%2Cmodel&rows=5&before=01J HTTP/1.1"
    );
    provider.usage(UsageQuery::default()).await.unwrap();
    assert_eq!(server.request().await.line, "GET /api/v1/usage HTTP/1.1");
}

#[tokio::test]
async fn what_does_not_fit_a_header_is_refused_by_name() {
    let provider = builder("http://127.0.0.1:9").build().unwrap();
    for (options, param) in [
        (CallOptions::default().tag("pro ject", "x"), "tags"),
        (CallOptions::default().tag("project", "a\r\nx-evil: 1"), "tags"),
        (CallOptions::default().idempotency_key("a\nb"), "idempotency_key"),
        (CallOptions::default().idempotency_key(""), "idempotency_key"),
    ] {
        let mut asked = request().options(options);
        asked.messages.push(Message::user("again"));
        let error = provider.generate(asked).await.unwrap_err();
        assert_eq!(error.body().param.as_deref(), Some(param), "{error}");
    }
}

#[tokio::test]
async fn an_estimate_is_asked_for_with_the_request_itself() {
    let answer = r#"{"model": "mock/echo", "targets": ["mock/echo"], "max_input_tokens": 900,
        "likely_input_tokens": 20, "max_output_tokens": 50, "likely_output_tokens": 50,
        "likely_cost_nano_usd": 7, "fits": true, "clamped_to": 50, "weather": "fine",
        "budgets": [{"budget": {"budget": "b", "owner": "user:a", "resource": "gold",
            "window": "day", "cap": 1, "spent": 0, "held": 0}, "amount": 1}]}"#;
    let mut server = Server::play(vec![Reply::body(200, answer)]).await;
    let told = provider(&server).estimate(request()).await.unwrap();
    assert_eq!((told.max_cost, told.likely_cost.map(|cost| cost.0)), (None, Some(7)));
    assert!(told.fits && told.clamped_to == Some(50) && told.budgets.is_empty());
    let sent = server.request().await;
    assert_eq!(sent.line, "POST /api/v1/estimate HTTP/1.1");
    let mut expected = request();
    expected.model = "mock/echo".to_owned();
    assert_eq!(sent.body, serde_json::to_string(&expected).unwrap());
}
