//! Who may do what, in every dialect, and that what is refused never reaches the provider.

use crate::ask::{CHAT, ask, ask_openai, native, native_tools, openai, openai_tools, with};
use serde_json::{Value, json};
use tollgate::access::Role;
use tollgate_bench::Mock;
use tollgate_tests::server::{Key, Server, Terms, budget};
use tollgate_types::{Resource, Window, wire::path};

const MODEL: &str = "mock/mock-echo";

/// A call in both dialects: path and body of each.
fn call(what: &str) -> [(&'static str, Value); 2] {
    let streamed = json!({"stream": true});
    match what {
        "chat" => [(path::GENERATE, native(MODEL)), (CHAT, openai(MODEL))],
        "stream" => [(path::STREAM, native(MODEL)), (CHAT, with(openai(MODEL), streamed))],
        "tools" => [
            (path::GENERATE, with(native(MODEL), native_tools())),
            (CHAT, with(openai(MODEL), openai_tools())),
        ],
        "embeddings" => [
            (path::EMBED, json!({"model": MODEL, "input": ["a text"]})),
            ("/v1/embeddings", json!({"model": MODEL, "input": "a text"})),
        ],
        other => panic!("no such call: {other}"),
    }
}

#[tokio::test]
async fn a_key_without_the_permission_gets_403_naming_it_and_reaches_no_provider() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    for (permissions, what, missing) in [
        (r#"{"models": ["mock/mock-tool", "other/*"]}"#, "chat", "model:mock/mock-echo"),
        (r#"{"models": []}"#, "embeddings", "model:mock/mock-echo"),
        (r#"{"providers": ["openai"]}"#, "chat", "provider:mock"),
        (r#"{"providers": ["openai"]}"#, "stream", "provider:mock"),
        (r#"{"features": ["stream", "tools", "embeddings"]}"#, "chat", "feature:chat"),
        (r#"{"features": ["chat", "tools", "embeddings"]}"#, "stream", "feature:stream"),
        (r#"{"features": ["chat", "stream", "embeddings"]}"#, "tools", "feature:tools"),
        (r#"{"features": ["chat", "stream", "tools"]}"#, "embeddings", "feature:embeddings"),
    ] {
        let key = server.key("alice", Terms { permissions, ..Terms::default() }).await;
        for (path, body) in call(what) {
            let reply = server.post(path, &key, &body).await;
            let case = format!("{permissions} {path}");
            reply.assert_error(403, &case);
            assert_eq!(reply.at("/error/permission"), missing, "{case}");
            assert!(reply.at("/error/message").as_str().unwrap().contains(missing), "{case}");
            assert_eq!(reply.header("x-should-retry"), "false", "{case}");
            let word = if path.starts_with("/v1") { "/error/code" } else { "/error/kind" };
            assert_eq!(reply.at(word), "permission_denied", "{case}");
        }
    }
    let counting = Terms { permissions: r#"{"features": ["stream"]}"#, ..Terms::default() };
    let key = server.key("alice", counting).await;
    let reply = server.post(path::COUNT_TOKENS, &key, &native(MODEL)).await;
    assert_eq!(reply.at("/error/permission"), "feature:chat");
    assert_eq!(mock.served(), 0, "what is refused reaches no provider");
    assert!(server.entries().await.is_empty(), "and leaves no entry");
}

#[tokio::test]
async fn a_key_may_use_exactly_what_it_was_given() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let permissions = r#"{"providers": ["mock"], "models": ["mock/mock-e*"],
                          "features": ["chat", "stream", "tools", "embeddings"]}"#;
    let key = server.key("alice", Terms { permissions, ..Terms::default() }).await;
    for what in ["chat", "stream", "tools", "embeddings"] {
        for (path, body) in call(what) {
            let reply = server.post(path, &key, &body).await;
            assert_eq!(reply.status, 200, "{what} {path}: {}", reply.text);
        }
    }
    assert_eq!(mock.served(), 8);
}

#[tokio::test]
async fn what_a_user_may_not_no_key_of_it_may() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let mut user = server.user("template", Role::Member, Vec::new()).await;
    user.id = "narrow-user".to_owned();
    user.name = "narrow".to_owned();
    user.permissions = r#"{"features": ["embeddings"]}"#.to_owned();
    server.store.insert_user(&user, &[]).await.unwrap();
    let key = server.key("narrow", Terms::default()).await;
    assert_eq!(ask(&server, &key, MODEL).await.at("/error/permission"), "feature:chat");
    assert_eq!(mock.served(), 0);
}

#[tokio::test]
async fn an_administrators_key_calls_no_model() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let admin = admin(&server).await;
    for what in ["chat", "stream", "tools", "embeddings"] {
        for (path, body) in call(what) {
            let reply = server.post(path, &admin, &body).await;
            reply.assert_error(403, path);
            let permission = reply.at("/error/permission");
            assert_eq!(permission, "role:member");
        }
    }
    assert_eq!(mock.served(), 0);
    assert_eq!(server.get("/v1/models", &admin).await.status, 200);
}

#[tokio::test]
async fn a_member_sees_its_own_usage_and_budgets_and_an_administrator_everybodys() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let cap = || vec![budget(Resource::Requests, Window::Day, 9)];
    let with_budget = || Terms { budgets: cap(), ..Terms::default() };
    let alice = server.key("alice", with_budget()).await;
    let bob = server.key("bob", with_budget()).await;
    let admin = admin(&server).await;
    ask(&server, &alice, MODEL).await;
    ask_openai(&server, &bob, MODEL).await;

    let users = async |key: &Key, query: &str| {
        let report = server.get(&format!("{}?rows=9{query}", path::USAGE), key).await;
        let rows = report.at("/rows").as_array().cloned().unwrap_or_default();
        assert_eq!(report.at("/total/requests"), rows.len());
        let mut users: Vec<String> =
            rows.iter().map(|row| row["user"].as_str().unwrap().to_owned()).collect();
        users.sort();
        users
    };
    assert_eq!(users(&alice, "").await, ["alice"]);
    assert_eq!(users(&bob, "").await, ["bob"]);
    assert_eq!(users(&admin, "").await, ["alice", "bob"]);
    assert_eq!(users(&admin, "&user=bob").await, ["bob"]);
    let none: [&str; 0] = [];
    assert_eq!(users(&alice, "&user=bob").await, none, "asking for another's shows nothing");
    assert_eq!(users(&alice, &format!("&key={}", bob.id)).await, none);

    for (key, owners) in [(&alice, 1), (&bob, 1), (&admin, 2)] {
        let list = server.get(path::BUDGETS, key).await;
        assert_eq!(list.at("/budgets").as_array().map(Vec::len), Some(owners));
    }
    let own = server.get(path::BUDGETS, &alice).await;
    assert_eq!(own.at("/budgets/0/owner"), format!("key:{}", alice.id));
}

#[tokio::test]
async fn lists_of_models_show_what_the_key_may_use() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    for (permissions, visible) in [
        ("{}", &["mock/mock-echo", "mock/mock-tool"][..]),
        (r#"{"models": ["mock/mock-tool"]}"#, &["mock/mock-tool"]),
        (r#"{"providers": []}"#, &[]),
    ] {
        let key = server.key("alice", Terms { permissions, ..Terms::default() }).await;
        for (path, list) in [(path::MODELS, "/models"), ("/v1/models", "/data")] {
            let listed = server.get(path, &key).await.at(list);
            let ids: Vec<_> = listed.as_array().unwrap().iter().map(|m| m["id"].clone()).collect();
            assert_eq!(ids, visible, "{permissions} {path}");
        }
        let one = server.get("/v1/models/mock/mock-echo", &key).await.status;
        let expected = if visible.contains(&MODEL) { 200 } else { 404 };
        assert_eq!(one, expected, "{permissions}");
    }
}

async fn admin(server: &Server) -> Key {
    server.key("root", Terms { role: Role::Admin, ..Terms::default() }).await
}
