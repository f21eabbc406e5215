//! Vectors under an idempotency key: made once, given again.

use crate::{
    alone,
    gate::{Gate, Open, Reply},
};
use tollgate_bench::{
    Mock, on_both_engines,
    private::{Home, Kind},
};

on_both_engines!(vectors_are_made_once_for_each_key_and_given_again_by_a_server_that_comes_after);

async fn vectors_are_made_once_for_each_key_and_given_again_by_a_server_that_comes_after(
    kind: Kind,
) {
    let (mock, home) = (Mock::start().await.unwrap(), Home::fresh(kind).await.unwrap());
    let gate = Gate::start(&mock, &home.url(), "").await;
    let (key, other) = (gate.any_key().await, gate.any_key().await);
    let first = Reply::to(gate.embed(&key, "a", &["one", "two words"])).await;
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(first.json()["vectors"].as_array().unwrap().len(), 2);
    let id = first.header("x-request-id").to_owned();
    assert_eq!(first.json()["receipt"]["request_id"], id);
    let asks = (0..12).map(|_| Reply::to(gate.embed(&key, "a", &["one", "two words"])));
    for again in futures_util::future::join_all(asks).await {
        assert_eq!((again.status, &again.body), (200, &first.body));
        assert_eq!(again.header("x-request-id"), id);
    }
    assert_eq!((mock.served(), gate.booked(&key).await), (1, 1));
    let changed = Reply::to(gate.embed(&key, "a", &["one"])).await;
    changed.assert_error(409, "idempotency_key_reused");
    assert_eq!(Reply::to(gate.embed(&other, "a", &["one"])).await.status, 200);
    assert_eq!(mock.served(), 2);
    let status = gate.status(&key, &id).await;
    assert_eq!(
        (&status["state"], &status["receipt"]["request_id"]),
        (&"finished".into(), &id.clone().into())
    );
    gate.stop().await;

    let gate = Gate::start(&mock, &home.url(), "").await;
    let again = Reply::to(gate.embed(&key, "a", &["one", "two words"])).await;
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!((again.header("x-request-id"), mock.served()), (id.as_str(), 2));
    assert_eq!(gate.booked(&key).await, 1);
    gate.stop().await;
}

#[tokio::test]
async fn a_crowd_asks_for_the_same_vectors_at_once() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "").await;
    let key = gate.any_key().await;
    let asks = (0..24).map(|_| Reply::to(gate.embed(&key, "a", &["one"])));
    let replies = futures_util::future::join_all(asks).await;
    assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
    assert!(replies.iter().all(|reply| reply.body == replies[0].body));
    assert_eq!((mock.served(), gate.booked(&key).await), (1, 1));
}

#[tokio::test]
async fn vectors_that_are_too_large_to_keep_are_given_once_and_never_made_twice() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "[runs]\nreplay_bytes = 65536").await;
    let key = gate.any_key().await;
    let texts = vec!["word"; 8000];
    let large = Reply::to(gate.embed(&key, "a", &texts)).await;
    assert_eq!(large.status, 200, "{}", large.body);
    assert!(large.body.len() > 65_536, "{}", large.body.len());
    let again = Reply::to(gate.embed(&key, "a", &texts)).await;
    again.assert_error(409, "answer_not_kept");
    assert_eq!(again.json()["error"]["retryable"], false);
    assert_eq!((mock.served(), gate.booked(&key).await), (1, 1));
}

#[tokio::test]
async fn a_failure_frees_the_key_and_an_answer_is_no_vector() {
    let mock = Mock::start().await.unwrap();
    let gone =
        "[[providers]]\nname = \"gone\"\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"";
    let (_folder, gate) = alone(&mock, gone).await;
    let key = gate.any_key().await;
    for _ in 0..2 {
        let failed = Reply::to(gate.embed_by("gone/e", (&key, "a"), &["one"])).await;
        assert_eq!(failed.status, 502, "{}", failed.body);
    }
    assert_eq!(Reply::to(gate.embed(&key, "a", &["one"])).await.status, 200);
    let mut open = Open::to(gate.stream(&key, "b", "tokens=2")).await;
    open.rest().await;
    Reply::to(gate.embed(&key, "b", &["one"])).await.assert_error(409, "idempotency_key_reused");
}
