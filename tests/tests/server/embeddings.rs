//! Vectors are metered and limited like answers.

use serde_json::json;
use tollgate_bench::Mock;
use tollgate_tests::server::{Server, budget};
use tollgate_types::{EmbedRequest, ErrorKind, Provider, Resource, Window, wire::path};

#[tokio::test]
async fn vectors_have_an_entry_a_cost_and_a_budget() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let budgets = vec![
        budget(Resource::Tokens, Window::Day, 10_000),
        budget(Resource::Requests, Window::Day, 3),
    ];
    let key = server.key_with(budgets).await;
    let texts = vec!["one two".to_owned(), "three".to_owned()];

    let typed =
        EmbedRequest { model: "mock/e".to_owned(), input: texts.clone(), ..Default::default() };
    let answer = server.remote(&key).embed(typed.clone()).await.unwrap();
    assert_eq!(answer.vectors.len(), 2);
    assert_eq!(answer.receipt.unwrap().cost.unwrap().0, 3_000);
    let body = json!({"model": "mock/e", "input": texts});
    for path in ["/v1/embeddings", path::EMBED] {
        let reply = server.post(path, &key, &body).await;
        assert_eq!((reply.status, reply.header("x-tollgate-cost-nano-usd")), (200, "3000"));
    }
    let entries = server.settled(3).await;
    for entry in &entries {
        assert_eq!(
            (entry.tokens.input, entry.tokens.output, entry.cost_nano_usd),
            (3, 0, Some(3_000))
        );
        assert_eq!(
            (entry.disposition.as_str(), entry.key_id.as_str()),
            ("settled", key.id.as_str())
        );
    }
    let spent = |what| {
        let budgets = server.budgets();
        async move { budgets.await.into_iter().find(|b| b.resource == what).unwrap().spent }
    };
    assert_eq!((spent(Resource::Tokens).await, spent(Resource::Requests).await), (9, 3));

    let refused = server.remote(&key).embed(typed).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
    server.post("/v1/embeddings", &key, &body).await.assert_error(402, "cannot pay");
    assert_eq!(mock.served(), 3, "what is refused never reaches the provider");
}

#[tokio::test]
async fn vectors_that_fail_cost_nothing() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let key = server.key_with(vec![budget(Resource::Cost, Window::Day, 1_000_000_000)]).await;
    let body = json!({"model": "mock/mock-status=500", "input": ["one two"]});
    for (count, path) in ["/v1/embeddings", path::EMBED].into_iter().enumerate() {
        server.post(path, &key, &body).await.assert_error(502, path);
        let entry = server.settled(count + 1).await.remove(count);
        assert_eq!((entry.disposition.as_str(), entry.cost_nano_usd), ("failed", Some(0)));
    }
    assert_eq!(server.budgets().await[0].spent, 0);
}
