//! Who is let in, and why somebody is not: each with its own code.

use crate::ask::{CHAT, ask, native, openai};
use tokio::task::JoinSet;
use tollgate::{
    clock::{Clock, SystemClock},
    ingress::{GUARDED_PATHS, OPEN_PATHS},
};
use tollgate_bench::Mock;
use tollgate_tests::server::{Key, Reply, Server, Terms, eventually};
use tollgate_types::wire::path;

const MODEL: &str = "mock/mock-echo";

/// 401 with this code in both dialects; the OpenAI shape has one code for all that its SDKs know.
async fn assert_locked_out(server: &Server, key: &Key, code: &str) {
    let reply = ask(server, key, MODEL).await;
    reply.assert_error(401, code);
    assert_eq!(reply.at("/error/code"), code, "{}", reply.text);
    assert_eq!(reply.at("/error/kind"), "authentication");
    let reply = server.post(CHAT, key, &openai(MODEL)).await;
    reply.assert_error(401, code);
    assert_eq!(reply.at("/error/code"), "invalid_api_key");
}

fn key_of(text: impl Into<String>) -> Key {
    Key { id: String::new(), text: text.into() }
}

#[tokio::test]
async fn every_path_but_the_open_ones_asks_for_a_credential() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    for (method, path) in GUARDED_PATHS {
        for request in [
            server.stranger(method, path),
            server.stranger(method, path).bearer_auth("tg_a_b_00000000"),
            server
                .stranger(method, path)
                .header("host", "127.0.0.1")
                .header("x-forwarded-for", "::1"),
        ] {
            Reply::to(request).await.assert_error(401, path);
        }
    }
    for path in OPEN_PATHS {
        assert_eq!(Reply::to(server.stranger("GET", path)).await.status, 200, "{path}");
    }
    assert_eq!(mock.served(), 0);
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let good = server.any_key().await;
    assert_eq!(ask(&server, &good, MODEL).await.status, 200);
    let text = &good.text;
    let elsewhere = Server::over(&mock).await.any_key().await;
    for wrong in [
        "tg_",
        "x",
        "sk-proj-abc",
        &text[..text.len() - 1],
        &text[1..],
        &text.to_uppercase(),
        &format!("{text}x"),
        &"k".repeat(5_000),
        &elsewhere.text,
    ] {
        assert_locked_out(&server, &key_of(wrong), "invalid_api_key").await;
        // Again, now that it is remembered.
        assert_locked_out(&server, &key_of(wrong), "invalid_api_key").await;
    }
    let post = || server.stranger("POST", path::GENERATE).json(&native(MODEL));
    for (case, request) in [
        ("nothing", post()),
        ("another scheme", post().basic_auth("user", Some(text))),
        ("no scheme", post().header("authorization", text)),
        ("no text", post().header("authorization", &b"Bearer \xff\xfe"[..])),
        ("empty", post().header("authorization", "")),
    ] {
        let reply = Reply::to(request).await;
        reply.assert_error(401, case);
        assert_eq!(reply.at("/error/code"), "missing_api_key", "{case}");
    }
    for header in ["x-api-key", "api-key", "x-goog-api-key"] {
        assert_eq!(Reply::to(post().header(header, text)).await.status, 200, "{header}");
    }
    assert_eq!(
        Reply::to(post().header("authorization", format!("bearer {text}"))).await.status,
        200
    );
    assert_eq!(ask(&server, &good, MODEL).await.status, 200, "the good key is still good");
}

#[tokio::test]
async fn a_key_is_refused_within_a_second_after_it_or_its_user_is_gone() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let now = SystemClock.now_ms();
    let (revoked, kept) = (server.any_key().await, server.any_key().await);
    let orphan = server.key("bob", Terms::default()).await;
    for key in [&revoked, &kept, &orphan] {
        assert_eq!(ask(&server, key, MODEL).await.status, 200);
    }
    assert!(server.store.revoke_key(&revoked.id, now).await.unwrap());
    assert!(server.store.delete_user("bob", now).await.unwrap());
    let gone = SystemClock.now_ms();
    for (key, code) in [(&revoked, "revoked_api_key"), (&orphan, "deleted_user")] {
        eventually("the key is refused", async || {
            (ask(&server, key, MODEL).await.status == 401).then_some(())
        })
        .await;
        assert!(SystemClock.now_ms() - gone <= 1_000, "{code} took too long");
        assert_locked_out(&server, key, code).await;
    }
    assert_eq!(ask(&server, &kept, MODEL).await.status, 200, "the user's other key is good");
    assert!(!server.store.revoke_key(&revoked.id, now).await.unwrap(), "once is enough");
}

#[tokio::test]
async fn a_key_works_until_it_expires() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let until = async |expires_ms| {
        server.key("alice", Terms { expires_ms: Some(expires_ms), ..Terms::default() }).await
    };
    let now = SystemClock.now_ms();
    assert_locked_out(&server, &until(now - 1).await, "expired_api_key").await;
    assert_locked_out(&server, &until(0).await, "expired_api_key").await;
    let brief = until(SystemClock.now_ms() + 2_000).await;
    assert_eq!(ask(&server, &brief, MODEL).await.status, 200);
    eventually("it expires", async || {
        (ask(&server, &brief, MODEL).await.status == 401).then_some(())
    })
    .await;
    assert_locked_out(&server, &brief, "expired_api_key").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_many_use_at_once_for_the_first_time_lets_all_of_them_in() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let key = server.any_key().await;
    let remote = server.remote(&key);
    let mut calls = JoinSet::new();
    for _ in 0..400 {
        let remote = remote.clone();
        calls.spawn(async move { remote.budgets().await.map(drop) });
    }
    let failed: Vec<_> = calls.join_all().await.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{} of 400 were turned away: {}", failed.len(), failed[0]);
}
