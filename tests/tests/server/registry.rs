//! What is known about models before anyone is asked: prices, limits and names, over a socket.

use crate::ask::{ask, native, with};
use serde_json::{Value, json};
use tollgate_bench::Mock;
use tollgate_tests::server::{Server, budget, config};
use tollgate_types::{Provider, Resource, Window, wire::path};

/// A server over a mock that the operator knows one model of: it is like a known one.
async fn server_over(mock: &Mock) -> Server {
    let url = mock.base_url();
    let text = format!(
        "[[providers]]\nname = \"mock\"\nkind = \"openai\"\nbase_url = \"{url}\"\n\
         models = [\"*\", \"mock-echo\"]\n\
         [[models]]\nname = \"mock/mock-echo\"\nlike = \"openai/gpt-4o-mini\"\n\
         aliases = [\"ours\"]\nmax_output_tokens = 4000\n"
    );
    Server::start(config(&text)).await
}

#[tokio::test]
async fn a_model_that_is_like_a_known_one_costs_what_that_costs_and_its_neighbour_is_refused() {
    let mock = Mock::start().await.unwrap();
    let server = server_over(&mock).await;
    let key = server.key_with(vec![budget(Resource::Cost, Window::Month, 1_000_000_000)]).await;
    let reply = ask(&server, &key, "ours").await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let entry = server.settled(1).await.remove(0);
    let (input, output) = (entry.tokens.input, entry.tokens.output);
    assert!(input > 0 && output > 0);
    // 0.15 and 0.60 dollars a million: 150 and 600 nano-dollars a token.
    assert_eq!(entry.cost_nano_usd, Some(150 * input + 600 * output));
    ask(&server, &key, "mock/mock-tokens=5").await.assert_error(403, "unpriced");
    assert_eq!(mock.served(), 1);
}

#[tokio::test]
async fn a_caller_who_asks_for_more_than_the_model_can_write_is_told() {
    let mock = Mock::start().await.unwrap();
    let server = server_over(&mock).await;
    let key = server.key_with(vec![budget(Resource::Cost, Window::Month, 1_000_000_000)]).await;
    let asked = |tokens: u32| {
        with(native("mock/mock-echo"), json!({"sampling": {"max_output_tokens": tokens}}))
    };
    let reply = server.post(path::GENERATE, &key, &asked(1_000_000)).await;
    assert_eq!(reply.at("/warnings/0/code"), "max_output_limited", "{}", reply.text);
    assert!(reply.text.contains("4000"), "{}", reply.text);
    let reply = server.post(path::GENERATE, &key, &asked(4000)).await;
    assert_eq!((reply.status, reply.at("/warnings/0")), (200, Value::Null), "{}", reply.text);
    // Who has no budget for it is passed on as he asked: the vendor has its own word for it.
    let free = server.any_key().await;
    let reply = server.post(path::GENERATE, &free, &asked(1_000_000)).await;
    assert_eq!((reply.status, reply.at("/warnings/0")), (200, Value::Null), "{}", reply.text);
}

#[tokio::test]
async fn lists_show_limits_capabilities_and_where_the_price_is_from() {
    let mock = Mock::start().await.unwrap();
    let server = server_over(&mock).await;
    let key = server.any_key().await;
    let models = server.remote(&key).models().await.unwrap();
    let known = models.iter().find(|model| model.id == "mock/mock-echo").unwrap();
    assert_eq!(known.aliases, ["ours"]);
    assert_eq!((known.context_window, known.max_output_tokens), (Some(128_000), Some(4000)));
    let capabilities: Vec<_> = known.capabilities.iter().map(|known| known.as_str()).collect();
    assert!(capabilities.contains(&"vision"), "{capabilities:?}");
    let price = known.price.clone().unwrap();
    assert_eq!((price.input.as_str(), price.output.as_str()), ("0.15", "0.6"));
    assert!(price.source.unwrap().starts_with("https://"));
    assert!(price.as_of.is_some());
    let others = models.iter().filter(|model| model.id != "mock/mock-echo");
    assert!(others.into_iter().all(|model| model.price.is_none() && model.capabilities.is_empty()));
}

#[tokio::test]
async fn a_server_whose_operator_likens_a_model_to_none_does_not_start() {
    let text = "[[providers]]\nname = \"o\"\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:9\"\n\
        [[models]]\nname = \"o/m\"\nlike = \"openai/gpt-4p\"\n";
    let refusal = Server::refusal(config(text)).await.to_string();
    assert!(refusal.contains("openai/gpt-4p") && refusal.contains("did you mean"), "{refusal}");
}
